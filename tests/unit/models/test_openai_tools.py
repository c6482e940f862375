"""Tools, thoughts, files, forms of answers and time limits behind the chat completions interface, through a real HTTP server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from mastra_core.agent.model import ModelDelta, ModelFile, ModelMessage, ModelRequest, OutputSpec, ToolCall, ToolSpec
from mastra_core.agent.openai_model import OpenAIModel, open_model
from mastra_core.errors import ConfigurationError, ContextLengthError, ModelError
from mastra_core.openai.connection import Connection

ASKED = (ModelMessage(role="system", text="Be brief."), ModelMessage(role="user", text="Hi"))
WEATHER = ToolSpec(name="get_weather", description="Says it.", parameters={"type": "object", "properties": {"city": {"type": "string"}}})
PARIS = ToolCall(id="call_1", name="get_weather", arguments={"city": "Paris"})


def model(server: Any, provider: str = "openai", **options: Any) -> OpenAIModel:
    return OpenAIModel(Connection(provider, model_id="m", api_key="sk-0123", base_url=server.url, **options))


def request(**fields: Any) -> ModelRequest:
    return ModelRequest(**{"messages": ASKED, **fields})


def called(id: str | None, name: str | None, arguments: str | None, *, index: int | None = None) -> dict[str, Any]:
    call: dict[str, Any] = {"type": "function", "function": {"name": name, "arguments": arguments}, "id": id}
    return call if index is None else call | {"index": index}


def answer(finish: str = "tool_calls", **message: Any) -> dict[str, Any]:
    return {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": None, **message}}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
    }  # fmt: skip


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


async def pieces(model: OpenAIModel, **fields: Any) -> list[ModelDelta]:
    try:
        return [delta async for delta in model.stream(request(**fields))]
    finally:
        await model.close()


async def whole(model: OpenAIModel, **fields: Any) -> Any:
    try:
        return await model.complete(request(**fields))
    finally:
        await model.close()


async def test_tools_are_told_and_calls_are_read(chat_server) -> None:
    """Several calls of one answer, with what is said beside them."""
    chat_server.answers(
        answer(
            content="Let me check.", tool_calls=[called("call_1", "get_weather", '{"city":"Paris"}'), called("call_2", "get_weather", "")]
        )
    )
    reply = await whole(model(chat_server), tools=(WEATHER,))
    assert (reply.text, reply.finish_reason) == ("Let me check.", "tool_calls")
    assert reply.tool_calls == (PARIS, ToolCall(id="call_2", name="get_weather"))
    sent = chat_server.requests[0]
    assert sent["tools"] == [
        {"type": "function", "function": {"name": "get_weather", "description": "Says it.", "parameters": WEATHER.parameters}}
    ]
    assert "tool_choice" not in sent


@pytest.mark.parametrize(
    "choice, sent",
    [("required", "required"), ("none", "none"), ("get_weather", {"type": "function", "function": {"name": "get_weather"}})],
)
async def test_tool_choice_is_sent_as_the_interface_has_it(chat_server, choice, sent) -> None:
    """And only beside tools, since providers refuse it alone."""
    chat_server.answers(answer(content="x"))
    await whole(model(chat_server), tools=(WEATHER,), tool_choice=choice)
    await whole(model(chat_server), tool_choice=choice)
    assert chat_server.requests[0]["tool_choice"] == sent
    assert "tool_choice" not in chat_server.requests[1]


async def test_calls_and_results_are_sent_back(chat_server) -> None:
    """As the interface has them: calls with the assistant's message, each result in a message of its own."""
    chat_server.answers(answer(content="x"))
    made_up = ToolCall(id="c2", name="get the weather!", arguments={})
    said = ModelMessage(role="assistant", text="", tool_calls=(PARIS, made_up))
    result = ModelMessage(role="tool", text='{"temp":21}', tool_call_id="call_1")
    await whole(model(chat_server), messages=(*ASKED, said, result))
    assert chat_server.requests[0]["messages"][2:] == [
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}},
            {"id": "c2", "type": "function", "function": {"name": "get_the_weather_", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "call_1", "content": '{"temp":21}'},
    ]  # fmt: skip


async def test_ids_of_another_provider_fit_one_that_wants_its_own_form(chat_server) -> None:
    """A conversation can change to Mistral, which takes ids of nine letters and digits only."""
    chat_server.answers(answer(content="x"))
    own = ToolCall(id="abcDEF123", name="w", arguments={})
    messages = [
        ModelMessage(role="assistant", text="", tool_calls=(PARIS, own)),
        ModelMessage(role="tool", text="1", tool_call_id="call_1"),
    ]
    await whole(model(chat_server, "mistral"), messages=(*ASKED, *messages))
    said, result = chat_server.requests[0]["messages"][2:]
    assert len(said["tool_calls"][0]["id"]) == 9
    assert said["tool_calls"][0]["id"].isalnum()
    assert (said["tool_calls"][0]["id"], said["tool_calls"][1]["id"]) == (result["tool_call_id"], "abcDEF123")


PIECES: list[Any] = [
    pytest.param(
        [[called("call_1", "get_weather", "", index=0)], [called(None, None, '{"ci', index=0)], [called(None, None, 'ty":"Paris"}', index=0)]],
        [PARIS], id="in pieces",
    ),
    pytest.param(
        [[called("a", "x", "", index=0)], [called("b", "y", "{", index=1)], [called(None, None, "{}", index=0), called(None, None, "}", index=1)]],
        [ToolCall(id="a", name="x"), ToolCall(id="b", name="y")], id="two interleaved",
    ),
    pytest.param([[called("a", "x", '{"n":1}', index=0)], [called("b", "x", '{"n":2}', index=0)]],
                 [ToolCall(id="a", name="x", arguments={"n": 1}), ToolCall(id="b", name="x", arguments={"n": 2})], id="same index"),
    pytest.param([[called("a", "x", "{}"), called("b", "y", "{}")]], [ToolCall(id="a", name="x"), ToolCall(id="b", name="y")], id="no index"),
    pytest.param([[called("a", "x", "{", index=0)], [called("a", "x", "}", index=0)]], [ToolCall(id="a", name="x")], id="repeated name and id"),
    pytest.param([[called("", "x", None, index=0)]], [ToolCall(id="", name="x")], id="no id and no arguments"),
    pytest.param([[called("a", "x", '{"city": Par', index=0)]], [ToolCall(id="a", name="x", malformed='{"city": Par')], id="malformed"),
    pytest.param([[called("a", "x", "[1]", index=0)]], [ToolCall(id="a", name="x", malformed="[1]")], id="no object"),
    pytest.param([[called("a", "x", '{"n": NaN}', index=0)]], [ToolCall(id="a", name="x", malformed='{"n": NaN}')], id="NaN"),
]  # fmt: skip


@pytest.mark.parametrize("deltas, calls", PIECES)
async def test_streamed_calls_are_put_together(chat_server, deltas: Sequence[Any], calls: Sequence[ToolCall]) -> None:
    """However a provider cuts them up; they come whole, with the last piece."""
    chat_server.streams(chunk(content="Let me"), *(chunk(tool_calls=one) for one in deltas), chunk("tool_calls"), "[DONE]")
    assert await pieces(model(chat_server), tools=(WEATHER,)) == [
        ModelDelta(text="Let me"),
        ModelDelta(tool_calls=tuple(calls), finish_reason="tool_calls"),
    ]


THOUGHTS: list[Any] = [
    pytest.param({"reasoning_content": "Hm."}, id="deepseek"),
    pytest.param({"reasoning": "Hm."}, id="openrouter"),
    pytest.param({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]}, id="mistral"),
]  # fmt: skip


@pytest.mark.parametrize("delta", THOUGHTS)
async def test_what_a_model_thinks_is_told_apart_from_what_it_says(chat_server, delta) -> None:
    """Under whichever name the provider sends it, whole or streamed."""
    chat_server.streams(chunk(**delta), chunk(content="Yes."), chunk("stop"), "[DONE]")
    assert (await pieces(model(chat_server)))[:2] == [ModelDelta(reasoning="Hm."), ModelDelta(text="Yes.")]
    whole_one = {"content": "Yes.", **delta}
    if isinstance(delta.get("content"), list):
        whole_one["content"] = [*delta["content"], {"type": "text", "text": "Yes."}]
    chat_server.answers(answer("stop", **whole_one))
    reply = await whole(model(chat_server))
    assert (reply.text, reply.reasoning) == ("Yes.", "Hm.")


@pytest.mark.parametrize(
    "given, told", [("eos", "stop"), ("model_length", "length"), ("function_call", "tool_calls"), ("content_filter", "content_filter")]
)
async def test_the_reason_for_the_end_has_one_name(chat_server, given, told) -> None:
    """Whatever the provider calls it."""
    chat_server.answers(answer(given, content="x"))
    assert (await whole(model(chat_server))).finish_reason == told
    chat_server.streams(chunk(given, content="x"), "[DONE]")
    assert (await pieces(model(chat_server)))[-1].finish_reason == told


FILES: list[Any] = [
    pytest.param(ModelFile(url="data:image/png;base64,aGk=", media_type="image/png"), {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}, id="image"),
    pytest.param(ModelFile(url="https://e.org/a.png", media_type="image/*"), {"type": "image_url", "image_url": {"url": "https://e.org/a.png"}}, id="image by URL"),
    pytest.param(ModelFile(url="data:application/pdf;base64,aGk=", media_type="application/pdf", name="a.pdf"), {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}}, id="document"),
    pytest.param(ModelFile(url="file-abc", media_type="application/pdf"), {"type": "file", "file": {"file_id": "file-abc"}}, id="uploaded"),
    pytest.param(ModelFile(url="data:audio/wav;base64,aGk=", media_type="audio/wav"), {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}, id="sound"),
]  # fmt: skip


@pytest.mark.parametrize("file, sent", FILES)
async def test_files_are_sent_beside_the_text(chat_server, file, sent) -> None:
    """Images, documents and sound, each as the interface has it."""
    chat_server.answers(answer(content="x"))
    await whole(model(chat_server), messages=(ModelMessage(role="user", text="Look", files=(file,)),))
    assert chat_server.requests[0]["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Look"}, sent]}]


async def test_a_file_that_cannot_be_sent_is_refused_with_the_mend(chat_server) -> None:
    """Before anything is sent."""
    file = ModelFile(url="https://e.org/a.pdf", media_type="application/pdf")
    with pytest.raises(ModelError, match=r"application/pdf cannot be sent as a URL, only images can .*pass its bytes"):
        await whole(model(chat_server), messages=(ModelMessage(role="user", text="", files=(file,)),))
    assert chat_server.requests == []


FORM = OutputSpec(name="Person", schema={"type": "object", "properties": {"name": {"type": "string"}}})


@pytest.mark.parametrize(
    "provider, form, words", [("openai", "json_schema", False), ("deepseek", "json_object", True), ("groq", None, True)]
)
async def test_the_form_of_an_answer_is_told_as_the_provider_takes_it(chat_server, provider, form, words) -> None:
    """By its schema, as an object, or in words after the instructions."""
    chat_server.answers(answer(content="{}"))
    await whole(model(chat_server, provider), output=FORM)
    sent = chat_server.requests[0]
    assert (sent.get("response_format") or {}).get("type") == form
    if form == "json_schema":
        assert sent["response_format"]["json_schema"] == {"name": "Person", "schema": FORM.schema}
    assert [message["role"] for message in sent["messages"]] == (["system", "system", "user"] if words else ["system", "user"])
    assert (json.dumps(FORM.schema, separators=(",", ":")) in sent["messages"][1]["content"]) is words


async def test_a_failure_that_may_pass_is_tried_again(chat_server) -> None:
    """Twice, unless told otherwise; then it is an error."""
    chat_server.answers(answer(content="x"))
    chat_server.first = [500, 429]
    assert (await whole(model(chat_server))).text == "x"
    assert len(chat_server.requests) == 3
    chat_server.first = [500]
    with pytest.raises(ModelError, match=r"the provider failed \(500\)"):
        await whole(model(chat_server, max_retries=0))


async def test_a_provider_that_says_nothing_is_given_up_with_the_mend(chat_server) -> None:
    """After the time that was set; the variable to set is named."""
    chat_server.answers(answer(content="x"))
    chat_server.hold = True
    with pytest.raises(ModelError, match=r"said nothing for 0\.05 s; .*environment variable OPENAI_TIMEOUT_SECONDS"):
        await whole(model(chat_server, timeout_seconds=0.05, max_retries=0))


def test_time_limit_and_retries_come_from_the_environment(monkeypatch) -> None:
    """60 seconds and two retries unless set; what is no number is refused."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123")
    plain = open_model("openai", model_id="m")
    assert (plain.connection.timeout_seconds, plain.connection.max_retries) == (60, 2)
    monkeypatch.setenv("OPENAI_TIMEOUT_SECONDS", "2.5")
    monkeypatch.setenv("OPENAI_MAX_RETRIES", "0")
    told = open_model("openai", model_id="m")
    assert (told.connection.timeout_seconds, told.connection.max_retries) == (2.5, 0)
    for variable, value in [
        ("OPENAI_TIMEOUT_SECONDS", "soon"),
        ("OPENAI_TIMEOUT_SECONDS", "0"),
        ("OPENAI_MAX_RETRIES", "-1"),
        ("OPENAI_MAX_RETRIES", "nan"),
    ]:
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            with pytest.raises(ConfigurationError, match=f"{variable} must be a number of at least .*found '{value}'"):
                open_model("openai", model_id="m")


async def test_a_prompt_that_is_too_long_has_an_error_of_its_own(chat_server) -> None:
    """So that a program can send less and try again."""
    chat_server.refuses(400, "maximum context length is 8192 tokens", code="context_length_exceeded")
    with pytest.raises(ContextLengthError, match=r"openai/m: the prompt is longer than the model can read .*send less history"):
        await whole(model(chat_server))
