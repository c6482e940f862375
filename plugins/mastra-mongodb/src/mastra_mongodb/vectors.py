"""MongoDBVector: vectors in MongoDB, in the collections of the TypeScript package `@mastra/mongodb`. Builds the engine; asks it nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Never

from mastra_core.errors import ConfigurationError
from mastra_core.storage.options import one_way, refuse_unknown
from mastra_core.storage.vectors.looking import EXACT_SEARCH_LIMIT, How, check_search
from mastra_core.storage.vectors.port import Filter, VectorMatch
from mastra_core.storage.vectors.vectors import Vectors, operation
from mastra_mongodb.address import address
from mastra_mongodb.vector_documents import Shape
from mastra_mongodb.vector_engine import MongoDBVectorEngine
from mastra_mongodb.vector_records import VectorRecord, columns, one_vector

INDEX_WAIT_SECONDS = 60.0
"""How long create_index waits for a search index, as the TypeScript package does when asked."""

_OPTIONS = ("id", "uri", "db_name", "options", "embedding_field_path", "search", "exact_search_limit", "index_wait_seconds")
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


class MongoDBVector(Vectors):
    """Vectors in a MongoDB database, which the TypeScript package's MongoDBVector reads and writes too.

    Where the server has search indexes (MongoDB Atlas, or mongot beside a server) an index is searched along one, approximately: as many
    are found as were asked for, now and then not the very nearest, and what was saved a moment ago may be found a moment later.
    create_index waits until it can be asked. Elsewhere every vector that the filter leaves is looked at: exact, for small collections.

    Scores mean what they mean on every backend; Atlas's own, from 0 to 1, are not used. Batches are whole where the server is a replica set
    or sharded; a standalone server, stopped in the middle of a batch, keeps part of it.

    Args:
        id: its name in errors and logs; default "mongodb".
        uri: `mongodb://user:password@host/database`, or `mongodb+srv://…`.
        db_name: the database; default: the one in *uri*.
        options: of pymongo's AsyncMongoClient, by its names, such as {"maxPoolSize": 20}.
        embedding_field_path: where a document has its vector, dotted if nested; default "embedding".
        search: "native" asks for a server with search indexes, "exact" never uses them, "auto" (the default) where they are.
        exact_search_limit: how many vectors a search may look at one by one; more is an UnsupportedError. Default 10,000.
        index_wait_seconds: how long create_index waits for a search index; default 60.

    Raises:
        ConfigurationError: *uri* is missing or none of MongoDB's, no database is named, or an option is unknown or out of range.
    """

    def __init__(
        self,
        *,
        id: str = "mongodb",  # the option's fixed name
        uri: str | None = None,
        db_name: str | None = None,
        options: Mapping[str, Any] | None = None,
        embedding_field_path: str = "embedding",
        search: How = "auto",
        exact_search_limit: int = EXACT_SEARCH_LIMIT,
        index_wait_seconds: float = INDEX_WAIT_SECONDS,
        **unknown: Never,
    ) -> None:
        refuse_unknown(unknown, known=_OPTIONS, at="MongoDBVector")
        one_way({"uri": uri}, of="MongoDBVector", example="MongoDBVector(uri='mongodb://localhost:27017', db_name='mastra')")
        _check(embedding_field_path, search, exact_search_limit, index_wait_seconds)
        engine = MongoDBVectorEngine(
            address(uri, db_name=db_name, options=options, of="MongoDBVector"),
            search=search,
            exact_limit=exact_search_limit,
            shape=Shape(tuple(embedding_field_path.split("."))),
            wait_seconds=index_wait_seconds,
        )
        super().__init__(engine, id=id, product="mongodb")

    @operation
    async def upsert(
        self,
        index_name: str,
        *,
        vectors: Sequence[Sequence[float] | VectorRecord],
        metadata: Sequence[Filter | None] | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[str]:
        """Save all *vectors* or none, and answer with their ids; a stored one of the same id is replaced, metadata and all.

        Args:
            index_name: of an index that exists.
            vectors: one or more, each of the index's dimension; or records `{"id", "values", "metadata"}`.
            metadata: one object for each vector, or None: {} for each; not beside records.
            ids: one for each vector, no two alike; or None: new ones; not beside records.

        Raises:
            InvalidInputError: a vector, id, or metadata was refused; nothing was sent.
            IndexNotFoundError: there is no such index.
        """
        return await super().upsert(index_name, **columns(vectors, metadata=metadata, ids=ids))

    @operation
    async def query(
        self,
        index_name: str,
        *,
        query_vector: Sequence[float] | None = None,
        vector: Sequence[float] | None = None,
        top_k: int = 10,
        filter: Filter | None = None,
        include_vector: bool = False,
    ) -> list[VectorMatch]:
        """The *top_k* nearest vectors whose metadata meets *filter*, by descending score, then by id; fewer only when no more meet it.

        Args:
            index_name: of an index that exists.
            query_vector: what to be near to.
            vector: the same, by the name that MongoDB's examples use; give one of the two.
            top_k: how many at most, from 1.
            filter: on metadata, in the language of contract §8.2.
            include_vector: whether matches carry their vectors.

        Raises:
            InvalidInputError: a value was refused; nothing was sent.
            IndexNotFoundError: there is no such index.
            UnsupportedError: more than exact_search_limit vectors would have to be looked at.
            StorageUnavailableError: the search index is missing or still being built.
        """
        asked = one_vector(query_vector=query_vector, vector=vector)
        return await super().query(index_name, query_vector=asked, top_k=top_k, filter=filter, include_vector=include_vector)


def _check(path: object, search: object, limit: object, wait: object) -> None:
    if not isinstance(path, str) or _PATH.fullmatch(path) is None or path.partition(".")[0] in {"_id", "metadata", "document"}:
        msg = (
            "MongoDBVector: embedding_field_path is a dotted name outside _id, metadata and document, such as 'embedding' or "
            f"'text.embedding', found {path!r}"
        )
        raise ConfigurationError(msg)
    check_search(search, limit=limit, at="MongoDBVector")
    if isinstance(wait, bool) or not isinstance(wait, int | float) or wait < 0:
        msg = f"MongoDBVector: index_wait_seconds is a number of seconds from 0, found {wait!r}"
        raise ConfigurationError(msg)


def open_mongodb_vector(url: str) -> MongoDBVector:
    """The vector store of a `mongodb://` or `mongodb+srv://` URL that names a database; what the plugin's description names."""
    return MongoDBVector(uri=url)
