"""A change of what lies on disk is a visible one."""

from __future__ import annotations

import attrs
import pytest

from mastra_core.storage.libsql.tables import SCHEMA
from tests import schema_snapshots
from tests.schema_snapshots import AGAIN, RAISE, RECORDED, difference, text_of


def test_the_schema_of_libsql_is_the_one_written_down() -> None:
    """Nobody adds a table, a column or an index to users' files by accident, or forgets the version that refuses older releases."""
    (path,) = [path for path, schema in RECORDED.items() if schema is SCHEMA]
    assert difference(SCHEMA, path.read_text()) is None


def test_a_new_table_without_a_new_version_is_told() -> None:
    """Forgetting to raise SCHEMA_VERSION turns the test above red, with the mend."""
    before = attrs.evolve(SCHEMA, kinds=SCHEMA.kinds[1:])
    told = difference(SCHEMA, text_of(before))
    assert told is not None
    assert RAISE in told
    assert AGAIN in told
    raised = difference(attrs.evolve(SCHEMA, version=SCHEMA.version + 1), text_of(before))
    assert raised is not None
    assert RAISE not in raised


def test_a_new_index_is_told_and_needs_no_new_version() -> None:
    """Indexes may come and go between releases that read one file."""
    told = difference(SCHEMA, text_of(attrs.evolve(SCHEMA, indexes=SCHEMA.indexes[1:])))
    assert told is not None
    assert SCHEMA.indexes[0].name in told
    assert RAISE not in told


def test_the_recorder_refuses_new_tables_of_an_old_version(tmp_path, monkeypatch) -> None:
    """The mend cannot be skipped by writing the snapshot down again."""
    path = tmp_path / "schema.sql"
    path.write_text(text_of(attrs.evolve(SCHEMA, kinds=SCHEMA.kinds[1:])))
    before = path.read_text()
    monkeypatch.setattr(schema_snapshots, "RECORDED", {path: SCHEMA})
    with pytest.raises(SystemExit, match=RAISE):
        schema_snapshots.main()
    assert path.read_text() == before
    path.unlink()
    schema_snapshots.main()
    assert path.read_text() == text_of(SCHEMA)
