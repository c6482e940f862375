"""What an agent can be given besides texts: files, images, calls and results, as chat APIs write them, and how they are kept."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from mastra_core import Agent, InvalidInputError, Memory
from mastra_core.agent.model import ModelFile, ModelMessage, ToolCall
from mastra_core.storage.records.kinds import Message
from tests.unit.agent.models import CountingStore, ScriptedModel

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}
PNG = "data:image/png;base64,aGVsbG8="


@pytest.fixture
def agent(store: CountingStore, model: ScriptedModel) -> Agent:
    return Agent("a", model=model, memory=Memory(store))


async def content(store: CountingStore, index: int = 0) -> Any:
    """The stored content of a message, without the times of its parts, which must be there."""
    kept: Any = list(await store.memory.list_messages("t1"))[index].content
    return {**kept, "parts": [{name: value for name, value in part.items() if name != "createdAt"} for part in kept["parts"]]}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


async def test_an_image_is_kept_as_typescript_keeps_it(agent: Agent, store: CountingStore, model: ScriptedModel) -> None:
    """Contract §4.4, row 3: a file part, mirrored as an attachment, the text beside it; the model sees both."""
    await agent.generate(user({"type": "text", "text": "and this image?"}, {"type": "image_url", "image_url": {"url": PNG}}), **HERE)
    assert await content(store) == {
        "format": 2,
        "parts": [{"type": "text", "text": "and this image?"}, {"type": "file", "data": PNG, "mimeType": "image/png"}],
        "experimental_attachments": [{"url": PNG, "contentType": "image/png"}],
        "content": "and this image?",
    }
    kept: Any = next(iter(await store.memory.list_messages("t1"))).content
    assert all(isinstance(part["createdAt"], int) for part in kept["parts"])
    asked = ModelMessage(role="user", text="and this image?", files=(ModelFile(url=PNG, media_type="image/png"),))
    assert model.requests[0].messages == (asked,)
    await agent.generate("What was on it?", **HERE)
    assert model.requests[1].messages[0] == asked


HELLO = base64.b64encode(b"hello").decode()
FILES: list[Any] = [
    pytest.param({"type": "file", "data": b"hello", "media_type": "image/png"}, PNG, "image/png", id="bytes"),
    pytest.param({"type": "file", "data": HELLO, "mediaType": "image/png"}, PNG, "image/png", id="base64"),
    pytest.param({"type": "file", "data": PNG}, PNG, "image/png", id="data URI"),
    pytest.param({"type": "image", "image": PNG}, PNG, "image/png", id="image part"),
    pytest.param({"type": "image", "image": b"hello", "mimeType": "image/png"}, PNG, "image/png", id="image bytes"),
    pytest.param({"type": "image_url", "image_url": "https://e.org/a"}, "https://e.org/a", "image/*", id="image by URL"),
    pytest.param(
        {"type": "image_url", "image_url": {"url": "https://e.org/a.jpg"}}, "https://e.org/a.jpg", "image/jpeg", id="URL that tells"
    ),
    pytest.param({"type": "file", "url": "https://e.org/a.pdf"}, "https://e.org/a.pdf", "application/pdf", id="document by URL"),
    pytest.param({"type": "file", "url": "https://e.org/a"}, "https://e.org/a", "application/octet-stream", id="URL that does not"),
    pytest.param({"type": "file", "file": {"file_id": "file-abc"}}, "file-abc", "application/octet-stream", id="uploaded"),
    pytest.param(
        {"type": "input_audio", "input_audio": {"data": HELLO, "format": "mp3"}}, f"data:audio/mp3;base64,{HELLO}", "audio/mp3", id="sound"
    ),
]


@pytest.mark.parametrize("part, data, media_type", FILES)
async def test_files_come_in_every_form_that_chat_apis_have(
    agent: Agent, store: CountingStore, model: ScriptedModel, part: Any, data: str, media_type: str
) -> None:
    """Bytes and base64 become a data: URI, URLs and ids stay; the type is taken from wherever it is said."""
    await agent.generate(user(part), **HERE)
    kept = await content(store)
    assert kept["parts"] == [{"type": "file", "data": data, "mimeType": media_type}]
    assert kept["content"] == ""
    assert model.requests[0].messages[0].files == (ModelFile(url=data, media_type=media_type),)


async def test_a_files_name_is_kept(agent: Agent, store: CountingStore, model: ScriptedModel) -> None:
    """In the part and in the attachment, and told to the model."""
    await agent.generate(user({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}}), **HERE)
    kept = await content(store)
    assert (kept["parts"][0]["filename"], kept["experimental_attachments"][0]["name"]) == ("a.pdf", "a.pdf")
    assert model.requests[0].messages[0].files[0].name == "a.pdf"


@pytest.mark.parametrize(
    "part", [{"type": "file", "url": PNG, "mediaType": "image/png"}, {"type": "file", "data": "aGVsbG8=", "mimeType": "image/png"}]
)
async def test_messages_with_file_parts_are_given_as_they_are(agent: Agent, store: CountingStore, model: ScriptedModel, part: Any) -> None:
    """Both shapes that are stored (contract §4.3), base64 included, are kept unchanged and understood."""
    message = Message(id="m1", thread_id="t1", role="user", content={"format": 2, "parts": [part]})
    await agent.generate(message, **HERE)
    assert (await content(store))["parts"] == [part]
    assert model.requests[0].messages[0].files == (ModelFile(url=PNG, media_type="image/png"),)


CALLED = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}


async def test_a_conversation_with_calls_can_be_brought_along(agent: Agent, store: CountingStore, model: ScriptedModel) -> None:
    """Calls and results as OpenAI writes them become one message each way: kept as TypeScript keeps them, sent as they came."""
    chat: list[Any] = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "Let me check.", "tool_calls": [CALLED], "refusal": None, "annotations": []},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "assistant", "content": "It is sunny."},
        {"role": "user", "content": "Thanks"},
    ]
    await agent.generate(chat, **HERE)
    assert model.requests[0].messages == (
        ModelMessage(role="user", text="Weather?"),
        ModelMessage(
            role="assistant", text="Let me check.", tool_calls=(ToolCall(id="c1", name="get_weather", arguments={"city": "Paris"}),)
        ),
        ModelMessage(role="tool", text="sunny", tool_call_id="c1"),
        ModelMessage(role="assistant", text="It is sunny."),
        ModelMessage(role="user", text="Thanks"),
    )
    assert [message.role for message in await store.memory.list_messages("t1")] == ["user", "assistant", "assistant", "user", "assistant"]
    assert (await content(store, 1))["parts"] == [
        {"type": "text", "text": "Let me check."},
        {
            "type": "tool-invocation",
            "toolInvocation": {
                "state": "result",
                "toolCallId": "c1",
                "toolName": "get_weather",
                "args": {"city": "Paris"},
                "result": "sunny",
            },
        },
    ]


@pytest.mark.parametrize("said", [{}, {"content": None}])
async def test_input_may_end_with_a_result_to_go_on_from(agent: Agent, model: ScriptedModel, said: Any) -> None:
    """A client that calls tools itself asks the model to go on; its message of calls may have no text."""
    called = {"role": "assistant", **said, "tool_calls": [CALLED]}
    result = {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "sunny"}]}
    await agent.generate([{"role": "user", "content": "Weather?"}, called, result])
    assert model.prompt() == [("user", "Weather?"), ("assistant", ""), ("tool", "sunny")]


WRONG: list[Any] = [
    pytest.param(user({"type": "video", "url": "x"}), r"content\[0\]: a part is .*found a part of the type 'video'", id="kind"),
    pytest.param(user(7), r"content\[0\]: a part is .*found int", id="number"),
    pytest.param(user({"type": "text", "text": 7}), r"content\[0\]\.text: must be a text, found int", id="text"),
    pytest.param(user({"type": "image_url", "image_url": {}}), r"image_url: must be bytes, a URL or a data: URI; found NoneType", id="no URL"),
    pytest.param(user({"type": "file", "data": b"hello"}), 'data: bytes need their type beside them: "media_type"', id="bytes without type"),
    pytest.param(user({"type": "file", "data": "cat.png", "media_type": "image/png"}), r"'cat.png' is neither a URL, .*read_bytes\(\)", id="path"),
    pytest.param(user(), "content: it is empty", id="no part"),
    pytest.param({"role": "user", "content": b"x"}, "must be a text or a list of parts .*found bytes", id="content bytes"),
    pytest.param({"role": "user", "content": "x", "tool_calls": [CALLED]}, "only an assistant message has 'tool_calls'", id="calls of a user"),
    pytest.param({"role": "user", "content": "x", "name": "Ada"}, r"found \['name'\]", id="unknown key"),
    pytest.param([{"role": "assistant", "tool_calls": [{"id": "c1"}]}, "x"], r"input\[0\]\.tool_calls\[0\]: a call is", id="no call"),
    pytest.param(
        [{"role": "assistant", "tool_calls": [{**CALLED, "function": {"name": "f", "arguments": "{"}}]}, "x"],
        r"function\.arguments: must be a JSON object as text, found '\{'", id="arguments",
    ),
    pytest.param(["x", {"role": "tool", "tool_call_id": "c9", "content": "1"}], r"input\[1\]: no assistant message before it made the call 'c9'", id="result of nothing"),
    pytest.param([{"role": "assistant", "tool_calls": [CALLED]}, {"role": "tool", "tool_call_id": "c1", "content": None}], "the result of a tool must be text", id="no result"),
    pytest.param(Message(id="1", thread_id="t1", content={"format": 2, "parts": [{"type": "file"}]}), r"a file part of Message '1' needs 'data'.*found \['type'\]", id="file part"),
    pytest.param(Message(id="1", thread_id="t1", content={"format": 2, "parts": [{"type": "reasoning", "reasoning": "x"}]}), "neither text nor files", id="nothing to see"),
]  # fmt: skip


@pytest.mark.parametrize("given, text", WRONG)
async def test_input_that_cannot_be_names_the_place_and_the_mend(
    agent: Agent, store: CountingStore, model: ScriptedModel, given: Any, text: str
) -> None:
    """Nothing is asked, read or written."""
    with pytest.raises(InvalidInputError, match=text):
        await agent.generate(given, **HERE)
    assert (store.batches(), model.requests) == ([], [])
