"""What becomes of runs and of their spans when the store does not take them: runs go on, and what is lost is counted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mastra_core import Observability
from mastra_core.storage import CompositeStore, LibSQLStore
from tests.servers.sqld import SqldServer
from tests.unit.agent.models import CountingStore
from tests.unit.telemetry.observing import HERE, file_store, observed, spans_of

pytestmark = pytest.mark.usefixtures("both_ways")


async def test_a_run_goes_on_while_the_spans_server_is_down(tmp_path: Path, sqld: SqldServer) -> None:
    """Must hold: "The store killed during export: the run goes on, drops are counted, later spans arrive"."""
    spans = LibSQLStore(url=sqld.url, id="spans")
    storage = CompositeStore(default=file_store(tmp_path), domains={"observability": spans})
    async with observed(storage, "Hello.", observability=Observability(max_buffered_spans=5)) as mastra:
        agent, observer = mastra.get_agent("a"), mastra.observer
        assert observer is not None
        await agent.generate("First", **HERE)
        assert await observer.flush()
        await asyncio.to_thread(sqld.kill)
        for text in ("Second", "Third"):
            assert (await agent.generate(text, **HERE)).text == "Hello."
            assert not await observer.flush()
        assert (observer.stored, observer.dropped) == (5, 5)
        await asyncio.to_thread(sqld.start)
        later = await agent.generate("Fourth", **HERE)
        assert await observer.flush()
        assert len(await spans_of(spans, later.trace_id)) == 5
        assert observer.stored + observer.dropped == 20


async def test_what_is_too_much_for_the_queue_is_counted(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A burst of spans that the store cannot follow costs no run its time: what does not fit is dropped, and each drop is counted."""
    monkeypatch.setattr("mastra_core.telemetry.observer.QUEUE", 3)
    async with observed(CountingStore(), "Hello.") as mastra:
        observer = mastra.observer
        assert observer is not None
        # Without giving up the loop, which the store needs.
        for _ in range(20):
            with observer.step("generic", "burst"):
                pass
        assert observer.dropped > 0
        await observer.flush()
        assert observer.stored + observer.dropped == 20
        await mastra.get_agent("a").generate("Hello?", **HERE)
    assert observer.stored + observer.dropped == 25
    assert not [message for message in caplog.messages if "Queue full" in message]
