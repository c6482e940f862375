"""llama.cpp in this process: one engine a model, one thread an engine, requests one after the other.

Knows xllamacpp and threads. Must not know asyncio, agents, or what is in a request.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from weakref import WeakSet

from mastra_core.errors import ConfigurationError, ModelError
from mastra_local.catalog import PROVIDER
from mastra_local.weights import Weights, require

CONTEXT_TOKENS = 4096
_MOST_PROMPT_THREADS = 4

Receive = Callable[[dict[str, Any]], bool]
"""Called in the engine's thread with each piece of an answer; True ends the answer."""


class LlamaEngine:
    """One model in memory, loaded when the first request is reached.

    Args:
        weights: the GGUF file.
    """

    def __init__(self, weights: Weights) -> None:
        self.name = f"{PROVIDER}/{weights.model_id}"
        self.users: WeakSet[object] = WeakSet()
        self._weights = weights
        # llama.cpp answers one request after the other; queued here, those that nobody waits for any more can still be dropped.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"mastra-local-{weights.model_id}")
        self._server: Any = None
        self._process: int | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._unfinished: dict[Future[None], threading.Event] = {}

    def submit(self, body: Mapping[str, Any], *, receive: Receive, stop: threading.Event) -> Future[None]:
        """Queue a chat request; the future ends after the last piece, or is cancelled when the engine is closed.

        Args:
            body: as of OpenAI's chat completions, with `stream` set.
            receive: gets the pieces, in the engine's thread.
            stop: set by whoever no longer wants the rest; seen at the next piece.

        Raises:
            ConfigurationError: this process was forked from the one that loaded the model.
            ModelError: the engine was closed. Through the future: the weights are missing, wrong or do not load.
        """
        with self._lock:
            if self._closed:
                raise ModelError(f"{self.name} was closed while it was being asked; ask again after close() has returned")
            if self._process not in (None, os.getpid()):
                raise ConfigurationError(
                    f"{self.name} was loaded by process {self._process} and is asked in its fork {os.getpid()}, "
                    "which has none of its threads. Start processes with multiprocessing's 'spawn' method, or ask only after forking"
                )
            self._process = os.getpid()
            future = self._thread.submit(self._answer, body, receive, stop)
            self._unfinished[future] = stop
        future.add_done_callback(self._forget)
        return future

    def _forget(self, future: Future[None]) -> None:
        self._unfinished.pop(future, None)

    def _answer(self, body: Mapping[str, Any], receive: Receive, stop: threading.Event) -> None:
        if stop.is_set():
            return
        if self._server is None:
            self._server = _start(require(self._weights), name=self.name)
        try:
            self._server.handle_chat_completions(dict(body), receive)
        except (RuntimeError, ValueError) as exc:
            raise ModelError(f"{self.name}: llama.cpp refused the request: {exc}") from exc

    def close(self) -> None:
        """End what is being answered, drop what is queued, and free the model; waits for the engine's thread."""
        with self._lock:
            self._closed = True
            unfinished = list(self._unfinished.values())
        for stop in unfinished:
            stop.set()
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._server = None


def _start(gguf: Path, *, name: str) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1
    # One thread writes as fast as two do, the model is that small, and on busy cores many times faster: threads wait for one another after
    # every layer, spinning. Reading a prompt gains from more.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = min(os.cpu_count() or 1, _MOST_PROMPT_THREADS)
    params.cpuparams_batch.poll = 0
    params.cache_ram_mib = 0
    params.ui = False
    params.verbosity = -1
    params.port = 0
    params.n_threads_http = 1
    # Nobody is told the key, so whoever reaches the listener below is turned away.
    params.api_keys = [secrets.token_urlsafe(32)]
    with _listening_place() as place:
        params.hostnames = [place]
        try:
            return xllamacpp.Server(params)
        except RuntimeError as exc:
            raise ModelError(
                f"{name} did not start from {gguf}: {exc} It needs about 300 MB of memory; "
                "`mastra-local check` tells whether the file is right"
            ) from exc


@contextlib.contextmanager
def _listening_place() -> Iterator[str]:
    """Where llama.cpp may listen, which it insists on though it is called in the process: a socket whose file is gone once it has started.

    Where there are no such sockets, or the path of the temporary folder is too long for one, a free port of 127.0.0.1.
    """
    with tempfile.TemporaryDirectory(prefix="mastra-", ignore_cleanup_errors=True) as folder:
        path = str(Path(folder) / "m.sock")
        usable = hasattr(socket, "AF_UNIX") and os.name == "posix" and len(os.fsencode(path)) < 100
        yield path if usable else "127.0.0.1"


_engines: dict[Weights, LlamaEngine] = {}
_sharing = threading.Lock()


def shared_engine(weights: Weights, *, user: object) -> LlamaEngine:
    """The one engine of these weights in this process, kept until each of its users was released."""
    with _sharing:
        engine = _engines.get(weights)
        if engine is None:
            engine = _engines[weights] = LlamaEngine(weights)
        engine.users.add(user)
        return engine


def release_engine(weights: Weights, *, user: object) -> None:
    """Take back what `shared_engine` gave; the engine is closed after its last user. Waits for that."""
    with _sharing:
        engine = _engines.get(weights)
        if engine is None:
            return
        engine.users.discard(user)
        if engine.users:
            return
        del _engines[weights]
    engine.close()


def _close_all() -> None:
    with _sharing:
        engines = [engine for engine in _engines.values() if engine._process in (None, os.getpid())]  # noqa: SLF001
        _engines.clear()
    for engine in engines:
        engine.close()


atexit.register(_close_all)
