"""The contract of a vector store."""

from __future__ import annotations
