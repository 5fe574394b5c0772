"""Answers that take long to make, in steps: the other calls have their turn in between.

A `def` handler may return `Steps` instead of an answer. They only read. Each yield is a pause, and hands over the part
of the answer, a list, that is ready; the last part is returned. An answer that is no list is returned whole, after
pauses with empty parts. A usual answer is there before the first pause: within the call's transaction and its turn of
the loop.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from types import GeneratorType
from typing import Any

from fake_truenas.store import Row, Store

Steps = Generator[list[Any], None, Any]

CHUNK = 256
"""How many rows are read, and entries built, between two pauses."""
AT_ONCE = 2
"""How many chunks there are before the first pause."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An answer that needs more than one turn: its first part, and the steps to go."""

    part: list[Any]
    steps: Steps

    def complete(self) -> Any:
        """The answer, made without a pause."""
        parts = list(self.part)
        while True:
            try:
                parts += next(self.steps)
            except StopIteration as end:
                return [*parts, *end.value] if parts else end.value


def begin(answer: Any) -> Any:
    """What a handler answers: the result if it is there before the first pause, else it is `Unfinished`."""
    if type(answer) is not GeneratorType:
        return answer
    try:
        return Unfinished(next(answer), answer)
    except StopIteration as end:
        return end.value


def complete(answer: Any) -> Any:
    """The result, made without a pause where it comes in steps."""
    answer = begin(answer)
    return answer.complete() if isinstance(answer, Unfinished) else answer


def through(steps: Steps, change: Callable[[list[Any]], list[Any]]) -> Steps:
    """The same steps with each part changed, the last one too."""
    while True:
        try:
            part = next(steps)
        except StopIteration as end:
            return change(end.value)
        yield change(part)


class Reader:
    """Reads the rows of a query chunk by chunk, with pauses in between.

    Rows come as they are when they are read. Which ones come, and in which order, is settled before the first pause: in
    one statement, which reads their keys. Rows whose key has gone since are left out.

    Args:
        db: the store.
        select: what follows `select`.
        table: what follows `from`.
        where: a where clause, or an empty string.
        args: its arguments.
        order: what follows `order by`; leaves no two rows equal.
        key: the column that tells rows apart.
        limit: how many to read at most; 0 reads all.
        offset: how many to leave out first.
    """

    __slots__ = ("_args", "_cursor", "_db", "_keys", "_left", "_listing", "_read", "_reading")

    def __init__(
        self, db: Store, select: str, table: str, where: str, args: Sequence[Any], *, order: str, key: str,
        limit: int = 0, offset: int = 0,
    ) -> None:  # fmt: skip
        self._db, self._args = db, args
        self._left, self._read = limit or -1, offset
        self._keys: list[Any] | None = None
        # Statements of table and column names that are ours.
        self._listing = f"select {key} from {table}{where} order by {order}"  # noqa: S608
        self._reading = f"select {select} from {table} where {key} in (%s) order by {order}"  # noqa: S608
        window = f" limit {self._left} offset {offset}" if limit or offset else ""
        self._cursor = db.connection.execute(f"select {select} from {table}{where} order by {order}{window}", args)  # noqa: S608

    def read(self) -> list[Row]:
        """The next rows, at most `CHUNK`; none at the end."""
        if self._keys is None:
            rows = self._cursor.fetchmany(CHUNK)
            self._read += len(rows)
            if self._left > 0:
                self._left -= len(rows)
            if len(rows) < CHUNK:
                self._keys = []
            return rows
        while self._keys:
            keys = self._keys[: -CHUNK - 1 : -1]
            del self._keys[-CHUNK:]
            rows = self._db.rows(self._reading % ",".join("?" * len(keys)), keys)
            if rows:
                return rows
        return []

    def settle(self) -> bool:
        """Before a pause: list what is left to read. Says whether anything is."""
        if self._keys is None:
            self._cursor.close()  # none is open while others change the tables
            listing = self._db.connection.cursor()
            listing.row_factory = None
            listing.execute(f"{self._listing} limit {self._left} offset {self._read}", self._args)
            self._keys = [key for (key,) in listing]
            self._keys.reverse()  # taken from the end
        return bool(self._keys)
