"""One write request at a time: what queues up while it is under way goes together in the next.

SQLite lets one transaction write at a time, wherever it runs. Writers that wait here take turns and share requests; many that wait in the
server have been seen to lock one another out until it was started again (sqld 0.24). Knows batches; must not know statements or records.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import attrs

from mastra_core.errors import StoreClosedError
from mastra_core.storage.libsql.hrana import Batch, HranaClient, HranaError, Result, Step

GROUP = 32
"""How many batches share a request at most."""

GROUP_BYTES = 1_000_000
"""How long a shared request may become; a longer batch goes alone."""


@attrs.frozen(eq=False)
class Job:
    """A batch, and who waits for it."""

    batch: Batch
    results: asyncio.Future[list[Result]]


class WriteQueue:
    """Sends batches that write, in the order given.

    Args:
        client: sends them.
    """

    def __init__(self, client: HranaClient) -> None:
        self._client = client
        self._waiting: deque[Job] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._closed = False

    async def run(self, steps: Sequence[Step], *, repeatable: bool = False) -> list[Result]:
        """The results of *steps*, which end the transaction they begin.

        Raises:
            HranaError: as HranaClient.send.
            StoreClosedError: close() was called.
        """
        if self._closed:
            msg = "the store was closed while this operation waited; open a new one to go on"
            raise StoreClosedError(msg)
        job = Job(Batch(steps, repeatable=repeatable), asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        return await job.results

    async def close(self) -> None:
        """Finish what was accepted."""
        self._closed = True
        if self._sender is not None:
            await self._sender

    async def _send(self) -> None:
        jobs: list[Job] = []
        try:
            while jobs := self._next():
                try:
                    outcomes = await self._client.send([job.batch for job in jobs])
                except HranaError as error:
                    outcomes = [error.again() for _ in jobs]
                for job, outcome in zip(jobs, outcomes, strict=True):
                    _tell(job, outcome)
        except BaseException as error:
            # A bug, or the loop is ending: nobody may wait for ever.
            for job in [*jobs, *self._waiting]:
                _tell(job, error)
            self._waiting.clear()
            raise
        finally:
            self._sender = None

    def _next(self) -> list[Job]:
        """What goes into the next request: at least one batch, if any waits for whom somebody waits."""
        jobs: list[Job] = []
        size = 0
        while self._waiting and len(jobs) < GROUP:
            job = self._waiting[0]
            size += len(job.batch.text)
            if jobs and size > GROUP_BYTES:
                break
            self._waiting.popleft()
            if not job.results.done():
                jobs.append(job)
        return jobs


def _tell(job: Job, outcome: list[Result] | BaseException) -> None:
    if job.results.done():
        return
    if isinstance(outcome, BaseException):
        job.results.set_exception(outcome)
    else:
        job.results.set_result(outcome)
