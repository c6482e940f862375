"""When a message without a date was said: after all that this process has read or written of its thread (semantics §2.4).

Knows messages and the clock; must not know any store.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import attrs

from mastra_core import clock
from mastra_core.errors import InvalidInputError
from mastra_core.storage.domains.old_messages import readable
from mastra_core.storage.records.checks import check_time, cut
from mastra_core.storage.records.kinds import Message

REMEMBERED_THREADS = 10_000
"""Of how many threads the newest message is remembered; the others are dated by the clock alone."""


class Dating:
    """The newest message of each thread, as far as this process has seen."""

    def __init__(self) -> None:
        self._newest: OrderedDict[str, datetime] = OrderedDict()

    def dated(self, messages: Sequence[Message], *, resource_id: str | None = None) -> list[Message]:
        """*messages*, those without created_at one millisecond apart in list order, later than all seen, never before the clock.

        Those without a resource id get *resource_id*.

        Raises:
            InvalidInputError: a date is naive, or a content is no object with parts.
        """
        dated = []
        for message in messages:
            if not isinstance(message.content, Mapping) or not isinstance(message.content.get("parts"), list | tuple):
                msg = (
                    f"message {message.id!r}: content must be an object such as "
                    f'{{"format": 2, "parts": [{{"type": "text", "text": "…"}}]}}, found {message.content!r:.60}'
                )
                raise InvalidInputError(msg)
            if message.created_at is None:
                newest = self._newest.get(message.thread_id)
                now = clock.now()
                at = now if newest is None else max(now, newest + clock.MILLISECOND)
            else:
                at = cut(check_time(message.created_at, at=f"message {message.id!r}: created_at"))
            self._remember(message.thread_id, at)
            dated.append(attrs.evolve(message, created_at=at, resource_id=message.resource_id or resource_id))
        return dated

    def seen(self, messages: Iterable[Message]) -> tuple[Message, ...]:
        """*messages* as users see them; their dates are remembered."""
        shown = tuple(readable(message) for message in messages)
        newest: dict[str, datetime] = {}
        for message in shown:
            at = message.created_at
            if at is not None and at >= newest.get(message.thread_id, at):
                newest[message.thread_id] = at
        for thread_id, at in newest.items():
            self._remember(thread_id, at)
        return shown

    def _remember(self, thread_id: str, at: datetime) -> None:
        newest = self._newest.pop(thread_id, at)
        self._newest[thread_id] = max(newest, at)
        if len(self._newest) > REMEMBERED_THREADS:
            self._newest.popitem(last=False)
