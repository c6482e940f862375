"""The scores domain: what scorers thought of runs (contract §2.3, semantics §2.15).

Written once for every backend. Knows records and the port; must not know any engine or scorer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

import attrs

from mastra_core import clock
from mastra_core.errors import InvalidInputError
from mastra_core.storage.domains.clearing import clear
from mastra_core.storage.domains.operation import operation
from mastra_core.storage.domains.paging import Cut, Page, check_options
from mastra_core.storage.domains.score_payload import ENTITY_TYPES, SOURCES, ScorePayload, checked_payload, one_of
from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.checks import check_id
from mastra_core.storage.records.query import Count, Get, Is, Query, Read
from mastra_core.storage.records.records import Records
from mastra_core.storage.records.score_kinds import SCORES, Score


class ScoreFilters(TypedDict, total=False):
    """Whose scores a list is about; both keys together mean both."""

    organization_id: str
    project_id: str


class ScoresDomain:
    """Scores of one store."""

    domain = "scores"

    def __init__(self, records: Records, *, product: str) -> None:
        self.records = records
        self.product = product

    @operation
    async def save_score(self, payload: ScorePayload) -> Score:
        """Check the score, save it, and return it as stored. With the `id` of a stored one it replaces that, and keeps its created_at.

        Args:
            payload: what was scored and how; `structured_output` is accepted, as TypeScript accepts it, and not stored.

        Raises:
            InvalidInputError: a field is missing, unknown or of the wrong type; nothing was sent. Its code ends in VALIDATION_FAILED.
        """
        now = clock.now()
        try:
            values = {"id": clock.new_id(), **checked_payload(payload)}
            answers = await self.records.apply(Save(SCORES, Score(**values, created_at=now, updated_at=now)))
        except InvalidInputError as error:
            error.code = f"MASTRA_STORAGE_{self.product.upper()}_SAVE_SCORE_VALIDATION_FAILED"
            raise
        saved: Score = answers[0]
        return saved

    @operation
    async def get_score_by_id(self, id: str) -> Score | None:  # the name TypeScript users know
        """The score, or None."""
        found: tuple[Score | None] = await self.records.fetch(Get(SCORES, (id,)))
        return found[0]

    @operation
    async def list_scores_by_scorer_id(
        self,
        scorer_id: str,
        *,
        entity_id: str | None = None,
        entity_type: str | None = None,
        source: Literal["LIVE", "TEST"] | None = None,
        filters: ScoreFilters | None = None,
        page: int = 0,
        per_page: int | None = 100,
        include_total: bool = True,
    ) -> Page[Score]:
        """What one scorer gave, newest first; of one entity, of one kind of entity, of live runs or tests, if asked.

        Args:
            scorer_id: the scorer.
            entity_id: only scores of this agent, workflow or step.
            entity_type: only scores of such entities: "AGENT", "WORKFLOW", …
            source: "LIVE" or "TEST".
            filters: `organization_id` and `project_id`.
            page: from 0.
            per_page: None is everything.
            include_total: whether to count; else `total` is None.
        """
        where = [] if entity_id is None else [Is(("entity_id",), check_id(entity_id, at="entity_id"))]
        if entity_type is not None:
            where.append(Is(("entity_type",), one_of(entity_type, ENTITY_TYPES, at="entity_type")))
        if source is not None:
            where.append(Is(("source",), one_of(source, SOURCES, at="source")))
        query = Query(SCORES, "by_scorer", at={"scorer_id": scorer_id}, where=(*where, *_tenant(filters)), descending=True)
        return await self._page(query, Cut.checked(page=page, per_page=per_page), include_total=include_total)

    @operation
    async def list_scores_by_run_id(
        self, run_id: str, *, filters: ScoreFilters | None = None, page: int = 0, per_page: int | None = 100, include_total: bool = True
    ) -> Page[Score]:
        """The scores of one run, newest first; the options are those of list_scores_by_scorer_id."""
        query = Query(SCORES, "by_run", at={"run_id": run_id}, where=_tenant(filters), descending=True)
        return await self._page(query, Cut.checked(page=page, per_page=per_page), include_total=include_total)

    @operation
    async def list_scores_by_entity_id(
        self,
        entity_id: str,
        *,
        entity_type: str,
        filters: ScoreFilters | None = None,
        page: int = 0,
        per_page: int | None = 100,
        include_total: bool = True,
    ) -> Page[Score]:
        """The scores of one agent, workflow or step, newest first; the options are those of list_scores_by_scorer_id."""
        at = {"entity_id": entity_id, "entity_type": one_of(entity_type, ENTITY_TYPES, at="entity_type")}
        query = Query(SCORES, "by_entity", at=at, where=_tenant(filters), descending=True)
        return await self._page(query, Cut.checked(page=page, per_page=per_page), include_total=include_total)

    @operation
    async def list_scores_by_span(
        self,
        trace_id: str,
        *,
        span_id: str,
        filters: ScoreFilters | None = None,
        page: int = 0,
        per_page: int | None = 100,
        include_total: bool = True,
    ) -> Page[Score]:
        """The scores of one span, newest first; the options are those of list_scores_by_scorer_id."""
        query = Query(SCORES, "by_span", at={"trace_id": trace_id, "span_id": span_id}, where=_tenant(filters), descending=True)
        return await self._page(query, Cut.checked(page=page, per_page=per_page), include_total=include_total)

    @operation
    async def dangerously_clear_all(self) -> None:
        """Remove every score of the store; there is no way back."""
        await clear(self.records, SCORES)

    async def _page(self, query: Query[Score], part: Cut, *, include_total: bool) -> Page[Score]:
        reads: list[Read[Any]] = [attrs.evolve(query, offset=part.offset, limit=part.probe)]
        if include_total:
            reads.append(Count(SCORES, query.path, at=query.at, where=query.where))
        found, *counted = await self.records.fetch(*reads)
        return part.page_of(found, total=counted[0] if counted else None)


def _tenant(filters: object) -> tuple[Is, ...]:
    known: Mapping[str, object] = {} if filters is None else check_options(filters, known=("organization_id", "project_id"), at="filters")
    return tuple(Is((name,), check_id(value, at=f"filters.{name}")) for name, value in known.items() if value is not None)
