"""Stores by URL: what answers, and what is said when nothing does. The plugins are real, installed as pip would."""

from __future__ import annotations

import sys
import traceback

import pytest

from mastra_core import clock
from mastra_core.errors import ConfigurationError, MastraError, PluginError, UnknownBackendError
from mastra_core.plugins import hookspecs
from mastra_core.plugins.manager import HOOKS, installed, plugin_for
from mastra_core.storage import InMemoryStore, LibSQLStore, Message, Thread, open_store

GOOD = """
    from mastra_core.plugins import StoreDescription, hookimpl
    from mastra_core.storage.memory_store import InMemoryStore

    @hookimpl
    def mastra_stores():
        return [StoreDescription(schemes=("acme",), factory="THIS:open_acme", summary="Acme's database", port_version=1)]

    def open_acme(url):
        return InMemoryStore(id=url.rpartition("/")[2])
"""
SECRET = "hunter2"


def test_the_built_in_store_is_found_like_any_plugin(tmp_path) -> None:
    """`file:` and `:memory:` work at once, through the entry points of mastra-core itself."""
    assert isinstance(open_store(f"file:{tmp_path / 'm.db'}"), LibSQLStore)
    assert isinstance(open_store(":memory:"), LibSQLStore)
    assert plugin_for("file").distribution == "mastra-core"


async def test_what_one_opening_saves_the_next_one_reads(tmp_path) -> None:
    """A URL is all that two programs have to share."""
    url, now = f"file:{tmp_path / 'm.db'}", clock.now()
    async with open_store(url) as store:
        thread = Thread(id="t", resource_id="ada", created_at=now, updated_at=now)
        await store.memory.save_turn(thread=thread, messages=[Message(id="m", thread_id="t")])
    async with open_store(url) as store:
        assert [message.id for message in await store.memory.list_messages("t")] == ["m"]


def test_an_installed_plugin_answers_its_scheme_by_itself(install) -> None:
    """`pip install mastra-acme`, and `acme://` opens: nothing to import or register."""
    install("acme", GOOD)
    store = open_store("acme://host/db")
    assert isinstance(store, InMemoryStore)
    assert store.id == "db"
    assert open_store("ACME+fast://host/other").id == "other"


def test_only_the_plugin_asked_for_is_imported(install) -> None:
    """A driver that is slow to import, or broken, costs nothing until its scheme is used."""
    broken = install("broken", "raise RuntimeError('no')")
    module = install("acme", GOOD)
    open_store("acme://host/db")
    assert module in sys.modules
    assert broken not in sys.modules
    assert plugin_for("acme") is plugin_for("acme")


def test_an_unknown_scheme_names_what_is_installed_and_the_nearest(install) -> None:
    """A typing mistake is put right in the message."""
    install("acme", GOOD)
    with pytest.raises(
        UnknownBackendError, match=r"^no storage plugin answers 'acmee://…' \(installed: acme, .*file.*\)\. Did you mean 'acme://'\?$"
    ):
        open_store(f"acmee://user:{SECRET}@host/db")
    with pytest.raises(UnknownBackendError, match=r"'redsi://…'.*Did you mean 'redis://'\?$"):
        open_store("redsi://host")
    with pytest.raises(UnknownBackendError, match=r"'fil:…'.*Did you mean 'file:'\?$"):
        open_store("fil:./mastra.db")


@pytest.mark.parametrize("scheme, distribution", [("postgresql", "mastra-pg"), ("redis", "mastra-redis"), ("dynamodb", "mastra-dynamodb")])
def test_a_known_scheme_without_its_plugin_says_what_to_install(scheme, distribution, monkeypatch) -> None:
    """The next command is in the message."""
    monkeypatch.setattr("mastra_core.plugins.manager.metadata.entry_points", lambda **_: ())
    with pytest.raises(UnknownBackendError) as caught:
        open_store(f"{scheme}://user:{SECRET}@host/db")
    assert str(caught.value) == f"no plugin for '{scheme}://…'. Install one: pip install {distribution}"


@pytest.mark.parametrize("path", ["./mastra.db", "mastra.db", "/data/mastra.db", "C:\\data\\mastra.db"])
def test_a_bare_path_is_shown_as_a_url(path) -> None:
    """Who gives a file name learns how a file is written."""
    with pytest.raises(ConfigurationError) as caught:
        open_store(path)
    assert f"'file:{path}'" in str(caught.value)


@pytest.mark.parametrize("found, shown", [("", "an empty one"), (None, "NoneType"), (b"file:x", "bytes")])
def test_what_is_no_url_at_all_is_refused_by_what_it_is(found, shown) -> None:
    """An unset variable is seen for what it is."""
    with pytest.raises(ConfigurationError, match=shown):
        open_store(found)


def test_a_plugin_that_cannot_be_imported_breaks_its_own_scheme_only(install) -> None:
    """The error names the plugin and carries its traceback; other stores open as before."""
    module = install("broken", "import driver_that_is_not_there")
    with pytest.raises(
        PluginError, match=rf"'{module}' of mastra-broken 1\.2 cannot be imported: .*driver_that_is_not_there.*pip install"
    ) as caught:
        open_store("broken://host")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    assert f"{module}.py" in "".join(traceback.format_exception(caught.value))
    assert isinstance(open_store(":memory:"), LibSQLStore)


def test_a_misspelt_hook_is_an_error_that_names_the_right_one(install) -> None:
    """A plugin's author is not left wondering why nothing happens."""
    install("acme", GOOD.replace("def mastra_stores", "def mastra_store"))
    with pytest.raises(
        PluginError, match=r"mastra-acme 1\.2: it implements a hook 'mastra_store' that does not exist\. Did you mean 'mastra_stores'\?"
    ):
        open_store("acme://host")


def test_a_hook_with_an_argument_of_its_own_is_an_error(install) -> None:
    """What a hook is given is said by its specification alone."""
    install("acme", GOOD.replace("mastra_stores()", "mastra_stores(settings)"))
    with pytest.raises(PluginError, match=r"mastra-acme 1\.2: .*settings"):
        open_store("acme://host")


def test_a_hook_without_its_mark_is_an_error_that_names_the_mark(install) -> None:
    """A forgotten @hookimpl does not pass silently."""
    install("acme", GOOD.replace("@hookimpl", ""))
    with pytest.raises(PluginError, match=r"promises 'acme', but its hooks describe \[\].*@hookimpl"):
        open_store("acme://host")


def test_a_hook_that_fails_is_named(install) -> None:
    """The error says which hook of which plugin, and why."""
    install("acme", GOOD.replace("return [Store", "return [0/0, Store"))
    with pytest.raises(PluginError, match=r"mastra-acme 1\.2: its hook mastra_stores failed: ZeroDivisionError") as caught:
        open_store("acme://host")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_hook_that_returns_something_else_is_told_what_to_return(install) -> None:
    """One description instead of a list is found at load."""
    install("acme", GOOD.replace("return [Store", "return (Store").replace("port_version=1)]", "port_version=1))"))
    with pytest.raises(PluginError, match=r"mastra_stores must return a list of StoreDescription, found StoreDescription"):
        open_store("acme://host")


def test_a_factory_that_is_no_import_path_is_refused(install) -> None:
    """A slip in a description is found before anything is opened."""
    install("acme", GOOD.replace("THIS:open_acme", "open_acme"))
    with pytest.raises(PluginError, match=r"factory must be an import path such as .*, found 'open_acme'"):
        open_store("acme://host")


@pytest.mark.parametrize("version, upgrade", [(2, "mastra-core"), (0, "mastra-acme")])
def test_a_plugin_for_another_version_of_the_port_is_refused_naming_both(install, version, upgrade) -> None:
    """The message says which of the two to upgrade."""
    install("acme", GOOD.replace("port_version=1", f"port_version={version}"))
    with pytest.raises(PluginError, match=rf"version {version} of the record port.*version\s1; .*pip install --upgrade {upgrade}$"):
        open_store("acme://host")


def test_two_plugins_for_one_scheme_are_refused_naming_both(install) -> None:
    """Where data goes is never left to chance."""
    install("acme", GOOD)
    install("acme2", GOOD, names=["acme"])
    with pytest.raises(PluginError, match=r"'acme' is answered twice, by .*mastra-acme 1\.2 and .*mastra-acme2 1\.2; uninstall one"):
        open_store("acme://host")


def test_a_third_party_cannot_take_over_the_built_in_scheme(install) -> None:
    """`file:` stays mastra-core's: a second one for it is an error, not a winner."""
    install("thief", GOOD.replace('("acme",)', '("file",)'), names=["file"])
    with pytest.raises(PluginError, match=r"'file' is answered twice, by .*mastra-core .*mastra-thief"):
        open_store("file:./mastra.db")


def test_a_factory_that_fails_is_named_without_the_url(install) -> None:
    """A driver that quotes the URL in its error does not put the password into ours."""
    install("acme", GOOD.replace("return InMemoryStore", "raise ValueError(url)\n        return InMemoryStore"))
    with pytest.raises(PluginError, match=r"mastra-acme 1\.2: its factory '.*:open_acme' failed with ValueError") as caught:
        open_store(f"acme://user:{SECRET}@host/db")
    assert SECRET not in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_factory_that_is_not_there_is_named(install) -> None:
    """A description that points nowhere is the plugin's fault, and said so."""
    install("acme", GOOD.replace("THIS:open_acme", "THIS:open_acmee"))
    with pytest.raises(PluginError, match=r"factory '.*:open_acmee' cannot be imported: AttributeError"):
        open_store("acme://host")


def test_a_factory_that_gives_no_store_is_named(install) -> None:
    """A plugin whose factory forgot to return is found at once."""
    install("acme", GOOD.replace("return InMemoryStore", "InMemoryStore"))
    with pytest.raises(PluginError, match=r"must return a Store, found NoneType"):
        open_store("acme://host")


def test_a_plugin_of_models_is_no_store(install) -> None:
    """A provider's name in a URL is told apart from a scheme."""
    source = """
        from mastra_core.plugins import ModelDescription, hookimpl

        @hookimpl
        def mastra_models():
            return [ModelDescription(provider="talker", factory="THIS:open_model", summary="talks")]
    """
    install("talker", source)
    with pytest.raises(UnknownBackendError, match=r"mastra-talker 1\.2 answers 'talker', but not with a store; installed: .*file"):
        open_store("talker://x")


@pytest.mark.parametrize(
    "url",
    [
        f"redsi://user:{SECRET}@host/db",
        f"acme:user:{SECRET}@host",
        f"host=db user=me password={SECRET}",
        f"me:{SECRET}@host/db.sqlite",
        f"//me:{SECRET}@host/db",
    ],
)
def test_a_password_in_a_url_reaches_no_message(url) -> None:
    """An error can be pasted into a public issue."""
    with pytest.raises(MastraError) as caught:
        open_store(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_the_list_of_plugins_tells_the_broken_from_the_working(install) -> None:
    """`mastra plugins` works however broken a plugin is, and says why it is."""
    install("acme", GOOD)
    install("broken", "raise RuntimeError('out of order')")
    found = {plugin.distribution: plugin for plugin in installed()}
    assert found["mastra-core"].names == ("file", "libsql", "memory")
    assert (found["mastra-acme"].version, found["mastra-acme"].descriptions[0].summary) == ("1.2", "Acme's database")
    assert "out of order" in str(found["mastra-broken"].error)


def test_every_hook_is_specified_documented_and_asked() -> None:
    """A hook that exists in the specifications is called by the loader, and says what it is for."""
    specified = {name: value for name, value in vars(hookspecs).items() if hasattr(value, "mastra_spec")}
    assert set(specified) == set(HOOKS)
    assert all(value.__doc__ for value in specified.values())
