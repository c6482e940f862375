"""The four domains, each written once over the record port."""

from __future__ import annotations
