"""PgVector: vectors in PostgreSQL, in the tables of the TypeScript package `@mastra/pg`. Builds the engine; must not run a statement."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Never

from mastra_core.errors import ConfigurationError, InvalidInputError
from mastra_core.storage.options import one_way, refuse_unknown
from mastra_core.storage.vectors import checks
from mastra_core.storage.vectors.port import Metric
from mastra_core.storage.vectors.vectors import Vectors, operation
from mastra_pg.vector_engine import PgVectorEngine
from mastra_pg.vector_layouts import Hnsw, Kind, Layout, VectorType

_SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


class PgVector(Vectors):
    """Vectors in a PostgreSQL database with pgvector, which the TypeScript package's PgVector reads and writes too.

    An index is found by its nearest-neighbour index where that is quicker, and then holds nearly all of the nearest, as such indexes do;
    `Flat()` makes every search exact. A filter never makes an answer short. Vectors of more than 2,000 dimensions are indexed by 16-bit
    copies, and put in order by themselves; those of more than 4,000 are searched without an index.

    Searches along hnsw and ivfflat are approximate: as many are found as were asked for, now and then not the very nearest. `Flat()` is
    exact.

    Args:
        id: its name in errors and logs; default "pg".
        connection_string: `postgresql://user:password@host/database`, or libpq's `key=value` form.
        schema_name: where its tables are, made with the first index; default: the first schema of the search path.
        index: what new indexes are, unless create_index says otherwise; default `Hnsw()`.

    Raises:
        ConfigurationError: *connection_string* is missing, *schema_name* is no name, or an option is unknown.
    """

    def __init__(
        self,
        *,
        id: str = "pg",  # the option's fixed name
        connection_string: str | None = None,
        schema_name: str | None = None,
        index: Kind | None = None,
        **unknown: Never,
    ) -> None:
        refuse_unknown(unknown, known=("id", "connection_string", "schema_name", "index"), at="PgVector")
        one_way(
            {"connection_string": connection_string}, of="PgVector", example="PgVector(connection_string='postgresql://localhost/mydb')"
        )
        if not isinstance(connection_string, str):
            msg = f"PgVector: connection_string must be a string, found {type(connection_string).__name__}"
            raise ConfigurationError(msg)
        if schema_name is not None and _SCHEMA.fullmatch(schema_name) is None:
            msg = f"PgVector: schema_name must be a name of letters, digits and underscores, at most 63, found {schema_name!r}"
            raise ConfigurationError(msg)
        engine = PgVectorEngine(connection_string, schema=schema_name, layout=_layout(index, None, at="PgVector") or Layout())
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
