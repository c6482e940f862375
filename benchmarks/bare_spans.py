"""Spans in and out of databases by their bare drivers, in batches: the floor that benchmarks/spans.py compares with.

Rows are what a store wrote, as the driver reads them, and go into an equal empty database as they are: nothing is checked, converted or
answered. Knows drivers; must not know what a span means.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import httpx2
import psycopg
import pymongo
import redis

from mastra_core.storage.libsql.driver import Place, connect
from tests.servers import dynamodb
from tests.servers.sqld import Sql, http

TABLE = "mastra_ai_spans"


class Bare(Protocol):
    """One database by its driver."""

    def rows(self) -> list[Any]:
        """Every row of spans, in an order that does not depend on when it was written."""
        ...

    def insert(self, rows: Sequence[Any]) -> None:
        """Write *rows* in as few calls as the driver allows."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class Sqlite:
    """sqlite3's executemany in one transaction, with our PRAGMAs."""

    def __init__(self, url: str) -> None:
        self._connection = connect(Place(url.removeprefix("file:")))

    def rows(self) -> list[Any]:
        return list(self._connection.execute(f"SELECT * FROM {TABLE} ORDER BY spanId").fetchall())

    def insert(self, rows: Sequence[Any]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(f"INSERT INTO {TABLE} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


class Hrana:
    """Multi-row INSERTs in one transaction in one HTTP request; there is no other driver of a libSQL server in Python."""

    def __init__(self, url: str) -> None:
        self._sql = Sql(url)
        self._url = f"{http(url)}/v2/pipeline"
        self._client = httpx2.Client(timeout=120)

    def rows(self) -> list[Any]:
        return list(self._sql.execute(f"SELECT * FROM {TABLE} ORDER BY spanId"))

    def insert(self, rows: Sequence[Any]) -> None:
        # As many values as a statement of SQLite may have.
        step = 32_766 // len(rows[0])
        statements: list[dict[str, Any]] = [{"sql": "BEGIN IMMEDIATE"}]
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            places = ", ".join(f"({', '.join('?' * len(row))})" for row in some)
            args = [_hrana(value) for row in some for value in row]
            statements.append({"sql": f"INSERT INTO {TABLE} VALUES {places}", "args": args, "want_rows": False})
        statements.append({"sql": "COMMIT"})
        steps = [{"stmt": statement} for statement in statements]
        body = {"requests": [{"type": "batch", "batch": {"steps": steps}}, {"type": "close"}]}
        answer = self._client.post(self._url, content=json.dumps(body)).raise_for_status().json()
        errors = [error for error in answer["results"][0]["response"]["result"]["step_errors"] if error]
        assert not errors, errors

    def close(self) -> None:
        self._client.close()


def _hrana(value: Any) -> dict[str, Any]:
    if value is None:
        return {"type": "null"}
    if isinstance(value, bytes):
        return {"type": "blob", "base64": base64.b64encode(value).decode().rstrip("=")}
    if isinstance(value, int):
        return {"type": "integer", "value": str(value)}
    return {"type": "float", "value": value} if isinstance(value, float) else {"type": "text", "value": value}


class Psycopg:
    """COPY of text: PostgreSQL's fastest way in."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url)

    def rows(self) -> list[Any]:
        with self._connection.cursor() as cursor, cursor.copy(f'COPY (SELECT * FROM {TABLE} ORDER BY "spanId") TO STDOUT') as copy:
            found = [bytes(row) for row in copy]
        self._connection.rollback()
        return found

    def insert(self, rows: Sequence[Any]) -> None:
        with self._connection.cursor() as cursor, cursor.copy(f"COPY {TABLE} FROM STDIN") as copy:
            for row in rows:
                copy.write(row)
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()


class Redis:
    """One pipeline of the same commands: a SET a span, and the ZADDs of the same indexes."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)

    def rows(self) -> list[Any]:
        read: dict[bytes, Callable[[bytes], Any]] = {
            b"string": self._client.get,
            b"hash": self._client.hgetall,
            b"zset": lambda key: dict(cast("list[tuple[bytes, float]]", self._client.zrange(key, 0, -1, withscores=True))),
        }
        keys: list[bytes] = sorted(self._client.scan_iter(match=f"*{TABLE}*", count=1000))
        return [(key, kind := cast("bytes", self._client.type(key)), read[kind](key)) for key in keys]

    def insert(self, rows: Sequence[Any]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for key, kind, value in rows:
            if kind == b"string":
                pipeline.set(key, value)
            elif kind == b"hash":
                pipeline.hset(key, mapping=value)
            else:
                pipeline.zadd(key, value)
        pipeline.execute()

    def close(self) -> None:
        self._client.close()


class Mongo:
    """insert_many of the same documents."""

    def __init__(self, url: str) -> None:
        self._client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(url)
        self._spans = self._client.get_default_database()[TABLE]

    def rows(self) -> list[Any]:
        return list(self._spans.find(sort=[("spanId", 1)]))

    def insert(self, rows: Sequence[Any]) -> None:
        self._spans.insert_many(rows)

    def close(self) -> None:
        self._client.close()


class Boto3:
    """batch_write_item, 25 items a request."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._table = parts.path.strip("/")
        self._client = dynamodb.connect(f"{parts.scheme}://{parts.netloc}")

    def rows(self) -> list[Any]:
        pages = self._client.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
        items = (item for page in pages for item in page["Items"] if item["__edb_e__"] == {"S": "ai_span"})
        return sorted(items, key=lambda item: item["spanId"]["S"])

    def insert(self, rows: Sequence[Any]) -> None:
        for start in range(0, len(rows), 25):
            requests: Any = [{"PutRequest": {"Item": item}} for item in rows[start : start + 25]]
            answer = self._client.batch_write_item(RequestItems={self._table: requests})
            assert not answer["UnprocessedItems"]

    def close(self) -> None:
        self._client.close()
