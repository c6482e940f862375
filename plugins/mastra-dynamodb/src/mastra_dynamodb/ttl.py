"""Time to live: what a store is told about it, and when an item has expired.

DynamoDB deletes an item some time, days even, after the number in its attribute; until then it is still there, and this plugin must
treat it as gone. Knows items; must not know requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.errors import ConfigurationError
from mastra_core.storage.options import refuse_unknown
from mastra_core.storage.records.lifetimes import by_meaning
from mastra_dynamodb.expressions import Draft, Term
from mastra_dynamodb.keys import ENTITY, LAYOUTS, MARKS
from mastra_dynamodb.wire import AttributeValue, Item

ENTITIES: Mapping[str, str | None] = {
    **{layout.entity: layout.entity for layout in LAYOUTS.values() if layout.entity != "ai_span"},
    "span": "ai_span",
    # What TypeScript's option calls them.
    "trace": "ai_span",
    # Kept by older releases of TypeScript alone: accepted, and nothing is written that could expire.
    "eval": None,
}
"""By what a user calls them: ElectroDB's names."""
_CALLED: Mapping[str, str] = {entity: name for name, entity in ENTITIES.items() if entity is not None and name != "trace"}
ATTRIBUTES = ("ttl", "expiresAt")
"""The names that TypeScript's package knows; ElectroDB would not read another one."""
_OPTIONS = ("enabled", "attribute_name", "default_ttl_seconds")


@attrs.frozen
class Expiry:
    """When items of one entity expire.

    Attributes:
        attribute: holds the time, a number of seconds since 1970.
        seconds: from the last write.
    """

    attribute: str
    seconds: int


class Expiries:
    """What expires, and what has.

    Args:
        by_entity: an entity that is not there never expires.
    """

    def __init__(self, by_entity: Mapping[str, Expiry]) -> None:
        self.by_entity = by_entity

    def passed(self, item: Item) -> bool:
        """Whether an item has expired, though DynamoDB may not have deleted it yet."""
        expiry = self.by_entity.get(item.get(ENTITY, {}).get("S", ""))
        held = None if expiry is None else item.get(expiry.attribute, {}).get("N")
        return held is not None and float(held) <= _now()

    def living(self, items: Iterable[Item]) -> list[Item]:
        """Those that have not expired."""
        return [item for item in items if not self.passed(item)] if self.by_entity else list(items)

    def current(self, item: Item) -> Item:
        """An item as it counts: of one that has expired, the marks of recent writes stay, as when a record is deleted."""
        return (
            {name: value for name, value in item.items() if name in {"pk", "sk"} or name.startswith(MARKS)} if self.passed(item) else item
        )

    def timed(self, draft: Draft, entity: str, *, over_expired: bool) -> None:
        """Have *draft* count an expired item as gone, and renew the time of what it writes.

        Args:
            draft: of a record of *entity*; changed in place.
            entity: ElectroDB's name of it.
            over_expired: the item that is there has expired, and was found to be.
        """
        expiry = self.by_entity.get(entity)
        if expiry is None:
            return
        if over_expired:
            draft.allowed = [*(draft.allowed or ()), [Term("<=", expiry.attribute, _number(_now()))]]
        elif draft.allowed is not None:
            alive = Term("missing or >", expiry.attribute, _number(_now()))
            draft.allowed = [tests if _asks_for_nothing(tests) else [*tests, alive] for tests in draft.allowed]
        if draft.sets:
            draft.sets[expiry.attribute] = _number(_now() + expiry.seconds)


def read_ttl(ttl: object) -> Expiries:
    """The option `ttl` of a store: by entity, `{"enabled": True, "default_ttl_seconds": 86400, "attribute_name": "ttl"}`.

    Raises:
        ConfigurationError: an entity or option is not known, a value cannot be that, or one entity has two by its two names.
    """
    if ttl is None:
        return Expiries({})
    if not isinstance(ttl, Mapping):
        raise ConfigurationError(f"ttl must be a dictionary by entity, one of {', '.join(sorted(ENTITIES))}; found {ttl!r}")
    refuse_unknown(ttl, known=sorted(ENTITIES), at="ttl")
    found = by_meaning(ttl, ENTITIES, read=lambda entity, options: _expiry(options, at=f"ttl[{entity!r}]"), at="ttl")
    return Expiries({entity: expiry for entity, expiry in found.items() if expiry is not None})


def _expiry(options: object, *, at: str) -> Expiry | None:
    if not isinstance(options, Mapping):
        raise ConfigurationError(f"{at} must be a dictionary of {', '.join(_OPTIONS)}; found {options!r}")
    refuse_unknown(options, known=_OPTIONS, at=at)
    enabled, attribute, seconds = options.get("enabled"), options.get("attribute_name", "ttl"), options.get("default_ttl_seconds")
    if not isinstance(enabled, bool):
        raise ConfigurationError(f"{at}: enabled must be True or False, found {enabled!r}")
    if attribute not in ATTRIBUTES:
        raise ConfigurationError(f"{at}: attribute_name must be one of {', '.join(ATTRIBUTES)}, found {attribute!r}")
    whole = isinstance(seconds, int) and not isinstance(seconds, bool)
    if seconds is not None and not (whole and seconds >= 0):
        raise ConfigurationError(f"{at}: default_ttl_seconds must be a whole number of seconds from 0, found {seconds!r}")
    if enabled and seconds is None:
        raise ConfigurationError(f"{at} is enabled and says no default_ttl_seconds; say after how many seconds an item expires")
    return Expiry(attribute, seconds) if enabled and isinstance(seconds, int) and seconds > 0 else None


def state(described: Mapping[str, Any]) -> str:
    """What DescribeTimeToLive says, in words."""
    attribute = _deletes_by(described)
    return "time to live is off: DynamoDB deletes nothing" if attribute is None else f"time to live is on, by the attribute {attribute!r}"


def warnings(expiries: Expiries, described: Mapping[str, Any], *, table: str) -> list[str]:
    """What DescribeTimeToLive says that does not fit.

    Args:
        expiries: what the store was told.
        described: the answer's `TimeToLiveDescription`.
        table: the table's name.
    """
    attribute = _deletes_by(described)
    found = []
    if attribute is not None and attribute not in ATTRIBUTES:
        found.append(f"the table deletes by the attribute {attribute!r}, which no store writes; a store writes {' or '.join(ATTRIBUTES)}")
    for name in sorted({expiry.attribute for expiry in expiries.by_entity.values()}):
        entities = ", ".join(sorted(_CALLED[entity] for entity, expiry in expiries.by_entity.items() if expiry.attribute == name))
        mend = f"aws dynamodb update-time-to-live --table-name {table} --time-to-live-specification 'Enabled=true, AttributeName={name}'"
        if attribute is None:
            found.append(f"time to live is off on the table, so that expired items ({entities}) are hidden and never deleted; run: {mend}")
        elif attribute != name:
            found.append(
                f"the table deletes by the attribute {attribute!r}, and {entities} have theirs in {name!r}: hidden and never deleted. "
                "A table has one such attribute: use the same attribute_name for all"
            )
    return found


def _deletes_by(described: Mapping[str, Any]) -> str | None:
    on = described.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}
    return str(described.get("AttributeName")) if on else None


def _asks_for_nothing(tests: Any) -> bool:
    """Whether a conjunction only says that there is no record."""
    return all(test.operator == "missing" for test in tests)


def _now() -> int:
    return clock.to_milliseconds(clock.now()) // 1000


def _number(value: int) -> AttributeValue:
    return {"N": str(value)}
