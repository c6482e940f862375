"""What is acknowledged survives, nothing is stored by halves, and the store goes on by itself: servers killed, restarted and replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import count
from typing import Self
from urllib.parse import urlsplit

import attrs
import psycopg
import pytest

from mastra_core import clock
from mastra_core.errors import StorageUnavailableError
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.records.changes import Patch
from mastra_core.storage.records.kinds import THREADS, Message, Thread
from mastra_core.storage.records.query import Get
from mastra_core.storage.sql.reads import Statement
from mastra_pg.connections import Connections
from mastra_pg.engine import PostgreSQLEngine
from mastra_pg.pipelines import piped
from mastra_pg.store import PostgresStore
from tests.servers.fixtures import own_postgres
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import ProtocolError, Relay

SAVERS = 32
START = clock.from_text("2024-01-01T00:00:00.000Z")
WHOLE = (1, 2)


async def save(memory: MemoryDomain, name: str) -> str:
    """Save a turn: a thread of this name and two messages; the name."""
    thread = Thread(id=name, resource_id="u", created_at=START, updated_at=START)
    messages = [Message(id=f"{name}-{role}", thread_id=name, role=role) for role in ("user", "assistant")]
    await memory.save_turn(thread=thread, messages=messages)
    return name


async def turns(url: str) -> dict[str, tuple[int, int]]:
    """How many threads and messages of each name the database holds; WHOLE is a whole turn."""
    counts = """
        SELECT name, count(*) FILTER (WHERE thread), count(*) FILTER (WHERE NOT thread) FROM (
          SELECT id AS name, true AS thread FROM mastra_threads UNION ALL SELECT thread_id, false FROM mastra_messages
        ) AS held GROUP BY name
    """
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return {name: (threads, messages) for name, threads, messages in await (await connection.execute(counts)).fetchall()}


class Savers:
    """Tasks that save one turn after another, and what became of them."""

    def __init__(self, memory: MemoryDomain) -> None:
        self._memory = memory
        self.acknowledged: list[str] = []
        self.refused: list[StorageUnavailableError] = []
        self._reached = asyncio.Condition()
        self._tasks = [asyncio.create_task(self._save(number)) for number in range(SAVERS)]
        self._latest = dict.fromkeys(range(SAVERS), 0)

    async def _save(self, number: int) -> None:
        for turn in count(1):
            try:
                name = await save(self._memory, f"t{number}-{turn}")
            except StorageUnavailableError as error:
                self.refused.append(error)
                await asyncio.sleep(0.01)  # as a caller who tries again would
            else:
                self.acknowledged.append(name)
                self._latest[number] = turn
                async with self._reached:
                    self._reached.notify_all()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Go on until it is so; what a saver met besides StorageUnavailableError is raised."""

        async def wait() -> None:
            async with self._reached:
                await self._reached.wait_for(reached)

        waiting = asyncio.create_task(wait())
        async with asyncio.timeout(60):
            done, _ = await asyncio.wait([waiting, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        for task in done:
            task.result()

    async def everyone_again(self) -> None:
        """Go on until each saver has been acknowledged another turn."""
        before = dict(self._latest)
        await self.until(lambda: all(self._latest[number] > turn for number, turn in before.items()))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def check_kept(url: str, acknowledged: list[str]) -> None:
    """Every acknowledged turn is there, and no half turn."""
    held = await turns(url)
    assert [name for name in acknowledged if held.get(name) != WHOLE] == []
    assert {name: found for name, found in held.items() if found != WHOLE} == {}


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of the test's own that keeps what it acknowledged."""
    with own_postgres() as running:
        yield running


async def test_a_server_killed_while_32_tasks_save_keeps_every_acknowledged_turn(server: PostgresServer) -> None:
    """Must hold: "The server killed (-9) while 32 tasks save: every acknowledged turn is there, no half turn, the pool recovers by itself
    within seconds, callers got `StorageUnavailableError`".
    """
    async with PostgresStore(connection_string=server.url) as store:
        await save(store.memory, "held")
        async with Savers(store.memory) as savers, await psycopg.AsyncConnection.connect(server.url) as other:
            await savers.until(lambda: len(savers.acknowledged) >= 5 * SAVERS)
            # One save is surely in the server when that is killed.
            await other.execute("SELECT FROM mastra_threads WHERE id = 'held' FOR UPDATE")
            held = asyncio.create_task(save(store.memory, "held"))
            await waiting_for_a_lock(other)
            await asyncio.to_thread(server.kill)
            await other.close()
            with pytest.raises(StorageUnavailableError, match="may or may not be stored, all of it or nothing"):
                await held
            await asyncio.to_thread(server.start)
            await savers.everyone_again()
        await check_kept(server.url, ["held", *savers.acknowledged])


async def waiting_for_a_lock(connection: psycopg.AsyncConnection) -> None:
    """Wait until somebody waits for a row that the *connection* holds."""
    async with asyncio.timeout(30):
        while not await (await connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")).fetchone():
            await asyncio.sleep(0.01)


async def test_a_restart_between_two_batches_is_not_noticed(server: PostgresServer) -> None:
    """Semantics: "a connection found dead before anything was sent is replaced and the batch sent once more", reads and writes alike."""
    async with PostgresStore(connection_string=server.url) as store:
        await asyncio.gather(*(save(store.memory, f"before-{number}") for number in range(10)))
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        await asyncio.gather(*(save(store.memory, f"after-{number}") for number in range(10)))
        assert await store.memory.get_thread_by_id("before-3") is not None
        assert len(await turns(server.url)) == 20


async def test_a_batch_waits_for_a_server_that_is_restarted(server: PostgresServer) -> None:
    """A save that begins while the server is away is stored once the server is back, since nothing of it had been sent."""
    async with PostgresStore(connection_string=server.url) as store:
        await save(store.memory, "before")
        await asyncio.to_thread(server.stop)
        saving, reading = asyncio.create_task(save(store.memory, "meanwhile")), asyncio.create_task(store.memory.get_thread_by_id("before"))
        await asyncio.to_thread(server.start)
        assert (await saving, (await reading) is not None) == ("meanwhile", True)
        assert await turns(server.url) == {"before": WHOLE, "meanwhile": WHOLE}


@pytest.mark.scale
async def test_a_store_follows_a_failover_to_the_promoted_standby() -> None:
    """Must hold: "Failover to a promoted replica through a two-host connection string"; what a synchronous standby acknowledged is there."""
    with own_postgres() as primary, own_postgres(standby_of=primary.url) as standby:
        await wait_for_copies(primary.url)
        async with PostgresStore(connection_string=of_two(standby, primary)) as store:
            async with Savers(store.memory) as savers:
                await savers.until(lambda: len(savers.acknowledged) >= 2 * SAVERS)
                await asyncio.to_thread(primary.kill)
                await asyncio.to_thread(standby.promote)
                await savers.everyone_again()
            await check_kept(standby.url, savers.acknowledged)


@pytest.mark.scale
async def test_a_store_follows_a_switchover_that_cuts_no_connection() -> None:
    """Issue: "Failover to a promoted replica through a two-host connection string", where the old primary lives on and refuses writes:
    one save is told so, and all that follow go to the new primary, whichever of the pool's connections they would have had.
    """
    with own_postgres() as primary, own_postgres(standby_of=primary.url) as standby:
        await wait_for_copies(primary.url)
        async with PostgresStore(connection_string=of_two(standby, primary)) as store:
            await asyncio.gather(*(save(store.memory, f"before-{number}") for number in range(SAVERS)))
            await asyncio.to_thread(no_more_writes, primary.url)
            await asyncio.to_thread(standby.promote)
            with pytest.raises(StorageUnavailableError, match="the server takes no writes"):
                await save(store.memory, "refused")
            await asyncio.gather(*(save(store.memory, f"after-{number}") for number in range(SAVERS)))
        names = {f"{when}-{number}" for when in ("before", "after") for number in range(SAVERS)}
        assert await turns(standby.url) == dict.fromkeys(names, WHOLE)


def no_more_writes(url: str) -> None:
    """Let every transaction of the server only read from now on, in connections that are there too."""
    with psycopg.connect(url, autocommit=True) as operator:
        operator.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        operator.execute("SELECT pg_reload_conf()")
    told = False
    while not told:
        # The server tells the processes that are there before it begins another one.
        with psycopg.connect(url) as connection:
            told = connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)


def of_two(first: PostgresServer, second: PostgresServer) -> str:
    """The URL of whichever of two servers takes writes; one that does not is asked first."""
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in (first, second))
    return f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"


async def wait_for_copies(url: str) -> None:
    """Let the server acknowledge only what a standby has, too."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        await connection.execute("SELECT pg_reload_conf()")
        async with asyncio.timeout(30):
            while not await (await connection.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'")).fetchone():
                await asyncio.sleep(0.05)


class Cut:
    """Cuts one connection, once: when a statement with *word* comes by, or the first answer to it."""

    def __init__(self) -> None:
        self.word: bytes | None = None
        self.answer = False

    def arm(self, word: bytes, *, answer: bool) -> None:
        self.word, self.answer = word, answer


class CutReader:
    """One connection at a `Cut`."""

    def __init__(self, cut: Cut) -> None:
        self._cut = cut
        self._asked = False

    def client_sent(self, data: bytes) -> None:
        if self._cut.word is not None and self._cut.word in data:
            self._asked = True
            if not self._cut.answer:
                self._end()

    def server_sent(self, data: bytes) -> None:
        if self._asked and self._cut.word is not None:
            self._end()

    def _end(self) -> None:
        self._cut.word = None
        msg = "cut"
        raise ProtocolError(msg)


@pytest.fixture
def cut(postgres_url: str) -> Iterator[tuple[Cut, str]]:
    """What cuts connections, and the URL of the database behind it."""
    where, cutting = urlsplit(postgres_url), Cut()
    with Relay(where.hostname or "", where.port or 0, lambda: CutReader(cutting), hold_seconds=0) as relay:
        user, at, _ = where.netloc.rpartition("@")
        yield cutting, where._replace(netloc=f"{user}{at}{relay.host}:{relay.port}").geturl()


@pytest.mark.parametrize("answer", [False, True])
async def test_a_read_cut_in_the_middle_is_asked_again(cut: tuple[Cut, str], answer: bool) -> None:
    """Issue: "A connection cut in mid-query likewise": who reads does not notice."""
    cutting, url = cut
    async with PostgresStore(connection_string=url) as store:
        await save(store.memory, "t")
        cutting.arm(b"mastra_messages", answer=answer)
        page = await store.memory.list_messages("t")
        assert (cutting.word, [message.id for message in page.items]) == (None, ["t-user", "t-assistant"])


@pytest.mark.parametrize("answer", [False, True])
async def test_a_write_cut_in_the_middle_is_said_to_be_uncertain_and_not_done_twice(cut: tuple[Cut, str], answer: bool) -> None:
    """Must hold: "A connection cut in mid-query likewise": an error that says so, a whole turn or nothing, and the store goes on."""
    cutting, url = cut
    async with PostgresStore(connection_string=url) as store:
        await save(store.memory, "before")
        cutting.arm(b"INSERT INTO", answer=answer)
        with pytest.raises(StorageUnavailableError, match="may or may not be stored, all of it or nothing"):
            await save(store.memory, "cut")
        await save(store.memory, "after")
        assert await turns(url) == {"before": WHOLE, "after": WHOLE} | ({"cut": WHOLE} if answer else {})


async def name(store: PostgresStore, title: str) -> list[Thread]:
    """Read the thread and give it a title, in one transaction."""
    return await store.records.decide([Get(THREADS, ("t",))], lambda _: [Patch(THREADS, ("t",), put={"title": title})])


@pytest.mark.parametrize("word", [b"BEGIN", b'FROM "mastra_threads"', b"UPDATE"])
async def test_a_decided_change_cut_before_its_commit_is_done_again(cut: tuple[Cut, str], word: bytes) -> None:
    """Semantics: "writes only when that is exact": what was not yet committed is surely not there."""
    cutting, url = cut
    async with PostgresStore(connection_string=url) as store:
        await save(store.memory, "t")
        cutting.arm(word, answer=False)
        (thread,) = await name(store, "found")
        assert (cutting.word, thread.title) == (None, "found")


async def test_a_decided_change_cut_at_its_commit_is_said_to_be_uncertain(cut: tuple[Cut, str]) -> None:
    """Semantics: "writes only when that is exact": whether a COMMIT without an answer took effect is not known."""
    cutting, url = cut
    async with PostgresStore(connection_string=url) as store:
        await save(store.memory, "t")
        cutting.arm(b"COMMIT", answer=True)
        with pytest.raises(StorageUnavailableError, match="may or may not be stored"):
            await name(store, "found")


async def test_a_save_cancelled_at_any_point_leaves_a_whole_turn_or_none(postgres_url: str) -> None:
    """A task that is cancelled in the middle of a save leaves the pool usable and no half turn."""
    connections = Connections(postgres_url, max_connections=2)
    store = PostgresStore(connection_string=postgres_url)
    store.records.engine = PostgreSQLEngine(connections)
    async with store:
        for steps in range(40):
            saving = asyncio.create_task(save(store.memory, f"t{steps}"))
            for _ in range(steps):
                await asyncio.sleep(0)
            saving.cancel()
            await asyncio.wait([saving])
        await asyncio.gather(*(save(store.memory, f"after-{number}") for number in range(10)))
        held = await turns(postgres_url)
        assert {name: found for name, found in held.items() if found != WHOLE} == {}
        assert {f"after-{number}" for number in range(10)} <= set(held)


@attrs.define
class Interrupted:
    """A statement at which its batch ends, once the one before it is on its way."""

    by: BaseException
    sql: str = "SELECT %s"

    @property
    def parameters(self) -> list[object]:
        """Nothing: the batch ends here."""
        raise self.by


@pytest.mark.parametrize("by", [asyncio.CancelledError(), KeyboardInterrupt(), psycopg.DataError("cannot be sent"), TypeError()])
async def test_a_batch_that_ends_between_two_statements_is_not_stored(postgres_url: str, by: BaseException) -> None:
    """No half turn, whatever comes between its thread and its messages; the error is the one that came, and the store goes on."""
    connections = Connections(postgres_url, max_connections=1)
    store = PostgresStore(connection_string=postgres_url)
    store.records.engine = PostgreSQLEngine(connections)
    thread = Statement(
        'INSERT INTO mastra_threads (id, "resourceId", title, "createdAt", "updatedAt") VALUES (%s, \'\', \'\', now(), now())', ["t"]
    )
    async with store:
        await store.init()
        with pytest.raises(type(by)):
            await connections.write(lambda connection: piped(connection, [thread, Interrupted(by)]))
        assert await turns(postgres_url) == {}
        await save(store.memory, "t")
        assert await turns(postgres_url) == {"t": WHOLE}


async def test_a_save_cancelled_while_it_waits_in_the_server_is_not_stored(postgres_url: str) -> None:
    """A cancelled task's statement is ended in the server as well, and its connection serves the next one."""
    async with PostgresStore(connection_string=postgres_url) as store:
        await save(store.memory, "t")
        async with await psycopg.AsyncConnection.connect(postgres_url) as other:
            await other.execute("SELECT FROM mastra_threads WHERE id = 't' FOR UPDATE")
            saving = asyncio.create_task(save(store.memory, "t"))
            await waiting_for_a_lock(other)
            saving.cancel()
            await asyncio.wait([saving])
            assert saving.cancelled()
        await save(store.memory, "after")
        assert await turns(postgres_url) == {"t": WHOLE, "after": WHOLE}
