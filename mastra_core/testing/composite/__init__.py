"""The contract of stores put together from others; `contract` has the whole."""

from __future__ import annotations
