"""Counts what a client says to a server, exactly, from outside: round trips, statements, commands, requests.

Put a proxy between the client and the server, or listen to a boto3 client, and count within a block:

    with PostgresProxy.before(postgres_url) as proxy:
        ... connect to proxy.url, and do once whatever only the first time costs ...
        with proxy.counting() as n:
            ... one turn ...
        assert n.round_trips == 1

Knows what a round trip is on each protocol. Must not know what is stored, nor mastra_core.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import redis

from .proxy import Reader, Relay
from .redis_cluster import command
from .wire import AnyReader, PostgresReader, RespReader, Tally

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Longer than a client needs between two parts of one burst, and than the next of several parallel requests needs to be sent.
HOLD_SECONDS = 0.005
COUNTED_HOLD_SECONDS = 0.03
"""The least while something is counted: a machine with more to do lets a client wait in the middle of a burst."""


class Count:
    """What happened within a `counting()` block; readable during it and after it."""

    def __init__(self, tally: Tally) -> None:
        """Begin now."""
        self._tally = tally
        self._begin = (tally.round_trips, tally.waits, tally.connections, len(tally.sent))
        self._end: tuple[int, int, int, int] | None = None

    def stop(self) -> None:
        """Count no further."""
        self._end = self._now()

    @property
    def round_trips(self) -> int:
        """Round trips, summed over connections: what was sent before an answer was handed over is one."""
        return self._delta(0)

    @property
    def waits(self) -> int:
        """Round trips one after another, over all connections: parallel ones count once if sent within `hold_seconds`.

        Never too few. Connections must be open before, as opening one takes time.
        """
        return self._delta(1)

    @property
    def connections(self) -> int:
        """Connections opened."""
        return self._delta(2)

    @property
    def sent(self) -> list[str]:
        """In order: at a PostgresProxy the SQL text of each execution, at a RespProxy each command's name, else nothing."""
        end = self._end or self._now()
        return self._tally.sent[self._begin[3] : end[3]]

    @property
    def commands(self) -> Counter[str]:
        """How often each text of `sent` was sent."""
        return Counter(self.sent)

    def _now(self) -> tuple[int, int, int, int]:
        tally = self._tally
        return (tally.round_trips, tally.waits, tally.connections, len(tally.sent))

    def _delta(self, index: int) -> int:
        return (self._end or self._now())[index] - self._begin[index]


class TcpProxy:
    """Counts round trips of any protocol of question and answer, HTTP for one: client bytes after server bytes begin one.

    Opening a connection counts as whatever its protocol says. Listens on `host:port` within its `with` block.
    """

    reader: Callable[[Tally], Reader] = AnyReader

    def __init__(self, target_host: str, target_port: int, *, hold_seconds: float = HOLD_SECONDS, tally: Tally | None = None) -> None:
        """Pass on to `target_host:target_port`, answers after `hold_seconds`; `tally` to share totals with another proxy."""
        self.target_host, self.target_port = target_host, target_port
        self._tally = tally or Tally()
        self._relay = Relay(target_host, target_port, lambda: type(self).reader(self._tally), hold_seconds=hold_seconds)
        self._target_url = ""

    @classmethod
    def before(cls, url: str, *, hold_seconds: float = HOLD_SECONDS) -> Self:
        """Make a proxy for the server that `url` names; `proxy.url` is the same address through the proxy."""
        parts = urlsplit(url)
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"{parts.scheme}:// URL without host or port: a proxy needs both")
        proxy = cls(parts.hostname, parts.port, hold_seconds=hold_seconds)
        proxy._target_url = url
        return proxy

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._relay.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Cut all connections; raises ProtocolError when one could not be counted."""
        self._relay.__exit__(kind, error, trace)
        if error is None:
            self._check()

    @property
    def host(self) -> str:
        """Where the proxy listens."""
        return self._relay.host

    @property
    def port(self) -> int:
        """Where the proxy listens."""
        return self._relay.port

    @property
    def url(self) -> str:
        """The URL given to `before`, through the proxy."""
        parts = urlsplit(self._target_url)
        user, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{user}{at}{self.host}:{self.port}").geturl()

    @contextlib.contextmanager
    def counting(self) -> Iterator[Count]:
        """Count what passes within the block; raises ProtocolError when a connection could not be counted."""
        with self.holding():
            count = Count(self._tally)
            yield count
            count.stop()
        self._check()

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Hold answers back for so long within the block that what is counted there is right on a busy machine too."""
        before = self._relay.hold_seconds
        self._relay.hold_seconds = max(before, COUNTED_HOLD_SECONDS)
        try:
            yield
        finally:
            self._relay.hold_seconds = before

    def _check(self) -> None:
        if self._relay.failures:
            raise self._relay.failures[0]


class PostgresProxy(TcpProxy):
    """Counts PostgreSQL's round trips by its protocol, and the statements; connecting is not counted. No TLS."""

    reader = PostgresReader


class RespProxy(TcpProxy):
    """Counts Redis's commands and round trips by its protocol; a script is one command, setting up a connection none."""

    reader = RespReader


class ClusterProxy:
    """Counts the commands to all masters of a Redis Cluster: pass `url` and `address_remap` to RedisCluster.from_url.

    The client learns the nodes' own addresses from the cluster and `address_remap` leads it to the proxies. After a MOVED
    answer redis-py would go past them; the slots of a test cluster do not move.
    """

    def __init__(self, url: str, *, hold_seconds: float = HOLD_SECONDS) -> None:
        """Make a proxy for each master of the cluster of which `url` is a node."""
        self._tally = Tally()
        with redis.Redis.from_url(url) as client:
            slots = command(client, "CLUSTER SLOTS")
        masters = [(host.decode(), int(port)) for _, _, (host, port, *_), *_ in slots]
        self._proxies = {master: RespProxy(*master, hold_seconds=hold_seconds, tally=self._tally) for master in masters}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Begin to listen."""
        with contextlib.ExitStack() as stack:
            for proxy in self._proxies.values():
                stack.enter_context(proxy)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Cut all connections."""
        self._stack.__exit__(kind, error, trace)

    @property
    def url(self) -> str:
        """The first master, through its proxy."""
        proxy = next(iter(self._proxies.values()))
        return f"redis://{proxy.host}:{proxy.port}"

    def address_remap(self, address: tuple[str, int]) -> tuple[str, int]:
        """Lead from a node's own address to its proxy's."""
        proxy = self._proxies.get(address)
        return address if proxy is None else (proxy.host, proxy.port)

    @contextlib.contextmanager
    def counting(self) -> Iterator[Count]:
        """Count what passes within the block, over all masters."""
        with contextlib.ExitStack() as stack:
            for proxy in self._proxies.values():
                stack.enter_context(proxy.holding())
            count = Count(self._tally)
            yield count
            count.stop()


@dataclass(frozen=True)
class Capacity:
    """What DynamoDB charged for one table in one request."""

    operation: str
    table: str
    read_units: float | None
    write_units: float | None
    units: float


@dataclass
class Requests:
    """What a boto3 client sent within a `counting_requests` block."""

    operations: list[str] = field(default_factory=list)
    """Each HTTP request's operation, in the order of sending; a retry is a request."""
    capacity: list[Capacity] = field(default_factory=list)
    """From each answer that carries it: the request must ask with ReturnConsumedCapacity."""
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def units(self) -> float:
        """Capacity units of all answers together."""
        return sum(charge.units for charge in self.capacity)


@contextlib.contextmanager
def counting_requests(client: DynamoDBClient) -> Iterator[Requests]:
    """Count the requests of one boto3 DynamoDB client within the block, from whichever thread."""
    requests = Requests()

    def sending(event_name: str, **_: object) -> None:
        with requests.lock:
            requests.operations.append(event_name.rpartition(".")[2])

    def answered(parsed: dict[str, Any], model: Any, **_: object) -> None:
        consumed = parsed.get("ConsumedCapacity", [])
        with requests.lock:
            for entry in consumed if isinstance(consumed, list) else [consumed]:
                charge = Capacity(
                    model.name, entry["TableName"], entry.get("ReadCapacityUnits"), entry.get("WriteCapacityUnits"), entry["CapacityUnits"]
                )
                requests.capacity.append(charge)

    events = client.meta.events
    events.register("before-send.dynamodb", sending)
    events.register("after-call.dynamodb", answered)
    try:
        yield requests
    finally:
        events.unregister("before-send.dynamodb", sending)
        events.unregister("after-call.dynamodb", answered)
