"""The programs and commands of the README run as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mastra_dynamodb.options import CREDENTIALS, DynamoDBConfig
from mastra_dynamodb.templates import policy
from mastra_dynamodb.ttl import ATTRIBUTES, ENTITIES
from tests.docs.openai_server import openai_server
from tests.docs.pages import sections
from tests.docs.programs import check_install, commands_of, mastra

PAGE = Path(__file__).parents[1] / "README.md"
README = PAGE.read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def openai_url() -> Iterator[str]:
    """The base URL of something that answers as OpenAI's API."""
    with openai_server() as url:
        yield url


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_a_program_of_the_readme_runs_twice(dynamodb_table: str, dynamodb_endpoint: str, openai_url: str, number: int) -> None:
    """What a user copies works, and works again on the table it wrote to."""
    surroundings = {
        **os.environ, "MASTRA_TABLE": dynamodb_table, "AWS_ENDPOINT_URL_DYNAMODB": dynamodb_endpoint, "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "OPENAI_BASE_URL": openai_url, "OPENAI_API_KEY": "none",
    }  # fmt: skip
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAMS[number]], env=surroundings, capture_output=True, text=True, check=False, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout


def test_the_commands_of_the_readme_work(dynamodb_client: Any, dynamodb_endpoint: str) -> None:
    """An operator who copies them has a template, a policy and a local table that lacks nothing."""
    table = f"mastra-test-{uuid.uuid4().hex}"
    said = {}
    try:
        for command in (command for section in sections(PAGE) for command in commands_of(section)):
            if command[0] == "pip":
                check_install(command[2:])
                continue
            there = [word.replace("http://localhost:8000", dynamodb_endpoint) for word in command[1:]]
            there = [table if word == "mastra" else word.replace("dynamodb://mastra", f"dynamodb://{table}") for word in there]
            said[" ".join(there[:2] if there[0] == "dynamodb" else there[:1])] = mastra(*there)
        assert json.loads(said["dynamodb policy"])["Statement"]
        assert json.loads(said["dynamodb template"])["Resources"]
        assert re.search(r"^missing\s+nothing$", said["check"], re.MULTILINE)
    finally:
        if table in dynamodb_client.list_tables()["TableNames"]:
            dynamodb_client.delete_table(TableName=table)


def test_the_readme_names_every_option_and_permission() -> None:
    """A user need not read the code to find one."""
    actions = re.findall(r"dynamodb:(\w+)", str(policy("t", region="*", account="*")))
    named = (*DynamoDBConfig.__annotations__, *CREDENTIALS, *(name for name in ENTITIES if name not in {"ai_span", "eval"}), *ATTRIBUTES)
    for name in {*named, *actions}:
        assert f"`{name}`" in README, name
