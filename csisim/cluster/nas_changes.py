"""What calls really change in an embedded NAS: triggers on its tables, read after each commit.

So a recursive destroy tells everything that went, a promote which snapshots moved, a deferred destroy when it happens,
and a call that was rolled back, rehearsed or changed nothing tells nothing. The log is a temporary table: it lives with
the connection, outside of the data, and takes part in its transactions.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from csisim.cluster.inventory import SHARING
from fake_truenas.store import Store

How = Literal["created", "destroyed", "moved", "changed"]

_SIZES: Final = ("volsize", "refquota", "refreservation", "quota", "reservation", "local", "type")
_LOG: Final = """
create temp table if not exists seen (
  seq integer primary key, kind text, how text, name text, more text
)
"""
_NEWS: Final = "select seq, kind, how, name, more from temp.seen where seq > ? order by seq"
_MOST_KEPT: Final = 1000
_DATASET: Final = "(select name from main.dataset where pk = {})"
_SNAPSHOT: Final = "(select name from main.snapshot where pk = {})"
# A property that is set to what it is already changes nothing; one that was inherited is the parent's.
_NEW_PROPERTY: Final = (
    "(new.source = new.dataset or exists (select 1 from main.dataset_property"
    " where dataset = new.dataset and key = new.key and source = dataset))"
    " and not exists (select 1 from main.dataset_property"
    " where dataset = new.dataset and key = new.key and value = new.value and source = new.source)"
)
_NEW_OWN_PROPERTY: Final = (
    "not exists (select 1 from main.snapshot_property"
    " where snapshot = new.snapshot and key = new.key and value = new.value)"
)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a committed transaction did.

    Attributes:
        kind: as in `csisim.cluster.inventory`: dataset, snapshot, nfs share ...
        how: created, destroyed, moved (it has another name now) or changed.
        name: which one, by its name before.
        more: the new name, or the part that was changed: a property, a size; "" for a creation that tells no more.
    """

    kind: str
    how: How
    name: str
    more: str = ""

    @property
    def object(self) -> str:
        """`dataset tank/csi/pvc-1`."""
        return f"{self.kind} {self.name}"


class ChangeLog:
    """The changes of one store, in the order in which they were made.

    Args:
        db: the store; it is watched from now on, also by the NAS that goes on with it after a crash.
        tell: gets the changes of each transaction right after its commit.
    """

    def __init__(self, db: Store, tell: Callable[[list[Change]], None]) -> None:
        self._db = db
        self._tell = tell
        self._told = 0  # the number of the last row that was told
        db.connection.execute(_LOG)
        there = {title for (title,) in db.connection.execute("select name from temp.sqlite_master")}
        for title, statement in _triggers().items():
            if title not in there:  # a database that was used before has them all
                db.connection.execute(statement)
        db.connection.execute("delete from temp.seen")  # what was made before is not news, nor what others watched
        db.connection.commit()
        db.committed = self._committed

    def _committed(self) -> None:
        connection = self._db.connection
        rows = connection.execute(_NEWS, (self._told,)).fetchall()
        if not rows:
            return
        self._told = rows[-1]["seq"]
        if self._told > _MOST_KEPT:  # not each time: that would double the number of commits
            connection.execute("delete from temp.seen")
            connection.commit()
            self._told = 0
        self._tell([Change(kind, how, name, more) for _, kind, how, name, more in rows])


@cache
def _triggers() -> Mapping[str, str]:
    """The statements that make them, by their names."""
    return dict(_each_trigger())


def _each_trigger() -> Iterator[tuple[str, str]]:
    yield from _named("dataset", "dataset", "name")
    yield from _named("snapshot", "snapshot", "name")
    for kind, _, column in SHARING:
        yield from _named(kind, _TABLES[kind], column)
        if column != "id":
            same = f'new.doc is not old.doc and new."{column}" is old."{column}"'
            yield _trigger(_TABLES[kind], "after update of doc", same, kind, "changed", f'new."{column}"', "'fields'")
    for size in _SIZES:
        changed = f"new.{size} is not old.{size}"
        yield _trigger("dataset", f"after update of {size}", changed, "dataset", "changed", "new.name", f"'{size}'")
    deferred = "new.deferred is not old.deferred"
    yield _trigger("snapshot", "after update of deferred", deferred, "snapshot", "changed", "new.name", "'deferred'")
    yield from _properties()
    yield from _origins()


def _named(kind: str, table: str, column: str) -> Iterator[tuple[str, str]]:
    """Creation, destruction and renaming of the rows of a table."""
    new, old = f'new."{column}"', f'old."{column}"'
    yield _trigger(table, "after insert", "1", kind, "created", new, "''")
    yield _trigger(table, "after delete", "1", kind, "destroyed", old, "''")
    if column != "id":
        yield _trigger(table, f'after update of "{column}"', f"{new} is not {old}", kind, "moved", old, new)


def _properties() -> Iterator[tuple[str, str]]:
    of_new, of_old = _DATASET.format("new.dataset"), _DATASET.format("old.dataset")
    yield _trigger("dataset_property", "before insert", _NEW_PROPERTY, "dataset", "changed", of_new, "new.key")
    own = f"old.source = old.dataset and {of_old} is not null"  # it may be gone with its dataset
    yield _trigger("dataset_property", "after delete", own, "dataset", "changed", of_old, "old.key")
    of_new, of_old = _SNAPSHOT.format("new.snapshot"), _SNAPSHOT.format("old.snapshot")
    yield _trigger("snapshot_property", "before insert", _NEW_OWN_PROPERTY, "snapshot", "changed", of_new, "new.key")
    yield _trigger(
        "snapshot_property", "after delete", f"{of_old} is not null", "snapshot", "changed", of_old, "old.key"
    )


def _origins() -> Iterator[tuple[str, str]]:
    """A dataset's origin, and with it the clones of a snapshot."""
    event, differs = "after update of origin", "new.origin is not old.origin"
    yield _trigger("dataset", event, differs, "dataset", "changed", "new.name", "'origin'")
    for number, (when, condition, pk) in enumerate((
        ("after insert", "new.origin is not null", "new.origin"),
        ("after delete", "old.origin is not null", "old.origin"),
        (event, f"{differs} and new.origin is not null", "new.origin"),
        (event, f"{differs} and old.origin is not null", "old.origin"),
    )):  # fmt: skip
        name = _SNAPSHOT.format(pk)
        there = f"{condition} and {name} is not null"
        yield _trigger("dataset", when, there, "snapshot", "changed", name, "'clones'", f"clones {number}")


def _trigger(
    table: str, event: str, when: str, kind: str, how: How, name: str, more: str, called: str = ""
) -> tuple[str, str]:
    title = called or f"{table} {event.replace(chr(34), '')} {how}"
    return title, (
        f'create temp trigger "{title}" {event} on main.{table} when {when}'  # noqa: S608 - constants
        f" begin insert into seen (kind, how, name, more) values ('{kind}', '{how}', {name}, {more}); end"
    )


_TABLES: Final = {
    "nfs share": "nfs_share",
    "iscsi target": "iscsi_target",
    "iscsi extent": "iscsi_extent",
    "iscsi target-extent": "iscsi_target_extent",
    "nvmet subsystem": "nvmet_subsys",
    "nvmet namespace": "nvmet_namespace",
    "nvmet port-subsystem": "nvmet_port_subsys",
}
