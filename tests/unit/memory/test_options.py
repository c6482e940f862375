"""MemoryOptions: defaults, values that cannot be, and one laid over another."""

from __future__ import annotations

from typing import Any

import pytest

from mastra_core import ConfigurationError, GenerateTitle, Memory, MemoryOptions, SemanticRecall, WorkingMemory


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


def test_a_feature_is_overridden_option_by_option() -> None:
    """A call that asks for more messages keeps the scope that the Memory has; True keeps all of it, False switches off."""
    mine = MemoryOptions(semantic_recall=SemanticRecall(scope="thread", top_k=2), working_memory=WorkingMemory(template="# Me"))
    assert mine.under(MemoryOptions(semantic_recall={"top_k": 9})).semantic_recall == SemanticRecall(scope="thread", top_k=9)
    assert mine.under(MemoryOptions(semantic_recall=True)).semantic_recall == SemanticRecall(scope="thread", top_k=2)
    assert mine.under(MemoryOptions(semantic_recall=False)).semantic_recall is None
    assert mine.under(MemoryOptions(working_memory=WorkingMemory(schema=dict))).working_memory == WorkingMemory(schema=dict)
    assert MemoryOptions().under(MemoryOptions(generate_title=True)).generate_title == GenerateTitle()


def test_a_dictionary_means_the_same() -> None:
    """The seeds' form."""
    assert MemoryOptions.of({"last_messages": 5}) == MemoryOptions(last_messages=5)


@pytest.mark.parametrize(
    "wrong, text",
    [
        ({"lastMessages": 5}, "no option 'lastMessages'; the options are .*Did you mean 'last_messages'"),
        ({"readonly": True}, "Did you mean 'read_only'"),
        ({"working_memory": "yes"}, r"working_memory must be True, False, WorkingMemory\(…\) or a dictionary of its options; found 'yes'"),
        ({"working_memory": {"scope": "user"}}, r"scope must be one of \['resource', 'thread'\], found 'user'"),
        ({"working_memory": {"template": "# Me", "schema": dict}}, "template and schema say the same in two ways"),
        ({"semantic_recall": {"topK": 3}}, "no option 'topK'.*Did you mean 'top_k'"),
        ({"semantic_recall": {"top_k": 0}}, "top_k must be a whole number >= 1, found 0"),
        ({"semantic_recall": {"message_range": {"before": 1, "behind": 2}}}, "message_range must be a whole number >= 0, or"),
        ({"semantic_recall": {"threshold": True}}, "threshold must be int or float, found True"),
        ({"generate_title": {"min_messages": "2"}}, "min_messages must be a whole number >= 1, found '2'"),
        ({"max_tokens": 0}, "max_tokens must be a whole number >= 1, or None for no limit; found 0"),
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
