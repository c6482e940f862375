"""A small HTTP server that answers chat completions as told: for the faults that no real provider gives on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class ChatServer(ThreadingHTTPServer):
    """Answers every request with what `answers` or `streams` was last given; `requests` are the bodies it got."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.status, self.content_type, self.pieces = 200, "application/json", [b""]
        self.cut_off = threading.Event()
        # Answers given before the one that stands, each once.
        self.first: list[int] = []
        self.silent = threading.Event()
        self.hold = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def answers(self, body: object, *, status: int = 200) -> None:
        self.status, self.content_type, self.pieces = status, "application/json", [json.dumps(body).encode()]

    def refuses(self, status: int, message: str, *, code: str | None = None) -> None:
        self.answers({"error": {"message": message, "code": code, "type": "error", "param": None}}, status=status)

    def streams(self, *events: object) -> None:
        self.status, self.content_type = 200, "text/event-stream"
        self.pieces = [f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode() for event in events]

    def handle_error(self, request: object, client_address: object) -> None:
        self.cut_off.set()


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer
    # Connections are kept and used again, as with real providers.
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.server.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        if self.server.hold:
            self.server.silent.wait(20)
        status = self.server.first.pop(0) if self.server.first else self.server.status
        self.send_response(status)
        if status != self.server.status:
            # The official client would wait longer.
            self.send_header("retry-after-ms", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_header("Content-Type", self.server.content_type)
        # The official client would ask again, with pauses.
        self.send_header("x-should-retry", "false")
        if self.server.content_type == "application/json":
            self.send_header("Content-Length", str(sum(map(len, self.server.pieces))))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        for piece in self.server.pieces:
            self.wfile.write(piece)
            self.wfile.flush()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    server = ChatServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.silent.set()
    server.shutdown()
    thread.join()
    server.server_close()
