"""Connections over TLS: who answers is looked at as the URL says, and what is wrong is said at once."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from mastra_core.errors import ConfigurationError, StorageUnavailableError
from mastra_core.storage import open_store
from mastra_core.testing.samples import a_message, a_thread
from mastra_redis import RedisStore, RedisVector
from tests.servers.proxy import Relay
from tests.servers.redis import RedisNode
from tests.servers.tls import TLSFront, authority
from tests.servers.wire import AnyReader, Tally

SECRET = "s3kr1t-Passw0rd"
README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
OPTIONS = re.findall(r"`\?(ssl_[^`…]+)`", README)


@pytest.fixture(scope="module")
def known():
    """Who vouches for the server."""
    with authority() as found:
        yield found


@pytest.fixture(scope="module")
def stranger():
    """Who does not."""
    with authority() as found:
        yield found


@pytest.fixture
def front(redis_url, known):
    """TLS before the database of this test, for "localhost"."""
    with TLSFront(redis_url, of=known) as made:
        yield made


@pytest.fixture(autouse=True)
def _nothing_is_said_elsewhere(monkeypatch, tmp_path):
    """No variable of the machine says whom to trust."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def at(redis_url, front):
    """What makes the URL of the database, through TLS, with options."""

    def made(*, scheme="rediss", host="localhost", **options):
        netloc = f"default:{SECRET}@{host}:{front.port}"
        query = urlencode({name: str(value) for name, value in options.items()})
        return urlsplit(redis_url)._replace(scheme=scheme, netloc=netloc, query=query).geturl()

    return made


async def remembers(store):
    """Whether a store keeps a turn."""
    async with store:
        await store.memory.save_turn(thread=a_thread(), messages=[a_message("m")])
        return [message.id for message in await store.memory.list_messages("t")] == ["m"]


async def refused(url, *, write=False):
    """What a program is told that cannot connect; it nowhere says the password."""
    store = RedisStore(connection_string=url)
    with pytest.raises(StorageUnavailableError) as caught:
        await (store.memory.save_thread(a_thread()) if write else store.memory.get_thread_by_id("t"))
    await store.close()
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


async def test_a_store_and_vectors_speak_tls_with_a_server_that_has_it(redis_url, at, known, front):
    """`rediss://`, with the file of the authority in the URL; what was written is in the database."""
    assert await remembers(RedisStore(connection_string=at(ssl_ca_certs=known.file)))
    async with RedisVector(connection_string=at(ssl_ca_certs=known.file)) as vectors:
        assert await vectors.list_indexes() == []
    assert front.tally.connections > 0
    async with Redis.from_url(redis_url) as plain:
        assert await plain.exists("mastra_threads:id:t")


async def test_an_authority_that_the_system_trusts_needs_no_option(at, known, monkeypatch):
    """As with hosted servers: the address alone."""
    monkeypatch.setenv("SSL_CERT_FILE", str(known.file))
    assert await remembers(open_store(at()))


async def test_a_client_handed_in_speaks_tls(at, known, front):
    """The application says to its own client whom it trusts."""
    options = {"ssl": True, "ssl_ca_certs": str(known.file), "retry": Retry(NoBackoff(), 0)}
    async with Redis(host="localhost", port=front.port, **options) as client:
        assert await remembers(RedisStore(client=client))
    assert front.tally.connections > 0


@pytest.mark.parametrize("option", OPTIONS)
async def test_every_option_of_the_readme_connects(at, known, tmp_path, option):
    """What a user copies works; the name in the certificate, and who vouches for it, matter as the README says."""
    (tmp_path / "ca.pem").write_bytes(known.file.read_bytes())
    name, value = option.split("=")
    others = {"ssl_check_hostname": {"host": "127.0.0.1", "ssl_ca_certs": known.file}, "ssl_cert_reqs": {"host": "127.0.0.1"}}
    assert await remembers(RedisStore(connection_string=at(**{name: value}, **others.get(name, {}))))
    assert {option.split("=")[0] for option in OPTIONS} == {"ssl_ca_certs", "ssl_check_hostname", "ssl_cert_reqs"}


@pytest.mark.parametrize("write", [False, True])
async def test_a_server_that_nobody_vouches_for_is_refused_at_once(at, stranger, front, write):
    """One attempt each, and the option to mend: an authority that does not know it, or none."""
    for options in ({"ssl_ca_certs": stranger.file}, {}):
        before = front.hellos
        said = await refused(at(**options), write=write)
        assert "certificate verify failed: unable to get local issuer certificate" in said
        assert "name the file of its authority by ?ssl_ca_certs=… in the URL" in said
        assert front.hellos == before + 1
    assert front.tally.connections == 0


async def test_a_server_of_another_name_is_refused_at_once(at, known, front):
    """The certificate is for "localhost"."""
    said = await refused(at(host="127.0.0.1", ssl_ca_certs=known.file))
    assert "certificate is not valid for '127.0.0.1'" in said
    assert "connect by a name that it has" in said
    assert front.hellos == 1


@pytest.mark.parametrize("form", ["rediss", "rediss+cluster"])
@pytest.mark.parametrize("write", [False, True])
async def test_a_server_without_tls_is_told_from_one_that_is_away(redis_url, known, form, write):
    """It takes TLS for half a command and waits; that is not tried again, and the password was not sent."""
    where, tally = urlsplit(redis_url), Tally()
    with Relay(where.hostname, where.port, lambda: AnyReader(tally), hold_seconds=0) as plain:
        options = urlencode({"ssl_ca_certs": str(known.file), "socket_connect_timeout": 0.5})
        said = await refused(f"{form}://default:{SECRET}@localhost:{plain.port}?{options}", write=write)
    assert "no TLS connection was made" in said
    assert "does it speak TLS at this port? If not: redis://" in said
    assert tally.connections <= 1


async def test_vectors_tell_a_server_without_tls_likewise(redis_url, known):
    """RedisVector says what RedisStore says."""
    where, options = urlsplit(redis_url), urlencode({"ssl_ca_certs": str(known.file), "socket_connect_timeout": 0.5})
    vectors = RedisVector(connection_string=f"rediss://default:{SECRET}@localhost:{where.port}?{options}")
    with pytest.raises(StorageUnavailableError, match="no TLS connection was made"):
        await vectors.list_indexes()
    await vectors.close()


@pytest.mark.parametrize("form", ["redis", "redis+cluster"])
@pytest.mark.parametrize("write", [False, True])
async def test_a_server_that_wants_tls_is_told_to_who_comes_without(front, form, write):
    """The server hangs up; the error says what it may have wanted."""
    said = await refused(f"{form}://default:{SECRET}@localhost:{front.port}", write=write)
    assert "is it running, and is the address right? If it wants TLS, the URL begins with rediss://" in said
    assert front.tally.connections == 0


@pytest.mark.parametrize(
    "scheme, options, said",
    [
        ("rediss", "ssl_ca_certs=no-such-file.pem", r"ssl_ca_certs=no-such-file\.pem\).*No such file"),
        ("rediss", "ssl_ca_certs=empty.pem", r"ssl_ca_certs=empty\.pem\)"),
        ("rediss", "ssl_certfile=no-such-file.pem", r"ssl_certfile=no-such-file\.pem\)"),
        ("rediss", "ssl_cert_reqs=maybe", "options for TLS cannot be used: .*maybe"),
        ("rediss+cluster", "ssl_ca_certs=no-such-file.pem", "No such file"),
        ("rediss+sentinel", "ssl_ca_certs=no-such-file.pem", "No such file"),
        ("rediss+sentinel", "sentinel_ssl_ca_certs=no-such-file.pem", "No such file"),
        ("redis", "ssl_ca_certs=ca.pem", r"options \['ssl_ca_certs'\].*those that begin with ssl_ go with rediss:// alone"),
        ("redis", "ssl=true", r"options \['ssl'\]"),
    ],
)
def test_what_cannot_be_said_of_tls_is_refused_before_anything_is_sent(tmp_path, scheme, options, said):
    """A mistyped file is found when the store is made, and not taken for a server that is away."""
    (tmp_path / "empty.pem").touch()
    with pytest.raises(ConfigurationError, match=said) as caught:
        RedisStore(connection_string=f"{scheme}://default:{SECRET}@localhost:1/{'mymaster' if 'sentinel' in scheme else ''}?{options}")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


async def test_a_cluster_is_reached_over_tls(tmp_path, known):
    """Every node that the first one names."""
    # redis-py asks a cluster's nodes by their addresses, "localhost" too.
    with RedisNode(tmp_path, options=("--cluster-enabled", "yes")) as node, TLSFront(node.url, of=known, name="127.0.0.1") as front:
        async with Redis(port=node.port) as admin:
            await admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            await admin.config_set("cluster-announce-port", front.port)
            while b"cluster_state:ok" not in await admin.execute_command("CLUSTER", "INFO"):
                pass
        assert await remembers(RedisStore(connection_string=f"rediss+cluster://localhost:{front.port}?ssl_ca_certs={known.file}"))
        assert front.tally.connections > 0


@pytest.mark.parametrize("option", ["ssl_ca_certs", "sentinel_ssl_ca_certs"])
async def test_sentinels_are_asked_over_tls(redis_sentinel_url, known, option):
    """An authority that is named for the master is that of the Sentinels, unless they have their own."""
    with TLSFront(redis_sentinel_url.partition(",")[0], of=known) as front:
        store = RedisStore(connection_string=f"rediss+sentinel://localhost:{front.port}/mymaster/0?{option}={known.file}")
        host, port = await store.get_client().connection_pool.get_master_address()
        await store.records.engine.close()
    assert (host, port > 0) == ("127.0.0.1", True)
    assert front.tally.connections == front.hellos == 1


async def test_a_sentinel_that_cannot_be_trusted_is_told_in_a_line(redis_sentinel_url, stranger, known):
    """No list of the client's settings; what may be wrong, TLS included."""
    with TLSFront(redis_sentinel_url.partition(",")[0], of=known) as front:
        url = f"rediss+sentinel://default:{SECRET}@localhost:{front.port}/mymaster/0?ssl_ca_certs={stranger.file}"
        said = await refused(url)
    assert "No master found for 'mymaster'; no Sentinel answered that knows it" in said
    assert "Is its certificate of an authority that ?ssl_ca_certs=… names?" in said
    assert "<redis" not in said


@pytest.mark.parametrize("write", [False, True])
async def test_a_cluster_of_which_no_node_is_there_is_an_error_of_ours(unused_tcp_port, write):
    """Never one of the driver's, which no program catches."""
    said = await refused(f"redis+cluster://default:{SECRET}@127.0.0.1:{unused_tcp_port}", write=write)
    assert "Redis Cluster cannot be connected" in said
    assert "is it running, and is the address right?" in said
