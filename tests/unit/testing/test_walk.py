"""The random walk: the same everywhere, within what an engine declares, and told in few steps when it finds something."""

from __future__ import annotations

import pytest

from mastra_core.storage.records.changes import Check, Delete, Patch, Save
from mastra_core.storage.records.engine import CAPABILITIES
from mastra_core.storage.records.inmemory import InMemoryEngine
from mastra_core.storage.records.kinds import MESSAGES, THREADS
from mastra_core.storage.records.query import Count, Get, Query, Window
from mastra_core.testing.walk import DEFAULT_SEEDS, looks, seeds, steps
from tests.unit.testing import engines
from tests.unit.testing.runs import contract_of, run

WALK = "test_a_random_walk_agrees_with_the_model"


def walked(*, capabilities=frozenset(CAPABILITIES), left_out_paths=frozenset()):
    return [step for seed in range(20) for step in steps(seed, capabilities=capabilities, left_out_paths=left_out_paths)]


def test_the_same_seed_makes_the_same_steps() -> None:
    """A failure found on one machine is seen on every other."""
    assert [steps(7, capabilities=CAPABILITIES, left_out_paths=()) for _ in range(2)] == [
        steps(7, capabilities=CAPABILITIES, left_out_paths=())
    ] * 2
    assert steps(7, capabilities=CAPABILITIES, left_out_paths=()) != steps(8, capabilities=CAPABILITIES, left_out_paths=())


def test_walks_take_every_kind_of_step() -> None:
    """Reads and changes of every type, conditions, ranges, cursors and moves are all tried."""
    taken = walked()
    reads = [read for step in taken for read in step.reads]
    changes = [change for step in taken for change in step.changes]
    assert {type(read) for read in reads} == {Get, Query, Window, Count}
    assert {type(change) for change in changes} == {Save, Patch, Delete, Check}
    queries = [read for read in reads if isinstance(read, Query)]
    assert {(query.kind.name, query.path) for query in queries} == {
        (kind.name, path.name) for kind in (THREADS, MESSAGES) for path in kind.paths
    }
    for option in ("span", "where", "after", "offset", "limit", "descending"):
        assert any(getattr(query, option) for query in queries), option
    assert {type(condition).__name__ for read in reads for condition in getattr(read, "where", ())} == {
        "Is",
        "Missing",
        "Present",
        "Contains",
        "Between",
    }
    assert any(getattr(change, "merge", None) for change in changes)
    assert any(change.only == () for change in changes if isinstance(change, Save))
    assert any(len(step.changes) > 1 and len({change.kind.name for change in step.changes}) == 3 for step in taken)


def test_walks_take_no_step_that_is_not_declared() -> None:
    """An engine that can do little is walked through what it can do."""
    taken = walked(
        capabilities=frozenset({"own_lists"}),
        left_out_paths=frozenset({"mastra_threads.by_resource_updated", "mastra_messages.by_resource"}),
    )
    reads = [read for step in taken for read in step.reads]
    assert {type(read) for read in reads} == {Get, Query}
    queries = [read for read in reads if isinstance(read, Query)]
    assert {(query.kind.name, query.path) for query in queries} == {("mastra_threads", "by_resource"), ("mastra_messages", "by_thread")}
    assert not any(query.span or query.where or query.after or query.offset for query in queries)
    for step in taken:
        threads = {getattr(change.record, "thread_id", change.key[0]) for change in step.changes if isinstance(change, Save)}
        assert len(step.changes) <= 1 or len(threads) == 1, step
        assert not any(getattr(change, "merge", None) for change in step.changes)
    places = {
        (change.key, change.record.thread_id)
        for step in taken
        for change in step.changes
        if isinstance(change, Save) and change.kind is MESSAGES
    }
    assert len(places) == len({key for key, _ in places}), "without moves a message has one thread"


def test_every_record_and_list_is_looked_at_in_the_end() -> None:
    """What a walk wrote and never read is compared too."""
    looked = [read for step in looks(capabilities=CAPABILITIES, left_out_paths=()) for read in step.reads]
    assert {read.path for read in looked if isinstance(read, Query)} == {path.name for kind in (THREADS, MESSAGES) for path in kind.paths}
    written = {(change.kind.name, change.key) for step in walked() for change in step.changes}
    assert written == {(read.kind.name, read.key) for read in looked if isinstance(read, Get)}


def test_more_seeds_are_walked_when_the_environment_says_so(monkeypatch) -> None:
    """A night's run takes one variable."""
    monkeypatch.delenv("MASTRA_WALK_SEEDS", raising=False)
    assert seeds() == range(DEFAULT_SEEDS)
    monkeypatch.setenv("MASTRA_WALK_SEEDS", "200")
    assert seeds() == range(200)


@pytest.mark.parametrize("seed", range(3))
async def test_a_sound_engine_walks_with_the_model(seed) -> None:
    """The walk itself raises no alarm."""
    await run(contract_of(InMemoryEngine), WALK, seed=seed)
    await run(contract_of(engines.DoesTheLeast), WALK, seed=seed)


@pytest.mark.parametrize(
    "engine",
    [
        engines.LosesTheSecondMillisecond,
        engines.WritesHalfABatch,
        engines.IgnoresWhen,
        engines.ForgetsKeep,
        engines.ForgetsWhatItFound,
        engines.TurnsEmptyListsIntoObjects,
        engines.CountsWithoutFilter,
        engines.TurnsTiesRound,
    ],
)
async def test_a_fault_is_told_with_its_seed_and_few_steps(engine) -> None:
    """Whoever meets a difference gets the shortest way to it, to paste and to rerun."""
    for seed in range(12):
        try:
            await run(contract_of(engine), WALK, seed=seed)
        except pytest.fail.Exception as failure:
            told = str(failure)
            assert f"seed {seed} (rerun: MASTRA_WALK_SEEDS={seed + 1}, -k '[{seed}]')" in told
            steps_told = told.split("after these steps on an empty store:\n")[1]
            assert 1 <= steps_told.count("  apply") + steps_told.count("  fetch") <= 12, told
            return
    pytest.fail(f"no walk found that {engine.__name__}")


async def test_of_several_refusals_due_any_may_be_told() -> None:
    """Databases find refusals in their own order; only a wrong one is a difference."""

    class BlamesTheLast(InMemoryEngine):
        async def apply(self, changes, *, atomic):
            for index in reversed(range(len(changes))):
                self._step(index, changes[index])
            return await super().apply(changes, atomic=atomic)

    for seed in range(6):
        await run(contract_of(BlamesTheLast), WALK, seed=seed)
