"""`mastra traces`, run as users run it: on traces that our runs made, and on those that TypeScript made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mastra_core import Agent, Mastra, Memory, ModelError
from mastra_core.storage import LibSQLStore
from tests.unit.agent.models import ScriptedModel, broken, call, calling
from tests.unit.cli.test_commands import GOLDEN, mastra


def weather(city: str) -> str:
    """The weather of a city."""
    return f"Sunny in {city}"


@pytest.fixture
async def traced(tmp_path: Path) -> tuple[str, str, str]:
    """The URL of a store with two traces: of a run that called a tool, and of one that failed; and their ids."""
    url = f"file:{tmp_path / 'm.db'}"
    good = Agent("good", model=ScriptedModel(calling(call("weather", city="Rome")), "Sunny."), memory=Memory(), tools=[weather])
    bad = Agent("bad", model=ScriptedModel(broken()), memory=Memory())
    async with Mastra(storage=LibSQLStore(url=url), agents={"good": good, "bad": bad}, observability=True) as run:
        result = await good.generate("Hello?", thread="t1", resource="u1")
        with pytest.raises(ModelError):
            await bad.generate("Hello?", thread="t2", resource="u2")
        assert run.observer is not None
        await run.observer.flush()
        (failed,) = await run.storage.observability.list_traces(filters={"status": "error"})
    assert result.trace_id is not None
    return url, result.trace_id, failed.trace_id


def test_traces_are_listed_newest_first_and_filtered(traced: tuple[str, str, str]) -> None:
    """Somebody looks for the run of a thread, of an agent, or for what failed, and gets the trace's id first."""
    url, good, bad = traced
    lines = [line.split("\t") for line in mastra("traces", url).stdout.splitlines()]
    assert [(line[0], line[3], line[4], line[5]) for line in lines] == [
        (bad, "error", "agent run: 'bad'", "t2"), (good, "success", "agent run: 'good'", "t1"),
    ]  # fmt: skip
    for given in (("--thread", "t1"), ("--resource", "u1"), ("--agent", "good"), ("--status", "success")):
        assert [line.split("\t")[0] for line in mastra("traces", url, *given).stdout.splitlines()] == [good], given
    cut = mastra("traces", url, "--limit", "1")
    assert (len(cut.stdout.splitlines()), "more than 1 traces; see more with --limit" in cut.stderr) == (1, True)
    assert json.loads(mastra("traces", url, "--thread", "t1", "--json").stdout)["status"] == "success"


def test_a_trace_is_shown_as_a_waterfall(traced: tuple[str, str, str]) -> None:
    """Each span stands below its parent, with how long it took, its tokens and its error; the sums count no token twice."""
    url, good, bad = traced
    ran = mastra("traces", url, good)
    rows = [line.split("\t") for line in ran.stdout.splitlines()]
    assert [row[0] for row in rows] == [
        "agent run: 'good'", "· memory: recall", "· llm: 'parrot-1'", "· · step: 0", "· · · tool: 'weather'", "· · step: 1", "· memory: save",
    ]  # fmt: skip
    assert all(row[1].endswith(" ms") and len(row[2]) == 24 and "█" in row[2] for row in rows)
    assert [row[3] for row in rows] == ["", "", "6 → 4", "3 → 2", "", "3 → 2", ""]
    assert "7 spans" in ran.stderr
    assert "6 tokens in, 4 out, 0 with errors" in ran.stderr
    failed = mastra("traces", url, bad)
    assert [line.split("\t")[4] for line in failed.stdout.splitlines() if "out of seeds" in line] == [
        "scripted/parrot-1 is out of seeds; feed it"
    ] * 3
    first, *_ = (json.loads(line) for line in mastra("traces", url, good, "--json").stdout.splitlines())
    assert (first["name"], first["depth"], first["status"], first["output"]["text"]) == ("agent run: 'good'", 0, "success", "Sunny.")


def test_a_trace_that_is_not_there_is_said_to_be_missing(traced: tuple[str, str, str]) -> None:
    """A wrong id ends with exit code 1 and the command that lists the right ones; a wrong status with 2."""
    ran = mastra("traces", traced[0], "nothing")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "there is no trace 'nothing' in this store; list them with: mastra traces URL" in ran.stderr
    assert mastra("traces", traced[0], "--status", "lost").returncode == 2


async def test_traces_of_typescript_are_shown_with_every_span(tmp_path: Path) -> None:
    """What a TypeScript program traced is shown like ours, event spans included."""
    shutil.copy(GOLDEN, tmp_path / "golden.db")
    url = f"file:{tmp_path}/golden.db"
    async with LibSQLStore(url=url) as store:
        (root,) = await store.observability.list_traces(filters={"entity_id": "tool-agent"}, per_page=1)
        trace = await store.observability.get_trace(root.trace_id)
    assert trace is not None
    rows = [line.split("\t") for line in mastra("traces", url, root.trace_id).stdout.splitlines()]
    assert rows[0][0] == "agent run: 'tool-agent'"
    assert len(rows) == len(trace.spans)
    assert sum(not row[0].startswith("·") for row in rows) == 1
