"""Fixtures of the real server."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Servers come from the repository's fixtures."""
    config.pluginmanager.import_plugin("tests.servers.fixtures")
    config.pluginmanager.import_plugin("tests.briefly")
