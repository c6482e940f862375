"""What the benchmarks of PostgreSQL compare with: the statements of ours by hand on psycopg, and the real @mastra/pg in a Node of its own.

Knows psycopg, Node, and a server to run on. Must not know what is timed.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

from tests.scale_postgres import Statement
from tests.servers import typescript
from tests.servers.postgres import PostgresServer
from tests.servers.process import MissingServerError


@contextmanager
def database(url: str | None) -> Iterator[str]:
    """The URL of an empty database, dropped afterwards: on the server at *url*, or on one that is started now, which waits for no disk."""
    if url is None:
        with tempfile.TemporaryDirectory(prefix="mastra-bench-", ignore_cleanup_errors=True) as folder:
            Path(folder).chmod(0o711)
            with PostgresServer(Path(folder)) as server, database(server.url) as fresh:
                yield fresh
        return
    name = f"mastra_bench_{uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield urlsplit(url)._replace(path=f"/{name}").geturl()
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def piped(connection: psycopg.AsyncConnection[Any], statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
    """The rows of every statement, its parameters numbered, in one pipeline: what a programmer writes by hand."""
    cursors = [psycopg.AsyncRawCursor(connection) for _ in statements]
    async with connection.pipeline():
        for cursor, (text, parameters) in zip(cursors, statements, strict=True):
            await cursor.execute(text, parameters)
    return [await cursor.fetchall() for cursor in cursors]


class Node:
    """The real @mastra/pg in a process of its own: it takes commands one by one, and times itself."""

    def __init__(self, url: str) -> None:
        """Start Node with mastra_pg.mjs.

        Raises:
            MissingServerError: the packages are not installed.
        """
        if not (typescript.INSTALLED / "node_modules" / "@mastra" / "pg").is_dir():
            raise MissingServerError("@mastra/pg is not installed: run `make servers`")
        script = (Path(__file__).parent / "mastra_pg.mjs").read_text()
        self._process = subprocess.Popen(
            [str(typescript.node()), "--input-type=module", "--eval", script, url],
            cwd=typescript.INSTALLED, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        """Nothing more."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let Node end."""
        self._process.communicate()

    def ask(self, what: str, **given: Any) -> dict[str, Any]:
        """What Node answers to a command, such as the milliseconds that it took.

        Raises:
            RuntimeError: it ended, or failed; its words.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"what": what, **given}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": f"Node ended with exit code {self._process.wait()}"}
        if "error" in answer:
            raise RuntimeError(f"@mastra/pg, asked to {what}: {answer['error']}")
        return answer
