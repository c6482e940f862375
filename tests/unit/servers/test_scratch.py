"""Where test runs keep their files, and which ports their servers get."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.servers import process, scratch
from tests.servers.process import free_port

PROJECT = Path(__file__).parents[3]
ASKING = "from tests.servers.process import free_port; print('ready', flush=True); input(); print(*(free_port() for _ in range(500)))"


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that has the room, where nobody has said where temporary files go; what was said is said again afterwards."""
    monkeypatch.setattr(tempfile, "tempdir", tempfile.gettempdir())
    # Set first, so that it is put right afterwards where there was none as well.
    monkeypatch.setenv("TMPDIR", "")
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(scratch, "IN_MEMORY", tmp_path)
    monkeypatch.setattr(scratch, "ROOM_BYTES", 1)
    return tmp_path


def test_temporary_files_lie_in_memory_where_there_is_room(unset: Path) -> None:
    """Programs that a test starts put theirs there as well."""
    scratch.keep_in_memory()
    asked = [sys.executable, "-c", "import tempfile; print(tempfile.gettempdir())"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    assert (tempfile.gettempdir(), told) == (str(unset), str(unset))


def test_who_sets_tmpdir_decides(unset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`TMPDIR=/tmp make test` keeps files on the disk."""
    monkeypatch.setenv("TMPDIR", "/tmp")
    scratch.keep_in_memory()
    assert os.environ["TMPDIR"] == "/tmp"


@pytest.mark.parametrize("room, available", [(1 << 62, 1 << 62), (1 << 20, 0)], ids=["a folder that is full", "a machine that is full"])
def test_a_machine_without_room_keeps_its_files_on_disk(
    unset: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, room: int, available: int
) -> None:
    """A small container is not brought down by its tests."""
    monkeypatch.setattr(scratch, "ROOM_BYTES", room)
    memory = tmp_path / "meminfo"
    memory.write_text(f"MemTotal: 1 kB\nMemAvailable:  {available} kB\n")
    assert not scratch.has_room(unset, memory=memory)
    memory.write_text(f"MemAvailable:  {1 << 40} kB\n")
    assert scratch.has_room(unset, memory=memory) is (room == 1 << 20)


@pytest.mark.parametrize(
    "limit, used", [("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")], ids=["v2", "v1"]
)
def test_a_container_with_little_memory_keeps_its_files_on_disk(unset: Path, tmp_path: Path, limit: str, used: str) -> None:
    """What lies in memory counts against a container's limit, whatever the machine has, and past it programs are killed."""
    memory, groups = tmp_path / "meminfo", tmp_path / "groups"
    memory.write_text(f"MemAvailable: {1 << 40} kB\n")
    assert scratch.has_room(unset, memory=memory, groups=groups)
    (groups / limit).parent.mkdir(parents=True)
    (groups / used).write_text("100\n")
    for text, room in (("100", False), ("101", True)):
        (groups / limit).write_text(f"{text}\n")
        assert scratch.has_room(unset, memory=memory, groups=groups) is room
    (groups / "memory.current").write_text("0\n")
    (groups / "memory.max").write_text("max\n")
    assert scratch.has_room(unset, memory=memory, groups=groups) is True


def test_no_two_processes_get_one_port() -> None:
    """A server can still listen on it when it comes to that, though others choose theirs at the same time."""
    command, pipe = [sys.executable, "-c", ASKING], subprocess.PIPE
    asked = [subprocess.Popen(command, cwd=PROJECT, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for one in asked:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in asked:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    ports = [port for one in asked for port in one.communicate(timeout=120)[0].split()]
    assert len(ports) == len(set(ports)) == 2000


def test_a_port_on_which_somebody_listens_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A developer's own servers are in nobody's way."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first = free_port()
    monkeypatch.setattr(process, "PORTS", range(first, first + 2))
    with socket.create_server(("127.0.0.1", first)):
        assert [free_port(), free_port()] == [first + 1, first + 1]
