"""Space and inheritance in the store: what a change of one dataset does to those above and below it.

Usage is kept up to date along the ancestors at every change; nothing is ever recomputed by a scan.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from fake_truenas import zfs
from fake_truenas.store import Row, Store

_USAGE = ("referenced", "head", "uniq", "snaps", "child", "quota", "refquota", "reservation", "refreservation")
_REPLACE = (
    "insert into dataset_property (dataset, key, value, source) values (?, ?, ?, ?)"
    " on conflict do update set value = excluded.value, source = excluded.source"
)


def find(db: Store, name: str) -> Row | None:
    """A dataset's row by its name."""
    return db.one("select * from dataset where name = ?", (name,))


def by_pk(db: Store, pk: int) -> Row:
    """A dataset's row by its row id.

    Raises:
        LookupError: there is none.
    """
    row = db.one("select * from dataset where pk = ?", (pk,))
    if row is None:
        raise LookupError(f"no dataset with row id {pk}")
    return row


def chain(db: Store, row: Row) -> list[Row]:
    """The datasets from the pool's root down to this one."""
    rows = [row]
    while rows[-1]["parent"] is not None:
        rows.append(by_pk(db, rows[-1]["parent"]))
    rows.reverse()
    return rows


def is_readonly(db: Store, row: Row) -> bool:
    """Whether the property `readonly` in force at a dataset is on."""
    setting = next((one["local"] for one in reversed(chain(db, row)) if '"readonly"' in one["local"]), "{}")
    return bool(orjson.loads(setting).get("readonly") == "on")


def usable_bytes(db: Store, pool_id: int) -> int:
    """What a pool offers to datasets altogether."""
    return zfs.usable_bytes(int(db.value("select size_bytes from pool where id = ?", (pool_id,))))


def descendants_range(name: str) -> tuple[str, str]:
    """Bounds of the names below a dataset: above the first, below the second ("0" follows "/")."""
    return name + "/", name + "0"


def change(db: Store, pk: int, *, checked: bool = True, **deltas: int) -> None:
    """`change_all` with the deltas as keywords, for example `referenced=4096, head=4096, uniq=4096`."""
    change_all(db, pk, deltas, checked=checked)


def change_all(db: Store, pk: int, deltas: Mapping[str, int], *, checked: bool = True) -> None:
    """Add to byte columns of a dataset (see `tables`) and charge the difference to its ancestors.

    Args:
        db: the store.
        pk: row id of the dataset.
        deltas: bytes to add per column.
        checked: False lets usage grow beyond what is available, for changes that ZFS does not refuse.

    Raises:
        OutOfSpaceError: the pool, a quota or the refquota has too little left; nothing was changed.
    """
    rows = chain(db, by_pk(db, pk))
    old = rows[-1]
    new: dict[str, Any] = {key: old[key] for key in _USAGE}
    for column, delta in deltas.items():
        new[column] = max(0, new[column] + delta)
    growth = zfs.charged_bytes(new) - zfs.charged_bytes(old)
    if checked:
        _check(db, rows, old, new, growth)
    columns = list(deltas)
    assignments = ", ".join(f"{column} = ?" for column in columns)
    db.run(f"update dataset set {assignments} where pk = ?", (*(new[column] for column in columns), pk))  # noqa: S608 - column names are ours
    _charge(db, rows[:-1], growth)
    allocate(db, old["pool"], new["head"] - old["head"] + new["snaps"] - old["snaps"])


def allocate(db: Store, pool_id: int, delta_bytes: int) -> None:
    """Count blocks that the pool has allocated, or freed."""
    if delta_bytes:
        db.run("update pool set allocated = max(0, allocated + ?) where id = ?", (delta_bytes, pool_id))


def _check(db: Store, rows: Sequence[Row], old: Row, new: dict[str, Any], growth: int) -> None:
    if new["refquota"] and new["referenced"] > max(new["refquota"], old["referenced"]):
        raise zfs.OutOfSpaceError(f"{old['name']}: refquota of {new['refquota']} bytes exceeded")
    if new["quota"] and zfs.used_bytes(new) > max(new["quota"], zfs.used_bytes(old)):
        raise zfs.OutOfSpaceError(f"{old['name']}: quota of {new['quota']} bytes exceeded")
    if growth <= 0:
        return
    usable = usable_bytes(db, old["pool"])
    left = zfs.tree_available_bytes(rows[:-1], usable) if len(rows) > 1 else usable - zfs.used_bytes(old)
    if growth > left:
        raise zfs.OutOfSpaceError(f"{old['name']}: {growth} bytes needed, {left} available")


def _charge(db: Store, ancestors: Sequence[Row], growth: int) -> None:
    for row in reversed(ancestors):
        if growth == 0:
            return
        before = zfs.charged_bytes(row)
        after = {key: row[key] for key in _USAGE}
        after["child"] += growth
        db.run("update dataset set child = ? where pk = ?", (after["child"], row["pk"]))
        growth = zfs.charged_bytes(after) - before


def move_charge(db: Store, amount: int, parent_pk: int | None) -> None:
    """Charge a dataset that appears below `parent_pk`, or release (negative) one that disappears."""
    if parent_pk is not None and amount:
        _charge(db, chain(db, by_pk(db, parent_pk)), amount)


def move(db: Store, row: Row, parent: Row) -> None:
    """Put a dataset with all below it under another parent of its pool; names stay as they are.

    Raises:
        OutOfSpaceError: between the new parent and what both places are below, there is too little for it.
    """
    charged = zfs.charged_bytes(row)
    move_charge(db, -charged, row["parent"])
    old_line = {above["pk"] for above in chain(db, by_pk(db, row["parent"]))}
    rows = chain(db, by_pk(db, parent["pk"]))
    common = max(index for index, above in enumerate(rows) if above["pk"] in old_line)
    left = zfs.tree_available_bytes(rows[common:], usable_bytes(db, row["pool"]) if common == 0 else 1 << 62)
    if charged > left:
        raise zfs.OutOfSpaceError(f"{row['name']}: {charged} bytes needed, {left} available")
    db.run("update dataset set parent = ? where pk = ?", (parent["pk"], row["pk"]))
    move_charge(db, charged, parent["pk"])


def inherit_all(db: Store, pk: int, parent_pk: int) -> None:
    """Give a new dataset the user properties in force at its parent."""
    db.run(
        "insert into dataset_property (dataset, key, value, source)"
        " select ?, key, value, source from dataset_property where dataset = ?",
        (pk, parent_pk),
    )


def set_first_properties(db: Store, pk: int, properties: Mapping[str, str | None]) -> None:
    """Set the user properties of a new dataset, which has nothing below it; None leaves what is inherited."""
    given = [(pk, key, value, pk) for key, value in properties.items() if value is not None]
    if given:
        db.run_many(_REPLACE, given)


def set_property(db: Store, pk: int, name: str, key: str, value: str) -> None:
    """Set a user property here; it is in force below too, down to where it is set again."""
    _replace(db, pk, key, value, pk)
    if has_children(db, pk):
        _replace_below(db, name, key, (value, pk))


def inherit_property(db: Store, pk: int, name: str, key: str) -> bool:
    """Remove a user property set here, so that the parent's is in force again; False if it was not set here."""
    own = db.value("select source from dataset_property where dataset = ? and key = ?", (pk, key))
    if own != pk:
        return False
    above = db.one(
        "select value, source from dataset_property"
        " where dataset = (select parent from dataset where pk = ?) and key = ?",
        (pk, key),
    )
    if above is None:
        db.run("delete from dataset_property where dataset = ? and key = ?", (pk, key))
    else:
        _replace(db, pk, key, above["value"], above["source"])
    if has_children(db, pk):
        _replace_below(db, name, key, None if above is None else (above["value"], above["source"]))
    return True


def reinherit(db: Store, name: str, parent_pk: int) -> None:
    """Renew what a moved tree inherits; `name` is its new root name."""
    bounds = (name, *descendants_range(name))
    db.run(
        "with tree as (select pk from dataset where name = ? or (name > ? and name < ?))"
        " delete from dataset_property where dataset in (select pk from tree) and source not in (select pk from tree)",
        bounds,
    )
    db.run(
        "with tree as (select pk from dataset where name = ? or (name > ? and name < ?))"
        " insert or ignore into dataset_property (dataset, key, value, source)"
        " select tree.pk, above.key, above.value, above.source from tree, dataset_property above"
        " where above.dataset = ?",
        (*bounds, parent_pk),
    )


def _replace(db: Store, pk: int, key: str, value: str, source: int) -> None:
    db.run(_REPLACE, (pk, key, value, source))


def _replace_below(db: Store, name: str, key: str, inherited: tuple[str, int] | None) -> None:
    bounds = descendants_range(name)
    db.run(
        "with below as (select pk from dataset where name > ? and name < ?)"
        " delete from dataset_property where key = ?"
        " and dataset in (select pk from below) and source not in (select pk from below)",
        (*bounds, key),
    )
    if inherited is not None:
        db.run(
            "insert or ignore into dataset_property (dataset, key, value, source)"
            " select pk, ?, ?, ? from dataset where name > ? and name < ?",
            (key, *inherited, *bounds),
        )


def has_children(db: Store, pk: int) -> bool:
    """Whether there is a dataset directly below this one."""
    return db.value("select 1 from dataset where parent = ? limit 1", (pk,)) is not None
