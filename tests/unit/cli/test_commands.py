"""The command line, run as users run it: another process, its output in a pipe or on a terminal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mastra_core import clock
from mastra_core.storage import LibSQLStore, Message, Thread
from mastra_core.storage.libsql.driver import Place, connect
from mastra_core.storage.records.kinds import SCHEMA_VERSION

GOLDEN = Path(__file__).parents[2] / "interop" / "golden" / "libsql" / "golden.db"
SQLITE = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.stdin.read())"
LONG = "remember this, " * 40


def mastra(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from mastra_core.cli.main import main; main()", *arguments]
    ran = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False, env={**os.environ, **environment}
    )
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran


@pytest.fixture
def url(tmp_path) -> str:
    """A store with two threads of two resources, one with three messages."""
    url = f"file:{tmp_path / 'm.db'}"

    def text(id, role, *parts):
        return Message(id=id, thread_id="t1", role=role, content={"format": 2, "parts": list(parts)})

    with LibSQLStore(url=url).sync as store:
        for thread, owner in (("t1", "ada"), ("t2", "bob")):
            now = clock.now()
            store.memory.save_thread(Thread(id=thread, resource_id=owner, title=f"[bold]{owner}'s", created_at=now, updated_at=now))
        messages = [
            text("m1", "user", {"type": "text", "text": "My name is [red]Ada[/red] \x1b[2J\ud800 ü"}),
            text("m2", "assistant", {"type": "text", "text": LONG}, {"type": "file"}),
            text("m3", "user"),
        ]
        store.memory.save_turn(thread=Thread(id="t1", resource_id="ada", created_at=now, updated_at=now), messages=messages)
    return url


def test_threads_are_listed_one_a_line(url) -> None:
    """`mastra threads URL | cut -f1` gives the ids, newest first."""
    ran = mastra("threads", url)
    assert [line.split("\t")[:3] for line in ran.stdout.splitlines()] == [["t2", "bob", "[bold]bob's"], ["t1", "ada", "[bold]ada's"]]
    assert (ran.returncode, ran.stderr) == (0, "")


def test_threads_of_one_resource_are_listed_as_json(url) -> None:
    """Programs get one document a line, with the attributes of the record."""
    (line,) = mastra("threads", url, "--resource", "ada", "--json").stdout.splitlines()
    found = json.loads(line)
    assert (found["id"], found["resource_id"], found["title"]) == ("t1", "ada", "[bold]ada's")
    assert clock.from_text(found["created_at"]).tzinfo is not None


def test_a_list_that_is_cut_says_so(url) -> None:
    """Nobody takes the first page for everything."""
    ran = mastra("threads", url, "--limit", "1")
    assert (len(ran.stdout.splitlines()), ran.returncode) == (1, 0)
    assert "more than 1 threads; see more with --limit" in ran.stderr
    assert mastra("threads", url, "--limit", "2").stderr == ""


def test_messages_show_role_time_and_text(url) -> None:
    """A conversation can be read, whole lines in a pipe; brackets are no markup, and nothing stored commands the terminal."""
    ran = mastra("messages", url, "t1")
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("user  20")
    assert lines[0].endswith(" UTC")
    assert lines[1] == "My name is [red]Ada[/red] \ufffd[2J\ufffd ü"
    assert lines[3].startswith("assistant  20")
    assert lines[4].strip() == LONG.strip()
    assert lines[5] == "[file]"
    assert (ran.returncode, ran.stderr) == (0, "")


def test_messages_as_json_come_back_equal(url) -> None:
    """What is stored is what is printed, escapes included, whatever the terminal's encoding."""
    first, *_ = mastra("messages", url, "t1", "--json", PYTHONIOENCODING="ascii").stdout.splitlines()
    assert json.loads(first)["content"]["parts"][0]["text"] == "My name is [red]Ada[/red] \x1b[2J\ud800 ü"


def test_text_that_the_terminal_cannot_show_does_not_stop_the_list(url) -> None:
    """An old terminal gets escapes instead of an error."""
    assert "\\xfc" in mastra("messages", url, "t1", PYTHONIOENCODING="ascii").stdout


def test_long_text_is_wrapped_on_a_terminal(url) -> None:
    """A long answer is read without scrolling sideways."""
    ran = mastra("messages", url, "t1", FORCE_COLOR="1", COLUMNS="60")
    shown = [line for line in ran.stdout.splitlines() if "remember this" in line]
    assert len(shown) > 5
    assert max(len(line) for line in shown) <= 60
    assert "m1" not in ran.stdout
    assert "bob" in mastra("threads", url, FORCE_COLOR="1", COLUMNS="60").stdout


def test_a_thread_that_is_not_there_is_told(url) -> None:
    """Nothing printed and no error would look like an empty thread."""
    ran = mastra("messages", url, "t9")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "there is no thread 't9'" in ran.stderr


def test_check_of_a_complete_database_says_what_it_is_and_exits_with_0(url) -> None:
    """One command says whether a URL is right, what answers there and how far away it is."""
    ran = mastra("check", url, "--json")
    found = json.loads(ran.stdout)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (found["store"], found["schema_version"], found["missing"]) == ("LibSQLStore", SCHEMA_VERSION, [])
    assert "SQLite 3." in found["server"]
    assert found["round_trip_ms"] >= 0
    rows = dict(line.split("\t") for line in mastra("check", url).stdout.splitlines())
    assert (rows["missing"], rows["schema version"]) == ("nothing", str(SCHEMA_VERSION))


def test_check_of_an_incomplete_database_prints_what_completes_it_and_changes_nothing(tmp_path) -> None:
    """What TypeScript made lacks our indexes: each is printed as a statement, the exit code is 1, and the file stays as it was."""
    path = tmp_path / "golden.db"
    shutil.copy(GOLDEN, path)
    before = path.read_bytes()
    ran = mastra("check", f"file:{path}")
    missing = [cell for what, cell in (line.split("\t") for line in ran.stdout.splitlines()) if what == "missing"]
    assert ran.returncode == 1
    assert f"{len(missing)} missing." in ran.stderr
    assert json.loads(mastra("check", f"file:{path}", "--json").stdout)["missing"] == missing
    assert (path.read_bytes(), [found.name for found in tmp_path.iterdir()]) == (before, ["golden.db"])
    subprocess.run([sys.executable, "-c", SQLITE, path], input="\n".join(missing), text=True, check=True, timeout=60)
    assert mastra("check", f"file:{path}").returncode == 0


def test_check_of_a_newer_database_says_the_mend_and_exits_with_2(url) -> None:
    """A newer release made it: that is an error, and nothing missing."""
    connection = connect(Place.of_url(url))
    connection.execute("INSERT INTO mastra_migrations VALUES (999, 'f', '', 'mastra-core 9.9.9')")
    connection.close()
    ran = mastra("check", url)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "Upgrade to at least mastra-core 9.9.9" in ran.stderr


def test_what_ddl_prints_makes_a_complete_database(tmp_path) -> None:
    """`mastra ddl URL | sqlite3 FILE` makes what the store would; printing it makes no file, and running it twice is no error."""
    path = tmp_path / "made.db"
    ran = mastra("ddl", f"file:{path}")
    assert (ran.returncode, ran.stderr, list(tmp_path.iterdir())) == (0, "", [])
    for _ in range(2):
        subprocess.run([sys.executable, "-c", SQLITE, path], input=ran.stdout, text=True, check=True, timeout=60)
    assert mastra("check", f"file:{path}").returncode == 0
    assert [
        json.loads(line)["statement"] for line in mastra("ddl", f"file:{path}", "--json").stdout.splitlines()
    ] == ran.stdout.splitlines()


@pytest.mark.parametrize("command", [("threads",), ("messages", "t1"), ("check",), ("ddl",)])
def test_a_wrong_url_gets_the_errors_own_text_and_exit_code_2(command) -> None:
    """The mend is the last thing on the screen, without a traceback or the password."""
    ran = mastra(command[0], "redsi://me:hunter2@host/0", *command[1:])
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("mastra: no storage plugin answers 'redsi://…' (installed: ")
    assert "hunter2" not in ran.stderr


@pytest.mark.parametrize("command", [("threads",), ("messages", "t1"), ("check",)])
def test_looking_does_not_create_a_database(command, tmp_path) -> None:
    """A mistyped path is told, and leaves no empty file behind."""
    ran = mastra(command[0], f"file:{tmp_path / 'typo.db'}", *command[1:])
    assert ran.returncode == 2
    assert "typo.db" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_plugins_lists_what_is_installed() -> None:
    """The built-in store is there, with what it offers; for people and for programs."""
    rows = {line.split("\t")[0]: line for line in mastra("plugins").stdout.splitlines()}
    assert "file, libsql, memory: embedded SQLite" in rows["mastra-core"]
    listed = {found["distribution"]: found for found in map(json.loads, mastra("plugins", "--json").stdout.splitlines())}
    assert listed["mastra-core"]["offers"][0]["names"] == ["file", "libsql", "memory"]
    assert listed["mastra-core"]["error"] is None


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_the_command_says_how_to_install_it(missing) -> None:
    """`pip install mastra-core` alone puts the command there; what it needs is named."""
    program = f"import sys; sys.modules[{missing!r}] = None; from mastra_core.cli.main import main; main()"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    expected = f'mastra: the command line needs {missing}, which is not installed; install it: pip install "mastra-core[cli]"\n'
    assert (ran.returncode, ran.stderr) == (1, expected)


def test_a_shell_completes_commands() -> None:
    """Issue 4: "completion"; `mastra --install-completion` puts it into the user's shell."""
    command = [str(Path(sys.executable).parent / "mastra")]
    asked = {"_MASTRA_COMPLETE": "complete_bash", "COMP_WORDS": "mastra th", "COMP_CWORD": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **asked})
    assert ran.stdout.split() == ["threads"]
