"""What every test may use: the fixtures of real servers."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Load the server fixtures, once, whichever conftest.py asks first."""
    config.pluginmanager.import_plugin("tests.servers.fixtures")
