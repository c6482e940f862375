"""Policies as users write them, and pruning over stores put together."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mastra_core import clock
from mastra_core.errors import ConfigurationError, ThreadNotFoundError
from mastra_core.storage import CompositeStore, InMemoryStore, Message, Thread
from mastra_core.storage.domains import pruning
from mastra_core.storage.retention import Retention, read_policy
from mastra_core.storage.vectors.inmemory import InMemoryVector
from mastra_core.testing.retention.under_test import ago, keep, run


@pytest.mark.parametrize(
    "age, means",
    [
        ("30d", timedelta(days=30)),
        ("1.5h", timedelta(minutes=90)),
        ("2 w", timedelta(weeks=2)),
        ("90s", timedelta(seconds=90)),
        ("5m", timedelta(minutes=5)),
        ("250ms", timedelta(milliseconds=250)),
        (timedelta(days=1, microseconds=1), timedelta(days=1)),
    ],
)
def test_an_age_is_a_timedelta_or_a_number_with_its_unit(age: object, means: timedelta) -> None:
    """What TypeScript users write is read, to the millisecond."""
    assert Retention(max_age=age).max_age == means  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given, text",
    [
        ({"max_age": 30}, r"must say its unit, found 30 \(int\)"),
        ({"max_age": True}, r"must say its unit"),
        ({"max_age": "30"}, r"cannot read '30'; write a timedelta"),
        ({"max_age": "-3d"}, r"cannot read '-3d'"),
        ({"max_age": "0d"}, r"at least a millisecond, found 0:00:00"),
        ({"max_age": timedelta(days=-1)}, r"at least a millisecond"),
        ({"max_age": "9999999w"}, r"more than 1000 years"),
        ({"max_count": 0}, r"max_count must be a whole number of at least 1, found 0; to remove everything use dangerously_clear_all"),
        ({"max_count": -5}, r"at least 1, found -5"),
        ({"max_count": True}, r"at least 1, found True"),
        ({"max_count": 2.5}, r"found 2.5"),
        ({}, r"needs max_age, max_count, or both"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(given: dict[str, object], text: str) -> None:
    """Nothing is removed by a policy that was written wrong; the message says how to write it."""
    with pytest.raises(ConfigurationError, match=text):
        Retention(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "policy, text",
    [
        ({}, r"a policy is a mapping such as"),
        ("30d", r"a policy is a mapping such as"),
        ({"mesages": {"max_age": "1d"}}, r"no table 'mesages'.*Did you mean 'messages'\?"),
        ({"workflowSnapshot": {"max_age": "1d"}}, r"no table 'workflowSnapshot'.*Did you mean 'workflow_snapshot'\?"),
        ({"messages": {"maxAge": "1d"}}, r"no option 'maxAge'.*Did you mean 'max_age'\?"),
        ({"messages": "30d"}, r"must be a Retention or a mapping"),
        ({"memory": {"spans": {"max_age": "1d"}}}, r"policy\['memory'\]: there is no table 'spans'; its tables are \['threads'"),
        ({"memory": {"messages": {"max_age": "1d"}}, "messages": {"max_age": "2d"}}, r"'messages' is named twice"),
    ],
)
def test_a_policy_that_names_what_is_not_there_is_refused(policy: object, text: str) -> None:
    """A typing mistake does not mean that a table is kept for ever."""
    with pytest.raises(ConfigurationError, match=text):
        read_policy(policy)


def test_the_form_of_typescript_is_read() -> None:
    """A policy may name the domains first."""
    given = {"observability": {"spans": {"max_age": "7d"}}, "memory": {"messages": {"max_count": 5}}}
    assert read_policy(given) == {"messages": Retention(max_count=5), "spans": Retention(max_age="7d")}  # type: ignore[arg-type]


async def test_a_composite_prunes_each_domain_where_it_is() -> None:
    """One policy, several stores; a table whose domain was left out is named."""
    memory, rest = InMemoryStore(), InMemoryStore()
    async with CompositeStore(default=rest, domains={"memory": memory, "scores": False}) as store:
        await keep(memory, "t", "m", days=40)
        await run(rest, "r", days=40)
        report = await store.prune({"threads": {"max_age": "30d"}, "workflow_snapshot": {"max_age": "30d"}})
        assert {table: one.deleted for table, one in report.items()} == {"threads": 1, "messages": 1, "workflow_snapshot": 1}
        with pytest.raises(ConfigurationError, match=r"keeps no scores, so it has no scorers; it keeps \['memory', 'workflows'"):
            await store.prune({"scorers": {"max_age": "30d"}})


async def test_a_batch_size_that_cannot_be_is_refused() -> None:
    """Before anything is removed."""
    with pytest.raises(ConfigurationError, match=r"batch_size must be a whole number of at least 1, found 0"):
        await InMemoryStore().prune({"threads": {"max_age": "1d"}}, batch_size=0)


async def test_vectors_go_with_their_messages() -> None:
    """What an embedding tells of a message goes with it: of an old thread, and of the old messages of one in use."""
    store, vector = InMemoryStore(), InMemoryVector()
    await vector.create_index("memory_messages", dimension=2)
    await keep(store, "old", "m1", days=40)
    await keep(store, "used", "m2", days=40, thread_days=0)
    await store.memory.save_messages([Message(id="m3", thread_id="used", resource_id="ada")])
    told = [{"thread_id": "old", "message_id": "m1"}, {"thread_id": "used", "message_id": "m2"}, {"thread_id": "used", "message_id": "m3"}]
    await vector.upsert("memory_messages", vectors=[[1.0, 0.0]] * 3, metadata=told)
    policy = {"threads": Retention(max_age="30d"), "messages": Retention(max_age="30d")}  # type: ignore[arg-type]
    await store.prune(policy, vectors=[vector], dry_run=True)
    assert (await vector.describe_index("memory_messages")).count == 3
    await store.prune(policy, vectors=[vector])
    left = await vector.query("memory_messages", query_vector=[1.0, 0.0])
    assert [one.metadata["message_id"] for one in left] == ["m3"]


async def test_a_thread_that_is_saved_to_after_it_was_judged_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment between looking and removing is no hole: a run that saves then keeps its thread."""
    store = InMemoryStore()
    await keep(store, "t", "old", days=40)
    judged = pruning.remove_thread_while

    async def saved_in_between(*arguments: object, **given: object) -> tuple[int, int]:
        thread = Thread(id="t", resource_id="ada", created_at=ago(40), updated_at=ago(40))
        await store.memory.save_turn(thread=thread, messages=[Message(id="new", thread_id="t")], existed=True)
        return await judged(*arguments, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(pruning, "remove_thread_while", saved_in_between)
    report = await store.prune({"threads": {"max_age": "30d"}})
    assert report["threads"].deleted == 0
    assert [message.id for message in await store.memory.list_messages("t")] == ["old", "new"]


def test_pruning_and_erasure_work_without_an_event_loop() -> None:
    """`store.sync.prune(…)` and `store.sync.erase(…)`."""
    with InMemoryStore().sync as store:
        now = clock.now()
        store.memory.save_thread(Thread(id="t", resource_id="ada", created_at=ago(40), updated_at=ago(40)))
        assert store.prune({"threads": {"max_age": "30d"}})["threads"].deleted == 1
        store.memory.save_thread(Thread(id="u", resource_id="ada", created_at=now, updated_at=now))
        assert store.erase(resource_id="ada").threads == 1
        with pytest.raises(ThreadNotFoundError):
            store.memory.save_messages([Message(id="m", thread_id="u", resource_id="ada")])
