"""Batches of changes: written by one script, tried again while others interfere, each time made from what was found.

Knows steps and the answers of WRITE; the commands are made by the functions it is given. Must not know the driver.

On a cluster a batch lies in one slot, or is refused. What lies in other slots is written around the script: entries of lists are added
before and removed after, and the alias by which a message is found by its id alone is claimed before, unless the message's id was made
within its thread: then the script does it. A process that dies in between leaves a claim or an entry without a record, which reads pass
over; never a record that cannot be found. Two processes that save one new id in two threads at once may both succeed, in both threads.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import attrs

from mastra_core.errors import ConflictError, UnsupportedError
from mastra_core.storage.records.changes import Change, Save
from mastra_core.storage.records.kind import Key, Kind
from mastra_redis import scripts, wire
from mastra_redis.keys import Keyspace, member_of
from mastra_redis.reading import Found, Reader
from mastra_redis.writing import Step, Writer, plan

TRIES = 60
"""How often a compare-and-set is tried; every round that one loses another wins."""

Call = Callable[..., Awaitable[Any]]


class Committer:
    """Writes batches.

    Args:
        keys: where records lie.
        send: makes one command; *writes* says that it may not be repeated blindly.
        script: runs a script on the keys and arguments given.
        run: runs reads together.
        partly: awaits what follows a write: an error of it must not let the whole be tried again.
    """

    def __init__(self, *, keys: Keyspace, send: Call, script: Call, run: Call, partly: Call) -> None:
        self._keys = keys
        self._reader = Reader(keys)
        self._writer = Writer(keys)
        self._send = send
        self._script = script
        self._run = run
        self._partly = partly

    async def adopt(self, kind: Kind[Any], found: Sequence[tuple[Key, Found]]) -> None:
        """Add entries that records of other programs lack; one that has changed since is left to whoever changed it."""
        steps = [self._writer.adopting(kind, key, one) for key, one in found]
        code, *columns = await self._commit(steps)
        if code == 0:
            await all_of(self._commit([step]) for step, met in zip(steps, columns[0], strict=True) if met)

    async def write(self, changes: Sequence[Change]) -> list[Any]:
        answers = await self.attempt(changes, [None] * len(changes), [])
        if answers is None:
            raise conflict()
        return answers

    async def attempt(self, changes: Sequence[Change], given: Sequence[Step | None], guards: Sequence[Step]) -> list[Any] | None:
        """Write *changes*: those with a given step only as that step says, the others as often as needed. None if a given one failed."""
        steps = await self._first(changes, given)
        fixed = {number for number, step in enumerate(given) if step is not None}
        for attempt in range(TRIES):
            await pause(attempt - 1)
            result = await self._commit([*steps, *guards])
            if result[0] == 1:
                await self._follow(changes, steps)
                return [self._answer(change, step, text) for change, step, text in zip(changes, steps, result[1], strict=False)]
            _, met, texts, places = result
            if not all(met[len(steps) :]):
                return None
            failed = [number for number in range(len(steps)) if not met[number]]
            mended = await all_of(
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
        if self._keys.cluster and place != step.place:
            (found,), was = await self._run([self._reader.find_at(change.kind, change.key, place)]), place
            if fixed and found is None and step.expect == "new" and step.leaves is None:
                return attrs.evolve(step, was=was)
        if fixed:
            return None
        again = self._writer.after(number, change, found)
        return attrs.evolve(again, was=again.was or was)

    async def _first(self, changes: Sequence[Change], given: Sequence[Step | None]) -> list[Step]:
        if not self._keys.cluster:
            return [step or self._writer.first(change) for change, step in zip(changes, given, strict=True)]
        return list(
            await all_of(self._first_on_cluster(n, change, step) for n, (change, step) in enumerate(zip(changes, given, strict=True)))
        )

    async def _first_on_cluster(self, number: int, change: Change, given: Step | None) -> Step:
        """The first step of *change*, which must know its slot: a record to save is claimed, if the script does not, another looked up."""
        kind, member = change.kind, member_of(change.key)
        if not self._keys.layout(kind).place:
            return given or self._writer.first(change)
        alias = self._keys.alias(kind, member)
        if not isinstance(change, Save):
            place = None if given is not None else await self._send("GET", alias)
            return given or (
                self._writer.after(number, change, None) if place is None else self._writer.first(change, place=place.decode())
            )
        place = self._keys.place_of(kind, change.record)
        if self._keys.reaches_alias(kind, member, place=place):
            return given or self._writer.first(change)
        lifetime = self._keys.lifetimes.get(kind.name)
        ends = ("PX", lifetime) if lifetime else ()
        # NX and GET together are of Redis 7.0.
        made = await self._send("SET", alias, place, "NX", *ends, writes=True)
        claimed = None if made else await self._send("GET", alias)
        if made or claimed == place.encode():
            return given or self._writer.first(change)
        if given is None:
            (found,) = await self._run([self._reader.find(kind, change.key)])
            if found is not None and found.place != place:
                return self._writer.after(number, change, found)
        if given is None or claimed is None or (given.settle and given.leaves is None):
            # Whoever claimed it never wrote the record, or removed it since, or the claim alone.
            await self._send("SET", alias, place, *ends, writes=True)
        return given or self._writer.first(change)

    async def _commit(self, steps: Sequence[Step]) -> list[Any]:
        """Run WRITE; its answer with an entry for every step, also those that have nothing to do."""
        later = self._later(steps)
        sent = [number for number, step in enumerate(steps) if not self._idle(step) and number not in later]
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
        await all_of(self._send("ZADD", e.key, e.score, e.member, writes=True) for n in sent for e in steps[n].add if not e.local)
        code, *columns = await self._script(scripts.WRITE, *plan(self._keys, [steps[number] for number in sent]), writes=True)
        whole = [[1 if code == 0 and position == 0 else None] * len(steps) for position in range(len(columns))]
        for position, column in enumerate(columns):
            for number, value in zip(sent, column, strict=True):
                whole[position][number] = value
        return [code, *whole]

    def _later(self, steps: Sequence[Step]) -> set[int]:
        """The steps in a place that a record leaves which only mark that place as changed: they follow, as the leaving itself does."""
        if not self._keys.cluster:
            return set()
        left = {self._keys.slot(step.kind, step.member, place=step.leaves.place) for step in steps if step.leaves is not None}
        left -= {step.slot for step in steps if not step.only_follows}
        return {number for number, step in enumerate(steps) if step.slot in left}

    async def _follow(self, changes: Sequence[Change], steps: Sequence[Step]) -> None:
        """What is written in other slots after the script."""
        if not self._keys.cluster:
            return
        after = [self._send("ZREM", e.key, e.member, writes=True) for step in steps for e in step.remove if not e.local]
        forgotten = [step for step in steps if step.forget and not self._reaches_alias(step)]
        after += [self._send("DEL", self._keys.alias(step.kind, step.member), writes=True) for step in forgotten]
        kept = [step for step in steps if step.text is not None and step not in forgotten and not self._reaches_alias(step)]
        after += [self._outlives(step) for step in kept if self._keys.layout(step.kind).alias and self._keys.lifetimes.get(step.kind.name)]
        after += [self.write([changes[number]]) for number in sorted(self._later(steps))]
        await self._partly(all_of([*after, *(self._leave(step, step.leaves) for step in steps if step.leaves is not None)]))

    async def _outlives(self, step: Step) -> None:
        """Let the alias in another slot last as long as the record that was written just before."""
        await self._send("PEXPIRE", self._keys.alias(step.kind, step.member), self._keys.lifetimes.get(step.kind.name), writes=True)

    async def _leave(self, step: Step, found: Found) -> None:
        if not self._reaches_alias(step):
            lifetime = self._keys.lifetimes.get(step.kind.name)
            ends = ("PX", lifetime) if lifetime else ()
            await self._send("SET", self._keys.alias(step.kind, step.member), step.place, *ends, writes=True)
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
        return self._keys.cluster and step.slot == ""

    def _reaches_alias(self, step: Step) -> bool:
        return self._keys.reaches_alias(step.kind, step.member, place=step.place)

    def _answer(self, change: Change, step: Step, text: bytes | None) -> Any:
        return step.answer if text is None else wire.read(change.kind, change.key, text).record


async def all_of(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    """Await all, together; when some fail, the first failure in their order, once all of them have ended."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


async def pause(attempt: int) -> None:
    """Nothing before the first try; then a little longer each time, by chance, so that rivals do not meet again."""
    if attempt > 0:
        await asyncio.sleep(random.random() * min(0.001 * 2**attempt, 0.05))


def conflict() -> ConflictError:
    """The error of a batch that lost at every try."""
    return ConflictError(f"Redis: other writers changed the same records at each of {TRIES} tries; nothing was written. Try again.")
