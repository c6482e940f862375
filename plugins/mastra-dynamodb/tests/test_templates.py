"""`mastra dynamodb …`: what an operator gets makes a table that is complete, and permissions that are enough and no more."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import types
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from mastra_core import clock
from mastra_core.storage.records.changes import Check, Save
from mastra_core.storage.records.kinds import RESOURCES, THREADS, Message, Resource, Thread
from mastra_dynamodb import templates
from mastra_dynamodb.store import DynamoDBStore, open_dynamodb
from tests.servers.dynamodb import connect

WITHIN_A_TRANSACTION = {"Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem", "Put": "PutItem"}


def mastra(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from mastra_core.cli.main import main; main()", "dynamodb", *arguments]
    key = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "us-east-1"}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **key})
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran


@pytest.fixture
def name(dynamodb_client: Any) -> Iterator[str]:
    """The name of a table that the test makes."""
    name = f"mastra-test-{uuid.uuid4().hex}"
    yield name
    if name in dynamodb_client.list_tables()["TableNames"]:
        dynamodb_client.delete_table(TableName=name)


async def test_the_cloudformation_template_makes_a_complete_table(dynamodb_client: Any, name: str) -> None:
    """Build: "`mastra dynamodb template` prints CloudFormation, CDK (Python) and Terraform": its properties are those of CreateTable, and of
    two settings that have requests of their own.
    """
    ran = mastra("template", "--table", name, "--ttl-attribute", "expiresAt")
    (resource,) = json.loads(ran.stdout)["Resources"].values()
    properties = resource["Properties"]
    assert (resource["Type"], resource["DeletionPolicy"]) == ("AWS::DynamoDB::Table", "Retain")
    ttl, recovery = properties.pop("TimeToLiveSpecification"), properties.pop("PointInTimeRecoverySpecification")
    assert (ttl, recovery) == ({"AttributeName": "expiresAt", "Enabled": True}, {"PointInTimeRecoveryEnabled": True})
    dynamodb_client.create_table(**properties)
    dynamodb_client.update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)
    expiring: Any = {"thread": {"enabled": True, "default_ttl_seconds": 60, "attribute_name": "expiresAt"}}
    found = await DynamoDBStore(table_name=name, client=dynamodb_client, ttl=expiring).records.inspect()
    assert (list(found.missing), list(found.warnings)) == ([], [])


def test_the_cdk_construct_makes_the_same_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run with constructs that write down what they are told: no CDK is needed to see it."""
    told: dict[str, Any] = {"indexes": []}

    class Construct:
        def __init__(self, *_: Any) -> None: ...

    class Table:
        def __init__(self, *_: Any, **options: Any) -> None:
            told.update(options)

        def add_global_secondary_index(self, **options: Any) -> None:
            told["indexes"].append((options["index_name"], options["partition_key"], options["sort_key"], options["projection_type"]))

    kit = types.SimpleNamespace(
        Table=Table,
        Attribute=lambda **given: f"{given['name']} {given['type']}",
        AttributeType=types.SimpleNamespace(STRING="S"),
        BillingMode=types.SimpleNamespace(PAY_PER_REQUEST="PAY_PER_REQUEST"),
        ProjectionType=types.SimpleNamespace(ALL="ALL"),
        PointInTimeRecoverySpecification=lambda **options: options,
    )
    cdk: Any = types.ModuleType("aws_cdk")
    cdk.RemovalPolicy, cdk.aws_dynamodb = types.SimpleNamespace(RETAIN="RETAIN"), kit
    constructs: Any = types.ModuleType("constructs")
    constructs.Construct = Construct
    monkeypatch.setitem(sys.modules, "aws_cdk", cdk)
    monkeypatch.setitem(sys.modules, "constructs", constructs)
    space: dict[str, Any] = {}
    exec(compile(mastra("template", "--format", "cdk", "--table", "mine").stdout, "cdk", "exec"), space)
    space["MastraTable"](None, "x")
    assert (told["table_name"], told["partition_key"], told["sort_key"], told["time_to_live_attribute"]) == ("mine", "pk S", "sk S", "ttl")
    assert told["indexes"] == [(f"gsi{n}", f"gsi{n}pk S", f"gsi{n}sk S", "ALL") for n in range(1, 8)]


def test_the_terraform_resource_names_every_key_and_index() -> None:
    """Terraform refuses a table of which an attribute of a key is not declared, or one too many."""
    text = mastra("template", "--format", "terraform", "--table", "mine").stdout
    declared = re.findall(r'attribute \{\s+name = "(\w+)"\s+type = "S"', text)
    indexes = re.findall(r'name\s+= "(gsi\d)"\s+hash_key\s+= "(\w+)"\s+range_key\s+= "(\w+)"\s+projection_type = "ALL"', text)
    assert declared == ["pk", "sk", *(f"gsi{n}{part}" for n in range(1, 8) for part in ("pk", "sk"))]
    assert indexes == [(f"gsi{n}", f"gsi{n}pk", f"gsi{n}sk") for n in range(1, 8)]
    assert text.count("{") == text.count("}")
    assert 'name                        = "mine"' in text


async def test_a_table_for_local_development_is_made_and_can_be_used(
    dynamodb_endpoint: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Build: "`mastra dynamodb create-table` is for local development": one command, then the URL that it prints; a second time it says that the table is there, and changes nothing."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "local")
    for variable in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(variable, raising=False)
    arguments = ("create-table", "--table", name, "--region", "us-east-1", "--endpoint", dynamodb_endpoint, "--ttl-attribute", "ttl")
    ran = mastra(*arguments)
    assert ran.returncode == 0, ran.stderr
    url = ran.stdout.split()[-1]
    assert url == f"dynamodb://{name}?region=us-east-1&endpoint={dynamodb_endpoint}"
    async with open_dynamodb(url) as store:
        assert (await store.memory.list_threads()).items == ()
    again = mastra(*arguments)
    assert (again.returncode, "exists already; nothing was changed" in again.stderr) == (2, True)


def test_a_wrong_format_name_or_attribute_is_told() -> None:
    """With what there is."""
    assert "there are cloudformation, cdk, terraform" in " ".join(mastra("template", "--format", "pulumi").stderr.replace("│", "").split())
    assert "3 to 255 letters" in mastra("template", "--table", "a b").stderr
    assert "ttl, expiresAt" in mastra("template", "--ttl-attribute", "gone").stderr


async def test_a_store_asks_exactly_what_the_policy_allows(dynamodb_endpoint: str, dynamodb_table: str) -> None:
    """Build: "the README's IAM policy is the smallest that the tests pass with": each domain, lists along indexes and without, deletes, a look
    at the table: no call that is not allowed, and none allowed in vain.
    """
    asked: set[str] = set()

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name == "TransactWriteItems":
            asked.update(WITHIN_A_TRANSACTION[verb] for item in params["TransactItems"] for verb in item)
        else:
            asked.add(model.name)

    client = connect(dynamodb_endpoint)
    client.meta.events.register("provide-client-params.dynamodb", note)
    expiring: Any = {"message": {"enabled": True, "default_ttl_seconds": 600}}
    async with DynamoDBStore(table_name=dynamodb_table, client=client, ttl=expiring) as store:
        now = clock.now()
        await store.records.engine.ping()
        await store.memory.save_thread(Thread(id="t", resource_id="u", created_at=now, updated_at=now))
        await store.memory.save_messages([Message(id=name, thread_id="t", resource_id="u") for name in ("a", "b")])
        await store.records.apply(Check(THREADS, ("t",)), Save(RESOURCES, Resource(id="u", created_at=now, updated_at=now)))
        await store.memory.read_turn("t", resource_id="u", last=10)
        await store.memory.list_threads()
        await store.memory.update_resource("u", metadata={"a": 1})
        await store.memory.delete_messages(["a"])
        await store.memory.delete_thread("t")
        await store.workflows.persist_workflow_snapshot("w", run_id="r", snapshot={"context": {}, "status": "running"})
        await store.workflows.update_workflow_state("w", run_id="r", opts={"status": "success"})
        await store.records.inspect()
    client.close()
    assert sorted(f"dynamodb:{name}" for name in asked) == sorted([*templates.ACTIONS, templates.CHECK_ACTION])
    granted = json.loads(mastra("policy", "--table", "mine", "--region", "eu-west-1", "--account", "123456789012").stdout)
    (statement,) = granted["Statement"]
    assert statement["Action"] == [*templates.ACTIONS, templates.CHECK_ACTION]
    assert statement["Resource"] == [
        "arn:aws:dynamodb:eu-west-1:123456789012:table/mine",
        "arn:aws:dynamodb:eu-west-1:123456789012:table/mine/index/*",
    ]
