"""What mastra-local offers, said in names: nothing heavy is imported before a model is used."""

from __future__ import annotations

from mastra_core.plugins import EmbedderDescription, ModelDescription, hookimpl
from mastra_local.catalog import CHAT_MODELS, EMBEDDERS, PROVIDER


@hookimpl
def mastra_models() -> list[ModelDescription]:
    """The chat model `local/smollm2-135m`."""
    return [
        ModelDescription(
            provider=PROVIDER,
            factory="mastra_local.chat:open_model",
            summary="SmolLM2-135M-Instruct, run in the process by llama.cpp: offline, for trying and testing",
            models=CHAT_MODELS,
        )
    ]


@hookimpl
def mastra_embedders() -> list[EmbedderDescription]:
    """The embedder `local/all-minilm-l6-v2`."""
    return [
        EmbedderDescription(
            provider=PROVIDER,
            factory="mastra_local.embeddings:open_embedder",
            summary="all-MiniLM-L6-v2 (384 dimensions, English), run in the process by onnxruntime: offline",
            models=EMBEDDERS,
        )
    ]
