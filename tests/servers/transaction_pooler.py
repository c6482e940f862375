"""A pooler of PostgreSQL connections in transaction mode: every transaction gets another session, as behind PgBouncer or Supavisor.

It rotates, so that what one transaction leaves in its session is never there in the next one, and notes statements that rely on it.
Speaks to a server that trusts this machine, without TLS.

Knows PostgreSQL's protocol 3. Must not know mastra_core.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST, PROTOCOL = 80877103, 80877104, 80877102, 196608

TRUSTED = b"R\0\0\0\x08\0\0\0\0"

# What outlives a transaction, besides prepared statements, which are seen by their names.
SESSION_STATE = re.compile(
    r"^\s*(SET\s+(?!LOCAL|TRANSACTION)|LISTEN|PREPARE|LOAD|CREATE\s+TEMP|DECLARE\b.*\bWITH\s+HOLD)"
    r"|pg_(try_)?advisory_lock|set_config\([^)]*,\s*false\)",
    re.IGNORECASE | re.DOTALL,
)


class Messages:
    """The messages of one direction; who stops waiting for one loses nothing."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        """Take them from this stream."""
        self._reader = reader
        self._buffer = bytearray()

    async def next(self) -> bytes:
        """Give one message: its kind, its length, its body; EOFError at the end."""
        while len(self._buffer) < 5 or len(self._buffer) < (end := 1 + struct.unpack("!I", self._buffer[1:5])[0]):
            data = await self._reader.read(65536)
            if not data:
                raise EOFError
            self._buffer += data
        message = bytes(self._buffer[:end])
        del self._buffer[:end]
        return message


class Session:
    """One connection to the server, and what the server said about itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Use these streams."""
        self.messages, self.writer = Messages(reader), writer
        self.parameters = b""
        self.waiting = 0

    async def start(self, user: str, database: str) -> None:
        """Say who asks; returns when the session is ready."""
        body = struct.pack("!I", PROTOCOL) + b"".join(part.encode() + b"\0" for part in ("user", user, "database", database)) + b"\0"
        self.writer.write(struct.pack("!I", len(body) + 4) + body)
        while (message := await self.messages.next())[0:1] != b"Z":
            if message[0:1] == b"E" or (message[0:1] == b"R" and message != TRUSTED):
                raise RuntimeError(f"the server did not let the pooler in: {message!r}")
            if message[0:1] == b"S":
                self.parameters += message


class TransactionPooler:
    """Listens on `url` within its `with` block; `violations` are the statements that relied on their session."""

    def __init__(self, server_url: str, *, sessions: int = 3) -> None:
        """Pool that many sessions in the database of `server_url`."""
        self._server_url = urlsplit(server_url)
        self._count = sessions
        self._idle: asyncio.Queue[Session] = asyncio.Queue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pooler", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sessions: list[Session] = []
        self._port = 0
        self.violations: list[str] = []
        self.transactions = 0

    @property
    def url(self) -> str:
        """The database of the server, through the pooler."""
        user = self._server_url.netloc.rpartition("@")[0]
        return self._server_url._replace(netloc=f"{user}@127.0.0.1:{self._port}").geturl()

    def __enter__(self) -> Self:
        """Connect to the server, and begin to listen."""
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Cut all connections."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _open(self) -> None:
        for _ in range(self._count):
            await self._add_session()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _add_session(self) -> None:
        where = self._server_url
        session = Session(*await asyncio.open_connection(where.hostname, where.port))
        await session.start(where.username or "", where.path.strip("/"))
        self._sessions.append(session)
        self._idle.put_nowait(session)

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for session in self._sessions:
            session.writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            if await self._welcomed(reader, writer):
                client = Messages(reader)
                while True:
                    await self._transaction(client, writer)
        writer.close()

    async def _welcomed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Let a client in, under a process id that is none of the server's; False when it came for something else."""
        while True:
            length = struct.unpack("!I", await reader.readexactly(4))[0]
            code = struct.unpack("!I", (await reader.readexactly(length - 4))[:4])[0]
            if code == CANCEL_REQUEST:
                return False
            if code in (SSL_REQUEST, GSS_REQUEST):
                writer.write(b"N")
                continue
            made_up = b"K" + struct.pack("!III", 12, 1 << 30, 1)
            writer.write(TRUSTED + self._sessions[0].parameters + made_up + b"Z\0\0\0\x05I")
            return True

    async def _transaction(self, client: Messages, writer: asyncio.StreamWriter) -> None:
        """Give the client the session that has rested longest, until its transaction is over."""
        message = await client.next()
        if message[0:1] == b"X":
            raise EOFError
        session = await self._idle.get()
        self.transactions += 1
        pumping = asyncio.create_task(self._pump(client, session, message))
        try:
            await self._answers(session, writer)
        except BaseException:
            # The client is gone, or the server is: what the session is in the middle of must not be the next one's.
            session.writer.close()
            await self._add_session()
            raise
        finally:
            pumping.cancel()
            await asyncio.gather(pumping, return_exceptions=True)

    async def _pump(self, client: Messages, session: Session, message: bytes) -> None:
        """Pass on what the client says, from *message* on."""
        try:
            while True:
                self._look(message)
                session.waiting += message[0:1] in b"QS"
                session.writer.write(message)
                message = await client.next()
        except EOFError:
            session.writer.close()

    async def _answers(self, session: Session, writer: asyncio.StreamWriter) -> None:
        """Pass on what the server answers, until nothing is waited for and no transaction is open."""
        while True:
            message = await session.messages.next()
            session.waiting -= message[0:1] == b"Z"
            over = message[0:1] == b"Z" and message[5:6] == b"I" and not session.waiting
            if over:
                # Given back before the client can ask again, so that its next transaction finds it at the end of the queue.
                self._idle.put_nowait(session)
            writer.write(message)
            if over:
                return

    def _look(self, message: bytes) -> None:
        """Note a statement that would leave something in its session, or look for it there."""
        if message[0:1] == b"P":
            name, text = message[5:].split(b"\0")[:2]
            if name or SESSION_STATE.search(text.decode()):
                self.violations.append(f"{name.decode()} {text.decode()}")
        if message[0:1] == b"Q" and SESSION_STATE.search(message[5:].decode()):
            self.violations.append(message[5:-1].decode())
