"""The command line, extra `mastra-core[cli]`; importing this imports neither typer nor rich."""

from __future__ import annotations
