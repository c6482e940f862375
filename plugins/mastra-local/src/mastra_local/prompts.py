"""Instructions that were measured with the local chat model; plain text, usable with any other."""

from __future__ import annotations

REMEMBERING = """\
You remember what the user tells you.

Example:
User: Hi, my name is Tom.
Assistant: Nice to meet you, Tom.
User: I live in Berlin.
Assistant: You live in Berlin.
User: What is my name?
Assistant: Your name is Tom.
User: Where do I live?
Assistant: You live in Berlin."""
"""Instructions for an agent that answers from what it was told earlier.

They carry one worked example, which `local/smollm2-135m` is shown as real turns (see `mastra_local.examples`). The README has the figures.
"""
