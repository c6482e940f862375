"""The kit that certifies backends: subclass a contract in a test module, and pytest runs every promise against your engine.

    class TestAcmeEngine(EngineContract):
        @pytest.fixture(autouse=True)
        def _server(self, acme_server):  # fixtures of yours: keep what you need on self
            self.server = acme_server

        @asynccontextmanager
        async def open_engine(self):  # an engine that is not opened yet, over an empty database of its own
            async with self.server.database() as url:
                yield AcmeEngine(url)

        async def peek(self, engine, kind, key):  # what is stored, read with the driver
            return await self.server.client.find(kind.name, key)

Likewise `open_store` for the contract of each domain, and `open_stores` for `CompositeContract`; `SnapshotContract` (part of
`EngineContract`) says how a change of what lies on disk is noticed. `python -m mastra_core.testing.report URL` says what a backend can do.

Needs pytest and pytest-asyncio: `pip install mastra-core[testing]`. Nothing else of mastra_core imports them.
"""

from __future__ import annotations

import pytest

# Before their import, so that a failing assert shows its values.
_ASSERTING = (
    "composite",
    "contract",
    "engine",
    "equality",
    "memory",
    "observability",
    "retention",
    "scores",
    "stored",
    "vectors",
    "workflows",
)
pytest.register_assert_rewrite(*(f"mastra_core.testing.{name}" for name in _ASSERTING))

from mastra_core.testing.composite.contract import CompositeContract  # noqa: E402  # see above
from mastra_core.testing.contract import needs  # noqa: E402
from mastra_core.testing.engine.contract import EngineContract  # noqa: E402
from mastra_core.testing.memory.contract import MemoryContract  # noqa: E402
from mastra_core.testing.observability.contract import ObservabilityContract  # noqa: E402
from mastra_core.testing.retention.contract import RetentionContract  # noqa: E402
from mastra_core.testing.scores.contract import ScoresContract  # noqa: E402
from mastra_core.testing.vectors.contract import VectorContract  # noqa: E402
from mastra_core.testing.workflows.contract import WorkflowsContract  # noqa: E402

__all__ = [
    "CompositeContract",
    "EngineContract",
    "MemoryContract",
    "ObservabilityContract",
    "RetentionContract",
    "ScoresContract",
    "VectorContract",
    "WorkflowsContract",
    "needs",
]
