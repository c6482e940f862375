"""`mastra traces`, run as users run it: on traces that our runs made, and on those that TypeScript made."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
from pathlib import Path

import attrs
import pytest

from mastra_core import Agent, Mastra, Memory, ModelError
from mastra_core.storage import LibSQLStore
from tests.unit.agent.models import ScriptedModel, WaitingModel, broken, call, calling
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


class Following:
    """`mastra traces … --watch` as a process whose lines are read as they come."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []

    @classmethod
    async def begun(cls, *arguments: str) -> Following:
        pipe = asyncio.subprocess.PIPE
        # Where tests run in the background, Ctrl-C is ignored, also by what they start.
        program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from mastra_core.cli.main import main; main()"
        command = (sys.executable, "-c", program, "traces", *arguments, "--watch")
        return cls(await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, limit=1 << 20))

    async def until(self, text: str) -> None:
        """Read lines until one holds *text*."""
        assert self._process.stdout is not None
        while True:
            line = (await asyncio.wait_for(self._process.stdout.readline(), 60)).decode()
            assert line, f"it ended before {text!r}: {self.lines}, {(await self.ended())[1]}"
            self.lines.append(line.rstrip("\n"))
            if text in line:
                return

    async def told(self, text: str) -> None:
        """Read what it says beside, until a line holds *text*."""
        assert self._process.stderr is not None
        line = (await asyncio.wait_for(self._process.stderr.readline(), 60)).decode()
        assert text in line

    async def ended(self) -> tuple[int | None, str]:
        """Its exit code, and what it said of the whole."""
        out, said = await asyncio.wait_for(self._process.communicate(), 60)
        self.lines += out.decode().splitlines()
        return self._process.returncode, said.decode()

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)


@pytest.mark.parametrize("named", [False, True], ids=["the one that runs", "by its id"])
async def test_a_running_trace_is_followed_until_it_ends(tmp_path: Path, named: bool) -> None:
    """Issue: "follows a running trace with `--watch`": what runs is seen to run, each span when it has ended, and the command ends with it."""
    url, model = f"file:{tmp_path / 'm.db'}", WaitingModel()
    agent = Agent("a", model=model, memory=Memory())
    async with LibSQLStore(url=url) as store, Mastra(storage=store, agents={"a": agent}, observability=True) as run:
        assert run.observer is not None
        async with agent.stream("Hello?", thread="t1", resource="u1") as stream:
            await model.waiting.wait()
            assert await run.observer.flush()
            (root,) = await store.observability.list_traces(filters={"status": "running"})
            following = await Following.begun(url, *([root.trace_id] if named else []))
            await following.until("step: 0")
            model.go.set()
            result = await stream.result()
        assert await run.observer.flush()
        code, said = await following.ended()
        assert (await store.observability.list_traces(filters={"status": "success"})).items[0].trace_id == result.trace_id
        # Those that ran when they were first stored count once.
        assert run.observer.stored == 5
    assert (code, root.trace_id) == (0, result.trace_id)
    rows = [line.split("\t")[:2] for line in following.lines]
    assert {row[0]: row[1] == "running" for row in rows[:4]} == {
        "agent run: 'a'": True, "· memory: recall": False, "· llm: 'parrot-1'": True, "· · step: 0": True,
    }  # fmt: skip
    assert sorted(row[0] for row in rows[4:]) == sorted(["agent run: 'a'", "· llm: 'parrot-1'", "· · step: 0", "· memory: save"])
    assert all(row[1].endswith(" ms") for row in rows[4:])
    assert "5 spans" in said


async def test_a_trace_that_is_followed_is_a_json_line_a_span(traced: tuple[str, str, str]) -> None:
    """A program that follows gets each span as a document; one that follows what has ended gets it whole, and no wait."""
    url, good, _ = traced
    following = await Following.begun(url, good, "--json")
    code, _ = await following.ended()
    documents = [json.loads(line) for line in following.lines]
    assert code == 0
    assert sorted(document["depth"] for document in documents) == [0, 1, 1, 1, 2, 2, 3]
    assert {document["trace_id"] for document in documents} == {good}


async def test_following_waits_for_a_trace_and_can_be_interrupted(traced: tuple[str, str, str]) -> None:
    """A trace that is not there yet is waited for, without a traceback when the user has had enough."""
    url, good, _ = traced
    shutil.copy(url.removeprefix("file:"), f"{url.removeprefix('file:')}.copy")
    following = await Following.begun(f"{url}.copy", "not-yet")
    await following.told("waiting for the trace 'not-yet'")
    async with LibSQLStore(url=f"{url}.copy") as store:
        trace = await store.observability.get_trace(good)
        assert trace is not None
        # Without its root, it has not ended.
        for child in [span for span in trace.spans if span.parent_span_id is not None][:2]:
            await store.observability.create_span(attrs.evolve(child, trace_id="not-yet"))
            await following.until(child.name)
    following.interrupt()
    assert await following.ended() == (130, "")


async def test_a_trace_of_typescript_with_events_ends(tmp_path: Path) -> None:
    """Events of TypeScript's traces have no end, and are not waited for."""
    shutil.copy(GOLDEN, tmp_path / "golden.db")
    url = f"file:{tmp_path}/golden.db"
    async with LibSQLStore(url=url) as store:
        traces = [await store.observability.get_trace(root.trace_id) for root in await store.observability.list_traces(per_page=None)]
    with_events = [trace.trace_id for trace in traces if trace and any(span.is_event and span.ended_at is None for span in trace.spans)]
    following = await Following.begun(url, with_events[0])
    assert (await following.ended())[0] == 0
