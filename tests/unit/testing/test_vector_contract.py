"""The kit catches vector stores that break a promise, each by the test that states it: every test of the kit is turned red here."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import asynccontextmanager

import attrs
import pytest

from mastra_core.errors import IndexNotFoundError, InvalidInputError, MastraError
from mastra_core.storage.records.wire import decode_json, dump_json
from mastra_core.storage.vectors import inmemory
from mastra_core.storage.vectors.checks import Row, Target
from mastra_core.storage.vectors.conditions import ALWAYS, At, Equals, Every, IsThere, Not
from mastra_core.storage.vectors.engine import NoIndex
from mastra_core.storage.vectors.inmemory import InMemoryVectorEngine
from mastra_core.storage.vectors.port import VectorMatch
from mastra_core.storage.vectors.vectors import Vectors
from mastra_core.testing import VectorContract
from tests.unit.testing.runs import RED

E = InMemoryVectorEngine


class AlreadyHasOne(E):
    async def list_indexes(self):
        return [*self.indexes, "x"]


class ForgetsMetrics(E):
    async def create_index(self, name, *, metric, **rest):
        await super().create_index(name, metric="cosine", **rest)


class LowersNames(E):
    async def create_index(self, name, **rest):
        await super().create_index(name.lower(), **rest)


class MakesAnew(E):
    async def create_index(self, name, **rest):
        self.indexes.pop(name, None)
        await super().create_index(name, **rest)


class TakesAnyShape(E):
    async def create_index(self, name, **rest):
        if name not in self.indexes:
            await super().create_index(name, **rest)


class TellsCaseApart(E):
    async def create_index(self, name, *, dimension, metric, metadata_indexes):
        self.indexes.setdefault(name, inmemory._Index(dimension, metric))


class KeepsTheIndex(E):
    async def delete_index(self, name):
        self.indexes[name].rows.clear()


class OverlooksCase(E):
    def _index(self, name):
        found = [held for held in self.indexes if held.lower() == name.lower()]
        if not found:
            raise NoIndex(name)
        return self.indexes[found[0]]


class MakesOnce(E):
    async def create_index(self, name, **rest):
        if name in self.indexes:
            raise InvalidInputError("there is one")
        await super().create_index(name, **rest)


class LosesMetadata(E):
    async def query(self, name, search):
        return [attrs.evolve(match, metadata={}) for match in await super().query(name, search)]


class MergesMetadata(E):
    async def upsert(self, name, rows):
        held = self._index(name).rows
        old = {row.id: decode_json(held[row.id].metadata) if row.id in held else {} for row in rows}
        await super().upsert(
            name, [attrs.evolve(row, metadata=dump_json({**old[row.id], **decode_json(row.metadata)}, at="")) for row in rows]
        )


class RoundsNumbers(E):
    async def upsert(self, name, rows):
        await super().upsert(name, [attrs.evolve(row, metadata=row.metadata.replace("1.2345678901234567", "1.23")) for row in rows])


class TrimsIds(E):
    async def upsert(self, name, rows):
        await super().upsert(name, [attrs.evolve(row, id=row.id.strip() or "-") for row in rows])


class CutsBatches(E):
    async def upsert(self, name, rows):
        await super().upsert(name, rows[:1000])


class SavesOneByOne(E):
    async def upsert(self, name, rows):
        for row in rows:
            await super().upsert(name, [row])


class UpdatesNothingOfVectors(E):
    async def update(self, name, target, *, vector, metadata):
        return await super().update(name, target, vector=None, metadata=metadata)


class CountsWhatWasAsked(E):
    async def delete(self, name, target):
        return max(await super().delete(name, target), len(target.ids or ()))


class ReadsThenWrites(E):
    async def upsert(self, name, rows):
        held = self._index(name).rows
        new = {**held, **{row.id: row for row in rows}}
        await asyncio.sleep(0)
        held.clear()
        held.update(new)


class WritesInTwoSteps(E):
    calls = 0

    async def upsert(self, name, rows):
        self.calls += 1
        pauses = -self.calls % 5
        await super().upsert(name, [Row(row.id, row.vector, "{}") for row in rows])
        for _ in range(pauses):
            await asyncio.sleep(0)
        held = self._index(name).rows
        held.update({row.id: attrs.evolve(held[row.id], metadata=row.metadata) for row in rows})


class SavesHalves(E):
    async def upsert(self, name, rows):
        await super().upsert(name, rows[: len(rows) // 2])
        await asyncio.sleep(0)
        await super().upsert(name, rows[len(rows) // 2 :])


class AnswersDistances(E):
    async def query(self, name, search):
        return [attrs.evolve(match, score=1 - match.score) for match in await super().query(name, search)]


class RefusesZeros(E):
    async def upsert(self, name, rows):
        if not all(any(row.vector) for row in rows):
            raise InvalidInputError("zeros")
        await super().upsert(name, rows)


class RoundsScores(E):
    async def query(self, name, search):
        return [attrs.evolve(match, score=round(match.score, 3)) for match in await super().query(name, search)]


class LeavesTiesOpen(E):
    async def query(self, name, search):
        return sorted(await super().query(name, attrs.evolve(search, top_k=999)), key=lambda match: -match.score)[::-1][: search.top_k]


class FiltersTheNearest(E):
    async def query(self, name, search):
        near = await super().query(name, attrs.evolve(search, condition=ALWAYS))
        wanted = {row.id for row in self._meant(self._index(name), Target(None, search.condition))}
        return [match for match in near if match.id in wanted]


class NeedsARow(E):
    async def query(self, name, search):
        if not self._index(name).rows:
            raise InvalidInputError("empty")
        return await super().query(name, search)


class SharesMetadata(E):
    def __init__(self):
        super().__init__()
        self.shared = {}

    async def query(self, name, search):
        return [attrs.evolve(m, metadata=self.shared.setdefault(m.id, m.metadata)) for m in await super().query(name, search)]


class NeedsTheFieldForNot(E):
    """As SQL: a comparison with NULL is not true."""

    def _meant(self, index, target):
        return super()._meant(index, attrs.evolve(target, condition=self._strict(target.condition)))

    def _strict(self, condition):
        if isinstance(condition, Not) and isinstance(condition.condition, At):
            return Every((condition, At(condition.condition.path, IsThere())))
        if isinstance(condition, At) and isinstance(condition.condition, Not):
            return Every((condition, At(condition.path, IsThere())))
        return Every(tuple(map(self._strict, condition.conditions))) if isinstance(condition, Every) else condition


class ComparesTextWhereIndexed(E):
    indexed = False

    async def create_index(self, name, *, metadata_indexes, **rest):
        self.indexed = self.indexed or bool(metadata_indexes)
        await super().create_index(name, metadata_indexes=metadata_indexes, **rest)

    def _meant(self, index, target):
        condition = target.condition
        if self.indexed and isinstance(condition, At) and condition.condition == Equals("1"):
            condition = At(condition.path, Equals(1))
        return super()._meant(index, attrs.evolve(target, condition=condition))


class Kit(Vectors):
    def __init__(self, engine):
        super().__init__(engine, id="kit", product="kit")


class DefaultsToEuclidean(Kit):
    async def create_index(self, index_name, *, metric="euclidean", **rest):
        await super().create_index(index_name, metric=metric, **rest)


class ChecksNoIndex(Kit):
    async def create_index(self, index_name, *, dimension, metric="cosine", metadata_indexes=()):
        await self.guard.engine.create_index(index_name, dimension=dimension, metric=metric, metadata_indexes=metadata_indexes)


class NeverCloses(Kit):
    async def close(self):
        pass


class ForgetsTheMend(Kit):
    async def _at(self, index_name, call):
        try:
            return await super()._at(index_name, call)
        except IndexNotFoundError as error:
            raise InvalidInputError("not found") from error


class MakesOneId(Kit):
    async def upsert(self, index_name, *, vectors, metadata=None, ids=None):
        return await super().upsert(index_name, vectors=vectors[-1:], metadata=metadata, ids=ids or ["new"])


class TakesIdsTwice(Kit):
    async def upsert(self, index_name, *, ids=None, **rest):
        return await super().upsert(index_name, ids=ids and [f"{name}{place}" for place, name in enumerate(ids)], **rest)


class EmptyMeansAll(Kit):
    async def update_vector(self, index_name, *, filter=None, **rest):
        return await super().update_vector(index_name, filter={"no": None} if filter == {} else filter, **rest)

    async def delete_vectors(self, index_name, *, filter=None, **rest):
        return await super().delete_vectors(index_name, filter={"no": None} if filter == {} else filter, **rest)


class GivesFive(Kit):
    async def query(self, index_name, *, top_k=5, **rest):
        return await super().query(index_name, top_k=top_k, **rest)


class TakesAnyCount(Kit):
    async def query(self, index_name, *, top_k=10, **rest):
        return await super().query(index_name, top_k=top_k if type(top_k) is int and top_k > 0 else 10, **rest)


class FindsNothingInSilence(Kit):
    async def query(self, index_name, **rest):
        try:
            return await super().query(index_name, **rest)
        except InvalidInputError:
            return list[VectorMatch]()


def contract_of(engine=E, store=Kit):
    class Contract(VectorContract):
        @asynccontextmanager
        async def open_vectors(self):
            yield store(engine())

    return Contract


async def run(contract, test, **arguments):
    instance = contract()
    async with instance.open_vectors() as store:
        await getattr(instance, test)(vectors=store, **arguments)


CAUGHT = [
    (AlreadyHasOne, "test_a_fresh_store_has_no_index", {}),
    (ForgetsMetrics, "test_an_index_is_described_as_it_was_made", {"metric": "euclidean"}),
    (DefaultsToEuclidean, "test_an_index_is_cosine_unless_something_else_is_said", {}),
    (LowersNames, "test_indexes_are_listed_by_name", {}),
    (MakesAnew, "test_making_an_index_again_changes_nothing", {}),
    (TakesAnyShape, "test_an_index_is_not_taken_for_one_of_another_dimension_or_metric", {"other": {"dimension": 3}}),
    (TellsCaseApart, "test_names_that_differ_by_case_alone_are_refused", {}),
    (ChecksNoIndex, "test_a_name_that_is_no_name_is_refused", {"name": "a-b"}),
    (ChecksNoIndex, "test_a_dimension_that_is_none_is_refused", {"dimension": 0}),
    (ChecksNoIndex, "test_a_metric_that_is_none_is_refused", {}),
    (ChecksNoIndex, "test_a_metadata_index_that_no_filter_could_ask_for_is_refused", {"field": "a-b"}),
    (KeepsTheIndex, "test_a_removed_index_is_gone_with_its_vectors", {}),
    (ForgetsTheMend, "test_a_missing_index_is_named_with_the_mend", {}),
    (OverlooksCase, "test_a_name_in_another_case_is_another_name", {}),
    (MakesOnce, "test_making_one_index_at_once_works_for_all", {}),
    (NeverCloses, "test_a_closed_store_says_so", {}),
    (LosesMetadata, "test_what_was_saved_comes_back", {}),
    (MakesOneId, "test_new_ids_are_made_where_none_are_given", {}),
    (MergesMetadata, "test_an_id_saved_again_is_replaced_whole", {}),
    (RoundsNumbers, "test_any_json_is_metadata", {}),
    (TrimsIds, "test_any_id_works", {}),
    (CutsBatches, "test_a_large_batch_is_saved_whole", {}),
    (SavesOneByOne, "test_a_batch_with_a_bad_vector_is_refused_whole", {"bad": "short"}),
    (TakesIdsTwice, "test_what_cannot_be_saved_is_refused", {"given": {"vectors": [[1], [2]], "ids": ["a", "a"]}, "named": "both", "code": ""}),
    (UpdatesNothingOfVectors, "test_an_update_replaces_what_it_names", {}),
    (EmptyMeansAll, "test_an_update_of_nothing_or_everything_is_refused", {"given": {"filter": {}, "metadata": {}}, "named": "empty filter", "code": "EMPTY_FILTER"}),
    (CountsWhatWasAsked, "test_vectors_are_removed_by_id_or_filter", {}),
    (EmptyMeansAll, "test_a_removal_of_nothing_or_everything_is_refused", {"given": {"filter": {}}, "named": "empty filter", "code": "EMPTY_FILTER"}),
    (ReadsThenWrites, "test_concurrent_savers_lose_nothing", {}),
    (WritesInTwoSteps, "test_concurrent_savers_of_one_id_leave_one_whole", {}),
    (AnswersDistances, "test_scores_are_what_the_metric_says", {"metric": "cosine"}),
    (RefusesZeros, "test_a_vector_of_zeros_can_be_saved_and_asked_for", {"metric": "cosine"}),
    (RoundsScores, "test_scores_of_long_vectors_are_exact_to_six_digits", {"metric": "cosine"}),
    (LeavesTiesOpen, "test_equal_scores_come_by_id", {}),
    (GivesFive, "test_a_query_gives_ten_unless_more_are_asked_for", {}),
    (FiltersTheNearest, "test_a_filter_never_makes_an_answer_short", {}),
    (NeedsARow, "test_an_empty_index_answers_with_nothing", {}),
    (TakesAnyCount, "test_a_top_k_that_is_none_is_refused", {"top_k": 0}),
    (SharesMetadata, "test_what_a_caller_changes_does_not_change_the_store", {}),
    (SavesHalves, "test_queries_and_saves_at_once_do_not_disturb_one_another", {}),
    (NeedsTheFieldForNot, "test_each_operator_finds_what_it_says_of_every_type", {}),
    (ComparesTextWhereIndexed, "test_an_indexed_field_is_found_as_any", {}),
    (FindsNothingInSilence, "test_a_filter_without_meaning_is_refused", {}),
    (FindsNothingInSilence, "test_a_filter_that_contains_itself_is_refused", {}),
    (NeedsTheFieldForNot, "test_chance_filters_find_what_the_evaluator_says", {"seed": 0}),
    (NeedsTheFieldForNot, "test_chance_filters_remove_and_change_what_they_find", {"seed": 1}),
]  # fmt: skip


@pytest.mark.parametrize(
    "fault, test, arguments", CAUGHT, ids=lambda value: getattr(value, "__name__", value if isinstance(value, str) else "")
)
async def test_a_vector_store_that_breaks_a_promise_is_caught(fault, test, arguments) -> None:
    """A green kit is worth something: each of these faults turns the test red that promises otherwise, and a sound store passes it."""
    await run(contract_of(), test, **arguments)
    with pytest.raises((*RED, MastraError)):
        await run(contract_of(store=fault) if issubclass(fault, Vectors) else contract_of(engine=fault), test, **arguments)


def test_every_test_of_the_vector_contract_is_turned_red_here() -> None:
    """A promise that no fault can break is no promise."""
    of_contracts = {"test_no_kit_test_is_overridden", "test_expected_failures_name_kit_tests_and_say_why"}
    tests = {name for name, _ in inspect.getmembers(VectorContract, inspect.isfunction) if name.startswith("test_")}
    assert tests - of_contracts == {test for _, test, _ in CAUGHT}
