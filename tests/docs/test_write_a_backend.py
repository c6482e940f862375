"""The code of docs/write-a-backend.md is that of the example, which the kit certifies (tests/packaging)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "write-a-backend.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n# (\S+)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def test_every_block_says_where_it_is_from() -> None:
    """No code of the page stands outside the example."""
    assert len(BLOCKS) == TEXT.count("```") // 2 > 0


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_is_the_code_of_the_example(number: int) -> None:
    """What a reader copies is what was certified, to the letter."""
    _, path, code = BLOCKS[number]
    assert code in (ROOT / "examples" / "mastra-acme" / path).read_text(encoding="utf-8")
