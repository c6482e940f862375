"""The engine compared with the in-memory model along random walks; a difference is told with its seed and the fewest steps to it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from mastra_core.errors import MastraError
from mastra_core.storage.records.changes import Refused
from mastra_core.storage.records.engine import Support
from mastra_core.storage.records.inmemory import InMemoryEngine
from mastra_core.storage.records.kinds import MESSAGES
from mastra_core.storage.records.query import Get, Window
from mastra_core.storage.records.records import Records
from mastra_core.testing.contract import POLL_SECONDS, SETTLE_SECONDS
from mastra_core.testing.engine.under_test import EngineUnderTest
from mastra_core.testing.equality import difference
from mastra_core.testing.walk import DEFAULT_STEPS, Step, looks, seeds, steps

REPLAYS = 60
"""How many shorter walks are tried to find the fewest steps."""
SMALLER_BATCHES = 20
"""How many times a change is left out of a batch after that."""


class WalkContract(EngineUnderTest):
    """Agreement with the model."""

    @pytest.mark.parametrize("seed", seeds())
    async def test_a_random_walk_agrees_with_the_model(self, seed: int) -> None:
        """Whatever is read and written, in whatever order, answers and refusals are those of the in-memory engine."""
        async with self.open_engine() as engine:
            records = Records(engine, store_id="kit")
            await records.open()
            declared = engine.capabilities
            await records.close()
        working = [name for name, support in declared.items() if support.works]
        left_out = [name for name, support in declared.items() if "." in name and not support.works]
        walk = steps(seed, capabilities=working, left_out_paths=left_out, count=DEFAULT_STEPS)
        final = looks(capabilities=working, left_out_paths=left_out)
        found = await self._differs(walk, final)
        if found is not None:
            shortest, found = await self._shortened(walk, final, found)
            told = "\n".join(map(str, shortest))
            pytest.fail(
                f"seed {seed} (rerun: MASTRA_WALK_SEEDS={seed + 1}, -k '[{seed}]'): {found}\nafter these steps on an empty store:\n{told}"
            )

    async def _differs(self, walk: Sequence[Step], final: Sequence[Step]) -> str | None:
        """Where the engine leaves the model on this walk, from an empty store; None if it does not."""
        async with self.open_engine() as engine:
            model, records = InMemoryEngine(), Records(engine, store_id="kit")
            await records.open()
            try:
                for step in (*walk, *final):
                    try:
                        differs = await _compared(step, records, model)
                    except MastraError as error:
                        differs = f"it raised {error!r}"
                    if differs is not None:
                        return f"{differs}\nat\n{step}"
            finally:
                await records.close()
        return None

    async def _shortened(self, walk: Sequence[Step], final: Sequence[Step], found: str) -> tuple[Sequence[Step], str]:
        """A walk with as much left out as still shows a difference, and that difference; whole steps first, then single changes."""
        replays, start, size = 0, 0, max(1, len(walk) // 2)
        while size and replays < REPLAYS:
            if start >= len(walk):
                start, size = 0, size // 2
                continue
            shorter = [*walk[:start], *walk[start + size :]]
            differs, replays = await self._differs(shorter, final), replays + 1
            if differs is None:
                start += size
            else:
                walk, found = shorter, differs
        for index, change in ((index, change) for index, step in enumerate(walk) for change in step.changes):
            fewer = Step(changes=tuple(other for other in walk[index].changes if other is not change))
            shorter = [*walk[:index], fewer, *walk[index + 1 :]]
            if not fewer.changes or replays >= REPLAYS + SMALLER_BATCHES:
                continue
            differs, replays = await self._differs(shorter, final), replays + 1
            if differs is not None:
                walk, found = shorter, differs
        return walk, found


async def _compared(step: Step, records: Records, model: InMemoryEngine) -> str | None:
    if step.reads:
        (*expected,) = await model.fetch(step.reads)
        found = list(await records.fetch(*step.reads))
        deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
        while _lags(step, records.engine.capabilities) and difference(found, expected) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            found = list(await records.fetch(*step.reads))
        return difference(found, expected, at="the answer")
    before = {name: dict(table) for name, table in model.tables.items()}
    try:
        expected, refused = await model.apply(step.changes, atomic=True), None
    except Refused as error:
        expected, refused = [], error
    try:
        found = await records.apply(*step.changes)
    except Refused as error:
        return await _of_refusals(step, error, refused, before)
    if refused is not None:
        return f"change {refused.index} must be refused, it was made: {found!r}"
    return difference(found, expected, at="the answer")


async def _of_refusals(step: Step, found: Refused, expected: Refused | None, before: dict[str, dict[tuple[str, ...], str]]) -> str | None:
    """How the refusal of a batch differs from the model's; of several that are due a backend may tell any."""
    if expected is None:
        return f"change {found.index} was refused ({found}), it must be made"
    if found.index == expected.index:
        return difference(found.found, expected.found, at="Refused.found")
    alone = InMemoryEngine()
    alone.tables = before
    try:
        await alone.apply([step.changes[found.index]], atomic=True)
    except Refused as due:
        return difference(found.found, due.found, at="Refused.found")
    return f"change {found.index} was refused ({found}), but it is change {expected.index} whose condition does not hold"


def _lags(step: Step, capabilities: dict[str, Support] | Any) -> bool:
    """Whether an answer of *step* may show a write late."""
    own_lists = capabilities["own_lists"]
    prompt = all(isinstance(read, Get | Window) or (read.kind is MESSAGES and read.path == "by_thread") for read in step.reads)  # type: ignore[attr-defined]
    return own_lists.level != "FULL" and not (prompt and own_lists.works)
