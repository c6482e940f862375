"""What a remote server's SQL says differently, and the statements that make a batch fail there when a condition does not hold.

Nobody can look at a result between two statements of a batch, so a condition that is not met must be an error: `json()` of a text that is
no JSON, which ends the transaction. Knows the port and SQLite's SQL; sends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from mastra_core.storage.libsql.dialect import SQLiteDialect
from mastra_core.storage.records.changes import Change, Check, Delete, Patch, Save
from mastra_core.storage.records.kind import Kind
from mastra_core.storage.records.query import Get
from mastra_core.storage.sql.reads import Statement, keyed
from mastra_core.storage.sql.writes import Step

REFUSED = "malformed JSON"
"""What the server says when a guard fails."""

# Not constant, so that it is not computed before it is needed.
_FAIL = "json(changes() || ' refused')"


class RemoteDialect(SQLiteDialect):
    """SQLite 3.45 as libSQL has it, where no function of ours can be called."""

    def merged(self, column: str) -> str:
        """What is kept of the stored object, then the given one, put together as text: no number is read, so none is rounded.

        json_patch with a null for each given name takes those names out; to merge with it would go deeper and drop nulls.
        """
        stored = f"CASE WHEN json_type({column}) = 'object' THEN json({column}) ELSE json_object() END"
        names = "(SELECT json_group_object(name.key, NULL) FROM json_each(one.given) AS name)"
        joined = "substr(two.kept, 1, length(two.kept) - 1) || ',' || substr(two.given, 2)"
        return (
            "(SELECT jsonb(CASE WHEN length(two.kept) = 2 THEN two.given WHEN length(two.given) = 2 THEN two.kept "
            f"ELSE {joined} END) FROM (SELECT one.given, json_patch({stored}, {names}) AS kept "
            "FROM (SELECT {} AS given) AS one) AS two)"
        )


REMOTE = RemoteDialect(jsonb=True)


def guard(step: Step) -> Statement | None:
    """The statement after *step* that fails unless it took effect; None where it cannot be refused, and for a Check all there is to do."""
    change = step.changes[0][1]
    if isinstance(change, Check):
        return Statement(f"SELECT CASE WHEN EXISTS ({step.statement.sql}) THEN 1 ELSE {_FAIL} END", step.statement.parameters)
    if not _refusable(change):
        return None
    if isinstance(change, Delete) or (isinstance(change, Patch) and change.missing == "skip"):
        # No row is no refusal, if there is none.
        return Statement(_absent_or_changed_text(change.kind), list(change.key))
    return Statement(f"SELECT CASE WHEN changes() >= {len(step.changes)} THEN 1 ELSE {_FAIL} END", [])


def unchanged(get: Get[Any], rows: Sequence[Sequence[Any]]) -> Statement:
    """The statement that fails unless *get* still finds *rows*: one, or none."""
    if not rows:
        return Statement(_absent_text(get.kind), list(get.key))
    return Statement(_equal_text(get.kind), [*get.key, *rows[0]])


def _refusable(change: Change) -> bool:
    if isinstance(change, Save):
        return bool(change.when) or change.absent == "refuse" or change.present == "refuse"
    return bool(change.when) or (isinstance(change, Patch) and change.missing == "refuse")


@lru_cache(maxsize=64)
def _absent_text(kind: Kind[Any]) -> str:
    return f"SELECT CASE WHEN NOT EXISTS ({_one(kind)}) THEN 1 ELSE {_FAIL} END"


@lru_cache(maxsize=64)
def _absent_or_changed_text(kind: Kind[Any]) -> str:
    return f"SELECT CASE WHEN changes() >= 1 OR NOT EXISTS ({_one(kind)}) THEN 1 ELSE {_FAIL} END"


@lru_cache(maxsize=64)
def _equal_text(kind: Kind[Any]) -> str:
    """Compares what is read, so that a value counts as it was seen."""
    same = "".join(f" AND {REMOTE.read(field)} IS ?" for field in kind.fields)
    return f"SELECT CASE WHEN EXISTS ({_one(kind)}{same}) THEN 1 ELSE {_FAIL} END"


def _one(kind: Kind[Any]) -> str:
    return f"SELECT 1 FROM {REMOTE.table(kind)} AS r WHERE {keyed(REMOTE, kind)}"
