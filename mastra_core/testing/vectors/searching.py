"""What a query finds: scores, order, and as many as were asked for (contract §8.3, §8.4)."""

from __future__ import annotations

import asyncio
import math
import random
from typing import Any

import pytest

from mastra_core.errors import InvalidInputError
from mastra_core.storage.vectors.port import METRICS, Metric, VectorStore
from mastra_core.testing.vectors.under_test import VectorsUnderTest, assert_close, every, filled, ids

ROWS: dict[str, list[float]] = {
    "same": [1, 2, 2], "longer": [2, 4, 4], "near": [1, 2, 3], "across": [2, -1, 0], "opposite": [-1, -2, -2], "none": [0, 0, 0],
}  # fmt: skip
SCORES: dict[Metric, dict[str, float]] = {
    "cosine": {"same": 1, "longer": 1, "near": 11 / (3 * math.sqrt(14)), "across": 0, "opposite": -1, "none": 0},
    "euclidean": {"same": 1, "longer": 1 / 4, "near": 1 / 2, "across": 1 / (1 + math.sqrt(14)), "opposite": 1 / 7, "none": 1 / 4},
    "dotproduct": {"same": 9, "longer": 18, "near": 11, "across": 0, "opposite": -9, "none": 0},
}


class VectorSearchContract(VectorsUnderTest):
    """The nearest, and how near they are."""

    @pytest.mark.parametrize("metric", METRICS)
    async def test_scores_are_what_the_metric_says(self, vectors: VectorStore, metric: Metric) -> None:
        """Cosine of the angle, 1 / (1 + distance), or dot product: higher is nearer, the same number on every backend."""
        await filled(vectors, ROWS, metric=metric)
        matches = await every(vectors, like=[1, 2, 2])
        assert len(matches) == len(ROWS)
        for match in matches:
            assert_close(match.score, SCORES[metric][match.id])
        scores = [match.score for match in matches]
        assert scores == sorted(scores, reverse=True)

    @pytest.mark.parametrize("metric", METRICS)
    async def test_a_vector_of_zeros_can_be_saved_and_asked_for(self, vectors: VectorStore, metric: Metric) -> None:
        """An embedder gives zeros for text without words. It has no direction: its cosine with anything is 0."""
        await filled(vectors, {"zeros": [0, 0], "b": [3, 4], "a": [3, 4]}, metric=metric)
        by_zeros = {match.id: match.score for match in await every(vectors, like=[0, 0])}
        others = {"cosine": 0.0, "euclidean": 1 / 6, "dotproduct": 0.0}[metric]
        assert_close(by_zeros["zeros"], 1.0 if metric == "euclidean" else 0.0)
        assert_close(by_zeros["a"], others)
        (zeros,) = [match for match in await every(vectors, like=[3, 4]) if match.id == "zeros"]
        assert_close(zeros.score, others)

    @pytest.mark.parametrize("metric", METRICS)
    async def test_scores_of_long_vectors_are_exact_to_six_digits(self, vectors: VectorStore, metric: Metric) -> None:
        """384 components, as small embedding models have, of any size."""
        chance = random.Random(7)
        rows = {f"v{n}": [chance.gauss(0, 10 ** (n % 5 - 2)) for _ in range(384)] for n in range(20)}
        query = [chance.gauss(0, 1) for _ in range(384)]
        await filled(vectors, rows, metric=metric)
        for match in await every(vectors, like=query):
            row = rows[match.id]
            product, size, own = (
                math.fsum(a * b for a, b in zip(one, two, strict=True)) for one, two in ((row, query), (row, row), (query, query))
            )
            scale = math.sqrt(size * own)
            expected = {"cosine": product / scale, "euclidean": 1 / (1 + math.dist(row, query)), "dotproduct": product}[metric]
            assert abs(match.score - expected) < 1e-5 * (scale if metric == "dotproduct" else 1)

    async def test_equal_scores_come_by_id(self, vectors: VectorStore) -> None:
        """The order is total: the same query gives the same answer, also where top_k cuts among equals."""
        names = ["b", "a", "é", "B", "_", "10", "9", "😀", "日"]
        await filled(vectors, {name: [1, 0] for name in names})
        in_order = sorted(names)
        assert ids(await every(vectors, like=[1, 0])) == in_order
        for count in range(1, len(names)):
            assert ids(await vectors.query("docs", query_vector=[1, 0], top_k=count)) == in_order[:count]
            assert ids(await vectors.query("docs", query_vector=[1, 0], top_k=count, filter={"no": {"$size": 1}})) == []
            assert ids(await vectors.query("docs", query_vector=[1, 0], top_k=count, filter={"no": {"$ne": 1}})) == in_order[:count]

    async def test_a_query_gives_ten_unless_more_are_asked_for(self, vectors: VectorStore) -> None:
        """top_k is 10 by default, and more than there are is no error."""
        await filled(vectors, {f"{n:02}": [1, n] for n in range(30)}, metric="euclidean")
        assert ids(await vectors.query("docs", query_vector=[1, 0])) == [f"{n:02}" for n in range(10)]
        assert len(await vectors.query("docs", query_vector=[1, 0], top_k=10**20)) == 30

    async def test_a_filter_never_makes_an_answer_short(self, vectors: VectorStore) -> None:
        """The wanted ones may all be far away: top_k is full as long as enough meet the filter."""
        await vectors.create_index("docs", dimension=2, metric="euclidean", metadata_indexes=["owner"])
        owners = [{"owner": "u" if n >= 1900 else "others", "n": n} for n in range(2000)]
        await vectors.upsert("docs", vectors=[[0, n] for n in range(2000)], metadata=owners, ids=[f"{n:04}" for n in range(2000)])
        expected = [f"{n:04}" for n in range(1900, 1950)]
        assert ids(await vectors.query("docs", query_vector=[0, 0], top_k=50, filter={"owner": "u"})) == expected
        assert ids(await vectors.query("docs", query_vector=[0, 0], top_k=50, filter={"n": {"$gte": 1900}})) == expected
        assert len(await vectors.query("docs", query_vector=[0, 0], top_k=150, filter={"owner": {"$ne": "others"}})) == 100

    async def test_an_empty_index_answers_with_nothing(self, vectors: VectorStore) -> None:
        """No vectors, no matches, no error."""
        await vectors.create_index("docs", dimension=2)
        assert await vectors.query("docs", query_vector=[1, 0]) == []
        assert await vectors.query("docs", query_vector=[1, 0], filter={"a": {"$gt": 1}}) == []

    @pytest.mark.parametrize("top_k", [0, -1, 1.5, "3", True, None])
    async def test_a_top_k_that_is_none_is_refused(self, vectors: VectorStore, top_k: Any) -> None:
        """top_k is a whole number from 1."""
        await vectors.create_index("docs", dimension=2)
        with pytest.raises(InvalidInputError, match="top_k must be a positive integer, found") as caught:
            await vectors.query("docs", query_vector=[1, 0], top_k=top_k)
        assert caught.value.code.endswith("_QUERY_INVALID_TOP_K")

    async def test_what_a_caller_changes_does_not_change_the_store(self, vectors: VectorStore) -> None:
        """Metadata is a copy, going in and coming out."""
        given: dict[str, Any] = {"list": [1]}
        await filled(vectors, {"a": [1, 0]}, metadata={"a": given})
        given["list"].append(2)
        (match,) = await every(vectors, like=[1, 0])
        held: Any = match.metadata
        held["list"].append(3)
        assert [match.metadata for match in await every(vectors, like=[1, 0])] == [{"list": [1]}]

    async def test_queries_and_saves_at_once_do_not_disturb_one_another(self, vectors: VectorStore) -> None:
        """A search while others save answers with whole batches: all four of one, or none."""
        await vectors.create_index("docs", dimension=2)

        async def save(n: int) -> None:
            await vectors.upsert("docs", vectors=[[1, n]] * 4, metadata=[{"batch": n}] * 4, ids=[f"{n}-{part}" for part in range(4)])

        async def look(n: int) -> None:
            found = await every(vectors, like=[1, 0], filter={"batch": n})
            assert len(found) in {0, 4}

        await asyncio.gather(*(step(n) for n in range(16) for step in (save, look)))
        assert (await vectors.describe_index("docs")).count == 64
