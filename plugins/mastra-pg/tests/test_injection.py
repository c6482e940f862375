"""SQL in what users type: every text that reaches a statement is a value or is refused, on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from mastra_core import clock
from mastra_core.errors import InvalidInputError, MastraError, ThreadNotFoundError
from mastra_core.storage.records.kinds import Message, Thread
from mastra_pg import PgVector, PostgresStore

START = clock.from_text("2024-01-01T00:00:00.000Z")
TEXTS = [
    "'; DROP TABLE mastra_threads; --",
    "' OR '1'='1",
    '"; DROP TABLE mastra_threads; --',
    "\\'; DROP TABLE mastra_threads; --",
    "$$; DROP TABLE mastra_threads; $$",
    "%s %(name)s %% {} {0}",
    "t'::text",
    "/* */ --",
    "E'\\x27'",
    "\u02bc; SELECT pg_sleep(9) \uff07",
]
"""Quotes of both kinds, escapes, dollar quotes, places of parameters, comments, and characters that a server might fold to a quote."""


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    """A store that keeps a thread of somebody else's."""
    async with PostgresStore(connection_string=postgres_url) as opened:
        await opened.memory.save_thread(a_thread("theirs", resource_id="them"))
        yield opened


@pytest.fixture
def behind(postgres_url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection past the store."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def a_thread(name: str, *, resource_id: str, **more: Any) -> Thread:
    """A thread as a test saves it."""
    return Thread(id=name, resource_id=resource_id, created_at=START, updated_at=START, **more)


@pytest.mark.parametrize("text", TEXTS)
async def test_an_id_a_title_and_a_text_are_values(store: PostgresStore, behind: Any, text: str) -> None:
    """Must hold: "SQL injection through ids … refused or harmless, with tests": kept to the letter, found by themselves alone, and nothing else goes with them."""
    memory = store.memory
    thread = a_thread(text, resource_id=text, title=text, metadata={"said": text})
    await memory.save_thread(thread)
    assert await memory.get_thread_by_id(text) == thread
    assert [found.id for found in await memory.list_threads(filter={"resource_id": text})] == [text]
    content = {"format": 2, "parts": [{"type": "text", "text": text}]}
    (message,) = await memory.save_messages([Message(id=text, thread_id=text, resource_id=text, role="user", content=content)])
    assert (await memory.list_messages(text, resource_id=text)).items == (message,)
    assert (await memory.list_messages_by_id([text])).items == (message,)
    await memory.delete_messages([text])
    await memory.delete_thread(text)
    assert behind.execute("SELECT id FROM mastra_threads").fetchall() == [("theirs",)]


@pytest.mark.parametrize("text", TEXTS)
async def test_an_id_that_names_nothing_finds_and_deletes_nothing(store: PostgresStore, behind: Any, text: str) -> None:
    """A condition cannot be widened by what stands in an id."""
    assert await store.memory.get_thread_by_id(text) is None
    assert (await store.memory.list_threads(filter={"resource_id": text})).items == ()
    await store.memory.delete_thread(text)
    with pytest.raises(ThreadNotFoundError):
        await store.memory.update_thread(text, title="mine")
    assert behind.execute("SELECT id, title FROM mastra_threads").fetchall() == [("theirs", "")]


@pytest.mark.parametrize("text", TEXTS)
async def test_a_value_of_a_metadata_filter_is_a_value(store: PostgresStore, text: str) -> None:
    """What metadata keys are compared with is bound."""
    await store.memory.save_thread(a_thread("mine", resource_id="me", metadata={"said": text}))
    assert [found.id for found in await store.memory.list_threads(filter={"metadata": {"said": text}})] == ["mine"]
    assert [found.id for found in await store.memory.list_threads(filter={"metadata": {"said": f"{text} "}})] == []


@pytest.mark.parametrize("text", [*TEXTS, "said') = 'x' OR ('1", "a b", "é", ""])
async def test_a_key_of_a_metadata_filter_that_is_no_name_is_refused(store: PostgresStore, text: str) -> None:
    """Must hold: "SQL injection through … metadata keys": they become part of a statement's text, so that letters, digits and
    underscores are all there may be.
    """
    with pytest.raises(InvalidInputError):
        await store.memory.list_threads(filter={"metadata": {text: "x"}})


@pytest.mark.parametrize("text", [*TEXTS, "createdAt; DROP TABLE mastra_threads", "1", "id"])
async def test_an_order_that_is_none_is_refused(store: PostgresStore, text: str) -> None:
    """Must hold: "SQL injection through … order_by": neither its field nor its direction is ever text of a statement."""
    orders: list[Any] = [{"field": text}, {"direction": text}, {"field": "created_at", "direction": text}, text]
    for order in orders:
        with pytest.raises(MastraError):
            await store.memory.list_threads(order_by=order)
    with pytest.raises(MastraError):
        await store.memory.list_messages("theirs", order_by=orders[0])


@pytest.mark.parametrize("text", TEXTS)
async def test_what_vectors_are_found_by_is_a_value(postgres_url: str, behind: Any, text: str) -> None:
    """Ids, keys and values of filters; the name of an index, which becomes a table's, is refused."""
    async with PgVector(connection_string=postgres_url) as vectors:
        await vectors.create_index("docs", dimension=2)
        await vectors.upsert("docs", vectors=[[1, 0], [0, 1]], ids=[text, "other"], metadata=[{"said": text}, {"said": "x"}])
        assert [match.id for match in await vectors.query("docs", query_vector=[1, 0], filter={"said": text})] == [text]
        with pytest.raises(InvalidInputError):
            await vectors.create_index(text, dimension=2)
        await vectors.delete_vector("docs", id=text)
        assert behind.execute("SELECT vector_id FROM docs").fetchall() == [("other",)]


@pytest.mark.parametrize("schema", ['ex"t', 'x".vector; DROP TABLE mastra_threads; --'])
async def test_names_that_somebody_else_gave_are_names(store: PostgresStore, postgres_url: str, behind: Any, schema: str) -> None:
    """An operator may have put pgvector into any schema: its types, operators and functions are found there."""
    behind.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    behind.execute(sql.SQL("CREATE EXTENSION vector SCHEMA {}").format(sql.Identifier(schema)))
    async with PgVector(connection_string=postgres_url) as vectors:
        await vectors.create_index("docs", dimension=2)
        await vectors.upsert("docs", vectors=[[1, 0], [0, 1]], ids=["a", "b"])
        assert [match.id for match in await vectors.query("docs", query_vector=[1, 0], top_k=1)] == ["a"]
    assert await store.memory.get_thread_by_id("theirs") is not None
