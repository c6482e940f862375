"""The tables of backends in documents: which backends they have, how each is opened, and the text between the markers.

To add a backend, add a line to BACKENDS and run `make backends`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import attrs
import pytest

from mastra_core.storage.memory_store import InMemoryStore
from mastra_core.storage.opening import open_store
from mastra_core.storage.records.engine import CAPABILITIES
from mastra_core.storage.store import Store
from mastra_core.testing.report import Report, limits, markdown, title
from mastra_mongodb import MongoDBStore

ROOT = Path(__file__).parents[2]
BEGIN = "<!-- backends: written by `make backends` from what each backend declares -->\n"
END = "<!-- end of backends -->\n"


@attrs.frozen
class Backend:
    """A row of the table: its label, how its URL looks to users, and the store over an empty database."""

    label: str
    form: str
    open: Callable[[pytest.FixtureRequest], Store]


def url_of(fixture: str, change: Callable[[str], str] = str) -> Callable[[pytest.FixtureRequest], Store]:
    """Opens the URL that *fixture* gives, changed."""
    return lambda request: open_store(change(request.getfixturevalue(fixture)))


def dynamodb(request: pytest.FixtureRequest) -> Store:
    """A table of DynamoDB Local, which takes any credentials."""
    environment: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment.setenv(name, "local")
    endpoint, table = request.getfixturevalue("dynamodb_endpoint"), request.getfixturevalue("dynamodb_table")
    return open_store(f"dynamodb://{table}?region=us-east-1&endpoint={endpoint}")


def without_transactions(request: pytest.FixtureRequest) -> Store:
    """A server that is asked for no transactions, as one that stands alone has none."""
    return MongoDBStore(uri=request.getfixturevalue("mongodb_url"), transactions=False)


BACKENDS = (
    Backend("in memory", "for tests", lambda request: InMemoryStore()),
    Backend("libSQL, SQLite", "`file:…`, `:memory:`", url_of("tmp_path", lambda folder: f"file:{folder}/mastra.db")),
    Backend("libSQL, a server", "`libsql://…`, `https://…`", url_of("sqld_url")),
    Backend("PostgreSQL", "`postgresql://…`", url_of("postgres_url")),
    Backend("Redis", "`redis://…`, `rediss://…`, `redis+sentinel://…`", url_of("redis_url")),
    Backend("Redis Cluster", "`redis+cluster://…`", url_of("redis_cluster_url", lambda url: url.replace("redis://", "redis+cluster://"))),
    Backend("DynamoDB", "`dynamodb://…`", dynamodb),
    Backend("MongoDB", "`mongodb://…`, `mongodb+srv://…`", url_of("mongodb_url")),
    Backend("MongoDB, standalone", "`mongodb://…`", without_transactions),
)
LABELS = [backend.label for backend in BACKENDS]


def row(backend: Backend, report: Report) -> str:
    """The line of a backend in the README."""
    state = "" if report.released else " (trial, not released)"
    cells = (
        backend.label,
        f"`{report.store}` ({backend.form})",
        f"`{report.distribution}`{state}",
        "any number" if report.max_atomic is None else str(report.max_atomic),
        ", ".join(report.at("EMULATED")),
        ", ".join(report.at("NOT_YET", "IMPOSSIBLE")),
    )
    return f"| {' | '.join(cells)} |\n"


def section(backend: Backend, report: Report) -> str:
    """The section of a backend in the document about them: what is not FULL, and why."""
    less = {name: support for name, support in report.capabilities.items() if support.level != "FULL"}
    table = markdown(attrs.evolve(report, capabilities=less)) if less else f"{title(report)}. {limits(report)}. Everything is FULL."
    return f"\n## {backend.label}\n\n{table}\n"


@attrs.frozen
class Document:
    """A document with a block for each backend between two markers.

    Attributes:
        path: the file.
        block: what it says of a backend.
        start: what a block begins with; its group is the label.
        head: what stands before the blocks.
    """

    path: Path
    block: Callable[[Backend, Report], str]
    start: str
    head: str

    def blocks(self) -> Mapping[str, str]:
        """What is written, by label, in the order of the document."""
        inner = self.parts()[1].removeprefix(self.head)
        found = list(re.finditer(self.start, inner, re.MULTILINE))
        places = [*(match.start() for match in found), len(inner)]
        return {match[1]: inner[start:end] for match, (start, end) in zip(found, pairwise(places), strict=True)}

    def write(self, label: str, block: str) -> None:
        """Put in the block of a backend, at its place; drop what is no backend."""
        before, _, after = self.parts()
        blocks = {**self.blocks(), label: block}
        self.path.write_text(before + self.head + "".join(blocks[label] for label in LABELS if label in blocks) + after)

    def parts(self) -> tuple[str, str, str]:
        """The text before the blocks' markers, between and behind them."""
        text = self.path.read_text()
        start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
        return text[:start], text[start:end], text[end:]


COLUMNS = "| backend | store | package | changes in one step | emulated | not there |\n|---|---|---|---|---|---|\n"
README = Document(ROOT / "README.md", row, r"^\| ([^|]+?) \|", COLUMNS)
MEANINGS = "".join(("| capability | what it is |\n|---|---|\n", *(f"| {name} | {what} |\n" for name, what in CAPABILITIES.items())))
ALL_OF_IT = Document(ROOT / "docs" / "backends.md", section, r"^\n## (.+)\n", MEANINGS)
DOCUMENTS = (README, ALL_OF_IT)
