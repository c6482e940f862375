"""Indexes made, listed, described and removed (contract §8.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mastra_core.errors import IndexNotFoundError, InvalidInputError, StoreClosedError
from mastra_core.storage.vectors.port import METRICS, IndexDescription, Metric, VectorStore
from mastra_core.testing.vectors.under_test import VectorsUnderTest, every, filled, ids


class VectorIndexContract(VectorsUnderTest):
    """One index, and several."""

    async def test_a_fresh_store_has_no_index(self, vectors: VectorStore) -> None:
        """Nothing is there before it was made."""
        assert await vectors.list_indexes() == []

    @pytest.mark.parametrize("metric", METRICS)
    async def test_an_index_is_described_as_it_was_made(self, vectors: VectorStore, metric: Metric) -> None:
        """Dimension and metric are remembered, and vectors are counted."""
        await vectors.create_index("docs", dimension=3, metric=metric)
        assert await vectors.describe_index("docs") == IndexDescription(dimension=3, count=0, metric=metric)
        await vectors.upsert("docs", vectors=[[1, 2, 3], [4, 5, 6]], ids=["a", "b"])
        await vectors.upsert("docs", vectors=[[1, 2, 4]], ids=["a"])
        assert await vectors.describe_index("docs") == IndexDescription(dimension=3, count=2, metric=metric)

    async def test_an_index_is_cosine_unless_something_else_is_said(self, vectors: VectorStore) -> None:
        """The default is what embedding models are made for."""
        await vectors.create_index("docs", dimension=1)
        assert (await vectors.describe_index("docs")).metric == "cosine"

    async def test_indexes_are_listed_by_name(self, vectors: VectorStore) -> None:
        """What was made is found again, sorted; names keep their case."""
        for name in ("memory_messages_384", "Docs", "_x", "a"):
            await vectors.create_index(name, dimension=2)
        assert await vectors.list_indexes() == ["Docs", "_x", "a", "memory_messages_384"]

    async def test_making_an_index_again_changes_nothing(self, vectors: VectorStore) -> None:
        """Memory makes its index before every use; the vectors stay."""
        await filled(vectors, {"a": [1, 0]})
        await vectors.create_index("docs", dimension=2, metadata_indexes=["thread_id", "owner.name"])
        await vectors.create_index("docs", dimension=2, metadata_indexes=["thread_id"])
        assert ids(await every(vectors, like=[1, 0])) == ["a"]

    @pytest.mark.parametrize("other", [{"dimension": 3}, {"dimension": 2, "metric": "euclidean"}], ids=["dimension", "metric"])
    async def test_an_index_is_not_taken_for_one_of_another_dimension_or_metric(self, vectors: VectorStore, other: dict[str, Any]) -> None:
        """A new embedding model is noticed here, not at the first upsert; the message says what is there and what to do."""
        await filled(vectors, {"a": [1, 0]})
        with pytest.raises(InvalidInputError, match=r"'docs' is there already, with dimension 2 and metric 'cosine'.*delete_index"):
            await vectors.create_index("docs", **other)
        assert await vectors.describe_index("docs") == IndexDescription(dimension=2, count=1, metric="cosine")

    async def test_names_that_differ_by_case_alone_are_refused(self, vectors: VectorStore) -> None:
        """What one database cannot tell apart works on none by chance."""
        await vectors.create_index("docs", dimension=2)
        with pytest.raises(InvalidInputError, match=r"'Docs' differs from 'docs' by case alone"):
            await vectors.create_index("Docs", dimension=2)

    @pytest.mark.parametrize("name", ["a-b", "1a", "", "a b", 'a"b', "a.b", "é", "x" * 64, None, 7], ids=ascii)
    async def test_a_name_that_is_no_name_is_refused(self, vectors: VectorStore, name: Any) -> None:
        """A name goes into statements and keys of any database; the contract's text says which can."""
        with pytest.raises(
            InvalidInputError, match=r"^Invalid index name: .*Must start with a letter or underscore, contain only"
        ) as caught:
            await vectors.create_index(name, dimension=2)
        assert caught.value.operation == "create_index"
        with pytest.raises(InvalidInputError, match=r"^Invalid index name"):
            await vectors.query(name, query_vector=[1])

    @pytest.mark.parametrize("dimension", [0, -1, 1.5, "3", True, None])
    async def test_a_dimension_that_is_none_is_refused(self, vectors: VectorStore, dimension: Any) -> None:
        """A dimension is a whole number from 1."""
        with pytest.raises(InvalidInputError, match=r"Dimension must be a positive integer, found"):
            await vectors.create_index("docs", dimension=dimension)
        assert await vectors.list_indexes() == []

    async def test_a_metric_that_is_none_is_refused(self, vectors: VectorStore) -> None:
        """A slip in the name is put right in the message."""
        metric: Any = "dotProduct"
        with pytest.raises(InvalidInputError, match=r"no metric 'dotProduct'.*Did you mean 'dotproduct'"):
            await vectors.create_index("docs", dimension=2, metric=metric)

    @pytest.mark.parametrize("field", ["a-b", "", "a..b", 7], ids=ascii)
    async def test_a_metadata_index_that_no_filter_could_ask_for_is_refused(self, vectors: VectorStore, field: Any) -> None:
        """What is indexed follows the rule of what is asked for."""
        with pytest.raises(InvalidInputError):
            await vectors.create_index("docs", dimension=2, metadata_indexes=[field])
        with pytest.raises(InvalidInputError, match=r"write \['thread_id'\]"):
            await vectors.create_index("docs", dimension=2, metadata_indexes="thread_id")

    async def test_a_removed_index_is_gone_with_its_vectors(self, vectors: VectorStore) -> None:
        """Another of the same name begins empty, and may be of another kind; removing what is not there is no error."""
        await filled(vectors, {"a": [1, 0]})
        await filled(vectors, {"a": [1, 0]}, name="other")
        await vectors.delete_index("docs")
        await vectors.delete_index("docs")
        assert await vectors.list_indexes() == ["other"]
        await vectors.create_index("docs", dimension=3, metric="euclidean")
        assert await vectors.describe_index("docs") == IndexDescription(dimension=3, count=0, metric="euclidean")

    async def test_a_missing_index_is_named_with_the_mend(self, vectors: VectorStore) -> None:
        """Whatever is asked of an index that is not there, the error says how to make it, and which one was probably meant."""
        await vectors.create_index("docs", dimension=2)
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: vectors.upsert("doc", vectors=[[1, 0]]),
            lambda: vectors.query("doc", query_vector=[1, 0]),
            lambda: vectors.describe_index("doc"),
            lambda: vectors.update_vector("doc", id="a", metadata={}),
            lambda: vectors.delete_vector("doc", id="a"),
            lambda: vectors.delete_vectors("doc", filter={"a": 1}),
        ]
        for call in calls:
            with pytest.raises(
                IndexNotFoundError, match=r"no index 'doc'.*Did you mean 'docs'\? Make it first: create_index\('doc', dim"
            ) as caught:
                await call()
            assert caught.value.operation
            assert caught.value.store_id == vectors.id

    async def test_a_name_in_another_case_is_another_name(self, vectors: VectorStore) -> None:
        """An index is found by its name alone, on every database."""
        await vectors.create_index("docs", dimension=2)
        with pytest.raises(IndexNotFoundError, match="Did you mean 'docs'"):
            await vectors.describe_index("DOCS")

    async def test_making_one_index_at_once_works_for_all(self, vectors: VectorStore) -> None:
        """Many agents that start together need no order among them."""
        await asyncio.gather(*(vectors.create_index("docs", dimension=2, metadata_indexes=["thread_id"]) for _ in range(16)))
        assert await vectors.list_indexes() == ["docs"]

    async def test_a_closed_store_says_so(self, vectors: VectorStore) -> None:
        """Nothing is written after close(), and closing again is no error."""
        await vectors.create_index("docs", dimension=2)
        await vectors.close()
        await vectors.close()
        with pytest.raises(StoreClosedError, match="closed; open a new one"):
            await vectors.list_indexes()
