"""Mastra: the agents of a program and the storage that they share.

Knows agents, their memories, stores and vector stores. Must not know models, domains or engines.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Coroutine, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mastra_core.agent.agent import Agent
from mastra_core.erasure import Erased, erase
from mastra_core.errors import AgentNotFoundError, ConfigurationError, MastraWarning
from mastra_core.memory.embedder import Embedder, as_embedder
from mastra_core.memory.memory import Memory
from mastra_core.memory.sources import as_store, as_vector, close_held
from mastra_core.names import did_you_mean
from mastra_core.storage.store import Store
from mastra_core.storage.vectors.port import VectorStore
from mastra_core.sync import blocking, facade
from mastra_core.telemetry.options import Observability
from mastra_core.telemetry.tracing import OFF

if TYPE_CHECKING:
    from mastra_core.telemetry.observer import Observer

DEFAULT_FILE = "mastra.db"
"""Where everything is kept if no storage is given: in the directory in which the program was started."""


class Mastra:
    """Agents by name, and a storage for those whose memory has none of its own.

    Nothing is connected before it is used. `async with Mastra(…) as mastra` closes it at the end.

    Args:
        storage: a store, or the URL of one; None is an SQLite file `mastra.db` in the current directory, with a MastraWarning.
        vector: a vector store, or the URL of one, for agents whose memory has none of its own.
        embedder: "provider/model" or an Embedder, likewise.
        agents: by the key that `get_agent` takes.
        observability: True, or Observability(…): runs of the agents are traced with OpenTelemetry, and the spans kept in the storage,
            where `result.trace_id` finds them. Needs mastra-core[otel]. False traces nothing, and costs nothing.

    Attributes:
        observer: what traces; it says how many spans are `stored` and `dropped`, and can `flush()`. None if nothing is traced.

    Raises:
        ConfigurationError: an argument cannot be that, two agents have one id, or a memory is used with another Mastra's storage already.
    """

    def __init__(
        self,
        *,
        storage: Store | str | None = None,
        vector: VectorStore | str | None = None,
        embedder: Embedder | str | None = None,
        agents: Mapping[str, Agent] | None = None,
        observability: Observability | bool = False,
    ) -> None:
        self._agents = _checked(agents)
        self._closed = False
        self.storage = _default_store() if storage is None else as_store(storage, at="Mastra")
        self.vector = None if vector is None else as_vector(vector, at="Mastra")
        self.embedder = None if embedder is None else as_embedder(embedder, at="Mastra")
        self.observer = _observer(observability, self.storage)
        for memory in self._memories():
            memory.check_free(self.storage)
        for memory in self._memories():
            memory.attach(self.storage, vector=self.vector, embedder=self.embedder)
        if self.observer is not None:
            for agent in self._agents.values():
                agent.tracing = self.observer
            self.observer.watch(self._stores(), vectors=self._vectors())

    @cached_property
    def sync(self) -> MastraSync:
        """This Mastra for code without an event loop: `mastra.sync.close()`."""
        return MastraSync(self)

    def get_agent(self, key: str) -> Agent:
        """The agent registered as *key*.

        Raises:
            AgentNotFoundError: there is none; the message names those there are.
        """
        if key not in self._agents:
            msg = f"Agent with name {key} not found; the agents are {list(self._agents)}{did_you_mean(key, self._agents)}"
            raise AgentNotFoundError(msg)
        return self._agents[key]

    def get_agent_by_id(self, agent_id: str) -> Agent:
        """The agent with this id, else the one registered under it as a key.

        Raises:
            AgentNotFoundError: there is neither; the message names the ids there are.
        """
        by_id = {agent.id: agent for agent in self._agents.values()}
        found = by_id.get(agent_id) or self._agents.get(agent_id)
        if found is None:
            msg = f"Agent with id {agent_id} not found; the ids are {list(by_id)}{did_you_mean(agent_id, by_id)}"
            raise AgentNotFoundError(msg)
        return found

    def list_agents(self) -> dict[str, Agent]:
        """Every agent by its key."""
        return dict(self._agents)

    async def drain(self) -> None:
        """Wait until every stream of every agent, also those that nobody reads to the end, is produced and saved, and every title made."""
        await asyncio.gather(*(agent.drain() for agent in self._agents.values()))

    async def erase(self, *, resource_id: str | None = None, thread_id: str | None = None) -> Erased:
        """Erase all that is known of a resource, or of a thread, from every store and vector store, and answer with counts as proof.

        A second call answers zeros. A run that is under way can no longer save to what is erased (ThreadNotFoundError); what begins
        while this runs is erased too, or stays whole. What an index of vectors gets after the answer of such a run is not waited for:
        `drain()` first. See Store.erase for what goes.

        Args:
            resource_id: its threads, messages, working memory, vectors, and the runs, scores and traces that name it.
            thread_id: the thread, its messages and vectors, and the runs, scores and traces that name it; instead of *resource_id*.

        Raises:
            ConfigurationError: not exactly one of the two ids was given.
            MastraError: a store failed in the middle; a note says what is erased, and calling again goes on.
        """
        return await erase(self._stores(), self._vectors(), resource_id=resource_id, thread_id=thread_id)

    async def close(self) -> None:
        """Drain, store every span, then close the models and stores that this Mastra and its agents hold, each once; idempotent.

        Raises:
            StorageError: a store could not be closed; the others are.
        """
        if self._closed:
            return
        self._closed = True
        await self.drain()
        if self.observer is not None:
            await self.observer.close()
            for agent in self._agents.values():
                agent.tracing = OFF if agent.tracing is self.observer else agent.tracing
        # A Model object may serve several agents; a name, or a list, is resolved by each agent for itself.
        owners = {id(agent if isinstance(agent.model, str | Sequence) else agent.model): agent for agent in self._agents.values()}
        closing: list[Coroutine[Any, Any, None]] = [agent.close() for agent in owners.values()]
        memories = self._memories()
        held: list[Store | VectorStore] = [*self._stores(), *self._vectors()]
        closing += [one.close() for one in {id(one): one for one in held}.values()]
        embedders = {id(one): one for one in (self.embedder, *(memory.embedder for memory in memories)) if one is not None}
        closing += [close_held(one) for one in embedders.values()]
        outcomes = await asyncio.gather(*closing, return_exceptions=True)
        for memory in self._memories():
            memory.release(self.storage)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def __aenter__(self) -> Self:
        """This Mastra; nothing is connected yet."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Drain and close."""
        await self.close()

    def _stores(self) -> list[Store]:
        return [store for store in (self.storage, *(memory.storage for memory in self._memories())) if store is not None]

    def _vectors(self) -> list[VectorStore]:
        return [vector for vector in (self.vector, *(memory.vector for memory in self._memories())) if vector is not None]

    def _memories(self) -> list[Memory]:
        return list({id(a.memory): a.memory for a in self._agents.values() if a.memory is not None}.values())


@facade(Mastra)
class MastraSync:
    """A Mastra, blocking; see Mastra for what each method promises. `with Mastra(…).sync as mastra` closes it at the end."""

    def __init__(self, mastra: Mastra) -> None:
        self._async = mastra

    drain = blocking(Mastra.drain)
    erase = blocking(Mastra.erase)
    close = blocking(Mastra.close)

    def __enter__(self) -> Self:
        """This Mastra; nothing is connected yet."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Drain and close."""
        self.close()


def _checked(agents: object) -> dict[str, Agent]:
    if agents is None:
        return {}
    if not isinstance(agents, Mapping):
        msg = f'Mastra: agents must be a mapping such as {{"support": agent}}, found a {type(agents).__name__}'
        raise ConfigurationError(msg)
    by_id: dict[str, Agent] = {}
    for key, agent in agents.items():
        if not isinstance(key, str) or not isinstance(agent, Agent):
            msg = f"Mastra: agents[{key!r}] must be an Agent under a string, found a {type(agent).__name__} under a {type(key).__name__}"
            raise ConfigurationError(msg)
        if by_id.setdefault(agent.id, agent) is not agent:
            msg = f"Mastra: two agents have the id {agent.id!r}; give each its own"
            raise ConfigurationError(msg)
    return dict(agents)


def _observer(wanted: object, storage: Store) -> Observer | None:
    if wanted is False:
        return None
    if not isinstance(wanted, Observability) and wanted is not True:
        msg = f"Mastra: observability must be True, False or Observability(…), found {wanted!r}"
        raise ConfigurationError(msg)
    try:
        from mastra_core.telemetry.observer import Observer
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        msg = 'Mastra: observability needs opentelemetry-sdk, which is not installed; install it: pip install "mastra-core[otel]"'
        raise ConfigurationError(msg) from error
    return Observer(storage, options=Observability() if wanted is True else wanted)


def _default_store() -> Store:
    path = Path(DEFAULT_FILE).absolute()
    msg = (
        f'no storage was given, so everything is kept in {path}; say so yourself to be rid of this warning: storage="file:./{DEFAULT_FILE}"'
    )
    # 3: at the line that called Mastra(…).
    warnings.warn(msg, MastraWarning, stacklevel=3)
    from mastra_core.storage.libsql.store import LibSQLStore

    return LibSQLStore(id="mastra-storage", url=f"file:./{DEFAULT_FILE}")
