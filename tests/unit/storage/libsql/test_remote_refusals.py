"""A libSQL server that refuses, fails or is not there: a clear error with the mend, exact about what was written, and no token in it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Self

import pytest

from mastra_core import clock
from mastra_core.errors import ConfigurationError, StorageError, StorageUnavailableError, StoredDataError
from mastra_core.storage.libsql.address import Address
from mastra_core.storage.libsql.remote import RemoteLibSQLEngine
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.libsql.tables import SCHEMA
from mastra_core.storage.opening import open_store
from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.kinds import THREADS, Thread
from mastra_core.storage.records.query import Get
from mastra_core.storage.records.records import Records
from tests.servers.fixtures import fresh_sqld
from tests.servers.process import free_port
from tests.servers.shared import Address as ServerAddress
from tests.servers.sqld import SqldServer

START = clock.from_text("2024-01-01T00:00:00.000Z")
THREAD = Thread(id="t", resource_id="u", created_at=START, updated_at=START)

# The public half of an Ed25519 key made for these tests, and tokens signed by the other half, which was thrown away.
PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAXii9hDg3/uaXi2gwL1L+KvXRyoHi29AGQimdnd34dJU=\n-----END PUBLIC KEY-----\n"
_HEAD = "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9"
WRITES = f"{_HEAD}.eyJhIjoicncifQ.-W4NUaepOOf6fBIj4Djrq9blFgnyOeXoeFLHbehtizDOwFOcSaZCaSRumQAyjhLjzOALVvHgSGHC1Jcn9o4oBw"
READS = f"{_HEAD}.eyJhIjoicm8ifQ.1JKXDG1_cc7FwDsZWgGkJswqx1Mp11b1LZNQlCNYYGWVZrd71xRhlEKHzU5uoADeZe3NFe7JHjqw51tS8cNGDg"
EXPIRED = (
    f"{_HEAD}.eyJhIjoicnciLCJleHAiOjE2MDAwMDAwMDB9.BFwM88ShPCVs8vRj9k4MwAlfa2MoDgLiWZxgwb600zgxi29-e7P4e-_f5RbxFEkDcHQfHxORfgeNi3REcgVnDw"
)


@pytest.mark.parametrize(
    "options, text",
    [
        ({"url": "file:a.db", "auth_token": "SECRET"}, r"auth_token is for a server, and a file has none; leave it out, or write url='libsql://…'"),
        ({"url": ":memory:", "auth_token": "SECRET"}, r"auth_token is for a server"),
        ({"url": "wss://host?authToken=SECRET"}, r"^'wss://…': WebSockets are not spoken here; write 'libsql://…' or 'https://…'"),
        ({"url": "ws://host"}, r"write 'libsql://…' or 'http://…'"),
        ({"url": "libsql://"}, r"^'libsql:…' names no host; write libsql://host"),
        ({"url": "libsql://host:no"}, r"^'libsql://…': Port could not be cast.*write libsql://host or libsql://host:port$"),
        ({"url": "libsql://me:SECRET@host"}, r"^libsql://host: a user or password is not understood.*auth_token=…$"),
        ({"url": "libsql://host?auth_token=SECRET"}, r"^libsql://host: unknown option 'auth_token'.*Did you mean 'authToken'\?$"),
        ({"url": "libsql://host?tls=no"}, r"tls is 0 or 1, found 'no'"),
        ({"url": "libsql://host?tls=0"}, r"needs a port.*libsql://host:8080\?tls=0, or http://host$"),
        ({"url": "libsql://host?authToken=SECRET", "auth_token": "SECRET"}, r"two tokens were given, auth_token and the URL's authToken"),
        ({"config": {"url": "libsql://host", "auth_token": "SECRET"}, "auth_token": "SECRET"}, r"two tokens were given"),
        ({"url": "libsql://host", "auth_token": "SECRET\n"}, r"the auth token holds a space, a line break.*was it copied whole\?"),
        ({"url": "libsql://host", "authToken": "SECRET"}, r"no option 'authToken'.*Did you mean 'auth_token'\?"),
    ],
)  # fmt: skip
def test_a_server_that_cannot_be_meant_says_how_to_write_it(options: dict[str, object], text: str) -> None:
    """Every way to get the URL or the token wrong has its mend, and none shows the token."""
    with pytest.raises(ConfigurationError, match=text) as caught:
        LibSQLStore(**options)  # type: ignore[arg-type]
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "url, base",
    [
        ("libsql://db-me.turso.io", "https://db-me.turso.io"),
        ("libsql://host:8080?tls=0", "http://host:8080"),
        ("libsql://host?tls=1", "https://host"),
        ("HTTPS://Host/path/?authToken=SECRET", "https://host/path"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_libsql_means_https_unless_tls_is_off(url: str, base: str) -> None:
    """The URL that Turso shows is the URL that works."""
    address = Address.of_url(url)
    assert address.url == base
    assert "SECRET" not in repr(address)
    assert "SECRET" not in repr(LibSQLStore(url=url))


def test_a_store_in_a_file_needs_no_http_client() -> None:
    """Whoever keeps a file does not load, or install, what a server is asked with."""
    program = "import sys; from mastra_core.storage import LibSQLStore; LibSQLStore(url='file:a.db'); print('httpx2' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


async def test_a_missing_http_client_is_named_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the first use of a server says what to install."""
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(ConfigurationError, match=r'pip install "mastra-core\[libsql\]"$'):
        await LibSQLStore(url="http://127.0.0.1:1").init()


@pytest.fixture
def guarded(sqld_server: ServerAddress, tmp_path: Path) -> Iterator[SqldServer]:
    """A server that asks for a token."""
    assert sqld_server
    (tmp_path / "key.pem").write_text(PUBLIC_KEY)
    with fresh_sqld("--auth-jwt-key-file", str(tmp_path / "key.pem")) as server:
        yield server


@pytest.mark.parametrize("token", [None, EXPIRED, WRITES[:-8] + "AAAAAAAA"], ids=["no token", "expired", "forged"])
async def test_a_wrong_token_is_refused_with_the_mend_and_never_shown(guarded: SqldServer, token: str | None) -> None:
    """The message says what to get and where to put it."""
    with pytest.raises(StorageUnavailableError, match=r"HTTP 401.*give a valid one as auth_token=…") as caught:
        await LibSQLStore(url=guarded.url, auth_token=token).init()
    assert _HEAD not in f"{caught.value!r} {caught.value.__cause__!r}"


async def test_a_right_token_opens_the_database_as_an_option_or_in_the_url(guarded: SqldServer) -> None:
    """Both places that TypeScript's users know work."""
    async with LibSQLStore(url=guarded.url, auth_token=WRITES) as store:
        await store.memory.save_thread(THREAD)
    async with open_store(f"{guarded.url}&authToken={WRITES}") as store:
        assert await store.memory.get_thread_by_id("t") == THREAD


async def test_a_token_that_may_only_read_opens_a_ready_database_and_cannot_write(guarded: SqldServer) -> None:
    """A dashboard gets a token of its own; what it may not do is said."""
    with pytest.raises(ConfigurationError, match=r"may only be read with this token, and it lacks table mastra_threads"):
        await LibSQLStore(url=guarded.url, auth_token=READS).init()
    async with LibSQLStore(url=guarded.url, auth_token=WRITES) as store:
        await store.memory.save_thread(THREAD)
    async with LibSQLStore(url=guarded.url, auth_token=READS) as store:
        assert await store.memory.get_thread_by_id("t") == THREAD
        with pytest.raises(StorageUnavailableError, match=r"HTTP 403.*give one with the right to read and write"):
            await store.memory.update_thread("t", title="new", metadata={})


async def test_a_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first thing to go wrong in a deployment."""
    monkeypatch.setattr("mastra_core.storage.records.guard.RETRY_DELAYS_SECONDS", (0.01,))
    port = free_port()
    with pytest.raises(
        StorageUnavailableError, match=rf"libSQL at http://127\.0\.0\.1:{port}: .*check that the server runs.*nothing was written"
    ):
        await LibSQLStore(url=f"http://127.0.0.1:{port}").memory.list_threads()


class Canned:
    """What stands where the server should: it answers every request with `answer`, and keeps what it was asked.

    As `answer`, b"" closes the connection without one, and None keeps it open and silent.
    """

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.answer: bytes | None = b""
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._asked, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _asked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = (int(line.partition(b":")[2]) for line in head.splitlines() if line.lower().startswith(b"content-length:"))
        self.asked.append(head + await reader.readexactly(length))
        if self.answer is None:
            await reader.read()
        writer.write(self.answer or b"")
        writer.close()


@pytest.fixture
async def canned() -> AsyncIterator[Canned]:
    """A stand-in for a server, silent until it is told what to answer."""
    async with Canned() as canned:
        yield canned


@pytest.fixture
async def records(canned: Canned, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Records]:
    """The engine behind its guard, opened on the stand-in, with pauses cut short."""
    monkeypatch.setattr("mastra_core.storage.records.guard.RETRY_DELAYS_SECONDS", (0.001, 0.001, 0.001))
    records = Records(RemoteLibSQLEngine(Address(canned.url, "SECRET"), timeout_seconds=0.2), store_id="remote")
    canned.answer = prepared()
    await records.open()
    yield records
    await records.close()


def response(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


TIMES = 4
"""How often a read is tried: once, and after each of the guard's pauses."""

FAILURES: list[tuple[bytes | None, str, int, int]] = [
    (response("308 Permanent Redirect", b"", "location: https://elsewhere.example/?SECRET"), r"HTTP 308.*give that address as the URL", 1, 1),
    (response("404 Not Found", b'{"error":"Namespace `x` doesn\'t exist"}'), r"Namespace `x` doesn't exist \(HTTP 404\).*check the URL", 1, 1),
    (response("429 Too Many Requests", b"slow down"), r"HTTP 429.*lower the number of concurrent calls", TIMES, TIMES),
    (response("502 Bad Gateway", b"<html>oops</html>"), r"HTTP 502.*What was not confirmed may or may not have been stored", TIMES, 1),
    (response("200 OK", b"<html>hello</html>"), r"answered something else than JSON.*is it a libSQL server\?", 1, 1),
    (b"", r"Server disconnected.*check that the server runs", TIMES, 1),
    (None, r"ReadTimeout.*check that the server runs", TIMES, 1),
]  # fmt: skip


@pytest.mark.parametrize("answer, text, reads, writes", FAILURES, ids=["redirect", "nowhere", "busy", "gateway", "a page", "cut", "silent"])
async def test_a_failure_on_the_way_is_told_and_only_what_is_exact_is_tried_again(
    canned: Canned, records: Records, answer: bytes | None, text: str, reads: int, writes: int
) -> None:
    """A read may be repeated; a write whose answer was lost may not, and its error says that it is unknown. The token goes nowhere else."""
    canned.answer = answer
    for act, times in ((lambda: records.fetch(Get(THREADS, ("t",))), reads), (lambda: records.apply(Save(THREADS, THREAD)), writes)):
        canned.asked.clear()
        with pytest.raises(StorageUnavailableError, match=text) as caught:
            await act()
        assert len(canned.asked) == times
        assert all(b"authorization: bearer secret" in asked.lower() for asked in canned.asked)
        assert "SECRET" not in str(caught.value)


REFUSALS: list[tuple[str, str, type[StorageError], str, int]] = [
    ("SQLITE_BUSY", "database is locked", StorageUnavailableError, r"other writers kept the database locked", TIMES),
    ("SQLITE_FULL", "database or disk is full", StorageUnavailableError, r"is full\. What was saved before is safe", 1),
    ("SQLITE_READONLY", "attempt to write a readonly database", StorageUnavailableError, r"use the primary's address", 1),
    ("BLOCKED", "Operation was blocked", StorageUnavailableError, r"over a quota", 1),
    ("SQLITE_CORRUPT", "database disk image is malformed", StoredDataError, r"restore a backup", 1),
    ("SQLITE_UNKNOWN", "no such table: mastra_threads", StorageUnavailableError, r"open the store again, which adds what is missing", 1),
    ("SQLITE_UNKNOWN", "whatever", StorageError, r"\(SQLITE_UNKNOWN\).*please report it", 1),
]


@pytest.mark.parametrize("code, message, kind, text, times", REFUSALS, ids=[code + " " + message for code, message, *_ in REFUSALS])
async def test_what_sqlite_refuses_on_the_server_is_told_with_the_mend(
    canned: Canned, records: Records, code: str, message: str, kind: type[StorageError], text: str, times: int
) -> None:
    """The same errors as of a file have the same classes and mends; only a locked database is asked again."""
    canned.answer = response("200 OK", batch_body([], [None, {"message": message, "code": code}]))
    canned.asked.clear()
    with pytest.raises(kind, match=text) as caught:
        await records.apply(Save(THREADS, THREAD))
    assert type(caught.value) is kind
    assert len(canned.asked) == times


def prepared() -> bytes:
    """The answer of a server to the question whether its database is ready."""
    row: Sequence[object] = (1, SCHEMA.fingerprint, "mastra-core", len(SCHEMA.kinds))
    values = [{"type": "integer", "value": str(value)} if isinstance(value, int) else {"type": "text", "value": value} for value in row]
    return response("200 OK", batch_body([{"rows": [values]}], [None]))


def batch_body(results: list[object], errors: list[object]) -> bytes:
    """The body of an answer to one batch."""
    outcome = {"step_results": results + [None] * (len(errors) - len(results)), "step_errors": errors}
    return json.dumps({"results": [{"type": "ok", "response": {"type": "batch", "result": outcome}}, {"type": "ok"}]}).encode()
