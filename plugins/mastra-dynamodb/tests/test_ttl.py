"""Time to live: what is written, what is not read any more, and what `mastra check` says about the table."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from mastra_core import clock
from mastra_core.errors import ConfigurationError, ThreadNotFoundError
from mastra_core.storage.records.changes import Patch, Refused, Save
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS, Message, Resource, Thread
from mastra_core.storage.records.query import Get, Query
from mastra_core.storage.records.span_kinds import SPANS, Span
from mastra_core.testing.samples import at
from mastra_dynamodb.keys import item_key
from mastra_dynamodb.store import DynamoDBStore

DAY = 24 * 60 * 60
SEED = {
    "message": {"enabled": True, "default_ttl_seconds": 30 * DAY},
    "thread": {"enabled": True, "default_ttl_seconds": 90 * DAY},
    "trace": {"enabled": True, "attribute_name": "expiresAt", "default_ttl_seconds": 7 * DAY},
    "workflow_snapshot": {"enabled": False},
}
A_SPAN = Span(trace_id="T", span_id="S", name="n", span_type="generic", started_at=at(0), created_at=at(0))


def opened(client: Any, table: str, ttl: Any = SEED) -> DynamoDBStore:
    return DynamoDBStore(table_name=table, client=client, ttl=ttl)


def raw(client: Any, table: str, kind: Any, *key: str) -> dict[str, Any]:
    pk, sk = item_key(kind, key)
    item: dict[str, Any] = client.get_item(TableName=table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True)["Item"]
    return item


def expire(client: Any, table: str, kind: Any, *key: str, seconds: int = -5) -> None:
    """Put an item's time into the past, as waiting would."""
    pk, sk = item_key(kind, key)
    client.update_item(
        TableName=table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, UpdateExpression="SET #t = :t", ExpressionAttributeNames={"#t": "ttl"},
        ExpressionAttributeValues={":t": {"N": str(clock.to_milliseconds(clock.now()) // 1000 + seconds)}},
    )  # fmt: skip


def said(text: str) -> dict[str, Any]:
    return {"format": 2, "parts": [{"type": "text", "text": text}]}


async def conversation(store: DynamoDBStore, *ids: str) -> None:
    await store.memory.save_thread(Thread(id="t", resource_id="u", title="first", created_at=clock.now(), updated_at=clock.now()))
    await store.memory.save_messages([Message(id=one, thread_id="t", resource_id="u", content=said(one)) for one in ids])


async def test_every_write_sets_the_time_of_its_entity(dynamodb_client: Any, dynamodb_table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Build: "TTL exactly as the seed configures it: per entity type, attribute name, default seconds": seconds since 1970, renewed when the
    record is written again; nothing where it is off.
    """
    async with opened(dynamodb_client, dynamodb_table) as store:
        now = clock.now()
        monkeypatch.setattr(clock, "now", lambda: now)
        await conversation(store, "m1")
        await store.records.apply(Save(RESOURCES, Resource(id="u", created_at=now, updated_at=now)))
        seconds = clock.to_milliseconds(now) // 1000
        assert raw(dynamodb_client, dynamodb_table, MESSAGES, "m1")["ttl"] == {"N": str(seconds + 30 * DAY)}
        assert raw(dynamodb_client, dynamodb_table, THREADS, "t")["ttl"] == {"N": str(seconds + 90 * DAY)}
        assert "ttl" not in raw(dynamodb_client, dynamodb_table, RESOURCES, "u")
        monkeypatch.setattr(clock, "now", lambda: now + timedelta(hours=1))
        await store.memory.update_thread("t", title="second", metadata={})
        assert raw(dynamodb_client, dynamodb_table, THREADS, "t")["ttl"] == {"N": str(seconds + 3600 + 90 * DAY)}


async def test_what_has_expired_is_not_read_though_it_is_still_there(dynamodb_client: Any, dynamodb_table: str) -> None:
    """Build: "expired items that DynamoDB has not yet deleted are not returned": by key, in lists, counts and windows; pages are full."""
    async with opened(dynamodb_client, dynamodb_table) as store:
        await conversation(store, *(f"m{number}" for number in range(10)))
        for number in (1, 3, 8, 9):
            expire(dynamodb_client, dynamodb_table, MESSAGES, f"m{number}")
        page = await store.memory.list_messages("t", per_page=4, include_total=True)
        assert [message.id for message in page] == ["m0", "m2", "m4", "m5"]
        assert (page.total, page.has_more) == (6, True)
        newest = await store.memory.list_messages("t", per_page=2, order_by={"field": "created_at", "direction": "DESC"})
        assert [message.id for message in newest] == ["m7", "m6"]
        window = await store.memory.list_messages("t", per_page=0, include=[{"id": "m4", "with_previous_messages": 2}])
        assert [message.id for message in window] == ["m0", "m2", "m4"]
        assert (await store.records.fetch(Get(MESSAGES, ("m8",))))[0] is None
        assert [key async for key, _ in store.records.engine.scan(MESSAGES, after=None) if "m8" in key] == []


async def test_what_has_expired_counts_as_gone_when_it_is_written_to(dynamodb_client: Any, dynamodb_table: str) -> None:
    """A message for an expired thread is refused as for none; a thread saved again is a new one, with nothing of the old one."""
    async with opened(dynamodb_client, dynamodb_table) as store:
        await conversation(store, "m1")
        expire(dynamodb_client, dynamodb_table, THREADS, "t")
        assert await store.memory.get_thread_by_id("t") is None
        with pytest.raises(ThreadNotFoundError):
            await store.memory.save_messages([Message(id="m2", thread_id="t", resource_id="u", content=said("m2"))])
        with pytest.raises(Refused):
            await store.records.engine.apply([Patch(THREADS, ("t",), put={"title": "x"}, missing="refuse")], atomic=True)
        later = clock.now()
        await store.memory.save_thread(Thread(id="t", resource_id="other", created_at=later, updated_at=later))
        again = await store.memory.get_thread_by_id("t")
        assert again is not None
        assert (again.resource_id, again.title, again.created_at) == ("other", "", later)
        assert [one.id for one in (await store.records.fetch(Query(THREADS, "by_resource", at={"resource_id": "u"})))[0]] == []
        await store.memory.save_messages([Message(id="m2", thread_id="t", resource_id="other", content=said("m2"))])


async def test_a_decision_rests_on_what_has_expired_as_on_nothing(dynamodb_client: Any, dynamodb_table: str) -> None:
    """Compare-and-set over an expired record begins anew."""
    async with opened(dynamodb_client, dynamodb_table) as store:
        await conversation(store, "m1")
        expire(dynamodb_client, dynamodb_table, MESSAGES, "m1")
        seen: list[Any] = []

        def change(found: list[Any]) -> list[Any]:
            seen.extend(found)
            return [Save(MESSAGES, Message(id="m1", thread_id="t", resource_id="u", content=said("new"), created_at=clock.now()))]

        await store.records.decide([Get(MESSAGES, ("m1",))], change)
        assert seen == [None]
        assert [message.content for message in await store.memory.list_messages("t")] == [said("new")]


@pytest.mark.parametrize("name", ["span", "trace"])
async def test_spans_expire_by_either_of_their_names(dynamodb_client: Any, dynamodb_table: str, name: str) -> None:
    """`trace` is what TypeScript's option calls them; `eval`, which is never written, may be said too."""
    expiring = {"enabled": True, "default_ttl_seconds": DAY, "attribute_name": "expiresAt"}
    async with opened(dynamodb_client, dynamodb_table, {name: expiring, "eval": {"enabled": True, "default_ttl_seconds": 1}}) as store:
        before = clock.to_milliseconds(clock.now()) // 1000
        await store.observability.create_span(A_SPAN)
        await conversation(store, "m1")
        item = raw(dynamodb_client, dynamodb_table, SPANS, *SPANS.key_of(A_SPAN))
        assert before + DAY <= int(item["expiresAt"]["N"]) <= before + DAY + 60
        for item in dynamodb_client.scan(TableName=dynamodb_table, ConsistentRead=True)["Items"]:
            assert ("expiresAt" in item, "ttl" in item) == (item["entity"] == {"S": "ai_span"}, False)


def test_two_times_of_spans_by_their_two_names_are_refused() -> None:
    """Before anything is connected; the same twice is said once."""
    day, week = ({"enabled": True, "default_ttl_seconds": number * DAY} for number in (1, 7))
    for other in (week, {"enabled": False}):
        with pytest.raises(ConfigurationError, match=r"'span' and 'trace' are two names of the same records, .*; give one of them"):
            DynamoDBStore(table_name="table", ttl={"span": day, "trace": other})
    DynamoDBStore(table_name="table", ttl={"span": day, "trace": dict(day)})


@pytest.mark.parametrize(
    "attribute, expected",
    [
        (None, ["time to live is off on the table.*message, thread.*AttributeName=ttl", "AttributeName=expiresAt"]),
        ("ttl", [r"deletes by the attribute 'ttl', and span have theirs in 'expiresAt'"]),
    ],
)
async def test_check_says_that_time_to_live_is_off_or_another_attribute_s(
    dynamodb_client: Any, dynamodb_table: str, attribute: str | None, expected: list[str]
) -> None:
    """Build: "`mastra check` says if TTL is off on the table or on another attribute", with the command that turns it on."""
    if attribute is not None:
        specification: Any = {"Enabled": True, "AttributeName": attribute}
        dynamodb_client.update_time_to_live(TableName=dynamodb_table, TimeToLiveSpecification=specification)
    warnings = (await opened(dynamodb_client, dynamodb_table).records.inspect()).warnings
    assert len(warnings) == len(expected)
    for pattern, warning in zip(expected, sorted(warnings, key=lambda text: "expiresAt" in text), strict=True):
        assert re.search(pattern, warning)


async def test_check_says_how_the_table_deletes(dynamodb_client: Any, dynamodb_table: str) -> None:
    """A URL tells no ttl, so the state itself is said; an attribute that no store writes is warned of."""
    store = opened(dynamodb_client, dynamodb_table, ttl=None)
    found = await store.records.inspect()
    assert (list(found.notes), list(found.warnings)) == (["time to live is off: DynamoDB deletes nothing"], [])
    specification: Any = {"Enabled": True, "AttributeName": "gone"}
    dynamodb_client.update_time_to_live(TableName=dynamodb_table, TimeToLiveSpecification=specification)
    found = await store.records.inspect()
    assert list(found.notes) == ["time to live is on, by the attribute 'gone'"]
    assert list(found.warnings) == ["the table deletes by the attribute 'gone', which no store writes; a store writes ttl or expiresAt"]


@pytest.mark.parametrize(
    "ttl, said",
    [
        ({"messages": {}}, r"no option 'messages'.*Did you mean 'message'"),
        ({"message": {"enabled": True, "defaultTtlSeconds": 5}}, r"no option 'defaultTtlSeconds'.*'default_ttl_seconds'"),
        ({"message": {"enabled": "yes"}}, r"enabled must be True or False, found 'yes'"),
        ({"message": {"enabled": True}}, r"says no default_ttl_seconds"),
        ({"message": {"enabled": True, "default_ttl_seconds": -1}}, r"from 0, found -1"),
        ({"message": {"enabled": True, "default_ttl_seconds": 5, "attribute_name": "gone"}}, r"one of ttl, expiresAt, found 'gone'"),
        ([], r"ttl must be a dictionary"),
        ({"message": 5}, r"ttl\['message'\] must be a dictionary"),
    ],
)
def test_a_wrong_option_is_refused_with_its_mend(ttl: Any, said: str) -> None:
    """Before anything is connected."""
    with pytest.raises(ConfigurationError, match=said):
        DynamoDBStore(table_name="table", ttl=ttl)
