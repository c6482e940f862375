"""A database that the real TypeScript packages wrote is restored, read as they read it, and gone on with."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import attrs
import psycopg
import pytest

from mastra_core.storage.records.kinds import Message
from mastra_core.storage.records.score_kinds import SCORES
from mastra_core.testing.equality import assert_same
from mastra_pg import PgVector, PostgresStore
from tests.interop.embedding import ASKED, INDEX, embedded, in_order
from tests.interop.questions import ELSEWHERE, Golden, said_in, unneeded
from tests.interop.shapes import by_place, hidden_at, message, score, shown
from tests.servers.fixtures import fresh_postgres_database
from tests.servers.shared import Address

GOLDEN = Path(__file__).parent / "golden"
SAID = said_in(GOLDEN)
HIDDEN = hidden_at("postgresql://golden")


def restore(url: str) -> None:
    """Run the dump of the golden database in the empty one at *url*; what only the program psql understands is left out."""
    dump = re.sub(r"^\\(un)?restrict .*$", "", (GOLDEN / "golden.sql").read_text(), flags=re.MULTILINE)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(dump)


@pytest.fixture(scope="module")
def read_url(postgres_server: Address) -> Iterator[str]:
    """The URL of the golden database, for tests that only read."""
    with fresh_postgres_database(postgres_server) as url:
        restore(url)
        yield url


@pytest.fixture
def url(postgres_url: str) -> str:
    """The URL of a golden database of one's own."""
    restore(postgres_url)
    return postgres_url


@pytest.fixture
async def golden(read_url: str) -> AsyncIterator[Golden]:
    """A store over the golden database."""
    async with PostgresStore(connection_string=read_url) as store:
        yield Golden(store, SAID, hidden=HIDDEN)


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    """A store over a golden database of one's own."""
    async with PostgresStore(connection_string=url) as opened:
        yield opened


@pytest.fixture
async def vectors(read_url: str) -> AsyncIterator[PgVector]:
    """The vectors of the golden database."""
    async with PgVector(connection_string=read_url) as opened:
        yield opened


@pytest.mark.parametrize("name", [name for name in SAID if name not in ELSEWHERE])
async def test_an_answer_of_typescript_is_ours_too(golden: Golden, name: str) -> None:
    """Must hold: "`golden/pg` restores and reads back equal to `readback.json`"."""
    await golden.assert_alike(name)


def test_what_is_excepted_is_there() -> None:
    """An exception that nothing in readback.json needs is dropped, and so is a question that nobody asked."""
    assert unneeded(SAID) == set()


async def test_what_typescript_does_not_select_of_a_span_is_read_too(golden: Golden, read_url: str) -> None:
    """A run's request context is in the table, where TypeScript leaves it; here it is part of the span."""
    with psycopg.connect(read_url) as connection:
        held = connection.execute('SELECT "traceId", "spanId", "requestContext" FROM mastra_ai_spans WHERE "requestContext" IS NOT NULL')
        contexts = held.fetchall()
    assert len(contexts) == 12
    for trace_id, span_id, context in contexts:
        span = await golden.store.observability.get_span(trace_id, span_id=span_id)
        assert span is not None
        assert_same(span.request_context, context)


async def test_indexes_are_described_as_typescript_describes_them(vectors: PgVector) -> None:
    """Issue: "`golden/pg` restores and reads back equal to `readback.json`" (vectors)."""
    assert await vectors.list_indexes() == list(SAID["vector.indexes"])
    for name, expected in SAID["vector.indexes"].items():
        found = await vectors.describe_index(name)
        assert (found.dimension, found.metric, found.count) == (expected["dimension"], expected["metric"], expected["count"])


async def test_a_query_finds_what_typescript_finds(vectors: PgVector) -> None:
    """The same ids and metadata, and the same scores to seven digits."""
    expected = in_order(SAID[f"vector.query.{INDEX}"])
    found = await vectors.query(INDEX, query_vector=ASKED, top_k=len(expected))
    assert [(match.id, match.metadata) for match in found] == [(match["id"], match["metadata"]) for match in expected]
    assert [match.score for match in found] == pytest.approx([match["score"] for match in expected], abs=1e-7)


async def test_a_vector_is_the_embedding_of_its_text(vectors: PgVector) -> None:
    """Every stored vector comes back as the embedder made it, and is the nearest to its own text in its thread."""
    every = await vectors.query(INDEX, query_vector=ASKED, top_k=100, include_vector=True)
    assert len(every) == 14
    for match in every:
        text = str(match.metadata["content"])
        assert match.vector == pytest.approx(embedded(text), abs=1e-7)
        nearest = await vectors.query(INDEX, query_vector=embedded(text), filter={"thread_id": match.metadata["thread_id"]}, top_k=1)
        assert nearest[0].score == pytest.approx(1, abs=1e-6)
        assert nearest[0].metadata["content"] == text


async def test_what_typescript_recalled_is_what_we_find(vectors: PgVector) -> None:
    """The two messages of a resource nearest to a text are those that TypeScript's Memory recalled beside its page of two."""
    recalled = SAID["memory.recall.semantic"]["ids"]
    nearest = await vectors.query(INDEX, query_vector=embedded("weather in Lisbon"), top_k=2, filter={"resource_id": "user-a"})
    assert sorted(str(match.metadata["message_id"]) for match in nearest) == recalled[2:4]


async def test_typescripts_table_of_vectors_takes_ours(url: str) -> None:
    """A Python agent remembers in the index that a TypeScript agent made, beside what is there."""
    async with PgVector(connection_string=url) as vectors:
        await vectors.create_index(INDEX, dimension=384, metadata_indexes=["thread_id"])
        await vectors.upsert(INDEX, vectors=[ASKED], ids=["new"])
        assert [match.id for match in await vectors.query(INDEX, query_vector=ASKED, top_k=1)] == ["new"]
        assert (await vectors.describe_index(INDEX)).count == 15


async def test_a_turn_is_read_from_what_typescript_wrote_and_another_one_saved(store: PostgresStore) -> None:
    """A Python agent goes on with a conversation that a TypeScript agent began."""
    turn = await store.memory.read_turn("thread-wm", resource_id="user-b", last=2, with_resource=True)
    assert [message(m) for m in turn.messages] == list(reversed(SAID["messages.list.thread-wm.last2desc"]["messages"]))
    assert turn.resource is not None
    assert turn.resource.working_memory == SAID["resource.user-b"]["workingMemory"]
    assert turn.thread is not None
    said = {"format": 2, "parts": [{"type": "text", "text": "Hello again."}]}
    new = [Message(id=f"ours-{role}", thread_id="thread-wm", role=role, content=said) for role in ("user", "assistant")]
    saved = await store.memory.save_turn(thread=turn.thread, messages=new, existed=True)
    after = await store.memory.read_turn("thread-wm", resource_id="user-b", last=4)
    assert_same(list(after.messages), [*turn.messages, *saved])
    thread = await store.memory.update_thread("thread-wm", metadata={"ours": [1, {}]})
    assert thread.metadata == {**(turn.thread.metadata or {}), "ours": [1, {}]}
    assert (thread.title, thread.created_at) == (turn.thread.title, turn.thread.created_at)


async def test_a_run_that_typescript_suspended_is_resumed(store: PostgresStore) -> None:
    """A Python process goes on with a run that a TypeScript process began; nothing else of it changes."""
    before, at = SAID["workflows.snapshot.run-suspended"], {"run_id": "run-suspended"}
    workflows = store.workflows
    assert await workflows.update_workflow_state("orderWorkflow", **at, opts={"status": "running"}, expected_status="success") is None
    claimed = await workflows.update_workflow_state("orderWorkflow", **at, opts={"status": "running"}, expected_status="suspended")
    assert claimed == {**before, "status": "running"}
    result = {**before["context"]["approve"], "status": "success", "output": {"approved": True}}
    context = await workflows.update_workflow_results("orderWorkflow", **at, step_id="approve", result=result)
    stored = await workflows.load_workflow_snapshot("orderWorkflow", run_id="run-suspended")
    assert stored == {**before, "status": "running", "context": context, "requestContext": {}}
    assert context == {**before["context"], "approve": result}
    for name in ("run-completed", "run-resumed"):
        assert await workflows.load_workflow_snapshot("orderWorkflow", run_id=name) == SAID[f"workflows.snapshot.{name}"]


async def test_a_score_of_typescript_is_replaced_and_the_others_stay(store: PostgresStore) -> None:
    """A Python scorer judges again what TypeScript judged, under the same id."""
    first, *others = SAID["scores.byScorer.manual"]["scores"]
    old = await store.scores.get_score_by_id(first["id"])
    assert old is not None
    given: dict[str, Any] = {name: getattr(old, name) for name in SCORES.by_name if name not in {"created_at", "updated_at"}}
    again = await store.scores.save_score({**given, "score": 0.9})
    assert_same(score(again), {**first, "score": 0.9, "updatedAt": score(again)["updatedAt"]})
    page = await store.scores.list_scores_by_scorer_id("manual-scorer", per_page=50)
    assert_same([score(record) for record in page], [score(again), *others])


async def test_spans_of_typescript_are_updated_and_deleted(store: PostgresStore) -> None:
    """A Python exporter goes on with a trace that a TypeScript one began; the trigger of TypeScript's tables sets the times of writing."""
    spans, known = store.observability, SAID["traces.list"]["spans"][0]
    trace_id, span_id = known["traceId"], known["spanId"]
    before = await spans.get_span(trace_id, span_id=span_id)
    assert before is not None
    await spans.update_span(trace_id, span_id=span_id, updates={"error": {"message": "late"}})
    after = await spans.get_span(trace_id, span_id=span_id)
    assert after is not None
    assert before.updated_at is not None
    assert after.updated_at is not None
    assert after.updated_at > before.updated_at
    assert_same(after, attrs.evolve(before, error={"message": "late"}, updated_at=after.updated_at))
    trace = await spans.get_trace(trace_id)
    assert trace is not None
    others = [span for span in by_place(SAID[f"traces.get.{trace_id}"]["spans"]) if span["spanId"] != span_id]
    assert_same([shown(span, hidden=HIDDEN) for span in trace.spans if span.span_id != span_id], others)
    await spans.batch_delete_traces([trace_id])
    assert await spans.get_trace(trace_id) is None
    assert (await spans.list_traces(include_total=True)).total == 12
