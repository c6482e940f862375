"""Finds, loads and asks plugins: by name, one module at a time, each in a pluggy of its own, so that none can break another.

The one place that runs what strangers wrote at import. Knows entry points, hooks and descriptions; must not know a store or a model.
"""

from __future__ import annotations

import difflib
import importlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from types import ModuleType
from typing import Any, TypeVar

import attrs
import pluggy

from mastra_core.errors import MastraError, PluginError
from mastra_core.plugins import hookspecs
from mastra_core.plugins.descriptions import (
    PORT_VERSION,
    CommandDescription,
    Description,
    EmbedderDescription,
    ModelDescription,
    StoreDescription,
    VectorDescription,
)

D = TypeVar("D", bound=Description)

HOOKS: Mapping[str, type[Description]] = {
    "mastra_stores": StoreDescription,
    "mastra_vectors": VectorDescription,
    "mastra_models": ModelDescription,
    "mastra_embedders": EmbedderDescription,
    "mastra_commands": CommandDescription,
}
"""What each hook returns a list of."""

_lock = threading.RLock()
_loaded: dict[str, Plugin] = {}


@attrs.frozen(kw_only=True)
class Plugin:
    """A loaded plugin.

    Attributes:
        module: its import path.
        distribution: what to `pip install` for it.
        version: of the distribution.
        descriptions: all that its hooks returned.
    """

    module: str
    distribution: str
    version: str
    descriptions: tuple[Description, ...]

    def describing(self, kind: type[D], *names: str) -> D | None:
        """Its description of this kind for the first of *names* (schemes or a provider) that it has one for."""
        for name in names:
            for description in self.descriptions:
                if isinstance(description, kind) and name in answered(description):
                    return description
        return None

    def make(self, description: Description, argument: str) -> Any:
        """What the factory of *description* gives for *argument*.

        Raises:
            PluginError: the factory cannot be imported, or fails with something that is no MastraError; its error is the cause.
        """
        module, _, function = description.factory.partition(":")
        try:
            factory = getattr(importlib.import_module(module), function)
        except MastraError:
            raise
        except Exception as error:
            msg = f"{self}: its factory {description.factory!r} cannot be imported: {_said(error)}. {_repair(self.distribution)}"
            raise PluginError(msg) from error
        try:
            return factory(argument)
        except MastraError:
            raise
        except Exception as error:
            # Without the error's text: a driver may quote the URL, and with it a password.
            msg = f"{self}: its factory {description.factory!r} failed with {type(error).__name__}. {_repair(self.distribution)}"
            raise PluginError(msg) from error

    def __str__(self) -> str:
        """For messages."""
        return _title(self.module, self.distribution, self.version)


@attrs.frozen(kw_only=True)
class InstalledPlugin:
    """A plugin as found, working or not.

    Attributes:
        names: of its entry points.
        module: its import path.
        distribution: what to `pip install` for it.
        version: of the distribution.
        descriptions: what it offers; empty if it does not work.
        error: why it does not work, or None.
    """

    names: tuple[str, ...]
    module: str
    distribution: str
    version: str
    descriptions: tuple[Description, ...] = ()
    error: PluginError | None = None


def answered(description: Description) -> tuple[str, ...]:
    """The schemes, the provider or the command's name of *description*."""
    if isinstance(description, CommandDescription):
        return (description.name,)
    return description.schemes if isinstance(description, StoreDescription | VectorDescription) else (description.provider,)


def plugin_for(name: str) -> Plugin | None:
    """The plugin whose entry point has this name, loaded; None if none is installed. No other plugin is imported.

    Raises:
        PluginError: it is broken, or several answer.
    """
    entries = metadata.entry_points(group=hookspecs.GROUP, name=name)
    places = {(_distribution(entry)[0], entry.module): entry for entry in entries}
    if not places:
        return None
    if len(places) > 1:
        who = " and ".join(_title(module, *_distribution(entry)) for (_, module), entry in sorted(places.items()))
        msg = f"{name!r} is answered twice, by {who}; uninstall one of them: pip uninstall {max(places)[0]}"
        raise PluginError(msg)
    (entry,) = places.values()
    plugin = _load(entry)
    known = {found.partition("+")[0] for description in plugin.descriptions for found in answered(description)}
    if name not in known:
        msg = (
            f"{plugin}: its entry point promises {name!r}, but its hooks describe {sorted(known)}; "
            "let a hook describe it, and mark the hook with @hookimpl (mastra_core.plugins)"
        )
        raise PluginError(msg)
    return plugin


def installed() -> list[InstalledPlugin]:
    """Every plugin installed, sorted by distribution; each is loaded, and one that is broken carries its error."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for entry in metadata.entry_points(group=hookspecs.GROUP):
        found.setdefault((*_distribution(entry), entry.module), []).append(entry.name)
    plugins = []
    for (distribution, version, module), names in sorted(found.items()):
        plugin = InstalledPlugin(names=tuple(sorted(set(names))), module=module, distribution=distribution, version=version)
        try:
            answers = [plugin_for(name) for name in plugin.names]
        except PluginError as error:
            plugins.append(attrs.evolve(plugin, error=error))
        else:
            plugins.append(attrs.evolve(plugin, descriptions=answers[0].descriptions if answers[0] else ()))
    return plugins


def names_of(kind: type[Description]) -> list[str]:
    """The schemes or providers of this kind that can be used, sorted."""
    found = set()
    for plugin in installed():
        offers = [description for description in plugin.descriptions if isinstance(description, kind)]
        found |= {name for offer in offers for name in answered(offer) if name.partition("+")[0] in plugin.names}
    return sorted(found)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of *known* that *name* is probably a misspelling of."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1)), None)


def _load(entry: metadata.EntryPoint) -> Plugin:
    with _lock:
        plugin = _loaded.get(entry.module)
        if plugin is None:
            distribution, version = _distribution(entry)
            title = _title(entry.module, distribution, version)
            try:
                module = importlib.import_module(entry.module)
            except Exception as error:
                msg = f"{title} cannot be imported: {_said(error)}. Nothing else is affected. {_repair(distribution)}"
                raise PluginError(msg) from error
            descriptions = _ask(module, title=title)
            plugin = Plugin(module=entry.module, distribution=distribution, version=version, descriptions=descriptions)
            _check_port(plugin)
            _loaded[entry.module] = plugin
        return plugin


def _ask(module: ModuleType, *, title: str) -> tuple[Description, ...]:
    """What the hooks of *module* describe."""
    plugins = pluggy.PluginManager(hookspecs.GROUP)
    plugins.add_hookspecs(hookspecs)
    try:
        plugins.register(module)
        plugins.check_pending()
    except pluggy.PluginValidationError as error:
        unknown = [name for name, caller in vars(plugins.hook).items() if isinstance(caller, pluggy.HookCaller) and not caller.has_spec()]
        msg = f"{title}: {_misspelt(unknown) if unknown else ' '.join(str(error).split())}"
        raise PluginError(msg) from error
    descriptions: list[Description] = []
    for hook, kind in HOOKS.items():
        try:
            answers = getattr(plugins.hook, hook)()
        except Exception as error:
            msg = f"{title}: its hook {hook} failed: {_said(error)}"
            raise PluginError(msg) from error
        for answer in answers:
            if not isinstance(answer, Sequence) or not all(isinstance(description, kind) for description in answer):
                msg = f"{title}: its hook {hook} must return a list of {kind.__name__}, found {answer!r}"
                raise PluginError(msg)
            descriptions += answer
    return tuple(descriptions)


def _misspelt(unknown: list[str]) -> str:
    near = nearest(unknown[0], HOOKS)
    mend = f"Did you mean {near!r}?" if near else f"The hooks are {', '.join(HOOKS)}."
    return f"it implements a hook {unknown[0]!r} that does not exist. {mend}"


def _check_port(plugin: Plugin) -> None:
    for description in plugin.descriptions:
        if isinstance(description, StoreDescription | VectorDescription) and description.port_version != PORT_VERSION:
            newer = "mastra-core" if description.port_version > PORT_VERSION else plugin.distribution
            msg = (
                f"{plugin} was written for version {description.port_version} of the record port, and this mastra-core has version "
                f"{PORT_VERSION}; install two that fit: pip install --upgrade {newer}"
            )
            raise PluginError(msg)


def _distribution(entry: metadata.EntryPoint) -> tuple[str, str]:
    return ("an unknown distribution", "") if entry.dist is None else (entry.dist.name, entry.dist.version)


def _title(module: str, distribution: str, version: str) -> str:
    return f"the plugin {module!r} of {distribution} {version}".rstrip()


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _repair(distribution: str) -> str:
    return f"Repair it: pip install --upgrade --force-reinstall {distribution}"
