"""Which models this plugin has, by the name after "local/". Knows names alone; loads nothing."""

from __future__ import annotations

import difflib

from mastra_core.errors import ConfigurationError

PROVIDER = "local"
SMOLLM2 = "smollm2-135m"
MINILM = "all-minilm-l6-v2"
CHAT_MODELS = (SMOLLM2,)
EMBEDDERS = (MINILM,)


def check_known(model_id: str, *, kind: str, known: tuple[str, ...]) -> None:
    """Refuse a model that this plugin does not have.

    Args:
        model_id: what stands after "local/".
        kind: what is being looked for, such as "chat model", for the message.
        known: the ids there are.

    Raises:
        ConfigurationError: it is not among them; the message lists them and names the nearest.
    """
    if model_id in known:
        return
    near = difflib.get_close_matches(model_id, known, n=1, cutoff=0.4)
    hint = f" Did you mean '{PROVIDER}/{near[0]}'?" if near else ""
    there = ", ".join(f"'{PROVIDER}/{name}'" for name in known)
    raise ConfigurationError(f"there is no {kind} '{PROVIDER}/{model_id}' (mastra-local has: {there}).{hint}")
