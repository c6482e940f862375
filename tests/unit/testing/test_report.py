"""The report prints what a backend says of itself, for people, programs and documents."""

from __future__ import annotations

import json
import subprocess
import sys

import attrs
import pytest

from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.memory_store import InMemoryStore
from mastra_core.storage.records.engine import CAPABILITIES, FULL, emulated, not_yet
from mastra_core.storage.records.inmemory import InMemoryEngine
from mastra_core.storage.store import Store
from mastra_core.testing import report
from tests.unit.testing.engines import declaring
from tests.unit.testing.test_memory_updates_contract import LeavesOutMessagesOfAResource


class Declares(InMemoryEngine):
    max_atomic = 25
    capabilities = declaring(window=emulated("two trips | not one"), scan=not_yet("nobody has written it"))


def run(*arguments):
    command = [sys.executable, "-W", "error", "-m", "mastra_core.testing.report", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def described(store=None):
    async with store or Store(Declares(), id="acme", product="acme") as opened:
        return await report.describe(opened)


async def test_a_report_is_what_the_engine_declares() -> None:
    """Support, limits and domains are read from the opened store, in the order of the port."""
    found = await described()
    assert found.capabilities == Declares.capabilities
    assert list(found.capabilities) == list(CAPABILITIES)
    assert (found.store, found.product, found.max_atomic) == ("Store", "acme", 25)
    assert found.domains == ("memory", "workflows", "scores", "observability")
    assert (found.at("EMULATED"), found.at("NOT_YET", "IMPOSSIBLE")) == (["window"], ["scan"])


async def test_a_path_that_an_engine_leaves_out_is_reported() -> None:
    """What an engine says of one list stands behind what it says of all."""
    found = await described(Store(LeavesOutMessagesOfAResource(), id="acme", product="acme"))
    assert list(found.capabilities) == [*CAPABILITIES, "mastra_messages.by_resource"]
    assert "| mastra_messages.by_resource | NOT_YET | no index |" in report.markdown(found)


async def test_domains_that_a_store_lacks_are_not_reported() -> None:
    """A store of one domain says so."""
    store = InMemoryStore()
    store._domains = {"memory": MemoryDomain(store.records, product="x")}
    assert (await described(store)).domains == ("memory",)


async def test_a_table_shows_support_with_its_reason() -> None:
    """FULL says what it is, everything else why it is not more; a bar in a reason does not break the table."""
    lines = report.markdown(await described()).splitlines()
    assert lines[0] == "Store (mastra-core 0.1.0). Writes at most 25 changes in one step; keeps memory, workflows, scores, observability."
    assert lines[3] == "|---|---|---|"
    assert len(lines) == 4 + len(CAPABILITIES)
    assert f"| atomic | FULL | {CAPABILITIES['atomic']} |" in lines
    assert r"| window | EMULATED | two trips \| not one |" in lines
    assert "| scan | NOT_YET | nobody has written it |" in lines


async def test_a_trial_engine_and_a_class_of_no_plugin_say_so() -> None:
    """Nobody takes an unreleased engine for a released one."""
    found = await described()
    trial = attrs.evolve(found, distribution="mastra-acme", version="1", released=False)
    assert report.title(trial) == "Store (mastra-acme 1, a trial engine that is not released)"
    assert report.title(attrs.evolve(found, distribution="", version="")) == "Store (no plugin)"

    class Mine(Store):
        __module__ = "elsewhere.store"

    mine = await described(Mine(InMemoryEngine(), id="mine", product="mine"))
    assert (mine.distribution, mine.version, mine.released) == ("", "", True)
    assert set(mine.capabilities.values()) == {FULL}


def test_the_command_prints_a_store_by_its_url(tmp_path) -> None:
    """Any installed backend can be asked, in three forms."""
    url = f"file:{tmp_path}/a.db"
    shown = run(url)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("LibSQLStore (mastra-core")
    assert "\n  open_paths  FULL  lists over a path" in shown.stdout
    document = json.loads(run(url, "--json").stdout)
    assert document["store"] == "LibSQLStore"
    assert document["capabilities"]["scan"] == {"level": "FULL", "reason": ""}
    assert (document["max_atomic"], document["released"]) == (None, True)
    assert "| scan | FULL |" in run(url, "--markdown").stdout


@pytest.mark.parametrize("url", ["redsi://user:secret@host", "redis://user:secret@127.0.0.1:1/0"])
def test_a_store_that_cannot_be_opened_is_an_error_without_its_password(url) -> None:
    """One line with the mend, exit code 2, nothing of a password."""
    shown = run(url)
    assert shown.returncode == 2
    assert shown.stderr.startswith("report: ")
    assert "secret" not in shown.stderr + shown.stdout
    assert run().returncode == 2
