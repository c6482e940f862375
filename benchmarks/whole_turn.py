"""A whole turn of an agent with a model that answers at once: what we and our storage take, at every length of the conversation.

    .venv/bin/python benchmarks/whole_turn.py [--messages 10 1000 10000] [--turns 60] [--folder /dev/shm] [--json]
    .venv/bin/python benchmarks/whole_turn.py --peers [--passes 3]

With --peers, the same turn of openai-agents, Agno and LangGraph in the same run: each by its documented calls, as it comes, on a SQLite
file beside ours, and in an environment of its own, which is made below --environments (a temporary folder if not given) with the pinned
versions of benchmarks/peers/. Passes go through all of them in turn, so that a busy machine slows all of them. "first" is the first
turn of a conversation in its process; "shown" is how many messages the model was shown: who always shows the whole conversation pays
for it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.peers.timing import ANSWER, LAST, QUESTION, SAID, Plan, add_options, measure
from mastra_core import Agent, Memory, MemoryOptions, WorkingMemory, clock
from mastra_core.agent.messages import text_content
from mastra_core.agent.model import ModelDelta, ModelReply, ModelRequest, Usage
from mastra_core.storage import LibSQLStore
from mastra_core.storage.records.kinds import Message, Thread

PEERS = Path(__file__).parent / "peers"
KNOWN = {"openai-agents": "with_openai_agents", "agno": "with_agno", "langgraph": "with_langgraph"}
"""The peers, and what their files in benchmarks/peers/ are called."""

USER = "u"
START = clock.from_text("2026-01-01T00:00:00.000Z")
REPLY = ModelReply(text=ANSWER, finish_reason="stop", usage=Usage())

Row = dict[str, Any]


class FakeModel:
    """Says ANSWER at once."""

    provider = "fake"
    model_id = "fake"

    def __init__(self) -> None:
        self.shown = 0

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.shown = sum(message.role != "system" for message in request.messages)
        return REPLY

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        self.shown = sum(message.role != "system" for message in request.messages)
        yield ModelDelta(text=ANSWER, finish_reason="stop", usage=REPLY.usage)


def get_weather(city: str, days: int = 1) -> str:
    """The weather in a city.

    Args:
        city: its name.
        days: how far to look ahead.
    """
    return f"sunny in {city} for {days} days"


def suggest_clothes(degrees: float) -> list[str]:
    """What to wear at a temperature."""
    return ["shirt"] if degrees > 20 else ["coat"]


class Ours:
    """An agent on a LibSQLStore."""

    def __init__(self, store: LibSQLStore, *, options: MemoryOptions, tools: Sequence[Callable[..., Any]]) -> None:
        self._store = store
        self._model = FakeModel()
        memory = Memory(storage=store, options=options)
        self._agent = Agent("support", instructions="Be brief.", model=self._model, memory=memory, tools=tools)

    async def load(self, conversation: str, count: int) -> None:
        if self._agent.memory is not None and self._agent.memory.options.working_memory is not None:
            await self._agent.memory.update_working_memory("# User\n- **Name**: Ada\n- **City**: Lisbon", resource_id=USER)
        await self._store.memory.save_thread(Thread(id=conversation, resource_id=USER, created_at=START, updated_at=START))
        await self._store.memory.save_messages([a_message(conversation, index) for index in range(count)], chunked=True)

    async def turn(self, conversation: str) -> int:
        result = await self._agent.generate(QUESTION, thread=conversation, resource=USER)
        assert result.text == ANSWER
        return self._model.shown

    async def held(self, conversation: str) -> int:
        page = await self._store.memory.list_messages(conversation, per_page=1, include_total=True)
        return page.total or 0


def a_message(conversation: str, index: int) -> Message:
    """The message of this number, a millisecond after the one before."""
    return Message(
        id=f"{conversation}-{index:06}",
        thread_id=conversation,
        resource_id=USER,
        role=("user", "assistant")[index % 2],
        content=text_content(SAID, at=START),
        created_at=START + timedelta(milliseconds=index),
    )


@asynccontextmanager
async def opened(path: Path, *, options: MemoryOptions, tools: Sequence[Callable[..., Any]] = ()) -> AsyncIterator[Ours]:
    async with LibSQLStore(url=f"file:{path}") as store:
        yield Ours(store, options=options, tools=tools)


OURS = {
    "ours": partial(opened, options=MemoryOptions(last_messages=LAST)),
    "ours, working memory": partial(opened, options=MemoryOptions(last_messages=LAST, working_memory=WorkingMemory(scope="resource"))),
    "ours, tools": partial(opened, options=MemoryOptions(last_messages=LAST), tools=[get_weather, suggest_clothes]),
}


def prepared(peer: str, *, environments: Path) -> Path:
    """The Python of the environment of *peer*, which is made if it is not there with the pinned versions.

    Raises:
        CannotRunError: it cannot be made.
    """
    pins, environment = PEERS / f"{KNOWN[peer]}.txt", environments / peer
    python, done = environment / ("Scripts" if os.name == "nt" else "bin") / "python", environment / "installed.txt"
    if not done.exists() or done.read_text() != pins.read_text():
        uv = [sys.executable, "-m", "uv"]
        output_of([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)], failed="not installed")
        output_of([*uv, "pip", "install", "--quiet", "--python", str(python), "--requirement", str(pins)], failed="not installed")
        done.write_text(pins.read_text())
    return python


class CannotRunError(Exception):
    """A peer cannot be measured; the text says why."""


def output_of(command: Sequence[str], *, failed: str) -> str:
    """What *command* prints.

    Raises:
        CannotRunError: it cannot be started, or ends with an error; the text begins with *failed*.
    """
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        msg = f"{failed}: {error}"
        raise CannotRunError(msg) from error
    if ended.returncode:
        msg = f"{failed}: {ended.stderr.strip() or f'{command[0]} ended with {ended.returncode}'}"
        raise CannotRunError(msg)
    return ended.stdout


def rows_of(peer: str, *, plan: Plan, environments: Path) -> list[Row]:
    """The rows of *peer*, measured in a process of its own environment.

    Raises:
        CannotRunError: there is no such environment, or its process fails.
    """
    python = prepared(peer, environments=environments)
    command = [str(python), str(PEERS / f"{KNOWN[peer]}.py"), "--folder", str(plan.folder), "--turns", str(plan.turns)]
    rows: list[Row] = json.loads(output_of([*command, "--messages", *map(str, plan.counts)], failed="failed"))
    return rows


def one_pass(plan: Plan, *, peers: Sequence[str], environments: Path) -> tuple[list[Row], dict[str, str]]:
    """The rows of everybody, ours first; and of the peers that cannot be measured, why."""
    rows = [row for what, opening in OURS.items() for row in asyncio.run(measure(what, opening, plan=plan))]
    missing: dict[str, str] = {}
    for peer in peers:
        try:
            rows += rows_of(peer, plan=plan, environments=environments)
        except CannotRunError as error:
            missing[peer] = str(error)
    return rows, missing


def together(rows: Sequence[Row]) -> list[Row]:
    """Rows of several passes as one each: medians of the medians, the least of the least; and how many times ours the median is."""
    grouped: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        grouped.setdefault((row["what"], row["messages"]), []).append(row)
    merged = {
        place: {
            **same[0],
            "turns": sum(row["turns"] for row in same),
            "median_ms": statistics.median(row["median_ms"] for row in same),
            "min_ms": min(row["min_ms"] for row in same),
            "first_ms": statistics.median(row["first_ms"] for row in same),
        }
        for place, same in grouped.items()
    }
    base = next(iter(OURS))
    return [{**row, "ratio": row["median_ms"] / merged[base, count]["median_ms"]} for (_, count), row in merged.items()]


def load() -> float | None:
    """How many processes want a processor, in the last minute; None where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def show(rows: Sequence[Row], *, missing: Mapping[str, str], loads: Sequence[float | None]) -> None:
    """Print the table."""
    before, after = ("unknown" if one is None else f"{one:.1f}" for one in loads)
    print(f"a whole turn, in milliseconds; load of the machine before and after: {before} and {after}, processors: {os.cpu_count()}")
    print(f"{'':26}{'messages':>9}{'median':>10}{'least':>10}{'first':>10}{'shown':>8}{'times ours':>12}{'turns':>7}")
    for row in rows:
        figures = "".join(f"{row[name]:10.2f}" for name in ("median_ms", "min_ms", "first_ms"))
        print(f"{row['what']:26}{row['messages']:9,}{figures}{row['shown']:8,}{row['ratio']:12.1f}{row['turns']:7}")
    for peer, why in missing.items():
        print(f"{peer}: {why}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shm = Path("/dev/shm")  # noqa: S108  # the point is a file that costs no disk
    add_options(parser)
    parser.add_argument("--folder", type=Path, default=shm if shm.is_dir() else Path(tempfile.gettempdir()))
    parser.add_argument("--peers", nargs="*", choices=KNOWN, default=None, help="measure these too; none named is all of them")
    parser.add_argument("--environments", type=Path, default=None, help="where the environments of peers are made, and kept")
    parser.add_argument("--passes", type=int, default=1, help="how often all are measured in turn")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    chosen = [] if given.peers is None else given.peers or list(KNOWN)
    rows: list[Row] = []
    missing: dict[str, str] = {}
    loads = [load()]
    with tempfile.TemporaryDirectory() as temporary:
        environments = given.environments or Path(temporary)
        for _ in range(given.passes):
            with tempfile.TemporaryDirectory(dir=given.folder) as folder:
                plan = Plan(Path(folder), counts=given.messages, turns=given.turns)
                measured, missed = one_pass(plan, peers=chosen, environments=environments.resolve())
            rows += measured
            missing |= missed
    loads.append(load())
    if given.json:
        print(json.dumps({"rows": together(rows), "missing": missing, "loads": loads}))
        return
    show(together(rows), missing=missing, loads=loads)


if __name__ == "__main__":
    main()
