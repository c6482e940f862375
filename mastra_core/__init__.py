"""Mastra: agents that remember."""

from __future__ import annotations
