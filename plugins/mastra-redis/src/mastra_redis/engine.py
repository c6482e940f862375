"""The record port on Redis: one script a batch of reads, one script a batch of changes, on one node or on a cluster.

Which operations and steps there are is decided in `reading` and `writing`, how a batch is repeated in `committing`, how a command is
sent in `connections`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import attrs
from redis.exceptions import RedisError

from mastra_core.errors import ConfigurationError
from mastra_core.storage.records.changes import Change, Delete
from mastra_core.storage.records.engine import Fault, Inspection, PoolState, Support
from mastra_core.storage.records.kind import Kind, R
from mastra_core.storage.records.query import Get, Query, Read
from mastra_core.storage.records.wire import check_values
from mastra_redis import looking, scripts, wire
from mastra_redis.capabilities import ON_A_CLUSTER, ON_A_NODE
from mastra_redis.committing import TRIES, Committer, all_of, conflict, pause
from mastra_redis.connections import Caller, Confirmation, partly
from mastra_redis.faults import NotConfirmed, WriteInterrupted, diagnose
from mastra_redis.keys import Keyspace, member_of, slot_of
from mastra_redis.reading import Adopt, Asked, Found, Names, Op, Reader, together
from mastra_redis.scanning import Scanner
from mastra_redis.setup import Client
from mastra_redis.writing import Step, Writer

STEP = 500
"""Changes in one script of a batch that need not be atomic: a script keeps every other client waiting."""


class RedisEngine:
    """Records in one Redis database or one cluster.

    Args:
        connect: makes the client, on the event loop that opens the engine; it must not retry by itself.
        owned: whether close() closes the client.
        prefix: what every key begins with.
        typescript_writes: whether lists look through the keys, for what TypeScript writes beside us.
        lifetimes: by kind, how long a record is kept after it was written last, in milliseconds.
        confirmation: the replicas that must have a write before it is answered.
    """

    max_atomic: int | None = None
    driver_errors: tuple[type[BaseException], ...] = (RedisError, WriteInterrupted, NotConfirmed)

    def __init__(
        self,
        connect: Callable[[], Client],
        *,
        owned: bool = True,
        prefix: str = "",
        typescript_writes: bool = False,
        lifetimes: Mapping[str, int] | None = None,
        confirmation: Confirmation | None = None,
    ) -> None:
        self._caller = Caller(connect, owned=owned, confirmation=confirmation)
        self._of_one_node = Keyspace(cluster=False, prefix=prefix, typescript_writes=typescript_writes, lifetimes=lifetimes or {})
        self._use(self._of_one_node)

    def _use(self, keys: Keyspace) -> None:
        self.keys = keys
        self.capabilities: Mapping[str, Support] = ON_A_CLUSTER if keys.cluster else ON_A_NODE
        self._reader = Reader(keys)
        self._writer = Writer(keys)
        self._committer = Committer(keys=keys, send=self._caller.send, script=self._caller.script, run=self._run, partly=partly)
        self._scanner = Scanner(keys=keys, scan=self._caller.scan, nodes=self._caller.nodes, texts=self._texts)

    @property
    def client(self) -> Client:
        """The client of redis-py, made now if it was not yet; it belongs to the event loop that uses it first."""
        return self._caller.client

    async def open(self) -> None:
        """Connect; on a node whose records lack our entries, as other programs write them, add those once.

        Raises:
            ConfigurationError: TypeScript is said to write to a cluster, where it cannot run.
        """
        cluster = self._caller.is_cluster
        if cluster and self._of_one_node.typescript_writes:
            msg = "RedisStore: typescript_writes is for one Redis node; @mastra/redis cannot run on a cluster. Leave it out."
            raise ConfigurationError(msg)
        self._use(attrs.evolve(self._of_one_node, cluster=True) if cluster else self._of_one_node)
        if cluster:
            # TypeScript cannot run there, so every record is ours.
            await self.ping()
        elif await self._caller.send("GET", self.keys.ready) is None:
            await self._scanner.complete(self._committer.adopt)
            # Setting it twice is the same, and a store that only reads needs no replica.
            await self._caller.send("SET", self.keys.ready, "1")

    async def close(self) -> None:
        """Close the client if it is ours."""
        await self._caller.close()

    async def ping(self) -> None:
        """One PING, to every node of a cluster."""
        await self._caller.ping()

    async def fetch(self, reads: Sequence[Read[Any]]) -> list[Any]:
        """Answer every read: one script if none needs what another command finds; on a cluster one command a slot, in parallel."""
        return await self._run([self._reader.answer(read) for read in reads])

    async def apply(self, changes: Sequence[Change], *, atomic: bool) -> list[Any]:
        """Write all changes by one script; a second follows where what is stored had to be known.

        Raises:
            Refused: a condition did not hold; nothing of an atomic batch was written.
            ConflictError: other writers changed the same records at every try.
            UnsupportedError: an atomic batch on a cluster is not all in one slot; nothing was written.
        """
        if atomic:
            return await self._committer.write(changes)
        for change in changes:
            check_values(change)
        step = 1 if self.keys.cluster else STEP
        batches = [changes[start : start + step] for start in range(0, len(changes), step)]
        written = all_of(self._committer.write(batch) for batch in batches)
        return [answer for answers in (await written if len(batches) == 1 else await partly(written)) for answer in answers]

    async def decide(self, gets: Sequence[Get[Any]], change: Callable[[list[Any]], Sequence[Change]]) -> list[Any]:
        """Read, compute, and write if every text read is still the same; tried again a bounded number of times."""
        for attempt in range(TRIES):
            await pause(attempt)
            found: list[Found | None] = await self._run([self._reader.find(get.kind, get.key) for get in gets])
            changes = change([None if one is None else one.stored.record for one in found])
            read = {(get.kind.name, get.key): (get, one) for get, one in zip(gets, found, strict=True)}
            steps: list[Step | None] = []
            for index, one in enumerate(changes):
                place = (one.kind.name, one.key)
                steps.append(self._writer.after(index, one, read.pop(place)[1]) if place in read else None)
            guards = [self._writer.unchanged(get.kind, member_of(get.key), one) for get, one in read.values()]
            answers = await self._committer.attempt(changes, steps, guards) if changes else []
            if answers is not None:
                return answers
        raise conflict()

    async def purge(self, query: Query[Any], *, limit: int) -> int:
        """Delete the first *limit* records of *query*."""
        (gone,) = await self.fetch([Query(query.kind, query.path, at=query.at, span=query.span, where=query.where, limit=limit)])
        await self.apply([Delete(query.kind, query.kind.key_of(record), answer=False) for record in gone], atomic=False)
        return len(gone)

    async def scan(self, kind: Kind[R], *, after: str | None) -> AsyncIterator[tuple[str, R]]:
        """In the order of the names of keys; the cursor is such a name."""
        async for name, _, found in self._scanner.records(kind, after=after):
            yield name, found.stored.record

    def ddl(self) -> Sequence[str]:
        """Nothing has to be made."""
        return ()

    async def inspect(self) -> Inspection:
        """INFO, CONFIG and a PING, by a client of its own unless one was given; nothing is ever missing."""
        told, took = await self._caller.about()
        return looking.inspection(told, keys=self._of_one_node, round_trip_seconds=took)

    # ------------------------------------------------------------------------------------------------------------ reads

    async def _run(self, reads: list[Any]) -> list[Any]:
        running = together(reads)
        try:
            ops = next(running)
            while True:
                ops = running.send(await self._answers(ops))
        except StopIteration as stop:
            results: list[Any] = stop.value
            return results

    async def _answers(self, ops: Sequence[Asked]) -> list[Any]:
        slots: dict[str, list[int]] = {}
        asked: dict[int, Op] = {}
        answers: list[Any] = [None] * len(ops)
        for number, op in enumerate(ops):
            match op:
                case Op():
                    asked[number] = op
                    slots.setdefault(op.slot, []).append(number)
                case Names():
                    answers[number] = [name async for name in self._scanner.names(op.head)]
                case Adopt():
                    await self._committer.adopt(op.kind, [(op.key, op.found)])
        for numbers, found in zip(slots.values(), await all_of(self._ask([asked[n] for n in at]) for at in slots.values()), strict=True):
            for number, answer in zip(numbers, found, strict=True):
                answers[number] = answer
        return answers

    async def _ask(self, ops: Sequence[Op]) -> list[Any]:
        if len(ops) == 1 and ops[0].told == {"op": "get"}:
            return [(await self._caller.send("GET", ops[0].key), None)]
        names: dict[str, int] = {}
        told = [{**op.told, "key": names.setdefault(op.key, len(names) + 1)} for op in ops]
        answers: list[Any] = await self._caller.script(scripts.READ, list(names), [wire.plan_text(told)])
        return answers

    async def _texts(self, names: Sequence[str]) -> list[bytes | None]:
        ops = [Op(slot=slot_of(name, cluster=self.keys.cluster), key=name, told={"op": "get"}) for name in names]
        return [text for text, _ in await self._answers(ops)]

    def pool(self) -> PoolState | None:
        """What redis-py says of its connections to one node, if it counts them, as version 8 does; of a cluster's it says nothing."""
        return self._caller.pool()

    def diagnose(self, error: BaseException) -> Fault | None:
        """What an error of redis-py means."""
        return diagnose(error, tls=self._caller.speaks_tls)
