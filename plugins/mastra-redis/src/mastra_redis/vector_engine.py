"""The vector engine of Redis: what the vector port asks for, each write one script. What is asked stands in the modules beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from redis.exceptions import RedisError

from mastra_core.storage.records.engine import Fault
from mastra_core.storage.records.wire import decode_json
from mastra_core.storage.vectors.checks import Row, Target, check_fits
from mastra_core.storage.vectors.conditions import NEVER, Path
from mastra_core.storage.vectors.engine import Search
from mastra_core.storage.vectors.floats import Packed
from mastra_core.storage.vectors.looking import How
from mastra_core.storage.vectors.port import IndexDescription, Metric, VectorMatch
from mastra_redis.committing import TRIES, conflict, pause
from mastra_redis.connections import Confirmation
from mastra_redis.faults import NotConfirmed, WriteInterrupted, diagnose
from mastra_redis.setup import Client
from mastra_redis.vector_connection import STEP, Connection, Stale
from mastra_redis.vector_indexes import Indexes, digest
from mastra_redis.vector_keys import Index, VectorKeys
from mastra_redis.vector_rows import check_batch, stored
from mastra_redis.vector_scripts import DELETE, UPDATE, UPSERT
from mastra_redis.vector_searching import Searching

T = TypeVar("T")
Arguments = list[str | bytes]


class RedisVectorEngine:
    """Everything of the vector port, in one Redis database or cluster.

    Args:
        connect: makes the client, on first use; it must not retry by itself.
        owned: whether close() closes the client.
        prefix: what every key begins with.
        search: how vectors are searched.
        exact_limit: how many vectors a search may look at, one by one.
        confirmation: the replicas that must have a write before it is answered.
    """

    driver_errors: tuple[type[BaseException], ...] = (RedisError, WriteInterrupted, NotConfirmed)

    def __init__(
        self,
        connect: Callable[[], Client],
        *,
        owned: bool,
        prefix: str,
        search: How,
        exact_limit: int,
        confirmation: Confirmation | None,
    ) -> None:
        self._connection = Connection(connect, owned=owned, confirmation=confirmation, how=search)
        self._indexes = Indexes(self._connection, keys=VectorKeys(prefix))
        self._searching = Searching(self._connection, indexes=self._indexes, exact_limit=exact_limit)

    @property
    def client(self) -> Client:
        """The client of redis-py, made now if it was not yet; it belongs to the event loop that uses it first."""
        return self._connection.client

    async def open(self) -> None:
        """Connect and ask whether the server searches; nothing is made before the first index."""
        await self._connection.open()

    async def close(self) -> None:
        """Release the client if it is ours."""
        await self._connection.close()

    async def create_index(self, name: str, *, dimension: int, metric: Metric, metadata_indexes: Sequence[Path]) -> None:
        """Make what is missing; where fields are added, all vectors are marked by them before this comes back."""
        await self._indexes.make(name, dimension=dimension, metric=metric, fields=metadata_indexes)

    async def list_indexes(self) -> list[str]:
        return await self._indexes.names()

    async def describe_index(self, name: str) -> IndexDescription:
        return await self._at(name, self._indexes.describe)

    async def delete_index(self, name: str) -> None:
        await self._indexes.remove(name)

    async def upsert(self, name: str, rows: Sequence[Row]) -> None:
        """Write all rows by one script."""
        check_batch(rows)

        async def write(index: Index) -> None:
            # Put aside, a large batch is seen as one; the server enters it into its search index in steps.
            later = self._connection.searches and len(rows) > STEP
            args: Arguments = []
            aside: list[tuple[str | bytes, bytes]] = []
            for row in rows:
                part, blob = stored(row.vector, index.metric)
                if later and part == "vector":
                    part = "aside"
                    aside.append((row.id, blob))
                args += [row.id, part, blob, row.metadata, _marks(index, row.metadata)]
            await self._connection.at(index, UPSERT, args, fields=index.fields, writes=True)
            await self._indexes.settle(index, aside)

        await self._at(name, write, vectors=[row.vector for row in rows])

    async def query(self, name: str, search: Search) -> list[VectorMatch]:
        """Search along the search index, or by looking at each vector that the filter leaves."""

        async def read(index: Index) -> list[VectorMatch]:
            return [] if search.condition == NEVER else await self._searching.nearest(index, search)

        return await self._at(name, read, vectors=[search.vector])

    async def update(self, name: str, target: Target, *, vector: Packed | None, metadata: str | None) -> int:
        """Change all vectors meant by one script."""

        async def write(index: Index) -> int:
            part, blob = ("", b"") if vector is None else stored(vector, index.metric)
            changes: Arguments = [part, blob, metadata or "", "" if metadata is None else _marks(index, metadata)]
            meant = await self._meant(index, target)
            (count,) = await self._connection.at(index, UPDATE, [*changes, *meant], fields=index.fields, writes=True) if meant else [0]
            return int(count)

        return await self._at(name, write, vectors=[] if vector is None else [vector])

    async def delete(self, name: str, target: Target) -> int:
        """Remove all vectors meant by one script."""

        async def write(index: Index) -> int:
            meant = await self._meant(index, target)
            (count,) = await self._connection.at(index, DELETE, meant, writes=True) if meant else [0]
            return int(count)

        return await self._at(name, write)

    def diagnose(self, error: BaseException) -> Fault | None:
        """What an error of redis-py means."""
        return diagnose(error, tls=self._connection.speaks_tls)

    async def _at(self, name: str, work: Callable[[Index], Awaitable[T]], *, vectors: Sequence[Packed] = ()) -> T:
        """What *work* gives for the index, done again when the index or what was found in it has changed meanwhile.

        Raises:
            NoIndex: there is no such index.
            InvalidInputError: one of *vectors* is of another dimension.
            ConflictError: it changed at every try.
        """
        for attempt in range(TRIES):
            await pause(attempt)
            index = await self._indexes.find(name)
            if any(len(vector) != index.dimension for vector in vectors):
                # Another process may have made it anew, of this dimension.
                self._indexes.forget(name)
                index = await self._indexes.find(name)
                check_fits(name, dimension=index.dimension, vectors=vectors)
            try:
                return await work(index)
            except Stale:
                self._indexes.forget(name)
        raise conflict()

    async def _meant(self, index: Index, target: Target) -> Arguments:
        """Who is meant, as scripts take it: by id, whatever it holds; by condition, as long as it holds what was read."""
        if target.ids is not None:
            return [one for name in target.ids for one in (name, "")]
        if target.condition == NEVER:
            return []
        return [one for row in await self._searching.matching(index, target.condition) for one in (row[0], digest(row))]


def _marks(index: Index, metadata: str) -> str:
    decoded = decode_json(metadata)
    assert isinstance(decoded, dict), "checked before"
    return index.marks(decoded)
