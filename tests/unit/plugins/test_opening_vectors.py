"""A vector store is opened by its URL alone, through the same plugins as a store."""

from __future__ import annotations

import pytest

from mastra_core.errors import ConfigurationError, PluginError, UnknownBackendError
from mastra_core.storage import InMemoryVector, LibSQLVector, VectorStore, open_store, open_vector
from mastra_core.storage.store import Store

GOOD = """
    from mastra_core.plugins import VectorDescription, hookimpl

    @hookimpl
    def mastra_vectors():
        return [VectorDescription(schemes=("acme",), factory="THIS:open_acme", summary="Acme's vectors", port_version=1)]

    def open_acme(url):
        from mastra_core.storage import InMemoryVector
        return InMemoryVector(id=url.rpartition("/")[2])
"""
SECRET = "hunter2"


async def test_the_built_in_vector_store_is_found_like_any_plugin(tmp_path) -> None:
    """`file:` and `:memory:` work at once, and a file is found again by its URL."""
    url = f"file:{tmp_path / 'm.db'}"
    async with open_vector(url) as vectors:
        assert isinstance(vectors, LibSQLVector)
        await vectors.create_index("docs", dimension=1)
    async with open_vector(url) as vectors, open_vector(":memory:") as other:
        assert await vectors.list_indexes() == ["docs"]
        assert await other.list_indexes() == []


def test_an_installed_plugin_answers_its_scheme_by_itself(install) -> None:
    """`pip install mastra-acme`, and `acme://` opens vectors: nothing to import or register."""
    install("acme", GOOD)
    vectors = open_vector("acme://host/db")
    assert isinstance(vectors, InMemoryVector)
    assert isinstance(vectors, VectorStore)
    assert vectors.id == "db"


def test_a_plugin_of_vectors_is_no_store_and_a_store_is_no_vectors(install) -> None:
    """What a plugin does not offer is said, with what there is."""
    install("acme", GOOD)
    with pytest.raises(UnknownBackendError, match=r"answers 'acme', but not with a store; installed: .*file"):
        open_store("acme://host/db")
    with pytest.raises(UnknownBackendError, match=r"answers 'libsql', but not with a vector store; installed: acme, file"):
        open_vector(f"libsql://{SECRET}@host")


def test_an_unknown_scheme_names_the_nearest_that_has_vectors(install) -> None:
    """A typing mistake is put right in the message, which shows no password."""
    install("acme", GOOD)
    with pytest.raises(
        UnknownBackendError, match=r"^no storage plugin answers 'acmee://…' \(installed: acme, .*\)\. Did you mean 'acme://'\?$"
    ):
        open_vector(f"acmee://user:{SECRET}@host/db")
    with pytest.raises(ConfigurationError, match=r"'file:./vectors.db'"):
        open_vector("./vectors.db")


def test_a_factory_that_gives_no_vector_store_is_named(install) -> None:
    """A plugin whose factory forgot to return, or gives a store of records, is found at once."""
    install("acme", GOOD.replace("InMemoryVector", "InMemoryStore"))
    with pytest.raises(PluginError, match="must return a VectorStore, found InMemoryStore"):
        open_vector("acme://host")


def test_a_store_is_not_taken_for_a_vector_store() -> None:
    """The two ports can be told apart."""
    assert not isinstance(open_vector(":memory:"), Store)
