"""BERT's uncased WordPiece tokenizer, in the standard library alone.

The same ids as Hugging Face's `tokenizers` on real text; code points newer than this Python's Unicode tables may differ.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

# The blocks that BERT takes for Chinese characters, each of them a word. Kana and Hangul are not among them.
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
_LONGEST_WORD = 100
_CACHED_WORDS = 50_000


class WordPiece:
    """Turns text into the ids that a BERT model reads.

    Args:
        vocabulary: the `vocab.txt`; a token's id is its line, from 0.
        max_tokens: longer texts are cut, [CLS] and [SEP] counted.
    """

    def __init__(self, vocabulary: Path, *, max_tokens: int = 256) -> None:
        lines = vocabulary.read_text(encoding="utf-8").split("\n")
        self._ids = {token: line for line, token in enumerate(lines) if token}
        self._max_tokens = max_tokens
        self._first, self._last, self._unknown = (self._ids[name] for name in ("[CLS]", "[SEP]", "[UNK]"))
        self._pieces = lru_cache(maxsize=_CACHED_WORDS)(self._split)

    def encode(self, text: str) -> list[int]:
        """The ids of a text: [CLS], its pieces, [SEP]. Any text is taken; what cannot be spelt becomes [UNK]."""
        ids = [self._first]
        for word in _words(text):
            ids.extend(self._pieces(word))
            if len(ids) >= self._max_tokens:
                break
        return [*ids[: self._max_tokens - 1], self._last]

    def _split(self, word: str) -> tuple[int, ...]:
        if len(word) > _LONGEST_WORD:
            return (self._unknown,)
        ids: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                piece = self._ids.get(prefix + word[start:end])
                if piece is not None:
                    ids.append(piece)
                    start = end
                    break
            else:
                return (self._unknown,)
        return tuple(ids)


def _words(text: str) -> Iterator[str]:
    """The words, lower-cased and without accents, punctuation apart."""
    for chunk in _spaced(text).split():
        letters: list[str] = []
        for letter in unicodedata.normalize("NFD", chunk):
            if unicodedata.category(letter) == "Mn":
                continue
            for lowered in letter.lower():
                if not _is_punctuation(lowered):
                    letters.append(lowered)
                    continue
                if letters:
                    yield "".join(letters)
                letters = []
                yield lowered
        if letters:
            yield "".join(letters)


def _spaced(text: str) -> str:
    """The text without control characters, with plain spaces, and with ideographs standing alone."""
    out: list[str] = []
    for letter in text:
        category = unicodedata.category(letter)
        if letter in "\t\n\r" or category == "Zs":
            out.append(" ")
        elif letter == "\ufffd" or category in ("Cc", "Cf", "Co", "Cs"):
            continue
        elif any(low <= ord(letter) <= high for low, high in _IDEOGRAPHS):
            out.append(f" {letter} ")
        else:
            out.append(letter)
    return "".join(out)


def _is_punctuation(letter: str) -> bool:
    code = ord(letter)
    # BERT takes every ASCII sign for punctuation, also those that Unicode calls symbols, such as "$".
    return 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126 or unicodedata.category(letter).startswith("P")
