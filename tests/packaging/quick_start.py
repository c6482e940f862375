"""Finds the quick start in README.md: the heading, the shell block and the Python block that a new user copies.

Expected below a heading "Quick start" (any level, any case), up to the next heading of that level or a higher one:

* the first ```sh or ```bash block: commands, one a line (a leading `$ ` is dropped, comments and blank lines are skipped);
  those that begin with `pip install` install;
* the first ```python block: a whole program. A comment `# -> words` (or `# → words`) in it promises that these words are in
  what the program prints; at least one is expected.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_HEADING = re.compile(r"^(#{1,6})\s+quick\s*start\b.*$", re.IGNORECASE | re.MULTILINE)
_PROMISE = re.compile(r"#\s*(?:->|→)\s*(.+?)\s*$", re.MULTILINE)


class QuickStart(NamedTuple):
    """What a new user copies, and what it is said to print."""

    commands: tuple[str, ...]
    program: str
    promises: tuple[str, ...]


def quick_start(readme: str) -> QuickStart:
    """The quick start of *readme*, the text of a README.md.

    Raises:
        LookupError: a part of it is missing; the message says which.
    """
    section = _section(readme)
    shell = _block(section, "sh|bash|shell|console")
    program = _block(section, "python|py")
    lines = (line.strip().removeprefix("$ ") for line in shell.replace("\\\n", " ").splitlines())
    commands = tuple(line for line in lines if line and not line.startswith("#"))
    promises = tuple(_PROMISE.findall(program))
    if not any(command.startswith("pip install") for command in commands):
        msg = f"the quick start of README.md installs nothing: its shell block is {shell!r}; expected a line `pip install ...`"
        raise LookupError(msg)
    if not promises:
        msg = "the Python block of README.md's quick start promises no output; add a comment `# -> words` where it prints them"
        raise LookupError(msg)
    return QuickStart(commands, program, promises)


def _section(readme: str) -> str:
    outside_blocks = re.sub(r"^```.*?^```", lambda block: re.sub(r"[^\n]", " ", block[0]), readme, flags=re.DOTALL | re.MULTILINE)
    heading = _HEADING.search(outside_blocks)
    if heading is None:
        msg = 'README.md has no heading "Quick start"'
        raise LookupError(msg)
    following = re.compile(rf"^#{{1,{len(heading[1])}}}\s", re.MULTILINE).search(outside_blocks, heading.end())
    return readme[heading.end() : following.start() if following else len(readme)]


def _block(section: str, languages: str) -> str:
    block = re.search(rf"^```(?:{languages})\b[^\n]*\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    if block is None:
        msg = f'README.md has no ``` block of {languages.replace("|", " or ")} below its heading "Quick start"'
        raise LookupError(msg)
    return block[1]
