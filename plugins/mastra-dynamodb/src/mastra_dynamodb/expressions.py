"""One item of a transaction as data, and how it becomes DynamoDB's expressions.

Knows the expression language alone; must not know kinds or the port.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs

from mastra_dynamodb.wire import AttributeValue, key_item

Operator = Literal["=", "<", "<=", ">", ">=", "exists", "missing", "missing or >"]


@attrs.frozen
class Term:
    """A condition on one top-level attribute."""

    operator: Operator
    attribute: str
    value: AttributeValue | None = None


@attrs.define
class Draft:
    """What a transaction does to one item; merged, then rendered.

    Attributes:
        place: pk and sk.
        allowed: alternatives, each a conjunction; one must hold. None asks for nothing.
        sets: attributes that get a value.
        defaults: attributes that get a value if they have none.
        removes: attributes that go.
        deletes: the whole item goes.
        change: the position of the change it stands for; None for one that the engine added.
    """

    place: tuple[str, str]
    allowed: Sequence[Sequence[Term]] | None = None
    sets: dict[str, AttributeValue] = attrs.field(factory=dict)
    defaults: dict[str, AttributeValue] = attrs.field(factory=dict)
    removes: set[str] = attrs.field(factory=set)
    deletes: bool = False
    change: int | None = None

    @property
    def writes(self) -> bool:
        """Whether the item is changed at all."""
        return self.deletes or bool(self.sets or self.defaults or self.removes)


class _Names:
    """Placeholders for the names and values of one expression; DynamoDB reserves 573 words, so every name gets one."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, AttributeValue] = {}

    def name(self, attribute: str) -> str:
        for known, held in self.names.items():
            if held == attribute:
                return known
        self.names[f"#{len(self.names)}"] = attribute
        return f"#{len(self.names) - 1}"

    def value(self, value: AttributeValue) -> str:
        self.values[f":{len(self.values)}"] = value
        return f":{len(self.values) - 1}"

    def test(self, test: Term) -> str:
        if test.value is None:
            return f"attribute_{'exists' if test.operator == 'exists' else 'not_exists'}({self.name(test.attribute)})"
        name, value = self.name(test.attribute), self.value(test.value)
        if test.operator == "missing or >":
            return f"(attribute_not_exists({name}) OR {name} > {value})"
        return f"{name} {test.operator} {value}"

    def arguments(self) -> dict[str, Any]:
        filled = {"ExpressionAttributeNames": self.names, "ExpressionAttributeValues": self.values}
        return {name: value for name, value in filled.items() if value}


def rendered(draft: Draft, *, table: str) -> dict[str, Any]:
    """*draft* as an element of TransactItems."""
    names = _Names()
    request: dict[str, Any] = {"TableName": table, "Key": key_item(draft.place)}
    if draft.allowed is not None:
        alternatives = [" AND ".join(names.test(test) for test in tests) for tests in draft.allowed]
        request["ConditionExpression"] = " OR ".join(f"({tests})" for tests in alternatives)
        request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    verb = "Delete" if draft.deletes else "Update" if draft.writes else "ConditionCheck"
    if verb == "Update":
        sets = [f"{names.name(name)} = {names.value(value)}" for name, value in draft.sets.items()]
        sets += [f"{names.name(name)} = if_not_exists({names.name(name)}, {names.value(value)})" for name, value in draft.defaults.items()]
        removes = [names.name(name) for name in sorted(draft.removes)]
        clauses = ["SET " + ", ".join(sets)] if sets else []
        clauses += ["REMOVE " + ", ".join(removes)] if removes else []
        request["UpdateExpression"] = " ".join(clauses)
    return {verb: {**request, **names.arguments()}}


def key_condition(*, partition: tuple[str, str], sort: tuple[str, str, str]) -> dict[str, Any]:
    """The arguments of a Query on one partition, for sort keys from one value to another, both included.

    Args:
        partition: attribute and value.
        sort: attribute, lowest and highest value.
    """
    names: Mapping[str, str] = {"#p": partition[0], "#s": sort[0]}
    return {
        "KeyConditionExpression": "#p = :p AND #s BETWEEN :a AND :b",
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": {":p": {"S": partition[1]}, ":a": {"S": sort[1]}, ":b": {"S": sort[2]}},
    }
