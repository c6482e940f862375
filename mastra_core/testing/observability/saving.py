"""What is promised of single spans: saved, replaced and updated, one at a time and in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import attrs
import pytest

from mastra_core import clock
from mastra_core.errors import InvalidInputError
from mastra_core.storage.domains.observability import ObservabilityDomain
from mastra_core.storage.domains.span_changes import SpanUpdate
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.span_kinds import SPANS, Span
from mastra_core.testing.equality import assert_same
from mastra_core.testing.observability.under_test import ObservabilityUnderTest, a_child, a_span
from mastra_core.testing.samples import AWKWARD_IDS, JSON_VALUES, T0, at

TEXTS = tuple(field.name for field in SPANS.fields if field.type == "text" and field.optional)
UNKNOWN_UPDATE = cast("SpanUpdate", {"endedAt": None})


def a_full_span() -> Span:
    """A span with every attribute."""
    texts = {name: f"the {name} é" for name in TEXTS}
    json: Mapping[str, Json] = {
        name: {"of": name, **JSON_VALUES} for name in ("scope", "metadata", "attributes", "error", "request_context")
    }
    lists: Mapping[str, Json] = {"tags": ["a", "é 😀", ""], "links": [{"traceId": "x"}, "y"], "input": [1, {"a": None}], "output": "plain"}
    own: dict[str, Any] = {"name": "😀", "span_type": "whatever", "is_event": True, "parent_span_id": "p", "updated_at": at(9)}
    return a_span(started=1, ended=2, **texts, **json, **lists, **own)


class SpanContract(ObservabilityUnderTest):
    """Spans one by one."""

    async def test_a_span_comes_back_as_it_was_saved(self, spans: ObservabilityDomain) -> None:
        """Every attribute of a span is kept: names, times, ids, JSON of every kind."""
        full, bare = a_full_span(), a_span(span_id="bare")
        await spans.create_span(full)
        await spans.batch_create_spans([bare])
        assert_same(await spans.get_span("t", span_id="r"), full)
        assert_same(await spans.get_span("t", span_id="bare"), bare)
        assert await spans.get_span("t", span_id="none") is None
        assert await spans.get_span("none", span_id="r") is None

    async def test_inputs_and_outputs_of_any_kind_come_back_equal(self, spans: ObservabilityDomain) -> None:
        """A text that looks like JSON stays a text, a number a number, and nothing is added or lost."""
        saved = {name: a_span(span_id=name, input=value, output=[value]) for name, value in JSON_VALUES.items()}
        await spans.batch_create_spans(list(saved.values()))
        for name, span in saved.items():
            assert_same(await spans.get_span("t", span_id=name), span)

    async def test_any_id_names_a_span(self, spans: ObservabilityDomain) -> None:
        """Ids are kept apart whatever is in them, and a trace's from its spans'."""
        await spans.batch_create_spans([a_span(i, i, name=i) for i in AWKWARD_IDS])
        await spans.batch_create_spans([a_span("a", "b:c", name="1"), a_span("a:b", "c", name="2")])
        found = [await spans.get_span(i, span_id=i) for i in AWKWARD_IDS]
        assert [span and span.name for span in found] == list(AWKWARD_IDS)
        alike = [await spans.get_span(trace_id, span_id=i) for trace_id, i in (("a", "b:c"), ("a:b", "c"))]
        assert [span and span.name for span in alike] == ["1", "2"]

    async def test_a_span_saved_again_is_replaced(self, spans: ObservabilityDomain) -> None:
        """An exporter that tries again writes nothing twice; when the record was made stays."""
        await spans.create_span(a_full_span())
        again = a_span(name="again", ended=5, created_at=at(50), updated_at=at(60))
        await spans.create_span(again)
        assert_same(await spans.get_span("t", span_id="r"), attrs.evolve(again, created_at=T0))
        await spans.batch_create_spans([attrs.evolve(again, name="and again")])
        await self.has(spans, "t", [attrs.evolve(again, name="and again", created_at=T0)])

    async def test_a_large_batch_is_written_whole(self, spans: ObservabilityDomain) -> None:
        """Thousands of spans may be saved at once; of two of the same ids the last one counts."""
        many = [a_span(f"t{number % 3}", f"s{number:04}", started=number) for number in range(2_600)]
        await spans.batch_create_spans([a_span("t0", "s0000", name="first"), *many])
        for trace in range(3):
            await self.has(spans, f"t{trace}", many[trace::3])
        await spans.batch_create_spans([])

    async def test_an_update_changes_what_it_names_and_nothing_else(self, spans: ObservabilityDomain) -> None:
        """A span that ends keeps all that was known when it began; scope and links too, which TypeScript loses."""
        full = a_full_span()
        await spans.create_span(full)
        before = clock.now()
        changes: SpanUpdate = {
            "ended_at": at(99),
            "output": {"b": 1},
            "metadata": {"new": None},
            "scope": None,
            "links": None,
            "is_event": False,
        }
        await spans.update_span("t", span_id="r", updates=changes)
        found = await spans.get_span("t", span_id="r")
        assert found is not None
        assert found.updated_at is not None
        assert found.updated_at >= before
        expected = attrs.evolve(full, ended_at=at(99), output={"b": 1}, metadata={"new": None}, is_event=False, updated_at=found.updated_at)
        assert_same(found, expected)

    async def test_updates_of_many_spans_travel_together(self, spans: ObservabilityDomain) -> None:
        """A batch of updates changes each span; several of one span add up, and the later one wins."""
        await spans.batch_create_spans([a_span(span_id="a"), a_span(span_id="b", output="kept")])
        await spans.batch_update_spans(
            [
                {"trace_id": "t", "span_id": "a", "updates": {"output": 1, "name": "first"}},
                {"trace_id": "t", "span_id": "b", "updates": {"error": {"message": "no"}}},
                {"trace_id": "t", "span_id": "a", "updates": {"output": 2, "ended_at": at(3)}},
            ]
        )
        one, other = await spans.get_spans("t", span_ids=["a", "b"])
        assert (one.name, one.output, one.ended_at, one.status) == ("first", 2, at(3), "success")
        assert (other.output, other.error, other.status) == ("kept", {"message": "no"}, "error")
        await spans.batch_update_spans([])

    async def test_an_update_of_a_span_that_is_not_there_is_no_error(self, spans: ObservabilityDomain) -> None:
        """Traces that were deleted, or never arrived, do not stop an exporter; and nothing half is made of them."""
        await spans.create_span(a_span())
        await spans.update_span("t", span_id="gone", updates={"ended_at": at(1)})
        await spans.batch_update_spans(
            [
                {"trace_id": "gone", "span_id": "r", "updates": {"ended_at": at(1)}},
                {"trace_id": "t", "span_id": "r", "updates": {"ended_at": at(2)}},
            ]
        )
        found = await spans.get_span("t", span_id="r")
        assert found is not None
        assert found.ended_at == at(2)
        assert await spans.get_span("t", span_id="gone") is None
        assert await spans.get_span("gone", span_id="r") is None

    async def test_concurrent_updates_of_a_span_all_survive(self, spans: ObservabilityDomain) -> None:
        """Two that update different attributes at once both win."""
        await spans.create_span(a_span())
        await asyncio.gather(*(spans.update_span("t", span_id="r", updates=cast("SpanUpdate", {name: name})) for name in TEXTS))
        found = await spans.get_span("t", span_id="r")
        assert {name: getattr(found, name) for name in TEXTS} == {name: name for name in TEXTS}

    async def test_times_of_spans_are_instants_in_milliseconds(self, spans: ObservabilityDomain) -> None:
        """Microseconds are cut off, and a time zone is turned into UTC."""
        zone = timezone(timedelta(hours=5, minutes=30))
        moment = datetime(2025, 6, 1, 12, 0, 0, 123456, zone)
        await spans.create_span(a_span(started_at=moment, ended_at=moment.astimezone(UTC)))
        await spans.update_span("t", span_id="r", updates={"ended_at": moment + timedelta(seconds=1)})
        found = await spans.get_span("t", span_id="r")
        assert found is not None
        stored = datetime(2025, 6, 1, 6, 30, 0, 123000, UTC)
        assert_same([found.started_at, found.ended_at], [stored, stored + timedelta(seconds=1)])

    @pytest.mark.parametrize(
        "wrong, told",
        [
            ({"started_at": datetime(2025, 1, 1)}, "naive"),  # noqa: DTZ001  # what is refused
            ({"ended_at": datetime(2025, 1, 1, 0, 0, 0, 1)}, "naive"),  # noqa: DTZ001
            ({"trace_id": ""}, "trace_id"),
            ({"span_id": "x" * 256}, "span_id"),
            ({"input": [{"a": float("nan")}]}, "input[0].a"),
            ({"output": {"a": {1}}}, "output.a"),
            ({"metadata": {"a": "\0"}}, "U+0000"),
            ({"name": None}, "name"),
            ({"is_event": 1}, "is_event"),
        ],
        ids=lambda value: ascii(value)[:40],
    )
    async def test_a_span_that_cannot_be_stored_is_refused_with_its_batch(
        self, spans: ObservabilityDomain, wrong: Mapping[str, Any], told: str
    ) -> None:
        """What cannot be kept is refused before anything is sent, and named."""
        bad = attrs.evolve(a_child("t", "bad"), **wrong)
        with pytest.raises(InvalidInputError) as caught:
            await spans.create_span(bad)
        assert told in str(caught.value)
        with pytest.raises(InvalidInputError) as caught:
            await spans.batch_create_spans([a_span(), bad])
        assert told in str(caught.value)
        assert await spans.get_span("t", span_id="r") is None

    async def test_an_update_that_makes_no_sense_is_refused(self, spans: ObservabilityDomain) -> None:
        """A misspelt attribute is an error with the mend, and never passed over."""
        await spans.create_span(a_span())
        with pytest.raises(InvalidInputError, match="Did you mean 'ended_at'"):
            await spans.update_span("t", span_id="r", updates=UNKNOWN_UPDATE)
        with pytest.raises(InvalidInputError, match="naive"):
            await spans.update_span("t", span_id="r", updates={"ended_at": datetime(2025, 1, 1)})  # noqa: DTZ001  # what is refused
        with pytest.raises(InvalidInputError, match="must be a Span"):
            await spans.batch_create_spans(cast("list[Span]", [{"trace_id": "t"}]))
        assert_same(await spans.get_span("t", span_id="r"), a_span())
