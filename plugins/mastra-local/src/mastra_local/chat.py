"""`local/smollm2-135m`: a chat model in the process, offline.

Knows the Model protocol and asyncio, and speaks to the engine in OpenAI's chat form. Must not know agents, memory or storage.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from contextlib import aclosing
from typing import Any

from mastra_core.agent.model import ModelDelta, ModelReply, ModelRequest, Usage
from mastra_core.errors import ContextLengthError, ModelError
from mastra_local.catalog import CHAT_MODELS, PROVIDER, check_known
from mastra_local.examples import expand_examples
from mastra_local.llama import LlamaEngine, release_engine, shared_engine
from mastra_local.weights import SMOLLM2_WEIGHTS, Weights

DEFAULT_MAX_OUTPUT_TOKENS = 512
_TOO_LONG = "exceed_context_size_error"


class LocalChatModel:
    """SmolLM2-135M-Instruct, run by llama.cpp in this process; one copy of it, whichever and however many agents use it.

    It is loaded on the first call, in a worker thread, and answers one request after the other. Temperature 0 unless asked otherwise:
    the same request then has the same answer, whatever was asked before. An answer ends after 512 tokens unless asked otherwise. A worked
    example in the system message is shown to it as turns (`mastra_local.examples`).

    Args:
        model_id: stored beside every answer.
        weights: which file to load.
    """

    provider = PROVIDER
    # The model is too small to call them sensibly.
    calls_tools = False

    def __init__(self, model_id: str, *, weights: Weights = SMOLLM2_WEIGHTS) -> None:
        self.model_id = model_id
        self._weights = weights

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The whole answer; cancelling the task stops the model. Raises what `stream` raises."""
        text: list[str] = []
        last = ModelDelta()
        async with aclosing(self.stream(request)) as deltas:
            async for last in deltas:
                text.append(last.text)
        return ModelReply(text="".join(text), finish_reason=last.finish_reason or "", usage=last.usage or Usage())

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        """The answer in pieces, the last one with the reason for the end ("stop" or "length") and the usage.

        Closing the generator stops the model at its next token, without waiting for it; a prompt being read is read to its end first.

        Raises:
            ContextLengthError: the prompt is longer than the window.
            ModelError: the weights are missing or wrong, the prompt is empty, or the model was closed meanwhile.
            ConfigurationError: the process was forked after the model was loaded.
        """
        body = self._body(request)
        pieces = _Pieces()
        finish_reason: str | None = None
        usage: Usage | None = None
        engine = shared_engine(self._weights, user=self)
        future = engine.submit(body, receive=pieces.receive, stop=pieces.stop)
        future.add_done_callback(pieces.end)
        try:
            while (piece := await pieces.next()) is not None:
                if "error" in piece:
                    kind = ContextLengthError if piece["error"].get("type") == _TOO_LONG else ModelError
                    raise kind(_explain(piece["error"], name=engine.name))
                usage = _usage(piece) or usage
                for choice in piece.get("choices", ()):
                    finish_reason = choice.get("finish_reason") or finish_reason
                    text = choice["delta"].get("content")
                    if text:
                        yield ModelDelta(text=text)
            _require_end(future, engine=engine, finish_reason=finish_reason)
        finally:
            pieces.stop.set()
            future.cancel()
        yield ModelDelta(finish_reason=finish_reason, usage=usage)

    def _body(self, request: ModelRequest) -> dict[str, Any]:
        limit = DEFAULT_MAX_OUTPUT_TOKENS if request.max_output_tokens is None else request.max_output_tokens
        name = f"{self.provider}/{self.model_id}"
        if limit < 1:
            raise ModelError(f"{name}: max_output_tokens must be 1 or more, found {limit}")
        messages = [{"role": message.role, "content": _sendable(message.text)} for message in expand_examples(request.messages)]
        if not messages:
            # llama.cpp takes an empty list and answers with whatever comes to its mind.
            raise ModelError(f"{name}: the prompt has no messages; send one at least")
        output = request.output
        schema = None if output is None else {"type": "json_schema", "json_schema": {"name": output.name, "schema": dict(output.schema)}}
        return {
            "messages": messages,
            # The engine then produces nothing that is not of this form.
            **({} if schema is None else {"response_format": schema}),
            "temperature": 0.0 if request.temperature is None else request.temperature,
            "max_tokens": limit,
            "stream": True,
            "stream_options": {"include_usage": True},
            # A prompt half read from the cache is computed in other batches, and rounded otherwise: 6 of 10 stories came out different.
            "cache_prompt": False,
        }

    async def close(self) -> None:
        """End this model's part in the shared engine, which is freed after its last user; a later call loads it again."""
        await asyncio.to_thread(release_engine, self._weights, user=self)


class _Pieces:
    """Pieces of one answer on their way from the engine's thread to the event loop."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def receive(self, piece: dict[str, Any]) -> bool:
        if not self.stop.is_set():
            self._put(piece)
        return self.stop.is_set()

    def end(self, _: Future[None]) -> None:
        self._put(None)

    def _put(self, piece: dict[str, Any] | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, piece)
        except RuntimeError:
            # The loop was closed under a running answer: nobody is left to read it.
            self.stop.set()

    async def next(self) -> dict[str, Any] | None:
        return await self._queue.get()


def _require_end(future: Future[None], *, engine: LlamaEngine, finish_reason: str | None) -> None:
    if not future.cancelled():
        future.result()
    if finish_reason is None:
        raise ModelError(f"{engine.name} was closed before it had finished answering; close it after the answers have ended")


def _usage(piece: dict[str, Any]) -> Usage | None:
    usage = piece.get("usage")
    if usage is None:
        return None
    return Usage(input_tokens=usage["prompt_tokens"], output_tokens=usage["completion_tokens"])


def _explain(error: dict[str, Any], *, name: str) -> str:
    if error.get("type") == _TOO_LONG:
        return (
            f"{name}: the prompt has {error['n_prompt_tokens']} tokens and the model's window holds {error['n_ctx']}. "
            "Send less: a smaller last_messages, shorter instructions or a shorter message"
        )
    return f"{name}: llama.cpp refused the request: {error.get('message', error)}"


def _sendable(text: str) -> str:
    """The text with U+FFFD for lone surrogates, which are legal in a stored message and not in the JSON that llama.cpp reads."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def open_model(model_id: str) -> LocalChatModel:
    """The chat model of this id; nothing is loaded before its first call.

    Raises:
        ConfigurationError: there is none of this id; the message lists those there are.
    """
    check_known(model_id, kind="chat model", known=CHAT_MODELS)
    return LocalChatModel(model_id)
