"""TLS before a real server that has none: a front that ends TLS, and what makes certificates for it at run time.

As hosted databases stand behind one. A client must speak TLS with the front; the server gets what was said in it.

Knows TLS, and how PostgreSQL's protocol comes to it. Must not know a driver or what is said within.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import trustme

from .proxy import READ_BYTES, Relay
from .wire import GSS_REQUEST, SSL_REQUEST, AnyReader, Tally


@attrs.frozen
class Authority:
    """Who vouches for certificates, and the file with its own one, in PEM."""

    ca: trustme.CA
    file: Path


@contextmanager
def authority() -> Iterator[Authority]:
    """Give an authority that nobody knew before, for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="mastra-tls-") as folder:
        ca, file = trustme.CA(), Path(folder) / "ca.pem"
        ca.cert_pem.write_to_path(str(file))
        # A child process may run as another user.
        Path(folder).chmod(0o755)
        yield Authority(ca, file)


class TLSFront(Relay):
    """Takes TLS from the first byte on, as Redis and MongoDB do, and passes on what is in it; listens from `__enter__` on.

    A client that does not speak TLS gets no further than here, so `tally.connections` are those that did; `hellos` counts who tried.
    """

    def __init__(self, server_url: str, *, of: Authority, name: str = "localhost") -> None:
        """Stand before the server at `server_url` with a certificate *of* this authority, for the host `name` and no other."""
        where = urlsplit(server_url)
        assert where.hostname is not None
        assert where.port is not None
        self.tally = Tally()
        super().__init__(where.hostname, where.port, lambda: AnyReader(self.tally), hold_seconds=0)
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        of.ca.issue_cert(name).configure_cert(self._context)
        self.hellos = 0
        self._context.sni_callback = self._greeted

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, self.host, 0, limit=READ_BYTES, ssl=self._context)

    async def _close(self) -> None:
        await super()._close()
        # Who is in the middle of a handshake has not come to _connected yet.
        greeting = asyncio.all_tasks() - {asyncio.current_task()}
        for task in greeting:
            task.cancel()
        await asyncio.gather(*greeting, return_exceptions=True)

    def _greeted(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        self.hellos += 1


class PostgresTLSFront(TLSFront):
    """The same for PostgreSQL, whose clients first ask in plain whether there is TLS; who does not ask is cut off."""

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, self.host, 0, limit=READ_BYTES)

    async def _relay(
        self,
        from_client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        from_server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        # Eight bytes: the length, which is 8, and what is asked for.
        while (asked := int.from_bytes((await from_client.read(8))[4:])) == GSS_REQUEST:
            to_client.write(b"N")
        if asked == SSL_REQUEST:
            to_client.write(b"S")
            await to_client.start_tls(self._context)
            await super()._relay(from_client, to_client, from_server, to_server)
