"""What lies on disk, beside what lay there before: a change of the stored format is a diff that somebody reads.

Knows the kinds' fields by their types alone, so that a new kind or field is in the snapshot by itself; must not know any database.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mastra_core import clock
from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.kind import Field, Json, Key, Kind
from mastra_core.storage.records.kinds import KINDS
from mastra_core.storage.records.records import Records
from mastra_core.testing.engine.under_test import EngineUnderTest
from mastra_core.testing.samples import T0, at

WRITE = "MASTRA_SNAPSHOTS"
"""Set to "write", this environment variable makes the snapshot what is stored today."""

SAMPLE: Mapping[str, Json] = {"list": [], "object": {}, "null": None, "true": True, "float": 0.1, "large": 2**53 + 1, "text": "é😀 \"'\\"}
"""JSON with what databases are known to write in forms of their own."""
ANY_TEXT: Mapping[str, Json] = {**SAMPLE, "odd": "\0 \ud800"}


class SnapshotContract(EngineUnderTest):
    """The stored format.

    Attributes:
        snapshot: the file that holds the snapshot, such as `Path(__file__).parent / "snapshots" / "acme.txt"`; keep it in version control.
            Without one the test is skipped. Two engines over one format may share it.
    """

    snapshot: ClassVar[Path | None] = None

    async def on_disk(self, engine: Any, kind: Kind[Any], key: Key) -> Mapping[str, Any]:
        """Optional: all that this record, just saved, takes in the database, as it lies there: columns, strings, index entries.

        Without it the document that `peek` shows. Values are shown with repr(); leave out or mask what differs at every run.
        """
        return await self.peek(engine, kind, key) or {}

    async def test_the_stored_format_is_as_it_was(self, records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever upgrades finds the database in the form that the release before wrote, and that the TypeScript packages read."""
        if self.snapshot is None:
            pytest.skip(
                "snapshot is not defined, so the stored format is not compared; name a file and run once with MASTRA_SNAPSHOTS=write"
            )
        # What an engine dates by itself has the same date at every run.
        monkeypatch.setattr(clock, "now", lambda: T0)
        found = "\n".join([await self._shown(records, kind, bare=bare) for kind in KINDS for bare in (False, True)])
        if os.environ.get(WRITE) == "write":
            self.snapshot.parent.mkdir(parents=True, exist_ok=True)
            self.snapshot.write_text(found, encoding="utf-8", newline="\n")
        mend = f"if that is meant, run once with {WRITE}=write and let the diff be reviewed"
        assert self.snapshot.is_file(), f"there is no {self.snapshot.name} yet; run once with {WRITE}=write and keep the file"
        assert found == self.snapshot.read_text(encoding="utf-8"), f"what lies on disk is no longer as in {self.snapshot.name}; {mend}"

    async def _shown(self, records: Records, kind: Kind[Any], *, bare: bool) -> str:
        record = sample(kind, bare=bare)
        await records.apply(Save(kind, record), atomic=False)
        key = kind.key_of(record)
        stored = await self.on_disk(records.engine, kind, key)
        lines = [f"{kind.name} {' '.join(key)}", *(f"  {name} = {value!r}" for name, value in stored.items())]
        return "".join(f"{line}\n" for line in lines)


def sample(kind: Kind[Any], *, bare: bool) -> Any:
    """A record of *kind* with a value in every field; *bare*: in those only that must have one, and another key."""
    return kind.record(**{field.name: None if bare and field.optional else _value(kind, field, bare=bare) for field in kind.fields})


def _value(kind: Kind[Any], field: Field, *, bare: bool) -> Json:
    number = 2 if bare else 1
    match field.type:
        case "id":
            return f"{kind.record.__name__.lower() if field.name == 'id' else field.name.removesuffix('_id')}-{number}"
        case "text":
            return f"resource-{number}" if field.name == "resource_id" else f"the {field.name}"
        case "time":
            # One of its own for each name, which stays when other fields come or go.
            return at(number * 1_000_000 + zlib.crc32(field.name.encode()) % 1_000_000)
        case "bool":
            return not bare
        case "float":
            return 0.25
        case "json":
            return [SAMPLE] if field.shape == "list" else SAMPLE
        case "json_text":
            return ANY_TEXT
