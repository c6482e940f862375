"""AcmeDB, certified by Mastra's kit."""

from __future__ import annotations

import json
import tempfile
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from mastra_acme import AcmeStore
from mastra_acme.engine import AcmeEngine
from mastra_acme.journal import Entry, Journal

from mastra_core.testing import EngineContract, MemoryContract, ObservabilityContract, ScoresContract, WorkflowsContract


class TestAcmeEngine(EngineContract):
    """The port, operation by operation, and what it writes."""

    snapshot = Path(__file__).parent / "acme.txt"

    @asynccontextmanager
    async def open_engine(self):
        with tempfile.TemporaryDirectory() as folder:
            yield AcmeEngine(Journal(str(Path(folder) / "kit.journal")))

    async def peek(self, engine, kind, key):
        with _opened(engine.journal.path) as journal:
            found = {(entry.table, entry.key): entry.text for entry in journal.news()}.get((kind.name, key))
        return None if found is None else json.loads(found)

    async def poke(self, engine, kind, document):
        with _opened(engine.journal.path) as journal, journal.locked(writing=True):
            list(journal.news())
            journal.append([Entry(kind.name, tuple(document[kind.by_name[name].stored] for name in kind.key), json.dumps(document))])
        return True

    def again(self, engine):
        return AcmeEngine(Journal(engine.journal.path))


class _OnAcme:
    @asynccontextmanager
    async def open_store(self):
        with tempfile.TemporaryDirectory() as folder:
            yield AcmeStore(path=str(Path(folder) / "kit.journal"))


class TestAcmeMemory(_OnAcme, MemoryContract):
    """Threads, messages and resources."""


class TestAcmeWorkflows(_OnAcme, WorkflowsContract):
    """Runs of workflows."""


class TestAcmeScores(_OnAcme, ScoresContract):
    """Scores."""


class TestAcmeObservability(_OnAcme, ObservabilityContract):
    """Spans and traces."""


@contextmanager
def _opened(path):
    """The file, read and written without the engine."""
    journal = Journal(path)
    journal.open(create=False)
    try:
        yield journal
    finally:
        journal.close()
