"""The lists and filters of the memory domain, asked in both languages of one database that either filled: the same answers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest

from mastra_core import clock
from mastra_core.storage import open_store
from mastra_core.storage.records.kinds import Message, Resource, Thread
from mastra_core.storage.store import Store
from mastra_core.testing.equality import assert_same
from tests.interop.scripts import answer_of
from tests.interop.shapes import message, messages, resource, thread, threads

START = clock.from_text("2024-01-01T00:00:00.000Z")
EVERY: Mapping[str, Any] = {"per_page": None, "include_total": True}
TEXT = "line\u2028, NUL \0, lone \ud83d, 日本語 🎉 '\"\\"


def at(minutes: int) -> datetime:
    """That many minutes after the start."""
    return START + minutes * 60_000 * clock.MILLISECOND


THREADS = [
    Thread(
        id=f"t{n}", resource_id=f"u{n % 2}", title=("", "Ünï 'q\"", "[1]")[n % 3], created_at=at(n), updated_at=at(20 - n),
        metadata={"n": n, "odd": bool(n % 2), "text": f"x{n}", "none": None, "deep": {"list": [1, {}, []]}},
    )
    for n in range(5)
]  # fmt: skip
MESSAGES = [
    Message(
        id=f"m{n:02}", thread_id=f"t{n % 2}", resource_id=f"u{n % 2}", role=("user", "assistant")[n // 2 % 2], created_at=at(n),
        content={"format": 2, "parts": [{"type": "text", "text": f"{n} {TEXT}"}], "content": TEXT, "metadata": {"tag": "ab"[n % 3 == 0], "n": n}},
    )
    for n in range(12)
]  # fmt: skip
RESOURCE = Resource(id="u1", working_memory="# Ünï\n- 'q\"\\", metadata={"z": [1, None, {}]}, created_at=START, updated_at=START)

Call = tuple[str, str, Mapping[str, Any]]
Ask = Callable[[Store], Awaitable[Any]]


def date(moment: datetime | None) -> dict[str, str]:
    """A time as an argument of calls.mjs."""
    assert moment is not None
    return {"$date": clock.to_text(moment)}


async def we_fill(url: str) -> None:
    """Save everything in Python."""
    async with open_store(url) as store:
        for one in THREADS:
            await store.memory.save_thread(one)
        await store.memory.save_messages(MESSAGES)
        for one in THREADS:
            await store.memory.save_thread(one)
        await store.memory.save_resource(RESOURCE)


async def they_fill(url: str) -> None:
    """Save everything in TypeScript, whose tables these then are."""
    said = [{**message(one), "type": "v2", "createdAt": date(one.created_at)} for one in MESSAGES]
    saved = [{**thread(one), "createdAt": date(one.created_at), "updatedAt": date(one.updated_at)} for one in THREADS]
    held = {**(resource(RESOURCE) or {}), "createdAt": date(START), "updatedAt": date(START)}
    again: list[Call] = [("memory", "saveThread", {"thread": one}) for one in saved]
    failed = [
        answer
        for answer in calls(
            url, *again, ("memory", "saveMessages", {"messages": said}), *again, ("memory", "saveResource", {"resource": held})
        )
        if "__error" in answer
    ]
    assert failed == []


def calls(url: str, *made: Call) -> list[Any]:
    """What TypeScript answers."""
    answers: list[Any] = answer_of("calls.mjs", url, json.dumps(made))
    return answers


def list_messages(name: str | Sequence[str], theirs: Mapping[str, Any], **asked: Any) -> tuple[Call, Ask]:
    """A list of messages, in both languages."""

    async def ours(store: Store) -> Any:
        return messages(await store.memory.list_messages(name, **{**EVERY, **asked}))

    return ("memory", "listMessages", {"threadId": name, "perPage": False, **theirs}), ours


def list_threads(theirs: Mapping[str, Any], **asked: Any) -> tuple[Call, Ask]:
    """A list of threads, in both languages."""

    async def ours(store: Store) -> Any:
        return threads(await store.memory.list_threads(**asked))

    return ("memory", "listThreads", theirs), ours


async def one_thread(store: Store) -> Any:
    found = await store.memory.get_thread_by_id("t3")
    return found and thread(found)


async def the_resource(store: Store) -> Any:
    return resource(await store.memory.get_resource_by_id("u1"))


async def by_id(store: Store) -> Any:
    return {"messages": [message(one) for one in await store.memory.list_messages_by_id(["m07", "missing", "m02"])]}


async def of_a_resource(store: Store) -> Any:
    return messages(await store.memory.list_messages_by_resource_id("u1", **EVERY))


NEIGHBOURS = {"id": "m05", "withPreviousMessages": 2, "withNextMessages": 1}
QUESTIONS: Mapping[str, tuple[Call, Ask]] = {
    "a thread": (("memory", "getThreadById", {"threadId": "t3"}), one_thread),
    "threads": list_threads({"perPage": False}, per_page=None),
    "threads of a resource": list_threads({"filter": {"resourceId": "u1"}}, filter={"resource_id": "u1"}),
    "threads by metadata": list_threads(
        {"filter": {"metadata": {"odd": True, "text": "x3"}}}, filter={"metadata": {"odd": True, "text": "x3"}}
    ),
    "threads of a number": list_threads({"filter": {"metadata": {"n": 2}}}, filter={"metadata": {"n": 2}}),
    "a page of threads": list_threads(
        {"page": 1, "perPage": 2, "orderBy": {"field": "updatedAt", "direction": "ASC"}}, page=1, per_page=2,
        order_by={"field": "updated_at", "direction": "ASC"},
    ),
    "messages": list_messages("t0", {}),
    "the last messages": list_messages("t1", {"perPage": 3, "orderBy": {"direction": "DESC"}}, per_page=3, order_by={"direction": "DESC"}),
    "a page of messages": list_messages("t1", {"perPage": 2, "page": 1}, per_page=2, page=1),
    "messages of two threads": list_messages(["t0", "t1"], {}),
    "messages by metadata": list_messages("t0", {"filter": {"metadata": {"tag": "b"}}}, filter={"metadata": {"tag": "b"}}),
    "messages of a time": list_messages(
        "t0", {"filter": {"dateRange": {"start": date(at(2)), "end": date(at(8)), "endExclusive": True}}},
        filter={"date_range": {"start": at(2), "end": at(8), "end_exclusive": True}},
    ),
    "messages of nobody": list_messages("t0", {"resourceId": "u1"}, resource_id="u1"),
    "neighbours": list_messages(
        "t1", {"perPage": 0, "include": [NEIGHBOURS]}, per_page=0, include_total=False,
        include=[{"id": "m05", "with_previous_messages": 2, "with_next_messages": 1}],
    ),
    "messages by id": (("memory", "listMessagesById", {"messageIds": ["m07", "missing", "m02"]}), by_id),
    "messages of a resource": (("memory", "listMessagesByResourceId", {"resourceId": "u1", "perPage": False}), of_a_resource),
    "a resource": (("memory", "getResourceById", {"resourceId": "u1"}), the_resource),
}  # fmt: skip


@pytest.mark.parametrize("fill", [we_fill, they_fill])
async def test_both_languages_list_the_same(shared_url: str, fill: Callable[[str], Awaitable[None]]) -> None:
    """Must hold: "the real `@mastra/pg` reads what we wrote and appends, and we read that" (memory).

    Threads, messages and resources, whoever wrote them: every list, filter, order, page and window is the same for both.
    """
    await fill(shared_url)
    theirs = calls(shared_url, *(asked for asked, _ in QUESTIONS.values()))
    async with open_store(shared_url) as store:
        ours = {name: await ask(store) for name, (_, ask) in QUESTIONS.items()}
    assert_same(ours, dict(zip(QUESTIONS, theirs, strict=True)))
    assert_same([one["id"] for one in ours["messages"]["messages"]], [f"m{n:02}" for n in range(0, 12, 2)])
    stored = {one["id"]: one for name in ("messages of two threads",) for one in ours[name]["messages"]}
    assert_same(stored, {one.id: message(one) for one in MESSAGES})
    assert_same(ours["threads"]["threads"], [thread(one) for one in reversed(THREADS)])


async def test_what_typescript_saved_is_merged_and_not_replaced(shared_url: str) -> None:
    """Metadata that we lay over TypeScript's, which its saveResource encodes twice on PostgreSQL, lie beside it, for both languages."""
    await they_fill(shared_url)
    async with open_store(shared_url) as store:
        merged = await store.memory.update_resource("u1", metadata={"ours": [None]})
        changed = await store.memory.update_thread("t3", metadata={"text": {}})
    assert_same(merged.metadata, {**(RESOURCE.metadata or {}), "ours": [None]})
    assert_same(changed.metadata, {**(THREADS[3].metadata or {}), "text": {}})
    theirs = calls(shared_url, ("memory", "getResourceById", {"resourceId": "u1"}), ("memory", "getThreadById", {"threadId": "t3"}))
    assert_same(theirs, [resource(merged), thread(changed)])
