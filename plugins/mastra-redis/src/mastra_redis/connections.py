"""Commands on their way: how many at once, what may be sent again, and the wait for replicas.

Must not know a key, a record or what a script does.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import SSLConnection
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004  # the driver's name
    MaxConnectionsError,
    NoPermissionError,
    NoScriptError,
    RedisClusterException,
    RedisError,
    TimeoutError,  # noqa: A004  # the driver's name
)

from mastra_core.storage.records.engine import PoolState
from mastra_redis.faults import NotConfirmed, WriteInterrupted

AT_ONCE = 64
"""Commands on their way at the same time; more wait in this process, so that no pool of connections runs dry."""


@attrs.frozen(kw_only=True)
class Confirmation:
    """How many replicas must have a write before it is answered, and how long that may take."""

    replicas: int
    seconds: float


class Caller:
    """Sends commands by one client.

    Args:
        connect: makes the client, on first use; it must not retry by itself.
        owned: whether close() closes the client.
        confirmation: of writes; None is the master's word alone.
    """

    def __init__(self, connect: Callable[[], Redis | RedisCluster], *, owned: bool, confirmation: Confirmation | None) -> None:
        self._connect = connect
        self._owned = owned
        self._confirmation = confirmation
        self._client: Any = None
        self._room = asyncio.Semaphore(AT_ONCE)
        self._sending = 0

    @property
    def client(self) -> Redis | RedisCluster:
        """The client, made now if it was not yet."""
        if self._client is None:
            self._client = self._connect()
        client: Redis | RedisCluster = self._client
        return client

    @property
    def is_cluster(self) -> bool:
        """Whether keys are spread over nodes."""
        return isinstance(self.client, RedisCluster)

    @property
    def speaks_tls(self) -> bool:
        """Whether connections are of TLS."""
        client = self.client
        kind = (
            client.connection_kwargs.get("connection_class")
            if isinstance(client, RedisCluster)
            else client.connection_pool.connection_class
        )
        return isinstance(kind, type) and issubclass(kind, SSLConnection)

    def pool(self) -> PoolState | None:
        """How busy the connections to one node are; None before there are any, and where redis-py does not tell."""
        counted = getattr(getattr(self._client, "connection_pool", None), "get_connection_count", None)
        if counted is None:
            return None
        (idle, _), (used, _) = counted()
        return PoolState(open=idle + used, idle=idle, waiting=max(0, self._sending - AT_ONCE))

    async def close(self) -> None:
        """Close the client if it is ours."""
        client, self._client = self._client, None
        if client is not None and self._owned:
            await _closed(client)

    async def send(self, *command: Any, writes: bool = False, **parsing: Any) -> Any:
        """Make one command.

        Raises:
            WriteInterrupted: it *writes*, and nobody knows whether it was made.
            NotConfirmed: it was made, and too few replicas said in time that they have it.
        """
        self._sending += 1
        try:
            async with self._room:
                return await self._sent(command, parsing, writes=writes)
        finally:
            self._sending -= 1

    async def _sent(self, command: Sequence[Any], parsing: Mapping[str, Any], *, writes: bool) -> Any:
        try:
            if writes and self._confirmation is not None:
                return await self._confirmed(self._confirmation, command, parsing)
            return await driven(self._client.execute_command(*command, **parsing))
        except (ConnectionError, TimeoutError) as error:
            if writes and not _never_made(error):
                raise WriteInterrupted(str(error)) from error
            raise

    async def script(self, script: str, keys: Sequence[str], args: Sequence[str | bytes], *, writes: bool = False) -> Any:
        """Run a script, which the server may not have yet."""
        try:
            return await self.send("EVALSHA", _digest(script), len(keys), *keys, *args, writes=writes)
        except NoScriptError:
            return await self.send("EVAL", script, len(keys), *keys, *args, writes=writes)

    def nodes(self) -> list[Any]:
        """What `scan` looks through: the masters of a cluster, else None alone."""
        return list(self._client.get_primaries()) if self.is_cluster else [None]

    async def scan(self, node: Any, *arguments: Any) -> tuple[int, list[bytes]]:
        """One SCAN of one of `nodes`: the next cursor, and names."""
        cursor, found = await self.send("SCAN", *arguments, **({} if node is None else {"target_nodes": node}))
        # A cluster's client gives a cursor for each node.
        return int(cursor if node is None else cursor[node.name]), found

    async def ping(self) -> None:
        """One PING, to every node of a cluster."""
        await driven(self._client.ping())

    async def about(self) -> tuple[list[Mapping[str, Any]], float]:
        """What INFO and CONFIG say of each master, as far as this user may ask, and how long a round trip took in seconds.

        By a client of its own, unless one was handed in.

        `save` is missing where CONFIG may not be asked, everything where INFO may not.
        """
        client: Any = self._connect()
        try:
            clock = asyncio.get_running_loop().time
            nodes: list[Mapping[str, Any]] = []
            if isinstance(client, RedisCluster):
                await driven(client.initialize())
                nodes = [{"target_nodes": node} for node in client.get_primaries()]
            told = [await _told(client, node) for node in nodes or [{}]]
            asked = clock()
            await client.ping()
            return told, clock() - asked
        finally:
            if self._owned:
                await _closed(client)

    async def _confirmed(self, wanted: Confirmation, command: Sequence[Any], parsing: Mapping[str, Any]) -> Any:
        """Make a command and, over the same connection, wait for the replicas: one round trip."""
        where = {}
        key = command[3] if command[0] in {"EVAL", "EVALSHA"} else command[1]
        if self.is_cluster:
            await driven(self._client.initialize())
            where = {"target_nodes": self._client.get_node_from_key(key)}
        pipe = self._client.pipeline(transaction=False)
        pipe.execute_command(*command, **parsing, **where)
        pipe.execute_command("WAIT", wanted.replicas, round(wanted.seconds * 1000), **where)
        try:
            answer, reached = await driven(pipe.execute(raise_on_error=False))
            if isinstance(answer, BaseException):
                raise answer
        except (ConnectionError, TimeoutError):
            if self.is_cluster:
                await self._look_again(key)
            raise
        if isinstance(reached, BaseException):
            raise WriteInterrupted(str(reached)) from reached
        if reached < wanted.replicas:
            raise NotConfirmed(f"{reached} of {wanted.replicas} replicas confirmed it within {wanted.seconds:g} s")
        return answer

    async def _look_again(self, key: str) -> None:
        """Let a cluster's client find the masters anew: its pipelines do not when a node is gone, its commands do."""
        try:
            await driven(self._client.execute_command("EXISTS", key))
        except RedisError:
            # The failure is the signal; the caller reports that of its write.
            return


async def _closed(client: Any) -> None:
    await client.aclose()
    pool = getattr(client, "connection_pool", None)
    if isinstance(pool, SentinelConnectionPool):
        # A client that Sentinels lead does not own its clients of them.
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()


async def _told(client: Any, node: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        told: dict[str, Any] = {}
        for section in ("server", "persistence", "memory", "replication"):
            told |= await client.info(section, **node)
    except NoPermissionError:
        return {}
    try:
        told |= await client.config_get("save", **node)
    except RedisError:
        # Hosted servers take CONFIG away, with words of their own.
        return told
    return told


_DIGESTS: dict[str, str] = {}


def _digest(script: str) -> str:
    found = _DIGESTS.get(script)
    if found is None:
        found = _DIGESTS[script] = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
    return found


def _never_made(error: BaseException) -> bool:
    """Whether the command cannot have been made: no connection, a server that is loading, or a master of before; told by type and words."""
    text = str(error)
    refused = isinstance(error, BusyLoadingError | MaxConnectionsError | AuthenticationError)
    return refused or "connecting to" in text or "No master found" in text or "previous master is now a slave" in text


_OF_A_STREAM = frozenset({"writelines", "drain", "readexactly", "readline", "read", "close", "wait_closed", "name"})


async def driven(call: Awaitable[Any]) -> Any:
    """Await a call of the driver.

    When it looks at a cluster anew, redis-py closes connections that other tasks use, whose streams are then None.
    """
    try:
        return await call
    except AttributeError as error:
        if error.obj is not None or error.name not in _OF_A_STREAM:
            raise
        raise ConnectionError("the connection was closed while it was in use") from error
    except IndexError as error:
        # Meanwhile, redis-py 7 may know no node to ask.
        raise ConnectionError("no node of the cluster is known at the moment") from error
    except RedisClusterException as error:
        # Nothing was sent: no node answered when a cluster's client looked for its nodes. It is no RedisError.
        raise ConnectionError(str(error)) from error


async def partly(call: Awaitable[list[Any]]) -> list[Any]:
    """Await what comes after something was written: an error must not let the whole be tried again."""
    try:
        return await call
    except RedisError as error:
        raise WriteInterrupted(str(error)) from error
