"""How a file gets the schema of this release: once, whoever comes first, only by adding, and never from a newer release back."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from mastra_core.errors import ConfigurationError, StorageUnavailableError
from mastra_core.storage.libsql import engine as engine_module
from mastra_core.storage.libsql.driver import Connection, Place, connect
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.libsql.tables import SCHEMA
from mastra_core.storage.records.kinds import SCHEMA_VERSION

GOLDEN = Path(__file__).parents[3] / "interop" / "golden" / "libsql" / "golden.db"
PROCESSES = 8

OPENER = """
import asyncio, sys
from mastra_core.storage.libsql import engine
from mastra_core.storage.libsql.store import LibSQLStore

connect, made = engine.connect, []

def traced(place):
    connection = connect(place)
    connection.set_trace_callback(lambda sql: made.append(sql) if sql.startswith(("CREATE", "INSERT INTO \\"mastra_migrations")) else None)
    return connection

engine.connect = traced

async def main(path):
    print("ready", flush=True)
    sys.stdin.readline()
    async with LibSQLStore(url=f"file:{path}") as store:
        assert (await store.memory.list_threads()).total == 0
    print(len(made))

asyncio.run(main(sys.argv[1]))
"""

DYING = """
import asyncio, os, signal, sys
from mastra_core.storage.libsql import engine
from mastra_core.storage.libsql.store import LibSQLStore

connect, left = engine.connect, int(sys.argv[2])

def dying(place):
    def count(sql):
        global left
        left -= sql.startswith(("CREATE", "INSERT", "COMMIT"))
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    connection = connect(place)
    connection.set_trace_callback(count)
    return connection

engine.connect = dying
asyncio.run(LibSQLStore(url=f"file:{sys.argv[1]}").init())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a database may be."""
    return tmp_path / "m.db"


@pytest.fixture
def behind(path: Path) -> Iterator[Connection]:
    """A connection to the file behind the store's back, made after the store has prepared it."""
    with LibSQLStore(url=f"file:{path}").sync as store:
        store.init()
    connection = connect(Place(str(path)))
    yield connection
    connection.close()


def asked(path: Path, statement: str) -> list[Any]:
    """Rows of a file, over a connection that is closed at once."""
    connection = connect(Place(str(path), "ro"))
    rows = connection.execute(statement).fetchall()
    connection.close()
    return rows


def applied(path: Path) -> list[Any]:
    """The version and fingerprint of every migration."""
    return asked(path, "SELECT version, fingerprint FROM mastra_migrations ORDER BY version")


def rows_by_column(path: Path) -> Mapping[str, tuple[list[str], list[Any]]]:
    """The columns and the rows of every table, by its name."""
    tables = [name for (name,) in asked(path, "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE TABLE %'")]
    held = {}
    for table in tables:
        columns = [row[1] for row in asked(path, f'PRAGMA table_info("{table}")')]
        names = ", ".join(f'"{name}"' for name in columns)
        held[table] = (columns, asked(path, f'SELECT {names} FROM "{table}" ORDER BY 1, 2'))
    return held


async def test_a_fresh_file_records_what_was_applied_by_whom(path: Path) -> None:
    """A later release can tell what is there, and people who did it."""
    async with LibSQLStore(url=f"file:{path}"):
        pass
    ((version, fingerprint, at, by),) = asked(path, "SELECT version, fingerprint, applied_at, applied_by FROM mastra_migrations")
    assert (version, fingerprint) == (SCHEMA_VERSION, SCHEMA.fingerprint)
    assert at.endswith("Z")
    assert by.startswith("mastra-core ")


def test_of_eight_processes_that_open_a_fresh_file_one_prepares_it(path: Path) -> None:
    """Issue: "safe with N processes starting at once": all can use it, and the work is done once."""
    pipe = subprocess.PIPE
    arguments = [sys.executable, "-c", OPENER, str(path)]
    openers = [subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(PROCESSES)]
    try:
        for opener in openers:
            assert opener.stdout is not None
            assert opener.stdout.readline() == "ready\n", opener.communicate(timeout=120)
        for opener in openers:
            assert opener.stdin is not None
            opener.stdin.write("go\n")
            opener.stdin.flush()
        made = []
        for opener in openers:
            out, errors = opener.communicate(timeout=120)
            assert opener.returncode == 0, errors
            made.append(int(out))
    finally:
        for opener in openers:
            opener.kill()
    assert sorted(made) == [0] * (PROCESSES - 1) + [len(SCHEMA.ddl())]
    assert applied(path) == [(SCHEMA_VERSION, SCHEMA.fingerprint)]


@pytest.mark.parametrize("step", [1, 2, 10, len(SCHEMA.ddl()) - 1, len(SCHEMA.ddl()), len(SCHEMA.ddl()) + 1])
def test_a_process_that_dies_while_it_prepares_leaves_a_file_that_opens(path: Path, step: int) -> None:
    """kill -9 before any statement of the migration, its COMMIT included: nothing of it is kept, and the next start does it all."""
    died = subprocess.run([sys.executable, "-c", DYING, str(path), str(step)], capture_output=True, text=True, timeout=120, check=False)
    assert died.returncode == -9, died.stderr
    assert asked(path, "SELECT name FROM sqlite_master") == []
    with LibSQLStore(url=f"file:{path}").sync as store:
        assert store.memory.list_threads().total == 0
    assert applied(path) == [(SCHEMA_VERSION, SCHEMA.fingerprint)]
    assert asked(path, "PRAGMA integrity_check") == [("ok",)]


async def test_a_file_of_typescript_is_migrated_by_adding_only(path: Path) -> None:
    """Issue: "additive": no table, index, column or value that TypeScript made is altered or gone."""
    shutil.copy(GOLDEN, path)
    objects, held = asked(path, "SELECT name, sql FROM sqlite_master"), rows_by_column(path)
    async with LibSQLStore(url=f"file:{path}") as store:
        assert (await store.records.inspect()).missing == ()
    after = rows_by_column(path)
    assert set(objects) <= set(asked(path, "SELECT name, sql FROM sqlite_master"))
    for table, (columns, rows) in held.items():
        assert (after[table][0][: len(columns)], [row[: len(columns)] for row in after[table][1]]) == (columns, rows)
    assert set(after) - set(held) == {"mastra_migrations"}


async def test_a_table_and_columns_of_an_older_release_are_completed(path: Path) -> None:
    """Rows that are older than a column are kept, and read as if it were empty."""
    old = connect(Place(str(path)))
    old.execute('CREATE TABLE mastra_threads (id TEXT PRIMARY KEY, "resourceId" TEXT NOT NULL, "createdAt" TEXT, "updatedAt" TEXT)')
    old.execute("INSERT INTO mastra_threads VALUES ('t', 'r', '2024-01-01T00:00:00.000Z', '2024-01-01T00:00:00.000Z')")
    old.close()
    async with LibSQLStore(url=f"file:{path}") as store:
        found = await store.memory.get_thread_by_id("t")
        assert found is not None
        assert (found.resource_id, found.title, found.metadata) == ("r", "", None)


async def test_a_newer_file_is_refused_with_the_mend_and_untouched(path: Path, behind: Connection) -> None:
    """Issue: "a newer schema refused with the mend": by whom it was made, what to upgrade to; not a byte is written."""
    newer = f"INSERT INTO mastra_migrations VALUES ({SCHEMA_VERSION + 1}, 'f', '2030-01-01T00:00:00.000Z', 'mastra-core 2.0.0')"
    behind.execute(newer)
    behind.close()
    before = path.read_bytes()
    text = rf"schema version {SCHEMA_VERSION + 1}, made by mastra-core 2\.0\.0; mastra-core .* knows version {SCHEMA_VERSION} .*Upgrade"
    for url in (f"file:{path}", f"file:{path}?mode=ro"):
        store = LibSQLStore(url=url)
        with pytest.raises(ConfigurationError, match=text):
            await store.memory.list_threads()
        with pytest.raises(ConfigurationError, match=text):
            await store.records.inspect()
        await store.close()
    assert path.read_bytes() == before


async def test_a_release_with_other_indexes_adds_its_own_and_refuses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two releases that differ in indexes alone may take turns on one file, and each adds its own once."""
    fewer = attrs.evolve(SCHEMA, indexes=SCHEMA.indexes[1:])
    for schema in (fewer, SCHEMA, fewer, SCHEMA):
        monkeypatch.setattr(engine_module, "SCHEMA", schema)
        async with LibSQLStore(url=f"file:{path}") as store:
            assert (await store.records.inspect()).missing == ()
    assert {found for _, found in applied(path)} == {SCHEMA.fingerprint, fewer.fingerprint}
    assert len(applied(path)) == 2


async def test_a_table_that_was_dropped_is_made_again_at_the_next_start(path: Path, behind: Connection) -> None:
    """Clearing a database by dropping its tables leaves a database that works."""
    behind.execute("DROP TABLE mastra_threads")
    async with LibSQLStore(url=f"file:{path}") as store:
        assert (await store.memory.list_threads()).total == 0


async def test_a_column_that_was_dropped_is_named_with_the_command_that_shows_it(path: Path, behind: Connection) -> None:
    """What a start does not look for is not blamed on a bug: the error leads to the statement that mends it."""
    behind.execute("ALTER TABLE mastra_threads DROP COLUMN metadata")
    async with LibSQLStore(url=f"file:{path}") as store:
        with pytest.raises(
            StorageUnavailableError, match=r"no such column: metadata: .*`mastra check file:.*m\.db` prints what is missing"
        ):
            await store.memory.get_thread_by_id("t")
        (statement,) = (await store.records.inspect()).missing
        behind.execute(statement)
        assert await store.memory.get_thread_by_id("t") is None


@pytest.mark.parametrize(
    "done, opens",
    [
        ("DROP INDEX idx_threads_created_at", True),
        ("DROP TABLE mastra_migrations", True),
        ("DROP TABLE mastra_ai_spans", False),
        ("ALTER TABLE mastra_threads DROP COLUMN metadata; DELETE FROM mastra_migrations", False),
    ],
)
async def test_a_read_only_file_opens_if_it_has_every_table_and_column(path: Path, behind: Connection, done: str, opens: bool) -> None:
    """A copy to look at needs no index of ours; when it lacks what is read, the error names that and the mend."""
    behind.executescript(done)
    behind.close()
    before = path.read_bytes()
    store = LibSQLStore(url=f"file:{path}?mode=ro")
    if opens:
        assert (await store.memory.list_threads()).total == 0
    else:
        with pytest.raises(ConfigurationError, match=r"m\.db is opened read-only, and it lacks (table|column) mastra_\w+.*`mastra check"):
            await store.memory.list_threads()
    await store.close()
    assert path.read_bytes() == before


async def test_looking_at_a_file_leaves_no_file_beside_it_and_sees_what_a_writer_committed(path: Path, behind: Connection) -> None:
    """A check may run at any time: beside a process that writes, and on a file that nobody has open."""
    store = LibSQLStore(url=f"file:{path}")
    behind.execute("DROP INDEX idx_threads_created_at")
    ((statement,),) = [(await store.records.inspect()).missing]
    assert "idx_threads_created_at" in statement
    behind.close()
    before = path.read_bytes()
    assert (await store.records.inspect()).missing == (statement,)
    assert [found.name for found in path.parent.iterdir()] == ["m.db"]
    assert path.read_bytes() == before


async def test_a_table_of_that_name_in_another_shape_is_completed(path: Path) -> None:
    """A table that somebody else called mastra_migrations does not stop a start."""
    other = connect(Place(str(path)))
    other.executescript("CREATE TABLE mastra_migrations (name TEXT); INSERT INTO mastra_migrations VALUES ('theirs')")
    other.close()
    for _ in range(2):
        async with LibSQLStore(url=f"file:{path}") as store:
            assert (await store.records.inspect()).missing == ()
    assert asked(path, "SELECT name, version FROM mastra_migrations") == [("theirs", None), (None, SCHEMA_VERSION)]


async def test_ddl_makes_what_opening_makes(path: Path, tmp_path: Path) -> None:
    """An operator's database and one that the store prepared are the same."""
    made = connect(Place(str(tmp_path / "made.db")))
    for statement in SCHEMA.ddl():
        made.execute(statement)
    made.close()
    async with LibSQLStore(url=f"file:{path}"):
        pass
    select: Callable[[Path], list[Any]] = lambda file: sorted(asked(file, "SELECT type, name, sql FROM sqlite_master"))  # noqa: E731
    assert select(path) == select(tmp_path / "made.db")
    assert applied(path) == applied(tmp_path / "made.db")
