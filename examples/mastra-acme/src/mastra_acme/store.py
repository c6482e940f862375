"""AcmeStore: builds the engine from what users write. Must not read or write."""

from __future__ import annotations

from mastra_acme.engine import AcmeEngine
from mastra_acme.journal import Journal
from mastra_core.errors import ConfigurationError
from mastra_core.storage.store import Store


class AcmeStore(Store):
    """A store in a journal file.

    Args:
        path: of the file; it is made on first use.
        id: the store's name in errors and logs.

    Raises:
        ConfigurationError: *path* is empty.
    """

    def __init__(self, *, path: str, id: str = "acme") -> None:
        if not path:
            msg = "AcmeStore: the path is empty; write AcmeStore(path='./agents.journal'), or the URL 'acme:./agents.journal'"
            raise ConfigurationError(msg)
        super().__init__(AcmeEngine(Journal(path)), id=id, product="acme")


def open_acme(url: str) -> AcmeStore:
    """The store of an `acme:PATH` URL; what the plugin's description names."""
    return AcmeStore(path=url.removeprefix("acme:"))
