"""Real servers for these tests."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Load the fixtures that start a server."""
    config.pluginmanager.import_plugin("tests.servers.fixtures")
    config.pluginmanager.import_plugin("tests.briefly")
