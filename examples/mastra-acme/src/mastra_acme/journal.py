"""AcmeDB, the database of this example: a file to which batches of texts under keys are appended, shared by processes.

A line is a batch, `[[table, key, text or null], …]`; the last text of a key counts. It takes the place of a driver and its
server: it knows nothing of Mastra.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple


class Entry(NamedTuple):
    """One text of a batch; None is a deletion."""

    table: str
    key: tuple[str, ...]
    text: str | None


class Journal:
    """One open journal.

    Args:
        path: of the file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file: int | None = None
        self._end = 0

    def open(self, *, create: bool = True) -> None:
        """Open the file; from then on `news` begins at its start."""
        self.close()
        self._file = os.open(self.path, os.O_RDWR | (os.O_CREAT if create else 0), 0o644)
        self._end = 0

    def close(self) -> None:
        """Close the file; idempotent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @contextmanager
    def locked(self, *, writing: bool) -> Iterator[None]:
        """Keep other writers out meanwhile and, when *writing*, readers too, in all processes."""
        file = self._open_file()
        fcntl.flock(file, fcntl.LOCK_EX if writing else fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)

    def news(self) -> Iterator[Entry]:
        """What was appended since the last call, by anybody. A batch that a crash cut off is none."""
        text = os.pread(self._open_file(), os.fstat(self._open_file()).st_size - self._end, self._end)
        whole, newline, _ = text.rpartition(b"\n")
        self._end += len(whole) + len(newline)
        for line in whole.splitlines():
            for table, key, held in json.loads(line):
                yield Entry(table, tuple(key), held)

    def append(self, batch: Sequence[Entry]) -> None:
        """Append a batch, whole or not at all, on the disk when this returns; needs the lock for writing, and no news left."""
        line = json.dumps(batch, separators=(",", ":")).encode() + b"\n"
        file = self._open_file()
        # A crash in the middle of an earlier append may have left half a line behind what was read.
        os.ftruncate(file, self._end)
        os.pwrite(file, line, self._end)
        os.fsync(file)
        self._end += len(line)

    def _open_file(self) -> int:
        if self._file is None:
            raise OSError(f"{self.path} is not open")
        return self._file
