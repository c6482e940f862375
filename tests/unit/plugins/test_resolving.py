"""From "provider/model" to a model: what answers, and what is said when nothing does."""

from __future__ import annotations

import pytest

from mastra_core.agent.resolving import resolve_model
from mastra_core.cli.main import main
from mastra_core.errors import ConfigurationError, PluginError
from mastra_core.memory.embedder import resolve_embedder
from mastra_core.openai.providers import PROVIDERS

TALKER = """
    from mastra_core.plugins import EmbedderDescription, ModelDescription, hookimpl

    @hookimpl
    def mastra_models():
        return [ModelDescription(provider="talker", factory="THIS:Talker", summary="talks")]

    @hookimpl
    def mastra_embedders():
        return [EmbedderDescription(provider="talker", factory="THIS:Talker", summary="embeds")]

    class Talker:
        provider = "talker"
        dimension = 3

        def __init__(self, model_id):
            self.model_id = model_id

        async def complete(self, request): ...
        async def stream(self, request): ...
        async def embed(self, texts): ...
"""


def test_a_plugins_model_and_embedder_are_found_by_provider(install) -> None:
    """All after the first "/" is the model's name, further slashes included."""
    install("talker", TALKER)
    assert resolve_model("talker/org/tiny").model_id == "org/tiny"
    assert resolve_embedder("talker/vec").model_id == "vec"


def test_the_tables_models_are_resolved_without_connecting(monkeypatch) -> None:
    """Every provider of the table answers its name once its key is there."""
    for provider, entry in PROVIDERS.items():
        monkeypatch.setenv(entry.key, "k")
        monkeypatch.delenv(f"{provider.upper()}_BASE_URL", raising=False)
        model = resolve_model(f"{provider}/org/model")
        assert (model.provider, model.model_id, model.connection.base_url) == (provider, "org/model", entry.base_url)


@pytest.mark.parametrize("name", ["gpt-5.1", "openai/", "/gpt", "", None])
def test_a_name_without_a_provider_is_shown_how_to_write_it(name) -> None:
    """The form is in the message."""
    with pytest.raises(ConfigurationError, match=r"write 'provider/model', such as 'openai/gpt-5\.1'"):
        resolve_model(name)
    with pytest.raises(ConfigurationError, match="write 'provider/model', such as 'local/all-minilm-l6-v2'"):
        resolve_embedder(name)


def test_an_unknown_provider_names_the_nearest(install) -> None:
    """A typing mistake is put right in the message, for plugins and the table alike."""
    install("talker", TALKER)
    with pytest.raises(
        ConfigurationError, match=r"no provider answers the model 'opnai/x' \(known: .*openai.*\)\. Did you mean 'openai/…'\?"
    ):
        resolve_model("opnai/x")
    with pytest.raises(ConfigurationError, match=r"Did you mean 'talker/…'\?"):
        resolve_model("talkr/x")
    with pytest.raises(ConfigurationError, match=r"no provider answers the embedder 'talkr/x'.*Did you mean 'talker/…'\?"):
        resolve_embedder("talkr/x")


def test_local_models_without_their_plugin_say_what_to_install(monkeypatch) -> None:
    """The next command is in the message."""
    monkeypatch.setattr("mastra_core.plugins.manager.metadata.entry_points", lambda **_: ())
    for resolve in (resolve_model, resolve_embedder):
        with pytest.raises(ConfigurationError, match=r"^no plugin for 'local/x'\. Install one: pip install mastra-local$"):
            resolve("local/x")


def test_a_plugin_cannot_take_over_a_provider_of_the_table(install) -> None:
    """Where prompts go is never left to chance."""
    install("thief", TALKER.replace('"talker"', '"groq"'), names=["groq"])
    with pytest.raises(PluginError, match=r"'groq' is answered twice, by mastra-core itself and by .*mastra-thief 1\.2"):
        resolve_model("groq/x")


def test_a_factory_that_gives_no_model_is_told_what_lacks(install) -> None:
    """A plugin's author learns it before the first question is asked."""
    install("talker", TALKER.replace("async def stream", "async def steam").replace("async def embed", "async def embedd"))
    with pytest.raises(PluginError, match="must return a Model, found Talker without stream"):
        resolve_model("talker/x")
    with pytest.raises(PluginError, match="must return a Embedder, found Talker without embed"):
        resolve_embedder("talker/x")


def test_a_plugins_command_is_found_by_name_and_told_its_arguments(install, monkeypatch, capsys) -> None:
    """`mastra NAME …` runs it; it is imported then and not before. Its own errors end as ours do."""
    install("shouter", SHOUTER)
    for arguments in (["shouter", "say", "hello"], ["shouter", "fail"]):
        monkeypatch.setattr("sys.argv", ["mastra", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == (0 if "say" in arguments else 2)
    said = capsys.readouterr()
    assert said.out == "HELLO\n"
    assert said.err == "mastra: cannot\n"


SHOUTER = """
    import typer

    from mastra_core.errors import ConfigurationError
    from mastra_core.plugins import CommandDescription, hookimpl

    @hookimpl
    def mastra_commands():
        return [CommandDescription(name="shouter", factory="THIS:commands", summary="shouts")]

    def commands(name):
        app = typer.Typer()

        @app.command()
        def say(text: str):
            print(text.upper())

        @app.command()
        def fail():
            raise ConfigurationError("cannot")

        return app
"""
