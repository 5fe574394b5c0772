"""Databases in memory, used one after the other: with the statements that a connection has prepared, and empty again.

To open a database, read its schema and prepare some fifty statements takes longer than ten calls of a NAS.
"""

import sqlite3
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache

_MAX_IDLE = 4
_MAX_PAGES = 1024
"""What is larger than 4 MiB is not worth emptying."""

_CLOSED = sqlite3.connect(":memory:", check_same_thread=False)
_CLOSED.close()


def closed() -> sqlite3.Connection:
    """What a store has for a connection once it is closed: any use of it raises sqlite3.ProgrammingError."""
    return _CLOSED


@dataclass(frozen=True, slots=True)
class _Blank:
    """A database with its tables and nothing done to it.

    Attributes:
        connection: is only ever copied from: that takes a tenth of the time of making one.
        tables: their names; each one refers to earlier ones only.
        rows: what is in them in a new database.
        asking: a query for one row that says of each table whether there is anything in it.
        schema: SQLite's own count of changes to the tables, as a copy has it.
    """

    connection: sqlite3.Connection
    tables: tuple[str, ...]
    rows: Mapping[str, list[tuple[object, ...]]]
    asking: str
    schema: int


class _Idle(threading.local):
    """Connections that wait for their next use, by the script of their tables; as SQLite wants it, those of one thread.

    Without slots: what is in those is not a thread's own.
    """

    def __init__(self) -> None:
        self.by_script: dict[str, list[sqlite3.Connection]] = {}


_idle = _Idle()


@cache
def _blank(script: str) -> _Blank:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.executescript(script)
    names = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
    names.sort(key="sqlite_sequence".__ne__)  # the first, because rows that are inserted raise the numbers in it
    with closing(_copy(connection)) as copy:
        schema = _schema(copy)
    rows = {name: connection.execute(f"select * from {name}").fetchall() for name in names}  # noqa: S608 - our names
    asking = "select " + ", ".join(f"exists (select 1 from {name})" for name in names)  # noqa: S608
    return _Blank(connection, tuple(names), rows, asking, schema)


def _copy(connection: sqlite3.Connection) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:", isolation_level="IMMEDIATE", cached_statements=1024)
    copy.execute("pragma temp_store = memory")
    connection.backup(copy)
    return copy


def _schema(connection: sqlite3.Connection) -> int:
    return int(connection.execute("pragma main.schema_version").fetchone()[0])


def open_database(script: str, pragmas: Mapping[str, int]) -> sqlite3.Connection:
    """A connection to a database of its own that has what the script makes, and nothing else.

    Args:
        script: statements that make the tables.
        pragmas: what is to be set, and to what.
    """
    idle = _idle.by_script.get(script)
    connection = idle.pop() if idle else None
    if connection is None:
        connection = _copy(_blank(script).connection)
    for name, value in pragmas.items():  # of one that was used before, too: whoever had it may have changed them
        if connection.execute(f"pragma {name}").fetchone()[0] != value:
            connection.execute(f"pragma {name} = {value}")  # not without need: every statement is prepared anew then
    return connection


def give_back(connection: sqlite3.Connection, script: str) -> None:
    """Empty a database that `open_database` gave, for the next one who wants such a one.

    Temporary tables are emptied too, but stay, and so do temporary triggers: who makes them says `if not exists`.
    """
    idle = _idle.by_script.setdefault(script, [])
    connection.rollback()
    connection.row_factory = None
    blank = _blank(script)
    pages = connection.execute("pragma page_count").fetchone()[0]
    if len(idle) >= _MAX_IDLE or pages > _MAX_PAGES or _schema(connection) != blank.schema:
        connection.close()
        return
    _renew(connection, blank)
    for (name,) in connection.execute("select name from sqlite_temp_master where type = 'table'").fetchall():
        connection.execute(f"delete from temp.{name}")  # noqa: S608 - our names
    connection.commit()
    idle.append(connection)


def _renew(connection: sqlite3.Connection, blank: _Blank) -> None:
    """Make the tables what they are in a new database; most of them are."""
    used = connection.execute(blank.asking).fetchone()
    changed = []
    for name, is_used in zip(blank.tables, used, strict=True):
        rows = blank.rows[name]
        if is_used if not rows else connection.execute(f"select * from {name}").fetchall() != rows:  # noqa: S608
            changed.append(name)
    for name in reversed(changed):
        connection.execute(f"delete from {name}")  # noqa: S608 - our names
    for name in changed:
        if rows := blank.rows[name]:
            connection.executemany(f"insert into {name} values ({', '.join('?' * len(rows[0]))})", rows)  # noqa: S608


def close_idle() -> None:
    """Close this thread's databases that wait for their next use, as before the thread ends."""
    for idle in _idle.by_script.values():
        while idle:
            idle.pop().close()
