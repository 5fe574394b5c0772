"""What snapshots, clones and rollbacks do to the store. Everything runs inside the caller's transaction."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import orjson

from fake_truenas import dataset_ops, pools, space, zfs
from fake_truenas.context import Ctx
from fake_truenas.dataset_ops import EBUSY, EEXIST, NewDataset
from fake_truenas.errors import CallError, Unexpected, invalid
from fake_truenas.properties import BY_ZFS_NAME, SIZE_COLUMNS, parse_size
from fake_truenas.store import Row

_IGNORED_ON_CLONE = ("mountpoint", "canmount")


def find(ctx: Ctx, name: str) -> Row | None:
    """A snapshot's row by its full name."""
    return ctx.db.one("select * from snapshot where name = ?", (name,))


def family(ctx: Ctx, row: Row, *, recursive: bool) -> list[Row]:
    """The snapshot, with `recursive` also those of the same short name below its dataset."""
    if not recursive:
        return [row]
    below = ctx.db.rows(
        "select * from snapshot where short = ? and dataset_name > ? and dataset_name < ? order by name",
        (row["short"], *space.descendants_range(row["dataset_name"])),
    )
    return [row, *below]


def clones(ctx: Ctx, row: Row) -> list[str]:
    """Names of the datasets that are clones of a snapshot."""
    return [one["name"] for one in ctx.db.rows("select name from dataset where origin = ? order by name", (row["pk"],))]


def holds(ctx: Ctx, row: Row) -> list[str]:
    """The tags that hold a snapshot."""
    return [
        one["tag"] for one in ctx.db.rows("select tag from snapshot_hold where snapshot = ? order by tag", (row["pk"],))
    ]


def members(ctx: Ctx, row: Row, *, recursive: bool, exclude: Sequence[str] = ()) -> list[Row]:
    """The datasets that a snapshot of `row` covers; the excluded take what is below them out too."""
    if not recursive:
        return [row]
    below = ctx.db.rows(
        "select * from dataset where name > ? and name < ? order by name", space.descendants_range(row["name"])
    )
    names = set(exclude)
    patterns = [pattern for pattern in exclude if "*" in pattern]
    return [row, *(one for one in below if not _is_excluded(one["name"], row["name"], names, patterns))]


def _is_excluded(name: str, top: str, names: set[str], patterns: Sequence[str]) -> bool:
    path = name
    while path != top:
        if path in names:
            return True
        path = zfs.parent_name(path)
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def create(ctx: Ctx, datasets: Sequence[Row], short: str, properties: Mapping[str, str]) -> None:
    """Cut a snapshot of each dataset, all in one transaction group.

    Raises:
        CallError: EEXIST, or a thick zvol's reservation leaves too little space for it; nothing is cut then.
    """
    db = ctx.db
    txg = pools.next_txg(db, datasets[0]["pool"])
    for row in datasets:
        name = f"{row['name']}@{short}"
        failed = f"Failed to snapshot {name}: cannot create snapshot '{name}'"
        if find(ctx, name) is not None:
            raise CallError(f"{failed}: dataset already exists", EEXIST)
        if len(name) > zfs.MAX_NAME:
            raise CallError(f"{failed}: name is too long")
        pk = db.insert(
            "insert into snapshot (name, dataset, dataset_name, short, pool_name, guid, createtxg, created_at,"
            " referenced, written, volsize, volblocksize) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                name, row["pk"], row["name"], short, row["pool_name"], str(ctx.rng.getrandbits(63)), txg,
                int(ctx.now()),
                row["referenced"], row["uniq"], row["volsize"], row["volblocksize"],
            ),
        )  # fmt: skip
        db.run_many(
            "insert into snapshot_property (snapshot, key, value) values (?, ?, ?)",
            [(pk, key, value) for key, value in properties.items()],
        )
        if row["uniq"]:
            try:
                space.change(db, row["pk"], uniq=-row["uniq"])
            except zfs.OutOfSpaceError:
                raise CallError(f"{failed}: out of space") from None
        for hook in ctx.nas.hooks:
            hook.snapshot_created(ctx, row["pk"], pk, txg)


def delete(ctx: Ctx, snapshot: Row, *, defer: bool) -> None:
    """Destroy a snapshot, or mark it so that it goes with its last clone and hold.

    Raises:
        ValidationErrors: it has clones, and `defer` is off.
        CallError: EBUSY, it is held, and `defer` is off.
    """
    pk, name = snapshot["pk"], snapshot["name"]
    dependents, held = clones(ctx, snapshot), bool(holds(ctx, snapshot))
    if not dependents and not held:
        dataset_ops.remove_snapshot(ctx, snapshot)
    elif defer:
        ctx.db.run("update snapshot set deferred = 1 where pk = ?", (pk,))
    elif dependents:
        text = f"Please set this attribute as '{name}' snapshot has dependent clones: {', '.join(dependents)}"
        raise invalid("options.defer", text)
    else:
        raise CallError(f"Failed to delete snapshot: cannot destroy snapshot {name}: dataset is busy", EBUSY)


def hold(ctx: Ctx, rows: Sequence[Row], tag: str) -> None:
    """Hold snapshots: none of them can be destroyed until the tag is released.

    Raises:
        CallError: one of them has this tag already (EFAULT; from 26.0 on EINVAL with the text of libzfs_core).
    """
    for row in rows:
        if tag in holds(ctx, row):
            if ctx.nas.persona.at_least("26.0"):
                raise Unexpected(OSError("('lzc_hold() failed', (('File exists', 17),))"))
            text = f"cannot hold snapshot '{row['name']}': tag already exists on this dataset"
            raise CallError(f"Failed to hold snapshot: {text}")
        ctx.db.run(
            "insert into snapshot_hold (snapshot, tag, held_at) values (?, ?, ?)", (row["pk"], tag, int(ctx.now()))
        )


def release(ctx: Ctx, rows: Sequence[Row], tags: Sequence[str]) -> None:
    """Take tags off snapshots, where they are; a deferred one without clones and holds disappears then."""
    for row in rows:
        ctx.db.run_many("delete from snapshot_hold where snapshot = ? and tag = ?", [(row["pk"], tag) for tag in tags])
        if row["deferred"]:
            dataset_ops.release_deferred(ctx, row)


def rename(ctx: Ctx, rows: Sequence[Row], short: str) -> None:
    """Give snapshots another short name.

    Raises:
        CallError: one of the names is taken, or too long.
    """
    for row in rows:
        target = f"{row['dataset_name']}@{short}"
        failed = f"Failed to rename snapshot: cannot rename to '{target}'"
        if find(ctx, target) is not None:
            raise CallError(f"{failed}: dataset already exists")
        if len(target) > zfs.MAX_NAME:
            raise CallError(f"{failed}: dataset name is too long")
        ctx.db.run("update snapshot set name = ?, short = ? where pk = ?", (target, short, row["pk"]))


def clone(ctx: Ctx, snapshot: Row, name: str, properties: Mapping[str, str]) -> None:
    """Make a dataset that starts with a snapshot's content; it inherits from its own parent only.

    Raises:
        CallError: the name is taken or not valid, its parent is missing, a property is not valid, or the space does
        not suffice.
    """
    failed = "Failed to clone snapshot: "
    problem = "missing dataset delimiter in name" if "/" not in name else zfs.name_problem(name)
    if problem:
        raise CallError(f"{failed}cannot create '{name:.300}': {problem}")
    if space.find(ctx.db, name) is not None:
        raise CallError(f"{failed}cannot create '{name}': dataset already exists")
    parent = space.find(ctx.db, zfs.parent_name(name))
    if parent is None or parent["type"] == "VOLUME":
        raise CallError(f"{failed}cannot create '{name}': parent does not exist")
    if parent["pool_name"] != snapshot["pool_name"]:
        raise CallError(f"{failed}cannot create '{name}': source and target pools differ")
    if snapshot["deferred"]:
        raise CallError(f"{failed}cannot create '{name}': snapshot '{snapshot['name']}' is marked for destruction")
    new = _new_clone(ctx, snapshot, name, properties)
    try:
        pk = dataset_ops.insert(ctx, new, parent, pools.next_txg(ctx.db, parent["pool"]))
    except zfs.OutOfSpaceError:
        raise CallError(f"{failed}cannot create '{name}': out of space") from None
    for hook in ctx.nas.hooks:
        hook.cloned(ctx, snapshot["pk"], pk)


def _new_clone(ctx: Ctx, snapshot: Row, name: str, properties: Mapping[str, str]) -> NewDataset:
    source = space.by_pk(ctx.db, snapshot["dataset"])
    fixed = orjson.loads(source["local"]).get("casesensitivity")
    local: dict[str, str] = {"casesensitivity": fixed} if fixed else {}
    sizes: dict[str, int] = {}
    user: dict[str, str | None] = {}
    for key, value in properties.items():
        if ":" in key:
            user[key] = value
        elif key in SIZE_COLUMNS and not (source["type"] == "VOLUME" and key in {"quota", "refquota"}):
            sizes[key] = _size(key, value)
        elif key in BY_ZFS_NAME:
            if not (BY_ZFS_NAME[key].volume if source["type"] == "VOLUME" else BY_ZFS_NAME[key].filesystem):
                raise CallError(f"Failed to clone snapshot: '{key}' does not apply to datasets of this type")
            local[key] = _setting(key, value)
        elif key not in _IGNORED_ON_CLONE:
            raise CallError(f"Failed to clone snapshot: invalid property '{key:.100}'")
    return NewDataset(
        name=name,
        type=source["type"],
        volsize_bytes=snapshot["volsize"],
        volblocksize_bytes=snapshot["volblocksize"],
        sizes=sizes,
        local=local,
        user_properties=user,
        origin=snapshot["pk"],
        referenced_bytes=snapshot["referenced"],
    )


def _size(key: str, text: str) -> int:
    try:
        size = 0 if text == "none" else parse_size(text)
        if size < 1 << 63:
            return size
        raise ValueError(text)
    except ValueError:
        raise CallError(f"Failed to clone snapshot: bad numeric value '{text:.100}' for '{key}'") from None


def _setting(key: str, text: str) -> str:
    setting = BY_ZFS_NAME[key]
    if setting.kind in {"size", "int"}:
        raw = str(_size(key, text))
        if setting.accepts(raw):
            return raw
        raise CallError(f"Failed to clone snapshot: invalid value '{text:.100}' for '{key}'")
    if text.upper() not in setting.choices:
        raise CallError(
            f"Failed to clone snapshot: '{key}' must be one of '{' | '.join(setting.choices).lower():.200}'"
        )
    return text.lower()


def rollback(ctx: Ctx, snapshot: Row, *, recursive: bool, recursive_clones: bool) -> None:
    """Give a dataset the content of one of its snapshots again; newer snapshots must go first.

    Raises:
        CallError: newer snapshots exist and `recursive` is off, or they have clones and `recursive_clones` is off.
    """
    db, dataset = ctx.db, snapshot["dataset"]
    newer = db.rows(
        "select * from snapshot where dataset = ? and (createtxg, pk) > (?, ?) order by createtxg desc, pk desc",
        (dataset, snapshot["createtxg"], snapshot["pk"]),
    )
    failed = f"Failed to rollback snapshot: cannot rollback to '{snapshot['name']}'"
    if newer and not (recursive or recursive_clones):
        listed = "\n".join(row["name"] for row in newer)
        raise CallError(f"{failed}: more recent snapshots or bookmarks exist\nuse '-r' to force deletion of:\n{listed}")
    for row in newer:
        # Looked up each time: a clone may lie below another one and go with it.
        while dependent := db.one("select * from dataset where origin = ? order by name limit 1", (row["pk"],)):
            if not recursive_clones:
                raise CallError(
                    f"{failed}: clones of previous snapshots exist\nuse '-R' to destroy: {dependent['name']}"
                )
            dataset_ops.destroy(ctx, dependent, recursive=True)
        if find(ctx, row["name"]) is not None:  # a deferred one has gone with its last clone
            delete(ctx, row, defer=False)
    current = space.by_pk(db, dataset)
    if any(hook.busy(ctx, current["name"]) for hook in ctx.nas.hooks):
        raise CallError(f"{failed}: dataset is busy", EBUSY)
    held = snapshot["uniq"]
    space.change(
        db,
        dataset,
        checked=False,
        referenced=snapshot["referenced"] - current["referenced"],
        head=held - current["uniq"],
        uniq=-current["uniq"],
        snaps=-held,
    )
    db.run("update snapshot set uniq = 0 where pk = ?", (snapshot["pk"],))
    db.run("update dataset set volsize = ? where pk = ?", (snapshot["volsize"], dataset))
    for hook in ctx.nas.hooks:
        hook.rolled_back(ctx, dataset, snapshot["pk"])
