"""Everything that happens in a run, as it happens: typed events, cancellation that keeps what was produced, and readers that are slow."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mastra_core import Agent, Mastra, Memory, ModelError, tool
from mastra_core.agent.events import ApprovalNeeded, Event, ReasoningDelta, StepFinished, TextDelta, ToolCalled, ToolReturned
from mastra_core.agent.model import ModelDelta, ModelRequest
from mastra_core.agent.stream import AHEAD
from mastra_core.agent.tools import ToolResult
from tests.unit.agent.models import USAGE, CountingStore, ScriptedModel, WaitingModel, broken, call, calling, stored

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}
PING = call("ping", n=1)


def ping(n: int) -> int:
    return n + 1


class Endless(ScriptedModel):
    """Says a number for ever, or *limit* times, and notes how many it has said."""

    def __init__(self, limit: int = 10**9) -> None:
        super().__init__()
        self.limit = limit
        self.said = 0

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        while self.said < self.limit:
            self.said += 1
            yield ModelDelta(text=f"{self.said} ")
        yield ModelDelta(finish_reason="stop", usage=USAGE)


def made(store: CountingStore, model: ScriptedModel, *tools: Any) -> Agent:
    return Agent("a", model=model, memory=Memory(store), tools=tools or [ping])


async def settled() -> None:
    """Until nothing more happens without an event from outside."""
    for _ in range(5 * AHEAD):
        await asyncio.sleep(0)


async def test_events_come_in_the_order_in_which_things_happen(store: CountingStore) -> None:
    """What the model thinks, says and calls, what tools give, and where a step ends; text_stream is the text among them."""
    model = ScriptedModel(calling(PING, text="Let me", reasoning="Hm."), "It is 2.")
    async with made(store, model).stream("Go", **HERE) as stream:
        events = [event async for event in stream.full_stream]
        text = [piece async for piece in stream.text_stream]
    assert events == [
        ReasoningDelta("Hm."), TextDelta("Let"), TextDelta(" me"), StepFinished(0, "tool_calls", USAGE), ToolCalled(PING),
        ToolReturned(ToolResult(call=PING, result=2)),
        TextDelta("It"), TextDelta(" is"), TextDelta(" 2."), StepFinished(1, "stop", USAGE),
    ]  # fmt: skip
    assert text == ["Let", " me", "It", " is", " 2."]
    result = await stream.result()
    assert (result.text, result.tool_calls, result.usage) == ("Let meIt is 2.", (ToolResult(call=PING, result=2),), USAGE + USAGE)


async def test_a_stream_ends_with_the_call_that_waits_for_a_person(store: CountingStore) -> None:
    """The last event says what to ask."""
    model = ScriptedModel(calling(PING))
    async with made(store, model, tool(requires_approval=True)(ping)).stream("Go", **HERE) as stream:
        events = [event async for event in stream.full_stream]
    assert events[-1] == ApprovalNeeded(PING)
    assert (await stream.result()).waiting == (PING,)


async def test_a_failing_model_raises_after_its_events(store: CountingStore) -> None:
    """The reader of events is told as the reader of text is."""
    seen: list[Event] = []
    stream = await made(store, ScriptedModel(broken())).stream("Go", **HERE)
    with pytest.raises(ModelError, match="out of seeds"):
        async for event in stream.full_stream:
            seen.append(event)  # the error comes in the middle
    assert seen == [TextDelta("Hel")]


async def test_leaving_in_the_middle_of_the_text_of_a_later_step_keeps_everything_before(store: CountingStore) -> None:
    """Calls with their results, and the part of the text; marked."""

    class CallingFirst(WaitingModel):
        def stream(self, request: ModelRequest) -> Any:
            first = not any(message.role == "tool" for message in request.messages)
            return ScriptedModel(calling(PING)).stream(request) if first else super().stream(request)

    model = CallingFirst()
    async with made(store, model).stream("Go", **HERE) as stream:
        async for piece in stream.text_stream:
            if piece == " two":
                break
    assert model.stopped
    assert await stored(store) == [("user", "Go"), ("assistant", "One two")]
    answer = list(await store.memory.list_messages("t1"))[-1].content
    assert [part["type"] for part in answer["parts"]] == ["tool-invocation", "step-start", "text"]
    assert answer["metadata"]["interrupted"] is True
    assert next(part for part in answer["parts"] if part["type"] == "tool-invocation")["toolInvocation"]["result"] == 2
    assert [b for b in store.batches() if b != "fetch"] == ["apply"]


async def test_leaving_in_the_middle_of_a_tool_keeps_the_call_without_a_result(store: CountingStore) -> None:
    """The tool is stopped; what was said is kept, and the next run is not shown a call without a result."""
    running, stopped = asyncio.Event(), asyncio.Event()

    async def wait_for_ever() -> None:
        try:
            running.set()
            await asyncio.Event().wait()
        finally:
            stopped.set()

    model = ScriptedModel(calling(call("wait_for_ever", id="w"), PING, text="One moment."), "Hello")
    agent = made(store, model, wait_for_ever, ping)
    async with agent.stream("Go", **HERE) as stream:
        await running.wait()
        await settled()
    assert stopped.is_set()
    result = await stream.result()
    assert (result.finish_reason, [one.call for one in result.tool_calls]) in [("interrupted", [PING]), ("interrupted", [])]
    answer = list(await store.memory.list_messages("t1"))[-1].content
    states = [part["toolInvocation"]["state"] for part in answer["parts"] if part["type"] == "tool-invocation"]
    assert (states[0], answer["content"], answer["metadata"]["interrupted"]) == ("call", "One moment.", True)
    await agent.generate("Again", **HERE)
    assert all(one.name == "ping" for message in model.requests[-1].messages for one in message.tool_calls)


async def test_leaving_while_a_blocking_tool_runs_does_not_wait_for_it(store: CountingStore) -> None:
    """A thread cannot be stopped; the run ends without it."""
    running, go = threading.Event(), threading.Event()

    def block() -> None:
        running.set()
        go.wait(30)

    async with made(store, ScriptedModel(calling(call("block"))), block).stream("Go", **HERE):
        await asyncio.to_thread(running.wait, 10)
    try:
        assert [role for role, _ in await stored(store)] == ["user", "assistant"]
    finally:
        go.set()


async def test_a_slow_reader_holds_the_model_back(store: CountingStore) -> None:
    """The model is at most AHEAD events ahead of the slowest reader, and goes on when that one does."""
    model = Endless()
    async with made(store, model).stream("Go", **HERE) as stream:
        reader = stream.full_stream
        await anext(reader)
        await settled()
        assert model.said <= AHEAD + 1
        held = model.said
        for _ in range(10):
            await anext(reader)
        await settled()
        assert model.said == held + 10


async def test_a_fast_reader_beside_a_slow_one_waits_for_it(store: CountingStore) -> None:
    """Memory is bounded by the slowest."""
    model = Endless()
    async with made(store, model).stream("Go", **HERE) as stream:
        slow, fast = stream.full_stream, stream.full_stream
        await anext(slow)
        for _ in range(AHEAD):
            await anext(fast)
        await settled()
        assert model.said <= AHEAD + 1


@pytest.mark.parametrize("how", ["drain", "close", "mastra", "result"])
async def test_a_reader_that_stopped_in_the_middle_does_not_hang_the_end(how: str) -> None:
    """Whoever waits for the answer gets it, though a reader that is still held has not read on."""
    store, model = CountingStore(), Endless(limit=3 * AHEAD)
    agent = Agent("a", model=model, memory=Memory(None if how == "mastra" else store))
    mastra = Mastra(storage=store, agents={"a": agent}) if how == "mastra" else None
    stream = await agent.stream("Go", **HERE)
    reader = stream.text_stream
    await anext(reader)
    await settled()
    assert model.said <= AHEAD + 1
    async with asyncio.timeout(30):
        await {"drain": agent.drain, "close": agent.close, "mastra": mastra.drain if mastra else agent.drain, "result": stream.result}[
            how
        ]()
    assert model.said == 3 * AHEAD
    assert [role for role, _ in await stored(store)] == ["user", "assistant"]
    assert len([piece async for piece in reader]) == 3 * AHEAD - 1


async def test_a_reader_that_was_thrown_away_holds_nothing_back(store: CountingStore) -> None:
    """`break` without leaving the block, and forgetting the reader, let the model run on."""
    model = Endless(limit=3 * AHEAD)
    stream = await made(store, model).stream("Go", **HERE)
    async for _ in stream.text_stream:
        break
    await settled()
    assert model.said == 3 * AHEAD


async def test_a_stream_nobody_reads_is_produced_and_saved_with_its_calls(store: CountingStore) -> None:
    """Without a reader nothing holds it up, however long it is."""
    agent = made(store, ScriptedModel(calling(PING), "Done. " * 3 * AHEAD))
    await agent.stream("Go", **HERE)
    await agent.drain()
    answer = list(await store.memory.list_messages("t1"))[-1].content
    assert [part["type"] for part in answer["parts"]] == ["tool-invocation", "step-start", "text"]
    assert "interrupted" not in answer["metadata"]
