"""Agents and the models they speak through; importing this imports no provider."""

from __future__ import annotations
