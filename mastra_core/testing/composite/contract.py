"""Stores put together from others: who keeps what, and one opening and one closing each (semantics §2.19)."""

from __future__ import annotations

import asyncio

import pytest

from mastra_core.errors import StorageUnavailableError, StoreClosedError, UnsupportedError
from mastra_core.storage.composite import CompositeStore
from mastra_core.storage.store import DOMAINS
from mastra_core.testing.composite.under_test import CompositeUnderTest, Pair
from mastra_core.testing.equality import assert_same
from mastra_core.testing.observability.under_test import a_span
from mastra_core.testing.samples import a_message, a_thread
from mastra_core.testing.scores.under_test import a_score
from mastra_core.testing.workflows.under_test import a_run, persist


class CompositeContract(CompositeUnderTest):
    """Domains of two stores as one store. A subclass defines `open_stores`; see `CompositeUnderTest`."""

    async def test_each_domain_is_kept_where_it_was_said(self, pair: Pair) -> None:
        """What is saved through the composite lies in the store named for its domain, and in no other."""
        store = CompositeStore(default=pair.first, domains={"memory": pair.second, "scores": pair.second.scores})
        await store.memory.save_turn(thread=a_thread(), messages=[a_message()])
        run = a_run()
        await persist(store.workflows, run)
        score = await store.scores.save_score(a_score())
        span = a_span()
        await store.observability.create_span(span)
        thread = await store.memory.get_thread_by_id("t")
        assert thread is not None
        for place, here, there in ((store, True, True), (pair.second, True, False), (pair.first, False, True)):
            assert_same(await place.memory.get_thread_by_id("t"), thread if here else None)
            assert_same(await place.scores.get_score_by_id(score.id), score if here else None)
            assert_same(await place.workflows.get_workflow_run_by_id("r", workflow_name="w"), run if there else None)
            assert_same(await place.observability.get_span("t", span_id="r"), span if there else None)
        assert_same((await store.memory.list_messages("t")).items, [a_message()])
        await store.close()

    async def test_domains_are_those_of_the_stores(self, pair: Pair) -> None:
        """get_store and the attributes give the very domains of the stores, opened."""
        async with CompositeStore(default=pair.first, domains={"memory": pair.second}) as store:
            for name in DOMAINS:
                expected = getattr(pair.second if name == "memory" else pair.first, name)
                assert await store.get_store(name) is expected
                assert getattr(store, name) is expected

    async def test_a_disabled_domain_is_none_and_says_so(self, pair: Pair) -> None:
        """A domain that was left out is None; who takes it for granted learns which store lacks it."""
        async with CompositeStore(id="mine", default=pair.first, domains={"memory": pair.second, "scores": False}) as store:
            assert await store.get_store("scores") is None
            with pytest.raises(UnsupportedError, match="'mine' keeps no scores"):
                _ = store.scores
            await store.memory.save_thread(a_thread())

    async def test_a_composite_may_be_made_of_composites_and_have_one_domain(self, pair: Pair) -> None:
        """What has no source is left out; a store is closed though no domain of it is used."""
        inner = CompositeStore(default=pair.first, domains={"memory": pair.second})
        await inner.init()
        async with CompositeStore(domains={"memory": inner}) as store:
            assert [name for name in DOMAINS if await store.get_store(name) is not None] == ["memory"]
            assert store.memory is pair.second.memory
        assert [(watch.opened, watch.closed) for watch in pair.watches] == [(1, 1), (1, 1)]

    async def test_each_store_is_opened_once_under_concurrent_first_calls(self, pair: Pair) -> None:
        """However many ask at once and for however many domains, a store connects once."""
        store = CompositeStore(default=pair.first, domains={"memory": pair.second, "workflows": pair.second})
        await asyncio.gather(
            *(store.init() for _ in range(4)),
            *(store.get_store(name) for name in DOMAINS),
            *(store.memory.get_thread_by_id("t") for _ in range(4)),
            store.scores.get_score_by_id("s"),
        )
        assert [watch.opened for watch in pair.watches] == [1, 1]
        await store.close()
        assert [watch.closed for watch in pair.watches] == [1, 1]

    async def test_each_store_is_closed_once_and_with_the_composite(self, pair: Pair) -> None:
        """Closing twice is no error; a closed store says so, whichever way it is asked."""
        store = CompositeStore(default=pair.first, domains={"memory": pair.second, "workflows": pair.second})
        await store.init()
        assert [watch.closed for watch in pair.watches] == [0, 0]
        for _ in range(2):
            await store.close()
        assert [watch.closed for watch in pair.watches] == [1, 1]
        for ask in (store.memory.get_thread_by_id, pair.second.memory.get_thread_by_id, store.scores.get_score_by_id):
            with pytest.raises(StoreClosedError, match="is closed"):
                await ask("t")

    @pytest.mark.parametrize("failing", [0, 1], ids=["the first", "the second"])
    async def test_an_error_of_one_store_does_not_stop_closing_the_other(self, pair: Pair, failing: int) -> None:
        """The error reaches the caller, and no connection of the other store is left open."""
        store = CompositeStore(default=pair.first, domains={"memory": pair.second})
        await store.init()
        pair.watches[failing].fails_to_close = StorageUnavailableError("the server has gone")
        with pytest.raises(StorageUnavailableError, match="the server has gone"):
            await store.close()
        assert [watch.closed for watch in pair.watches] == [1, 1]
        with pytest.raises(StoreClosedError):
            await (pair.first, pair.second)[1 - failing].memory.get_thread_by_id("t")

    @pytest.mark.parametrize("failing", [0, 1], ids=["the first", "the second"])
    async def test_a_store_that_could_not_be_opened_is_tried_again(self, pair: Pair, failing: int) -> None:
        """The error names what failed, the other store works on, and the next call tries anew."""
        store = CompositeStore(default=pair.first, domains={"memory": pair.second})
        pair.watches[failing].fails_to_open = StorageUnavailableError("no server yet")
        with pytest.raises(StorageUnavailableError, match="no server yet"):
            await store.init()
        works, waits = (store.scores.get_score_by_id, store.memory.get_thread_by_id)[:: 1 if failing else -1]
        assert await works("x") is None
        with pytest.raises(StorageUnavailableError, match="no server yet"):
            await waits("x")
        pair.watches[failing].fails_to_open = None
        await store.init()
        assert await waits("x") is None
        await store.close()
