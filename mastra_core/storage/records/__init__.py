"""The record port: kinds, reads and changes as data, the engine protocol, and the guard before an engine."""

from __future__ import annotations
