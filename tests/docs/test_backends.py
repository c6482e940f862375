"""What documents say of backends is what the backends say of themselves."""

from __future__ import annotations

import asyncio
import os

import pytest

from mastra_core.testing.report import Report, describe
from tests.docs.backends import BACKENDS, DOCUMENTS, LABELS, Backend, Document

WRITE = os.environ.get("MASTRA_BACKENDS") == "write"


async def report_on(backend: Backend, request: pytest.FixtureRequest) -> Report:
    async with backend.open(request) as store:
        return await describe(store)


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.label)
def test_the_documents_say_of_a_backend_what_it_declares(backend: Backend, request: pytest.FixtureRequest) -> None:
    """Whoever chooses a backend by the README gets what it says."""
    report = asyncio.run(report_on(backend, request))
    for document in DOCUMENTS:
        expected = document.block(backend, report)
        if WRITE:
            document.write(backend.label, expected)
        assert document.blocks().get(backend.label) == expected, f"{document.path.name} is stale; run: make backends"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.path.name)
def test_the_documents_have_every_backend_in_one_order(document: Document) -> None:
    """No backend is missing, none is left that is gone, and capabilities mean what the port says."""
    assert document.parts()[1].startswith(document.head), f"{document.path.name} is stale; run: make backends"
    assert list(document.blocks()) == LABELS, f"{document.path.name} is stale; run: make backends"
