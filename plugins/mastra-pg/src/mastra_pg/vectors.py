"""PgVector: vectors in PostgreSQL, in the tables of the TypeScript package `@mastra/pg`. Builds the engine; must not run a statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Never

from mastra_core.errors import InvalidInputError
from mastra_core.storage.options import refuse_unknown
from mastra_core.storage.vectors import checks
from mastra_core.storage.vectors.port import Metric
from mastra_core.storage.vectors.vectors import Vectors, operation
from mastra_pg.address import Limits, Pool, SslMode, address_of
from mastra_pg.vector_engine import PgVectorEngine
from mastra_pg.vector_layouts import Hnsw, Kind, Layout, VectorType

OPTIONS = (
    "id", "connection_string", "host", "port", "database", "user", "password", "pool", "schema_name", "ssl", "index", "max_connections",
    "max_idle_seconds", "max_lifetime_seconds",
)  # fmt: skip


class PgVector(Vectors):
    """Vectors in a PostgreSQL database with pgvector, which the TypeScript package's PgVector reads and writes too.

    An index is found by its nearest-neighbour index where that is quicker, and then holds nearly all of the nearest, as such indexes do;
    `Flat()` makes every search exact. A filter never makes an answer short. Vectors of more than 2,000 dimensions are indexed by 16-bit
    copies, and put in order by themselves; those of more than 4,000 are searched without an index.

    Searches along hnsw and ivfflat are approximate: as many are found as were asked for, now and then not the very nearest. `Flat()` is
    exact.

    Args:
        id: its name in errors and logs; default "pg".
        connection_string: `postgresql://user:password@host/database`, with libpq's parameters and `schema_name` behind `?`; or libpq's
            `key=value` form.
        host: of the server, or the folder of its socket; in place of connection_string, with *database* and *user*.
        port: default 5432.
        database: its name.
        user: the role.
        password: None: what the server's rules, PGPASSWORD or a password file give.
        pool: an open psycopg_pool.AsyncConnectionPool, in place of all that, such as a store's `.pool`; it is never closed here.
        schema_name: where its tables are, made with the first index; default: the first schema of the search path.
        ssl: as of PostgresStore.
        index: what new indexes are, unless create_index says otherwise; default `Hnsw()`.
        max_connections: how many at most; default 20.
        max_idle_seconds: when a connection that is not needed is closed; default 300.
        max_lifetime_seconds: when one is replaced by a new one; default 1800.

    Raises:
        ConfigurationError: no way to connect was given, or two; an option is unknown or cannot be.
    """

    def __init__(
        self,
        *,
        id: str = "pg",  # the option's fixed name
        connection_string: str | None = None,
        host: str | None = None,
        port: int | None = None,
        database: str | None = None,
        user: str | None = None,
        password: str | None = None,
        pool: Pool | None = None,
        schema_name: str | None = None,
        ssl: bool | SslMode | None = None,
        index: Kind | None = None,
        max_connections: int = 20,
        max_idle_seconds: float = 300,
        max_lifetime_seconds: float = 1800,
        **unknown: Never,
    ) -> None:
        at = "PgVector"
        refuse_unknown(unknown, known=OPTIONS, at=at)
        where = {"host": host, "port": port, "database": database, "user": user, "password": password}
        address = address_of(of=at, connection_string=connection_string, pool=pool, ssl=ssl, parts=where)
        limits = Limits(max_connections=max_connections, max_idle_seconds=max_idle_seconds, max_lifetime_seconds=max_lifetime_seconds)
        schema = address.schema_name(schema_name, of=at)
        engine = PgVectorEngine(address.connections(limits, of=at), schema=schema, layout=_layout(index, None, at=at) or Layout())
        super().__init__(engine, id=id, product="pg")
        self._engine = engine

    @operation
    async def create_index(
        self,
        index_name: str,
        *,
        dimension: int,
        metric: Metric = "cosine",
        metadata_indexes: Sequence[str] = (),
        index: Kind | None = None,
        vector_type: VectorType | None = None,
    ) -> None:
        """Make an index unless it is there, and what is missing of *metadata_indexes*.

        Args:
            index_name: a letter or underscore, then letters, digits and underscores, at most 63 in all; the name of the table.
            dimension: how many components each vector has, 1 to 16,000.
            metric: what near means.
            metadata_indexes: fields that filters often ask for, "thread_id" or "owner.name"; made without keeping writers waiting.
            index: `Hnsw(…)`, `IvfFlat(…)` or `Flat()`; None: what the store was made with, or whatever is there.
            vector_type: "vector", 32 bits a component, or "halfvec", 16; None: "vector", or whatever is there.

        Raises:
            InvalidInputError: it is there with another dimension, metric, *index* or *vector_type*, or the name is something else's.
            ConfigurationError: the database has no pgvector, and it could not be added; the message says what to run.
        """
        name, size, meant = checks.check_index_name(index_name), checks.check_dimension(dimension), checks.check_metric(metric)
        paths, layout = (
            checks.check_fields(metadata_indexes),
            _layout(index, vector_type, at="create_index", otherwise=self._engine.layout.kind),
        )
        await self.guard.run(lambda: self._engine.create_index(name, dimension=size, metric=meant, metadata_indexes=paths, layout=layout))


def _layout(index: object, vector_type: object, *, at: str, otherwise: Kind | None = None) -> Layout | None:
    """What was asked for; None where nothing was.

    Raises:
        InvalidInputError: there is no such kind or type.
    """
    if index is None and vector_type is None:
        return None
    try:
        return Layout(kind=index or otherwise or Hnsw(), vector_type=vector_type or "vector")  # type: ignore[arg-type]  # validated there
    except (TypeError, ValueError):
        msg = f"{at}: index is Hnsw(…), IvfFlat(…) or Flat(), and vector_type 'vector' or 'halfvec'; found {index!r} and {vector_type!r}"
        raise InvalidInputError(msg) from None


def open_pg_vector(url: str) -> PgVector:
    """The vector store of a `postgresql://` URL; what the plugin's description names."""
    return PgVector(connection_string=url)
