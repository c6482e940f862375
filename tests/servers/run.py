"""One run of pytest and the servers that it shares: opened in its first process, joined by each xdist worker, and ended.

A server is started when the first test of a run asks for it and shared by all xdist workers. A server named by an environment
variable is used instead; when it does not answer, the test fails. When nothing is configured and the server is not
installed, the test is skipped with the mend, or fails where CI=true.

Knows pytest's hooks and kinds of servers. Must not know how a test's own place is made on a server.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from . import scratch
from .process import MissingServerError
from .shared import KINDS, Address, SharedServers, availability, new_run

WORKER_KEY = "mastra_servers"
RUN: pytest.StashKey[contextlib.ExitStack] = pytest.StashKey()
SERVERS: pytest.StashKey[SharedServers] = pytest.StashKey()

OPTIONAL = {"mongodb_search": "mongodb_search_server"}
"""The fixture of each optional kind of server."""


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Open the run in its first process; a worker joins the run of its controller."""
    workerinput = getattr(config, "workerinput", {})
    if WORKER_KEY in workerinput:
        config.stash[SERVERS] = SharedServers(Path(workerinput[WORKER_KEY]), worker=workerinput["workerid"])
        return
    # Workers and servers inherit it.
    scratch.keep_in_memory()
    stack = contextlib.ExitStack()
    folder = stack.enter_context(new_run())
    config.stash[RUN] = stack
    config.stash[SERVERS] = SharedServers(folder)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker the run that it belongs to."""
    node.workerinput[WORKER_KEY] = str(node.config.stash[SERVERS].folder)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of an optional server that is not installed; the summary says so."""
    missing = {OPTIONAL[kind] for kind in OPTIONAL if availability(kind).startswith("missing")}
    left_out = [item for item in items if missing.intersection(getattr(item, "fixturenames", ()))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say which servers the run reached, and which optional ones it did without."""
    for kind in OPTIONAL:
        if availability(kind).startswith("missing"):
            terminalreporter.write_line(f"server: no {kind}: {availability(kind)}")
    for address in config.stash[SERVERS].used():
        # Sentinels are several; the first stands for them.
        where = urlsplit(address.url.partition(",")[0])
        whose = "started for this run" if address.ours else "configured"
        terminalreporter.write_line(f"server: {address.name} {address.version} at {where.hostname}:{where.port} ({whose})")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the run in its first process: its servers stop."""
    stack = config.stash.get(RUN, None)
    if stack is not None:
        stack.close()


def address_or_skip(config: pytest.Config, kind: str) -> Address:
    """Give the server of `kind`; skip where it is not installed, fail where it should be there."""
    try:
        return config.stash[SERVERS].address(kind)
    except MissingServerError as missing:
        reason = f"{missing} (or name a server in {KINDS[kind].variable})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    except RuntimeError as error:
        pytest.fail(str(error), pytrace=False)


def taking_turns(config: pytest.Config, kind: str, server: Address) -> contextlib.AbstractContextManager[None]:
    """Keep the tests of other workers off the server for the length of the block, unless it is this worker's own."""
    return contextlib.nullcontext() if server.ours else config.stash[SERVERS].exclusively(kind)
