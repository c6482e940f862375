"""A vector store over an engine: what every backend's class is. Checks what goes in, names what went wrong, opens the engine once.

Knows the vector port; must not know any driver, plugin or agent.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from mastra_core.errors import ConfigurationError, IndexNotFoundError, InvalidInputError, StorageError
from mastra_core.names import did_you_mean
from mastra_core.storage.records.checks import check_id
from mastra_core.storage.records.guard import Guard
from mastra_core.storage.records.watching import Operation, watched
from mastra_core.storage.vectors import checks
from mastra_core.storage.vectors.checks import Target, check_index_name
from mastra_core.storage.vectors.engine import NoIndex, Search, VectorEngine
from mastra_core.storage.vectors.filters import parse
from mastra_core.storage.vectors.port import Filter, IndexDescription, Metric, VectorMatch

if TYPE_CHECKING:
    from mastra_core.storage.vectors.sync_vectors import VectorsSync

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="Vectors")
Method = Callable[Concatenate[S, P], Coroutine[Any, Any, T]]


def operation(method: Method[S, P, T]) -> Method[S, P, T]:
    """*method*, whose storage errors carry its name and TypeScript's error id (contract §0.1, §8.1); watchers are told of each call."""
    name = method.__name__

    async def told(self: S, args: Any, kwargs: Any) -> T:
        with watched(self.guard.watchers, Operation(domain="vectors", name=name, store_id=self.id, product=self.product)):
            return await method(self, *args, **kwargs)

    @functools.wraps(method)
    async def named(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await (told(self, args, kwargs) if self.guard.watchers else method(self, *args, **kwargs))
        except StorageError as error:
            error.store_id = error.store_id or self.id
            error.operation = error.operation or name
            if not error.code.startswith("MASTRA_"):
                error.code = f"MASTRA_VECTOR_{self.product.upper()}_{name.upper()}_{error.code or 'FAILED'}"
            raise

    return named


class Vectors:
    """Vectors with metadata in named indexes, on one engine; see the protocol `VectorStore` for what each method promises.

    Args:
        engine: one database behind the vector port; opened on first use, closed by close().
        id: the store's name in errors and logs.
        product: the backend's name, such as "libsql"; it goes into error codes.

    Raises:
        ConfigurationError: *id* is blank.
    """

    index_separator: str = "_"

    def __init__(self, engine: VectorEngine, *, id: str, product: str) -> None:  # the option's fixed name
        if not str(id or "").strip():
            msg = f"{type(self).__name__}: id must be a non-empty string, found {id!r}; leave it out to get {product!r}"
            raise ConfigurationError(msg)
        self.id = id
        self.product = product
        self.guard = Guard(engine, store_id=id)

    @cached_property
    def sync(self) -> VectorsSync:
        """This store for code without an event loop: `vector.sync.query(…)`."""
        from mastra_core.storage.vectors.sync_vectors import VectorsSync

        return VectorsSync(self)

    async def init(self) -> None:
        await self.guard.open()

    async def close(self) -> None:
        await self.guard.close()

    @operation
    async def create_index(
        self, index_name: str, *, dimension: int, metric: Metric = "cosine", metadata_indexes: Sequence[str] = ()
    ) -> None:
        name, size, meant = check_index_name(index_name), checks.check_dimension(dimension), checks.check_metric(metric)
        paths = checks.check_fields(metadata_indexes)
        engine = self.guard.engine
        await self.guard.run(lambda: engine.create_index(name, dimension=size, metric=meant, metadata_indexes=paths))

    @operation
    async def upsert(
        self,
        index_name: str,
        *,
        vectors: Sequence[Sequence[float]],
        metadata: Sequence[Filter | None] | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[str]:
        rows = checks.check_rows(vectors, metadata=metadata, ids=ids)
        await self._at(index_name, lambda name: self.guard.engine.upsert(name, rows))
        return [row.id for row in rows]

    @operation
    async def query(
        self, index_name: str, *, query_vector: Sequence[float], top_k: int = 10, filter: Filter | None = None, include_vector: bool = False
    ) -> list[VectorMatch]:
        packed = checks.check_vector(query_vector, at="query_vector")
        search = Search(vector=packed, top_k=checks.check_top_k(top_k), condition=parse(filter), include_vector=include_vector)
        return await self._at(index_name, lambda name: self.guard.engine.query(name, search))

    @operation
    async def list_indexes(self) -> list[str]:
        return sorted(await self.guard.run(self.guard.engine.list_indexes))

    @operation
    async def describe_index(self, index_name: str) -> IndexDescription:
        return await self._at(index_name, self.guard.engine.describe_index)

    @operation
    async def delete_index(self, index_name: str) -> None:
        name = check_index_name(index_name)
        await self.guard.run(lambda: self.guard.engine.delete_index(name))

    @operation
    async def update_vector(
        self,
        index_name: str,
        *,
        id: str | None = None,
        filter: Filter | None = None,
        vector: Sequence[float] | None = None,
        metadata: Filter | None = None,
    ) -> int:
        target = checks.check_update_target(id, filter)
        if vector is None and metadata is None:
            msg = "No updates provided; give vector, metadata or both"
            raise InvalidInputError(msg, code="NO_PAYLOAD")
        packed = None if vector is None else checks.check_vector(vector, at="vector")
        text = None if metadata is None else checks.check_metadata(metadata, at="metadata")
        return await self._at(index_name, lambda name: self.guard.engine.update(name, target, vector=packed, metadata=text))

    @operation
    async def delete_vector(self, index_name: str, *, id: str) -> None:
        target = Target((check_id(id, at="id"),))
        await self._at(index_name, lambda name: self.guard.engine.delete(name, target))

    @operation
    async def delete_vectors(self, index_name: str, *, ids: Sequence[str] | None = None, filter: Filter | None = None) -> int:
        target = checks.check_delete_target(ids, filter)
        return await self._at(index_name, lambda name: self.guard.engine.delete(name, target))

    async def _at(self, index_name: str, call: Callable[[str], Awaitable[T]]) -> T:
        """What *call* gives for the index.

        Raises:
            IndexNotFoundError: there is no such index.
        """
        name = check_index_name(index_name)
        try:
            return await self.guard.run(lambda: call(name))
        except NoIndex as missing:
            known = sorted(await self.guard.run(self.guard.engine.list_indexes))
            near = did_you_mean(name, known)
            shown = f"{', '.join(known[:5])}{', …' if len(known) > 5 else ''}" or "none"
            msg = (
                f"there is no index {name!r} in the vector store {self.id!r} (there: {shown}){near or ''}{'' if near else '.'} "
                f"Make it first: create_index({name!r}, dimension=…)"
            )
            raise IndexNotFoundError(msg, store_id=self.id) from missing

    async def __aenter__(self) -> Self:
        """The opened store."""
        await self.init()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the store."""
        await self.close()

    def __repr__(self) -> str:
        """The class and id; never where it connects to."""
        return f"<{type(self).__name__} {self.id!r}>"
