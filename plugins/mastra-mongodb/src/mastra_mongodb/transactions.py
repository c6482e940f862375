"""Batches in transactions of the server: what carries its own conditions is written blindly, in one command and the commit.

A batch that others got in the way of is tried again; one that was not met as it wanted is planned anew from what is stored, read in the
same transaction. Knows operations and plans; one of the files that talk to pymongo.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from pymongo import WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError

from mastra_core.errors import ConflictError
from mastra_core.storage.records.changes import Change, Check, Delete, Patch, Save
from mastra_core.storage.records.query import Get
from mastra_mongodb.faults import is_busy, labelled
from mastra_mongodb.operations import Operation, held, operation_of
from mastra_mongodb.planning import as_stored, planned, watched
from mastra_mongodb.reading import Reader
from mastra_mongodb.sending import Connection
from mastra_mongodb.wire import decoded, key_filter

TRIES = 20
COMMITS = 3
LONGEST_PAUSE_SECONDS = 0.5
Decision = Callable[[list[Any]], Sequence[Change]]


class Transactions:
    """Writes batches, each in a transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def write(self, changes: Sequence[Change]) -> list[Any]:
        """All of *changes* or nothing; the answers are what the port asks for.

        Raises:
            Refused: a condition did not hold.
            ConflictError: others won at every try.
        """
        found = [None if _must_be_read(change) else operation_of(change) for change in changes]
        operations = [operation for operation in found if operation is not None]
        blindly = len(operations) == len(changes)
        for attempt in range(TRIES):
            work = partial(self._blindly, changes, operations) if blindly else partial(self._knowingly, (), lambda _: changes)
            try:
                answers = await self._transacted(work)
            except PyMongoError as error:
                if not is_busy(error):
                    raise
                await pause(attempt)
                continue
            if answers is not None:
                return answers
            if not blindly:
                await pause(attempt)
            blindly = False
        raise conflict(changes)

    async def decide(self, gets: Sequence[Get[Any]], change: Decision) -> list[Any]:
        """Read, let *change* compute, and write if nothing that was read has changed or appeared.

        Raises:
            Refused, ConflictError: as write.
        """
        for attempt in range(TRIES):
            try:
                answers = await self._transacted(partial(self._knowingly, gets, change))
            except PyMongoError as error:
                if not is_busy(error):
                    raise
                answers = None
            if answers is not None:
                return answers
            await pause(attempt)
        raise conflict(gets)

    async def _transacted(self, work: Callable[[AsyncClientSession], Awaitable[list[Any] | None]]) -> list[Any] | None:
        """What *work* gives, committed; None takes back what it wrote."""
        async with self._connection.client.start_session() as session:
            # Read concern "local": what a batch rests on it also writes or holds, so that any change since its reads is a conflict.
            await session.start_transaction(write_concern=WriteConcern("majority"))
            answers = await work(session)
            # Leaving takes back what is not committed.
            if answers:
                await _commit(session)
            return answers

    async def _blindly(self, changes: Sequence[Change], operations: Sequence[Operation], session: AsyncClientSession) -> list[Any] | None:
        sent = await self._connection.send(operations, session=session)
        if sent.unmet:
            return None
        if sent.idle:
            guards = [
                held(one.collection, key_filter(change.kind, change.key)) for one, change in _pairs(operations, changes) if one.guards
            ]
            await self._connection.send([one for pair in guards for one in pair], session=session)
        unknown = [
            index
            for index, change in enumerate(changes)
            if not isinstance(change, Check) and change.answer and not (isinstance(change, Save) and index in sent.created)
        ]
        stored = await self._reader(session).held([(changes[index].kind, changes[index].key) for index in unknown]) if unknown else {}
        answers: list[Any] = []
        for index, change in enumerate(changes):
            document = stored.get((change.kind.name, change.key)) if index in unknown else None
            if document is not None:
                answers.append(decoded(change.kind, document))
            else:
                answers.append(as_stored(change.kind, change.record) if isinstance(change, Save) and change.answer else None)
        return answers

    async def _knowingly(self, gets: Sequence[Get[Any]], change: Decision, session: AsyncClientSession) -> list[Any] | None:
        reader = self._reader(session)
        read = {(get.kind.name, get.key): get for get in gets}
        stored = await reader.held([(get.kind, get.key) for get in gets]) if gets else {}
        records = [stored.get((get.kind.name, get.key)) for get in gets]
        changes = change([None if document is None else decoded(get.kind, document) for get, document in zip(gets, records, strict=True)])
        if not changes:
            return []
        named = {(one.kind.name, one.key): one for one in changes}
        unread = [(one.kind, one.key) for place, one in named.items() if place not in read]
        stored |= await reader.held(unread) if unread else {}
        plan = planned(changes, stored)
        left = {**read, **named}.items()
        only_read = [watched(one.kind, one.key, there=place in stored) for place, one in left if isinstance(one, Get | Check)]
        operations = [*plan.operations, *(one for pair in only_read for one in pair)]
        if not operations:
            return plan.answers
        sent = await self._connection.send(operations, session=session)
        if sent.idle and not sent.unmet:
            guards = [held(one.collection, one.filter) for one in operations if one.guards]
            await self._connection.send([one for pair in guards for one in pair], session=session)
        return None if sent.unmet else plan.answers

    def _reader(self, session: AsyncClientSession) -> Reader:
        return Reader(partial(self._connection.documents, session=session), unites=False)


def _must_be_read(change: Change) -> bool:
    """Whether the answer, or what "no document" means, is known only by a look: what went, or a touch of what may be gone."""
    if isinstance(change, Delete):
        return change.answer or bool(change.when)
    return isinstance(change, Patch) and change.missing == "skip" and bool(change.when)


def _pairs(operations: Sequence[Operation], changes: Sequence[Change]) -> Sequence[tuple[Operation, Change]]:
    return list(zip(operations, changes, strict=True))


async def _commit(session: AsyncClientSession) -> None:
    """Commit, and ask again while the answer was lost; committing twice is committing once."""
    for left in reversed(range(COMMITS)):
        try:
            await session.commit_transaction()
        except PyMongoError as error:
            if not left or not labelled(error, "UnknownTransactionCommitResult"):
                raise
        else:
            return


async def pause(attempt: int) -> None:
    """Let others finish; spreads writers, guards no secret."""
    await asyncio.sleep(random.random() * min(0.005 * 2**attempt, LONGEST_PAUSE_SECONDS))


def conflict(wanted: Sequence[Change | Get[Any]], *, tries: int = TRIES) -> ConflictError:
    """The error of one who lost at every try."""
    shown = ", ".join(f"{one.kind.name} {'/'.join(one.key)}" for one in wanted[:3])
    more = f" and {len(wanted) - 3} more" if len(wanted) > 3 else ""
    return ConflictError(
        f"other writers changed {shown}{more} at each of {tries} tries; nothing was written. Try again, or have fewer writers at once."
    )
