"""A pytest plugin that leaves most of a contract to the long tests where a class says `briefly = True`, and out where it says "only".

For a backend's second way to run, or its slow ones: the same engine is certified whole elsewhere on every change, and `make test` runs all.
"only" is for an option of a backend, of which the few tests that meet it say enough. It knows names of tests and nothing of what they test.
"""

from __future__ import annotations

import pytest

EVERY_DAY = (
    "concurrent",
    "exactly_one_wins",
    "moves",
    "turn",
    "_are_deleted",
    "is_gone",
    "the_newest",
    "stored_format",
    "as_stored",
    "pages_of_",
    "erased_whole",
    "walk",
)
"""Words in the names of the tests that run on every change all the same."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the others as long, before tests are chosen by their marks, or leave them out."""
    left_out = []
    for item in items:
        briefly = getattr(item.cls, "briefly", False) if isinstance(item, pytest.Function) else False
        if not briefly or any(word in item.name for word in EVERY_DAY):
            continue
        item.add_marker(pytest.mark.scale)
        if briefly == "only":
            left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]
