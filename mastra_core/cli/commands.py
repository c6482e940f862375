"""The commands: what is installed, what is stored, whether a store answers.

Knows stores and plugins by their public faces; must not know any backend but how a file's URL forbids making a new file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import typer
import typer.core

from mastra_core.cli import output
from mastra_core.plugins.descriptions import CommandDescription
from mastra_core.plugins.manager import InstalledPlugin, answered, installed, plugin_for
from mastra_core.storage.domains.filters import ThreadFilter
from mastra_core.storage.opening import open_store
from mastra_core.storage.records.kinds import Message, Thread


class Commands(typer.core.TyperGroup):
    """Our commands, and by their names those of plugins, which are imported when they are called."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Ours first, else a plugin's.

        Raises:
            PluginError: the plugin is broken.
        """
        ours = super().get_command(ctx, cmd_name)
        plugin = None if ours is not None else plugin_for(cmd_name)
        description = None if plugin is None else plugin.describing(CommandDescription, cmd_name)
        if plugin is None or description is None:
            return ours
        return typer.main.get_command(plugin.make(description, cmd_name))


# Plain tracebacks: a pretty one may show local variables, and among them a URL with its password.
app = typer.Typer(
    name="mastra",
    cls=Commands,
    help="Look at what agents remember.",
    epilog="Plugins may bring commands of their own; mastra plugins lists them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Url = Annotated[str, typer.Argument(metavar="URL", help="Of the store, such as file:./mastra.db or postgresql://user:password@host/db.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document a line, for programs.")]


@app.command()
def plugins(*, as_json: AsJson = False) -> None:
    """List the plugins installed, and what each offers."""
    found = installed()
    if as_json:
        for plugin in found:
            output.json_line(_plugin_document(plugin))
        return
    rows = []
    for plugin in found:
        offers = "\n".join(f"{', '.join(answered(offer))}: {offer.summary}" for offer in plugin.descriptions)
        rows.append((plugin.distribution, plugin.version, offers if plugin.error is None else f"does not work: {plugin.error}"))
    output.table(("distribution", "version", "offers"), rows)


@app.command()
def threads(
    url: Url,
    *,
    resource: Annotated[str | None, typer.Option(help="Only threads of this resource id.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="List at most so many, the newest.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the threads of a store, newest first."""
    found, more = asyncio.run(_threads(url, resource=resource, limit=limit))
    if as_json:
        for thread in found:
            output.json_line(output.document(thread))
    else:
        rows = [(thread.id, thread.resource_id, thread.title, output.moment(thread.updated_at)) for thread in found]
        output.table(("thread", "resource", "title", "updated"), rows)
    if more:
        output.note(f"there are more than {limit} threads; see more with --limit")


@app.command()
def messages(
    url: Url, thread: Annotated[str, typer.Argument(metavar="THREAD", help="The thread's id.")], *, as_json: AsJson = False
) -> None:
    """Print the messages of a thread, oldest first."""
    if not asyncio.run(_print_messages(url, thread, as_json=as_json)):
        output.note(f"there is no thread {thread!r} in this store; list them with: mastra threads URL")
        raise typer.Exit(1)


@app.command()
def ddl(url: Url, *, as_json: AsJson = False) -> None:
    """Print what a fresh database is made of, for sqlite3, psql or another program to run; connects to nothing."""
    statements = open_store(url).records.ddl()
    for statement in statements:
        if as_json:
            output.json_line({"statement": statement})
        else:
            print(statement)
    if not statements:
        output.note("nothing has to be made in this database before it is used")


@app.command()
def check(url: Url, *, as_json: AsJson = False) -> None:
    """Say what a database is, lacks and warns of, and how fast it answers; change nothing; exit code 1 if it lacks anything."""
    report = asyncio.run(_check(url))
    missing, notes, warnings = (report.pop(name) for name in ("missing", "notes", "warnings"))
    if as_json:
        output.json_line({**report, "notes": notes, "warnings": warnings, "missing": missing})
    else:
        rows = [(what.replace("_", " "), "none" if found is None else str(found)) for what, found in report.items()]
        rows += [*(("note", note) for note in notes), *(("warning", warning) for warning in warnings)]
        output.table(("what", "found"), [*rows, *(("missing", statement) for statement in missing or ["nothing"])])
    if missing:
        output.note(
            f"{len(missing)} missing. Let an operator run what is printed above, in this order; "
            "an SQL database gets it too when a store opens it with the right to create tables"
        )
        raise typer.Exit(1)


async def _threads(url: str, *, resource: str | None, limit: int) -> tuple[tuple[Thread, ...], bool]:
    wanted: ThreadFilter | None = None if resource is None else {"resource_id": resource}
    async with open_store(_existing(url)) as store:
        page = await store.memory.list_threads(filter=wanted, per_page=limit, include_total=False)
    return page.items, page.has_more


async def _print_messages(url: str, thread_id: str, *, as_json: bool) -> bool:
    """Whether the thread exists."""
    async with open_store(_existing(url)) as store:
        if await store.memory.get_thread_by_id(thread_id) is None:
            return False
        found: AsyncIterator[Message] = store.memory.iter_messages(thread_id)
        async for message in found:
            if as_json:
                output.json_line(output.document(message))
            else:
                output.message(message)
    return True


async def _check(url: str) -> dict[str, Any]:
    store = open_store(url)
    found = await store.records.inspect()
    return {
        "store": type(store).__name__,
        "server": found.server,
        "schema_version": found.version,
        "round_trip_ms": round(found.round_trip_seconds * 1000, 2),
        "missing": list(found.missing),
        "notes": list(found.notes),
        "warnings": list(found.warnings),
    }


def _plugin_document(plugin: InstalledPlugin) -> dict[str, Any]:
    return {
        "names": plugin.names,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "offers": [
            {"kind": type(offer).__name__.removesuffix("Description").lower(), "names": answered(offer), "summary": offer.summary}
            for offer in plugin.descriptions
        ],
        "error": None if plugin.error is None else str(plugin.error),
    }


def _existing(url: str) -> str:
    """*url*, by which a file that does not exist is not made: looking is not creating."""
    return f"{url}?mode=rw" if url.startswith("file:") and "?" not in url and not url.startswith("file::memory:") else url
