"""Runs of workflows changed by four processes at once: one resume wins, and no result is lost."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from mastra_core.storage.libsql.store import LibSQLStore

PROCESSES = 4
EACH = 4
DEADLINE = 120

RACER = """
import asyncio, sys
from mastra_core.storage.libsql.store import LibSQLStore

async def main(path, process, each):
    async with LibSQLStore(url=f"file:{path}") as store:
        workflows = store.workflows
        print("ready", flush=True)
        sys.stdin.readline()
        names = [f"{process}-{number}" for number in range(each)]
        answers = await asyncio.gather(*(
            workflows.update_workflow_state("w", run_id="r", opts={"status": "running", "winner": name}, expected_status="suspended")
            for name in names
        ))
        await asyncio.gather(*(
            workflows.update_workflow_results(
                "w", run_id="r", step_id=name, result={"output": name}, request_context={name: process}
            )
            for name in names
        ))
        each_output = [names[0] if place == process else None for place in range(4)]
        await workflows.update_workflow_results("w", run_id="r", step_id="each", result={"output": each_output})
        print(*(answer["winner"] for answer in answers if answer is not None))

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


@pytest.fixture
def raced(tmp_path: Path) -> tuple[list[str], Path]:
    """Who won the resume of one run, and the file, after four processes tried four times each and wrote their results."""
    path = tmp_path / "raced.db"
    asyncio.run(suspend(path))
    arguments = [[sys.executable, "-c", RACER, str(path), str(process), str(EACH)] for process in range(PROCESSES)]
    pipe = subprocess.PIPE
    racers = [subprocess.Popen(argument, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for argument in arguments]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n", racer.communicate(timeout=DEADLINE)
        told = []
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        for racer in racers:
            out, errors = racer.communicate(timeout=DEADLINE)
            assert racer.returncode == 0, errors
            told += out.split()
    finally:
        for racer in racers:
            racer.kill()
    return told, path


async def suspend(path: Path) -> None:
    """A run that waits, with the list of a foreach step."""
    snapshot = {"status": "suspended", "context": {"each": {"output": [None] * PROCESSES}}}
    async with LibSQLStore(url=f"file:{path}") as store:
        await store.workflows.persist_workflow_snapshot("w", run_id="r", snapshot=snapshot)


def test_of_sixteen_resumes_in_four_processes_one_wins_and_no_result_is_lost(raced: tuple[list[str], Path]) -> None:
    """Issue: "Of 16 concurrent compare-and-sets in four processes exactly one wins"; and every step's result survives."""
    winners, path = raced
    assert len(winners) == 1, winners

    async def load() -> object:
        async with LibSQLStore(url=f"file:{path}") as store:
            return await store.workflows.load_workflow_snapshot("w", run_id="r")

    names = [f"{process}-{number}" for process in range(PROCESSES) for number in range(EACH)]
    assert asyncio.run(load()) == {
        "status": "running",
        "winner": winners[0],
        "context": {
            **{name: {"output": name} for name in names},
            "each": {"output": [f"{process}-0" for process in range(PROCESSES)]},
        },
        "requestContext": {name: int(name[0]) for name in names},
    }
