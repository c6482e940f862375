"""How a whole turn is timed, the same way for everybody in `benchmarks/whole_turn.py`.

Knows conversations by name, and clocks. Must not import anything but the standard library: it runs in the environment of each peer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

QUESTION = "What is the weather in Lisbon, and what should I wear?"
ANSWER = "Sunny, 24 degrees, and a light wind from the sea in the evening: a shirt will do, and something warm for after sunset."
SAID = "x" * 560
"""The text of every message that is there before."""
LAST = 10
"""How many messages of the past a model is shown, where that can be said."""

LEAST_TURNS = 5
"""Turns of a conversation that are timed, if they are not many, or take long."""


class Contender(Protocol):
    """One way to have whole turns, with its store open."""

    async def load(self, conversation: str, count: int) -> None:
        """Begin a conversation with *count* messages of SAID, of user and assistant by turns."""
        ...

    async def turn(self, conversation: str) -> int:
        """Ask QUESTION and have ANSWER remembered with it; how many messages the model was shown, instructions left out."""
        ...

    async def held(self, conversation: str) -> int:
        """How many messages the conversation has now, asked of the store."""
        ...


Opening = Callable[[Path], AbstractAsyncContextManager[Contender]]
"""Opens a contender on a file, which it makes if it is not there."""


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        folder: where the files lie.
        counts: how many messages a conversation has before.
        turns: how many are timed at each length.
        seconds: when the turns of a length have taken so long together, each conversation that is left has LEAST_TURNS.
    """

    folder: Path
    counts: Sequence[int]
    turns: int
    seconds: float = 5.0


async def measure(what: str, opening: Opening, *, plan: Plan) -> list[dict[str, Any]]:
    """A row for each length: median and least milliseconds of a turn, and the median of first turns.

    A conversation grows by what is timed, so several are begun, and each has a few turns. They are begun before what is timed is
    opened, and the first turn of each stands apart, as some keep a conversation in the memory of the process from then on.

    Raises:
        RuntimeError: the store holds another number of messages than were said.
    """
    rows = []
    for count in plan.counts:
        path, each = plan.folder / f"{what.replace(' ', '-')}-{count}.db", min(plan.turns, max(LEAST_TURNS, count // 100))
        conversations = [f"{count}-{index}" for index in range(-(-plan.turns // each))]
        async with opening(path) as contender:
            await contender.load("warm", LAST)
            for conversation in conversations:
                await contender.load(conversation, count)
        async with opening(path) as contender:
            for _ in range(LEAST_TURNS):
                await contender.turn("warm")
            firsts: list[float] = []
            times: list[float] = []
            shown = 0
            for conversation in conversations:
                first, *others = taken = await _timed(contender, conversation, 1 + each, seconds=plan.seconds - sum(times) / 1000)
                shown = taken[0][1]
                firsts.append(first[0])
                times += [milliseconds for milliseconds, _ in others]
                await _check(contender, conversation, count + 2 * len(taken), what=what)
        row = {"what": what, "messages": count, "turns": len(times), "median_ms": statistics.median(times), "min_ms": min(times)}
        rows.append({**row, "first_ms": statistics.median(firsts), "shown": shown})
    return rows


async def _timed(contender: Contender, conversation: str, turns: int, *, seconds: float) -> list[tuple[float, int]]:
    """The milliseconds of each turn, and what the model was shown in it; after so many *seconds* only LEAST_TURNS."""
    taken: list[tuple[float, int]] = []
    while len(taken) < turns and (sum(milliseconds for milliseconds, _ in taken) < seconds * 1000 or len(taken) <= LEAST_TURNS):
        began = time.perf_counter()
        shown = await contender.turn(conversation)
        taken.append(((time.perf_counter() - began) * 1000, shown))
    return taken


async def _check(contender: Contender, conversation: str, expected: int, *, what: str) -> None:
    held = await contender.held(conversation)
    if held != expected:
        msg = f"{what}: the conversation {conversation!r} holds {held} messages, {expected} were said; what was timed is not a whole turn"
        raise RuntimeError(msg)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that say what is measured."""
    parser.add_argument("--messages", type=int, nargs="+", default=[10, 1000, 10_000], help="in the conversation before")
    parser.add_argument("--turns", type=int, default=60, help="timed at each length")


def answer_for(openings: Mapping[str, Opening]) -> None:
    """The program of a peer: measure what the command line says, and print the rows as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    add_options(parser)
    given = parser.parse_args()
    plan = Plan(given.folder, counts=given.messages, turns=given.turns)

    async def rows() -> list[dict[str, Any]]:
        return [row for what, opening in openings.items() for row in await measure(what, opening, plan=plan)]

    print(json.dumps(asyncio.run(rows())))
