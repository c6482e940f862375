"""The ES modules of tests/interop/typescript, run by Node with the real packages.

Knows where the modules are and when a test may do without them. Must not know what they do.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.servers import typescript
from tests.servers.process import MissingServerError

FOLDER = Path(__file__).parent / "typescript"


def answer_of(name: str, *arguments: str) -> Any:
    """What the module of this name prints as JSON; where the packages are not installed the test is skipped, or fails if CI=true.

    `openStore(url)` of opening.mjs is there for every module.
    """
    try:
        return typescript.run(FOLDER / name, *arguments, before=FOLDER / "opening.mjs")
    except MissingServerError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
