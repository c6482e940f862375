"""Every operator of the filter language, with one meaning on every backend (contract §8.2; the choices: docs/decisions/0012)."""

from __future__ import annotations

import random
from typing import Any

import pytest

from mastra_core.errors import InvalidInputError
from mastra_core.storage.vectors.filters import matches
from mastra_core.storage.vectors.port import VectorStore
from mastra_core.testing.vectors.filter_cases import DOCUMENTS, FOUND, REFUSED, chance_filter, chance_metadata, named
from mastra_core.testing.vectors.under_test import VectorsUnderTest, every, filled, ids

SEEDS = 4
DOCUMENTS_OF_CHANCE = 80
FILTERS_OF_CHANCE = 60


class VectorFilterContract(VectorsUnderTest):
    """Which vectors a filter finds."""

    async def test_each_operator_finds_what_it_says_of_every_type(self, vectors: VectorStore) -> None:
        """A table of filters over metadata of every JSON type, missing and null included: the same on every backend."""
        await filled(vectors, {name: [1, 0] for name in DOCUMENTS}, metadata=DOCUMENTS)
        wrong = []
        for asked, wanted in FOUND:
            found = set(ids(await every(vectors, like=[1, 0], filter=asked)))
            if found != named(wanted):
                wrong.append(f"{asked}: found {sorted(found - named(wanted))} too many, lacks {sorted(named(wanted) - found)}")
        assert not wrong, "\n".join(wrong)

    async def test_an_indexed_field_is_found_as_any(self, vectors: VectorStore) -> None:
        """metadata_indexes make filters quick and change no answer."""
        await vectors.create_index("docs", dimension=2, metadata_indexes=["v", "k", "v.w"])
        await vectors.upsert("docs", vectors=[[1, 0]] * len(DOCUMENTS), metadata=list(DOCUMENTS.values()), ids=list(DOCUMENTS))
        for asked, wanted in FOUND:
            assert set(ids(await every(vectors, like=[1, 0], filter=asked))) == named(wanted), asked

    async def test_a_filter_without_meaning_is_refused(self, vectors: VectorStore) -> None:
        """A slip never matches everything, or nothing, in silence; a removal by such a filter removes nothing."""
        await filled(vectors, {"a": [1, 0]})
        for asked, told in REFUSED:
            with pytest.raises(InvalidInputError, match=told):
                await vectors.query("docs", query_vector=[1, 0], filter=asked)
            with pytest.raises(InvalidInputError):
                await vectors.delete_vectors("docs", filter=asked)
        assert (await vectors.describe_index("docs")).count == 1

    async def test_a_filter_that_contains_itself_is_refused(self, vectors: VectorStore) -> None:
        """A mistake in building a filter does not exhaust the stack."""
        await filled(vectors, {"a": [1, 0]})
        itself: dict[str, Any] = {}
        itself["$or"] = [itself]
        inside: dict[str, Any] = {}
        inside["a"] = inside
        for asked in (itself, inside, {"a": {"$eq": inside}}):
            with pytest.raises(InvalidInputError, match="nested more than"):
                await vectors.query("docs", query_vector=[1, 0], filter=asked)

    @pytest.mark.parametrize("seed", range(SEEDS))
    async def test_chance_filters_find_what_the_evaluator_says(self, vectors: VectorStore, seed: int) -> None:
        """Whatever a backend lets its database decide, the answer is that of `matches`, in order and never short."""
        chance = random.Random(seed)
        documents = {f"{n:03}": chance_metadata(chance) for n in range(DOCUMENTS_OF_CHANCE)}
        near = {name: chance.randrange(20) for name in documents}
        await vectors.create_index("docs", dimension=1, metric="euclidean", metadata_indexes=["a", "b.c"])
        await vectors.upsert("docs", vectors=[[n] for n in near.values()], metadata=list(documents.values()), ids=list(documents))
        for _ in range(FILTERS_OF_CHANCE):
            asked, top_k = chance_filter(chance), chance.choice([1, 5, DOCUMENTS_OF_CHANCE])
            expected = sorted((name for name in documents if matches(asked, documents[name])), key=lambda name: (near[name], name))
            found = ids(await vectors.query("docs", query_vector=[0], top_k=top_k, filter=asked))
            assert found == expected[:top_k], asked

    @pytest.mark.parametrize("seed", range(SEEDS))
    async def test_chance_filters_remove_and_change_what_they_find(self, vectors: VectorStore, seed: int) -> None:
        """delete_vectors and update_vector mean by a filter what query means."""
        chance = random.Random(seed)
        left = {f"{n:03}": chance_metadata(chance) for n in range(DOCUMENTS_OF_CHANCE)}
        await vectors.create_index("docs", dimension=1)
        await vectors.upsert("docs", vectors=[[1]] * len(left), metadata=list(left.values()), ids=list(left))
        for number in range(8):
            asked = chance_filter(chance)
            meant = [name for name in left if matches(asked, left[name])]
            if len(meant) == len(left):
                continue
            if number % 2:
                assert await vectors.delete_vectors("docs", filter=asked) == len(meant), asked
                left = {name: held for name, held in left.items() if name not in meant}
            else:
                assert await vectors.update_vector("docs", filter=asked, metadata={"a": number}) == len(meant), asked
                left |= {name: {"a": number} for name in meant}
            found = {match.id: match.metadata for match in await every(vectors, like=[1])}
            assert found == left, asked
