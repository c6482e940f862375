"""Runs saved, loaded and deleted, and changed by many at once (contract §2.2, semantics §2.14)."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest

from mastra_core import clock
from mastra_core.errors import InvalidInputError, StorageError
from mastra_core.storage.domains.workflows import WorkflowsDomain
from mastra_core.testing.contract import needs
from mastra_core.testing.equality import assert_same
from mastra_core.testing.samples import AWKWARD_IDS, JSON_VALUES, at
from mastra_core.testing.workflows.under_test import SUSPENDED, WorkflowsUnderTest, a_run, persist

SUCCESS = {"status": "success", "output": {"b": 2}, "startedAt": 1, "endedAt": 2}


class RunContract(WorkflowsUnderTest):
    """One run."""

    async def test_a_persisted_run_is_got_as_stored(self, workflows: WorkflowsDomain) -> None:
        """A run comes back equal, whatever JSON its snapshot holds."""
        run = a_run(resource_id="ada", snapshot={**SUSPENDED, "value": JSON_VALUES}, created=1, updated=2)
        await persist(workflows, run)
        assert_same(await workflows.get_workflow_run_by_id("r", workflow_name="w"), run)
        assert_same(await workflows.load_workflow_snapshot("w", run_id="r"), run.snapshot)

    async def test_a_run_that_does_not_exist_is_none(self, workflows: WorkflowsDomain) -> None:
        """Asking for an unknown run is no error; another workflow's run of the same id is another run."""
        await persist(workflows, a_run())
        assert await workflows.load_workflow_snapshot("w", run_id="none") is None
        assert await workflows.load_workflow_snapshot("other", run_id="r") is None
        assert await workflows.get_workflow_run_by_id("none", workflow_name="w") is None
        assert await workflows.get_workflow_run_by_id("r", workflow_name="other") is None
        assert await workflows.get_workflow_run_by_id("none") is None

    async def test_a_run_is_found_whatever_its_resource(self, workflows: WorkflowsDomain) -> None:
        """A run that belongs to a user can be resumed by its name and id alone."""
        await persist(workflows, a_run(resource_id="ada"))
        assert_same(await workflows.load_workflow_snapshot("w", run_id="r"), SUSPENDED)
        assert await workflows.update_workflow_state("w", run_id="r", opts={"status": "running"}, expected_status="suspended") is not None

    async def test_a_run_persisted_again_keeps_when_it_began_and_whose_it_is(self, workflows: WorkflowsDomain) -> None:
        """The snapshot is replaced whole; created_at stays, and the resource id unless another is given."""
        await persist(workflows, a_run(resource_id="ada", created=1))
        await persist(workflows, a_run(snapshot={"status": "success", "context": {}}, created=7, updated=8))
        expected = a_run(resource_id="ada", snapshot={"status": "success", "context": {}}, created=1, updated=8)
        assert_same(await workflows.get_workflow_run_by_id("r", workflow_name="w"), expected)
        await persist(workflows, a_run(resource_id="bob", created=9))
        assert_same(await workflows.get_workflow_run_by_id("r", workflow_name="w"), a_run(resource_id="bob", created=1, updated=9))

    async def test_a_run_without_dates_gets_the_current_time(self, workflows: WorkflowsDomain) -> None:
        """Whoever gives no date has the run dated by the clock."""
        before = clock.now()
        await workflows.persist_workflow_snapshot("w", run_id="r", snapshot=SUSPENDED)
        run = await workflows.get_workflow_run_by_id("r", workflow_name="w")
        assert run is not None
        assert before <= run.created_at == run.updated_at <= clock.now()

    async def test_any_name_and_run_id_works(self, workflows: WorkflowsDomain) -> None:
        """Names and ids are the caller's strings, with any characters."""
        for name in AWKWARD_IDS:
            await persist(workflows, a_run(name, workflow_name=name, snapshot={"runId": name}))
        for name in AWKWARD_IDS:
            assert_same(await workflows.load_workflow_snapshot(name, run_id=name), {"runId": name})

    async def test_without_a_name_the_newest_run_of_an_id_is_got(self, workflows: WorkflowsDomain) -> None:
        """A run can be looked up by its id alone."""
        runs = [a_run(workflow_name="a", created=3), a_run(workflow_name="b", created=9), a_run(workflow_name="c", created=5)]
        await persist(workflows, *runs)

        async def look() -> object:
            return await workflows.get_workflow_run_by_id("r")

        await self.shows(look, runs[1])

    async def test_a_deleted_run_is_gone_and_deleting_is_idempotent(self, workflows: WorkflowsDomain) -> None:
        """Nothing of a deleted run is found again; others stay."""
        await persist(workflows, a_run(), a_run(workflow_name="other"))
        for _ in range(2):
            await workflows.delete_workflow_run_by_id("r", workflow_name="w")
        assert await workflows.load_workflow_snapshot("w", run_id="r") is None
        assert_same(await workflows.get_workflow_run_by_id("r", workflow_name="other"), a_run(workflow_name="other"))

    @needs("scan")
    async def test_clearing_removes_every_run(self, workflows: WorkflowsDomain) -> None:
        """Of a cleared store no run is left."""
        await persist(workflows, *(a_run(f"r{number}") for number in range(5)))
        await workflows.dangerously_clear_all()
        for number in range(5):
            assert await workflows.load_workflow_snapshot("w", run_id=f"r{number}") is None

    @pytest.mark.parametrize(
        "wrong, named",
        [
            ({"snapshot": "text"}, "snapshot: must be a mapping"),
            ({"snapshot": [1]}, "snapshot: must be a mapping"),
            ({"snapshot": {"value": float("nan")}}, "snapshot"),
            ({"snapshot": {"value": "\0"}}, r"U\+0000"),
            ({"run_id": ""}, "run_id"),
            ({"resource_id": ""}, "resource_id"),
            ({"created_at": datetime(2024, 1, 1)}, "created_at.*naive"),  # noqa: DTZ001  # the mistake to refuse
            ({"updated_at": datetime(2024, 1, 1)}, "updated_at.*naive"),  # noqa: DTZ001
        ],
        ids=lambda value: ascii(value)[:40],
    )
    async def test_what_cannot_be_kept_is_refused(self, workflows: WorkflowsDomain, wrong: dict[str, Any], named: str) -> None:
        """A value that would not come back equal is an error that names it, and nothing is written."""
        await persist(workflows, a_run())
        with pytest.raises(InvalidInputError, match=named):
            await workflows.persist_workflow_snapshot("w", **{"run_id": "r", "snapshot": {}, **wrong})
        assert_same(await workflows.get_workflow_run_by_id("r", workflow_name="w"), a_run())


class StateContract(WorkflowsUnderTest):
    """`update_workflow_state`."""

    @needs("merge")
    async def test_a_state_is_laid_over_the_snapshot(self, workflows: WorkflowsDomain) -> None:
        """What is given replaces what was there, one level deep; the rest stays."""
        await persist(workflows, a_run(resource_id="ada"))
        given = {"status": "success", "result": {"b": [2, None]}, "suspendedPaths": {}, "error": None}
        answer = await workflows.update_workflow_state("w", run_id="r", opts=given)
        assert_same(answer, {**SUSPENDED, **given})
        run = await workflows.get_workflow_run_by_id("r", workflow_name="w")
        assert run is not None
        assert_same([run.snapshot, run.resource_id, run.created_at], [{**SUSPENDED, **given}, "ada", at(0)])
        assert run.updated_at > run.created_at

    @needs("merge")
    async def test_a_state_is_written_only_at_the_expected_status(self, workflows: WorkflowsDomain) -> None:
        """A run that another has moved on is left alone, and None says so."""
        await persist(workflows, a_run())
        assert await workflows.update_workflow_state("w", run_id="r", opts={"status": "failed"}, expected_status="running") is None
        assert_same(await workflows.get_workflow_run_by_id("r", workflow_name="w"), a_run())
        answer = await workflows.update_workflow_state("w", run_id="r", opts={"status": "running"}, expected_status="suspended")
        assert_same(answer, {**SUSPENDED, "status": "running"})
        assert await workflows.update_workflow_state("w", run_id="r", opts={"status": "running"}, expected_status="suspended") is None

    @needs("merge")
    async def test_of_concurrent_resumes_exactly_one_wins(self, workflows: WorkflowsDomain) -> None:
        """However many try to resume a run, it is resumed once, and the others are told."""
        await persist(workflows, a_run())
        claims = [
            workflows.update_workflow_state("w", run_id="r", opts={"status": "running", "winner": number}, expected_status="suspended")
            for number in range(16)
        ]
        answers = [answer for answer in await asyncio.gather(*claims) if answer is not None]
        assert len(answers) == 1, f"{len(answers)} of 16 won"
        assert_same(await workflows.load_workflow_snapshot("w", run_id="r"), answers[0])

    @needs("merge")
    async def test_a_run_that_is_missing_has_no_state(self, workflows: WorkflowsDomain) -> None:
        """A state cannot bring a deleted run back."""
        assert await workflows.update_workflow_state("w", run_id="r", opts={"status": "running"}) is None
        assert await workflows.update_workflow_state("w", run_id="r", opts={"status": "running"}, expected_status="suspended") is None
        assert await workflows.load_workflow_snapshot("w", run_id="r") is None

    @needs("merge")
    async def test_a_snapshot_without_context_is_an_error(self, workflows: WorkflowsDomain) -> None:
        """What is no run is not gone on with."""
        for snapshot in ({"status": "suspended"}, {"status": "suspended", "context": None}):
            await persist(workflows, a_run(snapshot=snapshot))
            with pytest.raises(StorageError, match="Snapshot not found for runId r") as caught:
                await workflows.update_workflow_state("w", run_id="r", opts={"status": "running"}, expected_status="running")
            assert (caught.value.operation, type(caught.value)) == ("update_workflow_state", StorageError)

    @pytest.mark.parametrize("name", ["expectedStatus", "expected_status"])
    async def test_an_expected_status_among_the_state_is_refused(self, workflows: WorkflowsDomain, name: str) -> None:
        """A guard is never stored in place of being kept."""
        with pytest.raises(InvalidInputError, match="pass expected_status"):
            await workflows.update_workflow_state("w", run_id="r", opts={"status": "running", name: "suspended"})


class ResultContract(WorkflowsUnderTest):
    """`update_workflow_results`."""

    @needs("decide")
    async def test_a_result_is_written_and_the_context_answered(self, workflows: WorkflowsDomain) -> None:
        """The result replaces that of its step; other steps, and the rest of the snapshot, stay."""
        await persist(workflows, a_run(resource_id="ada"))
        answer = await workflows.update_workflow_results("w", run_id="r", step_id="s1", result=SUCCESS, request_context={"user": "u"})
        expected = {"input": {"a": 1}, "s1": SUCCESS}
        assert_same(answer, expected)
        await workflows.update_workflow_results("w", run_id="r", step_id="s 2.é", result=SUCCESS, request_context={"tier": 1, "user": "v"})
        run = await workflows.get_workflow_run_by_id("r", workflow_name="w")
        assert run is not None
        snapshot = {**SUSPENDED, "context": {**expected, "s 2.é": SUCCESS}, "requestContext": {"user": "v", "tier": 1}}
        assert_same([run.snapshot, run.resource_id, run.created_at], [snapshot, "ada", at(0)])
        assert run.updated_at > run.created_at

    @needs("decide")
    async def test_a_run_that_is_missing_begins_with_an_empty_snapshot(self, workflows: WorkflowsDomain) -> None:
        """A result that comes before the run was saved is not lost."""
        before = clock.to_milliseconds(clock.now())
        assert_same(await workflows.update_workflow_results("w", run_id="r", step_id="s", result=SUCCESS), {"s": SUCCESS})
        snapshot = dict(await workflows.load_workflow_snapshot("w", run_id="r") or {})
        assert before <= snapshot.pop("timestamp") <= clock.to_milliseconds(clock.now())
        empty: dict[str, Any] = {name: {} for name in ("activeStepsPath", "suspendedPaths", "waitingPaths", "resumeLabels", "value")}
        rest = {"runId": "r", "status": "pending", "activePaths": [], "serializedStepGraph": [], "requestContext": {}}
        assert_same(snapshot, {**empty, **rest, "context": {"s": SUCCESS}})

    @needs("decide")
    async def test_results_of_concurrent_steps_all_survive(self, workflows: WorkflowsDomain) -> None:
        """Steps that end at the same moment lose neither results nor context."""
        await asyncio.gather(
            *(
                workflows.update_workflow_results(
                    "w", run_id="r", step_id=f"s{number}", result={"output": number}, request_context={f"k{number}": number}
                )
                for number in range(16)
            )
        )
        snapshot = await workflows.load_workflow_snapshot("w", run_id="r")
        assert snapshot is not None
        assert_same(snapshot["context"], {f"s{number}": {"output": number} for number in range(16)})
        assert_same(snapshot["requestContext"], {f"k{number}": number for number in range(16)})

    @needs("decide")
    async def test_outputs_of_a_foreach_step_are_merged_by_element(self, workflows: WorkflowsDomain) -> None:
        """None leaves an element, the marker empties it, anything else replaces it; the list grows and does not shrink."""

        async def write(*output: Any, **more: Any) -> Any:
            result = {"status": "success", "output": list(output), **more}
            return (await workflows.update_workflow_results("w", run_id="r", step_id="each", result=result))["each"]

        assert_same((await write("a", None, None, startedAt=1))["output"], ["a", None, None])
        assert_same(await write(None, 0, None, endedAt=2), {"status": "success", "output": ["a", 0, None], "startedAt": 1, "endedAt": 2})
        assert_same((await write(None, None, False, {"x": 1}))["output"], ["a", 0, False, {"x": 1}])
        assert_same((await write({"__mastra_pending__": True}, "b"))["output"], [None, "b", False, {"x": 1}])
        kept = {"__mastra_pending__": True, "more": 1}
        assert_same((await write(kept))["output"], [kept, "b", False, {"x": 1}])

    @needs("decide")
    async def test_iterations_that_end_at_once_all_survive(self, workflows: WorkflowsDomain) -> None:
        """Each iteration of a foreach step writes the whole list with its own element."""

        def result(index: int) -> dict[str, Any]:
            return {"status": "success", "output": [number if number == index else None for number in range(12)]}

        await workflows.update_workflow_results("w", run_id="r", step_id="each", result={"status": "success", "output": [None] * 12})
        await asyncio.gather(*(workflows.update_workflow_results("w", run_id="r", step_id="each", result=result(i)) for i in range(12)))
        snapshot = await workflows.load_workflow_snapshot("w", run_id="r")
        assert snapshot is not None
        assert_same(snapshot["context"]["each"]["output"], list(range(12)))

    async def test_what_is_no_result_is_refused(self, workflows: WorkflowsDomain) -> None:
        """A mistake is named, and creates no run."""
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"result": 7}, "result: must be a mapping"),
            ({"request_context": [1]}, "request_context: must be a mapping"),
            ({"step_id": 7}, "step_id: must be a string"),
            ({"run_id": 7}, "run_id"),
            ({"result": {"output": float("inf")}}, "snapshot.*output"),
        ]
        for options, named in wrong:
            with pytest.raises(InvalidInputError, match=named):
                await workflows.update_workflow_results("w", **{"run_id": "r", "step_id": "s", "result": {}, **options})
        assert await workflows.load_workflow_snapshot("w", run_id="r") is None
