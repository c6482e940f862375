"""`local/all-minilm-l6-v2`: texts to vectors, in the process, offline.

Knows onnxruntime and one BERT model. Must not know agents, memory or storage.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
import onnxruntime

from mastra_core.errors import ModelError
from mastra_local.catalog import EMBEDDERS, PROVIDER, check_known
from mastra_local.weights import MINILM_WEIGHTS, Weights, check_sum, require
from mastra_local.wordpiece import WordPiece

DIMENSION = 384
BATCH = 8
_VOCABULARY = Path(__file__).with_name("vocab.txt")
_VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"


class _MiniLm:
    """The loaded model and its tokenizer; usable from several threads at once."""

    def __init__(self, weights: Weights) -> None:
        path = require(weights)
        check_sum(_VOCABULARY, sha256=_VOCABULARY_SHA256, mend="Run: pip install --no-deps --force-reinstall mastra-local")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        # The arena keeps the memory of the largest batch ever seen for good.
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._tokenizer = WordPiece(_VOCABULARY)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        ids = [self._tokenizer.encode(text) for text in texts]
        vectors = np.empty((len(ids), DIMENSION), np.float32)
        for batch in _batches(ids):
            vectors[batch] = self._run([ids[index] for index in batch])
        return [list(map(float, vector)) for vector in vectors]

    def _run(self, ids: list[list[int]]) -> npt.NDArray[np.float32]:
        width = max(len(row) for row in ids)
        tokens = np.zeros((len(ids), width), np.int64)
        mask = np.zeros_like(tokens)
        for index, row in enumerate(ids):
            tokens[index, : len(row)] = row
            mask[index, : len(row)] = 1
        inputs = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
        hidden = self._session.run(None, inputs)[0]
        # The mean of each text's own tokens, without the padding.
        means = np.stack([hidden[index, : len(row)].mean(axis=0) for index, row in enumerate(ids)])
        unit: npt.NDArray[np.float32] = (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
        return unit


def _batches(ids: list[list[int]]) -> Iterator[list[int]]:
    """Indexes of texts of about the same length, so that little is padding."""
    by_length = sorted(range(len(ids)), key=lambda index: len(ids[index]))
    for start in range(0, len(by_length), BATCH):
        yield by_length[start : start + BATCH]


_loaded: WeakValueDictionary[Weights, _MiniLm] = WeakValueDictionary()
_loading = threading.Lock()


def _shared(weights: Weights) -> _MiniLm:
    with _loading:
        model = _loaded.get(weights)
        if model is None:
            model = _loaded[weights] = _MiniLm(weights)
        return model


class LocalEmbedder:
    """all-MiniLM-L6-v2 with int8 weights: 384 numbers a text, of length 1, for English.

    Texts past 256 tokens are cut. The model is loaded on the first call, in a worker thread, and shared by all embedders of the process.
    A text's vector does not depend on the texts beside it.

    Args:
        model_id: stored beside the vectors.
        weights: which file to load.
    """

    provider = PROVIDER
    dimension = DIMENSION

    def __init__(self, model_id: str, *, weights: Weights = MINILM_WEIGHTS) -> None:
        self.model_id = model_id
        self._weights = weights
        self._model: _MiniLm | None = None

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text, in order; none for no text.

        Raises:
            ModelError: the weights are missing or not the right ones, or `texts` is one text and no list.
        """
        if isinstance(texts, str):
            raise ModelError(f"{self.provider}/{self.model_id} embeds a list of texts, found one text: pass [text]")
        if not texts:
            return []
        return await asyncio.to_thread(self._embed, list(texts))

    def _embed(self, texts: list[str]) -> list[list[float]]:
        model = self._model
        if model is None:
            model = self._model = _shared(self._weights)
        return model.embed(texts)

    async def close(self) -> None:
        """Let go of the model, whose memory is freed with the last embedder; the next call loads it again."""
        self._model = None


def open_embedder(model_id: str) -> LocalEmbedder:
    """The embedder of this id; nothing is loaded before its first call.

    Raises:
        ConfigurationError: there is none of this id; the message lists those there are.
    """
    check_known(model_id, kind="embedder", known=EMBEDDERS)
    return LocalEmbedder(model_id)
