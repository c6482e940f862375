"""Offline models for Mastra agents: a small chat model and an embedder, run in the process."""
