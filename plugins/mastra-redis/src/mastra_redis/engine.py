"""The record port on Redis: one script a batch of reads, one script a batch of changes, on one node or on a cluster.

The one file that talks to redis-py. Which operations and steps there are is decided in `reading` and `writing`.

On a cluster a batch lies in one slot, or is refused. What lies in other slots is written around the script: entries of lists are added
before and removed after, and the alias by which a message is found by its id alone is claimed before, unless the message's id was made
within its thread: then the script does it. A process that dies in between leaves a claim or an entry without a record, which reads pass
over; never a record that cannot be found. Two processes that save one new id in two threads at once may both succeed, in both threads.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004  # the driver's name
    MaxConnectionsError,
    NoScriptError,
    RedisError,
    TimeoutError,  # noqa: A004  # the driver's name
)

from mastra_core.errors import ConflictError, UnsupportedError
from mastra_core.storage.records.changes import Change, Delete, Save
from mastra_core.storage.records.engine import Fault, Support
from mastra_core.storage.records.kind import Kind, R
from mastra_core.storage.records.query import Get, Query, Read
from mastra_redis import scripts, wire
from mastra_redis.capabilities import ON_A_CLUSTER, ON_A_NODE
from mastra_redis.faults import WriteInterrupted, diagnose
from mastra_redis.keys import Keyspace, member_of
from mastra_redis.reading import Found, Op, Reader, together
from mastra_redis.writing import Step, Writer, plan

AT_ONCE = 64
"""Commands on their way at the same time; more wait in this process, so that no pool of connections runs dry."""

STEP = 500
"""Changes in one script of a batch that need not be atomic: a script keeps every other client waiting."""

TRIES = 60
"""How often a compare-and-set is tried; every round that one loses another wins."""


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

    async def open(self) -> None:
        """Connect; nothing has to be prepared."""
        if self._client is None:
            self._client = self._connect()
            self._use(Keyspace(cluster=isinstance(self._client, RedisCluster)))
        await self.ping()

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
            return await self._write(changes)
        step = 1 if self.keys.cluster else STEP
        batches = [changes[start : start + step] for start in range(0, len(changes), step)]
        written = _all(self._write(batch) for batch in batches)
        return [answer for answers in (await written if len(batches) == 1 else await _partly(written)) for answer in answers]

    async def decide(self, gets: Sequence[Get[Any]], change: Callable[[list[Any]], Sequence[Change]]) -> list[Any]:
        """Read, compute, and write if every text read is still the same; tried again a bounded number of times."""
        for attempt in range(TRIES):
            await _pause(attempt)
            found: list[Found | None] = await self._run([self._reader.find(get.kind, get.key) for get in gets])
            changes = change([None if one is None else one.stored.record for one in found])
            read = {(get.kind.name, get.key): (get, one) for get, one in zip(gets, found, strict=True)}
            steps: list[Step | None] = []
            for index, one in enumerate(changes):
                place = (one.kind.name, one.key)
                steps.append(self._writer.after(index, one, read.pop(place)[1]) if place in read else None)
            guards = [self._writer.unchanged(get.kind, member_of(get.key), one) for get, one in read.values()]
            answers = await self._try(changes, steps, guards) if changes else []
            if answers is not None:
                return answers
        raise _conflict()

    async def purge(self, query: Query[Any], *, limit: int) -> int:
        """Delete the first *limit* records of *query*."""
        (gone,) = await self.fetch([Query(query.kind, query.path, at=query.at, span=query.span, where=query.where, limit=limit)])
        await self.apply([Delete(query.kind, query.kind.key_of(record), answer=False) for record in gone], atomic=False)
        return len(gone)

    async def scan(self, kind: Kind[R], *, after: str | None) -> AsyncIterator[tuple[str, R]]:
        """Not there yet.

        Raises:
            UnsupportedError: always.
        """
        why = self.capabilities["scan"].reason
        msg = f"Redis: scanning every {kind.name} is not there yet ({why}); read along a path, such as the threads of a resource"
        raise UnsupportedError(msg)
        yield  # type: ignore[unreachable]  # makes this an asynchronous generator, as the port has it

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

    async def _answers(self, ops: Sequence[Op]) -> list[Any]:
        slots: dict[str, list[int]] = {}
        for number, op in enumerate(ops):
            slots.setdefault(op.slot, []).append(number)
        answers: list[Any] = [None] * len(ops)
        for numbers, found in zip(slots.values(), await _all(self._ask([ops[n] for n in at]) for at in slots.values()), strict=True):
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

    # ----------------------------------------------------------------------------------------------------------- writes

    async def _write(self, changes: Sequence[Change]) -> list[Any]:
        answers = await self._try(changes, [None] * len(changes), [])
        if answers is None:
            raise _conflict()
        return answers

    async def _try(self, changes: Sequence[Change], given: Sequence[Step | None], guards: Sequence[Step]) -> list[Any] | None:
        """Write *changes*: those with a given step only as that step says, the others as often as needed. None if a given one failed."""
        steps = await self._first(changes, given)
        fixed = {number for number, step in enumerate(given) if step is not None}
        for attempt in range(TRIES):
            await _pause(attempt - 1)
            result = await self._commit([*steps, *guards])
            if result[0] == 1:
                await self._follow(steps)
                return [self._answer(change, step, text) for change, step, text in zip(changes, steps, result[1], strict=False)]
            _, met, texts, places = result
            if not all(met[len(steps) :]):
                return None
            failed = [number for number in range(len(steps)) if not met[number]]
            mended = await _all(
                self._again(number, changes[number], steps[number], texts[number], places[number], fixed=number in fixed)
                for number in failed
            )
            if None in mended:
                return None
            for number, step in zip(failed, mended, strict=True):
                steps[number] = step
        return None

    async def _again(self, number: int, change: Change, step: Step, text: bytes | None, at: bytes | None, *, fixed: bool) -> Step | None:
        """The step of *change* on what the script found, or on what lies where it cannot look; None for a *fixed* one that has failed."""
        place = step.place if at is None else at.decode()
        found, was = None if text is None else Found(stored=wire.read(change.kind, change.key, text), place=place), step.was
        if self.keys.cluster and place != step.place:
            (found,), was = await self._run([self._reader.find_at(change.kind, change.key, place)]), place
            if fixed and found is None and step.expect == "new" and step.leaves is None:
                return attrs.evolve(step, was=was)
        if fixed:
            return None
        again = self._writer.after(number, change, found)
        return attrs.evolve(again, was=again.was or was)

    async def _first(self, changes: Sequence[Change], given: Sequence[Step | None]) -> list[Step]:
        if not self.keys.cluster:
            return [step or self._writer.first(change) for change, step in zip(changes, given, strict=True)]
        return list(
            await _all(self._first_on_cluster(n, change, step) for n, (change, step) in enumerate(zip(changes, given, strict=True)))
        )

    async def _first_on_cluster(self, number: int, change: Change, given: Step | None) -> Step:
        """The first step of *change*, which must know its slot: a record to save is claimed, if the script does not, another looked up."""
        kind, member = change.kind, member_of(change.key)
        if not self.keys.layout(kind).place:
            return given or self._writer.first(change)
        alias = self.keys.alias(kind, member)
        if not isinstance(change, Save):
            place = None if given is not None else await self._send("GET", alias)
            return given or (
                self._writer.after(number, change, None) if place is None else self._writer.first(change, place=place.decode())
            )
        place = self.keys.place_of(kind, change.record)
        if self.keys.reaches_alias(kind, member, place=place):
            return given or self._writer.first(change)
        claimed = await self._send("SET", alias, place, "NX", "GET", writes=True, get=True)
        if claimed is None or claimed.decode() == place:
            return given or self._writer.first(change)
        if given is None:
            (found,) = await self._run([self._reader.find(kind, change.key)])
            if found is not None and found.place != place:
                return self._writer.after(number, change, found)
        if given is None or (given.settle and given.leaves is None):
            # Whoever claimed it never wrote the record, or removed it since.
            await self._send("SET", alias, place, writes=True)
        return given or self._writer.first(change)

    async def _commit(self, steps: Sequence[Step]) -> list[Any]:
        """Run WRITE; its answer with an entry for every step, also those that have nothing to do."""
        sent = [number for number, step in enumerate(steps) if not self._idle(step)]
        slots = {steps[number].slot for number in sent}
        if len(slots) > 1:
            shown = ", ".join(sorted({f"{steps[n].kind.name} of {steps[n].slot!r}" for n in sent})[:4])
            msg = (
                f"one batch would change {shown}, and on Redis Cluster each of them lies in a slot of its own, so they cannot be written "
                "as one; save one thread at a time, or use one Redis node"
            )
            raise UnsupportedError(msg)
        if not sent:
            return [1, [None] * len(steps)]
        await _all(self._send("ZADD", e.key, e.score, e.member, writes=True) for n in sent for e in steps[n].add if not e.local)
        code, *columns = await self._script(scripts.WRITE, *plan(self.keys, [steps[number] for number in sent]), writes=True)
        whole = [[1 if code == 0 and position == 0 else None] * len(steps) for position in range(len(columns))]
        for position, column in enumerate(columns):
            for number, value in zip(sent, column, strict=True):
                whole[position][number] = value
        return [code, *whole]

    async def _follow(self, steps: Sequence[Step]) -> None:
        """What is written in other slots after the script."""
        if not self.keys.cluster:
            return
        after = [self._send("ZREM", e.key, e.member, writes=True) for step in steps for e in step.remove if not e.local]
        forgotten = [step for step in steps if step.forget and not self._reaches_alias(step)]
        after += [self._send("DEL", self.keys.alias(step.kind, step.member), writes=True) for step in forgotten]
        await _partly(_all([*after, *(self._leave(step, step.leaves) for step in steps if step.leaves is not None)]))

    async def _leave(self, step: Step, found: Found) -> None:
        if not self._reaches_alias(step):
            await self._send("SET", self.keys.alias(step.kind, step.member), step.place, writes=True)
        key, left = step.kind.key_of(found.stored.record), found
        for _ in range(TRIES):
            code, *_ = await self._commit([self._writer.leaving(step, left)])
            if code == 1:
                return
            (changed,) = await self._run([self._reader.find_at(step.kind, key, found.place)])
            if changed is None:
                return
            left = changed

    def _idle(self, step: Step) -> bool:
        return self.keys.cluster and step.slot == ""

    def _reaches_alias(self, step: Step) -> bool:
        return self.keys.reaches_alias(step.kind, step.member, place=step.place)

    def _answer(self, change: Change, step: Step, text: bytes | None) -> Any:
        return step.answer if text is None else wire.read(change.kind, change.key, text).record

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


async def _all(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    """Await all, together; when some fail, the first failure in their order, once all of them have ended."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


async def _partly(call: Awaitable[list[Any]]) -> list[Any]:
    """Await what comes after something was written: an error must not let the whole be tried again."""
    try:
        return await call
    except RedisError as error:
        raise WriteInterrupted(str(error)) from error


async def _pause(attempt: int) -> None:
    """Nothing before the first try; then a little longer each time, by chance, so that rivals do not meet again."""
    if attempt > 0:
        await asyncio.sleep(random.random() * min(0.001 * 2**attempt, 0.05))


def _never_sent(error: BaseException) -> bool:
    """Whether the connection could not even be made, or the server said that it is loading: redis-py tells only by type and words."""
    return isinstance(error, BusyLoadingError | MaxConnectionsError | AuthenticationError) or "connecting to" in str(error)


def _conflict() -> ConflictError:
    return ConflictError(f"Redis: other writers changed the same records at each of {TRIES} tries; nothing was written. Try again.")
