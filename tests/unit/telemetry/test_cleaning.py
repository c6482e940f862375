"""What is kept of values: JSON, bounded, without secrets."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from mastra_core import ConfigurationError, Observability
from mastra_core.storage.records.wire import dump_json
from mastra_core.telemetry.cleaning import FAILED, REDACTED, TRUNCATED, Cleaner
from mastra_core.telemetry.tracing import Said


@pytest.mark.parametrize(
    "value, kept",
    [
        ({"a": [1, None, True, 0.5, "x"]}, {"a": [1, None, True, 0.5, "x"]}),
        ((1, {2}), [1, [2]]),
        (math.nan, "nan"),
        (2**64, str(2**64)),
        (b"abc", "[3 bytes]"),
        (datetime(2024, 1, 2, tzinfo=UTC), "2024-01-02T00:00:00.000Z"),
        (print, "[Function]"),
        (object(), "[object]"),
        ("a\0b\ud800", "a\ufffdb\ufffd"),
        ({1: "x"}, {"1": "x"}),
    ],
)
def test_any_value_becomes_json_that_every_store_takes(value: Any, kept: Any) -> None:
    """Whatever a tool returns, its span is stored."""
    assert Cleaner().output(value) == kept
    dump_json(kept, at="output")


@pytest.mark.parametrize("name", ["password", "apiKey", "api_key", "X-API-Key", "Authorization", "access_token", "clientSecret", "cookie"])
def test_what_is_named_like_a_secret_is_not_kept(name: str) -> None:
    """A key passed to a tool does not end up in a trace, wherever it stands (contract §7.3)."""
    cleaner = Cleaner()
    for kept in (
        cleaner.input({"to": [{name: "sk-1"}]}),
        cleaner.output({"to": [{name: "sk-1"}]}),
        cleaner.facts({"to": [{name: "sk-1"}]}),
    ):
        assert kept == {"to": [{name: REDACTED}]}


def test_token_counts_are_no_secrets() -> None:
    """Usage is kept: only whole names are taken for secrets."""
    assert Cleaner().facts({"usage": {"inputTokens": 3, "max_tokens": 5}}) == {"usage": {"inputTokens": 3, "max_tokens": 5}}


@pytest.mark.parametrize("limit", [1, 10, 100, 1000])
def test_a_field_is_cut_to_its_limit_and_says_so(limit: int) -> None:
    """A document of any size costs the store at most the limit, and a reader sees that something is missing."""
    kept = Cleaner(max_attribute_bytes=limit).output(["ü" * 700, "b" * 700])
    assert isinstance(kept, list)
    texts = [str(text) for text in kept]
    assert sum(len(text.removesuffix(TRUNCATED).encode()) for text in texts) <= limit
    assert texts[1].endswith(TRUNCATED)
    assert Cleaner(max_attribute_bytes=limit).output("a" * limit) == "a" * limit


def test_names_count_towards_the_limit() -> None:
    """What comes in as many names with short values is bounded too."""
    assert Cleaner(max_attribute_bytes=10).output({"abcd": "1", "efgh": "23456"}) == {"abcd": "1", "efgh": f"2{TRUNCATED}"}


@pytest.mark.parametrize("text", ["plain", "ünï", "a\0b", "a\ud800b", ""])
@pytest.mark.parametrize("limit", [1, 10, 45, 46, 47, 48, 49, 50, 1000])
@pytest.mark.parametrize("messages", [1, 2, 51])
def test_texts_that_are_looked_at_together_are_kept_as_one_by_one(text: str, limit: int, messages: int) -> None:
    """However a prompt is told, the same of it is kept: what fits, what can be stored, and at most fifty messages."""
    told = [{"role": "user", "content": f"{text}{index}"} for index in range(messages)]
    texts = [part for message in told for item in message.items() for part in item]
    cleaner = Cleaner(max_attribute_bytes=limit)
    one_by_one = cleaner.input({"messages": told, "after": "more"})
    assert cleaner.input({"messages": Said([dict(message) for message in told], texts), "after": "more"}) == one_by_one


def test_depth_and_length_are_bounded() -> None:
    """A list of a million rows, or a structure that contains itself, is cut."""
    loop: list[Any] = []
    loop.append(loop)
    assert str(Cleaner().output(loop)) == "[" * 8 + "'[MaxDepth]'" + "]" * 8
    assert Cleaner().output(list(range(1000))) == [*range(50), "[…950 more items]"]
    kept = Cleaner().output({str(index): index for index in range(60)})
    assert isinstance(kept, dict)
    assert (len(kept), kept["__truncated"]) == (51, "10 more keys omitted")


def test_a_redaction_sees_the_whole_value_and_one_that_fails_keeps_nothing() -> None:
    """A function that raises does not let the value through, and raises into nobody."""
    seen: list[Any] = []

    def broken(value: Any) -> Any:
        seen.append(value)
        raise KeyError(value)

    cleaner = Cleaner(redact_input=broken, redact_output=lambda _: object(), max_attribute_bytes=5)
    assert cleaner.input({"said": "a long text"}) == FAILED[:5] + TRUNCATED
    assert seen == [{"said": "a long text"}]
    assert cleaner.output("secret") == "[object]"


def test_the_text_of_an_error_is_an_output() -> None:
    """An error may quote an answer: it is redacted as one, and its stack is left out."""
    cleaner = Cleaner(redact_output=lambda _: "hidden")
    assert cleaner.error(message="it said Ada", name="ModelError", stack="… Ada …") == {"message": "hidden", "name": "ModelError"}
    assert Cleaner(redact_output=lambda _: None).error(message="it said Ada") == {"message": REDACTED}


@pytest.mark.parametrize(
    "options",
    [
        {"sampling": 1.5},
        {"sampling": "all"},
        {"sampling": True},
        {"max_attribute_bytes": 0},
        {"max_buffered_spans": -1},
        {"redact_input": "x"},
    ],
)
def test_an_option_that_cannot_be_is_refused_where_it_is_written(options: dict[str, Any]) -> None:
    """A wrong option is told by its name and value, before any run."""
    (name,) = options
    with pytest.raises(ConfigurationError, match=rf"Observability: {name} must be .*found {options[name]!r}"):
        Observability(**options)
