"""The memory domain: threads, messages and resources, and the turn of an agent over them (contract §2.1, semantics §2).

Written once for every backend. Knows records and the port; must not know any engine, agent or model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import attrs

from mastra_core import clock
from mastra_core.errors import InvalidInputError
from mastra_core.storage.domains.clearing import clear
from mastra_core.storage.domains.operation import operation
from mastra_core.storage.domains.owners import apply_owned, dated, owned_by_another, saves
from mastra_core.storage.domains.resources import ResourceMethods
from mastra_core.storage.records.changes import Change, Save
from mastra_core.storage.records.checks import check_id
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS, Message, Resource, Thread
from mastra_core.storage.records.query import Get, Is, Query, Read


@attrs.frozen(kw_only=True)
class Turn:
    """What an agent run reads before it calls the model, in one batch.

    Attributes:
        thread: None when it does not exist yet.
        messages: the newest of the thread, oldest first.
        resource: what is remembered of the owner; None when absent or not asked for.
    """

    thread: Thread | None
    messages: tuple[Message, ...]
    resource: Resource | None


class MemoryDomain(ResourceMethods):
    """Threads, messages and resources of one store."""

    @operation
    async def read_turn(self, thread_id: str, *, resource_id: str, last: int, with_resource: bool = False) -> Turn:
        """The thread, its newest *last* messages and, if wanted, the resource, in one batch whatever the length of the thread.

        Raises:
            OwnershipError: the thread belongs to another resource.
        """
        check_id(resource_id, at="resource_id")
        reads: list[Read[Any]] = [Get(THREADS, (thread_id,))]
        if last:
            reads.append(Query(MESSAGES, "by_thread", at={"thread_id": thread_id}, descending=True, limit=last))
        if with_resource:
            reads.append(Get(RESOURCES, (resource_id,)))
        answers = iter(await self.records.fetch(*reads))
        thread: Thread | None = next(answers)
        newest: list[Message] = next(answers) if last else []
        resource: Resource | None = next(answers) if with_resource else None
        if thread is not None and thread.resource_id not in {"", resource_id}:
            raise owned_by_another(thread, resource_id)
        return Turn(thread=thread, messages=self.dating.seen(reversed(newest)), resource=resource)

    @operation
    async def save_turn(self, *, thread: Thread, messages: Sequence[Message], existed: bool = False) -> tuple[Message, ...]:
        """Create the thread if it is missing and save the messages, all in one step; the messages as stored, in the order given.

        Args:
            thread: its title and metadata count only when it is created.
            messages: of this thread; without a resource id they get the thread's.
            existed: the caller has read the thread, so it must still be there.

        Raises:
            ThreadNotFoundError: *existed*, and the thread was deleted since.
            OwnershipError: the thread belongs to another resource.
        """
        check_id(thread.resource_id, at="resource_id")
        for message in messages:
            if message.thread_id != thread.id:
                msg = f"message {message.id!r} is of thread {message.thread_id!r}, the turn of {thread.id!r}; save it with save_messages"
                raise InvalidInputError(msg)
        now = clock.now()
        created = dated(thread, touched=now)
        turn = self.dating.dated(messages, resource_id=thread.resource_id)
        absent: Literal["create", "refuse"] = "refuse" if existed else "create"

        def changes(owner: str) -> list[Change]:
            mine = (Is(("resource_id",), owner),)
            touch = Save(THREADS, created, only=(), raise_to={"updated_at": now}, when=mine, absent=absent, answer=False)
            return [touch, *saves(turn)]

        answers = await apply_owned(self.records, created, changes, messages=turn)
        return self.dating.seen(answers[1 : 1 + len(turn)])

    @operation
    async def dangerously_clear_all(self) -> None:
        """Remove every thread, message and resource of the store; there is no way back."""
        for kind in (MESSAGES, THREADS, RESOURCES):
            await clear(self.records, kind)
