"""A chat: an agent bound to one thread. Knows the agent; must not know how it runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Unpack

from mastra_core.agent.agent import Agent
from mastra_core.agent.call import ChatOptions, ThreadDict
from mastra_core.agent.messages import Input
from mastra_core.agent.run import Result
from mastra_core.agent.stream import AgentStream

if TYPE_CHECKING:
    from mastra_core.agent.sync_agent import ChatSync


class Chat:
    """An agent in one thread; made by `agent.chat(thread=…, resource=…)`.

    Attributes:
        agent: who answers.
        thread: the id of the thread, or `{"id", "title", "metadata"}`.
        resource: who the thread belongs to.
    """

    def __init__(self, agent: Agent, *, thread: str | ThreadDict, resource: str) -> None:
        self.agent = agent
        self.thread = thread
        self.resource = resource

    @cached_property
    def sync(self) -> ChatSync:
        """This chat for code without an event loop: `chat.sync.generate(…)`."""
        from mastra_core.agent.sync_agent import ChatSync

        return ChatSync(self)

    async def generate(self, input: Input, **call: Unpack[ChatOptions]) -> Result:
        """As `agent.generate`, in this thread."""
        return await self.agent.generate(input, thread=self.thread, resource=self.resource, **call)

    def stream(self, input: Input, **call: Unpack[ChatOptions]) -> AgentStream:
        """As `agent.stream`, in this thread."""
        return self.agent.stream(input, thread=self.thread, resource=self.resource, **call)

    async def resume(self, *, approvals: Mapping[str, bool | str], **call: Unpack[ChatOptions]) -> Result:
        """As `agent.resume`, in this thread."""
        return await self.agent.resume(approvals=approvals, thread=self.thread, resource=self.resource, **call)

    def resume_stream(self, *, approvals: Mapping[str, bool | str], **call: Unpack[ChatOptions]) -> AgentStream:
        """As `agent.resume_stream`, in this thread."""
        return self.agent.resume_stream(approvals=approvals, thread=self.thread, resource=self.resource, **call)
