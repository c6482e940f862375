"""Every question that a store puts to the server is answered along an index, and every index answers one.

The store is driven through all its methods while the driver's listener keeps what was sent. What each command looks for is then explained
by the server. SecantusDB's planner is simpler than a mongod's: where it reads a whole collection, the rule by which a mongod finds an index
is applied here instead; on a mongod (MASTRA_TEST_MONGODB_URL) its own word counts for every question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

import attrs
import pymongo
import pytest
from pymongo import AsyncMongoClient

from mastra_core.storage.records.kinds import KINDS
from mastra_mongodb.indexes import MIGRATIONS, defaults, key_columns
from mastra_mongodb.journal import INDEXES as JOURNAL_INDEXES
from mastra_mongodb.store import MongoDBStore
from mastra_mongodb.wire import columns_of
from tests.every_call import use_all
from tests.mongodb_questions import Questions, explained
from tests.servers.fixtures import fresh_mongodb_database

RANGES = {"$gt", "$gte", "$lt", "$lte", "$ne", "$type"}
LEADS = {
    kind.name: {
        key_columns(kind)[0],
        *(columns_of(kind, [*path.by, *(condition.field[0] for condition in path.only)])[0] for path in kind.paths if path.by or path.only),
    }
    for kind in KINDS
} | {"mastra_journal": {"_id", "keys", "places", "done"}, MIGRATIONS: {"_id"}}
"""By collection, what narrows a question to a few documents: written from the kinds, so that it does not follow the indexes."""
LEADS["mastra_workflow_snapshot"].add("snapshot.status")
INDEXES = (*defaults(), *JOURNAL_INDEXES)
ORDERS = {kind.name: {columns_of(kind, [path.order])[0] for path in kind.paths} for kind in KINDS}


@pytest.fixture(scope="module", params=["mongodb-8", pytest.param("before", marks=pytest.mark.scale), "without-transactions"])
def asked(mongodb_server, request):
    """All questions of a store that was used for everything, with each way to write; and the database."""
    questions = Questions()

    async def use(url, name):
        async with (
            AsyncMongoClient(url, event_listeners=[questions]) as client,
            MongoDBStore(client=client, db_name=name, transactions=False if request.param == "without-transactions" else None) as store,
        ):
            store.records.engine._connection.has_bulk_write &= request.param != "before"
            await use_all(store)

    with fresh_mongodb_database(mongodb_server) as url, pymongo.MongoClient(url) as client:
        name = urlsplit(url).path.strip("/")
        asyncio.run(use(url, name))
        assert questions.strange == []
        yield questions, client[name]


def points_and_ranges(filters):
    """The fields that are held to single values, and those that are held to a range of them; what an expression says is on no index."""
    points, ranges = set(), set()
    for field, wanted in [pair for one in (filters, *filters.get("$and", ())) for pair in one.items()]:
        operators = set(wanted) if isinstance(wanted, Mapping) and next(iter(wanted), "").startswith("$") else {"$eq"}
        if field.startswith("$"):
            continue
        if operators <= {"$eq", "$in"} or wanted == {"$exists": False}:
            points.add(field)
        elif operators & RANGES:
            ranges.add(field)
    return points, ranges


def gives_order(keys, points, sort):
    """Whether walking an index gives the order: its fields are the sort's, besides those that are held to a value."""
    left = [field for field in sort if field not in points]
    return [field for field in keys if field not in points][: len(left)] == left and len(set(sort.values())) <= 1


def serves(index, question):
    """Whether a mongod answers by this index: it narrows what is read by the strongest field that is asked about, and gives the order."""
    points, ranges = points_and_ranges(question.filter)
    keys = [field for field, _ in index.keys]
    partial = index.options.get("partialFilterExpression", {})
    if index.collection != question.collection or not set(partial) <= points | ranges or not gives_order(keys, points, question.sort):
        return False
    strong = points & LEADS.get(question.collection, set())
    return keys[0] in (strong or points | ranges) or (bool(question.sort) and not strong)


def answered(question, indexes):
    """Whether a mongod answers along an index, or along one for each branch of an $or."""
    made = [*indexes, *(type(indexes[0])(question.collection, ((field, 1),)) for field in ("_id",))]
    if any(serves(index, question) for index in made):
        return True
    branches = question.filter.get("$or")
    rest = {name: wanted for name, wanted in question.filter.items() if name != "$or"}
    return branches is not None and all(answered(attrs.evolve(question, filter={**rest, **branch}), indexes) for branch in branches)


def reads_all_because(question):
    """Why a question reads a whole collection on any server; None for all others."""
    points, ranges = points_and_ranges(question.filter)
    if question.collection == MIGRATIONS and not question.filter:
        return "the few notes of which release made which index, read when a store opens"
    narrowed = (points | ranges) & (LEADS[question.collection] | ORDERS.get(question.collection, set()))
    if question.filter and not question.sort and not narrowed and "$or" not in question.filter:
        return "a total over everything under a condition that is on no index: each document must be looked at"
    return None


def simpler_planner(question):
    """Why SecantusDB reads a whole collection where a mongod does not; None where its word counts."""
    if any(field.startswith("$") for field in question.filter):
        return "it takes no index where the filter has $or, $and or $expr"
    ranges = [field for field, wanted in question.filter.items() if isinstance(wanted, Mapping) and wanted.keys() != {"$eq"}]
    values = question.filter.keys() - ranges
    if any(question.filter[field].keys() & {"$ne", "$type", "$exists"} for field in ranges):
        return "it knows no bounds of $ne, $type and $exists"
    fields = [[field for field, _ in index.keys] for index in INDEXES if index.collection == question.collection]
    first = [({*keys[: len(values)]}, keys[len(values) : len(values) + 1]) for keys in fields]
    if len(question.filter) > 1 and not any(values == held and ranges in ([], after) for held, after in first):
        return "it takes an index for its first fields and for nothing besides"
    return None


def test_no_question_reads_a_whole_collection(asked):
    """Whatever is asked, the server reads what the answer needs. Must hold: "COLLSCAN on no path (explain in a test)"."""
    questions, database = asked
    simple = "secantusVersion" in database.client.server_info()
    seen = set()
    for question in questions.asked.values():
        if reads_all_because(question):
            continue
        assert answered(question, INDEXES), question.shape
        stages = explained(database, question)
        if not simple or simpler_planner(question) is None:
            assert "COLLSCAN" not in stages, question.shape
        if not simple:
            assert "SORT" not in stages, question.shape
        seen |= stages
    assert "IXSCAN" in seen


def test_every_index_answers_a_question_that_no_other_does(asked):
    """No index is paid for on each write for nothing; and were one gone, the test above would say so."""
    questions, _ = asked
    needed = [question for question in questions.asked.values() if not reads_all_because(question)]
    for index in defaults():
        others = [other for other in INDEXES if other != index]
        assert not all(answered(question, others) for question in needed), f"{index.collection}.{index.name}"


def test_no_transaction_reads_several_collections_in_one_command(asked):
    """A mongod refuses $unionWith inside a transaction (code 263), which SecantusDB lets pass."""
    questions, _ = asked
    assert questions.united == []
