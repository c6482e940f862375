"""A store: an engine behind its guard, and the domains over it. What every backend's class is, and what agents hold.

Knows the domains and the port; must not know any driver, plugin or agent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, cast, overload

from mastra_core.errors import ConfigurationError, UnsupportedError
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.domains.observability import ObservabilityDomain
from mastra_core.storage.domains.scores import ScoresDomain
from mastra_core.storage.domains.workflows import WorkflowsDomain
from mastra_core.storage.erasing import Erased, Erasure, one_target
from mastra_core.storage.records.engine import RecordEngine
from mastra_core.storage.records.records import Records
from mastra_core.storage.retention import Pruned, RetentionPolicy, prune
from mastra_core.storage.vectors.port import VectorStore

if TYPE_CHECKING:
    from mastra_core.storage.sync_store import StoreSync

Domain = MemoryDomain | WorkflowsDomain | ScoresDomain | ObservabilityDomain

DOMAINS: Mapping[str, type[Domain]] = {
    "memory": MemoryDomain,
    "workflows": WorkflowsDomain,
    "scores": ScoresDomain,
    "observability": ObservabilityDomain,
}
"""The domains, by the names that `get_store` knows."""


class Store:
    """Somewhere to keep what agents must not forget.

    Args:
        engine: one database behind the port; opened on first use, closed by close().
        id: the store's name in errors and logs.
        product: the backend's name, such as "libsql"; it goes into error codes.

    Raises:
        ConfigurationError: *id* is blank.
    """

    def __init__(self, engine: RecordEngine, *, id: str, product: str) -> None:  # the option's fixed name
        if not str(id or "").strip():
            msg = f"{type(self).__name__}: id must be a non-empty string, found {id!r}; leave it out to get {product!r}"
            raise ConfigurationError(msg)
        self.id = id
        self.product = product
        self.records = Records(engine, store_id=id)
        self._domains: dict[str, Domain] = {name: domain(self.records, product=product) for name, domain in DOMAINS.items()}

    @property
    def memory(self) -> MemoryDomain:
        """Threads and messages. UnsupportedError if this store does not keep them."""
        return cast("MemoryDomain", self._require("memory"))

    @property
    def workflows(self) -> WorkflowsDomain:
        """Runs of workflows. UnsupportedError if this store does not keep them."""
        return cast("WorkflowsDomain", self._require("workflows"))

    @property
    def scores(self) -> ScoresDomain:
        """What scorers gave. UnsupportedError if this store does not keep it."""
        return cast("ScoresDomain", self._require("scores"))

    @property
    def observability(self) -> ObservabilityDomain:
        """Spans and traces. UnsupportedError if this store does not keep them."""
        return cast("ObservabilityDomain", self._require("observability"))

    @cached_property
    def sync(self) -> StoreSync:
        """This store for code without an event loop: `store.sync.memory.list_messages(…)`."""
        from mastra_core.storage.sync_store import StoreSync

        return StoreSync(self)

    @overload
    async def get_store(self, name: Literal["memory"]) -> MemoryDomain | None: ...
    @overload
    async def get_store(self, name: Literal["workflows"]) -> WorkflowsDomain | None: ...
    @overload
    async def get_store(self, name: Literal["scores"]) -> ScoresDomain | None: ...
    @overload
    async def get_store(self, name: Literal["observability"]) -> ObservabilityDomain | None: ...
    @overload
    async def get_store(self, name: str) -> Domain | None: ...
    async def get_store(self, name: str) -> Domain | None:
        """The domain of this name, opened; None if this store has none such.

        Raises:
            UnsupportedError: there is no domain of this name at all.
        """
        if name not in DOMAINS:
            msg = f"there is no storage domain {name!r}; the domains are {list(DOMAINS)}"
            raise UnsupportedError(msg)
        await self.init()
        return self._domains.get(name)

    async def init(self) -> None:
        """Open the database and prepare it. Optional: first use does it."""
        await self.records.open()

    async def close(self) -> None:
        """Finish what was accepted and release the database; idempotent."""
        await self.records.close()

    async def prune(
        self,
        policy: RetentionPolicy,
        *,
        dry_run: bool = False,
        batch_size: int = 1000,
        on_progress: Callable[[Pruned], None] | None = None,
        vectors: Sequence[VectorStore] = (),
    ) -> dict[str, Pruned]:
        """Remove what is older, or more, than *policy* allows, and say of each table how much went.

        In batches and bounded memory; a call that was killed is finished by the next one. A record that is changed after it was judged
        old stays.

        * `threads`, by updated_at, take their messages along; `messages`, by created_at, leave their thread and its updated_at as they are.
        * `resources` (working memory), by updated_at, leave their threads.
        * `workflow_snapshot`, by updated_at: only runs that are finished.
        * `scorers`, by created_at.
        * `spans`, by the started_at of the root: whole traces, and none whose root has no end yet.

        Args:
            policy: by table: `{"messages": Retention(max_age="30d"), "spans": {"max_age": "7d", "max_count": 100_000}}`.
            dry_run: count what would go, and remove nothing.
            batch_size: how many records one step removes at most.
            on_progress: is told of a table after every batch, and at its end (`done`).
            vectors: vector stores that hold the messages' embeddings, which go with them.

        Raises:
            ConfigurationError: an unknown table or option, or an age or count that cannot be; nothing was removed.
            UnsupportedError: this backend cannot look through a table yet; the tables before it are done.
        """
        places = {name: domain.records for name, domain in self._domains.items()}
        return await prune(places, policy, dry_run=dry_run, batch_size=batch_size, on_progress=on_progress, vectors=vectors)

    async def erase(self, *, resource_id: str | None = None, thread_id: str | None = None, vectors: Sequence[VectorStore] = ()) -> Erased:
        """Erase all that this store knows of a resource, or of a thread, and answer with counts; a second call answers zeros.

        A save that races with it does not bring anything back: a thread that a run had read is gone when the run saves
        (ThreadNotFoundError). What is saved as new meanwhile is erased too, or stays whole.

        Args:
            resource_id: its threads with all their messages, its own messages in threads of others, its working memory, and the runs,
                scores and traces that name it or one of its threads.
            thread_id: the thread with its messages, and the runs, scores and traces that name it. Every run's snapshot is read for it.
            vectors: vector stores whose metadata says `thread_id` and `resource_id`, as Memory writes it.

        A trace in which any span names what is erased goes whole, since the spans below and around it hold the same texts.

        Raises:
            ConfigurationError: not exactly one of the two ids was given.
            MastraError: a store failed in the middle; a note says what is erased, and calling again goes on.
        """
        field, value = one_target(resource_id=resource_id, thread_id=thread_id)
        return await Erasure({name: [domain.records] for name, domain in self._domains.items()}, vectors=vectors).run(field, value)

    async def __aenter__(self) -> Self:
        """The opened store."""
        await self.init()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the store."""
        await self.close()

    def _require(self, name: str) -> Domain:
        domain = self._domains.get(name)
        if domain is None:
            msg = f"the store {self.id!r} keeps no {name}; it keeps {list(self._domains)}. Ask get_store({name!r}) first: it is None then"
            raise UnsupportedError(msg)
        return domain

    def __repr__(self) -> str:
        """The class and id; never where it connects to."""
        return f"<{type(self).__name__} {self.id!r}>"
