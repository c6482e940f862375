"""Documents as their readers see them: sections with anchors, code blocks, tables and links.

Knows the Markdown that our documents use. Must not know what a block is for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^(#{1,6}) (.+?)$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_NAME = re.compile(r"\A# (\w+\.py)\n")
_PROMISE = re.compile(r"# -> (.+)$", re.MULTILINE)


@attrs.frozen
class Block:
    """One fenced block.

    Attributes:
        language: what stands behind the fence, such as "python".
        code: what is between the fences.
    """

    language: str
    code: str

    @property
    def name(self) -> str:
        """The file that the first line names, such as `# app.py`; "main.py" if it names none."""
        named = _NAME.match(self.code)
        return named[1] if named else "main.py"

    @property
    def promises(self) -> list[str]:
        """What comments such as `# -> Ada` say that it prints."""
        return _PROMISE.findall(self.code)


@attrs.frozen
class Section:
    """What stands below one heading, up to the next one of any level.

    Attributes:
        page: the file.
        title: the text of the heading.
        anchor: the part of a link behind "#".
        text: everything below the heading, blocks included.
        blocks: the fenced blocks.
    """

    page: Path
    title: str
    anchor: str
    text: str
    blocks: tuple[Block, ...]

    @property
    def id(self) -> str:
        """The page and the anchor, for the names of tests."""
        return f"{self.page.relative_to(ROOT / 'docs')}#{self.anchor}" if self.page.is_relative_to(ROOT / "docs") else self.anchor


def sections(page: Path) -> list[Section]:
    """Every section of *page*, in order."""
    text = page.read_text(encoding="utf-8")
    headings = list(_HEADING.finditer(_without_blocks(text)))
    ends = [*(heading.start() for heading in headings[1:]), len(text)]
    seen: dict[str, int] = {}
    found = []
    for heading, end in zip(headings, ends, strict=True):
        below = text[heading.end() : end]
        blocks = tuple(Block(language, code) for language, code in _FENCE.findall(below))
        found.append(Section(page, heading[2], _anchor(heading[2], seen), below, blocks))
    return found


def links(page: Path) -> Iterator[str]:
    """The targets of all links of *page*, as they are written."""
    return (match[1] for match in _LINK.finditer(_without_blocks(page.read_text(encoding="utf-8"))))


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in *text*, without their heads."""
    lines = [line for line in _without_blocks(text).splitlines() if line.startswith("|")]
    bodies = [line for number, line in enumerate(lines) if not re.match(r"\|[\s|:-]+$", line) and not _is_head(lines, number)]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in bodies]


def _is_head(lines: list[str], number: int) -> bool:
    return number + 1 < len(lines) and re.match(r"\|[\s|:-]+$", lines[number + 1]) is not None


def _without_blocks(text: str) -> str:
    """*text* with blanks in place of fenced blocks, so that places stay the same."""
    return _FENCE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def _anchor(title: str, seen: dict[str, int]) -> str:
    """The anchor that GitHub gives a heading; a second one of the same words ends in -1."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
    slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
    number = seen.get(slug, -1) + 1
    seen[slug] = number
    return f"{slug}-{number}" if number else slug
