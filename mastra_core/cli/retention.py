"""The commands that remove: what is old by a policy, and all of a resource or a thread.

Knows stores by their public faces; must not know any backend.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import attrs
import typer

from mastra_core.cli import output
from mastra_core.cli.commands import AsJson, Url, _existing, app
from mastra_core.errors import ConfigurationError, MastraError
from mastra_core.storage.erasing import Erased, one_target
from mastra_core.storage.opening import open_store, open_vector
from mastra_core.storage.retention import Pruned, Retention, RetentionPolicy

Age = Annotated[str | None, typer.Option(metavar="AGE", help="Remove what is older, such as 30d or 12h.")]
Vectors = Annotated[str | None, typer.Option("--vector", metavar="URL", help="Of the vector store whose embeddings of messages go too.")]


@app.command()
def prune(
    url: Url,
    *,
    threads: Age = None,
    messages: Age = None,
    resources: Age = None,
    workflow_snapshot: Age = None,
    scorers: Age = None,
    spans: Age = None,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="TABLE=COUNT", help="Keep so many of a table, the newest; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would go, and remove nothing.")] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="How many records one step removes at most.")] = 1000,
    vector: Vectors = None,
    as_json: AsJson = False,
) -> None:
    """Remove what is old from a store, table by table; run it again if it was stopped."""
    ages = {
        "threads": threads, "messages": messages, "resources": resources, "workflow_snapshot": workflow_snapshot, "scorers": scorers,
        "spans": spans,
    }  # fmt: skip
    report = asyncio.run(_prune(url, _policy(ages, keep or []), dry_run=dry_run, batch_size=batch_size, vector=vector))
    if as_json:
        for pruned in report.values():
            output.json_line(attrs.asdict(pruned))
        return
    output.table(
        ("table", "would be removed" if dry_run else "removed"), [(pruned.table, str(pruned.deleted)) for pruned in report.values()]
    )


@app.command()
def erase(
    url: Url,
    *,
    resource: Annotated[str | None, typer.Option(metavar="ID", help="Erase all that is known of this resource.")] = None,
    thread: Annotated[str | None, typer.Option(metavar="ID", help="Erase all that is known of this thread.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    vector: Vectors = None,
    as_json: AsJson = False,
) -> None:
    """Erase a resource or a thread from a store, and print how much went; there is no way back."""
    field, value = one_target(resource_id=resource, thread_id=thread)
    if not yes:
        if not sys.stdin.isatty():
            msg = "erase asks before it removes anything, and nobody is there to answer; pass --yes"
            raise ConfigurationError(msg)
        typer.confirm(f"Erase all that this store knows of the {field.removesuffix('_id')} {value!r}?", abort=True, err=True)
    erased = asyncio.run(_erase(url, field, value, vector=vector))
    if as_json:
        output.json_line(attrs.asdict(erased))
    else:
        output.table(("what", "erased"), [(what, str(count)) for what, count in attrs.asdict(erased).items()])


def _policy(ages: Mapping[str, str | None], keep: list[str]) -> RetentionPolicy:
    given: dict[str, dict[str, Any]] = {table: {"max_age": age} for table, age in ages.items() if age is not None}
    for pair in keep:
        table, _, count = pair.partition("=")
        if not count.isdecimal():
            msg = f"--keep takes TABLE=COUNT, such as messages=100000; found {pair!r}"
            raise ConfigurationError(msg)
        given.setdefault(table, {})["max_count"] = int(count)
    if not given:
        msg = "nothing to prune: say what is old, such as --messages 30d or --keep spans=100000; try it with --dry-run"
        raise ConfigurationError(msg)
    return {table: Retention(**limits) if table in ages else limits for table, limits in given.items()}


async def _prune(url: str, policy: RetentionPolicy, *, dry_run: bool, batch_size: int, vector: str | None) -> dict[str, Pruned]:
    vectors = [] if vector is None else [open_vector(vector)]
    try:
        async with open_store(_existing(url)) as store:
            return await store.prune(policy, dry_run=dry_run, batch_size=batch_size, vectors=vectors)
    finally:
        for one in vectors:
            await one.close()


async def _erase(url: str, field: str, value: str, *, vector: str | None) -> Erased:
    vectors = [] if vector is None else [open_vector(vector)]
    try:
        async with open_store(_existing(url)) as store:
            return await store.erase(**{field: value}, vectors=vectors)  # one of the two names
    except MastraError as error:
        for note in getattr(error, "__notes__", ()):
            output.note(note)
        raise
    finally:
        for one in vectors:
            await one.close()
