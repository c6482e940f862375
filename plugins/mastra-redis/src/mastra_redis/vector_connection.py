"""A connection for vectors: whether the server searches by itself, and the commands of its search. Talks to redis-py by way of `Caller`.

Knows FT.CREATE, FT.SEARCH, FT.INFO and FT.DROPINDEX of Redis 8 and of the search module; must not know what is searched for.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
from redis.exceptions import NoPermissionError, NoScriptError, ResponseError

from mastra_core.errors import UnsupportedError
from mastra_core.storage.vectors.looking import How
from mastra_core.storage.vectors.port import Metric
from mastra_redis.connections import AT_ONCE, Caller, Confirmation
from mastra_redis.setup import Client
from mastra_redis.vector_keys import ASIDE, Clause, Index
from mastra_redis.vector_scripts import LOOK, SETTLE

LARGEST_DIMENSION = 32_768
"""Of a vector in a search index."""

CANDIDATES = 200
"""How many near vectors a search along an index keeps in sight at least; the server's own default of 10 misses too many."""

TIMEOUT_MS = 4_000
"""After so long the server gives what it has found; with its own default of 500 ms a large index gives too little on a busy machine."""

PAGE = 500
"""Vectors that one script reads, marks or removes: it keeps every other client waiting."""

_LOOK_DIGEST = hashlib.sha1(LOOK.encode(), usedforsecurity=False).hexdigest()
_FIRST_ASIDE = (ASIDE, "", str(PAGE), "1")

_METRICS: Mapping[Metric, str] = {"cosine": "COSINE", "euclidean": "L2", "dotproduct": "IP"}

Row: TypeAlias = tuple[bytes, bytes | None, bytes | None]
"""Id, metadata and vector, as stored."""


STEP = 50
"""Vectors that one script enters into a search index: each takes about a millisecond, in which the server does nothing else."""


class Stale(Exception):
    """The index is another than the caller thought: removed, made anew, or marked by other fields."""


@attrs.frozen
class Progress:
    """How far a search index is built."""

    built: bool
    percent: float


@attrs.frozen(kw_only=True)
class Along:
    """What a search along an index gives.

    Attributes:
        found: the near ones; None where there is no such index, or it ran out of time.
        progress: of the index; None where there is none.
        aside: the vectors that are not in it, some twice.
    """

    found: list[Row] | None
    progress: Progress | None
    aside: list[Row]


class Connection:
    """One client of one database or cluster.

    Args:
        connect: makes the client, on first use; it must not retry by itself.
        owned: whether close() closes the client.
        confirmation: of writes; None is the master's word alone.
        how: what is asked of the server.
    """

    def __init__(self, connect: Callable[[], Client], *, owned: bool, confirmation: Confirmation | None, how: How) -> None:
        self._caller = Caller(connect, owned=owned, confirmation=confirmation)
        self._how = how
        self._has_search = False
        self._room = asyncio.Semaphore(AT_ONCE // 2)

    @property
    def native(self) -> bool:
        """Whether searches go along search indexes; known after open()."""
        return self._has_search and self._how != "exact"

    @property
    def searches(self) -> bool:
        """Whether the server has search indexes, which it keeps up to date with every write."""
        return self._has_search

    @property
    def client(self) -> Client:
        """The client, made now if it was not yet."""
        return self._caller.client

    @property
    def speaks_tls(self) -> bool:
        """Whether what is sent is encrypted."""
        return self._caller.speaks_tls

    async def open(self) -> None:
        """Connect, and ask whether the server searches.

        Raises:
            UnsupportedError: it does not, and search="native" asks for it.
        """
        missing = await self._missing()
        self._has_search = missing is None
        if missing is not None and self._how == "native":
            msg = (
                f"RedisVector(search='native'): {missing}. Use one node of Redis 8, or with the search module, and its database 0; or "
                "search='exact', which looks at each vector that the filter leaves"
            )
            raise UnsupportedError(msg)

    async def close(self) -> None:
        """Release the client; callable after a failed open()."""
        await self._caller.close()

    async def send(self, *command: Any, writes: bool = False) -> Any:
        """Make one command."""
        return await self._caller.send(*command, writes=writes)

    async def script(self, script: str, keys: Sequence[str], args: Sequence[str | bytes], *, writes: bool = False) -> Any:
        """Run a script that knows no index."""
        return await self._caller.script(script, keys, args, writes=writes)

    async def at(
        self, index: Index, script: str, args: Iterable[str | bytes] = (), *, fields: str = "*", writes: bool = False
    ) -> list[Any]:
        """Run a script on *index*.

        Args:
            index: as it was when it was asked for last.
            script: one that begins by checking this.
            args: what the script takes beside it.
            fields: by which the index must still be marked; "*" for any.
            writes: whether it changes anything.

        Raises:
            Stale: the index has become another; nothing was written.
        """
        args = [index.generation, fields, index.root, *args]
        answer: list[Any] = await self._caller.script(script, [index.meta], args, writes=writes)
        if answer[0] != b"done":
            raise Stale
        return answer[1:]

    # ------------------------------------------------------------------------------------------------- search indexes

    async def make_search_index(self, index: Index) -> None:
        """Have the search index of *index*; the server builds it of what is there while it answers others."""
        vector = ("TYPE", "FLOAT32", "DIM", index.dimension, "DISTANCE_METRIC", _METRICS[index.metric])
        schema = ("vector", "VECTOR", "HNSW", len(vector), *vector, "marks", "TAG", "SEPARATOR", " ")
        try:
            await self.send("FT.CREATE", index.root, "ON", "HASH", "PREFIX", 1, index.vector_key(""), "SCHEMA", *schema, writes=True)
        except ResponseError as error:
            if "already exists" not in str(error).lower():
                raise

    async def drop_search_index(self, root: str) -> None:
        """Remove a search index, if there is one; the vectors stay."""
        if not self._has_search:
            return
        try:
            await self.send("FT.DROPINDEX", root, writes=True)
        except ResponseError as error:
            if not _is_unknown_index(error):
                raise

    async def settle(self, index: Index, aside: Sequence[tuple[str | bytes, bytes]]) -> None:
        """Enter vectors that were put aside, ids and vectors, into the search index, some at a time.

        Raises:
            Stale: the index has become another.
        """
        for start in range(0, len(aside), STEP):
            told: list[str | bytes] = []
            for name, blob in aside[start : start + STEP]:
                told += [name, hashlib.sha1(blob, usedforsecurity=False).hexdigest()]
            await self.at(index, SETTLE, told, writes=True)

    async def search(self, index: Index, vector: bytes, *, clauses: Sequence[Clause], limit: int) -> Along | None:
        """About the *limit* nearest along the search index, among what has a mark of each of *clauses*; one time to the server and back.

        None where the script of it must be sent as a whole first, or more than a PAGE of vectors lies aside: ask `step_by_step`.

        Raises:
            Stale: the index has become another.
        """
        look = ("EVALSHA", _LOOK_DIGEST, 1, index.meta, index.generation, "*", index.root, *_FIRST_ASIDE)
        async with self._room:
            pipe: Any = self.client.pipeline(transaction=False)
            # One after another: what is entered into the search index between two of them was aside before, what is taken out is after.
            for command in (look, _search(index, vector, clauses=clauses, limit=limit), ("FT.INFO", index.root), look):
                pipe.execute_command(*command)
            before, found, told, after = await pipe.execute(raise_on_error=False)
        if isinstance(before, NoScriptError):
            return None
        for answer in (before, after):
            if isinstance(answer, BaseException):
                raise answer
            if answer[0] != b"done":
                raise Stale
        if max(before[1], after[1]) > PAGE:
            return None
        aside = [row for answer in (before, after) for row in rows_of(answer[2:])]
        return Along(found=_found(index, found), progress=_progress(told), aside=aside)

    async def step_by_step(
        self, index: Index, vector: bytes, *, clauses: Sequence[Clause], limit: int, aside: Callable[[], Awaitable[list[Row]]]
    ) -> Along:
        """`search`, with as many commands as it takes to read what lies *aside*."""
        before = await aside()
        found = await self._answer(*_search(index, vector, clauses=clauses, limit=limit))
        told = await self._answer("FT.INFO", index.root)
        return Along(found=_found(index, found), progress=_progress(told), aside=[*before, *await aside()])

    async def _answer(self, *command: Any) -> Any:
        """What the server says, a refusal included."""
        try:
            return await self.send(*command)
        except ResponseError as error:
            return error

    async def _missing(self) -> str | None:
        """What keeps this server from searching by itself; None when nothing does."""
        client: Any = self._caller.client
        if self._caller.is_cluster:
            await self._caller.ping()
            return "search is not used on a cluster"
        if number := int(client.connection_pool.connection_kwargs.get("db") or 0):
            await self._caller.ping()
            return f"Redis searches in database 0 alone, and this is database {number}"
        try:
            await self.send("FT.INFO", "mastra_vectors")
        except NoPermissionError:
            return "the user may not run FT.INFO and other commands of search"
        except ResponseError as error:
            return None if _is_unknown_index(error) else f"this server does not search ({error})"
        return None


def _is_unknown_index(error: ResponseError) -> bool:
    text = str(error).lower()
    return "unknown index" in text or "no such index" in text


def _search(index: Index, vector: bytes, *, clauses: Sequence[Clause], limit: int) -> tuple[Any, ...]:
    narrowed = " ".join(f"@marks:{{{'|'.join(sorted(clause))}}}" for clause in clauses)
    query = f"({narrowed or '*'})=>[KNN $limit @vector $vector EF_RUNTIME {max(CANDIDATES, limit)} AS near]"
    params = ("PARAMS", 4, "limit", limit, "vector", vector)
    shown = ("RETURN", 2, "vector", "metadata", "SORTBY", "near", "LIMIT", 0, limit, "TIMEOUT", TIMEOUT_MS, "DIALECT", 2)
    return ("FT.SEARCH", index.root, query, *params, *shown)


def _found(index: Index, answer: Any) -> list[Row] | None:
    """The rows in an answer of FT.SEARCH in either protocol; None when there is no such index, or time ran out."""
    if _is_missing(answer):
        return None
    if isinstance(answer, Mapping):
        if answer.get(b"warning"):
            return None
        found = [(one[b"id"], one[b"extra_attributes"]) for one in answer[b"results"]]
    else:
        found = [(key, _pairs(fields or [])) for key, fields in zip(answer[1::2], answer[2::2], strict=True)]
    begun = len(index.vector_key("").encode())
    return [(key[begun:], fields.get(b"metadata"), fields.get(b"vector")) for key, fields in found]


def _progress(answer: Any) -> Progress | None:
    """How far a search index is built by what FT.INFO says; None where there is none."""
    if _is_missing(answer):
        return None
    told = _pairs(answer)
    percent = float(told[b"percent_indexed"])
    return Progress(built=percent >= 1 and not int(told[b"indexing"]), percent=100 * percent)


def _is_missing(answer: Any) -> bool:
    """Whether the server says that there is no such search index.

    Raises:
        ResponseError: it says something else.
    """
    if isinstance(answer, BaseException):
        if not isinstance(answer, ResponseError) or not _is_unknown_index(answer):
            raise answer
        return True
    return False


def rows_of(flat: Sequence[Any]) -> list[Row]:
    """What LOOK answers, as rows."""
    return list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))


def _pairs(answer: Any) -> Mapping[bytes, Any]:
    return answer if isinstance(answer, Mapping) else dict(zip(answer[::2], answer[1::2], strict=True))
