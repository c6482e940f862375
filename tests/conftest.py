"""What every test may use: the fixtures of real servers; and which parts of a contract run on every change."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Load the server fixtures, and what shortens contracts, once, whichever conftest.py asks first."""
    config.pluginmanager.import_plugin("tests.servers.fixtures")
    config.pluginmanager.import_plugin("tests.briefly")
