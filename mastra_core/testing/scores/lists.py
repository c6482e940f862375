"""Lists of scores: order, pages and every filter (contract §2.3, semantics §2.4, §2.5, §2.15)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from mastra_core import clock
from mastra_core.errors import InvalidInputError
from mastra_core.storage.domains.paging import Page
from mastra_core.storage.domains.scores import ScoresDomain
from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.score_kinds import SCORES, Score
from mastra_core.testing.contract import needs
from mastra_core.testing.equality import assert_same
from mastra_core.testing.samples import at
from mastra_core.testing.scores.under_test import ScoresUnderTest, a_score

List = Callable[..., Awaitable[Page[Score]]]

LISTS: dict[str, tuple[str, dict[str, str], list[dict[str, str]]]] = {
    "list_scores_by_scorer_id": ("s", {}, [{"scorer_id": "S"}]),
    "list_scores_by_run_id": ("r", {}, [{"run_id": "R"}]),
    "list_scores_by_entity_id": ("e", {"entity_type": "AGENT"}, [{"entity_id": "E"}, {"entity_type": "WORKFLOW"}]),
    "list_scores_by_span": ("t1", {"span_id": "s1"}, [{"trace_id": "t2"}, {"span_id": "s2"}]),
}
"""Each list: what it is asked for, what else it must be told, and what puts a score elsewhere."""

every_list = pytest.mark.parametrize("name", list(LISTS))


class ScoreListContract(ScoresUnderTest):
    """The four lists."""

    async def stored(self, scores: ScoresDomain, id: str, *, created: int = 0, **given: Any) -> Score:
        """A score in every list, as if saved *created* milliseconds after T0."""
        score = Score(
            **a_score(entity_type="AGENT", trace_id="t1", span_id="s1", id=id, **given), created_at=at(created), updated_at=at(created)
        )  # type: ignore[misc]  # a payload without structured_output has a score's fields
        saved: list[Score] = await scores.records.apply(Save(SCORES, score))
        return saved[0]

    async def lists(self, asked: Callable[..., Awaitable[Page[Score]]], expected: list[Score], **options: Any) -> None:
        """Assert that the list has these scores; patiently where it may lag."""

        async def look() -> object:
            return (await asked(**{"include_total": False} | options)).items

        await self.shows(look, expected)

    def asked(self, scores: ScoresDomain, name: str) -> List:
        """The list called *name*, of what LISTS asks it for."""
        first, more, _ = LISTS[name]
        method: List = getattr(scores, name)

        async def ask(**options: Any) -> Page[Score]:
            return await method(first, **{**more, **options})

        return ask

    @every_list
    async def test_scores_come_newest_first(self, scores: ScoresDomain, name: str) -> None:
        """The latest judgement is the first, ties by id turned round; what belongs elsewhere is not listed."""
        for number, elsewhere in enumerate(LISTS[name][2]):
            payload = a_score(entity_type="AGENT", trace_id="t1", span_id="s1", id=f"x{number}")
            await scores.save_score({**payload, **elsewhere})  # type: ignore[typeddict-item]  # the fields are a score's
        expected = [await self.stored(scores, short, created=created) for short, created in (("b", 5), ("old", 0), ("new", 9), ("a", 5))]
        await self.lists(self.asked(scores, name), [expected[2], expected[0], expected[3], expected[1]])

    @every_list
    @needs("pages", "count")
    async def test_pages_follow_one_another(self, scores: ScoresDomain, name: str) -> None:
        """Pages leave nothing out and show nothing twice; has_more and total are right, past the end too."""
        ask = self.asked(scores, name)
        saved = [await self.stored(scores, f"x{number}", created=number) for number in range(5)]
        await self.lists(ask, saved[::-1])
        for number, expected, more in ((0, saved[4:2:-1], True), (1, saved[2:0:-1], True), (2, saved[:1], False), (3, [], False)):
            page = await ask(page=number, per_page=2)
            assert_same(page.items, expected)
            assert (page.total, page.page, page.per_page, page.has_more) == (5, number, 2, more)

    @needs("count")
    async def test_a_hundred_scores_are_a_page_unless_another_size_is_asked(self, scores: ScoresDomain) -> None:
        """per_page is 100 by default, None is everything, 0 is no row; the total is counted unless it is not wanted."""
        saved = [await self.stored(scores, f"x{number:03}", created=number) for number in range(101)]
        for name in LISTS:
            ask = self.asked(scores, name)
            await self.lists(ask, saved[::-1], per_page=None)
            for options, length, total, more in (
                ({}, 100, 101, True),
                ({"per_page": None}, 101, 101, False),
                ({"per_page": 0}, 0, 101, True),
                ({"include_total": False}, 100, None, True),
            ):
                asked: dict[str, Any] = options
                page = await ask(**asked)
                assert (len(page), page.total, page.has_more) == (length, total, more), (name, options)

    @every_list
    @needs("filters", "count")
    async def test_scores_are_told_apart_by_organization_and_project(self, scores: ScoresDomain, name: str) -> None:
        """A tenant sees its own scores only; both keys together mean both."""
        ask = self.asked(scores, name)
        first = await self.stored(scores, "x0", organization_id="o1", project_id="p1")
        second = await self.stored(scores, "x1", organization_id="o1", project_id="p2", created=1)
        await self.stored(scores, "x2", organization_id="o2", project_id="p2", created=2)
        await self.stored(scores, "x3", created=3)
        await self.lists(ask, [second, first], filters={"organization_id": "o1"})
        await self.lists(ask, [second], filters={"organization_id": "o1", "project_id": "p2"})
        await self.lists(ask, [], filters={"organization_id": "o2", "project_id": "p1"})
        page = await ask(filters={"organization_id": "o1"}, per_page=1)
        assert (page.total, page.has_more) == (2, True)

    @needs("filters")
    async def test_a_scorers_scores_are_told_apart_by_entity_and_source(self, scores: ScoresDomain) -> None:
        """Live runs and tests, agents and workflows, one agent and another are told apart; all conditions must hold."""
        live = await self.stored(scores, "x0")
        test = await self.stored(scores, "x1", source="TEST", created=1)
        other = await self.stored(scores, "x2", entity_id="f", created=2)
        flow = attrs.evolve(live, id="x3", entity_type="WORKFLOW", created_at=at(3), updated_at=at(3))
        await scores.records.apply(Save(SCORES, flow))
        ask = self.asked(scores, "list_scores_by_scorer_id")
        await self.lists(ask, [flow, other, live], source="LIVE")
        await self.lists(ask, [test], source="TEST")
        await self.lists(ask, [flow, test, live], entity_id="e")
        await self.lists(ask, [flow], entity_type="WORKFLOW")
        await self.lists(ask, [test, live], entity_id="e", entity_type="AGENT")
        await self.lists(ask, [live], entity_id="e", entity_type="AGENT", source="LIVE")

    async def test_a_score_saved_again_keeps_its_place(self, scores: ScoresDomain) -> None:
        """Replacing a score does not make it the newest, and moves it to the run it now names."""
        old = await self.stored(scores, "x0", created=0)
        new = await self.stored(scores, "x1", created=1)
        again = await scores.save_score(a_score(id="x0", score=1, run_id="moved"))
        assert again.created_at == old.created_at < new.created_at < clock.now()
        await self.lists(self.asked(scores, "list_scores_by_scorer_id"), [new, again])
        await self.lists(self.asked(scores, "list_scores_by_run_id"), [new])

    @every_list
    async def test_what_cannot_be_asked_is_refused(self, scores: ScoresDomain, name: str) -> None:
        """A mistake is named, never answered with an empty page."""
        ask = self.asked(scores, name)
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"per_page": -1}, "perPage must be >= 0"),
            ({"per_page": True}, "per_page"),
            ({"page": -1}, "page must be >= 0"),
            ({"filters": {"organizationId": "o"}}, "organization_id"),
            ({"filters": {"project_id": ""}}, "filters.project_id"),
            *(([({"entity_type": "Agent"}, "did you mean 'AGENT'")]) if "scorer" in name or "entity" in name else []),
            *([({"source": "Live"}, "did you mean 'LIVE'"), ({"entity_id": ""}, "entity_id")] if "scorer" in name else []),
        ]
        for options, named in wrong:
            with pytest.raises(InvalidInputError, match=named):
                await ask(**options)
        with pytest.raises(InvalidInputError, match="is empty"):
            await getattr(scores, name)("", **LISTS[name][1])
