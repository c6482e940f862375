"""The table as code for an operator: CloudFormation, CDK in Python, Terraform, and the permissions that a store needs.

Knows the table's shape; makes no request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from mastra_core.storage.records.wire import decode_json
from mastra_dynamodb.table import creation

ACTIONS = (
    "dynamodb:BatchGetItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:DescribeTable",
    "dynamodb:GetItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:UpdateItem",
)
"""What a store asks. TransactWriteItems has no action of its own: each item of it needs that of its kind."""
CHECK_ACTION = "dynamodb:DescribeTimeToLive"
"""Which `mastra check` asks besides, of a store with ttl."""


def cloudformation(table: str, *, ttl: str) -> str:
    """A template in JSON; the table is kept when the stack goes.

    Args:
        table: its name.
        ttl: the attribute by which items expire.
    """
    properties = {
        **_described(table),
        "TimeToLiveSpecification": {"AttributeName": ttl, "Enabled": True},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
    }
    resource = {"Type": "AWS::DynamoDB::Table", "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain", "Properties": properties}
    return indented({"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"MastraTable": resource}})


def cdk(table: str, *, ttl: str) -> str:
    """A construct of CDK 2 in Python; arguments as `cloudformation`."""
    numbers = len(_described(table)["GlobalSecondaryIndexes"])
    return f"""\
from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct


class MastraTable(Construct):
    \"\"\"The table of mastra-dynamodb.\"\"\"

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)

        def text(name: str) -> dynamodb.Attribute:
            return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)

        self.table = dynamodb.Table(
            self,
            "Table",
            table_name="{table}",
            partition_key=text("pk"),
            sort_key=text("sk"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(point_in_time_recovery_enabled=True),
            time_to_live_attribute="{ttl}",
            removal_policy=RemovalPolicy.RETAIN,
        )
        for number in range(1, {numbers + 1}):
            self.table.add_global_secondary_index(
                index_name=f"gsi{{number}}",
                partition_key=text(f"gsi{{number}}pk"),
                sort_key=text(f"gsi{{number}}sk"),
                projection_type=dynamodb.ProjectionType.ALL,
            )
"""


def terraform(table: str, *, ttl: str) -> str:
    """A resource of the AWS provider; arguments as `cloudformation`."""
    described = _described(table)
    attributes = "\n".join(
        f'  attribute {{\n    name = "{a["AttributeName"]}"\n    type = "S"\n  }}' for a in described["AttributeDefinitions"]
    )
    indexes = "\n".join(_terraform_index(index["IndexName"]) for index in described["GlobalSecondaryIndexes"])
    return f"""\
resource "aws_dynamodb_table" "mastra" {{
  name                        = "{table}"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  range_key                   = "sk"
  deletion_protection_enabled = true

{attributes}

{indexes}

  ttl {{
    attribute_name = "{ttl}"
    enabled        = true
  }}

  point_in_time_recovery {{
    enabled = true
  }}
}}
"""


def _terraform_index(name: str) -> str:
    return f"""\
  global_secondary_index {{
    name            = "{name}"
    hash_key        = "{name}pk"
    range_key       = "{name}sk"
    projection_type = "ALL"
  }}"""


def policy(table: str, *, region: str, account: str) -> dict[str, Any]:
    """The smallest IAM policy with which every call of a store and `mastra check` succeed.

    Args:
        table: its name.
        region: of the table.
        account: of the table, twelve digits.
    """
    arn = f"arn:aws:dynamodb:{region}:{account}:table/{table}"
    statement = {"Effect": "Allow", "Action": [*ACTIONS, CHECK_ACTION], "Resource": [arn, f"{arn}/index/*"]}
    return {"Version": "2012-10-17", "Statement": [statement]}


FORMATS: Mapping[str, Callable[..., str]] = {"cloudformation": cloudformation, "cdk": cdk, "terraform": terraform}


def indented(document: Mapping[str, Any]) -> str:
    """JSON for people to read, with an end of line."""
    return json.dumps(document, indent=2) + "\n"  # noqa: TID251  # nothing of this is stored


def _described(table: str) -> dict[str, Any]:
    described: dict[str, Any] = decode_json(creation(table))
    return described
