"""What a store must keep of its promises to forget: pruning by age and count, and erasure."""

from __future__ import annotations
