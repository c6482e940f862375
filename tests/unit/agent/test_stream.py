"""agent.stream: pieces as they come, and what is saved when it is left early, not read, or fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mastra_core import Agent, ConfigurationError, InvalidInputError, Mastra, Memory, ModelError, OwnershipError, StorageUnavailableError
from mastra_core.agent.model import ModelDelta, ModelRequest
from mastra_core.storage.memory_store import InMemoryStore
from tests.unit.agent.models import USAGE, CountingStore, ScriptedModel, WaitingModel, broken, stored

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}
WHOLE = [("user", "Count"), ("assistant", "One two three")]


def made(store: CountingStore, model: ScriptedModel) -> Agent:
    return Agent("a", model=model, memory=Memory(store))


async def test_a_stream_gives_pieces_and_then_what_generate_gives(store: CountingStore) -> None:
    """One read before and one write after; when the loop ends, the run is saved."""
    async with made(store, ScriptedModel("One two three")).stream("Count", **HERE) as stream:
        pieces = [piece async for piece in stream.text_stream]
        assert await stored(store) == WHOLE
    result = await stream.result()
    assert pieces == ["One", " two", " three"]
    assert (result.text, result.finish_reason, result.usage, result.thread_id) == ("One two three", "stop", USAGE, "t1")
    assert [b for b in store.batches() if b != "fetch"] == ["apply"]


async def test_a_stream_costs_one_read_and_one_write(store: CountingStore) -> None:
    """The same budget as generate."""
    stream = await made(store, ScriptedModel()).stream("Count", **HERE)
    await stream.result()
    assert store.batches() == ["fetch", "apply"]


async def test_an_awaited_stream_is_the_same_as_one_in_a_block(store: CountingStore) -> None:
    """The seeds' form."""
    stream = await made(store, ScriptedModel("One two three")).stream("Count", memory={"thread": "t1", "resource": "u1"})
    assert "".join([piece async for piece in stream.text_stream]) == "One two three"
    assert await stored(store) == WHOLE


async def test_pieces_arrive_before_the_answer_is_complete(store: CountingStore) -> None:
    """A stream is no delayed answer."""
    model = WaitingModel()
    async with made(store, model).stream("Count", **HERE) as stream:
        reader = stream.text_stream
        assert [await anext(reader), await anext(reader)] == ["One", " two"]
        model.go.set()
        assert [piece async for piece in reader] == [" three"]
    assert await stored(store) == WHOLE


async def test_two_readers_see_every_piece(store: CountingStore) -> None:
    """Each reader starts at the first piece and follows at its own pace."""
    model = WaitingModel()
    async with made(store, model).stream("Count", **HERE) as stream:

        async def read() -> str:
            return "".join([piece async for piece in stream.text_stream])

        readers = [asyncio.create_task(read()) for _ in range(2)]
        await model.waiting.wait()
        model.go.set()
        assert await asyncio.gather(*readers, read()) == ["One two three"] * 3


async def test_leaving_early_stops_the_model_and_saves_the_part_produced(store: CountingStore) -> None:
    """The user's message and the part are kept, marked, in one write; the next run recalls them."""
    model = WaitingModel()
    agent = made(store, model)
    async with agent.stream("Count", **HERE) as stream:
        async for piece in stream.text_stream:
            if piece == " two":
                break
    assert model.stopped
    assert await stored(store) == [("user", "Count"), ("assistant", "One two")]
    user, answer = await store.memory.list_messages("t1")
    assert "metadata" not in user.content
    assert answer.content["metadata"] == {"modelId": "parrot-1", "provider": "scripted", "interrupted": True}
    assert (await stream.result()).finish_reason == "interrupted"
    assert [b for b in store.batches() if b != "fetch"] == ["apply"]
    model.go.set()
    assert [m.content["content"] for m in (await agent.generate("Go on", **HERE)).recalled] == ["Count", "One two"]


async def test_an_error_in_the_block_saves_the_part_produced_and_surfaces(store: CountingStore) -> None:
    """A client that disconnects loses nothing, and its error is not replaced."""
    model = WaitingModel()
    with pytest.raises(ConnectionResetError, match="gone"):
        async with made(store, model).stream("Count", **HERE):
            await model.waiting.wait()
            raise ConnectionResetError("gone")
    assert model.stopped
    assert await stored(store) == [("user", "Count"), ("assistant", "One two")]


async def test_a_cancelled_reader_saves_the_part_produced(store: CountingStore) -> None:
    """A server that cancels the task of a request keeps what was said."""
    model = WaitingModel()

    async def serve() -> None:
        async with made(store, model).stream("Count", **HERE) as stream:
            async for _ in stream.text_stream:
                pass

    task = asyncio.create_task(serve())
    await model.waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.stopped
    assert await stored(store) == [("user", "Count"), ("assistant", "One two")]


async def test_leaving_before_the_first_piece_saves_the_users_message(store: CountingStore) -> None:
    """There is no part to keep, and no empty row."""
    async with made(store, ScriptedModel()).stream("Count", **HERE):
        pass
    assert await stored(store) == [("user", "Count")]


async def test_a_stream_nobody_reads_is_produced_and_saved(store: CountingStore) -> None:
    """The answer is not lost with its reader; drain() waits for it."""
    model = WaitingModel()
    agent = made(store, model)
    await agent.stream("Count", **HERE)
    await model.waiting.wait()
    assert await stored(store) == []
    model.go.set()
    await agent.drain()
    assert await stored(store) == WHOLE


async def test_closing_mastra_waits_for_streams_that_nobody_reads() -> None:
    """A program that ends properly has saved everything."""
    store, model = InMemoryStore(), WaitingModel()
    memory = store.memory
    mastra = Mastra(storage=store, agents={"a": Agent("a", model=model, memory=Memory())})
    await mastra.get_agent("a").stream("Count", **HERE)
    closing = asyncio.create_task(mastra.close())
    await model.waiting.wait()
    assert not closing.done()
    model.go.set()
    await closing
    assert len(memory.records.engine.tables["mastra_messages"]) == 2  # type: ignore[attr-defined]


async def test_a_reader_that_stops_following_does_not_stop_the_answer(store: CountingStore) -> None:
    """Only leaving the block cancels; `break` alone does not."""
    stream = await made(store, ScriptedModel("One two three")).stream("Count", **HERE)
    async for _ in stream.text_stream:
        break
    assert (await stream.result()).text == "One two three"
    assert await stored(store) == WHOLE


async def test_a_failing_model_raises_after_its_pieces_and_saves_nothing(store: CountingStore) -> None:
    """The reader sees what came, then the model's own error, here and from result()."""
    seen = []
    stream = await made(store, ScriptedModel(broken())).stream("Count", **HERE)
    with pytest.raises(ModelError, match="out of seeds"):
        async for piece in stream.text_stream:
            seen.append(piece)  # the error comes in the middle
    with pytest.raises(ModelError, match="out of seeds"):
        await stream.result()
    assert seen == ["Hel"]
    assert await stored(store) == []
    assert await store.memory.get_thread_by_id("t1") is None


async def test_an_error_that_was_caught_in_the_block_is_not_raised_again_at_its_end(store: CountingStore) -> None:
    """Whoever has dealt with it is done with it."""
    async with made(store, ScriptedModel(broken())).stream("Count", **HERE) as stream:
        with pytest.raises(ModelError):
            await stream.result()


async def test_an_error_that_nobody_saw_is_raised_at_the_end_of_the_block(store: CountingStore) -> None:
    """A failure is not lost because nobody read."""
    failed = asyncio.Event()

    class Failing(ScriptedModel):
        async def stream(self, request: ModelRequest) -> Any:
            failed.set()
            if request.messages:
                raise broken()
            yield ModelDelta()

    with pytest.raises(ModelError, match="out of seeds"):
        async with made(store, Failing()).stream("Count", **HERE):
            await failed.wait()


async def test_input_first_keeps_the_users_message_of_a_failing_stream(store: CountingStore) -> None:
    """As generate does."""
    with pytest.raises(ModelError):
        await (await made(store, ScriptedModel(broken())).stream("Count", **HERE, save="input_first")).result()
    assert await stored(store) == [("user", "Count")]


async def test_a_save_that_fails_is_told_to_the_reader(store: CountingStore) -> None:
    """An answer that will not be remembered does not look like one that is."""

    async def full(*_: Any, **__: Any) -> Any:
        raise StorageUnavailableError("the disk is full; make room")

    store.counted.apply = full  # type: ignore[method-assign]  # a database that fails at its last moment
    stream = await made(store, ScriptedModel("One two three")).stream("Count", **HERE)
    seen = []
    with pytest.raises(StorageUnavailableError, match="disk is full"):
        async for piece in stream.text_stream:
            seen.append(piece)  # the error comes at the end
    assert seen == ["One", " two", " three"]


async def test_errors_of_thread_and_owner_show_at_the_start(store: CountingStore) -> None:
    """Before a single piece, in both forms; the model is not called."""
    model = ScriptedModel()
    agent = made(store, model)
    await agent.generate("Hi", **HERE)
    with pytest.raises(OwnershipError):
        await agent.stream("Hi", thread="t1", resource="u2")
    with pytest.raises(OwnershipError):
        async with agent.stream("Hi", thread="t1", resource="u2"):
            raise AssertionError
    assert len(model.requests) == 1


def test_errors_of_arguments_are_raised_by_the_call_itself(store: CountingStore) -> None:
    """Without awaiting anything."""
    agent = made(store, ScriptedModel())
    with pytest.raises(ConfigurationError, match="last_messages"):
        agent.stream("Hi", **HERE, options={"lastMessages": 5})  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError):
        agent.stream([])


async def test_a_stream_that_was_never_started_starts_with_its_reader(store: CountingStore) -> None:
    """Forgetting `await` does not lose the answer."""
    stream = made(store, ScriptedModel("One two three")).stream("Count", **HERE)
    assert "".join([piece async for piece in stream.text_stream]) == "One two three"


async def test_cancelling_before_the_thread_is_read_runs_nothing(store: CountingStore) -> None:
    """Whoever gives up at once leaves nothing behind, neither tokens nor rows."""
    reading, model = asyncio.Event(), ScriptedModel()

    async def slow(*_: Any) -> Any:
        reading.set()
        await asyncio.Event().wait()

    store.counted.fetch = slow  # type: ignore[assignment,method-assign]  # a database that does not answer
    agent = made(store, model)
    task = asyncio.create_task(agent.generate("Hi", **HERE))
    waiting = asyncio.ensure_future(_entered(agent))
    await reading.wait()
    for each in (task, waiting):
        each.cancel()
        with pytest.raises(asyncio.CancelledError):
            await each
    await agent.drain()
    assert (model.requests, store.counted.tables) == ([], {})


async def test_a_stream_without_thread_is_not_remembered(store: CountingStore) -> None:
    """It touches no storage, and leaving it early is quiet."""
    async with made(store, WaitingModel()).stream("Count") as stream:
        async for _ in stream.text_stream:
            break
    result = await stream.result()
    assert (result.thread_id, result.finish_reason) == (None, "interrupted")
    assert store.batches() == []


async def _entered(agent: Agent) -> None:
    async with agent.stream("Hi", **HERE):
        raise AssertionError
