"""What requests took of the table's capacity, as DynamoDB tells with each answer. Must not make a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

CHARGED = frozenset({"batch_get_item", "delete_item", "get_item", "query", "scan", "transact_write_items"})
"""The requests whose answer tells what they took, if they are asked to."""


@attrs.frozen
class Consumed:
    """What requests of one kind took since the store was made.

    What DynamoDB charges for a request that it refuses, such as a transaction that another one was in the way of, it does not tell.

    Attributes:
        requests: how many were answered.
        retries: how many were sent again before, since they were throttled, failed or were lost; a request that failed for good is not
            counted.
        read_units: of 4 kB read consistently, 8 kB otherwise.
        write_units: of 1 kB written, those of indexes included; each counts twice in a transaction.
    """

    requests: int = 0
    retries: int = 0
    read_units: float = 0.0
    write_units: float = 0.0


class Consumption:
    """The sums, by operation as IAM and CloudWatch name it."""

    def __init__(self) -> None:
        self._by_operation: dict[str, Consumed] = {}

    def add(self, request: str, answer: Mapping[str, Any], *, retries: int) -> tuple[str, float]:
        """Count one answer; give what it took by itself: "read_units" or "write_units", and how many.

        Args:
            request: boto3's name of it, such as "batch_get_item".
            answer: what boto3 gave.
            retries: how often it was sent in vain before, beside what boto3 did by itself.
        """
        told = answer.get("ConsumedCapacity", [])
        tables = [told] if isinstance(told, Mapping) else told
        units = sum(table.get("CapacityUnits", 0.0) for table in tables)
        unit = "write_units" if request in {"delete_item", "transact_write_items"} else "read_units"
        name = "".join(part.capitalize() for part in request.split("_"))
        before = self._by_operation.get(name, Consumed())
        sums = {
            "requests": before.requests + 1,
            "retries": before.retries + retries + int(answer.get("ResponseMetadata", {}).get("RetryAttempts", 0)),
            unit: getattr(before, unit) + units,
        }
        self._by_operation[name] = attrs.evolve(before, **sums)
        return unit, units

    def __call__(self) -> dict[str, Consumed]:
        """The sums now."""
        return dict(self._by_operation)
