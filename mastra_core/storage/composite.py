"""A store put together from others: each domain where it is kept best, one init and one close for all.

Knows stores and domains; must not know any engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Literal, Never

from mastra_core.errors import ConfigurationError
from mastra_core.names import did_you_mean
from mastra_core.storage.options import refuse_unknown
from mastra_core.storage.records.records import Records
from mastra_core.storage.store import DOMAINS, Domain, Store

Source = Store | Domain | Literal[False]


class CompositeStore(Store):
    """Domains of several stores as one store.

    It closes the stores it was given, each once. Stores of which a domain was given are closed too, since nothing else of them is used.

    Args:
        default: where the domains are that *domains* does not name; None leaves those out.
        domains: by domain, a store (its domain of this name is used), a domain, or False to leave it out.
        id: its name in errors and logs.

    Raises:
        ConfigurationError: there is no source at all, an unknown domain, or a source that is none of these.
        UnsupportedError: a store does not keep the domain it was given for.
    """

    def __init__(
        self,
        *,
        default: Store | None = None,
        domains: Mapping[str, Source] | None = None,
        id: str = "composite",
        **unknown: Never,
    ) -> None:
        refuse_unknown(unknown, known=("id", "default", "domains"), at="CompositeStore")
        if default is None and not domains:
            msg = "CompositeStore requires at least one storage source. Provide a default store, or domains, or both."
            raise ConfigurationError(msg)
        for name in domains or {}:
            if name not in DOMAINS:
                msg = f"CompositeStore: there is no domain {name!r}; the domains are {list(DOMAINS)}{did_you_mean(name, DOMAINS)}"
                raise ConfigurationError(msg)
        self.id = id
        self.product = "composite"
        self._stores = [source for source in (default, *(domains or {}).values()) if isinstance(source, Store)]
        self._domains = {}
        for name in DOMAINS:
            source: Source | None = (domains or {}).get(name, default)
            domain = _domain(name, source)
            if domain is not None:
                self._domains[name] = domain

    async def init(self) -> None:
        """Open every store, each once."""
        await asyncio.gather(*(records.open() for records in self._all_records()))

    async def close(self) -> None:
        """Close every store, each once; if some fail, the others are closed all the same, and the first error is raised."""
        closing = [*(store.close() for store in self._stores), *(records.close() for records in self._all_records())]
        outcomes = await asyncio.gather(*closing, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    def _all_records(self) -> list[Records]:
        return list({id(domain.records): domain.records for domain in self._domains.values()}.values())


def _domain(name: str, source: object) -> Domain | None:
    """The domain called *name* of a source; None if it is left out."""
    if source is None or source is False:
        return None
    if isinstance(source, Store):
        domain: Domain = getattr(source, name)
        return domain
    if isinstance(source, DOMAINS[name]):
        return source
    msg = f"CompositeStore: {name} must be a store, a {DOMAINS[name].__name__}, or False to leave it out, found {type(source).__name__}"
    raise ConfigurationError(msg)
