"""Damage that SQLite or its driver meets while a statement runs, before any record is decoded: which record it is in.

Text that is no UTF-8 stops the driver, and JSON that is none stops SQLite's JSON functions; neither says where it was. Knows the driver's
errors and the codec of rows; must not know any field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mastra_core.storage.libsql.dialect import SQLITE
from mastra_core.storage.libsql.driver import Connection, Error
from mastra_core.storage.records.kind import Key, Kind
from mastra_core.storage.records.query import Get
from mastra_core.storage.sql.reads import NO_LIMIT, Statement, scan_statement, statement
from mastra_core.storage.sql.rows import codec

_NO_TEXT = "Could not decode to UTF-8"
_NO_JSON = ("malformed JSON", "JSON cannot hold BLOB values", "user-defined function raised exception")


def reread(connection: Connection, kind: Kind[Any], told: Statement, error: Error) -> list[Sequence[Any]]:
    """The rows of a SELECT that ended in *error*, with what is no text as bytes, so that decoding it names the record.

    Raises:
        StoredDataError: a condition on JSON met a record whose JSON is none.
        Error: *error*, which was not about damage.
    """
    if _NO_TEXT in str(error):
        return list(_rows(connection, told))
    if any(text in str(error) for text in _NO_JSON):
        _decode(connection, kind, [scan_statement(SQLITE, kind, after=None, limit=NO_LIMIT)])
    raise error


def name_changed(connection: Connection, kind: Kind[Any], keys: Iterable[Key], error: Error) -> None:
    """Look at the records that a change was about, if *error* is about damage.

    Raises:
        StoredDataError: one of them cannot be decoded.
    """
    if any(text in str(error) for text in (_NO_TEXT, *_NO_JSON)):
        _decode(connection, kind, (statement(SQLITE, Get(kind, key)) for key in keys))


def _decode(connection: Connection, kind: Kind[Any], statements: Iterable[Statement]) -> None:
    convert = codec(SQLITE, kind).record
    for told in statements:
        for row in _rows(connection, told):
            convert(row)


def _rows(connection: Connection, told: Statement) -> Iterator[Sequence[Any]]:
    usual = connection.text_factory
    connection.text_factory = _text_or_bytes
    try:
        yield from connection.execute(told.sql, told.parameters)
    finally:
        connection.text_factory = usual


def _text_or_bytes(held: bytes) -> str | bytes:
    try:
        return held.decode()
    except UnicodeDecodeError:
        return held
