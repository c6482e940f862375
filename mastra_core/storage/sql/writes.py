"""The text of changes: a batch as few statements, each of which says by the keys it returns which changes took effect.

Saves of one shape share a statement. Knows the port and a dialect; must not know any driver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import attrs

from mastra_core.storage.records.changes import Change, Check, Delete, Patch, Refused, Save
from mastra_core.storage.records.kind import Field, Kind
from mastra_core.storage.records.query import matches
from mastra_core.storage.sql.dialect import Dialect
from mastra_core.storage.sql.reads import Statement, filled, keyed, where
from mastra_core.storage.sql.rows import codec, parameter

ROWS_PER_STATEMENT = 500
"""Rows of one INSERT; databases limit the parameters of a statement (SQLite: 32,766)."""

Indexed = tuple[int, Change]


@attrs.frozen
class Step:
    """One statement of a batch, the changes it makes, and the fields it returns after the key: all of them, or none.

    A silent one returns nothing at all: each of its changes takes effect whatever is stored, and owes no answer.
    """

    statement: Statement
    changes: tuple[Indexed, ...]
    returned: tuple[str, ...]
    silent: bool = False


@attrs.frozen
class _SaveShape:
    """What the text of a Save depends on, besides the number of rows."""

    kind: Kind[Any]
    only: tuple[str, ...] | None
    raised: tuple[str, ...]
    conditions: tuple[str, ...]
    present: str
    returned: tuple[str, ...]
    silent: bool


@attrs.frozen
class _SingleShape:
    """What the text of a change of one record depends on."""

    change: str
    kind: Kind[Any]
    put: tuple[str, ...]
    merged: tuple[str, ...]
    raised: tuple[str, ...]
    conditions: tuple[str, ...]
    returned: tuple[str, ...]


def steps(dialect: Dialect, changes: Sequence[Change], *, silent: bool = False) -> list[Step]:
    """The statements of a batch, in the order of their first changes: a thread is locked before its messages.

    Every value is encoded here, so that a value that cannot be stored is refused before anything is sent.

    Args:
        dialect: of the database.
        changes: the batch.
        silent: whether statements may be silent, for drivers that pay for every row they hand over (SQLite's takes the interpreter's lock
            anew for each, which the thread that encodes the next rows then waits for).
    """
    made: list[Step] = []
    inserts: dict[Any, list[Indexed]] = {}
    for index, change in enumerate(changes):
        if isinstance(change, Save) and change.absent == "create":
            conditions, values = where(dialect, change.kind, change.when)
            raised = tuple(sorted(change.raise_to.items()))
            group = (change.kind, change.only, raised, conditions, tuple(values), change.present, change.answer)
            inserts.setdefault(group, []).append((index, change))
        else:
            made.append(_single(dialect, index, change))
    saves = []
    for (kind, only, raised, conditions, values, present, answer), members in inserts.items():
        certain = silent and present == "update" and not conditions and not answer
        shape = _SaveShape(kind, only, tuple(name for name, _ in raised), conditions, present, _every(kind) if answer else (), certain)
        for start in range(0, len(members), ROWS_PER_STATEMENT):
            saves.append(_insert(dialect, shape, members[start : start + ROWS_PER_STATEMENT], [at for _, at in raised], list(values)))
    return sorted(saves + made, key=lambda step: step.changes[0][0])


def answers(dialect: Dialect, step: Step, rows: Sequence[Sequence[Any]]) -> tuple[dict[int, Any], list[Indexed]]:
    """The answer to each change that took effect, and the changes that did not, from the rows a step returned."""
    kind = step.changes[0][1].kind
    if step.silent or (not step.returned and len(rows) == len(step.changes)):  # each change has a key of its own, so each took effect
        return dict.fromkeys(index for index, _ in step.changes), []
    width = len(kind.key)
    by_key = {tuple(row[:width]): row for row in rows}
    done: dict[int, Any] = {}
    unmet: list[Indexed] = []
    for index, change in step.changes:
        row = by_key.get(change.key)
        if row is None:
            unmet.append((index, change))
        else:
            done[index] = codec(dialect, kind).record(row[width:]) if step.returned else None
    return done, unmet


def needs_look(change: Change) -> bool:
    """Whether a change that took no effect may have been refused, so that the stored record must be looked at."""
    return bool(change.when) or not _harmless(change)


def holds(change: Change, stored: Any) -> bool:
    """Whether the conditions of *change* hold of *stored*."""
    if stored is None:
        refuses = change.absent == "refuse" if isinstance(change, Save) else not _harmless(change)
        return not refuses
    return matches(stored, change.when) and not (isinstance(change, Save) and change.present == "refuse")


def settle(index: int, change: Change, found: Any) -> None:
    """Say what it means that *change* took no effect on *found*.

    Raises:
        Refused: its conditions did not hold.
    """
    if found is not None or not _harmless(change):
        raise Refused(index, change, found)


def _harmless(change: Change) -> bool:
    """Whether the change has nothing to say when there is no record."""
    return isinstance(change, Delete) or (isinstance(change, Patch) and change.missing == "skip")


def _insert(dialect: Dialect, shape: _SaveShape, members: list[Indexed], raised: list[datetime], values: list[Any]) -> Step:
    parameters: list[Any] = []
    convert = codec(dialect, shape.kind).parameters
    for _, change in members:
        assert isinstance(change, Save)
        parameters += convert(change.record)
    if shape.present == "update":
        for name, instant in zip(shape.raised, raised, strict=True):
            parameters += _raised_values(dialect, shape.kind, name, instant)
        parameters += values
    return Step(Statement(_insert_text(dialect, shape, len(members)), parameters), tuple(members), shape.returned, shape.silent)


def _raised_values(dialect: Dialect, kind: Kind[Any], name: str, instant: datetime) -> list[Any]:
    return [dialect.time_parameter(instant)] * len(dialect.columns(kind.by_name[name]))


def _insert_text(dialect: Dialect, shape: _SaveShape, rows: int) -> str:
    head, row, tail = _insert_parts(dialect, shape)
    return f"{head} VALUES {', '.join([row] * rows)}{tail}"


@lru_cache(maxsize=512)
def _insert_parts(dialect: Dialect, shape: _SaveShape) -> tuple[str, str, str]:
    """What comes before the rows, a row, and what comes after; the whole text of 500 spans is 0.3 MB, too much to keep for each number."""
    kind = shape.kind
    columns = [column for field in kind.fields for column in dialect.columns(field)]
    row = "(" + ", ".join(column.bind.replace("{}", dialect.parameter) for column in columns) + ")"
    keys = ", ".join(f'"{kind.by_name[name].column}"' for name in kind.key)
    head = f"INSERT INTO {dialect.table(kind)} AS r ({', '.join(_quoted(column.name) for column in columns)})"
    tail = "" if shape.silent else f" RETURNING {_returning(dialect, kind, shape.returned)}"
    if shape.present == "refuse":
        return head, row, f" ON CONFLICT ({keys}) DO NOTHING{tail}"
    taken = {field.name for field in kind.fields if field.name not in {*kind.key, *kind.keep}} if shape.only is None else set(shape.only)
    sets = [
        f"{_quoted(column.name)} = excluded.{_quoted(column.name)}"
        for field in kind.fields
        if field.name in taken and field.name not in shape.raised
        for column in dialect.columns(field)
    ]
    for name in shape.raised:
        sets += _raises(dialect, kind.by_name[name])
    first = _quoted(kind.by_name[kind.key[0]].column)
    sets = sets or [f"{first} = excluded.{first}"]
    met = f" WHERE {filled(dialect, shape.conditions)}" if shape.conditions else ""
    return head, row, f" ON CONFLICT ({keys}) DO UPDATE SET {', '.join(sets)}{met}{tail}"


def _raises(dialect: Dialect, field: Field) -> list[str]:
    """Every column of a time becomes the later one; the comparison is made on the column that is read."""
    columns = dialect.columns(field)
    later = dialect.raised(f"r.{_quoted(columns[0].name)}").replace("{}", dialect.parameter)
    return [f"{_quoted(column.name)} = {column.bind.replace('{}', later)}" for column in columns]


def _quoted(name: str) -> str:
    return f'"{name}"'


def _returning(dialect: Dialect, kind: Kind[Any], returned: tuple[str, ...]) -> str:
    keys = [dialect.column(kind.by_name[name]) for name in kind.key]
    return ", ".join([*keys, *(dialect.read(kind.by_name[name]) for name in returned)])


def _single(dialect: Dialect, index: int, change: Change) -> Step:
    kind = change.kind
    conditions, values = where(dialect, kind, change.when)
    returned = _every(kind) if not isinstance(change, Check) and change.answer else ()
    put, merge, raised = _updates(change)
    shape = _SingleShape(type(change).__name__, kind, tuple(put), tuple(merge), tuple(raised), conditions, returned)
    held: list[Any] = []
    for name, given in put.items():
        held += [parameter(dialect, kind, kind.by_name[name], given)] * len(dialect.columns(kind.by_name[name]))
    held += [parameter(dialect, kind, kind.by_name[name], given) for name, given in merge.items()]
    for name, least in raised.items():
        held += _raised_values(dialect, kind, name, least)
    return Step(Statement(_single_text(dialect, shape), [*held, *change.key, *values]), ((index, change),), returned)


def _updates(change: Change) -> tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, datetime]]:
    """What a change puts, merges and raises; a Save that refuses to create is an update too."""
    if isinstance(change, Patch):
        put = {name: value for name, value in change.put.items() if name not in change.raise_to}
        return put, change.merge, change.raise_to
    if not isinstance(change, Save):
        return {}, {}, {}
    kind = change.kind
    taken = [name for name in _every(kind) if name not in {*kind.key, *kind.keep}] if change.only is None else change.only
    return {name: getattr(change.record, name) for name in taken if name not in change.raise_to}, {}, change.raise_to


@lru_cache(maxsize=1024)
def _single_text(dialect: Dialect, shape: _SingleShape) -> str:
    kind, table = shape.kind, dialect.table(shape.kind)
    met = keyed(dialect, kind) + (f" AND {filled(dialect, shape.conditions)}" if shape.conditions else "")
    returning = _returning(dialect, kind, shape.returned)
    if shape.change == "Check":
        return f"SELECT {returning} FROM {table} AS r WHERE {met}{dialect.share_lock}"
    if shape.change == "Delete":
        return f"DELETE FROM {table} AS r WHERE {met} RETURNING {returning}"
    sets = [
        f"{_quoted(column.name)} = {column.bind.replace('{}', dialect.parameter)}"
        for name in shape.put
        for column in dialect.columns(kind.by_name[name])
    ]
    for name in shape.merged:
        column = _quoted(dialect.columns(kind.by_name[name])[0].name)
        sets.append(f"{column} = " + dialect.merged(f"r.{column}").replace("{}", dialect.parameter))
    for name in shape.raised:
        sets += _raises(dialect, kind.by_name[name])
    first = _quoted(kind.by_name[kind.key[0]].column)
    return f"UPDATE {table} AS r SET {', '.join(sets) or f'{first} = r.{first}'} WHERE {met} RETURNING {returning}"


def _every(kind: Kind[Any]) -> tuple[str, ...]:
    return tuple(kind.by_name)
