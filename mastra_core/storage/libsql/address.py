"""Where a remote libSQL server is: its URL as users write it, and the token beside it.

Knows URLs. A token never reaches a message or a repr. Must not know HTTP or the engine.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit, urlunsplit

import attrs

from mastra_core.errors import ConfigurationError
from mastra_core.names import did_you_mean

SCHEMES = ("libsql", "https", "http", "wss", "ws")
"""What the URL of a server begins with; the last two are refused with the mend."""

_OPTIONS = ("authToken", "tls")


@attrs.frozen
class Address:
    """A server, and the token that opens it.

    Attributes:
        url: `https://host[:port][/path]` or `http://…`, without a final slash; may be shown.
        token: sent as a bearer token; "" for a server that asks for none. Never shown.
    """

    url: str
    token: str = attrs.field(default="", repr=False)

    @classmethod
    def of_url(cls, url: str, *, auth_token: str | None = None) -> Address:
        """The address of `libsql://host`, `https://host` or `http://host`; the token may be *auth_token* or the URL's `?authToken=`.

        `libsql://` is TLS, unless `?tls=0` says that it is not.

        Raises:
            ConfigurationError: it is no such URL, has an unknown option, or two tokens were given.
        """
        scheme = url.partition(":")[0].lower()
        if scheme in {"ws", "wss"}:
            msg = f"'{scheme}://…': WebSockets are not spoken here; write 'libsql://…' or 'http{scheme[2:]}://…', the server answers both"
            raise ConfigurationError(msg)
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            msg = f"'{scheme}://…': {error}; write {scheme}://host or {scheme}://host:port"
            raise ConfigurationError(msg) from None
        if not host:
            msg = f"'{scheme}:…' names no host; write {scheme}://host, such as 'libsql://my-database.turso.io'"
            raise ConfigurationError(msg)
        shown = f"{scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port is not None else ''}"
        if "@" in parts.netloc:
            msg = f"{shown}: a user or password is not understood in this URL; give the token as auth_token=…"
            raise ConfigurationError(msg)
        options = _options(parts.query, shown)
        if auth_token and options.get("authToken"):
            msg = f"{shown}: two tokens were given, auth_token and the URL's authToken; leave one out"
            raise ConfigurationError(msg)
        plain = scheme == "http" or (scheme == "libsql" and options.get("tls") == "0")
        if plain and scheme == "libsql" and port is None:
            msg = f"{shown}?tls=0 needs a port, since without TLS there is no usual one; write {shown}:8080?tls=0, or http://{host}"
            raise ConfigurationError(msg)
        netloc = shown.partition("://")[2]
        base = urlunsplit(("http" if plain else "https", netloc, parts.path.rstrip("/"), "", ""))
        return cls(base, _checked_token(auth_token or options.get("authToken", ""), shown))


def _options(query: str, shown: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name, value in options.items():
        if name not in _OPTIONS:
            msg = f"{shown}: unknown option {name!r}; the options are {list(_OPTIONS)}{did_you_mean(name, _OPTIONS)}"
            raise ConfigurationError(msg)
        if name == "tls" and value not in {"0", "1"}:
            msg = f"{shown}: tls is 0 or 1, found {value!r}"
            raise ConfigurationError(msg)
    return options


def _checked_token(token: str, shown: str) -> str:
    # As text of a header it would fail later, in a message that shows it.
    if not token.isascii() or not token.isprintable() or " " in token:
        msg = f"{shown}: the auth token holds a space, a line break or another character that no token has; was it copied whole?"
        raise ConfigurationError(msg)
    return token
