"""Scores checked, saved and replaced (contract §2.3, semantics §2.15)."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from mastra_core import clock
from mastra_core.errors import InvalidInputError
from mastra_core.storage.domains.scores import ScoresDomain
from mastra_core.storage.records.score_kinds import Score
from mastra_core.testing.contract import needs
from mastra_core.testing.equality import assert_same
from mastra_core.testing.samples import AWKWARD_IDS, JSON_VALUES
from mastra_core.testing.scores.under_test import ScoresUnderTest, a_score

FULL: dict[str, Any] = {
    "id": "mine", "entity_type": "WORKFLOW", "trace_id": "t1", "span_id": "s1", "resource_id": "ada", "thread_id": "t",
    "organization_id": "o", "project_id": "p", "batch_id": "b", "dataset_id": "d", "dataset_item_id": "i",
    "input": {"inputMessages": [{"role": "user", "content": "hi é 😀"}]}, "reason": 'said "hi"\n', "metadata": JSON_VALUES,
    "additional_context": {"k": []}, "request_context": {"lang": "en", "none": None}, "preprocess_step_result": {"a": 1},
    "extract_step_result": {"b": {}}, "analyze_step_result": {"c": [None]}, "preprocess_prompt": "1", "extract_prompt": "2",
    "analyze_prompt": "3", "generate_score_prompt": "4", "generate_reason_prompt": "5", "reason_prompt": "",
}  # fmt: skip


class ScoreContract(ScoresUnderTest):
    """One score."""

    async def test_a_score_with_every_field_comes_back_equal(self, scores: ScoresDomain) -> None:
        """What was saved is answered and got, field by field, and is dated by the clock."""
        before = clock.now()
        saved = await scores.save_score(a_score(**FULL))
        shown = attrs.asdict(saved, recurse=False)
        assert before <= shown.pop("created_at") == shown.pop("updated_at") <= clock.now()
        assert_same(shown, dict(a_score(**FULL)))
        assert_same(await scores.get_score_by_id("mine"), saved)

    async def test_a_score_with_the_required_fields_alone_is_saved(self, scores: ScoresDomain) -> None:
        """Everything else is None, and the id is new each time."""
        saved = [await scores.save_score(a_score()) for _ in range(2)]
        assert saved[0].id < saved[1].id
        assert_same(await scores.get_score_by_id(saved[0].id), saved[0])
        given = {*a_score(), "id", "created_at", "updated_at"}
        assert {getattr(saved[0], field.name) for field in attrs.fields(Score) if field.name not in given} == {None}

    async def test_a_score_that_does_not_exist_is_none(self, scores: ScoresDomain) -> None:
        """Asking for an unknown score is no error."""
        assert await scores.get_score_by_id("none") is None

    async def test_a_score_of_a_stored_id_replaces_it(self, scores: ScoresDomain) -> None:
        """Nothing of the old score is left but when it was first saved."""
        first = await scores.save_score(a_score(**FULL))
        again = await scores.save_score(a_score(id="mine", score=1, source="TEST"))
        assert_same([again.score, again.source, again.reason, again.trace_id, again.metadata], [1.0, "TEST", None, None, None])
        assert again.created_at == first.created_at <= again.updated_at
        assert_same(await scores.get_score_by_id("mine"), again)

    async def test_any_json_is_an_output(self, scores: ScoresDomain) -> None:
        """Inputs and outputs are any JSON, and come back as they were: text that looks like JSON stays text."""
        for name, value in {**JSON_VALUES, "quoted": '"a"', "true": True, "seven": 7}.items():
            saved = await scores.save_score(a_score(id=name, output=value, input=value))
            assert_same([saved.output, saved.input], [value, value])
            assert_same(await scores.get_score_by_id(name), saved)

    async def test_any_id_works(self, scores: ScoresDomain) -> None:
        """Ids are the caller's strings, with any characters."""
        for name in AWKWARD_IDS:
            await scores.save_score(a_score(id=name, run_id=name))
        for name in AWKWARD_IDS:
            found = await scores.get_score_by_id(name)
            assert found is not None
            assert found.run_id == name

    @pytest.mark.parametrize("score", [0, 1, -1, 0.1 + 0.2, 1e300, 5e-324])
    async def test_a_score_is_any_finite_number(self, scores: ScoresDomain, score: float) -> None:
        """A number keeps its seventeen digits."""
        saved = await scores.save_score(a_score(id="x", score=score))
        assert type(saved.score) is float
        assert_same(await scores.get_score_by_id("x"), saved)
        assert saved.score == score

    async def test_structured_output_is_accepted_and_not_stored(self, scores: ScoresDomain) -> None:
        """What TypeScript's scorers send is taken."""
        saved = await scores.save_score(a_score(structured_output=False))
        assert not hasattr(saved, "structured_output")

    @pytest.mark.parametrize("missing", ["scorer_id", "entity_id", "run_id", "output", "score", "scorer", "source", "entity"])
    async def test_a_required_field_that_is_missing_is_named(self, scores: ScoresDomain, missing: str) -> None:
        """A score without what every list needs is refused before anything is sent."""
        payload: Any = {name: value for name, value in a_score(id="x").items() if name != missing}
        with pytest.raises(InvalidInputError, match=f"{missing} is required.*add '{missing}'") as caught:
            await scores.save_score(payload)
        assert caught.value.code == f"MASTRA_STORAGE_{scores.product.upper()}_SAVE_SCORE_VALIDATION_FAILED"
        assert caught.value.operation == "save_score"
        assert await scores.get_score_by_id("x") is None

    @pytest.mark.parametrize(
        "wrong, named",
        [
            ({"source": "live"}, "source: cannot be 'live'; did you mean 'LIVE'"),
            ({"source": 1}, "source: cannot be 1; choose from 'LIVE', 'TEST'"),
            ({"entity_type": "Agent"}, "did you mean 'AGENT'"),
            ({"entity_type": "robot"}, "entity_type.*'AGENT'"),
            ({"score": "0.5"}, "score.*number.*'0.5'"),
            ({"score": True}, "score.*number.*True"),
            ({"score": float("nan")}, "score.*nan"),
            ({"score": 10**400}, "score must be a finite number"),
            ({"score": None}, "score is required"),
            ({"scorer": "s"}, "scorer must be a mapping.*'s'"),
            ({"entity": []}, "entity must be a mapping"),
            ({"metadata": "m"}, "metadata must be a mapping"),
            ({"analyze_step_result": 7}, "analyze_step_result must be a mapping"),
            ({"request_context": {"a": "\0"}}, "request_context"),
            ({"output": {"a": float("inf")}}, "output"),
            ({"reason": 7}, "reason.*string"),
            ({"run_id": ""}, "run_id"),
            ({"trace_id": 7}, "trace_id"),
            ({"scorerId": "s"}, "unknown key 'scorerId'.*'scorer_id'"),
            ({"created_at": clock.EPOCH}, "unknown key 'created_at'"),
            ({"id": "x" * 256}, "255"),
        ],
        ids=lambda value: ascii(value)[:40],
    )
    async def test_a_field_of_the_wrong_type_is_named(self, scores: ScoresDomain, wrong: dict[str, Any], named: str) -> None:
        """What was found and what to do are said, and a stored score stays as it was."""
        stored = await scores.save_score(a_score(id="x"))
        with pytest.raises(InvalidInputError, match=named) as caught:
            await scores.save_score(a_score(**{"id": "x", **wrong}))
        assert caught.value.code.endswith("_SAVE_SCORE_VALIDATION_FAILED")
        assert_same(await scores.get_score_by_id("x"), stored)

    async def test_what_is_no_payload_is_refused(self, scores: ScoresDomain) -> None:
        """A score is a mapping of fields."""
        payload: Any = "score"
        with pytest.raises(InvalidInputError, match="must be a mapping with the keys"):
            await scores.save_score(payload)

    @needs("scan")
    async def test_clearing_removes_every_score(self, scores: ScoresDomain) -> None:
        """Of a cleared store no score is left."""
        saved = [await scores.save_score(a_score()) for _ in range(3)]
        await scores.dangerously_clear_all()
        assert [await scores.get_score_by_id(score.id) for score in saved] == [None] * 3
