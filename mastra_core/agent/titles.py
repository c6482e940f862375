"""Titles: a short name for a conversation that has none, made by a model after the answer (contract §5.8).

Knows models and what was said. Must not know stores.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mastra_core.agent.messages import text_of
from mastra_core.agent.model import Model, ModelMessage, ModelRequest
from mastra_core.memory.features import GenerateTitle
from mastra_core.storage.records.kinds import Message

INSTRUCTIONS = (
    "You name conversations. Read the transcript and answer with a title for it: at most 80 characters, no quotes, no colons, no final "
    "full stop, in the language of the user. Answer with the title alone."
)

LONGEST = 200
"""Characters that a title has at most, whatever the model says."""

_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)


async def make_title(model: Model, messages: Sequence[Message], *, feature: GenerateTitle) -> str:
    """A title for a conversation; "" when the model has no idea.

    Raises:
        ModelError: the model failed.
    """
    said = [
        (message.role.capitalize(), text) for message in messages if message.role in {"user", "assistant"} and (text := text_of(message))
    ]
    transcript = "\n".join(f"{role}: {text}" for role, text in said)
    asked = (
        ModelMessage(role="system", text=feature.instructions or INSTRUCTIONS),
        ModelMessage(role="user", text=transcript),
    )
    reply = await model.complete(ModelRequest(messages=asked))
    return cleaned(reply.text)


def cleaned(text: str) -> str:
    """The first line of *text* that says something, without what the model thought and without quotes around it."""
    lines = (line.strip() for line in _THOUGHT.sub("", text).splitlines())
    title = next((line for line in lines if line), "").removeprefix("Title:").strip()
    if len(title) > 1 and title[0] == title[-1] and title[0] in "\"'`*":
        title = title.strip(title[0]).strip()
    # What a title cannot hold (semantics §2.16).
    title = "".join(character for character in title if character != "\0" and not "\ud800" <= character <= "\udfff")
    return title[:LONGEST].rstrip()
