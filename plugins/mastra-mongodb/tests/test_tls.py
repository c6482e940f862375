"""Connections over TLS, and what is said with the option to mend where there are none."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

import pytest
from pymongo.errors import ServerSelectionTimeoutError

from mastra_core.errors import ConfigurationError, StorageUnavailableError
from mastra_core.testing.samples import a_message, a_thread
from mastra_mongodb import MongoDBStore
from mastra_mongodb.faults import fault_of
from tests.servers.tls import TLSFront, authority


@pytest.fixture(scope="module")
def known():
    """Who vouches for the server."""
    with authority() as found:
        yield found


@pytest.fixture
def front(mongodb_url, known):
    """TLS before the server of this test's database, for "localhost"."""
    with TLSFront(mongodb_url, of=known) as made:
        yield made


@pytest.fixture
def at(mongodb_url, front):
    """What makes the uri of the database, through TLS, with options."""

    def made(**options):
        query = urlencode({"directConnection": "true", **options})
        return urlsplit(mongodb_url)._replace(netloc=f"localhost:{front.port}", query=query).geturl()

    return made


@pytest.mark.parametrize("by", ["uri", "options"])
async def test_a_store_speaks_tls_with_a_server_that_has_it(at, known, front, by):
    """As Atlas wants it; the file of an authority in the uri or in the options."""
    said = {"tls": "true", "tlsCAFile": str(known.file)}
    store = MongoDBStore(uri=at(**said)) if by == "uri" else MongoDBStore(uri=at(), options={**said, "tls": True})
    async with store:
        await store.memory.save_turn(thread=a_thread(), messages=[a_message("m")])
        assert [message.id for message in await store.memory.list_messages("t")] == ["m"]
    assert front.tally.connections > 0


@pytest.mark.parametrize(
    "words, mend",
    [
        (
            "db.example:27017: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate (_ssl.c:1006)",
            "Name the file of its authority by tlsCAFile, and the host as its certificate does.",
        ),
        ("db.example:27017: connection is already closed", "tls=true if it wants TLS and none if not"),
        ("No servers found yet", "tls=true if it wants TLS and none if not"),
    ],
)
def test_what_the_driver_says_of_tls_is_told_with_the_option_to_mend(words, mend):
    """pymongo's words for a server that nobody vouches for, one that wants TLS, and one that has none.

    They are given here, as pymongo leaves sockets open when it is closed while it speaks to such a server.
    """
    fault = fault_of(
        ServerSelectionTimeoutError(f"{words} (configured timeouts: connectTimeoutMS: 5000.0ms), Timeout: 5.0s"), database="app"
    )
    assert fault is not None
    assert fault.error is StorageUnavailableError
    assert mend in fault.message


async def test_a_file_that_cannot_be_read_is_no_server_that_is_away(at, tmp_path):
    """A mistyped file is told as what it is."""
    store = MongoDBStore(uri=at(tls="true", tlsCAFile=tmp_path / "none.pem"))
    with pytest.raises(ConfigurationError, match=r"a file that tlsCAFile, .* names cannot be used: .*none\.pem"):
        await store.memory.get_thread_by_id("t")
    await store.close()
