"""Models behind the chat completions interface, through the official client and a real HTTP server."""

from __future__ import annotations

import asyncio
import itertools
import socket
import sys
import traceback

import pytest

from mastra_core.agent.model import ModelDelta, ModelMessage, ModelRequest, Usage
from mastra_core.agent.openai_model import OpenAIModel, open_model
from mastra_core.agent.resolving import resolve_model
from mastra_core.errors import ConfigurationError, ModelError
from mastra_core.openai.connection import Connection
from mastra_core.openai.providers import PROVIDERS
from mastra_core.sync import run_blocking

KEY = "sk-live-0123456789abcdef"
ASKED = ModelRequest(messages=(ModelMessage(role="system", text="Be brief."), ModelMessage(role="user", text="Hi")))


@pytest.fixture
async def model(chat_server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", chat_server.url)
    model = resolve_model("openai/gpt-5.1")
    yield model
    await model.close()


def reply(text: str | None, *, finish: str = "stop") -> dict[str, object]:
    return {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
    }  # fmt: skip


def chunk(text: str | None = None, *, finish: str | None = None, usage: bool = False) -> dict[str, object]:
    choices = [] if usage else [{"index": 0, "delta": {"content": text} if text is not None else {}, "finish_reason": finish}]
    told = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15} if usage else None
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, "usage": told}


async def pieces(model: OpenAIModel) -> list[ModelDelta]:
    return [delta async for delta in model.stream(ASKED)]


async def test_a_whole_answer_comes_with_its_usage(model, chat_server) -> None:
    """Text, why it ended, and what it cost."""
    chat_server.answers(reply("Hello Ada", finish="length"))
    answer = await model.complete(ASKED)
    assert (answer.text, answer.finish_reason, answer.usage) == ("Hello Ada", "length", Usage(input_tokens=12, output_tokens=3))


async def test_the_prompt_is_sent_as_given_and_nothing_unasked(model, chat_server) -> None:
    """Temperature and length are the provider's choice until they are yours."""
    chat_server.answers(reply("x"))
    await model.complete(ASKED)
    prompt = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert chat_server.requests[0] == {"model": "gpt-5.1", "messages": prompt}
    assert chat_server.headers[0]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("provider, limit", [("openai", "max_completion_tokens"), ("groq", "max_tokens")])
async def test_limits_are_sent_under_the_providers_name(provider, limit, chat_server) -> None:
    """`max_output_tokens` means the same whichever provider answers."""
    chat_server.answers(reply("x"))
    model = OpenAIModel(Connection(provider, model_id="m", api_key=KEY, base_url=chat_server.url))
    await model.complete(ModelRequest(messages=ASKED.messages, max_output_tokens=7, temperature=0.0))
    await model.close()
    assert (chat_server.requests[0][limit], chat_server.requests[0]["temperature"]) == (7, 0.0)


async def test_a_stream_gives_the_pieces_and_ends_with_reason_and_usage(model, chat_server) -> None:
    """What is shown while it is produced adds up to the whole answer."""
    chat_server.streams(chunk(""), chunk("Hel"), chunk("lo"), chunk(finish="stop"), chunk(usage=True), "[DONE]")
    assert await pieces(model) == [
        ModelDelta(text="Hel"),
        ModelDelta(text="lo"),
        ModelDelta(finish_reason="stop", usage=Usage(input_tokens=12, output_tokens=3)),
    ]
    assert chat_server.requests[0]["stream_options"] == {"include_usage": True}


async def test_a_provider_that_refuses_the_question_is_not_asked_for_usage(chat_server) -> None:
    """Mistral tells its usage unasked."""
    chat_server.streams(chunk("x"), chunk(finish="stop"), "[DONE]")
    model = OpenAIModel(Connection("mistral", model_id="m", api_key=KEY, base_url=chat_server.url))
    assert (await pieces(model))[-1] == ModelDelta(finish_reason="stop", usage=None)
    await model.close()
    assert "stream_options" not in chat_server.requests[0]


async def test_a_stream_that_breaks_off_is_an_error_after_its_pieces(model, chat_server) -> None:
    """Half an answer is not taken for a whole one."""
    chat_server.streams(chunk("Hel"))
    seen = []
    with pytest.raises(ModelError, match="broke off before its end"):
        async for delta in model.stream(ASKED):
            seen.append(delta.text)
    assert seen == ["Hel"]


async def test_leaving_a_stream_early_ends_the_request(model, chat_server) -> None:
    """Nobody pays for an answer that nobody reads: the server sees the connection closed."""
    chat_server.streams()
    chat_server.content_type = "text/event-stream"
    chat_server.pieces = (
        b'data: {"choices":[{"index":0,"delta":{"content":"on and on"},"finish_reason":null}]}\n\n' for _ in itertools.count()
    )
    stream = model.stream(ASKED)
    assert (await anext(stream)).text == "on and on"
    await stream.aclose()
    assert await asyncio.to_thread(chat_server.cut_off.wait, 10)


async def test_an_error_in_the_stream_is_told(model, chat_server) -> None:
    """A provider that fails halfway is not taken for one that has finished."""
    chat_server.streams(chunk("Hel"), {"error": {"message": "engine exploded", "code": "server_error"}})
    with pytest.raises(ModelError, match="engine exploded"):
        await pieces(model)


REFUSALS = [
    (401, f"Incorrect API key provided: {KEY}", "invalid_api_key", "refused the API key.*environment variable OPENAI_API_KEY"),
    (403, "not in your plan", None, r"may not use this model \(403\) \(.*not in your plan.*\); ask for access"),
    (404, "The model does not exist", "model_not_found", "knows no model 'gpt-5.1'.*check the name"),
    (429, "Rate limit reached", "rate_limit_exceeded", "too many requests.*wait"),
    (429, "You exceeded your quota", "insufficient_quota", "quota is used up.*add credit"),
    (400, "maximum context length is 8192 tokens", "context_length_exceeded", "longer than the model can read.*8192.*fewer|last_messages"),
    (400, "This model's maximum context length is 8192 tokens", None, "longer than the model can read"),
    (400, "temperature must be 1", None, "refused the request .*temperature must be 1"),
    (500, "oops", None, r"the provider failed \(500\).*try again later"),
]  # fmt: skip


@pytest.mark.parametrize("status, message, code, told", REFUSALS)
async def test_every_refusal_has_its_own_mend_and_shows_no_key(model, chat_server, status, message, code, told) -> None:
    """The message says which model, what the provider said, and what to do; whole or streamed."""
    chat_server.refuses(status, message, code=code)
    for ask in (model.complete(ASKED), pieces(model)):
        with pytest.raises(ModelError, match=f"^openai/gpt-5.1: .*({told})") as caught:
            await ask
        assert KEY not in "".join(traceback.format_exception(caught.value))


async def test_a_provider_that_repeats_the_key_is_not_quoted(model, chat_server) -> None:
    """Whatever a proxy answers, the key stays out of messages and tracebacks."""
    chat_server.refuses(500, f"upstream said: bad header Bearer {KEY}")
    with pytest.raises(ModelError, match="the provider failed") as caught:
        await model.complete(ASKED)
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("body", [{"choices": []}, {}, "<html>", None])
async def test_an_answer_that_is_none_is_an_error(model, chat_server, body) -> None:
    """A wrong base URL that answers 200 is told as such."""
    chat_server.answers(body)
    with pytest.raises(ModelError, match=r"answer could not be used.*OPENAI_BASE_URL"):
        await model.complete(ASKED)


async def test_an_answer_that_is_no_json_is_an_error(model, chat_server) -> None:
    """Likewise for half a document, whole or streamed."""
    chat_server.answers({})
    chat_server.pieces = [b'{"choices": [']
    with pytest.raises(ModelError, match="answer could not be used"):
        await model.complete(ASKED)
    chat_server.streams("{")
    with pytest.raises(ModelError, match="answer could not be used"):
        await pieces(model)


async def test_an_unreachable_provider_is_named_with_its_address(monkeypatch) -> None:
    """What runs on the user's own machine is told how to be started."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("OLLAMA_BASE_URL", f"http://me:secret@127.0.0.1:{port}/v1")
    model = resolve_model("ollama/llama3")
    with pytest.raises(
        ModelError, match=rf"ollama/llama3: http://127\.0\.0\.1:{port}/v1 could not be reached .*; start it: ollama serve"
    ) as caught:
        await model.complete(ASKED)
    await model.close()
    assert "secret" not in str(caught.value)


async def test_text_that_utf8_cannot_hold_is_sent_with_replacements(model, chat_server) -> None:
    """A lone surrogate in an old message does not stop the conversation."""
    chat_server.answers(reply("x"))
    await model.complete(ModelRequest(messages=(ModelMessage(role="user", text="a\ud800b ü 😀"),)))
    assert chat_server.requests[0]["messages"][0]["content"] == "a\ufffdb ü 😀"


def test_one_model_serves_several_event_loops(chat_server) -> None:
    """`.sync` and `asyncio.run` may share an agent: connections stay with the loop that opened them."""
    chat_server.answers(reply("x"))
    model = OpenAIModel(Connection("openai", model_id="m", api_key=KEY, base_url=chat_server.url))

    async def ask_and_close() -> str:
        text = (await model.complete(ASKED)).text
        await model.close()
        return text

    assert run_blocking(model.complete(ASKED)).text == "x"
    assert asyncio.run(ask_and_close()) == "x"
    assert run_blocking(ask_and_close()) == "x"


@pytest.mark.parametrize("provider", [name for name, entry in PROVIDERS.items() if not entry.start])
def test_a_missing_key_names_its_variable(provider, monkeypatch) -> None:
    """The next command is in the message."""
    monkeypatch.delenv(PROVIDERS[provider].key, raising=False)
    with pytest.raises(ConfigurationError, match=f"the environment variable {provider.upper()}_API_KEY is not set; set it: export"):
        resolve_model(f"{provider}/some/model")


def test_the_key_is_not_in_the_repr(monkeypatch) -> None:
    """Printing a model is safe."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert repr(resolve_model("openai/gpt-5.1")) == "<OpenAIModel openai/gpt-5.1>"


def test_a_missing_client_names_the_extra(monkeypatch) -> None:
    """Without the extra the message says how to install it."""
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(ConfigurationError, match=r'pip install "mastra-core\[openai\]"'):
        open_model("openai", model_id="gpt-5.1")
