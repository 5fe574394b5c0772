"""SQLite under everything the NAS knows: in memory, or in a file that survives a killed process.

All access is synchronous on the event loop's thread, over one connection, so a handler that does not wait is alone
with the data. A transaction opens by itself with the first change and is ended by whoever runs the call
(`Store.transaction`).
"""

import fcntl
import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from fake_truenas import memory

FORMAT = 2
"""Raise it when what the rows mean changes. When tables change, the schema's version changes by itself."""

# A query for a hundred of a million datasets reads some hundred pages from all over the file: those from the mapped
# part are not copied. Both bound the memory, which the mapped part counts towards although the kernel may take it back.
_CACHE_KIB = 64 << 10
_MAPPED_BYTES = 1 << 30
_CHECKED = {"foreign_keys": 1}

Row = sqlite3.Row
"""A result row: by position or by column name."""


@cache
def schema_version(script: str) -> int:
    """The number that a database with these tables carries: it changes with any statement, and with FORMAT.

    Gives 2 to 2^31 - 1, never the 0 of an empty database nor the 1 that early versions wrote for all their schemas.
    """
    digest = hashlib.sha256(f"{FORMAT} {' '.join(script.split())}".encode()).digest()
    return 2 + int.from_bytes(digest[:4]) % ((1 << 31) - 2)


def _making(script: str, version: int) -> str:
    """What makes the tables, in one transaction: a process killed here leaves an empty file, not half a schema."""
    return f"begin immediate; {script} pragma user_version = {version}; commit;"


class StoreError(Exception):
    """The data directory cannot be used; the text says why and what to do."""


class Store:
    """One database: in memory, or `data_dir/nas.sqlite`, locked against a second process.

    Args:
        tables: statements that create the tables, run when the database is new.
        data_dir: directory, made when it does not exist.

    Raises:
        StoreError: another process uses the directory, or its data was written by another version.

    Attributes:
        committed: called right after each commit, for who watches what changes.
    """

    def __init__(self, tables: Iterable[str], data_dir: Path | None = None) -> None:
        script = "\n".join(statement.rstrip().rstrip(";") + ";" for statement in tables)
        version = schema_version(script)
        self._in_memory = _making(script, version) if data_dir is None else None
        self._lock = None if data_dir is None else _lock(data_dir)
        self.committed: Callable[[], None] | None = None
        if self._in_memory is not None:
            self._use(memory.open_database(self._in_memory, _CHECKED))
            return
        assert data_dir is not None  # noqa: S101 - it is one or the other
        path = str(_own_file(data_dir / "nas.sqlite"))
        self._use(sqlite3.connect(path, isolation_level="IMMEDIATE", cached_statements=1024))
        try:
            self._prepare(script, version, path)
        except BaseException:
            self.close()
            raise

    def _use(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        self.connection = connection
        self._execute = connection.execute

    def _prepare(self, script: str, needed: int, path: str) -> None:
        for name, value in _CHECKED.items():
            self.connection.execute(f"pragma {name} = {value}")
        self.connection.execute("pragma journal_mode = wal")
        self.connection.execute("pragma synchronous = normal")
        self.connection.execute(f"pragma cache_size = -{_CACHE_KIB}")
        self.connection.execute(f"pragma mmap_size = {_MAPPED_BYTES}")
        version = self.value("pragma user_version")
        if version == 0:
            self.connection.executescript(_making(script, needed))
        elif version != needed:
            raise StoreError(
                f"{path} has schema version {version}, this program needs {needed}: "
                "use another --data-dir, or the program version that wrote it"
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block changed, or roll it back if it raises; no await in it, no nesting."""
        try:
            yield
        except BaseException:
            self.rollback()
            raise
        self.commit()

    def commit(self) -> None:
        """Make the changes of the open transaction last; nothing to do without one."""
        if self.connection.in_transaction:
            self.connection.commit()
            if self.committed is not None:
                self.committed()

    def rollback(self) -> None:
        """Undo the open transaction, if any."""
        if self.connection.in_transaction:
            self.connection.rollback()

    def rows(self, sql: str, args: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        return self._execute(sql, args).fetchall()

    def one(self, sql: str, args: Sequence[Any] = ()) -> Row | None:
        """The first row of a query, or None."""
        row: Row | None = self._execute(sql, args).fetchone()
        return row

    def value(self, sql: str, args: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or None without a row."""
        row = self._execute(sql, args).fetchone()
        return None if row is None else row[0]

    def run(self, sql: str, args: Sequence[Any] = ()) -> int:
        """Run a change; gives the number of rows it touched."""
        return self._execute(sql, args).rowcount

    def insert(self, sql: str, args: Sequence[Any] = ()) -> int:
        """Run an insert; gives the new row's id."""
        row_id = self._execute(sql, args).lastrowid
        assert row_id is not None  # noqa: S101 - always set after an insert
        return row_id

    def run_many(self, sql: str, args: Iterable[Sequence[Any]]) -> None:
        """Run one change for each tuple of arguments."""
        self.connection.executemany(sql, args)

    def close(self) -> None:
        """Close the database and release the directory; an open transaction is lost. May be called twice."""
        if self._in_memory is None:
            self.connection.close()
        elif self.connection is not memory.closed():
            memory.give_back(self.connection, self._in_memory)
            self._use(memory.closed())
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _lock(data_dir: Path) -> Any:
    """Lock the directory for this process; the kernel frees it when the process ends, however it ends."""
    data_dir.mkdir(parents=True, exist_ok=True)
    file = _own_file(data_dir / "lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise StoreError(
            f"{data_dir} is in use by another fake_truenas process: stop it or use another --data-dir"
        ) from None
    return file


def _own_file(path: Path) -> Path:
    """A file that only its owner may read, for it will have secrets in it (CHAP, DH-CHAP); one that exists stays."""
    path.touch(mode=0o600)
    return path
