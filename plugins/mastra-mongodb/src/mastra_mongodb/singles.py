"""Changes of one record, each a command that is atomic by itself; and many of them that need not be atomic together.

Knows operations and plans; one of the files that talk to pymongo.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, PyMongoError

from mastra_core.storage.records.changes import Change, Check, Delete, Patch, Refused, Save
from mastra_core.storage.records.wire import check_values
from mastra_mongodb.faults import is_busy, is_duplicate
from mastra_mongodb.operations import Operation, holds, operation_of
from mastra_mongodb.planning import as_stored, planned
from mastra_mongodb.reading import Reader
from mastra_mongodb.sending import Connection, Sent
from mastra_mongodb.transactions import TRIES, conflict, pause
from mastra_mongodb.wire import Document, decoded, key_filter

ROOM = 16
"""How many single writes are under way at once."""
LONGEST = 1000
"""Of one command of writes that need not be atomic."""


class Singles:
    """Writes records one by one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._reader = Reader(connection.documents)

    async def write(self, change: Change) -> Any:
        """Make *change*; its answer.

        Raises:
            Refused: a condition did not hold.
            ConflictError: others won at every try.
        """
        operation = operation_of(change)
        for attempt in range(TRIES):
            try:
                if operation is not None:
                    document = await self._made(operation, change)
                    if document is not None:
                        return decoded(change.kind, document) if not isinstance(change, Check) and change.answer else None
                    if not operation.must:
                        return None
                done, answer = await self._known(change, knowing=operation is None)
                if done:
                    return answer
            except PyMongoError as error:
                if not (is_duplicate(error) or is_busy(error)):
                    raise
            await pause(attempt)
        raise conflict([change])

    async def spread(self, changes: Sequence[Change]) -> list[Any]:
        """Each change whole, in any order: in bulk as far as they can be written blindly, the others one by one.

        Raises:
            Refused: a condition did not hold; the other changes are made.
        """
        answers: list[Any] = [None] * len(changes)
        for change in changes:
            check_values(change)
        left = [index for index, change in enumerate(changes) if not _is_blind(change)]
        blind = [index for index in range(len(changes)) if index not in set(left)]
        for start in range(0, len(blind), LONGEST):
            part = blind[start : start + LONGEST]
            left += await self._bulk([(index, changes[index]) for index in part], answers)
        room = asyncio.Semaphore(ROOM)

        async def one(index: int) -> None:
            async with room:
                answers[index] = await self.write(changes[index])

        for outcome in await asyncio.gather(*map(one, left), return_exceptions=True):
            if isinstance(outcome, Refused):
                raise Refused(next(i for i, change in enumerate(changes) if change is outcome.change), outcome.change, outcome.found)
            if isinstance(outcome, BaseException):
                raise outcome
        return answers

    async def _made(self, operation: Operation, change: Change) -> Document | None:
        """The document as it is now (of a delete, as it was); None if none was met, or one that does not meet the conditions."""
        collection = self._connection.collection(operation.collection)
        shown = None if not isinstance(change, Check) and change.answer else {"_id": 1}
        if isinstance(change, Check):
            return await collection.find_one(operation.filter, shown)
        if operation.action == "delete":
            return await collection.find_one_and_delete(operation.filter)
        try:
            if operation.action == "insert":
                assert isinstance(operation.update, dict)
                await collection.insert_one(document := dict(operation.update))
                return document
            return await collection.find_one_and_update(
                operation.filter, operation.update, shown, upsert=operation.upsert, return_document=ReturnDocument.AFTER
            )
        except DuplicateKeyError:
            return None

    async def _known(self, change: Change, *, knowing: bool) -> tuple[bool, Any]:
        """Whether it is settled by what is stored, and the answer; where MongoDB cannot say the conditions, compare and set."""
        kind, collection = change.kind, self._connection.collection(change.kind.name)
        document = await collection.find_one(key_filter(kind, change.key))
        record = None if document is None else decoded(kind, document)
        if not holds(change, record):
            raise Refused(0, change, record)
        if document is None and isinstance(change, Delete | Patch):
            return True, None
        if not knowing:
            return False, None
        plan = planned([change], {} if document is None else {(kind.name, change.key): document})
        if isinstance(change, Check):
            return True, None
        (operation,) = plan.operations
        if document is not None:
            operation = unchanged(operation, document)
        return await self._made(operation, change) is not None, plan.answers[0]

    async def _bulk(self, part: Sequence[tuple[int, Change]], answers: list[Any]) -> list[int]:
        """Write blindly and fill in the answers; the places of those that must be looked at one by one."""
        operations = [operation for _, change in part if (operation := operation_of(change)) is not None]
        try:
            sent = await self._connection.send(operations)
        except PyMongoError as error:
            if not is_busy(error):
                raise
            sent = Sent(unmet=True)
        if sent.unmet:
            return [index for index, _ in part]
        unknown = []
        for place, (index, change) in enumerate(part):
            if isinstance(change, Check) or not change.answer:
                continue
            if isinstance(change, Save) and place in sent.created:
                answers[index] = as_stored(change.kind, change.record)
            else:
                unknown.append((index, change))
        stored = await self._reader.held([(change.kind, change.key) for _, change in unknown]) if unknown else {}
        for index, change in unknown:
            document = stored.get((change.kind.name, change.key))
            answers[index] = None if document is None else decoded(change.kind, document)
        return []


def unchanged(operation: Operation, document: Document) -> Operation:
    """*operation*, if the document is still exactly this one."""
    return Operation(
        operation.action,
        operation.collection,
        {**operation.filter, "$expr": {"$eq": ["$$ROOT", {"$literal": document}]}},
        operation.update,
        must=True,
    )


def _is_blind(change: Change) -> bool:
    """Whether it may be written again after a bulk that stopped in the middle: a deletion or a whole save, with the same outcome twice."""
    if isinstance(change, Delete):
        return not change.when and not change.answer
    return isinstance(change, Save) and change.present == "update" and not change.when and operation_of(change) is not None
