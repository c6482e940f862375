"""Embedders behind the embeddings interface, against a real local HTTP server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from mastra_core import ConfigurationError, ModelError
from mastra_core.memory.embedder import resolve_embedder
from mastra_core.openai import embedder as embedders
from mastra_core.openai.connection import Connection
from mastra_core.openai.embedder import OpenAIEmbedder
from tests.unit.models.conftest import ChatServer

KEY = "sk-0123456789"


@pytest.fixture
async def embedder(chat_server: ChatServer) -> AsyncIterator[OpenAIEmbedder]:
    connection = Connection("openai", model_id="m", api_key=KEY, base_url=chat_server.url, max_retries=0)
    embedder = OpenAIEmbedder(connection, dimension=2)
    yield embedder
    await embedder.close()


def embeddings(*vectors: list[float], backwards: bool = False) -> dict[str, Any]:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return {"object": "list", "model": "m", "data": data[::-1] if backwards else data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}


async def test_texts_become_vectors_in_their_order(chat_server: ChatServer, embedder: OpenAIEmbedder) -> None:
    """Whatever the order of the answer; one request for all."""
    chat_server.answers(embeddings([1.0, 0.0], [0.0, 1.0], backwards=True))
    assert await embedder.embed(["a", "b"]) == [[1.0, 0.0], [0.0, 1.0]]
    (asked,) = chat_server.requests
    assert (asked["model"], asked["input"], asked["encoding_format"]) == ("m", ["a", "b"], "float")


async def test_many_texts_go_in_several_requests(
    chat_server: ChatServer, embedder: OpenAIEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Providers limit a request."""
    monkeypatch.setattr(embedders, "BATCH", 2)
    chat_server.answers(embeddings([1.0, 0.0], [0.0, 1.0]))
    assert len(await embedder.embed(["a", "b", "c", "d"])) == 4
    assert [asked["input"] for asked in chat_server.requests] == [["a", "b"], ["c", "d"]]


async def test_stored_text_that_utf8_cannot_say_is_embedded_all_the_same(chat_server: ChatServer, embedder: OpenAIEmbedder) -> None:
    """Lone surrogates are legal in a message, and an empty text is refused by providers."""
    chat_server.answers(embeddings([1.0, 0.0], [1.0, 0.0]))
    await embedder.embed(["\ud83d!", ""])
    assert chat_server.requests[0]["input"] == ["\ufffd!", " "]


@pytest.mark.parametrize(
    "answer, text",
    [
        (embeddings([1.0, 0.0]), "1 embeddings for 2 texts"),
        (embeddings([1.0], [1.0]), "an embedding has 1 numbers, not 2"),
        ({"object": "list", "model": "m", "usage": None}, "0 embeddings for 2 texts|No embedding data"),
    ],
)
async def test_an_answer_that_is_none_is_told(chat_server: ChatServer, embedder: OpenAIEmbedder, answer: object, text: str) -> None:
    """Vectors of another length would end in an index of their own, or in none."""
    chat_server.answers(answer)
    with pytest.raises(ModelError, match=text):
        await embedder.embed(["a", "b"])


async def test_a_wrong_key_is_told_without_it(chat_server: ChatServer, embedder: OpenAIEmbedder) -> None:
    """As for models."""
    chat_server.refuses(401, f"Incorrect API key provided: {KEY}")
    with pytest.raises(ModelError, match="set a valid one in the environment variable OPENAI_API_KEY") as caught:
        await embedder.embed(["a"])
    assert KEY not in f"{caught.value} {caught.value.__cause__!r}"


def test_known_embedders_are_resolved_by_name_without_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    """`embedder="openai/text-embedding-3-small"`, as in the documents."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    found = resolve_embedder("openai/text-embedding-3-small")
    assert (found.provider, found.model_id, found.dimension) == ("openai", "text-embedding-3-small", 1536)
    assert resolve_embedder("ollama/nomic-embed-text:latest").dimension == 768


def test_an_embedder_of_unknown_length_says_how_to_make_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a missing key names the variable."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(ConfigurationError, match="openai/text-embedding-9: how many numbers its vectors have is not known"):
        resolve_embedder("openai/text-embedding-9")
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigurationError, match=r"the embedder openai/text-embedding-3-small needs an API key.*OPENAI_API_KEY"):
        resolve_embedder("openai/text-embedding-3-small")
