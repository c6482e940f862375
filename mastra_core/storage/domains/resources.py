"""The methods of the memory domain that are about resources: what is remembered of a user across threads (contract §2.1.10).

Knows records and the port. Must not know any engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.errors import InvalidInputError, ThreadNotFoundError
from mastra_core.storage.domains.messages import MessageMethods
from mastra_core.storage.domains.operation import operation
from mastra_core.storage.records.changes import Change, Save
from mastra_core.storage.records.checks import check_id, check_time, cut
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import RESOURCES, THREADS, Resource
from mastra_core.storage.records.query import Get

WORKING_MEMORY = "workingMemory"
"""Where a thread's working memory is, in its metadata (contract §5.7)."""


class ResourceMethods(MessageMethods):
    """Resources of one store."""

    @operation
    async def get_resource_by_id(self, resource_id: str) -> Resource | None:
        """The resource, or None."""
        found: tuple[Resource | None] = await self.records.fetch(Get(RESOURCES, (resource_id,)))
        return found[0]

    @operation
    async def save_resource(self, resource: Resource) -> Resource:
        """Create the resource or replace it whole, and return it as stored."""
        created, updated = check_time(resource.created_at, at="created_at"), check_time(resource.updated_at, at="updated_at")
        answers = await self.records.apply(Save(RESOURCES, attrs.evolve(resource, created_at=cut(created), updated_at=cut(updated))))
        stored: Resource = answers[0]
        return stored

    @operation
    async def update_resource(
        self, resource_id: str, *, working_memory: str | None = None, metadata: Mapping[str, Json] | None = None
    ) -> Resource:
        """Replace the working memory if one is given, lay *metadata* over the stored one, one level deep, and return the resource.

        Creates it if it is missing. Concurrent updates of different keys all survive.
        """
        now = clock.now()

        def batch(found: list[Any]) -> Sequence[Change]:
            held = found[0] or Resource(id=resource_id, metadata={}, created_at=now, updated_at=now)
            laid = held.metadata if metadata is None else {**(held.metadata or {}), **metadata}
            memory = held.working_memory if working_memory is None else working_memory
            updated = attrs.evolve(held, working_memory=memory, metadata=laid, updated_at=max(held.updated_at, now))
            return [Save(RESOURCES, updated)]

        answers = await self.records.decide([Get(RESOURCES, (resource_id,))], batch)
        resource: Resource = answers[0]
        return resource

    @operation
    async def update_working_memory(
        self, change: Callable[[str | None], str], *, resource_id: str | None = None, thread_id: str | None = None
    ) -> str:
        """Replace the working memory of a resource, or of a thread, by what *change* makes of it, and return that.

        Of concurrent updates each sees what the one before it wrote, so none is lost. *change* is pure; it may be called several times.

        Args:
            change: from the stored text, or None, to the new one.
            resource_id: of the resource, which is created if it is missing.
            thread_id: in its place, of the thread: its metadata holds it (contract §5.7).

        Raises:
            ThreadNotFoundError: there is no such thread.
            InvalidInputError: neither id is given, or both are.
        """
        if (resource_id is None) == (thread_id is None):
            msg = "update_working_memory: pass either resource_id or thread_id"
            raise InvalidInputError(msg)
        kind, key = (RESOURCES, resource_id) if thread_id is None else (THREADS, thread_id)
        now = clock.now()
        written: list[str] = []

        def batch(found: list[Any]) -> Sequence[Change]:
            held = found[0]
            if thread_id is None:
                held = held or Resource(id=str(resource_id), created_at=now, updated_at=now)
                written[:] = [change(held.working_memory)]
                return [Save(RESOURCES, attrs.evolve(held, working_memory=written[0], updated_at=max(held.updated_at, now)))]
            if held is None:
                msg = f"Thread {thread_id} not found"
                raise ThreadNotFoundError(msg)
            metadata = held.metadata or {}
            known = metadata.get(WORKING_MEMORY)
            written[:] = [change(known if isinstance(known, str) else None)]
            laid = {**metadata, WORKING_MEMORY: written[0]}
            return [Save(THREADS, attrs.evolve(held, metadata=laid, updated_at=max(held.updated_at, now)))]

        await self.records.decide([Get(kind, (check_id(key, at="id"),))], batch)
        return written[0]
