"""Every test gets a libSQL server of its own, the one that was reviewed, and it can die and come back."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.servers import sqld as sqld_module
from tests.servers.fixtures import fresh_sqld
from tests.servers.process import answers
from tests.servers.sqld import Sql, SqldServer, install, reachable, verify


def port_of(server: SqldServer) -> int:
    return int(server.url.partition("?")[0].rpartition(":")[2])


def test_two_servers_share_nothing_and_end_with_their_blocks(sqld: SqldServer) -> None:
    """Tables of one test are not another's, and no process is left."""
    with fresh_sqld() as other:
        Sql(sqld.url).execute("CREATE TABLE t (v)")
        assert Sql(other.url).execute("SELECT name FROM sqlite_master").fetchall() == []
        port = port_of(other)
        assert answers("127.0.0.1", port)
    assert not answers("127.0.0.1", port)


def test_a_server_that_was_killed_starts_again_with_what_was_committed(sqld: SqldServer) -> None:
    """What a test of durability rests on: the same address, the same data, no goodbye."""
    Sql(sqld.url).execute("CREATE TABLE t (v)")
    Sql(sqld.url).execute("INSERT INTO t VALUES (?)", ["kept"])
    url = sqld.url
    sqld.kill()
    assert not answers("127.0.0.1", port_of(sqld))
    sqld.start()
    assert sqld.url == url
    assert Sql(url).execute("SELECT v FROM t").fetchone() == ("kept",)
    assert reachable(url).startswith(f"sqld {sqld_module.SERVER_VERSION}")


def test_values_come_back_as_sqlite_has_them(sqld_url: str) -> None:
    """A look behind the engine's back shows what is stored, and a refusal is SQLite's own error."""
    sql = Sql(sqld_url)
    assert sql.execute("SELECT ?, ?, ?, ?, x'00ff'", [2**62 + 1, 0.1, "é", None]).fetchall() == [(2**62 + 1, 0.1, "é", None, b"\x00\xff")]
    sql.execute("CREATE TABLE t (v NOT NULL)")
    with pytest.raises(sqlite3.IntegrityError, match="NOT NULL constraint failed"):
        sql.execute("INSERT INTO t VALUES (NULL)")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        sql.execute("SELECT * FROM nowhere")


def test_a_program_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    """What is run is byte for byte what was reviewed."""
    program = tmp_path / "sqld"
    program.write_bytes(b"another program")
    with pytest.raises(RuntimeError, match=r"sqld has sha256 [0-9a-f]{64}, expected 0863c3fb.*nothing was installed"):
        verify(program)


def test_installing_a_second_time_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make servers` costs nothing once it is done."""
    monkeypatch.setattr(sqld_module, "fetch", lambda folder: pytest.fail("fetched"))
    (tmp_path / "sqld").write_bytes(b"there")
    assert install(tmp_path) is False
