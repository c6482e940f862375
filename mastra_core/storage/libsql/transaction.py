"""A transaction as the steps of one batch: each on the condition that the one before it succeeded, then COMMIT, or else ROLLBACK.

Knows statements and guards; sends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from mastra_core.storage.libsql.hrana import IN_TRANSACTION, HranaError, Result, Rows, Step, rows_of, succeeded, unless
from mastra_core.storage.libsql.remote_sql import REFUSED, REMOTE, guard
from mastra_core.storage.records.changes import Check
from mastra_core.storage.sql import writes
from mastra_core.storage.sql.reads import Statement


@attrs.frozen
class Outcome:
    """What came of a transaction.

    Attributes:
        rows: of every statement, in order; none of what was not run.
        refused: the place of the guard that failed; None when everything is written.
        after: the rows of what was to be read after a refusal.
    """

    rows: Sequence[Rows]
    refused: int | None
    after: Sequence[Rows]


class Transaction:
    """Statements that are written whole or not at all.

    Args:
        first: statements before the changes: guards of what was read.
        changes: the statements of the changes; each that may be refused gets its guard behind it.
    """

    def __init__(self, first: Sequence[Statement], changes: Sequence[writes.Step]) -> None:
        # What a batch before it on the stream could not end, for its answer was too long, is rolled back first.
        self._statements = [Statement("ROLLBACK", []), Statement("BEGIN IMMEDIATE", []), *first]
        self._writing: list[tuple[int, writes.Step]] = []
        self._guarded: dict[int, Sequence[writes.Indexed]] = dict.fromkeys(range(2, len(self._statements)), ())
        for step in changes:
            if not isinstance(step.changes[0][1], Check):
                self._writing.append((len(self._statements), step))
                self._statements.append(step.statement)
            if (check := guard(step)) is not None:
                self._guarded[len(self._statements)] = step.changes
                self._statements.append(check)

    def steps(self, after: Sequence[Statement]) -> list[Step]:
        """The batch; *after* is run if the transaction was not committed."""
        commit = len(self._statements)
        failed = unless(succeeded(commit))
        conditions = [IN_TRANSACTION, None, *map(succeeded, range(1, commit - 1))]
        steps = [Step(one.sql, one.parameters, condition) for one, condition in zip(self._statements, conditions, strict=True)]
        steps.append(Step("COMMIT", (), succeeded(commit - 1)))
        steps.append(Step("ROLLBACK", (), IN_TRANSACTION))
        return steps + [Step(one.sql, one.parameters, failed) for one in after]

    def outcome(self, results: Sequence[Result]) -> Outcome:
        """What the *results* of the batch say.

        Raises:
            HranaError: a statement failed that is no guard, and nothing was written.
        """
        commit = len(self._statements)
        refused = None
        for place, result in enumerate(results[: commit + 1]):
            if result.error is not None:
                if place not in self._guarded or REFUSED not in str(result.error):
                    raise result.error
                refused = place
        if refused is None and results[commit].rows is None:
            msg = "the server left the end of a transaction out, without an error"
            raise HranaError(msg, status=200, without_effect=True)
        after = [] if refused is None else [rows_of(result) for result in results[commit + 2 :]]
        return Outcome([result.rows or () for result in results[:commit]], refused, after)

    def refused(self, outcome: Outcome) -> Sequence[writes.Indexed]:
        """The changes of which one was refused; none if it was a guard of what was read."""
        return () if outcome.refused is None else self._guarded[outcome.refused]

    def answers(self, count: int, outcome: Outcome) -> list[Any]:
        """The answers to *count* changes, of a transaction that was committed."""
        answers: list[Any] = [None] * count
        for place, step in self._writing:
            for index, record in writes.answers(REMOTE, step, outcome.rows[place])[0].items():
                answers[index] = record
        return answers
