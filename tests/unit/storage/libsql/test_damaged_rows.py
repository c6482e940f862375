"""Stored values mutated at random: each read gives what the row honestly says, or says which record and field is damaged."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mastra_core.errors import StoredDataError
from mastra_core.storage.libsql.driver import Connection, Error, Place, connect
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.kind import Kind
from mastra_core.storage.records.kinds import KINDS, MESSAGES, RESOURCES, THREADS
from mastra_core.storage.records.run_kinds import RUNS
from mastra_core.storage.records.score_kinds import SCORES
from mastra_core.storage.records.span_kinds import SPANS

from .damage.model import ANYTHING, Row, Unreadable, differs, record_of, rows_of, value_of
from .damage.mutations import DAMAGES, JsonB, Raw
from .damage.reads import ASKS, Ask
from .damage.records import fill

EACH = 100
"""Mutations of one seed."""
DEFAULT_SEEDS = 4
SEEDS = 100
"""Seeds of the long test: with EACH mutations, 10,000 documents."""


def seeds(default: int) -> range:
    """The seeds to try: *default*, or as many as the environment variable MASTRA_DAMAGE_SEEDS says."""
    return range(int(os.environ.get("MASTRA_DAMAGE_SEEDS", str(default))))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with well-formed records of every kind."""
    path = tmp_path_factory.mktemp("damage") / "filled.db"

    async def make() -> None:
        async with LibSQLStore(url=f"file:{path}") as opened:
            await fill(opened)

    asyncio.run(make())
    return path


@pytest.fixture
async def store(filled: Path, tmp_path: Path) -> AsyncIterator[LibSQLStore]:
    """A store over a copy of that file."""
    shutil.copy(filled, tmp_path / "damaged.db")
    async with LibSQLStore(url=f"file:{tmp_path}/damaged.db") as opened:
        yield opened


@pytest.fixture
def raw(store: LibSQLStore, tmp_path: Path) -> Any:
    """The same file past the store; text comes as bytes, since it may be no UTF-8."""
    connection = connect(Place(str(tmp_path / "damaged.db")))
    connection.text_factory = bytes
    connection.execute("PRAGMA synchronous = OFF")
    yield connection
    connection.close()


def damage(raw: Connection, chance: random.Random, kind: Kind[Any]) -> tuple[str, list[Any]]:
    """Mutate one value of one row; says what was done, and how to undo it."""
    while True:
        field = chance.choice(kind.fields)
        (rowid, held, form) = chance.choice(
            raw.execute(f'SELECT rowid, "{field.column}", typeof("{field.column}") FROM "{kind.name}"').fetchall()
        )
        before = Raw(held) if form == b"text" else held
        way = chance.choice(DAMAGES)
        value = way(chance, before)
        try:
            put(raw, kind, field.column, rowid, value)
        except Error:
            continue  # the table refuses it, or jsonb() does
        return f"{kind.name}.{field.name} of row {rowid}, {way.__name__}: {before!r:.200} -> {value!r:.300}", [field.column, rowid, before]


def put(raw: Connection, kind: Kind[Any], column: str, rowid: int, value: Any) -> None:
    """Store a value as it is, whatever it is."""
    bind, held = "?", value
    if isinstance(value, Raw):
        bind, held = "CAST(? AS TEXT)", value.held
    elif isinstance(value, JsonB):
        bind, held = "jsonb(?)", value.text
    raw.execute(f'UPDATE "{kind.name}" SET "{column}" = {bind} WHERE rowid = ?', [held, rowid])


def is_about(ask: Ask, row: Row) -> bool:
    """Whether a row is among those that a read is about, by what its columns hold."""
    wanted = {**{name: (value,) for name, value in ask.by.items()}, **(dict([ask.any_of]) if ask.any_of else {})}
    return all(any(held_as(row[name], value) for value in values) for name, values in wanted.items())


def held_as(held: Any, value: str | None) -> bool:
    """Whether a column holds this text, or null."""
    return held is None if value is None else isinstance(held, Raw) and held.held == value.encode()


def meets(ask: Ask, row: Row) -> bool | None:
    """Whether a row meets the conditions of a read; None where the row does not say."""
    for (name, *path), wanted in ask.where.items():
        try:
            value = value_of(ask.kind, ask.kind.by_name[name], row[name])
        except Unreadable:
            return None
        for key in path if value is not ANYTHING else ():
            value = value.get(key, Unreadable) if isinstance(value, dict) else Unreadable
        if value is ANYTHING:
            return None
        if type(value) is bool or type(wanted) is bool or not isinstance(value, int | float):
            if type(value) is not type(wanted) or value != wanted:
                return False
        elif value != wanted:
            return False
    return True


def place(ask: Ask, said: Mapping[str, Any]) -> tuple[Any, ...]:
    """Where a record belongs in an answer; a null time is the latest."""
    time = said[ask.order]
    return (time is None, time, *(said[name] for name in ask.kind.key))


async def verdict(store: LibSQLStore, ask: Ask, rows: Sequence[Row]) -> str | None:
    """What is wrong with the answer to a read; None if nothing is."""
    said, damaged = [], []
    for row in rows:
        met = meets(ask, row) if is_about(ask, row) else False
        try:
            record = record_of(ask.kind, row, ask.omit)
        except Unreadable as error:
            if ask.part or met is not False:
                damaged.append((row, error.field, met))
        else:
            if met is not False:
                said.append((record, met))
                damaged += [(row, name, None) for name, value in record.items() if value is ANYTHING]
                damaged += [
                    (row, name, None) for name in [ask.asks_by] if name and (not 0 < len(record[name]) <= 255 or "\0" in record[name])
                ]
    try:
        found = await ask.call(store)
    except StoredDataError as error:
        named = [f"{ask.kind.name} {shown_key(ask.kind, row)}: field {field} " for row, field, _ in damaged]
        return None if any(str(error).startswith(name) for name in named) else f"an error that is not due: {error} (due: {named})"
    except Exception as error:  # noqa: BLE001  # whatever it is, it is no answer
        return f"{type(error).__name__}: {error}"
    if not ask.part and any(met for _, _, met in damaged):
        return f"damage passed over: {[(shown_key(ask.kind, row), field) for row, field, _ in damaged]}"
    keys = [ask.kind.key_of(record) for record in found]
    due = [record for record, met in said if (met and not ask.part) or key_of(ask, record) in keys]
    return compared(ask, found, due)


def key_of(ask: Ask, record: Mapping[str, Any]) -> tuple[Any, ...]:
    """The key of what a row says."""
    return tuple(record[name] for name in ask.kind.key)


def compared(ask: Ask, found: Sequence[Any], due: Sequence[Mapping[str, Any]]) -> str | None:
    """Where an answer differs from what the rows say."""
    if ask.order:
        due = sorted(due, key=lambda record: place(ask, record), reverse=ask.descending)
    by_key = {key_of(ask, record): record for record in due}
    keys = [ask.kind.key_of(record) for record in found]
    if keys != list(by_key):
        return f"records: {keys}, expected {list(by_key)}"
    return next((text for record, key in zip(found, keys, strict=True) if (text := differs(ask.kind, record, by_key[key]))), None)


def shown_key(kind: Kind[Any], row: Row) -> str:
    """The key of a row as errors name it."""
    parts = [row[name] for name in kind.key]
    return "/".join(shown(part.held) if isinstance(part, Raw) else str(part) for part in parts)


def shown(text: bytes) -> str:
    """Text, or the bytes that are none."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return str(text)


async def try_damages(store: LibSQLStore, raw: Connection, seed: int) -> None:
    """Mutate one value after another, ask everything each time, and put it right again."""
    chance = random.Random(seed)
    for number in range(EACH):
        kind = KINDS[(seed + number) % len(KINDS)]
        done, (column, rowid, before) = damage(raw, chance, kind)
        rows = rows_of(raw, kind)
        for index, ask in enumerate(ASKS):
            if ask.kind is kind:
                wrong = await verdict(store, ask, rows)
                assert wrong is None, (
                    f"seed {seed} (rerun: MASTRA_DAMAGE_SEEDS={seed + 1}), mutation {number}: {done}\nread {index}: {wrong}"
                )
        put(raw, kind, column, rowid, before)


NAMED: Mapping[str, tuple[Kind[Any], str, Any]] = {
    "a number that no double holds": (THREADS, "metadata", '{"tag":1e999}'),
    "no number": (RESOURCES, "metadata", '{"a":NaN}'),
    "text that is no UTF-8": (THREADS, "title", Raw(b"ab\xff")),
    "JSON that is no UTF-8": (MESSAGES, "content", Raw(b'{"format":2,"parts":["\xff"]}')),
    "a list for an object": (THREADS, "metadata", "[1]"),
    "an object for a list": (SPANS, "tags", "{}"),
    "null for an object": (RUNS, "snapshot", "null"),
    "JSON cut off, which filters meet first": (THREADS, "metadata", '{"tag":"b"'),
    "JSONB cut off": (RUNS, "snapshot", b"\x4c\x17k"),
    "today's content cut off": (MESSAGES, "content", '{"format":2,"parts":['),
    "parts that are no list": (MESSAGES, "content", '{"format":2,"parts":7}'),
    "a part of old content without a type": (MESSAGES, "content", '[{"x":1}]'),
    "a time that lists cannot be ordered by": (MESSAGES, "created_at", "2024-01-01T00:00:00.5Z"),
    "a day that there is not": (SPANS, "ended_at", "2024-02-30T00:00:00.000Z"),
    "an infinite score": (SCORES, "score", float("inf")),
    "a score in words": (SCORES, "score", "good"),
    "a flag that is neither": (SPANS, "is_event", 2),
    "a blob for a text": (SCORES, "source", b"LIVE"),
    "too many digits": (THREADS, "metadata", '{"a":' + "9" * 5000 + "}"),
    "nested too deeply": (SPANS, "input", "[" * 100_000),
}
"""Damage that must be named, by what it is."""


@pytest.mark.parametrize("what", NAMED)
async def test_damage_is_named(store: LibSQLStore, raw: Connection, what: str) -> None:
    """A record that nobody can vouch for is an error with its kind, key and field in every read that meets it."""
    kind, name, value = NAMED[what]
    (rowid,) = raw.execute(f'SELECT min(rowid) FROM "{kind.name}"').fetchone()
    put(raw, kind, kind.by_name[name].column, rowid, value)
    rows = rows_of(raw, kind)
    with pytest.raises(Unreadable):
        record_of(kind, rows[0])
    for index, ask in enumerate(ASKS):
        if ask.kind is kind:
            assert (index, await verdict(store, ask, rows)) == (index, None)


@pytest.mark.parametrize("seed", seeds(DEFAULT_SEEDS))
async def test_a_damaged_value_is_read_as_it_is_or_named(store: LibSQLStore, raw: Connection, seed: int) -> None:
    """Issue: "each read gives the record or `StoredDataError` with kind, key and field; never a crash, never a wrong record"."""
    await try_damages(store, raw, seed)


@pytest.mark.scale
@pytest.mark.parametrize("seed", seeds(SEEDS))
async def test_ten_thousand_damaged_values_are_read_as_they_are_or_named(store: LibSQLStore, raw: Connection, seed: int) -> None:
    """Issue: "10,000 stored documents mutated at random: each read gives the record or `StoredDataError` with kind, key and field; …"."""
    await try_damages(store, raw, 1000 + seed)


async def test_a_trace_that_cannot_be_asked_for_is_named(store: LibSQLStore, raw: Connection) -> None:
    """A list that looks into traces says which one it cannot look into, though its root can be read."""
    raw.execute("UPDATE mastra_ai_spans SET \"traceId\" = '' WHERE \"spanId\" = 'b1'")
    assert [root.trace_id for root in await store.observability.list_traces()] == ["", "a"]
    with pytest.raises(StoredDataError, match=r"^mastra_ai_spans /b1: field trace_id is no id \(trace_id: is empty"):
        await store.observability.list_traces(filters={"has_child_error": True})
