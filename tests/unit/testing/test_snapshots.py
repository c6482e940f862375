"""A change of the stored format is seen, and said with what to do."""

from __future__ import annotations

import pytest

from mastra_core.storage.records.inmemory import InMemoryEngine
from mastra_core.storage.records.kinds import KINDS
from mastra_core.testing.engine.snapshots import SAMPLE, sample
from tests.unit.testing.engines import StoresOtherNames, TurnsEmptyListsIntoObjects
from tests.unit.testing.runs import contract_of, is_red, run

TEST = "test_the_stored_format_is_as_it_was"


@pytest.mark.parametrize("engine", [StoresOtherNames, TurnsEmptyListsIntoObjects])
async def test_an_engine_that_stores_otherwise_is_caught(engine, monkeypatch) -> None:
    """Other names and other forms of values are differences."""
    await run(contract_of(InMemoryEngine), TEST, monkeypatch=monkeypatch)
    assert await is_red(contract_of(engine), TEST, monkeypatch=monkeypatch)


async def test_a_snapshot_is_written_when_that_is_asked_for(tmp_path, monkeypatch) -> None:
    """The first snapshot, and one of a format that was changed on purpose, come from MASTRA_SNAPSHOTS=write alone."""
    path = tmp_path / "new" / "acme.txt"
    monkeypatch.delenv("MASTRA_SNAPSHOTS", raising=False)
    with pytest.raises(AssertionError, match=r"there is no acme.txt yet; run once with MASTRA_SNAPSHOTS=write"):
        await run(contract_of(InMemoryEngine, snapshot=path), TEST, monkeypatch=monkeypatch)
    assert not path.exists()
    monkeypatch.setenv("MASTRA_SNAPSHOTS", "write")
    await run(contract_of(InMemoryEngine, snapshot=path), TEST, monkeypatch=monkeypatch)
    monkeypatch.delenv("MASTRA_SNAPSHOTS")
    await run(contract_of(InMemoryEngine, snapshot=path), TEST, monkeypatch=monkeypatch)
    path.write_text(path.read_text().replace("createdAt", "created_at", 1))
    with pytest.raises(AssertionError, match=r"what lies on disk is no longer as in acme.txt; if that is meant, run once with"):
        await run(contract_of(InMemoryEngine, snapshot=path), TEST, monkeypatch=monkeypatch)


async def test_without_on_disk_a_snapshot_shows_what_peek_shows(tmp_path, monkeypatch) -> None:
    """A backend that defines peek alone has a snapshot too."""

    class Plain(contract_of(InMemoryEngine, snapshot=tmp_path / "plain.txt")):
        async def on_disk(self, engine, kind, key):
            return await super(type(self).__mro__[1], self).on_disk(engine, kind, key)

    monkeypatch.setenv("MASTRA_SNAPSHOTS", "write")
    await run(Plain, TEST, monkeypatch=monkeypatch)
    assert "\n  resourceId = 'resource-1'\n" in (tmp_path / "plain.txt").read_text()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_sample_has_every_field_or_only_what_it_must(kind) -> None:
    """A field that is added to a kind is in the snapshots by itself."""
    full, bare = sample(kind, bare=False), sample(kind, bare=True)
    assert kind.key_of(full) != kind.key_of(bare)
    for field in kind.fields:
        assert getattr(full, field.name) is not None
        assert (getattr(bare, field.name) is None) is field.optional
    assert {"list", "object", "null", "true", "float", "large", "text"} == set(SAMPLE)
