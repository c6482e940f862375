"""Embedders behind the embeddings interface of OpenAI. Knows the client by its connection; must not know memory or vector stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mastra_core.errors import ConfigurationError
from mastra_core.openai.connection import Connection

DIMENSIONS: Mapping[str, int] = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
    "mistral-embed": 1024,
    "nomic-embed-text": 768,
    "mxbai-embed-large": 1024,
    "all-minilm": 384,
    "bge-m3": 1024,
}
"""How many numbers a vector of a known model has, by the model's name after the last "/" and before ":"."""

BATCH = 256
"""Texts of one request; OpenAI takes 2,048 at most, and no more than 300,000 tokens together."""


class OpenAIEmbedder:
    """An embedder behind the embeddings interface.

    Args:
        connection: to the provider and model.
        dimension: how many numbers a vector has.
    """

    def __init__(self, connection: Connection, *, dimension: int) -> None:
        self.provider = connection.provider
        self.model_id = connection.model_id
        self.dimension = dimension
        self._connection = connection

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text, in order, in requests of at most BATCH texts.

        Raises:
            ModelError: the provider refused, failed, could not be reached, or gave vectors of another dimension.
        """
        vectors: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            part = [_sendable(text) for text in texts[start : start + BATCH]]
            with self._connection.translated():
                answer = await self._connection.client().embeddings.create(model=self.model_id, input=part, encoding_format="float")
                found = [one.embedding for one in sorted(answer.data or (), key=lambda one: one.index)]
            self._check(found, asked=len(part))
            vectors += found
        return vectors

    async def close(self) -> None:
        """Release the connections that this event loop opened; idempotent."""
        await self._connection.close()

    def __repr__(self) -> str:
        """The name; never the key."""
        return f"<OpenAIEmbedder {self.provider}/{self.model_id}>"

    def _check(self, found: Sequence[Sequence[float]], *, asked: int) -> None:
        if len(found) != asked:
            raise self._connection.errors.nonsense(f"it held {len(found)} embeddings for {asked} texts")
        for vector in found:
            if len(vector) != self.dimension:
                raise self._connection.errors.nonsense(f"an embedding has {len(vector)} numbers, not {self.dimension}")


def _sendable(text: str) -> str:
    """*text* without lone surrogates, which stored messages may hold and UTF-8 cannot; an empty one is refused by providers."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") or " "


def open_embedder(provider: str, *, model_id: str) -> OpenAIEmbedder:
    """The embedder of a provider of the table, by the environment.

    Raises:
        ConfigurationError: how long its vectors are is not known, or as `Connection.of_environment`.
    """
    dimension = DIMENSIONS.get(model_id.rpartition("/")[2].partition(":")[0])
    if dimension is None:
        msg = (
            f"the embedder {provider}/{model_id}: how many numbers its vectors have is not known (known: {', '.join(DIMENSIONS)}); "
            "make it yourself: OpenAIEmbedder(Connection.of_environment(provider, model_id=…, what='embedder'), dimension=…) "
            "of mastra_core.openai"
        )
        raise ConfigurationError(msg)
    return OpenAIEmbedder(Connection.of_environment(provider, model_id=model_id, what="embedder"), dimension=dimension)
