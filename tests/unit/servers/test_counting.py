"""The counters count what a real server was really asked, neither more nor less."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
import redis.asyncio
from redis.asyncio.cluster import RedisCluster

from tests.servers.counting import ClusterProxy, PostgresProxy, RespProxy, TcpProxy, counting_requests
from tests.servers.dynamodb import connect
from tests.servers.proxy import ProtocolError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SCRIPT = "redis.call('SET', KEYS[1], '1') redis.call('GET', KEYS[1]) return redis.call('INCR', KEYS[1])"


@pytest.fixture(params=[PostgresProxy, TcpProxy], ids=["by protocol", "by alternation"])
def postgres_proxy(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[TcpProxy]:
    with request.param.before(postgres_url) as proxy:
        yield proxy


@pytest.fixture
async def connection(postgres_proxy: TcpProxy) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(postgres_proxy.url, autocommit=True) as opened:
        yield opened


async def test_one_postgres_statement_is_one_round_trip(postgres_proxy: TcpProxy, connection: psycopg.AsyncConnection) -> None:
    """A budget of one round trip is met by one statement."""
    with postgres_proxy.counting() as n:
        await connection.execute("SELECT 1")
    assert (n.round_trips, n.waits, n.connections) == (1, 1, 0)


async def test_three_postgres_statements_one_after_another_are_three_round_trips(
    postgres_proxy: TcpProxy, connection: psycopg.AsyncConnection
) -> None:
    """Waiting for each answer is seen."""
    with postgres_proxy.counting() as n:
        for value in range(3):
            await connection.execute("SELECT %s::int", (value,))
    assert (n.round_trips, n.waits) == (3, 3)


async def test_a_postgres_pipeline_of_three_is_one_round_trip(postgres_proxy: TcpProxy, connection: psycopg.AsyncConnection) -> None:
    """The pipeline that a turn uses costs one wait."""
    with postgres_proxy.counting() as n:
        async with connection.pipeline():
            for value in range(3):
                await connection.execute("SELECT %s::int", (value,))
    assert (n.round_trips, n.waits) == (1, 1)


async def test_fetching_inside_a_postgres_pipeline_is_a_round_trip_of_its_own(
    postgres_proxy: TcpProxy, connection: psycopg.AsyncConnection
) -> None:
    """A pipeline whose middle waits for a result does not pass for one round trip."""
    with postgres_proxy.counting() as n:
        async with connection.pipeline():
            cursor = await connection.execute("SELECT 1")
            assert await cursor.fetchone() == (1,)
            await connection.execute("SELECT 2")
    assert n.round_trips == 2


async def test_copy_into_postgres_is_two_round_trips(postgres_proxy: TcpProxy, connection: psycopg.AsyncConnection) -> None:
    """The client waits for the server's permission, then for the outcome."""
    await connection.execute("CREATE TABLE t (v int)")
    with postgres_proxy.counting() as n:
        async with connection.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
            await copy.write("1\n2\n")
    assert n.round_trips == 2


@pytest.mark.parametrize("postgres_proxy", [PostgresProxy], indirect=True)
async def test_a_postgres_statement_larger_than_any_read_is_one_round_trip(
    postgres_proxy: TcpProxy, connection: psycopg.AsyncConnection
) -> None:
    """Megabytes in both directions do not look like several waits."""
    text = "x" * 5_000_000
    with postgres_proxy.counting() as n:
        cursor = await connection.execute("SELECT %s::text || %s::text", (text, text))
        assert await cursor.fetchone() == (text + text,)
    assert n.round_trips == 1


@pytest.mark.parametrize("postgres_proxy", [PostgresProxy], indirect=True)
async def test_answers_that_begin_before_a_postgres_pipeline_has_been_sent_are_one_round_trip(
    postgres_proxy: TcpProxy, connection: psycopg.AsyncConnection
) -> None:
    """The server writes results of a long pipeline while the client still sends: alternation, but no wait."""
    text = "x" * 500_000
    with postgres_proxy.counting() as n:
        async with connection.pipeline():
            for _ in range(60):
                await connection.execute("SELECT %s::text", (text,))
    assert (n.round_trips, len(n.sent)) == (1, 60)


@pytest.mark.parametrize("postgres_proxy", [PostgresProxy], indirect=True)
async def test_postgres_statements_are_told_by_text_also_when_prepared_before(
    postgres_proxy: TcpProxy, connection: psycopg.AsyncConnection
) -> None:
    """A failing budget can show what was sent."""
    for value in range(7):
        with postgres_proxy.counting() as n:
            await connection.execute("SELECT %s::int", (value,))
    assert n.sent == ["SELECT $1::int"]
    with postgres_proxy.counting() as n:
        async with connection.transaction():
            await connection.execute("SELECT 2")
    assert n.sent == ["BEGIN", "SELECT 2", "COMMIT"]


@pytest.mark.parametrize("postgres_proxy", [PostgresProxy], indirect=True)
async def test_opening_a_postgres_connection_is_told_apart_from_round_trips(postgres_proxy: TcpProxy) -> None:
    """An operation that opens a connection of its own cannot hide it."""
    with postgres_proxy.counting() as n:
        async with await psycopg.AsyncConnection.connect(postgres_proxy.url) as opened:
            await opened.execute("SELECT 1")
    assert n.connections == 1
    assert n.sent == ["BEGIN", "SELECT 1", "COMMIT"]


async def test_an_encrypted_postgres_connection_is_refused_instead_of_miscounted() -> None:
    """Bytes that cannot be read never count as nothing."""

    async def accept_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"S")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(accept_tls, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with (
            pytest.raises(ProtocolError, match="sslmode=disable"),
            PostgresProxy("127.0.0.1", port) as proxy,
            pytest.raises(psycopg.OperationalError),
        ):
            await psycopg.AsyncConnection.connect(f"postgresql://u@{proxy.host}:{proxy.port}/d")


@pytest.fixture
def redis_proxy(redis_url: str) -> Iterator[RespProxy]:
    with RespProxy.before(redis_url) as proxy:
        yield proxy


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
async def client(request: pytest.FixtureRequest, redis_proxy: RespProxy) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(redis_proxy.url, protocol=request.param) as opened:
        yield opened


async def test_a_redis_script_is_one_command_whatever_it_calls(redis_proxy: RespProxy, client: redis.asyncio.Redis) -> None:
    """The script that saves a turn meets a budget of one command."""
    sha = await client.script_load(SCRIPT)
    with redis_proxy.counting() as n:
        assert int(await client.evalsha(sha, 1, "k")) == 2
    assert (n.commands, n.round_trips) == ({"EVALSHA": 1}, 1)


async def test_a_redis_pipeline_counts_each_command_and_one_round_trip(redis_proxy: RespProxy, client: redis.asyncio.Redis) -> None:
    """A budget of one pipeline of at most four can be checked."""
    await client.ping()
    with redis_proxy.counting() as n:
        async with client.pipeline(transaction=False) as pipe:
            pipe.get("a").get("b").mget("c", "d")
            await pipe.execute()
    assert (n.sent, n.round_trips, n.waits) == (["GET", "GET", "MGET"], 1, 1)


async def test_a_redis_transaction_shows_its_frame(redis_proxy: RespProxy, client: redis.asyncio.Redis) -> None:
    """MULTI and EXEC are commands too."""
    await client.ping()
    with redis_proxy.counting() as n:
        async with client.pipeline(transaction=True) as pipe:
            await pipe.set("a", 1).set("b", 2).execute()
    assert (n.sent, n.round_trips) == (["MULTI", "SET", "SET", "EXEC"], 1)


async def test_redis_commands_one_after_another_are_as_many_round_trips(redis_proxy: RespProxy, client: redis.asyncio.Redis) -> None:
    """Waiting for each answer is seen, and a value of megabytes is still one."""
    await client.ping()
    with redis_proxy.counting() as n:
        await client.set("a", b"x\r\n*1\r\n" * 500_000)
        await client.get("a")
        await client.delete("a")
    assert (n.sent, n.round_trips, n.waits) == (["SET", "GET", "DEL"], 3, 3)


async def test_setting_up_a_redis_connection_counts_as_a_connection_only(redis_proxy: RespProxy, client: redis.asyncio.Redis) -> None:
    """HELLO, SELECT and CLIENT SETINFO do not spoil the count of the first operation."""
    with redis_proxy.counting() as n:
        await client.get("a")
    assert (n.sent, n.round_trips, n.connections) == (["GET"], 1, 1)


def test_an_inline_redis_command_is_counted(redis_proxy: RespProxy) -> None:
    """The protocol's second form of a command is read as well."""
    with redis_proxy.counting() as n, socket.create_connection((redis_proxy.host, redis_proxy.port)) as raw:
        raw.sendall(b"echo hello\r\n")
        assert raw.recv(100) == b"$5\r\nhello\r\n"
    assert n.sent == ["ECHO"]


async def test_cluster_commands_are_counted_over_all_masters(redis_cluster_url: str) -> None:
    """Three keys in three masters, in parallel: three commands; scripts count once."""
    with ClusterProxy(redis_cluster_url, hold_seconds=0.05) as proxy:
        async with RedisCluster.from_url(proxy.url, address_remap=proxy.address_remap) as cluster:
            # Slots of all three masters.
            keys = ["b0", "b1", "b2", "b3"]
            assert len({cluster.keyslot(key) // 5462 for key in keys}) == 3
            await asyncio.gather(*(cluster.set(key, 1) for key in keys))
            with proxy.counting() as n:
                await asyncio.gather(*(cluster.get(key) for key in keys))
            assert (n.commands, n.round_trips, n.waits, n.connections) == ({"GET": 4}, 4, 1, 0)
            with proxy.counting() as n:
                assert int(await cluster.eval(SCRIPT, 1, keys[0])) == 2
                await cluster.get(keys[1])
            assert (n.sent, n.round_trips, n.waits) == (["EVAL", "GET"], 2, 2)


def test_dynamodb_requests_are_told_by_operation_with_their_capacity(dynamodb_client: DynamoDBClient, dynamodb_table: str) -> None:
    """A budget of requests and units can be checked."""
    key = {"pk": {"S": "a"}, "sk": {"S": "b"}}
    with counting_requests(dynamodb_client) as n:
        dynamodb_client.put_item(TableName=dynamodb_table, Item=key, ReturnConsumedCapacity="TOTAL")
        dynamodb_client.get_item(TableName=dynamodb_table, Key=key, ConsistentRead=True, ReturnConsumedCapacity="TOTAL")
        dynamodb_client.batch_get_item(RequestItems={dynamodb_table: {"Keys": [key]}}, ReturnConsumedCapacity="TOTAL")
        dynamodb_client.get_item(TableName=dynamodb_table, Key=key)
    assert n.operations == ["PutItem", "GetItem", "BatchGetItem", "GetItem"]
    assert [(charge.operation, charge.table, charge.units) for charge in n.capacity] == [
        ("PutItem", dynamodb_table, 1.0),
        ("GetItem", dynamodb_table, 1.0),
        ("BatchGetItem", dynamodb_table, 0.5),
    ]
    assert n.units == 2.5


def test_nothing_is_counted_after_the_block(dynamodb_client: DynamoDBClient, dynamodb_table: str) -> None:
    """Counting one operation says nothing of the next."""
    with counting_requests(dynamodb_client) as n:
        dynamodb_client.list_tables(Limit=1)
    dynamodb_client.list_tables(Limit=1)
    assert n.operations == ["ListTables"]


def test_a_refused_dynamodb_request_is_counted(dynamodb_client: DynamoDBClient, dynamodb_table: str) -> None:
    """A failed condition costs a request too."""
    with counting_requests(dynamodb_client) as n, pytest.raises(dynamodb_client.exceptions.ConditionalCheckFailedException):
        dynamodb_client.put_item(
            TableName=dynamodb_table, Item={"pk": {"S": "a"}, "sk": {"S": "b"}}, ConditionExpression="attribute_exists(pk)"
        )
    assert (n.operations, n.capacity) == (["PutItem"], [])


def test_parallel_dynamodb_requests_are_one_wait_behind_a_tcp_proxy(dynamodb_endpoint: str) -> None:
    """Two requests side by side and two one after another are told apart."""
    with TcpProxy.before(dynamodb_endpoint, hold_seconds=0.2) as proxy:
        client = connect(proxy.url)
        with ThreadPoolExecutor(2) as pool:

            def side_by_side() -> None:
                list(pool.map(lambda _: client.list_tables(Limit=1), range(2)))

            side_by_side()
            with proxy.counting() as n:
                side_by_side()
            assert (n.round_trips, n.waits, n.connections) == (2, 1, 0)
            with proxy.counting() as n:
                client.list_tables(Limit=1)
                client.list_tables(Limit=1)
            assert (n.round_trips, n.waits) == (2, 2)
        client.close()
