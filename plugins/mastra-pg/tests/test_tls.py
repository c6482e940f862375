"""Connections over TLS: who answers is looked at as the options say, and what is wrong is said at once."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import psycopg
import pytest

from mastra_core.errors import StorageUnavailableError
from mastra_core.storage import open_store, open_vector
from mastra_pg import PgVector, PostgresStore
from tests.servers.fixtures import own_postgres
from tests.servers.postgres import FAST
from tests.servers.tls import Authority, PostgresTLSFront, authority

SECRET = "s3kr1t-Passw0rd"
README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PARAMETERS = re.findall(r"^\| `\?(\S+)` \|", README, re.MULTILINE)


@pytest.fixture(scope="module")
def known() -> Iterator[Authority]:
    """Who vouches for the server."""
    with authority() as found:
        yield found


@pytest.fixture(scope="module")
def stranger() -> Iterator[Authority]:
    """Who does not."""
    with authority() as found:
        yield found


@pytest.fixture
def front(postgres_url: str, known: Authority) -> Iterator[PostgresTLSFront]:
    """TLS before the database of this test, for "localhost"."""
    with PostgresTLSFront(postgres_url, of=known) as made:
        yield made


@pytest.fixture
def url(postgres_url: str, front: PostgresTLSFront) -> str:
    """The URL of the database by the name that is in the certificate."""
    return urlsplit(postgres_url)._replace(netloc=f"postgres:{SECRET}@localhost:{front.port}").geturl()


@pytest.fixture(autouse=True)
def _nothing_is_said_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the machine, nor a file of who runs the tests, says whom to trust."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "PGSSLMODE", "PGSSLROOTCERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PGSSLCERT", str(tmp_path / "none.crt"))
    monkeypatch.chdir(tmp_path)


async def encrypted(store: PostgresStore) -> bool:
    """Whether what the store says is within TLS."""
    async with store:
        assert await store.memory.get_thread_by_id("t") is None
        async with store.pool.connection() as connection:
            return bool(connection.pgconn.ssl_in_use)


async def refused(**options: Any) -> str:
    """What a program is told that cannot connect; it nowhere says the password."""
    store = PostgresStore(**options)
    with pytest.raises(StorageUnavailableError) as caught:
        await store.memory.get_thread_by_id("t")
    await store.close()
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def rooted(url: str, file: object) -> str:
    """The URL with a file of authorities."""
    return f"{url}?{urlencode({'sslrootcert': str(file)})}"


@pytest.mark.parametrize("ssl", [None, True, "prefer", "require", "verify-ca", "verify-full"])
async def test_a_store_speaks_tls_with_a_server_that_has_it(url: str, known: Authority, front: PostgresTLSFront, ssl: Any) -> None:
    """The option `ssl`: without it, TLS is taken where it is to be had."""
    store = PostgresStore(connection_string=rooted(url, known.file), ssl=ssl)
    assert await encrypted(store)
    assert front.tally.connections > 0


async def test_host_parameters_take_the_authority_from_the_variable(url: str, known: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password of any characters goes with TLS."""
    where = urlsplit(url)
    monkeypatch.setenv("PGSSLROOTCERT", str(known.file))
    parts: dict[str, Any] = {"host": "localhost", "port": where.port, "database": where.path[1:], "user": "postgres", "password": SECRET}
    assert await encrypted(PostgresStore(**parts, ssl="verify-full"))


async def test_vectors_speak_tls_too(url: str, known: Authority, front: PostgresTLSFront) -> None:
    """PgVector takes `ssl` as the store does."""
    async with PgVector(connection_string=rooted(url, known.file), ssl="verify-full") as vectors:
        assert await vectors.list_indexes() == []
    opened = open_vector(f"{rooted(url, known.file)}&sslmode=verify-full")
    assert await opened.list_indexes() == []
    await opened.close()
    assert front.tally.connections > 0


@pytest.mark.parametrize("parameters", PARAMETERS)
async def test_every_line_of_the_readme_connects(
    url: str, known: Authority, monkeypatch: pytest.MonkeyPatch, parameters: str, tmp_path: Path
) -> None:
    """What a user copies works: `system` where the operating system trusts the server, a file where that vouches for it."""
    monkeypatch.setattr("mastra_pg.address.SYSTEM_AUTHORITIES", (str(tmp_path / "no such file"), str(known.file)))
    (tmp_path / "ca.pem").write_bytes(known.file.read_bytes())
    store = open_store(f"{url}?{parameters}")
    assert isinstance(store, PostgresStore)
    assert await encrypted(store)
    assert {"sslmode=verify-full&sslrootcert=system", "sslmode=require"} < set(PARAMETERS)


@pytest.mark.parametrize("said", ["in the connection string", "by a variable"])
async def test_who_the_system_trusts_is_trusted_and_nobody_else(
    url: str, known: Authority, stranger: Authority, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """sslrootcert=system means the operating system's authorities, though psycopg's wheels bring an OpenSSL that does not find them.

    A variable of OpenSSL's says it otherwise. It never means "not asked".
    """
    where = rooted(url, "system") if said == "in the connection string" else url
    if said == "by a variable":
        monkeypatch.setenv("PGSSLROOTCERT", "system")
    monkeypatch.setattr("mastra_pg.address.SYSTEM_AUTHORITIES", (str(known.file),))
    assert await encrypted(PostgresStore(connection_string=where))
    monkeypatch.setattr("mastra_pg.address.SYSTEM_AUTHORITIES", (str(stranger.file),))
    assert "certificate verify failed" in await refused(connection_string=where, ssl="verify-full")
    monkeypatch.setenv("SSL_CERT_FILE", str(known.file))
    assert await encrypted(PostgresStore(connection_string=where))
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setattr("mastra_pg.address.SYSTEM_AUTHORITIES", ())
    assert "certificate verify failed" in await refused(connection_string=where)


async def test_a_server_that_nobody_vouches_for_is_refused_at_once(
    url: str, known: Authority, stranger: Authority, front: PostgresTLSFront
) -> None:
    """One attempt each, and the parameter to mend: an authority that does not know it, none, a file that is not there."""
    for file in (stranger.file, "no-such-file.pem", None):
        for ssl in ("verify-ca", "verify-full"):
            before = front.hellos
            said = await refused(connection_string=url if file is None else rooted(url, file), ssl=ssl)
            assert "certificate verify failed" in said if file == stranger.file else "does not exist" in said
            assert "name the file of the authority that signed the server's certificate by sslrootcert" in said
            assert front.hellos - before <= 1
    assert front.tally.connections == 0


async def test_a_server_of_another_name_is_refused_at_once(url: str, known: Authority, front: PostgresTLSFront) -> None:
    """`verify-full` asks for the name, `verify-ca` does not; the error says both."""
    elsewhere = rooted(url, known.file).replace("@localhost:", "@127.0.0.1:")
    said = await refused(connection_string=elsewhere, ssl="verify-full")
    assert 'server certificate for "localhost" does not match host name "127.0.0.1"' in said
    assert "connect by a name that the certificate has; ssl='verify-ca' does not compare it" in said
    assert front.hellos == 1
    assert await encrypted(PostgresStore(connection_string=elsewhere, ssl="verify-ca"))


async def test_the_authorities_of_the_system_go_with_no_weaker_mode(url: str) -> None:
    """libpq refuses it; the error says what to write."""
    said = await refused(connection_string=rooted(url, "system"), ssl="require")
    assert "weak sslmode" in said
    assert "say ssl='verify-full', or leave out sslrootcert=system" in said


@pytest.mark.parametrize("ssl", ["require", "verify-full"])
async def test_a_server_without_tls_is_refused_where_tls_is_demanded(postgres_url: str, known: Authority, ssl: Any) -> None:
    """Nothing is ever sent in plain then, a password least of all."""
    where = urlsplit(postgres_url)
    netloc = f"postgres:{SECRET}@{where.hostname}:{where.port}"
    said = await refused(connection_string=rooted(where._replace(netloc=netloc).geturl(), known.file), ssl=ssl)
    assert "server does not support SSL, but SSL was required: the server has no TLS" in said


async def test_a_server_that_demands_tls_says_so_to_who_comes_without() -> None:
    """The words of a hosted server's access rules; the mend is not to look after the password."""
    with own_postgres(settings=FAST) as running:
        with psycopg.connect(running.url, autocommit=True) as admin:
            (hba,) = admin.execute("SHOW hba_file").fetchone() or ("",)
            rules = "host all all 127.0.0.2/32 trust\nhostssl all all all trust\n"
            admin.execute(f"COPY (SELECT unnest(string_to_array('{rules}', chr(10)))) TO '{hba}'")
            admin.execute("SELECT pg_reload_conf()")
        # The server reads its rules when it comes to it.
        while True:
            try:
                psycopg.connect(running.url).close()
            except psycopg.OperationalError:
                break
        said = await refused(connection_string=running.url.replace("postgres@", f"postgres:{SECRET}@"), ssl=False)
    assert "no encryption: the server lets you in from here only over TLS" in said
    assert "ssl='require' or, better, 'verify-full'" in said
