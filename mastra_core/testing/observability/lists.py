"""What is promised of lists of traces: their order, their pages and every filter."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from mastra_core.errors import InvalidInputError
from mastra_core.storage.domains.observability import ObservabilityDomain
from mastra_core.storage.domains.trace_filters import TraceFilters
from mastra_core.storage.records.kind import Json
from mastra_core.testing.contract import needs
from mastra_core.testing.observability.under_test import ObservabilityUnderTest, a_child, a_span
from mastra_core.testing.samples import at

TEXTS = (
    "span_type", "entity_type", "entity_id", "entity_name", "parent_entity_type", "parent_entity_id", "parent_entity_name",
    "root_entity_type", "root_entity_id", "root_entity_name", "user_id", "organization_id", "resource_id", "run_id", "session_id",
    "thread_id", "request_id", "experiment_id", "environment", "service_name", "source",
)  # fmt: skip


class TraceListContract(ObservabilityUnderTest):
    """Lists of traces. A trace here is a letter, and started a millisecond after the one before it in the alphabet."""

    @needs("open_paths")
    async def test_traces_come_newest_first(self, spans: ObservabilityDomain) -> None:
        """A list of traces is of root spans, newest first, ties by id turned round; in the other direction when asked."""
        roots = [*(a_span(i, started=number) for number, i in enumerate("abc")), *(a_span(i, started=9) for i in "YZyz")]
        await spans.batch_create_spans([*roots, *(a_child(i, started=20) for i in "abxyz")])
        await self.lists(spans, "zyZYcba")
        await self.lists(spans, "zyZYcba", order_by={"field": "started_at"})
        await self.lists(spans, "abcYZyz", order_by={"direction": "ASC"})
        first = next(iter(await spans.list_traces()))
        assert first == roots[-1]

    @needs("open_paths", "pages", "count")
    async def test_pages_of_traces_follow_one_another(self, spans: ObservabilityDomain) -> None:
        """Pages leave nothing out and show nothing twice; ten at a time, and counted only when that is asked for."""
        letters = "abcdefghijk"
        await spans.batch_create_spans([a_span(i, started=number) for number, i in enumerate(letters)])
        await self.lists(spans, letters[:0:-1])
        await self.lists(spans, letters[::-1], per_page=None)
        first = await spans.list_traces()
        assert (len(first), first.total, first.page, first.per_page, first.has_more) == (10, None, 0, 10, True)
        for number, expected, more in ((0, "kjih", True), (1, "gfed", True), (2, "cba", False), (3, "", False)):
            page = await spans.list_traces(page=number, per_page=4, include_total=True)
            assert "".join(root.trace_id for root in page) == expected
            assert (page.total, page.page, page.per_page, page.has_more) == (11, number, 4, more)
        nothing, everything = await spans.list_traces(per_page=0), await spans.list_traces(per_page=None)
        assert (len(nothing), nothing.has_more, len(everything), everything.has_more) == (0, True, 11, False)

    @needs("open_paths", "pages")
    async def test_traces_can_be_ordered_by_their_end(self, spans: ObservabilityDomain) -> None:
        """What still runs comes first when the newest end is wanted first, and last the other way round; pages follow that order."""
        ends = {"a": 30, "b": None, "c": 10, "d": 10, "e": None, "f": 20}
        await spans.batch_create_spans([a_span(i, started=number, ended=end) for number, (i, end) in enumerate(ends.items())])
        await self.lists(spans, "ebafdc", order_by={"field": "ended_at"})
        await self.lists(spans, "cdfabe", order_by={"field": "ended_at", "direction": "ASC"})
        for number, expected in enumerate(("eb", "af", "dc")):
            await self.lists(spans, expected, page=number, per_page=2, order_by={"field": "ended_at", "direction": "DESC"})

    @needs("open_paths", "filters")
    async def test_traces_are_found_by_how_they_stand(self, spans: ObservabilityDomain) -> None:
        """error, running and success are each a filter, and what the status of the roots says."""
        error = {"message": "no"}
        await spans.batch_create_spans([a_span("a", ended=1), a_span("b"), a_span("c", ended=1, error=error), a_span("d", error=error)])
        for status, expected in (("success", "a"), ("running", "b"), ("error", "dc")):
            await self.lists(spans, expected, filters={"status": status})
        assert {root.trace_id: root.status for root in await spans.list_traces()} == {
            "a": "success",
            "b": "running",
            "c": "error",
            "d": "error",
        }

    @needs("open_paths", "filters")
    @pytest.mark.parametrize("name", TEXTS)
    async def test_traces_are_found_by_whose_and_what_they_are(self, spans: ObservabilityDomain, name: str) -> None:
        """Every text a root carries is a filter, also those that TypeScript accepts and passes over; it is compared as it is."""
        values = {"a": "x", "b": "X", "c": "x ", "d": "x"}
        roots = [a_span(i, started=number, **{name: value}) for number, (i, value) in enumerate(values.items())]
        await spans.batch_create_spans([*roots, a_span("e"), a_child("e", **{name: "x"})])
        await self.lists(spans, "da", filters={name: "x"})
        await self.lists(spans, "", filters={name: "y"})

    @needs("open_paths", "filters")
    async def test_all_tags_asked_for_must_be_there(self, spans: ObservabilityDomain) -> None:
        """Tags narrow a list down; one tag too many finds nothing."""
        tags = {"a": ["x"], "b": ["x", "y é"], "c": [], "d": None, "e": ["xy", "y é", "x"]}
        await spans.batch_create_spans([a_span(i, started=number, tags=held) for number, (i, held) in enumerate(tags.items())])
        for wanted, expected in ((["x"], "eba"), (["y é", "x"], "eb"), (["x", "z"], ""), ([], "edcba")):
            await self.lists(spans, expected, filters={"tags": wanted})

    @needs("open_paths", "filters")
    @pytest.mark.parametrize("name", ["metadata", "scope"])
    async def test_values_of_metadata_and_scope_compare_by_type(self, spans: ObservabilityDomain, name: str) -> None:
        """1 is not "1", true is not 1, null is not missing; TypeScript finds no number and no boolean at all."""
        values: list[Json] = [1, "1", True, None, 1.5, "", "é", False, 0, {"a": 1}]
        given: list[dict[str, Any]] = [{name: {"k": value, "n": number % 2}} for number, value in enumerate(values)]
        empty: dict[str, Any] = {name: {}}
        roots = [a_span(f"t{number}", started=number, **held) for number, held in enumerate(given)]
        await spans.batch_create_spans([*roots, a_span("bare", **empty), a_span("none")])
        for number, value in enumerate(values[:9]):
            await self.lists(spans, [f"t{number}"], filters={name: {"k": value}})
        await self.lists(spans, ["t0"], filters={name: {"k": 1, "n": 0}})
        await self.lists(spans, [], filters={name: {"k": 1, "n": 1}})
        await self.lists(spans, [f"t{number}" for number in (9, 7, 5, 3, 1)], filters={name: {"n": 1}})

    @needs("open_paths", "span", "filters")
    @pytest.mark.parametrize("name", ["started_at", "ended_at"])
    async def test_ranges_of_time_begin_and_end_where_they_say(self, spans: ObservabilityDomain, name: str) -> None:
        """Both ends belong to a range unless they are exclusive; what has no end lies in no range of ends. Any order will do."""
        other = "ended_at" if name == "started_at" else "started_at"
        times: list[dict[str, Any]] = [{name: at(number), other: at(100 + number)} for number in range(5)]
        roots = [a_span(i, **given) for i, given in zip("abcde", times, strict=True)]
        await spans.batch_create_spans([*roots, a_span("z", started=500)])
        inner = {"start": at(1), "end": at(3)}
        ranges: list[tuple[Mapping[str, object], str]] = [
            (inner, "dcb"), ({**inner, "start_exclusive": True}, "dc"), ({**inner, "end_exclusive": True}, "cb"),
            ({**inner, "start_exclusive": True, "end_exclusive": True}, "c"), ({"end": at(1)}, "ba"), ({"start": at(5), "end": at(9)}, ""),
        ]  # fmt: skip
        for span, expected in ranges:
            for field in ("started_at", "ended_at"):
                await self.lists(spans, expected, filters={name: span}, order_by={"field": field})
        both = {
            "started_at": {"start": at(2) if name == "started_at" else at(102)},
            "ended_at": {"end": at(3) if name == "ended_at" else at(103)},
        }
        await self.lists(spans, "dc", filters=both)

    @needs("open_paths", "filters")
    async def test_filters_hold_together(self, spans: ObservabilityDomain) -> None:
        """Every filter given must be met."""
        common: TraceFilters = {"thread_id": "t", "tags": ["x"], "metadata": {"n": 1}, "status": "running", "started_at": {"start": at(0)}}
        fits: dict[str, Any] = {"thread_id": "t", "tags": ["x"], "metadata": {"n": 1}}
        misses: list[dict[str, Any]] = [{"thread_id": "u"}, {"tags": []}, {"metadata": {"n": 2}}, {"ended": 5}, {"started": -1}]
        roots = [a_span(i, **{"started": 1} | fits | miss) for i, miss in zip("abcde", misses, strict=True)]
        await spans.batch_create_spans([*roots, a_span("f", started=2, **fits), a_child("f", error={"message": "x"})])
        await self.lists(spans, "f", filters=common)
        await self.lists(spans, "f", filters={**common, "has_child_error": True})
        await self.lists(spans, "", filters={**common, "has_child_error": False})

    @needs("open_paths", "filters", "pages")
    async def test_traces_are_found_by_a_failure_below_their_root(self, spans: ObservabilityDomain) -> None:
        """A trace whose step failed is found though it ended well, among more traces than are looked at together; pages and counts hold."""
        error = {"message": "no"}
        roots = [a_span(f"{number:03}", started=number, ended=None if number % 2 else 900 - number) for number in range(230)]
        failed = [f"{number:03}" for number in range(0, 230, 60)]
        others = [a_span("own", started=-1, error=error), a_child("own"), *(a_child(root.trace_id) for root in roots)]
        await spans.batch_create_spans([*roots, *others, *(a_child(i, "d", parent="c", error=error) for i in failed)])
        for field in ("started_at", "ended_at"):
            newest = failed[::-1] if field == "started_at" else failed
            await self.lists(spans, newest, filters={"has_child_error": True}, order_by={"field": field})
            for number, expected, more in ((0, newest[:3], True), (1, newest[3:], False), (2, [], False)):
                page = await spans.list_traces(
                    filters={"has_child_error": True}, page=number, per_page=3, order_by={"field": field}, include_total=True
                )
                assert [root.trace_id for root in page] == expected
                assert (page.total, page.has_more) == (4, more)
        well = await spans.list_traces(filters={"has_child_error": False}, per_page=None)
        assert [root.trace_id for root in well] == [*(r.trace_id for r in roots[::-1] if r.trace_id not in failed), "own"]
        assert well.total is None

    async def test_a_trace_is_found_by_its_id(self, spans: ObservabilityDomain) -> None:
        """The list of one trace is its root, if that meets the other filters too."""
        await spans.batch_create_spans([a_span("a", ended=1), a_child("a", error={}), a_span("b"), a_child("c")])
        await self.lists(spans, "a", filters={"trace_id": "a"})
        for filters, expected in (
            ({"trace_id": "c"}, ""), ({"trace_id": "nope"}, ""), ({"trace_id": "a", "status": "running"}, ""),
            ({"trace_id": "a", "ended_at": {"start": at(1)}}, "a"), ({"trace_id": "a", "started_at": {"start": at(1)}}, ""),
            ({"trace_id": "a", "has_child_error": True}, "a"), ({"trace_id": "a", "has_child_error": False}, ""),
        ):  # fmt: skip
            await self.lists(spans, expected, filters=filters)

    async def test_a_trace_with_several_roots_is_listed_in_order(self, spans: ObservabilityDomain) -> None:
        """A trace that two programs began has two roots; they are paged and ordered like others."""
        roots = {"p": (0, None), "q": (5, 7), "s": (6, 6)}
        await spans.batch_create_spans([a_span("a", i, started=start, ended=end) for i, (start, end) in roots.items()])
        await self.has(spans, "a", [a_span("a", i, started=start, ended=end) for i, (start, end) in roots.items()])
        mine: TraceFilters = {"trace_id": "a"}
        page = await spans.list_traces(filters=mine, page=0, per_page=2, include_total=True)
        assert ([root.span_id for root in page], page.total, page.has_more) == (["s", "q"], 3, True)
        page = await spans.list_traces(filters=mine, page=1, per_page=2, order_by={"field": "ended_at", "direction": "ASC"})
        assert ([root.span_id for root in page], page.total, page.has_more) == (["p"], None, False)

    @pytest.mark.parametrize(
        "wrong, told",
        [
            ({"per_page": -1}, "perPage must be >= 0"),
            ({"per_page": True}, "per_page must be a whole number"),
            ({"page": -1}, "page must be >= 0"),
            ({"order_by": {"field": "startedAt"}}, "'started_at'"),
            ({"order_by": {"field": "created_at"}}, "cannot order by 'created_at'"),
            ({"filters": {"threadId": "t"}}, "Did you mean 'thread_id'"),
            ({"filters": {"thread_id": 1}}, "filters.thread_id"),
            ({"filters": {"trace_id": ""}}, "filters.trace_id"),
            ({"filters": {"status": "ok"}}, "filters.status"),
            ({"filters": {"has_child_error": 1}}, "filters.has_child_error"),
            ({"filters": {"tags": "a"}}, "filters.tags"),
            ({"filters": {"tags": [1]}}, "filters.tags"),
            ({"filters": {"scope": {"a-b": 1}}}, 'Invalid metadata key: "a-b"'),
            ({"filters": {"metadata": {"k": [1]}}}, "'k'"),
            ({"filters": {"metadata": "k"}}, "filters.metadata"),
            ({"filters": {"started_at": {"startExclusive": True}}}, "filters.started_at"),
            ({"filters": {"ended_at": {"end": datetime(2025, 1, 1)}}}, "naive"),  # noqa: DTZ001  # what is refused
        ],
        ids=lambda value: ascii(value)[:40],
    )
    async def test_an_option_of_a_list_of_traces_that_makes_no_sense_is_refused(
        self, spans: ObservabilityDomain, wrong: Mapping[str, Any], told: str
    ) -> None:
        """A misspelt or impossible option is an error with the mend, never another list."""
        with pytest.raises(InvalidInputError) as caught:
            await spans.list_traces(**wrong)
        assert told in str(caught.value)
