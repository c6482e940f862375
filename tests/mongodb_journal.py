"""Batches without transactions that are broken off, and what was sent for them: for tests of MongoDB's journal.

Knows how the engine sends, since a connection that breaks at a chosen write cannot be had otherwise. Must not know what is promised of it.
"""

from __future__ import annotations

import asyncio

import bson
from pymongo.errors import AutoReconnect
from pymongo.monitoring import CommandListener

from mastra_core.testing.samples import a_message
from mastra_mongodb.journal import JOURNAL

STEPS = ("nothing", "entry", "one message", "messages", "thread")
"""How far a turn of two messages has come, by the writes that were made of it; after the last, it only has to be said that it is over."""


class Commands(CommandListener):
    """Every command that was sent, but those of the connection itself; and when the third read of a patient reader was."""

    def __init__(self):
        self.names = []
        self.third_read = asyncio.Event()

    def started(self, event):
        if event.command_name not in {"hello", "ping", "endSessions"}:
            self.names.append(event.command_name)
        if self.names.count("aggregate") == 3:
            self.third_read.set()

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass

    def taken(self):
        names, self.names = self.names, []
        return names


def exchange(number, thread_id="t"):
    return [a_message(f"{thread_id}{number}{part}", thread_id=thread_id, created=10**8 + 2 * number + i) for i, part in enumerate("ua")]


def ids(found):
    return [message.id for message in found]


def left_long_ago(database):
    """Let the time pass after which a writer counts as gone."""
    database[JOURNAL].update_many({}, {"$set": {"at": bson.datetime_ms.DatetimeMS(0)}})


def all_is_over(database):
    """Nobody holds a record, and no reader waits."""
    return database[JOURNAL].count_documents({"$or": [{"done": {"$exists": False}}, {"keys": {"$exists": True}}]}) == 0


def break_off(store, writes):
    """The connection of *store* breaks for good after so many writes, wherever in a command that is."""
    connection = store.records.engine._connection
    whole, left = connection.send, [writes]

    async def send(operations, **given):
        made, left[0] = operations[: left[0]], max(0, left[0] - len(operations))
        if len(made) == len(operations):
            return await whole(operations, **given)
        await whole(made, **given)
        raise AutoReconnect("the connection broke")

    connection.send = send


def hold_in_the_middle(store):
    """Let the next batch of *store* stop after two writes; the events say that it is there, and let it go on."""
    connection = store.records.engine._connection
    whole, in_the_middle, go_on = connection.send, asyncio.Event(), asyncio.Event()

    async def send(operations, **given):
        if not in_the_middle.is_set():
            await whole(operations[:2], **given)
            in_the_middle.set()
            await go_on.wait()
        return await whole(operations, **given)

    connection.send = send
    return in_the_middle, go_on
