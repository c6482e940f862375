"""A server that answers as OpenAI's API does, for the programs of documents: it knows only what it was told in the same prompt.

Knows HTTP and the form of chat completions and embeddings. Must not know mastra_core.
"""

from __future__ import annotations

import json
import math
import re
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DIMENSION = 1536
TITLE = "Introductions"


@contextmanager
def openai_server() -> Iterator[str]:
    """The base URL of a server that is there for the length of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def reply_to(messages: list[Mapping[str, Any]]) -> str:
    """A title if one is asked for; the name that was told, if it is in the prompt; else a greeting."""
    texts = [_text(message) for message in messages]
    if "name conversations" in texts[0]:
        return TITLE
    if "my name" in texts[-1].lower() and "?" in texts[-1]:
        told = re.findall(r"[Mm]y name is (\w+)", "\n".join(texts[:-1]))
        return f"Your name is {told[-1]}." if told else "You have not told me."
    return "Nice to meet you."


def embedding(text: str) -> list[float]:
    """A vector of unit length; the more words two texts share, the nearer they are."""
    vector = [0.0] * DIMENSION
    for word in re.findall(r"\w+", text.lower()) or [""]:
        vector[zlib.crc32(word.encode()) % DIMENSION] += 1.0
    length = math.sqrt(sum(number * number for number in vector))
    return [number / length for number in vector]


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/embeddings"):
            data = [{"object": "embedding", "index": at, "embedding": embedding(text)} for at, text in enumerate(asked["input"])]
            self._send(json.dumps({"object": "list", "model": asked["model"], "data": data, "usage": _USAGE}))
        elif self.path.endswith("/chat/completions") and asked.get("stream"):
            pieces = re.findall(r"\S+\s*", reply_to(asked["messages"]))
            events = [_chunk({"content": piece}) for piece in pieces]
            events += [_chunk({}, finish="stop"), {**_chunk({}), "choices": [], "usage": _USAGE}]
            self._send("".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n", kind="text/event-stream")
        elif self.path.endswith("/chat/completions"):
            message = {"role": "assistant", "content": reply_to(asked["messages"])}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            self._send(json.dumps({**_ANSWER, "object": "chat.completion", "choices": [choice], "usage": _USAGE}))
        else:
            self.send_error(404)

    def _send(self, body: str, *, kind: str = "application/json") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args: object) -> None:
        pass


_ANSWER = {"id": "c", "created": 1, "model": "gpt-5.1"}
_USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}


def _chunk(delta: Mapping[str, str], *, finish: str | None = None) -> dict[str, Any]:
    return {**_ANSWER, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
