"""Stored rows damaged at random, and what an honest store must answer."""

from __future__ import annotations
