"""Lists of runs: order, pages and every filter (contract §2.2, semantics §2.4, §2.5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from mastra_core.errors import InvalidInputError
from mastra_core.storage.domains.workflows import WorkflowsDomain
from mastra_core.storage.records.run_kinds import WorkflowRun
from mastra_core.testing.contract import needs
from mastra_core.testing.equality import assert_same
from mastra_core.testing.samples import at
from mastra_core.testing.workflows.under_test import WorkflowsUnderTest, a_run, persist


class RunListContract(WorkflowsUnderTest):
    """`list_workflow_runs`."""

    async def lists(self, workflows: WorkflowsDomain, expected: list[WorkflowRun], **options: Any) -> None:
        """Assert that the list has these runs; patiently where it may lag."""

        async def look() -> object:
            return (await workflows.list_workflow_runs(**{"include_total": False} | options)).items

        await self.shows(look, expected)

    async def test_runs_of_a_workflow_come_newest_first(self, workflows: WorkflowsDomain) -> None:
        """A workflow's runs are listed newest first, ties by id turned round; others' are not among them."""
        runs = [a_run("old"), a_run("a", created=5), a_run("b", created=5), a_run("new", created=9)]
        await persist(workflows, a_run("x", workflow_name="other", created=7), runs[2], runs[0], runs[3], runs[1])
        await self.lists(workflows, runs[::-1], workflow_name="w")
        await self.lists(workflows, [], workflow_name="none")

    @needs("open_paths")
    async def test_all_runs_are_listed_internal_ones_too(self, workflows: WorkflowsDomain) -> None:
        """Without a name every workflow's runs are listed, also those of agents that wait."""
        runs = [a_run("r1", created=1), a_run("r2", workflow_name="agentic-loop", created=2), a_run("r0", workflow_name="v", created=3)]
        await persist(workflows, *runs)
        await self.lists(workflows, runs[::-1])
        await self.lists(workflows, [runs[1]], workflow_name="agentic-loop")

    async def test_a_run_keeps_its_place_when_it_changes(self, workflows: WorkflowsDomain) -> None:
        """The order is by when runs began, not by when they last changed."""
        runs = [a_run("r1", created=1), a_run("r2", created=2)]
        await persist(workflows, *runs)
        await persist(workflows, a_run("r1", created=8))
        await self.lists(workflows, [runs[1], a_run("r1", created=1, updated=8)], workflow_name="w")

    @needs("pages", "count")
    async def test_pages_of_runs_follow_one_another(self, workflows: WorkflowsDomain) -> None:
        """Pages leave nothing out and show nothing twice; has_more and total are right, past the end too."""
        runs = [a_run(f"r{number}", created=number) for number in range(5)]
        await persist(workflows, *runs)
        await self.lists(workflows, runs[::-1], workflow_name="w")
        for number, expected, more in ((0, runs[4:2:-1], True), (1, runs[2:0:-1], True), (2, runs[:1], False), (3, [], False)):
            page = await workflows.list_workflow_runs(workflow_name="w", page=number, per_page=2)
            assert_same(page.items, expected)
            assert (page.total, page.page, page.per_page, page.has_more) == (5, number, 2, more)

    @needs("count")
    async def test_a_hundred_runs_are_a_page_unless_another_size_is_asked(self, workflows: WorkflowsDomain) -> None:
        """per_page is 100 by default, None is everything, 0 is no row; the total is counted unless it is not wanted."""
        runs = [a_run(f"r{number:03}", created=number, snapshot={}) for number in range(101)]
        await persist(workflows, *runs)
        await self.lists(workflows, runs[::-1], workflow_name="w", per_page=None)
        for options, length, total, more in (
            ({}, 100, 101, True),
            ({"page": 1}, 1, 101, False),
            ({"per_page": None}, 101, 101, False),
            ({"per_page": 0}, 0, 101, True),
            ({"include_total": False}, 100, None, True),
        ):
            asked: dict[str, Any] = options
            page = await workflows.list_workflow_runs(workflow_name="w", **asked)
            assert (len(page), page.total, page.has_more) == (length, total, more), options

    @needs("filters", "open_paths", "count")
    async def test_every_filter_holds_and_together_they_are_a_conjunction(self, workflows: WorkflowsDomain) -> None:
        """Runs are found by resource and status, with and without a name."""
        runs = [
            a_run("r0", resource_id="ada", snapshot={"status": "success", "context": {}}),
            a_run("r1", resource_id="ada", snapshot={"status": "suspended", "context": {}}, created=1),
            a_run("r2", resource_id="bob", snapshot={"status": "suspended", "context": {}}, created=2),
            a_run("r3", snapshot={"status": "suspended", "context": {}}, created=3),
            a_run("r4", workflow_name="v", resource_id="ada", snapshot={"status": "suspended", "context": {}}, created=4),
            a_run("r5", workflow_name="v", snapshot={"value": "suspended"}, created=5),
        ]
        await persist(workflows, *runs)
        await self.lists(workflows, [runs[4], runs[1], runs[0]], resource_id="ada")
        await self.lists(workflows, [runs[4], runs[3], runs[2], runs[1]], status="suspended")
        await self.lists(workflows, [runs[4], runs[1]], status="suspended", resource_id="ada")
        await self.lists(workflows, [runs[1]], workflow_name="w", status="suspended", resource_id="ada")
        await self.lists(workflows, [], status="failed")
        await self.lists(workflows, [], resource_id="Ada")
        page = await workflows.list_workflow_runs(resource_id="ada", per_page=1)
        assert (page.total, page.has_more) == (3, True)

    @needs("span")
    async def test_dates_bound_a_list_and_belong_to_it(self, workflows: WorkflowsDomain) -> None:
        """Runs are found by when they began; both ends count."""
        runs = [a_run(f"r{number}", created=number) for number in range(5)]
        await persist(workflows, *runs)
        await self.lists(workflows, runs[4:1:-1], workflow_name="w", from_date=at(2))
        await self.lists(workflows, runs[2::-1], workflow_name="w", to_date=at(2))
        await self.lists(workflows, runs[3:0:-1], workflow_name="w", from_date=at(1), to_date=at(3) + timedelta(microseconds=999))
        await self.lists(workflows, [], workflow_name="w", from_date=at(9))

    @needs("open_paths", "pages")
    async def test_runs_of_agents_are_found_by_their_thread(self, workflows: WorkflowsDomain) -> None:
        """A run that waits for a decision is found by its conversation, wherever the snapshot names it."""
        streaming = {"__streamState": {"messageList": {"memoryInfo": {"threadId": "t"}}}}
        waiting = {"status": "suspended", "suspendPayload": streaming}
        beginning = {"messageListState": {"memoryInfo": {"threadId": "t"}}}
        runs = [
            a_run("r0", snapshot={"status": "suspended", "context": {"step": waiting}}),
            a_run("r1", snapshot={"context": {"input": beginning}}, created=1),
            a_run("r2", snapshot={"context": {"step": {**waiting, "status": "success"}}}, created=2),
            a_run("r3", snapshot={"context": {"input": {"messageListState": {"memoryInfo": {"threadId": "other"}}}}}, created=3),
            a_run("r4", snapshot={"context": {"a": 1, "input": "text", "step": {"status": "suspended"}}}, created=4),
            a_run("r5", workflow_name="v", snapshot={"context": {"input": beginning}}, created=5),
            a_run("r6"),
        ]
        await persist(workflows, *runs)
        await self.lists(workflows, [runs[5], runs[1], runs[0]], thread_id="t")
        await self.lists(workflows, [runs[1], runs[0]], thread_id="t", workflow_name="w")
        await self.lists(workflows, [runs[5], runs[1]], thread_id="t", per_page=2)
        await self.lists(workflows, [runs[0]], thread_id="t", per_page=2, page=1)
        page = await workflows.list_workflow_runs(thread_id="t", per_page=1, page=1)
        assert (page.items, page.total, page.has_more) == ((runs[1],), 3, True)
        page = await workflows.list_workflow_runs(thread_id="t", per_page=None)
        assert (len(page), page.total, page.has_more) == (3, 3, False)

    @needs("pages")
    async def test_a_thread_is_found_among_more_runs_than_are_read_at_once(self, workflows: WorkflowsDomain) -> None:
        """No run is passed over or met twice where a long list is read in parts, also among runs of one instant."""
        beginning = {"context": {"input": {"messageListState": {"memoryInfo": {"threadId": "t"}}}}}
        runs = [a_run(f"r{number:03}", created=number // 50, snapshot=beginning if number % 9 == 0 else {}) for number in range(230)]
        await persist(workflows, *runs)
        await self.lists(workflows, [run for run in reversed(runs) if run.snapshot], workflow_name="w", thread_id="t")

    @pytest.mark.parametrize(
        "wrong, named",
        [
            ({"per_page": -1}, "perPage must be >= 0"),
            ({"per_page": True}, "per_page"),
            ({"page": -1}, "page must be >= 0"),
            ({"page": 1, "per_page": None}, "page must be 0"),
            ({"from_date": datetime(2024, 1, 1)}, "from_date.*naive"),  # noqa: DTZ001  # the mistake to refuse
            ({"to_date": "2024-01-01"}, "to_date"),
            ({"status": 7}, "status"),
            ({"resource_id": ""}, "resource_id"),
            ({"thread_id": ""}, "thread_id"),
            ({"workflow_name": ""}, "workflow_name"),
        ],
        ids=lambda value: ascii(value)[:40],
    )
    async def test_what_cannot_be_asked_is_refused(self, workflows: WorkflowsDomain, wrong: dict[str, Any], named: str) -> None:
        """A mistake is named, never answered with an empty page."""
        with pytest.raises(InvalidInputError, match=named):
            await workflows.list_workflow_runs(**wrong)
