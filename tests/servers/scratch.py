"""Where the files of a test run lie that nobody needs after it: in memory where there is room, which spares minutes of a disk's time.

A database made and dropped for each test is some 300 files; a file system of memory does that in a quarter of the time. Whoever sets TMPDIR
decides it for himself. Knows file systems. Must not know pytest, a server or a test.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

IN_MEMORY = Path("/dev/shm")
ROOM_BYTES = 6 << 30
"""What has to be free there, in the machine and in the container: a run of the long tests holds half of it, and its processes want some themselves."""


def keep_in_memory() -> None:
    """Let temporary files of this process, and of those that it starts, lie in memory where there is room; never where TMPDIR says where."""
    if "TMPDIR" not in os.environ and has_room(IN_MEMORY):
        os.environ["TMPDIR"] = str(IN_MEMORY)
        # Chosen once per process; somebody may have asked before.
        tempfile.tempdir = None


def has_room(folder: Path, *, memory: Path = Path("/proc/meminfo"), groups: Path = Path("/sys/fs/cgroup")) -> bool:
    """Whether programs may lie and run in *folder*, and it, the machine and the container have ROOM_BYTES to give.

    Args:
        folder: a file system of memory.
        memory: what Linux tells of the machine's.
        groups: what it tells of a container's, which counts files in memory, and ends programs where they are too many.
    """
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK) and memory.is_file()):
        return False
    about = os.statvfs(folder)
    if about.f_flag & os.ST_NOEXEC or about.f_bavail * about.f_frsize < ROOM_BYTES:
        return False
    told = dict(line.split(":", 1) for line in memory.read_text().splitlines())
    return min([int(told["MemAvailable"].split()[0]) * 1024, *_left_to_groups(groups)]) >= ROOM_BYTES


def _left_to_groups(groups: Path) -> list[int]:
    """What control groups leave, by either version of them; nothing where they limit nothing."""
    left = []
    for limit, used in (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")):
        if (groups / limit).is_file() and (groups / used).is_file() and (most := (groups / limit).read_text().strip()) != "max":
            left.append(int(most) - int((groups / used).read_text()))
    return left
