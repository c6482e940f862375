"""How the command line prints: tables and wrapped text on a terminal, whole lines into a pipe, JSON for programs.

Knows records; must not know stores. Stored text is printed without its control characters, which could command the terminal.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mastra_core import clock
from mastra_core.storage.records.kinds import Message
from mastra_core.storage.records.wire import dump_json

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SURROGATES = re.compile("[\ud800-\udfff]")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their columns; into a pipe: one line a row, cells parted by tabs, nothing cut."""
    console = Console()
    if not console.is_terminal:
        for row in rows:
            print("\t".join(" ".join(plain(cell).split()) for cell in row))
        return
    console.print(_drawn(columns, rows))


class Screen:
    """A table on a terminal that is drawn anew in its place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="visible")
        self._live.start()

    def draw(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Draw these rows in place of those before."""
        self._live.update(_drawn(columns, rows), refresh=True)

    def close(self) -> None:
        """Leave what was drawn last."""
        self._live.stop()


def screen() -> Screen | None:
    """The terminal; None where there is none."""
    console = Console()
    return Screen(console) if console.is_terminal else None


def _drawn(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    drawn = Table(box=None, pad_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(plain(cell)) for cell in row))
    return drawn


def message(shown: Message) -> None:
    """Print role, time and text of a message; wrapped on a terminal."""
    console = Console()
    head = Text(plain(shown.role), style="bold")
    if shown.created_at is not None:
        head.append(f"  {moment(shown.created_at)}", style="dim")
    console.print(head, soft_wrap=True)
    console.print(Text(f"{plain(text_of(shown))}\n"), soft_wrap=not console.is_terminal)


def note(text: str) -> None:
    """Print something that is no result, to stderr."""
    Console(stderr=True).print(Text(plain(text)), soft_wrap=True)


def json_line(value: Mapping[str, Any]) -> None:
    """Print one JSON document in a line, in UTF-8 whatever the terminal's encoding."""
    sys.stdout.buffer.write(f"{dump_json(value, at='output', any_unicode=True)}\n".encode())


def document(record: attrs.AttrsInstance) -> dict[str, Any]:
    """A record as JSON: its attributes, times as text."""
    fields = attrs.asdict(record, recurse=False)
    return {name: clock.to_text(value) if isinstance(value, datetime) else value for name, value in fields.items()}


def moment(instant: datetime) -> str:
    """An instant for people, in UTC, to the second."""
    return f"{clock.to_text(instant)[:19].replace('T', ' ')} UTC"


def text_of(shown: Message) -> str:
    """What was said: the text parts of a message, others named in brackets."""
    content = shown.content
    parts = content.get("parts") if isinstance(content, Mapping) else None
    if not isinstance(parts, Sequence) or isinstance(parts, str):
        return content if isinstance(content, str) else dump_json(content, at="content", any_unicode=True)
    return "\n".join(_part(part) for part in parts)


def _part(part: object) -> str:
    if not isinstance(part, Mapping):
        return str(part)
    text = part.get("text")
    return text if isinstance(text, str) else f"[{part.get('type', 'part without a type')}]"


def plain(text: str) -> str:
    """*text* without what could command the terminal or not be printed."""
    return _SURROGATES.sub("\ufffd", _CONTROL.sub("\ufffd", text.replace("\r\n", "\n")))
