"""LangGraph: a graph of one node that calls the model, compiled with a SqliteSaver, as its documentation of memory has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Durability
from timing import ANSWER, QUESTION, SAID, answer_for


class FakeModel:
    """Says ANSWER at once."""

    def __init__(self) -> None:
        self.shown = 0

    def invoke(self, messages: list[AnyMessage]) -> AIMessage:
        self.shown = len(messages)
        return AIMessage(ANSWER)


class LangGraph:
    """A graph, and a thread of it for each conversation; the model is shown the whole of it."""

    def __init__(self, saver: SqliteSaver, *, durability: Durability) -> None:
        self._model = FakeModel()
        self._durability = durability

        def call_model(state: MessagesState) -> dict[str, Any]:
            return {"messages": [self._model.invoke(state["messages"])]}

        builder = StateGraph(MessagesState)
        builder.add_node(call_model)
        builder.add_edge(START, "call_model")
        self._graph = builder.compile(checkpointer=saver)

    async def load(self, conversation: str, count: int) -> None:
        roles = (HumanMessage, AIMessage)
        self._graph.update_state(_of(conversation), {"messages": [roles[index % 2](SAID) for index in range(count)]})

    async def turn(self, conversation: str) -> int:
        result = self._graph.invoke({"messages": [HumanMessage(QUESTION)]}, _of(conversation), durability=self._durability)
        assert result["messages"][-1].content == ANSWER
        return self._model.shown

    async def held(self, conversation: str) -> int:
        return len(self._graph.get_state(_of(conversation)).values["messages"])


def _of(conversation: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": conversation}}


@asynccontextmanager
async def opened(path: Path, *, durability: Durability) -> AsyncIterator[LangGraph]:
    with SqliteSaver.from_conn_string(str(path)) as saver:
        yield LangGraph(saver, durability=durability)


if __name__ == "__main__":
    # "async" is its default; "exit" writes once, at the end.
    answer_for({"langgraph": partial(opened, durability="async"), "langgraph, exit": partial(opened, durability="exit")})
