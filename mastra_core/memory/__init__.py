"""What an agent remembers, and how much of it goes into a run."""

from __future__ import annotations
