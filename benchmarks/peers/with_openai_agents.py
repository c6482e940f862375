"""openai-agents: `Runner.run(agent, question, session=SQLiteSession(…))`, as its documentation of sessions has it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, SQLiteSession, Usage, set_tracing_disabled
from agents.memory import SessionSettings
from openai.types.responses import ResponseOutputMessage, ResponseOutputText
from timing import ANSWER, LAST, QUESTION, SAID, answer_for

# Its traces would go to a server.
set_tracing_disabled(True)


class FakeModel(Model):
    """Says ANSWER at once."""

    def __init__(self) -> None:
        self.shown = 0

    async def get_response(self, system_instructions: str | None, input: str | list[Any], *_: Any, **__: Any) -> ModelResponse:
        self.shown = 1 if isinstance(input, str) else len(input)
        said = ResponseOutputText(type="output_text", text=ANSWER, annotations=[])
        message = ResponseOutputMessage(id="m", type="message", role="assistant", status="completed", content=[said])
        return ModelResponse(output=[message], usage=Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


class OpenAIAgents:
    """An agent and a SQLiteSession for each conversation, kept open as a server would."""

    def __init__(self, path: Path, *, limit: int | None) -> None:
        self._path = path
        self._settings = SessionSettings(limit=limit)
        self._model = FakeModel()
        self._agent = Agent(name="Support", instructions="Be brief.", model=self._model)
        self._sessions: dict[str, SQLiteSession] = {}

    async def load(self, conversation: str, count: int) -> None:
        roles = ("user", "assistant")
        await self._session(conversation).add_items([{"role": roles[index % 2], "content": SAID} for index in range(count)])  # type: ignore[misc]

    async def turn(self, conversation: str) -> int:
        result = await Runner.run(self._agent, QUESTION, session=self._session(conversation))
        assert result.final_output == ANSWER
        return self._model.shown

    async def held(self, conversation: str) -> int:
        return len(await self._session(conversation).get_items(limit=sys.maxsize))

    def _session(self, conversation: str) -> SQLiteSession:
        if conversation not in self._sessions:
            self._sessions[conversation] = SQLiteSession(conversation, self._path, session_settings=self._settings)
        return self._sessions[conversation]

    def close(self) -> None:
        for session in self._sessions.values():
            session.close()


@asynccontextmanager
async def opened(path: Path, *, limit: int | None) -> AsyncIterator[OpenAIAgents]:
    contender = OpenAIAgents(path, limit=limit)
    try:
        yield contender
    finally:
        contender.close()


if __name__ == "__main__":
    answer_for({"openai-agents": partial(opened, limit=None), f"openai-agents, limit={LAST}": partial(opened, limit=LAST)})
