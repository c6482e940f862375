"""Vector stores: the port, the filter language with its one meaning, and the store that forgets."""

from __future__ import annotations
