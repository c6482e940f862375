"""What is promised of traces: read whole, light and by branches, and deleted."""

from __future__ import annotations

import random
from typing import Any

import attrs
import pytest

from mastra_core.errors import InvalidInputError
from mastra_core.storage.domains.observability import ObservabilityDomain
from mastra_core.storage.records.span_kinds import Span
from mastra_core.testing.contract import needs
from mastra_core.testing.equality import assert_same
from mastra_core.testing.observability.under_test import ObservabilityUnderTest, a_child, a_span, spans_of
from mastra_core.testing.samples import IN_ORDER, at

HEAVY = ("input", "output", "attributes", "metadata", "tags", "links")


def a_tree() -> list[Span]:
    """A trace of five spans: r above a and b, a above c, c above d."""
    parents = {"a": "r", "b": "r", "c": "a", "d": "c"}
    below = [a_child("t", name, parent=parent, started=number) for number, (name, parent) in enumerate(parents.items())]
    return [a_span(started=-1), *below]


class TraceContract(ObservabilityUnderTest):
    """Traces one by one."""

    async def test_a_trace_is_its_spans_in_the_order_they_started(self, spans: ObservabilityDomain) -> None:
        """A trace is read oldest first, ties by id, and holds no span of another."""
        trace = [a_span(started=0), *(a_child("t", name, started=5) for name in IN_ORDER), a_child("t", "!", started=9)]
        await spans.batch_create_spans([a_span("u"), *random.Random(1).sample(trace, len(trace))])
        await self.has(spans, "t", trace)
        found = await spans.get_trace("t")
        assert found is not None
        assert found.trace_id == "t"
        assert await spans.get_trace("nope") is None
        assert await spans.get_trace_light("nope") is None

    async def test_spans_of_a_trace_are_read_in_the_order_asked(self, spans: ObservabilityDomain) -> None:
        """Several spans are one call; those that are not there are passed over."""
        await spans.batch_create_spans([*a_tree(), a_span("u", "x")])
        found = await spans.get_spans("t", span_ids=["d", "nope", "x", "a", "d"])
        assert [span.span_id for span in found] == ["d", "a"]
        assert await spans.get_spans("t", span_ids=[]) == ()

    async def test_the_root_of_a_trace_is_the_span_without_a_parent(self, spans: ObservabilityDomain) -> None:
        """The root is found though a child started before it; a trace without one has none."""
        root = a_span(started=5)
        await spans.batch_create_spans([root, a_child("t", started=1), a_child("orphans")])

        async def look() -> Span | None:
            return await spans.get_root_span("t")

        await self.shows(look, root)
        await spans.create_span(a_span(span_id="second", started=6))
        await self.shows(look, root)
        assert await spans.get_root_span("orphans") is None
        assert await spans.get_root_span("nope") is None

    async def test_a_light_read_leaves_out_what_is_heavy(self, spans: ObservabilityDomain) -> None:
        """A trace can be drawn without its inputs, outputs, attributes, metadata, tags and links; all else is there."""
        nothing: dict[str, Any] = dict.fromkeys(HEAVY)
        heavy: dict[str, Any] = {name: ["x" * 100] if name in {"tags", "links"} else {"a": "x" * 100} for name in HEAVY}
        full = a_span(ended=3, error={"message": "no"}, scope={"v": 1}, request_context={"a": 1}, entity_id="e", **heavy)
        await spans.create_span(full)
        await self.has(spans, "t", [full])
        assert_same(spans_of(await spans.get_trace_light("t")), [attrs.evolve(full, **nothing)])

    async def test_a_branch_is_a_span_and_all_below_it(self, spans: ObservabilityDomain) -> None:
        """One step of a run is read with what happened inside it, and nothing beside it."""
        tree = a_tree()
        await spans.batch_create_spans([*random.Random(2).sample(tree, len(tree)), a_child("u", "z", parent="a")])
        await self.has(spans, "t", tree)
        for top, below in (("r", "rabcd"), ("a", "acd"), ("b", "b"), ("d", "d")):
            branch = await spans.get_branch("t", span_id=top)
            assert branch is not None
            assert_same(branch.spans, [span for span in tree if span.span_id in below])
        assert await spans.get_branch("t", span_id="z") is None
        assert await spans.get_branch("nope", span_id="r") is None

    async def test_a_branch_that_bites_its_tail_has_an_end(self, spans: ObservabilityDomain) -> None:
        """Spans that name each other as parents do not stop a reader."""
        await spans.batch_create_spans([a_child("t", "a", parent="b"), a_child("t", "b", parent="a"), a_child("t", "c", parent="c")])
        for top, expected in (("a", ["a", "b"]), ("c", ["c"])):
            branch = await spans.get_branch("t", span_id=top)
            assert [span.span_id for span in spans_of(branch)] == expected

    async def test_deleted_traces_are_gone_whole(self, spans: ObservabilityDomain) -> None:
        """Every span of the traces goes, and none of another; deleting again is no error."""
        large = [a_child("large", f"c{number:04}", started=number) for number in range(1_001)]
        await spans.batch_create_spans([*a_tree(), *large, a_span("kept"), a_child("kept")])
        for _ in range(2):
            await spans.batch_delete_traces(["t", "large", "nope", "t"])
            await self.has(spans, "t", [])
            await self.has(spans, "large", [])
            await self.has(spans, "kept", [a_span("kept"), a_child("kept")])
        assert await spans.get_span("t", span_id="d") is None
        await spans.batch_delete_traces([])

    async def test_a_deletion_for_somebody_takes_only_what_is_theirs(self, spans: ObservabilityDomain) -> None:
        """With an organization or a resource, a trace that its root gives to another is left alone, whatever its children say."""
        await spans.batch_create_spans(
            [
                *(a_span("mine", organization_id="o", resource_id="r"), a_child("mine", resource_id="other")),
                *(a_span("theirs", organization_id="o", resource_id="other"), a_child("theirs", resource_id="r", started=-1)),
                *(a_span("nobody's"), a_child("nobody's")),
                a_child("rootless", organization_id="o", resource_id="r"),
            ]
        )
        everything = ["mine", "theirs", "nobody's", "rootless", "nope"]
        await spans.batch_delete_traces(everything, organization_id="elsewhere", resource_id="r")
        assert len(spans_of(await spans.get_trace("mine"))) == 2
        await spans.batch_delete_traces(everything, resource_id="r")
        assert [len(spans_of(await spans.get_trace(i))) for i in everything] == [0, 2, 2, 0, 0]
        await spans.batch_delete_traces(everything, organization_id="o")
        assert [len(spans_of(await spans.get_trace(i))) for i in everything] == [0, 0, 2, 0, 0]

    async def test_more_than_a_thousand_traces_are_not_deleted_at_once(self, spans: ObservabilityDomain) -> None:
        """A call that would take long is refused with the limit, and deletes nothing."""
        await spans.create_span(a_span())
        with pytest.raises(InvalidInputError, match="at most 1000"):
            await spans.batch_delete_traces(["t", *(f"t{number}" for number in range(1_000))])
        with pytest.raises(InvalidInputError, match="trace_ids"):
            await spans.batch_delete_traces("t")
        assert await spans.get_span("t", span_id="r") is not None

    @needs("scan")
    async def test_clearing_leaves_no_span(self, spans: ObservabilityDomain) -> None:
        """dangerously_clear_all does what it says."""
        await spans.batch_create_spans([*a_tree(), a_span("u")])
        await spans.dangerously_clear_all()
        await self.has(spans, "t", [])
        await self.has(spans, "u", [])

    async def test_an_exporter_is_told_how_to_save(self, spans: ObservabilityDomain) -> None:
        """Spans go in batches and are updated later."""
        strategy = spans.observability_strategy
        assert (strategy.preferred, strategy.supported) == ("batch-with-updates", ("batch-with-updates", "insert-only"))

    async def test_the_status_of_a_span_says_how_it_stands(self, spans: ObservabilityDomain) -> None:
        """A span that failed is an error though it has ended; one without an end runs."""
        given = {
            "error": a_span(span_id="error", ended=1, error={}),
            "running": a_span(span_id="running"),
            "success": a_span(span_id="success", ended=1),
        }
        await spans.batch_create_spans([*given.values(), a_span(span_id="failing", error={"message": "x"})])
        for status in given:
            found = await spans.get_span("t", span_id=status)
            assert found is not None
            assert found.status == status
        updated = a_span(span_id="running", ended=2)
        await spans.update_span("t", span_id="running", updates={"ended_at": at(2)})
        found = await spans.get_span("t", span_id="running")
        assert found is not None
        assert (found.status, found.ended_at) == (updated.status, updated.ended_at)
