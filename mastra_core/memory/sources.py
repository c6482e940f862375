"""What a memory works on: its store, vector store and embedder, its own or those of the Mastra that it is given to.

Knows stores, vector stores and embedders by their public faces. Must not know what is kept in them.
"""

from __future__ import annotations

from mastra_core.errors import ConfigurationError
from mastra_core.memory.embedder import Embedder, as_embedder
from mastra_core.memory.recall import Recall
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.opening import open_store, open_vector
from mastra_core.storage.store import Store
from mastra_core.storage.vectors.port import VectorStore


class Sources:
    """A store, a vector store and an embedder, each its own or attached by a Mastra; its own wins."""

    def __init__(self, *, storage: Store | str | None, vector: VectorStore | str | None, embedder: Embedder | str | None) -> None:
        self._own = None if storage is None else as_store(storage, at="Memory")
        self._own_vector = None if vector is None else as_vector(vector, at="Memory")
        self._own_embedder = None if embedder is None else as_embedder(embedder, at="Memory")
        self._attached: Store | None = None
        self._attached_vector: VectorStore | None = None
        self._attached_embedder: Embedder | None = None
        self._held = False

    @property
    def has_own_storage(self) -> bool:
        """Whether it was given a store of its own."""
        return self._own is not None

    @property
    def storage(self) -> Store | None:
        """The store of its own, else the one of its Mastra, else None."""
        return self._own or self._attached

    def attach(self, storage: Store, *, vector: VectorStore | None = None, embedder: Embedder | None = None) -> None:
        """Use those of a Mastra where there is none of its own; until released, no other Mastra may attach a storage.

        Raises:
            ConfigurationError: see `check_free`.
        """
        self.check_free(storage)
        self._attached, self._held = storage, True
        self._attached_vector, self._attached_embedder = vector, embedder

    def check_free(self, storage: Store) -> None:
        """Refuse a *storage* of a Mastra while that of another one is in use.

        Raises:
            ConfigurationError: it is in use, so what two Mastras save would end up in one of their storages.
        """
        if self._held and self._attached is not None and self._attached is not storage and self._own is None:
            msg = (
                f"this Memory uses the storage {self._attached.id!r} of another Mastra already; give each Mastra agents with a Memory "
                "of their own, close() the other Mastra first, or pass Memory(storage=…)"
            )
            raise ConfigurationError(msg)

    def release(self, storage: Store) -> None:
        """Let another Mastra attach its storage, as *storage* is closed; until then uses are refused as those of a closed store."""
        if self._attached is storage:
            self._held = False

    def require_domain(self) -> MemoryDomain:
        """Threads and messages of the store.

        Raises:
            ConfigurationError: there is no store, neither its own nor a Mastra's.
        """
        if self.storage is None:
            msg = (
                "Memory requires a storage provider to function. Add a storage configuration to Memory or to your Mastra instance: "
                'Memory(storage=LibSQLStore(url="file:./mastra.db")), or Mastra(storage=…, agents={…}) with this agent'
            )
            raise ConfigurationError(msg)
        return self.storage.memory

    @property
    def vector(self) -> VectorStore | None:
        """The vector store of its own, else the one of its Mastra, else None."""
        return self._own_vector or self._attached_vector

    @property
    def embedder(self) -> Embedder | None:
        """The embedder of its own, else the one of its Mastra, else None."""
        return self._own_embedder or self._attached_embedder

    def require_recall(self) -> Recall:
        """What finds messages by their meaning.

        Raises:
            ConfigurationError: there is no vector store, or no embedder.
        """
        if self.vector is None:
            msg = (
                "Semantic recall requires a vector store to be configured. Give one to Memory or to your Mastra instance: "
                'vector=LibSQLVector(url="file:./mastra.db")'
            )
            raise ConfigurationError(msg)
        if self.embedder is None:
            msg = (
                "Semantic recall requires an embedder to be configured. Give one to Memory or to your Mastra instance: "
                'embedder="local/all-minilm-l6-v2" (pip install mastra-local)'
            )
            raise ConfigurationError(msg)
        return Recall(self.vector, self.embedder)

    async def close(self) -> None:
        """Close the stores and the embedder of its own, if it has any; a Mastra's are left to that Mastra."""
        for own in (self._own, self._own_vector):
            if own is not None:
                await own.close()
        if self._own_embedder is not None:
            await close_held(self._own_embedder)


async def close_held(holder: object) -> None:
    """Release what an embedder or a model holds, if it says that it holds something."""
    close = getattr(holder, "close", None)
    if close is not None:
        await close()


def as_vector(vector: object, *, at: str) -> VectorStore:
    """*vector* itself, or opened if it is a URL.

    Raises:
        ConfigurationError: it is neither, or no installed plugin answers the URL.
    """
    if isinstance(vector, str):
        return open_vector(vector)
    if isinstance(vector, VectorStore):
        return vector
    msg = (
        f"{at}: vector must be a vector store or a URL, found a {type(vector).__name__}; "
        'such as LibSQLVector(url="file:./mastra.db") or "file:./mastra.db"'
    )
    raise ConfigurationError(msg)


def as_store(storage: object, *, at: str) -> Store:
    """*storage* itself, or opened if it is a URL.

    Raises:
        ConfigurationError: it is neither, or no installed plugin answers the URL.
    """
    if isinstance(storage, str):
        return open_store(storage)
    if isinstance(storage, Store):
        return storage
    # Only its type is shown: a dictionary of connection options may hold a password.
    msg = (
        f"{at}: storage must be a store or a URL, found a {type(storage).__name__}; "
        'such as LibSQLStore(url="file:./mastra.db") or "file:./mastra.db"'
    )
    raise ConfigurationError(msg)
