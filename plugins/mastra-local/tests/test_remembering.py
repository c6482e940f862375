"""The figures of the README for `prompts.REMEMBERING`, measured anew: told in one turn, asked in the next, the model's own reply between.

The bounds lie a little below the figures, since another machine may round otherwise.
"""

from __future__ import annotations

import pytest

from mastra_core.agent.model import ModelMessage, ModelRequest
from mastra_local.chat import LocalChatModel, open_model
from mastra_local.prompts import REMEMBERING

NAMES = [
    "Ada",
    "Grace",
    "Linus",
    "Margaret",
    "Ken",
    "Barbara",
    "Dennis",
    "Frances",
    "Tim",
    "Radia",
    "Donald",
    "Hedy",
    "Alan",
    "Katherine",
    "Vint",
    "Sophie",
    "Edsger",
    "Annie",
    "Guido",
    "Karen",
]
FACTS = (
    ("I live in Lisbon.", "Where do I live?", "Lisbon"),
    ("My favourite colour is teal.", "What is my favourite colour?", "teal"),
    ("My dog is called Biscuit.", "What is my dog called?", "Biscuit"),
    ("I work as a nurse.", "What is my job?", "nurse"),
    ("I was born in 1984.", "In which year was I born?", "1984"),
    ("My favourite food is ramen.", "What is my favourite food?", "ramen"),
    ("I play the cello.", "Which instrument do I play?", "cello"),
    ("My sister lives in Oslo.", "Where does my sister live?", "Oslo"),
)


class Chat:
    """A conversation as an agent would keep it: the instructions, then every turn so far."""

    def __init__(self, model: LocalChatModel) -> None:
        self.model = model
        self.messages = (ModelMessage(role="system", text=REMEMBERING),)

    async def say(self, text: str) -> str:
        self.messages += (ModelMessage(role="user", text=text),)
        reply = await self.model.complete(ModelRequest(messages=self.messages, max_output_tokens=48))
        self.messages += (ModelMessage(role="assistant", text=reply.text),)
        return reply.text


async def misses(cases) -> list[tuple[str, str, str]]:
    model = open_model("smollm2-135m")
    missed = []
    for told, asked, wanted in cases:
        chat = Chat(model)
        reply = await chat.say(told)
        answer = await chat.say(asked)
        if wanted.lower() not in answer.lower():
            missed.append((told, reply, answer))
    return missed


@pytest.mark.scale
async def test_at_least_17_of_20_names_are_recalled():
    """The user's agent knows a name in the next turn."""
    missed = await misses([(f"Hi, my name is {name}.", "What is my name?", name) for name in NAMES])
    assert len(missed) <= 3, missed


@pytest.mark.scale
async def test_at_least_5_of_8_facts_are_recalled():
    """The user's agent knows a plain fact in the next turn."""
    missed = await misses(FACTS)
    assert len(missed) <= 3, missed


async def test_of_a_name_and_two_facts_told_in_turn_two_are_recalled_at_least():
    """The user may tell several things before asking for the first."""
    chat = Chat(open_model("smollm2-135m"))
    for told in ("Hi, my name is Ada.", "I live in Lisbon.", "My favourite colour is teal."):
        await chat.say(told)
    told_so_far = chat.messages
    recalled = []
    for asked, wanted in (("What is my name?", "Ada"), ("Where do I live?", "Lisbon"), ("What is my favourite colour?", "teal")):
        chat.messages = told_so_far
        answer = await chat.say(asked)
        recalled += [wanted] if wanted in answer else []
    assert len(recalled) >= 2, recalled
