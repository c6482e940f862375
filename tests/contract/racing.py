"""Four processes that resume one run and report its steps, all at the same moment, on any store."""

from __future__ import annotations

import subprocess
import sys

from mastra_core.storage.opening import open_store
from mastra_core.testing.equality import assert_same

PROCESSES = 4
EACH = 4
DEADLINE = 120

RACER = """
import asyncio, sys
from mastra_core.storage.opening import open_store

async def main(url, process, each, processes):
    async with open_store(url) as store:
        workflows = store.workflows
        print("ready", flush=True)
        sys.stdin.readline()
        names = [f"{process}-{number}" for number in range(each)]
        claims = [
            workflows.update_workflow_state("w", run_id="r", opts={"status": "running", "winner": name}, expected_status="suspended")
            for name in names
        ]
        answers = await asyncio.gather(*claims)
        results = [
            workflows.update_workflow_results("w", run_id="r", step_id=name, result={"output": name}, request_context={name: process})
            for name in names
        ]
        mine = [names[0] if place == process else None for place in range(processes)]
        await asyncio.gather(*results, workflows.update_workflow_results("w", run_id="r", step_id="each", result={"output": mine}))
        print(*(answer["winner"] for answer in answers if answer is not None))

asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
"""


async def suspend(url: str) -> None:
    """A run that waits, with the list of a foreach step."""
    snapshot = {"status": "suspended", "context": {"each": {"output": [None] * PROCESSES}}}
    async with open_store(url) as store:
        await store.workflows.persist_workflow_snapshot("w", run_id="r", snapshot=snapshot)


def race(url: str) -> list[str]:
    """Who won the resume of that run; each process tried EACH times, and then wrote its results."""
    return " ".join(at_once(RACER, url, numbers=(EACH, PROCESSES))).split()


def at_once(program: str, url: str, *, numbers: tuple[int, ...]) -> list[str]:
    """What each of PROCESSES printed that ran *program*, told the store, its own number and *numbers*, from the same moment on.

    The program prints "ready" and waits for a line before it does what is raced.
    """
    given = [str(number) for number in numbers]
    arguments = [[sys.executable, "-c", program, url, str(process), *given] for process in range(PROCESSES)]
    pipe = subprocess.PIPE
    racers = [subprocess.Popen(argument, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for argument in arguments]
    printed: list[str] = []
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n", racer.communicate(timeout=DEADLINE)
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        for racer in racers:
            out, errors = racer.communicate(timeout=DEADLINE)
            assert racer.returncode == 0, errors
            printed.append(out)
    finally:
        for racer in racers:
            racer.kill()
    return printed


async def assert_one_won_and_nothing_is_lost(url: str, winners: list[str]) -> None:
    """Assert that one process resumed the run, and that the results of all are there."""
    assert len(winners) == 1, winners
    async with open_store(url) as store:
        snapshot = await store.workflows.load_workflow_snapshot("w", run_id="r")
    names = [f"{process}-{number}" for process in range(PROCESSES) for number in range(EACH)]
    context = {name: {"output": name} for name in names} | {"each": {"output": [f"{process}-0" for process in range(PROCESSES)]}}
    request_context = {name: int(name[0]) for name in names}
    assert_same(snapshot, {"status": "running", "winner": winners[0], "context": context, "requestContext": request_context})
