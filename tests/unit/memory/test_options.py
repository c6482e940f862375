"""MemoryOptions: defaults, values that cannot be, and one laid over another."""

from __future__ import annotations

from typing import Any

import pytest

from mastra_core import ConfigurationError, Memory, MemoryOptions


def test_defaults_are_ten_messages_and_saving() -> None:
    """What Memory() does without options."""
    options = Memory().options
    assert (options.last_messages, options.read_only) == (10, False)
    assert options == MemoryOptions()


def test_only_named_options_override() -> None:
    """A call that asks for one thing keeps the rest, also where the Memory differs from the default."""
    mine = MemoryOptions(last_messages=3, read_only=True)
    assert mine.under(MemoryOptions()) == mine
    assert mine.under(MemoryOptions(last_messages=5)) == MemoryOptions(last_messages=5, read_only=True)
    assert mine.under(MemoryOptions(last_messages=10, read_only=False)) == MemoryOptions(last_messages=10, read_only=False)


def test_a_dictionary_means_the_same() -> None:
    """The seeds' form."""
    assert MemoryOptions.of({"last_messages": 5}) == MemoryOptions(last_messages=5)


@pytest.mark.parametrize(
    "wrong, text",
    [
        ({"lastMessages": 5}, "no option 'lastMessages'; the options are .*Did you mean 'last_messages'"),
        ({"readonly": True}, "Did you mean 'read_only'"),
        ({"working_memory": True}, r"no option 'working_memory'; the options are \['last_messages', 'read_only'\]"),
        ({"generate_title": True}, "no option 'generate_title'"),
        ({"last_messages": "5"}, "found '5'"),
        ({"last_messages": False}, "found False; 0 reads no history, read_only=True saves nothing"),
        ({"last_messages": None}, "found None"),
        ({"read_only": None}, "read_only must be True or False"),
    ],
)
@pytest.mark.parametrize("make", [lambda wrong: MemoryOptions(**wrong), MemoryOptions.of, lambda wrong: Memory(options=wrong)])
def test_options_that_cannot_be_are_refused_with_the_mend(make: Any, wrong: dict[str, Any], text: str) -> None:
    """Nothing that a user writes is ignored."""
    with pytest.raises(ConfigurationError, match=text):
        make(wrong)
