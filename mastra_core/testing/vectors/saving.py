"""Vectors saved, replaced, changed and removed (contract §8.1): whole batches or nothing, nothing lost among many writers."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from mastra_core.errors import InvalidInputError
from mastra_core.storage.vectors.port import VectorStore
from mastra_core.testing.equality import assert_same
from mastra_core.testing.samples import AWKWARD_IDS, JSON_VALUES
from mastra_core.testing.vectors.under_test import VectorsUnderTest, every, filled, ids, in_32_bits

WRITERS = 32
BAD_VECTORS: dict[str, tuple[Any, str]] = {
    "nan": ([1.0, math.nan], r"vectors\[1\]\[1\]: nan is no finite number"),
    "inf": ([math.inf, 1.0], r"vectors\[1\]\[0\]: inf is no finite number"),
    "too large for 32 bits": ([1.0, 1e39], r"vectors\[1\]\[1\]: 1e\+39 is no finite number that 32 bits can hold"),
    "huge": ([10**400, 1], r"vectors\[1\]\[0\]"),
    "bool": ([True, 1.0], r"vectors\[1\]\[0\]: True"),
    "text": (["1", 2.0], r"vectors\[1\]\[0\]: '1'"),
    "none": ([None, 2.0], r"vectors\[1\]\[0\]: None"),
    "empty": ([], r"vectors\[1\]: is empty"),
    "short": ([1.0], r'Vector dimension mismatch: Index "docs" expects 2 dimensions but got 1 dimensions\. Either use a matching'),
    "long": ([1.0, 2.0, 3.0], "expects 2 dimensions but got 3"),
    "number": (7, r"vectors\[1\]: must be a list of numbers, found int"),
    "string": ("ab", r"vectors\[1\]: must be a list of numbers, found str"),
    "bytes": (b"abcdefgh", r"vectors\[1\]: must be a list of numbers, found bytes"),
}


class VectorSavingContract(VectorsUnderTest):
    """What upsert, update and delete promise."""

    async def test_what_was_saved_comes_back(self, vectors: VectorStore) -> None:
        """The ids are answered in order; a query gives id, metadata and, when asked, the vector in 32-bit floats."""
        await vectors.create_index("docs", dimension=3)
        assert await vectors.upsert("docs", vectors=[[0.1, 1, -2.5e-3]], metadata=[{"thread_id": "t"}], ids=["a"]) == ["a"]
        (match,) = await vectors.query("docs", query_vector=[0.1, 1, 0], include_vector=True)
        assert (match.id, match.metadata) == ("a", {"thread_id": "t"})
        assert in_32_bits(match.vector) == in_32_bits([0.1, 1, -2.5e-3])
        assert (await vectors.query("docs", query_vector=[0.1, 1, 0]))[0].vector is None

    async def test_new_ids_are_made_where_none_are_given(self, vectors: VectorStore) -> None:
        """Each vector gets one of its own, and no metadata is an empty object."""
        await vectors.create_index("docs", dimension=1)
        made = await vectors.upsert("docs", vectors=[[1], [2], [3]])
        assert len(set(made)) == 3
        assert {match.id: match.metadata for match in await every(vectors, like=[1])} == {name: {} for name in made}

    async def test_an_id_saved_again_is_replaced_whole(self, vectors: VectorStore) -> None:
        """Metadata is replaced, not merged; the vector too."""
        await filled(vectors, {"a": [1, 0]}, metadata=dict(a={"old": 1, "both": 1}))
        await vectors.upsert("docs", vectors=[[0, 1]], metadata=[{"both": 2}], ids=["a"])
        (match,) = await every(vectors, like=[0, 1], include_vector=True)
        assert (match.metadata, in_32_bits(match.vector)) == ({"both": 2}, [0, 1])
        await vectors.upsert("docs", vectors=[[0, 1]], ids=["a"])
        assert [match.metadata for match in await every(vectors, like=[0, 1])] == [{}]

    async def test_any_json_is_metadata(self, vectors: VectorStore) -> None:
        """Whatever JSON is saved comes back equal, types included."""
        await vectors.create_index("docs", dimension=1)
        await vectors.upsert(
            "docs", vectors=[[1]] * len(JSON_VALUES), metadata=[{"v": v} for v in JSON_VALUES.values()], ids=list(JSON_VALUES)
        )
        assert_same(
            {match.id: match.metadata for match in await every(vectors, like=[1])}, {name: {"v": v} for name, v in JSON_VALUES.items()}
        )

    async def test_any_id_works(self, vectors: VectorStore) -> None:
        """Ids are the caller's strings: found, changed and removed with any characters."""
        await vectors.create_index("docs", dimension=1)
        await vectors.upsert("docs", vectors=[[1]] * len(AWKWARD_IDS), ids=AWKWARD_IDS)
        assert sorted(ids(await every(vectors, like=[1]))) == sorted(AWKWARD_IDS)
        assert [await vectors.update_vector("docs", id=name, metadata={"name": name}) for name in AWKWARD_IDS] == [1] * len(AWKWARD_IDS)
        assert {match.id: match.metadata["name"] for match in await every(vectors, like=[1])} == {name: name for name in AWKWARD_IDS}
        assert await vectors.delete_vectors("docs", ids=AWKWARD_IDS) == len(AWKWARD_IDS)

    async def test_a_large_batch_is_saved_whole(self, vectors: VectorStore) -> None:
        """A document of two thousand chunks is one upsert."""
        await vectors.create_index("docs", dimension=2)
        names = await vectors.upsert("docs", vectors=[[1, number] for number in range(2000)], metadata=[{"n": n} for n in range(2000)])
        assert (await vectors.describe_index("docs")).count == 2000
        assert await vectors.delete_vectors("docs", ids=names[:1500]) == 1500
        assert await vectors.delete_vectors("docs", filter={"n": {"$lt": 1600}}) == 100

    @pytest.mark.parametrize("bad", BAD_VECTORS)
    async def test_a_batch_with_a_bad_vector_is_refused_whole(self, vectors: VectorStore, bad: str) -> None:
        """The error names the vector and the number; not even the good vectors before it are there, and what was stays."""
        vector, named = BAD_VECTORS[bad]
        await filled(vectors, {"old": [1, 1]}, metadata=dict(old={"kept": True}))
        with pytest.raises(InvalidInputError, match=named) as caught:
            await vectors.upsert("docs", vectors=[[1, 2], vector, [3, 4]], ids=["new", "bad", "old"])
        assert caught.value.operation == "upsert"
        assert [(match.id, match.metadata) for match in await every(vectors, like=[1, 1])] == [("old", {"kept": True})]
        with pytest.raises(InvalidInputError):
            await vectors.query("docs", query_vector=vector)
        with pytest.raises(InvalidInputError):
            await vectors.update_vector("docs", id="old", vector=vector)

    @pytest.mark.parametrize(
        "given, named, code",
        [
            ({"vectors": []}, "Vectors array cannot be empty", "UPSERT_EMPTY_VECTORS"),
            (
                {"vectors": [[1], [2]], "metadata": [{}]},
                "Metadata array length must match vectors array length",
                "UPSERT_METADATA_LENGTH_MISMATCH",
            ),
            (
                {"vectors": [[1], [2]], "ids": ["a"]},
                "IDs array length must match vectors array length, found 1",
                "UPSERT_IDS_LENGTH_MISMATCH",
            ),
            ({"vectors": [[1], [2]], "ids": ["a", "a"]}, r"ids\[0\] and ids\[1\] are both 'a'", ""),
            ({"vectors": [[1]], "ids": [""]}, r"ids\[0\]: is empty", ""),
            ({"vectors": [[1]], "ids": [7]}, r"ids\[0\]: must be a string", ""),
            ({"vectors": [[1]], "ids": "a"}, "ids: must be a list", ""),
            ({"vectors": [[1]], "metadata": {"a": 1}}, "metadata: must be a list", ""),
            ({"vectors": [[1]], "metadata": ["a"]}, r"metadata\[0\]: must be a mapping, found 'a'", ""),
            ({"vectors": [[1]], "metadata": [{"a": math.nan}]}, r"metadata\[0\].a: nan is no JSON number", ""),
            ({"vectors": [[1]], "metadata": [{"a": {1}}]}, r"metadata\[0\].a: a set cannot be stored", ""),
            ({"vectors": [[1]], "metadata": [{"a": "\0"}]}, r"U\+0000", ""),
            ({"vectors": None}, "vectors: must be a list", ""),
        ],
        ids=lambda value: ascii(value)[:30],
    )
    async def test_what_cannot_be_saved_is_refused(self, vectors: VectorStore, given: dict[str, Any], named: str, code: str) -> None:
        """Lengths that differ, an id twice, metadata that is no JSON: the message says what was found, and nothing is saved."""
        await vectors.create_index("docs", dimension=1)
        with pytest.raises(InvalidInputError, match=named) as caught:
            await vectors.upsert("docs", **given)
        assert caught.value.code.startswith("MASTRA_VECTOR_")
        assert caught.value.code.endswith(code or "_UPSERT_FAILED")
        assert (await vectors.describe_index("docs")).count == 0

    async def test_an_update_replaces_what_it_names(self, vectors: VectorStore) -> None:
        """The vector, the metadata, or both; by id or by filter; what was not named stays. The answer counts what there was."""
        await filled(vectors, {"a": [1, 0], "b": [1, 0], "c": [1, 0]}, metadata=dict(a={"k": 1, "x": 1}, b={"k": 1}, c={"k": 2}))
        assert await vectors.update_vector("docs", id="a", metadata={"k": 3}) == 1
        assert await vectors.update_vector("docs", id="b", vector=[0, 1]) == 1
        assert await vectors.update_vector("docs", filter={"k": {"$gte": 2}}, vector=[1, 1], metadata={"new": True}) == 2
        assert await vectors.update_vector("docs", id="none", vector=[1, 1]) == 0
        found = {match.id: (match.metadata, in_32_bits(match.vector)) for match in await every(vectors, like=[1, 1], include_vector=True)}
        assert found == {"a": ({"new": True}, [1, 1]), "b": ({"k": 1}, [0, 1]), "c": ({"new": True}, [1, 1])}

    @pytest.mark.parametrize(
        "given, named, code",
        [
            ({"id": "a", "filter": {"k": 1}, "metadata": {}}, "id and filter are mutually exclusive", "MUTUALLY_EXCLUSIVE"),
            ({"metadata": {}}, "Either id or filter must be provided", "NO_TARGET"),
            ({"id": "a"}, "No updates provided", "NO_PAYLOAD"),
            ({"filter": {}, "metadata": {}}, "Cannot update with empty filter", "EMPTY_FILTER"),
            ({"filter": {"$and": [{}]}, "metadata": {}}, "Filter matches all vectors", "MATCH_ALL_FILTER"),
            ({"id": "a", "metadata": ["x"]}, "metadata: must be a mapping", "FAILED"),
            ({"id": "", "metadata": {}}, "id: is empty", "FAILED"),
        ],
        ids=lambda value: ascii(value)[:30],
    )
    async def test_an_update_of_nothing_or_everything_is_refused(
        self, vectors: VectorStore, given: dict[str, Any], named: str, code: str
    ) -> None:
        """An empty variable in a filter does not overwrite the whole index."""
        await filled(vectors, {"a": [1, 0]}, metadata=dict(a={"k": 1}))
        with pytest.raises(InvalidInputError, match=named) as caught:
            await vectors.update_vector("docs", **given)
        assert caught.value.code.endswith(f"_UPDATE_VECTOR_{code}")
        assert [match.metadata for match in await every(vectors, like=[1, 0])] == [{"k": 1}]

    async def test_vectors_are_removed_by_id_or_filter(self, vectors: VectorStore) -> None:
        """The count is of what was there; removing what is not there is no error."""
        rows: dict[str, list[float]] = {name: [1, 0] for name in "abcdef"}
        await filled(vectors, rows, metadata=dict(a={"k": "x"}, b={"k": "x"}, c={"k": "y"}, d={"k": 1}))
        await vectors.delete_vector("docs", id="f")
        await vectors.delete_vector("docs", id="f")
        assert await vectors.delete_vectors("docs", ids=["e", "e", "none"]) == 1
        assert await vectors.delete_vectors("docs", filter={"k": "x"}) == 2
        assert await vectors.delete_vectors("docs", filter={"k": "x"}) == 0
        assert await vectors.delete_vectors("docs", filter={"k": {"$gt": 0}}) == 1
        assert ids(await every(vectors, like=[1, 0])) == ["c"]

    @pytest.mark.parametrize(
        "given, named, code",
        [
            ({"ids": ["a"], "filter": {"k": 1}}, "Cannot provide both filter and ids", "MUTUALLY_EXCLUSIVE"),
            ({}, "Either filter or ids must be provided", "NO_TARGET"),
            ({"ids": []}, "Cannot delete with empty ids array", "EMPTY_IDS"),
            ({"filter": {}}, "Cannot delete with empty filter. Use delete_index", "EMPTY_FILTER"),
            ({"filter": {"k": {"$nin": []}}}, "Filter matches all vectors. Use delete_index", "MATCH_ALL_FILTER"),
            ({"ids": "a"}, "ids: must be a list", "FAILED"),
        ],
        ids=lambda value: ascii(value)[:30],
    )
    async def test_a_removal_of_nothing_or_everything_is_refused(
        self, vectors: VectorStore, given: dict[str, Any], named: str, code: str
    ) -> None:
        """An empty variable in a filter does not empty the index; delete_index does."""
        await filled(vectors, {"a": [1, 0]})
        with pytest.raises(InvalidInputError, match=named) as caught:
            await vectors.delete_vectors("docs", **given)
        assert caught.value.code.endswith(f"_DELETE_VECTORS_{code}")
        assert (await vectors.describe_index("docs")).count == 1

    async def test_concurrent_savers_lose_nothing(self, vectors: VectorStore) -> None:
        """32 upserts at once: every vector is there once, with its own metadata."""
        await vectors.create_index("docs", dimension=2)
        batches = [[f"{writer}-{number}" for number in range(5)] for writer in range(WRITERS)]
        await asyncio.gather(
            *(vectors.upsert("docs", vectors=[[1, 2]] * 5, metadata=[{"me": name} for name in batch], ids=batch) for batch in batches)
        )
        assert {match.id: match.metadata["me"] for match in await every(vectors, like=[1, 2])} == {n: n for batch in batches for n in batch}

    async def test_concurrent_savers_of_one_id_leave_one_whole(self, vectors: VectorStore) -> None:
        """Of 32 that save the same id one is left, with the vector and the metadata of the same saver."""
        await vectors.create_index("docs", dimension=2)
        await asyncio.gather(*(vectors.upsert("docs", vectors=[[1, n]], metadata=[{"n": n}], ids=["a"]) for n in range(WRITERS)))
        (match,) = await every(vectors, like=[1, 1], include_vector=True)
        assert in_32_bits(match.vector) == [1, match.metadata["n"]]
