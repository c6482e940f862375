"""The record port on Redis: one script a batch of reads, one script a batch of changes, on one node or on a cluster.

The one file that talks to redis-py. Which operations and steps there are is decided in `reading` and `writing`, how a batch is repeated in
`committing`.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004  # the driver's name
    MaxConnectionsError,
    NoPermissionError,
    NoScriptError,
    RedisError,
    TimeoutError,  # noqa: A004  # the driver's name
)

from mastra_core.storage.records.changes import Change, Delete
from mastra_core.storage.records.engine import Fault, Inspection, Support
from mastra_core.storage.records.kind import Kind, R
from mastra_core.storage.records.query import Get, Query, Read
from mastra_core.storage.records.wire import check_values
from mastra_redis import scripts, wire
from mastra_redis.capabilities import ON_A_CLUSTER, ON_A_NODE
from mastra_redis.committing import TRIES, Committer, all_of, conflict, pause
from mastra_redis.faults import WriteInterrupted, diagnose
from mastra_redis.keys import Keyspace, member_of, slot_of
from mastra_redis.reading import Adopt, Asked, Found, Names, Op, Reader, together
from mastra_redis.scanning import READY, Scanner
from mastra_redis.writing import Step, Writer

AT_ONCE = 64
"""Commands on their way at the same time; more wait in this process, so that no pool of connections runs dry."""

STEP = 500
"""Changes in one script of a batch that need not be atomic: a script keeps every other client waiting."""


class RedisEngine:
    """Records in one Redis database or one cluster.

    Args:
        connect: makes the client, on the event loop that opens the engine; it must not retry by itself.
        owned: whether close() closes the client.
    """

    max_atomic: int | None = None
    driver_errors: tuple[type[BaseException], ...] = (RedisError, WriteInterrupted)

    def __init__(self, connect: Callable[[], Redis | RedisCluster], *, owned: bool = True) -> None:
        self._connect = connect
        self._owned = owned
        self._client: Any = None
        self._room = asyncio.Semaphore(AT_ONCE)
        self._use(Keyspace(cluster=False))

    def _use(self, keys: Keyspace) -> None:
        self.keys = keys
        self.capabilities: Mapping[str, Support] = ON_A_CLUSTER if keys.cluster else ON_A_NODE
        self._reader = Reader(keys)
        self._writer = Writer(keys)
        self._committer = Committer(keys=keys, send=self._send, script=self._script, run=self._run, partly=_partly)
        self._scanner = Scanner(keys=keys, scan=self._scan, nodes=self._nodes, texts=self._texts)

    async def open(self) -> None:
        """Connect; on a node whose records lack our entries, as other programs write them, add those once."""
        if self._client is None:
            self._client = self._connect()
            self._use(Keyspace(cluster=isinstance(self._client, RedisCluster)))
        if self.keys.cluster:
            # TypeScript cannot run there, so every record is ours.
            await self.ping()
        elif await self._send("GET", READY) is None:
            await self._scanner.complete(self._committer.adopt)
            await self._send("SET", READY, "1", writes=True)

    async def close(self) -> None:
        """Close the client if it is ours."""
        client, self._client = self._client, None
        if client is not None and self._owned:
            await client.aclose()

    async def ping(self) -> None:
        """One PING, to every node of a cluster."""
        await self._client.ping()

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
        return [answer for answers in (await written if len(batches) == 1 else await _partly(written)) for answer in answers]

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
        """One INFO and one PING, by a client of its own unless one was given; nothing is ever missing."""
        client: Any = self._connect()
        try:
            server = await _server(client)
            asked = time.perf_counter()
            await client.ping()
            return Inspection(server=server, round_trip_seconds=time.perf_counter() - asked)
        finally:
            if self._owned:
                await client.aclose()

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
            return [(await self._send("GET", ops[0].key), None)]
        names: dict[str, int] = {}
        told = [{**op.told, "key": names.setdefault(op.key, len(names) + 1)} for op in ops]
        answers: list[Any] = await self._script(scripts.READ, list(names), [wire.plan_text(told)])
        return answers

    async def _texts(self, names: Sequence[str]) -> list[bytes | None]:
        ops = [Op(slot=slot_of(name, cluster=self.keys.cluster), key=name, told={"op": "get"}) for name in names]
        return [text for text, _ in await self._answers(ops)]

    def _nodes(self) -> list[Any]:
        return list(self._client.get_primaries()) if self.keys.cluster else [None]

    async def _scan(self, node: Any, *arguments: Any) -> tuple[int, list[bytes]]:
        cursor, found = await self._send("SCAN", *arguments, **({} if node is None else {"target_nodes": node}))
        # A cluster's client gives a cursor for each node.
        return int(cursor if node is None else cursor[node.name]), found

    # ----------------------------------------------------------------------------------------------------------- driver

    async def _script(self, script: str, keys: Sequence[str], args: Sequence[str | bytes], *, writes: bool = False) -> Any:
        digest = _DIGESTS[script]
        try:
            return await self._send("EVALSHA", digest, len(keys), *keys, *args, writes=writes)
        except NoScriptError:
            return await self._send("EVAL", script, len(keys), *keys, *args, writes=writes)

    async def _send(self, *command: Any, writes: bool = False, **parsing: Any) -> Any:
        async with self._room:
            try:
                return await self._client.execute_command(*command, **parsing)
            except (ConnectionError, TimeoutError) as error:
                if writes and not _never_sent(error):
                    raise WriteInterrupted(str(error)) from error
                raise

    def diagnose(self, error: BaseException) -> Fault | None:
        """What an error of redis-py means."""
        return diagnose(error)


_DIGESTS = {script: hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest() for script in (scripts.READ, scripts.WRITE)}


async def _server(client: Redis | RedisCluster) -> str:
    """The product and version of one node."""
    anywhere = {"target_nodes": RedisCluster.RANDOM} if isinstance(client, RedisCluster) else {}
    try:
        about: Mapping[str, Any] = await client.info("server", **anywhere)
    except NoPermissionError:
        return "Redis, which does not tell this user its version"
    return f"Redis {about.get('redis_version')} ({about.get('redis_mode')})"


async def _partly(call: Awaitable[list[Any]]) -> list[Any]:
    """Await what comes after something was written: an error must not let the whole be tried again."""
    try:
        return await call
    except RedisError as error:
        raise WriteInterrupted(str(error)) from error


def _never_sent(error: BaseException) -> bool:
    """Whether the connection could not even be made, or the server said that it is loading: redis-py tells only by type and words."""
    return isinstance(error, BusyLoadingError | MaxConnectionsError | AuthenticationError) or "connecting to" in str(error)
