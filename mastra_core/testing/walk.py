"""A random walk over the port: reads and changes as data, run against an engine and against the in-memory model, compared at every step.

The same seed makes the same steps on every machine. Knows the port and the kinds; must not know any engine but the model.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Collection, Sequence
from typing import Any

import attrs

from mastra_core.storage.records.changes import Change, Check, Delete, Patch, Save
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS
from mastra_core.storage.records.query import (
    Between,
    Condition,
    Contains,
    Count,
    Cursor,
    Get,
    Is,
    Missing,
    Present,
    Query,
    Read,
    Where,
    Window,
)
from mastra_core.testing.samples import a_message, a_resource, a_thread, at, turn

DEFAULT_SEEDS = 4
DEFAULT_STEPS = 80

THREAD_IDS = ("a", "a:b", "Ω 1", "{c}")
OWNERS = ("r", "r:1")
MESSAGE_IDS = ("1", "10", "9", "z", "é", "😀", "{x}:y", "m m")
TITLES = ("", "A title", "it's 100%", "é😀")
ROLES = ("user", "assistant")
VALUES: tuple[Json, ...] = (None, True, False, 0, 1, 1.5, "", "1", "true", "é", [], {}, ["a", 1, None], {"b": 1})
MODES: tuple[dict[str, Any], ...] = (*({},) * 8, {"absent": "refuse"}, {"present": "refuse"})
SCALARS: tuple[Any, ...] = (None, True, False, 0, 1, 1.5, "", "1", "true", "é")


@attrs.frozen
class Step:
    """One operation of a walk: reads of one fetch, or changes of one batch."""

    reads: tuple[Read[Any], ...] = ()
    changes: tuple[Change, ...] = ()

    def __str__(self) -> str:
        """The step as Python."""
        return "\n".join(f"  fetch {read}" for read in self.reads) or "  apply\n" + "\n".join(
            f"    {_bare(change)}" for change in self.changes
        )


def seeds() -> range:
    """The seeds to walk: a few, or as many as the environment variable MASTRA_WALK_SEEDS says."""
    return range(int(os.environ.get("MASTRA_WALK_SEEDS", str(DEFAULT_SEEDS))))


def steps(seed: int, *, capabilities: Collection[str], left_out_paths: Collection[str], count: int = DEFAULT_STEPS) -> list[Step]:
    """The walk of *seed*, of operations that an engine with these capabilities supports."""
    walk = _Walk(random.Random(seed), frozenset(capabilities), frozenset(left_out_paths))
    return [walk.step() for _ in range(count)]


def looks(*, capabilities: Collection[str], left_out_paths: Collection[str]) -> list[Step]:
    """Reads of everything that a walk may have written."""
    keys: list[Read[Any]] = [
        *(Get(MESSAGES, (name,)) for name in MESSAGE_IDS),
        *(Get(THREADS, (name,)) for name in THREAD_IDS),
        *(Get(RESOURCES, (name,)) for name in OWNERS),
    ]
    lists = [Query(kind, path, at=place) for kind, path, place in _lists(capabilities, left_out_paths)]
    return [Step(reads=(read,)) for read in (*keys, *lists)]


def _lists(capabilities: Collection[str], left_out_paths: Collection[str]) -> list[tuple[Any, str, dict[str, str]]]:
    """Every list that can be asked for: kind, path and place."""
    found = []
    for kind in (THREADS, MESSAGES):
        for path in kind.paths:
            if f"{kind.name}.{path.name}" in left_out_paths or (not path.by and "open_paths" not in capabilities):
                continue
            values = THREAD_IDS if path.by == ("thread_id",) else OWNERS
            found += [(kind, path.name, dict.fromkeys(path.by, value)) for value in (values if path.by else ("",))]
    return found


def _bare(change: Change) -> str:
    """*change* without the attributes that it leaves at their defaults."""
    fields = attrs.fields(type(change))
    shown = [
        f"{field.name}={getattr(change, field.name)!r}" for field in fields[1:] if field.name != "kind" and not _is_default(change, field)
    ]
    return f"{type(change).__name__}({change.kind.name}, {', '.join(shown)})"


def _is_default(change: Change, field: Any) -> bool:
    value = getattr(change, field.name)
    return value == field.default or value in ((), {})


class _Walk:
    """The choices of one walk."""

    def __init__(self, chance: random.Random, capabilities: frozenset[str], left_out_paths: frozenset[str]) -> None:
        self.chance = chance
        self.capabilities = capabilities
        self.lists = _lists(capabilities, left_out_paths)
        # Without batches over many places, a record that may lie anywhere cannot join a turn's batch.
        self.moves = {"moves", "atomic"} <= capabilities

    def step(self) -> Step:
        roll = self.chance.random()
        if roll < 0.45:
            return Step(reads=tuple(self._read() for _ in range(self.chance.randint(1, 3))))
        if roll < 0.6:
            return Step(changes=self._turn())
        if roll < 0.85 or "atomic" not in self.capabilities:
            return Step(changes=(self._change(),))
        return Step(changes=self._batch())

    def _maybe(self, name: str, odds: float = 0.3) -> bool:
        return name in self.capabilities and self.chance.random() < odds

    def _read(self) -> Read[Any]:
        kinds = (
            self._get,
            self._query,
            self._query,
            *((self._window,) if "window" in self.capabilities else ()),
            *((self._count,) if "count" in self.capabilities else ()),
        )
        make: Callable[[], Read[Any]] = self.chance.choice(kinds)
        return make()

    def _get(self) -> Read[Any]:
        kind, known = self.chance.choice(((THREADS, THREAD_IDS), (MESSAGES, MESSAGE_IDS), (RESOURCES, OWNERS)))
        read: Read[Any] = Get(kind, (self.chance.choice(known),))
        return read

    def _query(self) -> Query[Any]:
        kind, path, place = self.chance.choice(self.lists)
        after = Cursor(at(self.chance.randint(0, 9)), (self.chance.choice(MESSAGE_IDS + THREAD_IDS),)) if self._maybe("pages") else None
        return Query(
            kind, path, at=place, span=self._span(kind, path), where=self._where(kind), after=after, descending=self.chance.random() < 0.5,
            offset=self.chance.randint(1, 3) if self._maybe("pages") else 0, limit=self.chance.choice((None, 1, 2, 3, 10)),
        )  # fmt: skip

    def _count(self) -> Read[Any]:
        query = self._query()
        return Count(query.kind, query.path, at=query.at, span=query.span, where=query.where)

    def _window(self) -> Read[Any]:
        hint = {"thread_id": self.chance.choice(THREAD_IDS)} if self.chance.random() < 0.3 else {}
        size = (0, 1, 2, 5)
        return Window(
            MESSAGES, "by_thread", around=(self.chance.choice(MESSAGE_IDS),),
            before=self.chance.choice(size), after=self.chance.choice(size),
            where=self._where(MESSAGES), hint=hint,
        )  # fmt: skip

    def _span(self, kind: Any, path: str) -> Between | None:
        return self._between(kind.path(path).order) if self._maybe("span") else None

    def _between(self, field: str) -> Between:
        low, high = (None if self.chance.random() < 0.3 else at(self.chance.randint(0, 9)) for _ in "lh")
        return Between((field,), low=low, high=high, low_open=self.chance.random() < 0.5, high_open=self.chance.random() < 0.5)

    def _where(self, kind: Any) -> Where:
        return tuple(self._condition(kind) for _ in range(self.chance.randint(1, 2))) if self._maybe("filters") else ()

    def _condition(self, kind: Any) -> Condition:
        inside = ("content", "metadata") if kind is MESSAGES else ("metadata",)
        field = (*inside, self.chance.choice(("k", "K", "l")))
        choices: tuple[Condition, ...] = (
            Is(field, self.chance.choice(SCALARS)), Missing(field), Present(field),
            Contains(field, tuple(self.chance.sample(SCALARS, self.chance.randint(0, 2)))),
            self._between("created_at"), self._text_condition(kind),
        )  # fmt: skip
        return self.chance.choice(choices)

    def _text_condition(self, kind: Any) -> Is:
        if kind is RESOURCES:
            return Is(("id",), self.chance.choice(OWNERS))
        if kind is THREADS and self.chance.random() < 0.5:
            return Is(("title",), self.chance.choice(TITLES))
        return Is(("resource_id",), self.chance.choice(OWNERS))

    def _when(self, kind: Any) -> Where:
        if self.chance.random() < 0.6:
            return ()
        return (self._condition(kind),) if self._maybe("filters") else (self._text_condition(kind),)

    def _metadata(self) -> dict[str, Json] | None:
        if self.chance.random() < 0.2:
            return None
        return {name: self.chance.choice(VALUES) for name in self.chance.sample(("k", "K", "l"), self.chance.randint(0, 3))}

    def _thread(self, id: str) -> Any:
        number = THREAD_IDS.index(id)
        owner = self.chance.choice(OWNERS) if self.moves else OWNERS[number % 2]
        created = self.chance.randint(0, 9) if self.moves else number // 2
        return a_thread(
            id,
            resource_id=owner,
            title=self.chance.choice(TITLES),
            metadata=self._metadata(),
            created=created,
            updated=self.chance.randint(0, 9),
        )

    def _message(self, id: str, thread_id: str | None = None) -> Any:
        number = MESSAGE_IDS.index(id)
        place = THREAD_IDS[number % len(THREAD_IDS)] if not self.moves else thread_id or self.chance.choice(THREAD_IDS)
        content = {
            "format": 2,
            "parts": [{"type": "text", "text": self.chance.choice(("é", "\0", "\ud800", ""))}],
            "metadata": self._metadata(),
        }
        owner = self.chance.choice((*OWNERS, None)) if self.moves else OWNERS[number % 2]
        return a_message(
            id, thread_id=place, resource_id=owner, created=self.chance.randint(0, 9), content=content, role=self.chance.choice(ROLES)
        )

    def _turn(self) -> tuple[Change, ...]:
        thread = self._thread(self.chance.choice(THREAD_IDS))
        mine = MESSAGE_IDS if self.moves else MESSAGE_IDS[THREAD_IDS.index(thread.id) :: len(THREAD_IDS)]
        chosen = self.chance.sample(mine, min(len(mine), self.chance.randint(1, 3)))
        return tuple(turn(thread, [self._message(name, thread.id) for name in chosen], now=self.chance.randint(0, 20)))

    def _batch(self) -> tuple[Change, ...]:
        changes = {(change.kind.name, change.key): change for change in (self._change() for _ in range(self.chance.randint(2, 5)))}
        return tuple(changes.values())

    def _change(self) -> Change:
        kind, known = self.chance.choice(((THREADS, THREAD_IDS), (MESSAGES, MESSAGE_IDS), (RESOURCES, OWNERS)))
        name, when = self.chance.choice(known), self._when(kind)
        make: Callable[[Any, str, Where], Change] = self.chance.choice(
            (self._save, self._save, self._save, self._patch, self._patch, self._delete, self._check)
        )
        return make(kind, name, when)

    def _record(self, kind: Any, id: str) -> Any:
        if kind is THREADS:
            return self._thread(id)
        if kind is MESSAGES:
            return self._message(id)
        return a_resource(
            id, working_memory=self.chance.choice((None, *TITLES)), metadata=self._metadata(), updated=self.chance.randint(0, 9)
        )

    def _raised(self, kind: Any) -> dict[str, Any]:
        return {"updated_at": at(self.chance.randint(0, 20))} if kind is not MESSAGES and self.chance.random() < 0.4 else {}

    def _save(self, kind: Any, id: str, when: Where) -> Change:
        texts = {THREADS: ("title", "metadata"), MESSAGES: ("role", "content"), RESOURCES: ("working_memory", "metadata")}[kind]
        only: Sequence[tuple[str, ...] | None] = (None, None, (), texts[:1], texts)
        return Save(
            kind, self._record(kind, id), only=self.chance.choice(only), raise_to=self._raised(kind), when=when,
            answer=self.chance.random() < 0.8, **self.chance.choice(MODES),
        )  # fmt: skip

    def _patch(self, kind: Any, id: str, when: Where) -> Change:
        record, merge = self._record(kind, id), {}
        names = {THREADS: ("title", "metadata"), MESSAGES: ("role", "content"), RESOURCES: ("working_memory", "metadata")}[kind]
        put = {name: getattr(record, name) for name in self.chance.sample(names, self.chance.randint(0, 2))}
        if self.moves and kind is not RESOURCES and self.chance.random() < 0.3:
            put["resource_id"] = record.resource_id
        if kind is not MESSAGES and "metadata" not in put and self._maybe("merge", 0.5):
            merge = {"metadata": self._metadata() or {}}
        return Patch(
            kind, (id,), put=put, merge=merge, raise_to=self._raised(kind), when=when, missing=self.chance.choice(("refuse", "skip")),
            answer=self.chance.random() < 0.8,
        )  # fmt: skip

    def _delete(self, kind: Any, id: str, when: Where) -> Change:
        return Delete(kind, (id,), when=when, answer=self.chance.random() < 0.8)

    def _check(self, kind: Any, id: str, when: Where) -> Change:
        return Check(kind, (id,), when=when)
