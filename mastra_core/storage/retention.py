"""How long each table keeps what is in it: the policy that users write, and the run that makes it true.

Knows the domains' pruning; must not know any engine.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

import attrs

from mastra_core import clock
from mastra_core.errors import ConfigurationError
from mastra_core.names import did_you_mean
from mastra_core.storage.domains import pruning
from mastra_core.storage.domains.pruning import Rule, Tally
from mastra_core.storage.records.records import Records
from mastra_core.storage.vectors.port import VectorStore

DOMAIN_OF: Mapping[str, str] = {
    "threads": "memory",
    "messages": "memory",
    "resources": "memory",
    "workflow_snapshot": "workflows",
    "scorers": "scores",
    "spans": "observability",
}
"""The tables that a policy may name, each with its domain, in the order in which they are pruned."""

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_AGE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) ?(ms|s|m|h|d|w)")
_MOST = timedelta(days=365_000)
_MENDS = f'write a timedelta, or a number and a unit of {list(_UNITS)}, such as "30d" or "12h"'


def _max_age(value: object) -> timedelta | None:
    return None if value is None else _age(value)


def _age(value: object) -> timedelta:
    if isinstance(value, str):
        read = _AGE.fullmatch(value.strip())
        if read is None:
            msg = f"max_age: cannot read {value!r}; {_MENDS}"
            raise ConfigurationError(msg)
        value = min(float(read[1]) * (_UNITS[read[2]] / _MOST), 2) * _MOST
    if not isinstance(value, timedelta):
        msg = f"max_age: must say its unit, found {value!r} ({type(value).__name__}); {_MENDS}"
        raise ConfigurationError(msg)
    if value < clock.MILLISECOND:
        msg = f"max_age: must be at least a millisecond, found {value}; to remove everything use dangerously_clear_all()"
        raise ConfigurationError(msg)
    if value > _MOST:
        msg = f"max_age: is more than 1000 years, found {value}; leave the table out to keep everything"
        raise ConfigurationError(msg)
    return value // clock.MILLISECOND * clock.MILLISECOND


@attrs.frozen(kw_only=True)
class Retention:
    """How much of one table is kept; a record goes that is past either limit.

    Args:
        max_age: how old a record may become: a timedelta, or text such as "30d" (units ms, s, m, h, d, w).
        max_count: how many are kept, the newest. Those of the same millisecond as the last of them are kept too.

    Raises:
        ConfigurationError: neither is given, or one is not above zero or cannot be read.
    """

    max_age: timedelta | None = attrs.field(default=None, converter=_max_age)
    max_count: int | None = attrs.field(default=None)

    def __attrs_post_init__(self) -> None:
        count: object = self.max_count
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            msg = f"max_count must be a whole number of at least 1, found {count!r}; to remove everything use dangerously_clear_all()"
            raise ConfigurationError(msg)
        if self.max_age is None and count is None:
            msg = 'a Retention needs max_age, max_count, or both: Retention(max_age="30d")'
            raise ConfigurationError(msg)


@attrs.frozen(kw_only=True)
class Pruned:
    """What became of one table.

    Attributes:
        table: its name in the policy.
        examined: how many records were looked at; where the store finds old ones by itself, only those.
        deleted: how many went, or would go (`dry_run`).
        done: whether the table is finished; False only in what `on_progress` is told.
    """

    table: str
    examined: int
    deleted: int
    done: bool


RetentionPolicy = Mapping[str, Retention | Mapping[str, object]]
"""By table: `{"messages": Retention(max_age="30d")}` or `{"messages": {"max_age": "30d"}}`. TypeScript's form, which names the domain
first, is read too: `{"memory": {"messages": {"max_age": "30d"}}}`."""


def read_policy(policy: object) -> dict[str, Retention]:
    """The retention of each table that *policy* names, in the order in which they are pruned.

    Raises:
        ConfigurationError: it is empty or no mapping, or names an unknown table or option; the message says what was meant.
    """
    if not isinstance(policy, Mapping) or not policy:
        msg = f'a policy is a mapping such as {{"messages": {{"max_age": "30d"}}}}, found {policy!r}; the tables are {list(DOMAIN_OF)}'
        raise ConfigurationError(msg)
    found: dict[str, Retention] = {}
    for name, given in policy.items():
        if name in DOMAIN_OF:
            _add(found, name, given)
        elif name in DOMAIN_OF.values() and isinstance(given, Mapping):
            tables = [table for table, domain in DOMAIN_OF.items() if domain == name]
            for table, retention in given.items():
                if table not in tables:
                    msg = f"policy[{name!r}]: there is no table {table!r}; its tables are {tables}{did_you_mean(table, tables)}"
                    raise ConfigurationError(msg)
                _add(found, table, retention)
        else:
            msg = f"policy: there is no table {name!r}; the tables are {list(DOMAIN_OF)}{did_you_mean(name, DOMAIN_OF)}"
            raise ConfigurationError(msg)
    return {table: found[table] for table in DOMAIN_OF if table in found}


async def prune(
    places: Mapping[str, Records],
    policy: object,
    *,
    dry_run: bool,
    batch_size: int,
    on_progress: Callable[[Pruned], None] | None,
    vectors: Sequence[VectorStore],
) -> dict[str, Pruned]:
    """Prune the tables that *policy* names, each where *places* says its domain is; see Store.prune."""
    wanted = _checked(places, policy, batch_size)
    now = clock.now()

    def tick(tally: Tally) -> None:
        if on_progress is not None:
            on_progress(_pruned(tally, done=False))

    # Messages go with their threads, whether a policy names them or not.
    named = {*wanted, "messages"} if "threads" in wanted else set(wanted)
    tallies = {table: Tally(table=table, tick=tick) for table in DOMAIN_OF if table in named}
    old_threads: datetime | None = None
    for table, retention in wanted.items():
        records, tally = places[DOMAIN_OF[table]], tallies[table]
        await records.open()
        before = None if retention.max_age is None else now - retention.max_age
        rule = Rule(before=before, newest=retention.max_count, dry_run=dry_run, batch=batch_size)
        if table == "threads":
            old_threads = await pruning.prune_threads(records, rule, tally, messages=tallies["messages"], vectors=vectors)
        elif table == "messages":
            await pruning.prune_messages(records, rule, tally, but_of=old_threads if dry_run else None, vectors=vectors)
        else:
            await _PRUNERS[table](records, rule, tally)
    report = {table: _pruned(tally, done=True) for table, tally in tallies.items()}
    if on_progress is not None:
        for pruned in report.values():
            on_progress(pruned)
    return report


def _checked(places: Mapping[str, Records], policy: object, batch_size: object) -> dict[str, Retention]:
    wanted = read_policy(policy)
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        msg = f"batch_size must be a whole number of at least 1, found {batch_size!r}; leave it out for 1000"
        raise ConfigurationError(msg)
    for table in wanted:
        if DOMAIN_OF[table] not in places:
            msg = f"policy: this store keeps no {DOMAIN_OF[table]}, so it has no {table}; it keeps {list(places)}"
            raise ConfigurationError(msg)
    return wanted


_PRUNERS: Mapping[str, Callable[[Records, Rule, Tally], Awaitable[None]]] = {
    "resources": pruning.prune_resources,
    "workflow_snapshot": pruning.prune_runs,
    "scorers": pruning.prune_scores,
    "spans": pruning.prune_spans,
}


def _pruned(tally: Tally, *, done: bool) -> Pruned:
    return Pruned(table=tally.table, examined=tally.examined, deleted=tally.deleted, done=done)


def _add(found: dict[str, Retention], table: str, given: object) -> None:
    if table in found:
        msg = f"policy: {table!r} is named twice, by itself and under its domain {DOMAIN_OF[table]!r}; leave one out"
        raise ConfigurationError(msg)
    if isinstance(given, Retention):
        found[table] = given
        return
    names = ("max_age", "max_count")
    if not isinstance(given, Mapping):
        msg = f'policy[{table!r}]: must be a Retention or a mapping such as {{"max_age": "30d"}}, found {given!r}'
        raise ConfigurationError(msg)
    for name in given:
        if name not in names:
            msg = f"policy[{table!r}]: there is no option {name!r}; the options are {list(names)}{did_you_mean(name, names)}"
            raise ConfigurationError(msg)
    found[table] = Retention(**given)
