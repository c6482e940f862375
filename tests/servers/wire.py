"""Readers that count what one connection says: any protocol, PostgreSQL's, Redis's.

Knows message framing and when a client must wait. Must not know sockets.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from .proxy import ProtocolError

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102

# What drivers send to make a connection ready; not what an operation says.
REDIS_SETUP = frozenset({"AUTH", "CLIENT", "CLUSTER", "COMMAND", "HELLO", "INFO", "READONLY", "SELECT"})


class Tally:
    """Running totals over all connections of a proxy, or of several; safe to use from their threads."""

    def __init__(self) -> None:
        """Start at nothing."""
        self._lock = threading.Lock()
        self._idle = True
        self.connections = 0
        self.round_trips = 0
        self.waits = 0
        self.sent: list[str] = []

    def connected(self) -> None:
        """Note a new connection."""
        with self._lock:
            self.connections += 1

    def asked(self) -> None:
        """Note that a connection which had been answered, or had said nothing yet, asks."""
        with self._lock:
            self.round_trips += 1
            if self._idle:
                self.waits += 1
                self._idle = False

    def answered(self) -> None:
        """Note that a connection has been answered: what is asked from now on may depend on it."""
        with self._lock:
            self._idle = True

    def say(self, text: str) -> None:
        """Note what was sent."""
        with self._lock:
            self.sent.append(text)


class Connection:
    """Whether one connection is waiting for an answer."""

    def __init__(self, tally: Tally) -> None:
        """Count into `tally`."""
        self.tally = tally
        self._waiting = False
        tally.connected()

    def ask(self) -> None:
        """The client sends something that it will wait for; the same round trip as long as no answer has come."""
        if not self._waiting:
            self._waiting = True
            self.tally.asked()

    def answer(self) -> None:
        """The client gets what it waited for."""
        if self._waiting:
            self._waiting = False
            self.tally.answered()


class AnyReader(Connection):
    """Any protocol of question and answer: client bytes after server bytes begin a round trip."""

    def client_sent(self, data: bytes) -> None:
        """Take bytes that are about to go to the server."""
        self.ask()

    def server_sent(self, data: bytes) -> None:
        """Take bytes that are about to go to the client."""
        self.answer()


class PostgresReader(Connection):
    """PostgreSQL's protocol 3.

    A client waits only after a message that demands an answer: Query, Sync, FunctionCall, Flush, the end of COPY data.
    What the server sends before such a message answers nothing: it writes results as soon as its buffer is full, so mere
    alternation would count a long pipeline more than once. Start-up and authentication are not counted.
    """

    def __init__(self, tally: Tally) -> None:
        """Count into `tally`; `sent` is the text of each statement executed."""
        super().__init__(tally)
        self._from_client = bytearray()
        self._started = False
        self._negotiating = False
        self._texts: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}

    def client_sent(self, data: bytes) -> None:
        """Take bytes that are about to go to the server."""
        self._from_client += data
        while not self._started and self._take_startup():
            pass
        if self._started:
            for kind, body in _messages(self._from_client):
                self._client_message(kind, body)

    def server_sent(self, data: bytes) -> None:
        """Take bytes that are about to go to the client."""
        if self._negotiating:
            self._negotiating = False
            if data[:1] != b"N":
                raise ProtocolError(
                    "the connection is encrypted and cannot be counted: connect with sslmode=disable and gssencmode=disable"
                )
        self.answer()

    def _take_startup(self) -> bool:
        buffer = self._from_client
        if len(buffer) < 8 or len(buffer) < int.from_bytes(buffer[:4]):
            return False
        code = int.from_bytes(buffer[4:8])
        del buffer[: int.from_bytes(buffer[:4])]
        self._negotiating = code in (SSL_REQUEST, GSS_REQUEST)
        self._started = not self._negotiating and code != CANCEL_REQUEST
        return True

    def _client_message(self, kind: bytes, body: bytes) -> None:
        if kind in b"QSFHcf":
            self.ask()
        if kind == b"Q":
            self.tally.say(_text(body.split(b"\0")[0]))
        elif kind == b"P":
            name, text = body.split(b"\0")[:2]
            self._texts[name] = _text(text)
        elif kind == b"B":
            portal, name = body.split(b"\0")[:2]
            self._portals[portal] = self._texts.get(name, f"prepared before: {_text(name)}")
        elif kind == b"E":
            self.tally.say(self._portals.get(body.split(b"\0")[0], "portal opened before"))


class RespReader(Connection):
    """Redis's protocol, RESP2 and RESP3: each command of the client by its name; a script is one command, whatever it calls.

    Commands that only set up a connection (REDIS_SETUP) are passed on and not counted. Not for pub/sub: a pushed message
    would look like an answer.
    """

    def __init__(self, tally: Tally) -> None:
        """Count into `tally`; `sent` is the name of each command."""
        super().__init__(tally)
        self._buffer = bytearray()

    def client_sent(self, data: bytes) -> None:
        """Take bytes that are about to go to the server."""
        self._buffer += data
        while (name := _take_command(self._buffer)) is not None:
            if name not in REDIS_SETUP:
                self.tally.say(name)
                self.ask()

    def server_sent(self, data: bytes) -> None:
        """Take bytes that are about to go to the client."""
        self.answer()


def _messages(buffer: bytearray) -> Iterator[tuple[bytes, bytes]]:
    start = 0
    while len(buffer) >= start + 5:
        end = start + 1 + int.from_bytes(buffer[start + 1 : start + 5])
        if len(buffer) < end:
            break
        yield bytes(buffer[start : start + 1]), bytes(buffer[start + 5 : end])
        start = end
    del buffer[:start]


def _take_command(buffer: bytearray) -> str | None:
    line_end = buffer.find(b"\r\n")
    if line_end < 0:
        return None
    if buffer[:1] != b"*":
        words = bytes(buffer[:line_end]).split()
        del buffer[: line_end + 2]
        return _text(words[0]).upper() if words else ""
    position = line_end + 2
    first = b""
    for number in range(int(buffer[1:line_end])):
        line_end = buffer.find(b"\r\n", position)
        if line_end < 0:
            return None
        start = line_end + 2
        position = start + int(buffer[position + 1 : line_end]) + 2
        if len(buffer) < position:
            return None
        if number == 0:
            first = bytes(buffer[start : position - 2])
    del buffer[:position]
    return _text(first).upper()


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
