"""A store: an engine behind its guard, and the domains over it. What every backend's class is, and what agents hold.

Knows the domains and the port; must not know any driver, plugin or agent.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, cast, overload

from mastra_core.errors import ConfigurationError, UnsupportedError
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.domains.observability import ObservabilityDomain
from mastra_core.storage.domains.scores import ScoresDomain
from mastra_core.storage.domains.workflows import WorkflowsDomain
from mastra_core.storage.records.engine import RecordEngine
from mastra_core.storage.records.records import Records

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
