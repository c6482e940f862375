"""Where spans lie in the table: a layout of ours, since the TypeScript package keeps none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest

from mastra_core import Agent, Mastra, Memory, Observability
from mastra_core.storage import CompositeStore, InMemoryStore
from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.span_kinds import SPANS, Span
from mastra_core.testing.samples import at
from mastra_dynamodb.store import DynamoDBStore
from tests.servers.counting import counting_requests
from tests.unit.agent.models import ScriptedModel

ROOT = Span(trace_id="T", span_id="S", name="n", span_type="generic", started_at=at(0), created_at=at(0))


@pytest.fixture
async def store(dynamodb_client: Any, dynamodb_table: str) -> AsyncIterator[DynamoDBStore]:
    """A store over an empty table."""
    async with DynamoDBStore(table_name=dynamodb_table, client=dynamodb_client) as store:
        yield store


async def test_a_trace_is_one_partition_and_keeps_the_case_of_its_ids(
    store: DynamoDBStore, dynamodb_client: Any, dynamodb_table: str
) -> None:
    """A trace is read consistently, by one Query; traces whose ids differ by case are two."""
    spans = [attrs.evolve(ROOT, span_id=name, parent_span_id="S", started_at=at(n)) for n, name in enumerate("cab")]
    await store.observability.batch_create_spans([ROOT, *spans, attrs.evolve(ROOT, trace_id="t")])
    with counting_requests(dynamodb_client) as reading:
        trace = await store.observability.get_trace("T")
    assert reading.operations == ["Query"]
    assert trace is not None
    assert [span.span_id for span in trace.spans] == ["S", "c", "a", "b"]
    key = {"pk": {"S": "$mastra#entity_ai_span#traceId_T"}, "sk": {"S": "$ai_span_1#spanId_a"}}
    item = dynamodb_client.get_item(TableName=dynamodb_table, Key=key, ConsistentRead=True)["Item"]
    assert {"gsi1pk", "gsi5pk", "gsi6pk"}.isdisjoint(item), "an index costs a write, so a span is only in those that need it"


async def test_traces_are_listed_along_an_index_that_has_roots_alone(
    store: DynamoDBStore, dynamodb_client: Any, dynamodb_table: str
) -> None:
    """A list of traces reads its page and not the table; a span that gets a parent is no trace any more, and the other way round."""
    roots = [attrs.evolve(ROOT, trace_id=name, started_at=at(number)) for number, name in enumerate("abcdefgh")]
    await store.observability.batch_create_spans([*roots, *(attrs.evolve(root, span_id="c", parent_span_id="S") for root in roots)])
    with counting_requests(dynamodb_client) as reading:
        page = await store.observability.list_traces(per_page=3)
    assert (reading.operations, [root.trace_id for root in page], page.has_more) == (["Query"], ["h", "g", "f"], True)
    adopted = attrs.evolve(roots[7], parent_span_id="x")
    await store.observability.create_span(adopted)
    assert [root.trace_id for root in await store.observability.list_traces(per_page=2)] == ["g", "f"]
    await store.observability.update_span("g", span_id="S", updates={"parent_span_id": "x"})
    await store.observability.create_span(attrs.evolve(adopted, parent_span_id=None, ended_at=at(20)))
    await store.records.apply(Save(SPANS, attrs.evolve(roots[5], parent_span_id="x"), answer=False))
    for field in ("started_at", "ended_at"):
        found = await store.observability.list_traces(order_by={"field": field, "direction": "DESC"})
        assert sorted(root.trace_id for root in found) == list("abcdeh")
    for name in "hf":
        key = {"pk": {"S": f"$mastra#entity_ai_span#traceId_{name}"}, "sk": {"S": "$ai_span_1#spanId_S"}}
        item = dynamodb_client.get_item(TableName=dynamodb_table, Key=key, ConsistentRead=True)["Item"]
        assert ("gsi1pk" in item) == (name == "h")


async def test_the_spans_of_a_turn_tell_what_dynamodb_charged_for_it(dynamodb_client: Any, dynamodb_table: str) -> None:
    """Issue: "Consumed capacity per operation (`store.consumed()`, span attributes)": the two say the same of the same turn.

    Spans go elsewhere, so that all that the store consumes is the turn's.
    """
    store, spans = DynamoDBStore(table_name=dynamodb_table, client=dynamodb_client), InMemoryStore()
    agent = Agent("a", model=ScriptedModel("Hello."), memory=Memory())
    told: list[dict[str, Any]] = []
    split = CompositeStore(default=store, domains={"observability": spans})
    async with Mastra(storage=split, agents={"a": agent}, observability=Observability(storage_operations=True)) as mastra:
        assert mastra.observer is not None
        for _ in range(3):
            result = await agent.generate("Hello?", thread="t", resource="u")
            await mastra.observer.flush()
            trace = await spans.observability.get_trace(str(result.trace_id))
            assert trace is not None
            told += [dict(span.attributes or {}) for span in trace.spans if span.name.startswith("storage")]
        taken = store.consumed()
    assert [one["operation"] for one in told] == ["read_turn", "save_turn"] * 3
    assert all(
        ("read_units" in one, "write_units" in one) == (one["operation"] == "read_turn", one["operation"] == "save_turn") for one in told
    )
    assert sum(one.get("read_units", 0) for one in told) == taken["BatchGetItem"].read_units + taken["Query"].read_units
    assert sum(one.get("write_units", 0) for one in told) == taken["TransactWriteItems"].write_units > 0
