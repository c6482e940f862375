"""Spans saved in batches on every backend, each beside its bare driver's batch insert of the same rows in the same run.

    .venv/bin/python benchmarks/spans.py [--engines libsql postgresql …] [--spans 2000] [--rounds 5] [--folder /dev/shm] [--json]

Rounds go through stores and drivers in turn, each on an empty database, so that a busy machine slows both. The spans are like those of an
agent run: one root and nine steps a trace, each with ids, metadata, attributes, an input and an output, 0.7 kB of JSON together.
Servers are those of the tests: started, or named by the same environment variables.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs

from benchmarks import bare_spans
from mastra_core import clock
from mastra_core.storage import Store, open_store
from mastra_core.storage.records.span_kinds import Span
from mastra_dynamodb import DynamoDBStore
from tests.servers import dynamodb
from tests.servers.fixtures import fresh_mongodb_database, fresh_postgres_database, fresh_sqld
from tests.servers.redis_fixtures import fresh_redis_database
from tests.servers.shared import SharedServers, new_run

START = datetime(2025, 1, 1, tzinfo=UTC)
STEPS = 10
"""Spans of a trace."""
TEXT = "What is the weather in Lisbon, and what should I wear? " * 3


@attrs.frozen
class Where:
    """Where databases are made: on the servers of a run of tests, or in a folder."""

    servers: SharedServers
    folder: Path


@contextmanager
def a_file(where: Where) -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir=where.folder) as own:
        yield f"file:{own}/spans.db"


@contextmanager
def a_libsql_server(_: Where) -> Iterator[str]:
    with fresh_sqld() as server:
        yield server.url


def a_postgres_database(where: Where) -> AbstractContextManager[str]:
    return fresh_postgres_database(where.servers.address("postgres"))


def a_redis_database(where: Where) -> AbstractContextManager[str]:
    return fresh_redis_database(where.servers.address("redis"))


def a_mongodb_database(where: Where) -> AbstractContextManager[str]:
    return fresh_mongodb_database(where.servers.address("mongodb"))


@contextmanager
def a_dynamodb_table(where: Where) -> Iterator[str]:
    endpoint = where.servers.address("dynamodb").url
    client, name = dynamodb.connect(endpoint), f"spans-{uuid.uuid4().hex}"
    dynamodb.create_table(client, name)
    yield f"{endpoint.rstrip('/')}/{name}"
    client.delete_table(TableName=name)


def dynamodb_store(url: str) -> Store:
    parts = urlsplit(url)
    return DynamoDBStore(table_name=parts.path.strip("/"), client=dynamodb.connect(f"{parts.scheme}://{parts.netloc}", retries=5))


@attrs.frozen
class Engine:
    """One backend.

    Attributes:
        empty: gives the URL of an empty database for the length of a block.
        bare: the same database by its driver.
        store: the store at a URL.
        share: of the spans asked for, how many this one is given: a slow one need not take minutes.
    """

    empty: Callable[[Where], AbstractContextManager[str]]
    bare: Callable[[str], bare_spans.Bare]
    store: Callable[[str], Store] = open_store
    share: float = 1.0


ENGINES: Mapping[str, Engine] = {
    "libsql": Engine(a_file, bare_spans.Sqlite),
    "libsql server": Engine(a_libsql_server, bare_spans.Hrana),
    "postgresql": Engine(a_postgres_database, bare_spans.Psycopg),
    "redis": Engine(a_redis_database, bare_spans.Redis),
    "mongodb": Engine(a_mongodb_database, bare_spans.Mongo),
    "dynamodb": Engine(a_dynamodb_table, bare_spans.Boto3, store=dynamodb_store, share=0.1),
}
"""By the names that --engines takes."""


def a_trace(number: int) -> list[Span]:
    """The spans of the agent run of this number, with ids of their own as TypeScript makes them."""
    begun = START + timedelta(seconds=number)
    trace_id = clock.new_id().replace("-", "")
    ids = [clock.new_id().replace("-", "")[16:] for _ in range(STEPS)]
    return [
        Span(
            trace_id=trace_id,
            span_id=span_id,
            parent_span_id=ids[0] if index else None,
            name="agent run: 'weather'" if not index else f"step: {index}",
            span_type="model_step" if index else "agent_run",
            started_at=begun + timedelta(milliseconds=index),
            ended_at=begun + timedelta(milliseconds=index + 500),
            entity_type="agent",
            entity_id="weather",
            entity_name="Weather",
            resource_id="user-456",
            run_id="run-1",
            thread_id="thread-123",
            metadata={"runId": "run-1", "resourceId": "user-456", "threadId": "thread-123"},
            attributes={
                "stepIndex": index,
                "finishReason": "stop",
                "usage": {"inputTokens": 120, "outputTokens": 30},
                "isContinued": False,
            },
            input={"messages": [{"role": "user", "content": TEXT}]},
            output={"text": TEXT, "toolCalls": []},
            tags=["demo"] if not index else None,
        )
        for index, span_id in enumerate(ids)
    ]


async def measure(engine: Engine, where: Where, *, spans: int, rounds: int) -> dict[str, float]:
    """Figures of one backend, medians of all rounds.

    `stored` and `bare_stored` count the rows that the driver found after each; `alike` says whether they are the same.
    """
    found: list[dict[str, float]] = []
    for number in range(rounds):
        created = [span for index in range(spans // STEPS) for span in a_trace(number * spans + index)]
        with engine.empty(where) as place, engine.empty(where) as other:
            async with engine.store(other):
                # Makes the same tables and indexes.
                pass
            figures = await _by_store(engine.store(place), created)
            with closing(engine.bare(place)) as reader, closing(engine.bare(other)) as bare:
                rows = reader.rows()
                began = time.perf_counter()
                bare.insert(rows)
                taken = time.perf_counter() - began
                again = bare.rows()
            figures |= {"bare_per_second": len(created) / taken, "stored": len(rows), "bare_stored": len(again), "alike": again == rows}
        found.append(figures)
    medians = {name: statistics.median(figures[name] for figures in found) for name in found[0]}
    return {**medians, "ratio": statistics.median(figures["bare_per_second"] / figures["created_per_second"] for figures in found)}


async def _by_store(store: Store, created: list[Span]) -> dict[str, float]:
    """Figures of one empty store."""
    async with store:
        domain = store.observability
        create = await seconds(lambda: domain.batch_create_spans(created))
        update = await seconds(
            lambda: domain.batch_update_spans(
                [{"trace_id": s.trace_id, "span_id": s.span_id, "updates": {"ended_at": s.ended_at, "output": s.output}} for s in created]
            )
        )
        listed = await seconds(domain.list_traces)
        read = await seconds(lambda: domain.get_trace(created[0].trace_id))
    rates = {"created_per_second": len(created) / create, "updated_per_second": len(created) / update}
    return {**rates, "list_traces_ms": listed * 1000, "get_trace_ms": read * 1000}


async def seconds(call: Callable[[], Awaitable[Any]]) -> float:
    """How long *call* took."""
    begun = time.perf_counter()
    await call()
    return time.perf_counter() - begun


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shm = Path("/dev/shm")  # noqa: S108  # the point is a file that costs no disk
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES), metavar="ENGINE")
    parser.add_argument("--spans", type=int, default=2000, help="spans a batch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=shm if shm.is_dir() else Path(tempfile.gettempdir()), help="of files")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        where = Where(SharedServers(stack.enter_context(new_run())), folder)
        for name in options.engines:
            spans = int(options.spans * ENGINES[name].share)
            figures = asyncio.run(measure(ENGINES[name], where, spans=spans, rounds=options.rounds))
            if options.json:
                print(json.dumps({"engine": name, "spans": spans, **figures}))
            else:
                print(
                    f"{name:14} {figures['created_per_second']:8,.0f} spans/s, bare driver {figures['bare_per_second']:8,.0f}: "
                    f"{figures['ratio']:4.1f} times as fast; updated {figures['updated_per_second']:8,.0f}/s, "
                    f"list_traces {figures['list_traces_ms']:6.2f} ms, get_trace {figures['get_trace_ms']:6.2f} ms"
                )


if __name__ == "__main__":
    main()
