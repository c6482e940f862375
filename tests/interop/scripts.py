"""The ES modules of tests/interop/typescript, run by Node with the real packages.

Knows where the modules are and when a test may do without them. Must not know what they do.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.servers import typescript
from tests.servers.process import MissingServerError

FOLDER = Path(__file__).parent / "typescript"
OBJECT_ID = re.compile("[0-9a-f]{24}")


def answer_of(name: str, *arguments: str) -> Any:
    """What the module of this name prints as JSON; where the packages are not installed the test is skipped, or fails if CI=true.

    `openStore(url)` of opening.mjs is there for every module.
    """
    try:
        return without_ids_of_mongodb(typescript.run(FOLDER / name, *arguments, before=FOLDER / "opening.mjs"))
    except MissingServerError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


def without_ids_of_mongodb(answer: Any) -> Any:
    """An answer without the `_id` that TypeScript leaks from some of its reads on MongoDB (contract §3.4): no field of ours."""
    if isinstance(answer, list):
        return [without_ids_of_mongodb(one) for one in answer]
    if not isinstance(answer, dict):
        return answer
    return {name: without_ids_of_mongodb(value) for name, value in answer.items() if name != "_id" or not OBJECT_ID.fullmatch(str(value))}
