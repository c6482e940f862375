"""What users see while a server dies under 32 tasks that save, and what is there afterwards."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
import warnings
from contextlib import contextmanager

import attrs
import pytest
import redis

from mastra_core import clock
from mastra_core.errors import StorageUnavailableError
from mastra_core.testing.samples import a_message, a_thread
from mastra_redis.store import RedisStore
from tests.servers.redis_cluster import SLOTS
from tests.servers.redis_fixtures import own_redis_cluster, own_redis_sentinels

TASKS = 32
BEFORE, AFTER = 5, 3
"""Turns that each task has saved before the server dies, and goes on to save once all is well again."""


@attrs.define
class Run:
    """What one task's thread was told."""

    thread_id: str
    acknowledged: list[str] = attrs.field(factory=list)
    acknowledged_at: list[float] = attrs.field(factory=list)
    refused: int = 0
    doubtful: list[str] = attrs.field(factory=list)


async def save_until(store, run, done, *, least=0):
    """Save turn after turn; read in between: a thread that has turns is never empty, and an error is the one that says so."""
    while not done(run):
        saved = [a_message(clock.new_id(within=run.thread_id), thread_id=run.thread_id, created=len(run.acknowledged) + run.refused)]
        try:
            await store.memory.save_turn(thread=a_thread(run.thread_id), messages=saved)
        except StorageUnavailableError:
            run.refused += 1
            run.doubtful += [message.id for message in saved]
            continue
        run.acknowledged += [message.id for message in saved]
        run.acknowledged_at.append(time.monotonic())
        try:
            page = await store.memory.list_messages(run.thread_id, per_page=5)
        except StorageUnavailableError:
            continue
        # The replica that took over may lack the newest; a page without any would be a lie.
        assert len(page) >= least
    return run


async def surviving(store, run):
    return {message.id async for message in store.memory.iter_messages(run.thread_id)}


async def crash(store, kill, *, seconds=40):
    """32 tasks save, `kill` happens in the middle, and all of them go on to save by themselves. The tasks' runs, and when it happened."""
    runs = [Run(f"thread-{number}") for number in range(TASKS)]
    async with asyncio.timeout(seconds):
        for run in runs:
            await save_until(store, run, lambda r: len(r.acknowledged) >= BEFORE)
        counts, died = {}, []

        def done(run):
            if not died:
                return False
            # Begun anew for each task by the first turn that is acknowledged after the failure was seen.
            first = counts.setdefault(run.thread_id, len(run.acknowledged))
            return len(run.acknowledged) >= first + AFTER

        tasks = [asyncio.create_task(save_until(store, run, done, least=BEFORE)) for run in runs]
        await asyncio.to_thread(kill)
        died.append(time.monotonic())
        await asyncio.gather(*tasks)
    return runs, died[0]


async def lost_of(store, runs, died):
    """How much was acknowledged and is missing: of each thread only what was saved last before the failure, in one piece."""
    lost, kept, oldest = 0, 0, 0.0
    for run in runs:
        there = await surviving(store, run)
        assert there <= {*run.acknowledged, *run.doubtful}, "nothing comes from nowhere"
        missing = [number for number, name in enumerate(run.acknowledged) if name not in there]
        assert missing == list(range(missing[0], missing[0] + len(missing))) if missing else True, "a hole in what was acknowledged"
        assert set(run.acknowledged[-AFTER:]) <= there, "acknowledged by the new master"
        lost, kept = lost + len(missing), kept + sum(name in there for name in run.doubtful)
        oldest = max([oldest, *(died - run.acknowledged_at[number] for number in missing)])
    acknowledged, refused = sum(len(run.acknowledged) for run in runs), sum(run.refused for run in runs)
    assert refused, "the failure was not noticed, so nothing was tested"
    print(f"{acknowledged} acknowledged, {refused} refused ({kept} of them kept), {lost} lost, the first {oldest:.3f} s before the failure")
    return lost


@pytest.fixture(autouse=True)
async def _clear_up():
    """redis-py forgets sockets that are made anew while others of the same pool are closed; they close when they are collected."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.parametrize("wait_replicas", [0, 1])
async def test_a_sentinel_failover_keeps_what_the_new_master_had_and_needs_no_restart(redis_server, wait_replicas):
    """Must hold: "A Sentinel failover … while 32 tasks save: acknowledged writes that reached the new master are there; callers see
    `StorageUnavailableError` or a retried success, never an empty page; recovery needs no restart."

    With WAIT, and a second replica that can confirm after the failover, nothing acknowledged is lost.
    """
    with own_redis_sentinels(replicas=1 + wait_replicas) as server:
        async with RedisStore(connection_string=f"{server.url}/0?wait_replicas={wait_replicas}", wait_seconds=1) as store:
            old = server.master()
            runs, died = await crash(store, old.kill)
            assert server.master() is not old
            lost = await lost_of(store, runs, died)
        # Without WAIT: what the old master had acknowledged and not sent yet.
        assert not (wait_replicas and lost)


@pytest.mark.parametrize("wait_replicas", [0, 1])
async def test_the_loss_of_a_cluster_node_keeps_what_its_replica_had_and_needs_no_restart(redis_server, wait_replicas):
    """Must hold: "… the loss of a cluster node while 32 tasks save: acknowledged writes that reached the new master are there; … never an
    empty page; recovery needs no restart".
    """
    with own_redis_cluster(replicas=1 + wait_replicas) as server:
        url = server.url.replace("redis://", "redis+cluster://")
        async with RedisStore(connection_string=f"{url}?wait_replicas={wait_replicas}", wait_seconds=1) as store:
            victim = server.masters[1]
            runs, died = await crash(store, victim.kill)
            lost = await lost_of(store, runs, died)
            low, high = SLOTS[1]
            assert any(low <= clock.place(run.thread_id) <= high for run in runs), "no thread was the victim's, so nothing was tested"
        assert not (wait_replicas and lost)


HELD_SECONDS = 0.3
"""How long the master goes on to take writes that no replica gets: less than Sentinels need to miss one."""


@contextmanager
def cut_off(master, replicas):
    """Let the replicas of a master stand still, without a connection to it, so that nothing of what it takes is on its way either."""
    ids = []
    for node in replicas:
        with redis.Redis.from_url(node.url) as client:
            ids.append(client.info("server")["process_id"])
    for one in ids:
        os.kill(one, signal.SIGSTOP)
    try:
        with redis.Redis.from_url(master.url) as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "replica")
        yield
    finally:
        for one in ids:
            os.kill(one, signal.SIGCONT)


@pytest.mark.parametrize("wait_replicas", [0, 1])
async def test_what_was_not_replicated_is_lost_and_waiting_acknowledges_none_of_it(redis_server, wait_replicas):
    """Must hold: "What asynchronous replication can lose is stated, measured, and narrowed by an optional `WAIT`".

    Cut off from its replicas, the master takes turns for 0.3 s and dies. What it acknowledged meanwhile is lost, and nothing else;
    with WAIT it acknowledged nothing.
    """
    with own_redis_sentinels(replicas=2) as server:
        async with RedisStore(connection_string=f"{server.url}/0?wait_replicas={wait_replicas}", wait_seconds=HELD_SECONDS) as store:
            master = server.master()
            runs = [Run(f"thread-{number}") for number in range(TASKS)]
            for run in runs:
                await save_until(store, run, lambda r: len(r.acknowledged) >= BEFORE)
            with cut_off(master, [node for node in server.nodes if node is not master]):
                end = time.monotonic() + HELD_SECONDS
                await asyncio.gather(*(save_until(store, run, lambda _: time.monotonic() > end, least=BEFORE) for run in runs))
                held, died = sum(len(run.acknowledged) - BEFORE for run in runs), time.monotonic()
                master.kill()
            async with asyncio.timeout(40):
                for run in runs:
                    count = len(run.acknowledged) + AFTER
                    await save_until(store, run, lambda r, count=count: len(r.acknowledged) >= count, least=BEFORE)
            print(f"{held} acknowledged by a master without replicas")
            assert await lost_of(store, runs, died) == held
            assert (held > 0) is (wait_replicas == 0)
