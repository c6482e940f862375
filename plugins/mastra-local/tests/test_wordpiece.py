"""The tokenizer, against ids that Hugging Face's `tokenizers` gives for bert-base-uncased."""

from __future__ import annotations

import pytest

from mastra_local.embeddings import _VOCABULARY
from mastra_local.wordpiece import WordPiece


@pytest.fixture(scope="module")
def tokenizer() -> WordPiece:
    return WordPiece(_VOCABULARY)


@pytest.mark.parametrize(
    "text,ids",
    [
        ("hello world", [101, 7592, 2088, 102]),
        ("Hello, WORLD!", [101, 7592, 1010, 2088, 999, 102]),
        ("embeddings", [101, 7861, 8270, 4667, 2015, 102]),
        ("", [101, 102]),
        ("café", [101, 7668, 102]),
        ("tab\tand\x00nul\u2029line", [101, 21628, 1998, 11231, 2140, 2240, 102]),
        ("w" * 101, [101, 100, 102]),
    ],
)
def test_texts_become_the_ids_of_the_reference(tokenizer, text, ids):
    """The user gets vectors of the model as it was trained."""
    assert tokenizer.encode(text) == ids


def test_a_long_text_is_cut_to_the_limit_with_its_end_mark(tokenizer):
    """The user may embed any length."""
    ids = tokenizer.encode("word " * 1000)
    assert (len(ids), ids[0], ids[-1]) == (256, 101, 102)


def test_ideographs_are_words_of_their_own(tokenizer):
    """Text without spaces is split where BERT splits it."""
    assert tokenizer.encode("漢字") == tokenizer.encode("漢 字")
