"""Observability that cannot be is refused where it is asked for, with the mend."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mastra_core import Agent, ConfigurationError, Mastra, Memory, UnsupportedError
from mastra_core.storage import CompositeStore
from tests.unit.agent.models import CountingStore, ScriptedModel
from tests.unit.telemetry.observing import file_store


def test_storage_that_keeps_no_spans_is_refused(tmp_path: Path) -> None:
    """A composite without an observability store cannot be observed, and says so before anything else is set up."""
    memory = Memory()
    agent = Agent("a", model=ScriptedModel(), memory=memory)
    storage = CompositeStore(domains={"memory": file_store(tmp_path)})
    with pytest.raises(UnsupportedError, match="keeps no observability"):
        Mastra(storage=storage, agents={"a": agent}, observability=True)
    assert memory.storage is None


NOT_INSTALLED = """
import sys
sys.modules["opentelemetry"] = None
from mastra_core import Mastra
from mastra_core.storage import InMemoryStore
Mastra(storage=InMemoryStore(), observability=True)
"""


def test_without_the_extra_the_mend_is_named() -> None:
    """Observability without opentelemetry-sdk says which extra to install, at the line that asked for it."""
    ran = subprocess.run([sys.executable, "-c", NOT_INSTALLED], capture_output=True, text=True, check=False)
    assert (
        'ConfigurationError: Mastra: observability needs opentelemetry-sdk, which is not installed; install it: pip install "mastra-core[otel]"'
        in ran.stderr
    )


def test_what_is_no_observability_is_refused() -> None:
    """A misspelt option is told where it is written."""
    wrong: Any = {"sampling": 1}
    with pytest.raises(ConfigurationError, match=r"observability must be True, False or Observability\(…\), found \{'sampling': 1\}"):
        Mastra(storage=CountingStore(), observability=wrong)
