"""The record types of Mastra: what users hold, and how each is stored (contract §3.1).

The one place where the core names fields. Must not know any database.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from mastra_core.storage.records.kind import Field, Json, Kind, Path
from mastra_core.storage.records.run_kinds import RUNS
from mastra_core.storage.records.score_kinds import SCORES
from mastra_core.storage.records.span_kinds import SPANS


@attrs.frozen(kw_only=True)
class Thread:
    """A conversation, owned by one resource.

    Attributes:
        id: the caller's string or a UUIDv7.
        resource_id: who it belongs to, typically a user.
        title: "" until one is given.
        metadata: a JSON object, or None.
        created_at: aware, UTC, milliseconds.
        updated_at: likewise; the last time the thread or a message of it changed.
    """

    id: str
    resource_id: str
    title: str = ""
    metadata: Mapping[str, Json] | None = None
    created_at: datetime
    updated_at: datetime


@attrs.frozen(kw_only=True)
class Message:
    """One message of a thread.

    Attributes:
        id: the caller's string or a UUIDv7.
        thread_id: the thread it is in.
        resource_id: who it is attributed to; may differ from the thread's owner.
        role: "user", "assistant", "system", …
        type: "v2" for everything written today; old rows have others (contract §4.1).
        content: `{"format": 2, "parts": […], …}` (contract §4.2); old rows are converted when read.
        created_at: None on a new message lets the store choose (semantics §2.4).
    """

    id: str
    thread_id: str
    resource_id: str | None = None
    role: str = "user"
    type: str = "v2"
    content: Json = attrs.field(factory=lambda: {"format": 2, "parts": []})
    created_at: datetime | None = None


@attrs.frozen(kw_only=True)
class Resource:
    """What is remembered of a user or another owner of threads, across their threads.

    Attributes:
        id: the resource id that threads carry.
        working_memory: text or a JSON string, or None.
        metadata: a JSON object, or None.
        created_at: aware, UTC, milliseconds.
        updated_at: likewise.
    """

    id: str
    working_memory: str | None = None
    metadata: Mapping[str, Json] | None = None
    created_at: datetime
    updated_at: datetime


THREADS = Kind(
    "mastra_threads",
    Thread,
    key=("id",),
    fields=(
        Field("id", "id", "id"),
        Field("resource_id", "resourceId", "text", absent=""),
        Field("title", "title", absent=""),
        Field("metadata", "metadata", "json", optional=True, shape="object"),
        Field("created_at", "createdAt", "time"),
        Field("updated_at", "updatedAt", "time"),
    ),
    paths=(
        Path("by_resource", by=("resource_id",), order="created_at"),
        Path("by_resource_updated", by=("resource_id",), order="updated_at"),
        Path("all", by=(), order="created_at"),
        Path("all_updated", by=(), order="updated_at"),
    ),
)

MESSAGES = Kind(
    "mastra_messages",
    Message,
    key=("id",),
    fields=(
        Field("id", "id", "id"),
        Field("thread_id", "threadId", "id", column="thread_id"),
        Field("content", "content", "json_text"),
        Field("role", "role"),
        Field("type", "type", absent="v2"),
        Field("created_at", "createdAt", "time"),
        Field("resource_id", "resourceId", "id", optional=True),
    ),
    paths=(
        Path("by_thread", by=("thread_id",), order="created_at"),
        Path("by_resource", by=("resource_id",), order="created_at"),
    ),
    keep=("created_at",),
)

RESOURCES = Kind(
    "mastra_resources",
    Resource,
    key=("id",),
    fields=(
        Field("id", "id", "id"),
        Field("working_memory", "workingMemory", optional=True),
        Field("metadata", "metadata", "json", optional=True, shape="object"),
        Field("created_at", "createdAt", "time"),
        Field("updated_at", "updatedAt", "time"),
    ),
)

KINDS: tuple[Kind[Any], ...] = (THREADS, MESSAGES, RESOURCES, RUNS, SCORES, SPANS)
"""Every kind that a store keeps, in the order its tables are made."""

SCHEMA_VERSION = 1
"""Raised with every table or column that a release adds; a database with a newer one is refused. Indexes may come and go without it."""
