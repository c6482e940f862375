"""What users may say to a RedisStore beside where it is, checked. Must not know the driver."""

from __future__ import annotations

import math
from datetime import timedelta

from mastra_core.errors import ConfigurationError
from mastra_core.storage.records.lifetimes import Lifetimes, read_lifetimes
from mastra_redis.keys import LAYOUTS

_HEADS = (*(layout.head.split(":")[0] + ":" for layout in LAYOUTS.values()), "mastra_index:", "msg-idx:")
_LONGEST = timedelta(days=36_500)


def lifetimes(ttl: Lifetimes | None) -> dict[str, int]:
    """By kind, milliseconds.

    Raises:
        ConfigurationError: an unknown entity, or a time that cannot be.
    """
    times = read_lifetimes(ttl, of="RedisStore", longest=_LONGEST)
    return {kind: math.ceil(time / timedelta(milliseconds=1)) for kind, time in times.items()}


def key_prefix(value: str) -> str:
    """*value*, if keys may begin with it.

    Raises:
        ConfigurationError: it would be taken for a hash tag, or for a key without a prefix.
    """
    if any(character in value for character in "{}\0"):
        raise ConfigurationError(
            f"RedisStore: key_prefix {value!r} has a brace or U+0000; a cluster takes what is in braces for a hash tag"
        )
    head = next((head for head in _HEADS if head in value), None)
    if head is not None:
        msg = (
            f"RedisStore: key_prefix {value!r} holds {head!r}, with which keys begin that have no prefix; choose another, such as 'myapp:'"
        )
        raise ConfigurationError(msg)
    return value


def flag(name: str, text: str) -> bool:
    """A switch as a URL says it.

    Raises:
        ConfigurationError: it is neither true nor false.
    """
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in known:
        raise ConfigurationError(f"RedisStore: {name} in the URL is {text!r}; write true or false")
    return known[text.lower()]


def replicas(value: int | str) -> int:
    """How many replicas must confirm a write.

    Raises:
        ConfigurationError: it is no whole number of at least 0.
    """
    if isinstance(value, bool) or not str(value).isdecimal():
        raise ConfigurationError(f"RedisStore: wait_replicas is {value!r}; give a whole number, 0 for the master's word alone")
    return int(value)
