"""Everything that a store does, on a few records: for a test that looks at what is sent to a database while it is done.

Calls every public method of every domain, with each option that changes what is asked; a method that is forgotten here fails the test.
Knows stores and the kinds; must not know any database.
"""

from __future__ import annotations

import inspect
import itertools

import attrs

from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS
from mastra_core.storage.records.query import Between, Count, Cursor, Get, Is, Present, Query, Window
from mastra_core.storage.records.run_kinds import RUNS, WorkflowRun
from mastra_core.storage.records.score_kinds import SCORES, Score
from mastra_core.storage.records.span_kinds import SPANS, Span
from mastra_core.testing.samples import a_message, a_resource, a_thread, at
from mastra_core.testing.scores.under_test import a_score

SPAN = Between(("created_at",), low=at(0), high=at(9))


class Called:
    """A domain, and the names of those of its methods that were called."""

    def __init__(self, domain):
        self.domain, self.names = domain, set()

    def __getattr__(self, name):
        self.names.add(name)
        return getattr(self.domain, name)

    @property
    def left_out(self):
        """The public methods that ask a server and were not called."""
        return {
            name
            for name, method in inspect.getmembers(type(self.domain), inspect.isfunction)
            if not name.startswith("_") and (inspect.iscoroutinefunction(inspect.unwrap(method)) or inspect.isasyncgenfunction(method))
        } - self.names


async def taken(rows):
    return [row async for row in rows]


async def use_memory(memory):
    """Every method of the domain, and every option that changes what is asked."""
    await memory.save_thread(a_thread("s"))
    await memory.save_turn(thread=a_thread(), messages=[a_message(f"m{n}", created=n) for n in range(8)])
    await memory.save_turn(thread=a_thread(), messages=[a_message("m1", role="system")], existed=True)
    await memory.save_turn(thread=a_thread("s"), messages=[a_message("m0", thread_id="s")], existed=True)
    await memory.save_messages([a_message("m8"), a_message("m9", thread_id="s")])
    await memory.save_messages([a_message("m10")], chunked=True)
    await memory.read_turn("t", resource_id="r", last=3, with_resource=True)
    await memory.get_thread_by_id("t", resource_id="r")
    await memory.update_thread("t", title="new", metadata={"team": "a"})
    await memory.give_title("s", title="new")
    lists = [{}, {"resource_id": "r"}, {"metadata": {"team": "a"}}, {"resource_id": "r", "metadata": {"team": "a"}}]
    orders = [{"field": field, "direction": way} for field in ("created_at", "updated_at") for way in ("ASC", "DESC")]
    for given, order, per_page in itertools.product(lists, orders, (1, None)):
        await memory.list_threads(filter=given, order_by=order, page=0 if per_page is None else 1, per_page=per_page)
    ranges = [{}, {"start": at(1)}, {"end": at(5)}, {"start": at(1), "end": at(5), "start_exclusive": True, "end_exclusive": True}]
    for when, way, per_page, owner in itertools.product(ranges, ("ASC", "DESC"), (2, None), (None, "r")):
        for tag in ({}, {"metadata": {"tag": "x"}}):
            told = {"filter": {"date_range": when, **tag}, "order_by": {"direction": way}, "per_page": per_page, "include_total": True}
            await memory.list_messages("t", resource_id=owner, **told)
            if owner:
                await memory.list_messages_by_resource_id(owner, **told)
    around = [{"id": "m3", "with_previous_messages": 2, "with_next_messages": 2}]
    await memory.list_messages(["t", "s"], include=around)
    await memory.list_messages("t", resource_id="r", include=around, per_page=0)
    await memory.list_messages_by_id(["m1", "m2"])
    await taken(memory.iter_messages("t", batch_size=2, resource_id="r"))
    await taken(memory.iter_messages("t", batch_size=2, order_by={"direction": "DESC"}))
    await taken(memory.iter_all_messages())
    await memory.update_messages([{"id": "m2", "content": {"metadata": {"a": 1}}}, {"id": "m3", "thread_id": "s"}])
    await memory.clone_thread("t", new_thread_id="c")
    await memory.clone_thread("t", options={"message_limit": 2, "message_filter": {"start_date": at(1), "end_date": at(5)}})
    await memory.clone_thread("t", options={"message_filter": {"message_ids": ["m1", "m2"]}})
    await memory.save_resource(a_resource())
    await memory.get_resource_by_id("r")
    await memory.update_resource("r", working_memory="# Ada", metadata={"a": 1})
    await memory.update_working_memory(lambda _: "# Bob", resource_id="r")
    await memory.update_working_memory(lambda _: "# Bob", thread_id="t")
    await memory.update_thread_resource_id("c", resource_id="other")
    await memory.delete_messages(["m1", "m2"])
    await memory.delete_thread("c")


async def use_workflows(workflows):
    for name, run_id in (("w", "1"), ("w", "2"), ("v", "1")):
        await workflows.persist_workflow_snapshot(name, run_id=run_id, snapshot={"status": "running", "context": {}}, resource_id="r")
    await workflows.load_workflow_snapshot("w", run_id="1")
    await workflows.update_workflow_results("w", run_id="1", step_id="s", result={"status": "success"}, request_context={"a": 1})
    await workflows.update_workflow_state("w", run_id="1", opts={"status": "suspended"})
    await workflows.update_workflow_state("w", run_id="1", opts={"status": "success"}, expected_status="suspended")
    choices = {"workflow_name": "w", "from_date": at(0), "to_date": at(9), "resource_id": "r", "status": "success", "thread_id": "t"}
    for size in range(len(choices) + 1):
        for names in itertools.combinations(choices, size):
            await workflows.list_workflow_runs(**{name: choices[name] for name in names}, page=1, per_page=1)
    await workflows.get_workflow_run_by_id("1")
    await workflows.get_workflow_run_by_id("1", workflow_name="w")
    await workflows.delete_workflow_run_by_id("1", workflow_name="w")


async def use_scores(scores):
    saved = await scores.save_score(a_score(trace_id="t", span_id="s", entity_type="AGENT", thread_id="t", resource_id="r"))
    await scores.save_score(a_score(id=saved.id))
    await scores.get_score_by_id(saved.id)
    for filters in (None, {"organization_id": "o"}):
        await scores.list_scores_by_scorer_id("s", filters=filters)
        await scores.list_scores_by_scorer_id("s", entity_id="e", entity_type="AGENT", source="LIVE", filters=filters)
        await scores.list_scores_by_run_id("r", filters=filters)
        await scores.list_scores_by_entity_id("e", entity_type="AGENT", filters=filters)
        await scores.list_scores_by_span("t", span_id="s", filters=filters)


def a_span(span_id="root", **given):
    return Span(**{"trace_id": "t", "span_id": span_id, "name": "n", "span_type": "tool_call", "started_at": at(0), **given})


async def use_spans(spans):
    await spans.create_span(a_span())
    await spans.batch_create_spans([a_span(f"s{n}", parent_span_id="root", started_at=at(n)) for n in range(3)])
    await spans.update_span("t", span_id="root", updates={"ended_at": at(9)})
    await spans.batch_update_spans([{"trace_id": "t", "span_id": f"s{n}", "updates": {"ended_at": at(8)}} for n in range(3)])
    await spans.get_span("t", span_id="root")
    await spans.get_spans("t", span_ids=["root", "s1"])
    for method in (spans.get_root_span, spans.get_trace, spans.get_trace_light):
        await method("t")
    await spans.get_branch("t", span_id="s1")
    when = {"start": at(0), "end": at(9)}
    wanted = [{}, {"started_at": when}, {"ended_at": when}, {"started_at": when, "ended_at": {"start": at(0)}}, {"trace_id": "t"}]
    wanted += [
        {"resource_id": "r", "thread_id": "t"},
        {"metadata": {"a": 1}, "scope": {"b": "c"}},
        {"tags": ["x"]},
        {"has_child_error": True},
    ]
    wanted += [{"status": status} for status in ("running", "error", "success")]
    for filters, field, way in itertools.product(wanted, ("started_at", "ended_at"), ("ASC", "DESC")):
        await spans.list_traces(filters=filters, order_by={"field": field, "direction": way}, include_total=True)
    await spans.batch_delete_traces(["t"], resource_id="r")
    await spans.batch_delete_traces(["t"])


def a_record_of_each_kind():
    made = {"created_at": at(1), "updated_at": at(1)}
    yield THREADS, a_thread("t", resource_id="t", created=1)
    yield MESSAGES, a_message("t", resource_id="t", created=1)
    yield RESOURCES, a_resource("t")
    yield RUNS, WorkflowRun(workflow_name="t", run_id="t", resource_id="t", snapshot={"status": "success"}, **made)
    named = {"scorer_id": "t", "run_id": "t", "entity_id": "t", "entity_type": "t", "resource_id": "t", "thread_id": "t"}
    yield SCORES, Score(id="t", trace_id="t", span_id="t", scorer={"id": "t"}, score=1.0, source="LIVE", **named, **made)
    yield SPANS, a_span("t", resource_id="t", thread_id="t", ended_at=at(1))


async def use_port(records):
    """Every list, with every beginning, end, order and condition, beside the windows, counts and deletions along it."""
    engine = records.engine
    for kind, record in a_record_of_each_kind():
        await records.apply(Save(kind, record))
        await records.fetch(Get(kind, kind.key_of(record)))
        key = ("k",) * len(kind.key)
        for path in kind.paths:
            by = dict.fromkeys(path.by, "t")
            spans = [None, *(attrs.evolve(SPAN, field=(path.order,), **ends) for ends in ({}, {"low": None}, {"high": None}))]
            wheres = [(), (Present((kind.key[-1],)),), (Is(("resource_id",), "t"),)]
            afters = [None, Cursor(at(5), key), *([Cursor(None, key)] if kind.by_name[path.order].optional else [])]
            for span, where in itertools.product(spans, wheres):
                await records.fetch(Count(kind, path.name, at=by, span=span, where=where))
                for after, descending, limit in itertools.product(afters, (False, True), (10, None)):
                    more = {"after": after, "descending": descending, "limit": limit, "offset": 0 if after else 3}
                    await records.fetch(Query(kind, path.name, at=by, span=span, where=where, **more))
            await records.fetch(Window(kind, path.name, around=kind.key_of(record), before=2, after=2))
            await records.apply(Save(kind, record))
            await engine.purge(Query(kind, path.name, at=by), limit=10)
        await taken(engine.scan(kind, after="\0".join(key)))


async def use_all(store):
    """Everything that a store does, on a few records."""
    domains = [Called(domain) for domain in (store.memory, store.workflows, store.scores, store.observability)]
    for called, use in zip(domains, (use_memory, use_workflows, use_scores, use_spans), strict=True):
        await use(called)
    await use_port(store.records)
    tables = ("threads", "messages", "resources", "workflow_snapshot", "scorers", "spans")
    for limits, dry_run in itertools.product(({"max_age": "30d"}, {"max_count": 1}), (True, False)):
        for kind, record in a_record_of_each_kind():
            await store.records.apply(Save(kind, record))
        await store.prune(dict.fromkeys(tables, limits), dry_run=dry_run)
    await use_scores(store.scores)
    await use_workflows(store.workflows)
    await store.observability.create_span(a_span(resource_id="r", thread_id="e"))
    for target in ({"thread_id": "e"}, {"resource_id": "r"}):
        await store.memory.save_turn(thread=a_thread("e"), messages=[a_message(thread_id="e")])
        await store.erase(**target)
    for called in domains:
        await called.dangerously_clear_all()
        assert called.left_out == set(), f"{called.domain}: methods whose commands nobody looks at"
