"""What an installed backend can do, from the backend itself: `python -m mastra_core.testing.report acme://… [--json | --markdown]`.

Opens the store, which prepares its database as first use does, reads what its engine declares, and closes it. That the declarations are
true is for the kit to show. Knows stores, plugins and the names of capabilities; must not know any backend.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import attrs

from mastra_core.errors import MastraError
from mastra_core.plugins.manager import installed
from mastra_core.storage.opening import open_store
from mastra_core.storage.records.engine import CAPABILITIES, Support
from mastra_core.storage.records.wire import dump_json
from mastra_core.storage.store import DOMAINS, Store

UNRELEASED = "Private :: Do Not Upload"
"""The classifier of a distribution that is not to be uploaded, and so is not released."""


@attrs.frozen(kw_only=True)
class Report:
    """One backend as it describes itself, opened.

    Attributes:
        store: the class, such as "PostgresStore".
        product: the backend's name in error codes, such as "postgresql".
        distribution: what to `pip install` for it; "" for a class that no plugin brought.
        version: of the distribution.
        released: whether the distribution may be uploaded; a trial engine's may not.
        max_atomic: how many changes one atomic batch may hold; None is no limit.
        domains: the domains it keeps.
        capabilities: the support of every name in CAPABILITIES, in their order, and of paths that differ.
    """

    store: str
    product: str
    distribution: str
    version: str
    released: bool
    max_atomic: int | None
    domains: tuple[str, ...]
    capabilities: Mapping[str, Support]

    def at(self, *levels: str) -> list[str]:
        """The capabilities of these levels."""
        return [name for name, support in self.capabilities.items() if support.level in levels]


async def describe(store: Store) -> Report:
    """The report of *store*, which is opened and left open.

    Raises:
        StorageUnavailableError: the database did not answer.
    """
    await store.init()
    engine = store.records.engine
    distribution, version = _origin(store)
    return Report(
        store=type(store).__name__,
        product=store.product,
        distribution=distribution,
        version=version,
        released=not distribution or UNRELEASED not in (metadata.metadata(distribution).get_all("Classifier") or ()),
        max_atomic=engine.max_atomic,
        domains=tuple([name for name in DOMAINS if await store.get_store(name) is not None]),
        capabilities={name: engine.capabilities[name] for name in dict.fromkeys((*CAPABILITIES, *engine.capabilities))},
    )


def document(report: Report) -> dict[str, Any]:
    """The report as JSON."""
    capabilities = {name: {"level": support.level, "reason": support.reason} for name, support in report.capabilities.items()}
    return {**attrs.asdict(report, recurse=False), "domains": list(report.domains), "capabilities": capabilities}


def markdown(report: Report) -> str:
    """The report as Markdown: a line about the backend, and a table with a row for each capability."""
    rows = [f"| {name} | {support.level} | {_cell(_said(name, support))} |" for name, support in report.capabilities.items()]
    return "\n".join(
        (f"{title(report)}. {limits(report)}.", "", "| capability | support | what, or why not more |", "|---|---|---|", *rows)
    )


def plain(report: Report) -> str:
    """The report for a terminal."""
    wide = max(map(len, report.capabilities))
    levels = max(len(support.level) for support in report.capabilities.values())
    rows = [f"  {name:<{wide}}  {support.level:<{levels}}  {_said(name, support)}" for name, support in report.capabilities.items()]
    return "\n".join((title(report), limits(report), "", *rows))


def title(report: Report) -> str:
    """Which backend it is, and whether it is released."""
    origin = f"{report.distribution} {report.version}" if report.distribution else "no plugin"
    return f"{report.store} ({origin})" if report.released else f"{report.store} ({origin}, a trial engine that is not released)"


def limits(report: Report) -> str:
    """How much it writes at once, and which domains it keeps."""
    at_once = "any number of changes" if report.max_atomic is None else f"at most {report.max_atomic} changes"
    return f"Writes {at_once} in one step; keeps {', '.join(report.domains)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when the report is printed, 2 when there is none."""
    parser = argparse.ArgumentParser(prog="python -m mastra_core.testing.report", description="Print what a backend can do.")
    parser.add_argument("url", help="of the store, such as file:./mastra.db; opening it prepares its database")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument("--markdown", action="store_true", help="print a Markdown table")
    asked = parser.parse_args(arguments)
    try:
        report = asyncio.run(_opened(asked.url))
    except MastraError as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    if asked.json:
        print(dump_json(document(report), at="report"))
    else:
        print(markdown(report) if asked.markdown else plain(report))
    return 0


async def _opened(url: str) -> Report:
    async with open_store(url) as store:
        return await describe(store)


def _origin(store: Store) -> tuple[str, str]:
    """The distribution that the class of *store* is from, and its version."""
    package = type(store).__module__.partition(".")[0]
    found = [(plugin.distribution, plugin.version) for plugin in installed() if plugin.module.partition(".")[0] == package]
    return found[0] if found else ("", "")


def _said(name: str, support: Support) -> str:
    return support.reason or CAPABILITIES.get(name, "lists along this path")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
