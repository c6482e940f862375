"""The chat model as an agent meets it: whole answers, streams, several at once, and what it refuses."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import subprocess
import sys
import textwrap
import threading
from contextlib import aclosing
from pathlib import Path

import attrs
import pytest

from mastra_core import Agent
from mastra_core.agent.model import ModelMessage, ModelRequest
from mastra_core.errors import ConfigurationError, ContextLengthError, ModelError
from mastra_local import chat
from mastra_local.chat import LocalChatModel, open_model
from mastra_local.llama import release_engine, shared_engine
from mastra_local.prompts import REMEMBERING
from mastra_local.weights import SMOLLM2_WEIGHTS

STORY = "Write a very long story about a ship."


def request(*texts: str, limit: int | None = 24) -> ModelRequest:
    roles = ("user", "assistant")
    messages = tuple(ModelMessage(role=roles[index % 2], text=text) for index, text in enumerate(texts))
    return ModelRequest(messages=messages, max_output_tokens=limit)


def remembering(text: str, *, limit: int) -> ModelRequest:
    messages = (ModelMessage(role="system", text=REMEMBERING), ModelMessage(role="user", text=text))
    return ModelRequest(messages=messages, max_output_tokens=limit)


@pytest.fixture
def model() -> LocalChatModel:
    return open_model("smollm2-135m")


@pytest.fixture
def delivered(monkeypatch):
    """How many pieces the engine made for each answer, counted in its thread."""
    counts: list[int] = []

    class Counted(chat._Pieces):
        def __init__(self) -> None:
            super().__init__()
            self.index = len(counts)
            counts.append(0)

        def receive(self, piece):
            counts[self.index] += 1
            return super().receive(piece)

    monkeypatch.setattr(chat, "_Pieces", Counted)
    return counts


async def test_a_reply_says_why_it_ended_and_what_it_took(model):
    """The user gets text, "stop", and the tokens of prompt and answer."""
    reply = await model.complete(request("Say hello.", limit=64))
    assert "hello" in reply.text.lower()
    assert reply.finish_reason == "stop"
    assert reply.usage.input_tokens > 5
    assert 0 < reply.usage.output_tokens <= 64


async def test_an_answer_cut_by_the_limit_says_length(model):
    """The user can tell a cut answer from a finished one."""
    reply = await model.complete(request(STORY, limit=5))
    assert reply.finish_reason == "length"
    assert reply.usage.output_tokens == 5


async def test_streaming_gives_the_same_text_reason_and_usage_as_completing(model):
    """The user may switch between generate and stream without another answer."""
    reply = await model.complete(request("What do bees make?"))
    deltas = [delta async for delta in model.stream(request("What do bees make?"))]
    assert len(deltas) > 2
    assert "".join(delta.text for delta in deltas) == reply.text
    assert [delta.finish_reason for delta in deltas[:-1]] == [None] * (len(deltas) - 1)
    assert (deltas[-1].finish_reason, deltas[-1].usage) == (reply.finish_reason, reply.usage)


async def test_the_same_request_has_the_same_answer_whatever_was_asked_before(model):
    """The user can repeat a run: nothing of an earlier prompt, cached or not, shows in the answer."""
    stories = [remembering(f"Tell {name} a story.", limit=12) for name in ("Ada", "Grace", "Linus")]
    after_another = [(await model.complete(story)).text for story in stories]
    after_itself = []
    for story in stories:
        await model.complete(story)
        after_itself.append((await model.complete(story)).text)
    assert after_itself == after_another


async def test_two_completions_at_once_each_get_their_own_answer(model):
    """The user may run several agents on the one model; each has the answer it would have alone."""
    prompts = [request("What do bees make?"), request("Say hello.")]
    alone = [(await model.complete(prompt)).text for prompt in prompts]
    together = await asyncio.gather(*(open_model("smollm2-135m").complete(prompt) for prompt in prompts))
    assert [reply.text for reply in together] == alone


async def test_a_stream_closed_early_stops_the_model(model, delivered):
    """The user who leaves a stream frees the model for the next question."""
    async with aclosing(model.stream(request(STORY, limit=400))) as deltas:
        async for delta in deltas:
            assert delta.text
            break
    await model.complete(request("Say hello."))
    assert delivered[0] < 100


async def test_a_cancelled_completion_stops_the_model(model, delivered):
    """The user who cancels a run does not pay for the rest of the answer."""
    task = asyncio.create_task(model.complete(request(STORY, limit=400)))
    while not delivered or delivered[0] < 3:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await model.complete(request("Say hello."))
    assert delivered[0] < 100


async def test_a_cancelled_completion_that_waits_its_turn_is_never_started(model, delivered):
    """The user who cancels while the model is busy leaves nothing behind in its queue."""
    async with aclosing(model.stream(request(STORY, limit=400))) as deltas:
        await anext(deltas)
        waiting = asyncio.create_task(model.complete(request("Say hello.")))
        while len(delivered) < 2:
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await model.complete(request("Say hello."))
    assert delivered[1] == 0


async def test_a_prompt_past_the_window_is_refused_with_both_figures(model):
    """The user learns how long the prompt was, what fits, and what to make smaller."""
    with pytest.raises(ContextLengthError, match=r"local/smollm2-135m: the prompt has 5\d\d\d tokens .* holds 4096.*smaller last_messages"):
        await model.complete(request("word " * 5000))


@pytest.mark.scale
async def test_an_answer_that_reaches_the_end_of_the_window_ends_with_length(model):
    """The user gets what fitted, marked as cut, and no error."""
    reply = await model.complete(request("word " * 4030, limit=200))
    assert reply.finish_reason == "length"
    assert reply.usage.total_tokens <= 4096


@pytest.mark.parametrize("text", ["nul \x00 inside", "a lone \ud800 surrogate", "", "🦜 ünïcode 漢字"])
async def test_any_stored_text_can_be_sent(model, text):
    """The user's history may hold whatever a store keeps."""
    assert (await model.complete(request(text, limit=4))).usage.output_tokens > 0


async def test_a_prompt_without_messages_is_refused(model):
    """The user gets an error and no rambling."""
    with pytest.raises(ModelError, match="no messages"):
        await model.complete(ModelRequest(messages=()))


@pytest.mark.parametrize("limit", [0, -1])
async def test_a_limit_below_one_token_is_refused(model, limit):
    """The user gets an error; to llama.cpp -1 would mean for ever."""
    with pytest.raises(ModelError, match=f"1 or more, found {limit}"):
        await model.complete(request("Say hello.", limit=limit))


async def test_what_llama_cpp_refuses_reaches_the_user_with_its_words(model):
    """The user reads what was wrong with the request, from the model that was asked."""
    engine = shared_engine(SMOLLM2_WEIGHTS, user=model)
    future = engine.submit({"messages": "none"}, receive=lambda _: False, stop=threading.Event())
    with pytest.raises(ModelError, match=r"local/smollm2-135m: llama\.cpp refused .*'messages' to be an array"):
        await asyncio.wrap_future(future)


async def test_a_closed_model_can_be_asked_again(model):
    """The user who closes one Mastra and opens another gets the model loaded anew."""
    before = await model.complete(request("What do bees make?"))
    await model.close()
    await model.close()
    assert (await model.complete(request("What do bees make?"))).text == before.text


async def test_closing_one_model_leaves_the_others_answers_alone(model):
    """The user's second Mastra goes on while the first is closed."""
    other = open_model("smollm2-135m")
    await other.complete(request("Say hello."))
    async with aclosing(model.stream(request(STORY, limit=30))) as deltas:
        await anext(deltas)
        await other.close()
        rest = [delta async for delta in deltas]
    assert rest[-1].finish_reason == "length"


def test_closing_the_last_user_ends_a_running_answer_with_an_error():
    """The user who closes too early is told so, and nothing hangs."""
    code = """
        import asyncio
        from mastra_core.agent.model import ModelMessage, ModelRequest
        from mastra_core.errors import ModelError
        from mastra_local.chat import open_model
        async def main():
            model = open_model("smollm2-135m")
            story = ModelRequest(messages=(ModelMessage(role="user", text="Write a very long story about a ship."),))
            deltas = model.stream(story)
            await anext(deltas)
            await model.close()
            try:
                async for _ in deltas: pass
            except ModelError as problem:
                print(problem)
        asyncio.run(main())
    """
    assert "was closed before it had finished answering" in run(code)


def test_a_process_ends_by_itself_under_an_answer_that_nobody_reads():
    """The user's script ends when its own work does."""
    code = """
        import asyncio
        from mastra_core.agent.model import ModelMessage, ModelRequest
        from mastra_local.chat import open_model
        async def main():
            deltas = open_model("smollm2-135m").stream(ModelRequest(messages=(ModelMessage(role="user", text="Write a long story."),)))
            await anext(deltas)
            print("leaving")
        asyncio.run(main())
    """
    assert run(code) == "leaving\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_forked_process_is_told_why_it_cannot_ask():
    """The user of a forking server reads the mend, where the model would wait for ever."""
    code = """
        import asyncio, os
        from mastra_core.agent.model import ModelMessage, ModelRequest
        from mastra_core.errors import ConfigurationError
        from mastra_local.chat import open_model
        model = open_model("smollm2-135m")
        hello = ModelRequest(messages=(ModelMessage(role="user", text="Say hello."),), max_output_tokens=4)
        asyncio.run(model.complete(hello))
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(model.complete(hello))
            except ConfigurationError as problem:
                print(problem, flush=True)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        asyncio.run(model.complete(hello))
    """
    assert "'spawn'" in run(code)


def run(code: str) -> str:
    """What the code prints in a process of its own, which has to end well within two minutes."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_unknown_chat_model_is_refused_with_the_nearest_name():
    """The user who misspells the model reads which there are."""
    with pytest.raises(ConfigurationError, match=r"'local/smolm-135m' .*has: 'local/smollm2-135m'.*Did you mean 'local/smollm2-135m'"):
        open_model("smolm-135m")


async def test_no_listener_of_the_engine_can_be_reached(model):
    """The user's machine offers nobody else the model: no TCP port, and the socket's file is gone."""
    await model.complete(request("Say hello.", limit=4))
    address = shared_engine(SMOLLM2_WEIGHTS, user=model)._server.listening_address
    if sys.platform == "win32":
        assert address.startswith("http://127.0.0.1:")
    else:
        assert address.startswith("unix://")
        assert not Path(address.removeprefix("unix://")).parent.exists()


def test_releasing_what_was_never_loaded_does_nothing():
    """The user may close a Mastra whose model was never asked."""
    release_engine(attrs.evolve(SMOLLM2_WEIGHTS, model_id="other"), user=object())


async def test_an_answer_has_the_form_that_was_asked_for():
    """Even a small model gives a value of the type: the engine lets it say nothing else. It is given no tools."""

    @dataclasses.dataclass
    class Person:
        name: str
        age: int

    agent = Agent("a", model="local/smollm2-135m")
    result = await agent.generate("Ada is 36 years old. Who is it?", output=Person, max_output_tokens=60)
    await agent.close()
    assert isinstance(result.output, Person)
    with pytest.raises(ConfigurationError, match="local/smollm2-135m cannot call tools"):
        await Agent("a", model="local/smollm2-135m").generate("Hi", tools=[print_nothing])


def print_nothing() -> None:
    """Nothing."""
