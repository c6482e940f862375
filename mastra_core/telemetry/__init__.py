"""What runs tell of themselves: OpenTelemetry's spans, kept in the observability domain. Importing this imports no OpenTelemetry."""

from __future__ import annotations
