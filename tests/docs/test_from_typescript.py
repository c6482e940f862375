"""Every snippet of the TypeScript documents has a Python twin that runs.

Issue 4: "Every code snippet of the seeds has a Python twin in `docs/` that runs in a test."

`data/typescript_snippets.json` lists the snippets: where each stands in its document, below which heading, and its first line.
"""

from __future__ import annotations

import json
import re
import uuid
from collections import defaultdict
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, Section, rows, sections
from tests.docs.programs import check_install, commands_of, mastra, python_of, run_all
from tests.docs.surroundings import variables_of

FOLDER = ROOT / "docs" / "from-typescript"
INDEX = FOLDER / "README.md"
SNIPPETS = json.loads((Path(__file__).parent / "data" / "typescript_snippets.json").read_text(encoding="utf-8"))
TWINS = {
    f"{page.name}#{section.anchor}": section
    for page in sorted(FOLDER.glob("*.md"))
    if page != INDEX
    for section in sections(page)
    if section.blocks
}


def documents() -> dict[str, list[str]]:
    """The headings of all snippets in order, by document."""
    found = defaultdict(list)
    for snippet in SNIPPETS:
        found[snippet["document"]].append(snippet["heading"])
    return found


def table(document: str) -> list[list[str]]:
    """The rows of a document in the index of twins: heading, what it shows, link."""
    return next((rows(section.text) for section in sections(INDEX) if section.title == document), [])


@pytest.mark.parametrize("document", documents())
def test_every_snippet_of_a_document_has_a_twin(document: str) -> None:
    """Must hold: "Every code snippet of the seeds has a Python twin in `docs/`": each of a page's, in its order."""
    found = table(document)
    assert [row[0] for row in found] == documents()[document]
    targets = [re.search(r"\]\(([^)]+)\)", row[2]) for row in found]
    missing = [row for row, target in zip(found, targets, strict=True) if target is None or target[1] not in TWINS]
    assert not missing, f"these link to no section with code: {missing}"


def test_every_twin_is_in_the_index() -> None:
    """No twin is left of a snippet that is gone."""
    linked = set(chain.from_iterable(re.findall(r"\]\(([^)]+)\)", row[2]) for document in documents() for row in table(document)))
    assert set(TWINS) - linked == set()


def test_the_snippets_are_counted() -> None:
    """The tests above look at all there are."""
    assert len(SNIPPETS) == 70


RUNNING = [pytest.param(section, id=name) for name, section in TWINS.items() if python_of(section)]


# Fifty programs, each a process of its own: long, and changed by nobody who does not run them.
@pytest.mark.scale
@pytest.mark.parametrize("section", RUNNING)
def test_a_twin_runs_as_it_stands(section: Section, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Must hold: "that runs in a test": what a user copies works on the real server, says nothing on the error stream, and prints what its comments promise."""
    program = "\n".join(block.code for block in python_of(section))
    run_all(section, tmp_path, environment=variables_of(program, request))


COMMANDS = [pytest.param(command, id=f"{name} {' '.join(command)}") for name, twin in TWINS.items() for command in commands_of(twin)]


@pytest.mark.scale
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_a_twin_is_one_that_works(command: list[str], request: pytest.FixtureRequest) -> None:
    """What is installed is published from here; what is asked of AWS is done by DynamoDB; the others are listed here, by their words."""
    match command:
        case ["pip", "install", *wanted]:
            check_install(wanted)
        case ["aws", "dynamodb", operation, *options]:
            answered = aws(operation, options, request)
            assert answered["TimeToLiveSpecification"] == {"Enabled": True, "AttributeName": "ttl"}
        case ["mastra", "dynamodb", "create-table", *options]:
            create_table(options, request)
        case ["mastra", "dynamodb", "policy", *options]:
            assert json.loads(mastra("dynamodb", "policy", *options)) in POLICIES
        case _:
            assert command == ["docker", "run", "-p", "8000:8000", "amazon/dynamodb-local"]


def aws(operation: str, options: list[str], request: pytest.FixtureRequest) -> Any:
    """Do what the command line of AWS would, on DynamoDB Local and a table of this test's own."""
    client, name = request.getfixturevalue("dynamodb_client"), request.getfixturevalue("dynamodb_table")
    given = dict(zip(options[::2], options[1::2], strict=True))
    assert given.pop("--table-name") == "mastra-single-table"
    fields = dict(part.strip().split("=") for part in given.pop("--time-to-live-specification").split(","))
    assert not given
    specification = {**fields, "Enabled": fields["Enabled"] == "true"}
    return getattr(client, operation.replace("-", "_"))(TableName=name, TimeToLiveSpecification=specification)


def create_table(options: list[str], request: pytest.FixtureRequest) -> None:
    """Do what the command does, with another name, in the DynamoDB Local of these tests."""
    client, endpoint = request.getfixturevalue("dynamodb_client"), request.getfixturevalue("dynamodb_endpoint")
    name = f"mastra-document-{uuid.uuid4().hex}"
    ours = {"mastra-single-table": name, "http://localhost:8000": endpoint}
    assert set(ours) <= set(options)
    try:
        mastra("dynamodb", "create-table", *(ours.get(option, option) for option in options))
        assert client.describe_table(TableName=name)["Table"]["TableStatus"] == "ACTIVE"
    finally:
        client.delete_table(TableName=name)


POLICIES = [json.loads(block.code) for section in TWINS.values() for block in section.blocks if block.language == "json"]
"""The JSON of the twins: what the command beside it prints."""


def test_every_policy_of_a_twin_has_its_command() -> None:
    """No JSON stands there that nothing is compared with."""
    with_json = [section for section in TWINS.values() if any(block.language == "json" for block in section.blocks)]
    assert len(with_json) == len(POLICIES) == 1
    assert [command[:3] for section in with_json for command in commands_of(section)] == [["mastra", "dynamodb", "policy"]]


def test_every_block_of_a_twin_is_tested() -> None:
    """No code stands in these pages that nothing runs or reads."""
    assert {block.language for section in TWINS.values() for block in section.blocks} == {"python", "sh", "json"}
