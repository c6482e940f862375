"""A TCP proxy in a thread of its own that shows both directions of each connection to a protocol reader.

Knows sockets and when an answer has been handed over. Must not know a protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Protocol, Self, TypeVar

READ_BYTES = 1 << 20
Result = TypeVar("Result")


class ProtocolError(RuntimeError):
    """A reader met something that it cannot count; the connection is cut."""


class Reader(Protocol):
    """Sees one connection's bytes, each chunk before it is passed on, both directions in one thread."""

    def client_sent(self, data: bytes) -> None:
        """Take bytes that are about to go to the server."""

    def server_sent(self, data: bytes) -> None:
        """Take bytes that are about to go to the client."""


class Relay:
    """Passes bytes between clients and one server, through a reader made for each connection.

    The server's bytes are held back for `hold_seconds`. What a client sends before an answer is handed to it cannot depend on
    that answer: so a burst that needs several reads, while the server already answers its beginning, is still one burst.
    """

    def __init__(self, target_host: str, target_port: int, reader: Callable[[], Reader], *, hold_seconds: float) -> None:
        """Relay to `target_host:target_port`; listens from `__enter__` on."""
        self._target = (target_host, target_port)
        self._reader = reader
        self.hold_seconds = hold_seconds
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.failures: list[ProtocolError] = []
        self.host = "127.0.0.1"
        self.port = 0

    def __enter__(self) -> Self:
        """Listen on a port of 127.0.0.1 that the operating system chooses."""
        self._thread.start()
        self._server = self._run(self._listen())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop listening and cut what is still connected."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[object, object, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, self.host, 0, limit=READ_BYTES)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            from_server, to_server = await asyncio.open_connection(*self._target, limit=READ_BYTES)
            try:
                await self._relay(from_client, to_client, from_server, to_server)
            finally:
                to_server.close()
        to_client.close()

    async def _relay(
        self,
        from_client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        from_server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        reader = self._reader()
        directions = [
            asyncio.ensure_future(self._to_server(reader, from_client, to_server)),
            asyncio.ensure_future(self._to_client(reader, from_server, to_client)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            for outcome in await asyncio.gather(*directions, return_exceptions=True):
                if isinstance(outcome, ProtocolError):
                    self.failures.append(outcome)

    async def _to_server(self, reader: Reader, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(READ_BYTES):
            reader.client_sent(data)
            target.write(data)
            await target.drain()

    async def _to_client(self, reader: Reader, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(READ_BYTES):
            await asyncio.sleep(self.hold_seconds)
            # Before writing: once the client has the bytes, its next ones may be read at any moment.
            reader.server_sent(data)
            target.write(data)
            await target.drain()
