"""Agno: `agent.run(question, session_id=…)` with a SqliteDb and its history in the context, as its documentation of sessions has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.models.base import Model
from agno.models.message import Message
from agno.models.response import ModelResponse
from agno.run.agent import RunOutput
from agno.run.base import RunStatus
from agno.session import AgentSession
from timing import ANSWER, LAST, QUESTION, SAID, answer_for

AGENT = "support"
USER = "u"


class FakeModel(Model):
    """Says ANSWER at once."""

    shown = 0

    def invoke(self, messages: list[Message], *_: Any, **__: Any) -> ModelResponse:
        self.shown = sum(message.role != "system" for message in messages)
        return ModelResponse(role="assistant", content=ANSWER)

    async def ainvoke(self, *_: Any, **__: Any) -> ModelResponse:
        raise NotImplementedError

    invoke_stream = ainvoke_stream = _parse_provider_response = _parse_provider_response_delta = ainvoke


class Agno:
    """An agent on a SqliteDb; a run of it is a question and its answer."""

    def __init__(self, path: Path) -> None:
        self._db = SqliteDb(db_file=str(path))
        self._model = FakeModel(id="fake")
        self._agent = Agent(
            id=AGENT,
            instructions="Be brief.",
            model=self._model,
            db=self._db,
            add_history_to_context=True,
            num_history_runs=LAST // 2,
            telemetry=False,
        )

    async def load(self, conversation: str, count: int) -> None:
        self._db.upsert_session(AgentSession(session_id=conversation, agent_id=AGENT, user_id=USER))
        for index in range(count // 2):
            self._db.upsert_run(a_run(f"{conversation}-{index}", conversation), conversation, user_id=USER, run_index=index)

    async def turn(self, conversation: str) -> int:
        result = self._agent.run(QUESTION, session_id=conversation, user_id=USER)
        assert result.content == ANSWER
        return self._model.shown

    async def held(self, conversation: str) -> int:
        session = SqliteDb(db_engine=self._db.db_engine).get_session(conversation, session_type="agent", user_id=USER)
        return sum(len([m for m in run.messages if m.role != "system"]) for run in session.runs)

    def close(self) -> None:
        self._db.db_engine.dispose()


def a_run(run_id: str, conversation: str) -> RunOutput:
    """A question and its answer, as a run leaves them."""
    return RunOutput(
        run_id=run_id,
        session_id=conversation,
        agent_id=AGENT,
        user_id=USER,
        content=SAID,
        messages=[Message(role="user", content=SAID), Message(role="assistant", content=SAID)],
        status=RunStatus.completed,
    )


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Agno]:
    contender = Agno(path)
    try:
        yield contender
    finally:
        contender.close()


if __name__ == "__main__":
    answer_for({f"agno, {LAST // 2} runs": opened})
