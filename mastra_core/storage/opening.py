"""Opens whatever store, or vector store, answers a URL.

Knows URLs and plugins; must not know any backend. A URL holds passwords: of one, only the scheme is ever repeated.
"""

from __future__ import annotations

import re
from typing import Any

from mastra_core.errors import ConfigurationError, PluginError, UnknownBackendError
from mastra_core.plugins.descriptions import StoreDescription, VectorDescription
from mastra_core.plugins.manager import names_of, nearest, plugin_for
from mastra_core.storage.store import Store
from mastra_core.storage.vectors.port import VectorStore

INSTALLABLE = {
    "dynamodb": "mastra-dynamodb",
    "mongodb": "mastra-mongodb",
    "postgres": "mastra-pg",
    "postgresql": "mastra-pg",
    "redis": "mastra-redis",
    "rediss": "mastra-redis",
    "unix": "mastra-redis",
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
    opened: Store = _open(url, kind=StoreDescription, wanted=Store, what="store")
    return opened


def open_vector(url: str) -> VectorStore:
    """The vector store at *url*, of whichever installed plugin answers its scheme; it connects on first use.

    Args:
        url: such as "file:./mastra.db" or ":memory:".

    Raises:
        UnknownBackendError: no installed plugin answers; the message says what to install or what was probably meant.
        PluginError: the plugin that answers is broken.
        ConfigurationError: *url* is no URL, or its plugin refuses it.
    """
    opened: VectorStore = _open(url, kind=VectorDescription, wanted=VectorStore, what="vector store")
    return opened


Kind = type[StoreDescription] | type[VectorDescription]


def _open(url: str, *, kind: Kind, wanted: type, what: str) -> Any:
    scheme = _scheme(url)
    plugin = plugin_for(scheme.partition("+")[0])
    if plugin is None:
        raise _unanswered(url, scheme, kind)
    description: StoreDescription | VectorDescription | None = plugin.describing(kind, scheme, scheme.partition("+")[0])
    if description is None:
        msg = f"{plugin} answers {scheme!r}, but not with a {what}; {_installed(kind)}"
        raise UnknownBackendError(msg)
    opened = plugin.make(description, url)
    if not isinstance(opened, wanted):
        msg = f"{plugin}: its factory {description.factory!r} must return a {wanted.__name__}, found {type(opened).__name__}"
        raise PluginError(msg)
    return opened


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


def _unanswered(url: str, scheme: str, kind: Kind) -> UnknownBackendError:
    colon = "://" if url[len(scheme) :].startswith("://") else ":"
    name = scheme.partition("+")[0]
    if name in INSTALLABLE:
        return UnknownBackendError(f"no plugin for '{scheme}{colon}…'. Install one: pip install {INSTALLABLE[name]}")
    near = nearest(name, {*names_of(kind), *INSTALLABLE})
    mend = f"Did you mean '{near}{colon}'?" if near else "Install a plugin that answers it, or use one of these."
    return UnknownBackendError(f"no storage plugin answers '{scheme}{colon}…' ({_installed(kind)}). {mend}")


def _installed(kind: Kind) -> str:
    return f"installed: {', '.join(names_of(kind)) or 'none'}"
