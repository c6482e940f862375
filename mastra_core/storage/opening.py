"""Opens whatever store answers a URL.

Knows URLs and plugins; must not know any backend. A URL holds passwords: of one, only the scheme is ever repeated.
"""

from __future__ import annotations

import re

from mastra_core.errors import ConfigurationError, PluginError, UnknownBackendError
from mastra_core.plugins.descriptions import StoreDescription
from mastra_core.plugins.manager import Plugin, names_of, nearest, plugin_for
from mastra_core.storage.store import Store

INSTALLABLE = {
    "dynamodb": "mastra-dynamodb",
    "postgres": "mastra-pg",
    "postgresql": "mastra-pg",
    "redis": "mastra-redis",
    "rediss": "mastra-redis",
}
"""Which of our distributions answers a scheme."""

# Two characters at least: one is the drive of a Windows path.
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)
_PATH = re.compile(r"[\w .~:\\/-]*(?:[\\/][\w .~-]+|\.(?:db|sqlite|sqlite3))")


def open_store(url: str) -> Store:
    """The store at *url*, of whichever installed plugin answers its scheme; it connects on first use.

    Args:
        url: such as "file:./mastra.db", ":memory:" or "postgresql://user:password@host/database".

    Raises:
        UnknownBackendError: no installed plugin answers; the message says what to install or what was probably meant.
        PluginError: the plugin that answers is broken.
        ConfigurationError: *url* is no URL, or its plugin refuses it.
    """
    scheme = _scheme(url)
    plugin = plugin_for(scheme.partition("+")[0])
    if plugin is None:
        raise _unanswered(url, scheme)
    description = plugin.describing(StoreDescription, scheme, scheme.partition("+")[0])
    if description is None:
        msg = f"{plugin} answers {scheme!r}, but not with a store; {_installed()}"
        raise UnknownBackendError(msg)
    return _checked(plugin.make(description, url), plugin, description)


def _scheme(url: object) -> str:
    if not isinstance(url, str) or not url.strip():
        found = "an empty one" if isinstance(url, str) else type(url).__name__
        msg = f"a store's URL is a text such as 'file:./mastra.db', found {found}"
        raise ConfigurationError(msg)
    if url == ":memory:":
        return "memory"
    match = _SCHEME.match(url)
    if match is None:
        # Anything else may hold a password, as "host=… password=…" does.
        what, mend = (repr(url), f"'file:{url}'") if _PATH.fullmatch(url) else ("what was given", "'file:./mastra.db'")
        msg = f"{what} is no URL; a file is written {mend}, a database with its scheme, such as 'postgresql://…'"
        raise ConfigurationError(msg)
    return match[1].lower()


def _unanswered(url: str, scheme: str) -> UnknownBackendError:
    colon = "://" if url[len(scheme) :].startswith("://") else ":"
    name = scheme.partition("+")[0]
    if name in INSTALLABLE:
        return UnknownBackendError(f"no plugin for '{scheme}{colon}…'. Install one: pip install {INSTALLABLE[name]}")
    near = nearest(name, {*names_of(StoreDescription), *INSTALLABLE})
    mend = f"Did you mean '{near}{colon}'?" if near else "Install a plugin that answers it, or use one of these."
    return UnknownBackendError(f"no storage plugin answers '{scheme}{colon}…' ({_installed()}). {mend}")


def _installed() -> str:
    return f"installed: {', '.join(names_of(StoreDescription)) or 'none'}"


def _checked(store: object, plugin: Plugin, description: StoreDescription) -> Store:
    if not isinstance(store, Store):
        msg = f"{plugin}: its factory {description.factory!r} must return a Store, found {type(store).__name__}"
        raise PluginError(msg)
    return store
