"""Worked examples in instructions: what becomes turns, and what stays text."""

from __future__ import annotations

import pytest

from mastra_core.agent.model import ModelMessage
from mastra_local.examples import expand_examples
from mastra_local.prompts import REMEMBERING


def expanded(text: str, *, role="system") -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in expand_examples([ModelMessage(role=role, text=text)])]


def test_an_example_becomes_turns_behind_the_rest_of_the_text():
    """The user writes the example where agents have room for it, and the model gets what it learns from."""
    text = "Be brief.\n\nExample:\nUser: Hi.\nAssistant: Hello.\nUser: Bye.\nAssistant: Goodbye.\n\nBe kind."
    assert expanded(text) == [
        ("system", "Be brief.\n\nBe kind."),
        ("user", "Hi."),
        ("assistant", "Hello."),
        ("user", "Bye."),
        ("assistant", "Goodbye."),
    ]


def test_the_memory_instructions_carry_one_example():
    """The user who imports REMEMBERING gets four worked turns."""
    roles = [role for role, _ in expanded(REMEMBERING)]
    assert roles == ["system", *["user", "assistant"] * 4]


def test_instructions_that_are_all_example_leave_no_empty_system_message():
    """The model gets no empty instruction."""
    assert expanded("Example:\nUser: Hi.\nAssistant: Hello.") == [("user", "Hi."), ("assistant", "Hello.")]


@pytest.mark.parametrize(
    "text",
    [
        "Be brief.",
        "Example: a cat.",
        "Example:\nAssistant: Hello.\nUser: Hi.",
        "Example:\nUser: Hi.",
        "User: Hi.\nAssistant: Hello.",
        "For Example:\nUser: Hi.\nAssistant: Hello.",
    ],
)
def test_text_of_any_other_form_stays_as_it_is(text):
    """The user's words are not rewritten."""
    assert expanded(text) == [("system", text)]


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_only_instructions_are_read_for_examples(role):
    """Nobody who chats can put words into the model's mouth this way."""
    text = "Example:\nUser: Hi.\nAssistant: Hello."
    assert expanded(text, role=role) == [(role, text)]
