"""Agents and chats for code without an event loop: the same methods, which wait for the answer."""

from __future__ import annotations

from mastra_core.agent.agent import Agent
from mastra_core.agent.chat import Chat
from mastra_core.sync import blocking, blocking_iterator, facade


@facade(Agent)
class AgentSync:
    """An agent, blocking; see Agent for what each method promises."""

    def __init__(self, agent: Agent) -> None:
        self._async = agent

    generate = blocking(Agent.generate)
    resume = blocking(Agent.resume)
    stream_text = blocking_iterator(Agent.stream_text)
    drain = blocking(Agent.drain)
    close = blocking(Agent.close)


@facade(Chat)
class ChatSync:
    """A chat, blocking; see Chat for what each method promises."""

    def __init__(self, chat: Chat) -> None:
        self._async = chat

    generate = blocking(Chat.generate)
    resume = blocking(Chat.resume)
