"""What a replication has to send: which snapshots of which dataset go where, and on top of what.

The rules, and the texts of what is refused, are those of the replication engine of TrueNAS 25.10.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fake_truenas import dataset_ops, directories, naming_schema, snapshot_ops, space, zfs
from fake_truenas.context import Ctx
from fake_truenas.errors import CallError
from fake_truenas.patterns import Pattern
from fake_truenas.store import Row

_EMPTY_BYTES = 10 << 20
"""A zvol without matching snapshots that refers to more than this has data."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which snapshots are replicated, by their short names.

    Attributes:
        schemas: naming schemas.
        regex: used instead, where there is one.
    """

    schemas: tuple[str, ...]
    regex: Pattern | None = None

    def matches(self, short: str) -> bool:
        """Whether a snapshot of this short name is one of them."""
        return self.regex.matches(short) if self.regex is not None else self.cut(short) is not None

    def cut(self, short: str) -> datetime | None:
        """When it was cut, as its name says."""
        return next((found for one in self.schemas if (found := naming_schema.parse(one, short)) is not None), None)


@dataclass(frozen=True, slots=True)
class Step:
    """One dataset's part.

    Attributes:
        source: name of the dataset that is read.
        target: name of the one that is written.
        base: short name of the newest snapshot that both have, None without one.
        snapshots: short names of what is to be sent, oldest first.
    """

    source: str
    target: str
    base: str | None
    snapshots: tuple[str, ...]


def target_name(sources: Sequence[str], source: str, target: str) -> str:
    """Where a dataset at or below one of `sources` goes: below `target` as it lies below what they have in common."""
    parts = [one.split("/") for one in sources]
    common = 0
    while all(common < len(one) and one[common] == parts[0][common] for one in parts):
        common += 1
    return "/".join([target, *source.split("/")[common:]])


def make_plan(ctx: Ctx, data: Mapping[str, Any], chosen: Selection) -> list[Step]:
    """Find out what there is to send; with `allow_from_scratch` destroys targets that have nothing in common.

    Raises:
        CallError: a source does not exist, nothing matches, or a target is not what it has to be.
    """
    steps: list[Step] = []
    for top in data["source_datasets"]:
        row = space.find(ctx.db, top)
        if row is None:
            raise CallError(f"cannot open '{top:.300}': dataset does not exist.")
        members = snapshot_ops.members(ctx, row, recursive=data["recursive"], exclude=data["exclude"])
        pairs = [
            (one["name"], target_name(data["source_datasets"], one["name"], data["target_dataset"])) for one in members
        ]
        for _, target in pairs:
            _check_target(ctx, data, target)
        without: list[str] = []
        for source, target in pairs:
            if any(zfs.is_at_or_under(source, one) for one in without):
                continue
            step = _step(ctx, data, chosen, (source, target), is_top=source == top)
            if step is None:
                without.append(source)
            else:
                steps.append(step)
    return steps


def _check_target(ctx: Ctx, data: Mapping[str, Any], name: str) -> None:
    row = space.find(ctx.db, name)
    if row is None:
        return
    if data["only_from_scratch"]:
        raise CallError(f"Target dataset {name!r} already exists.")
    if data["readonly"] == "REQUIRE" and not space.is_readonly(ctx.db, row):
        text = "but replication task is set up to require this property. Refusing to replicate."
        hint = f' Please run "zfs set readonly=on {name}" on the target system to fix this.'
        raise CallError(
            f"Target dataset {name!r} exists and does not have readonly=on property, {text}"
            f"{hint if row['type'] == 'VOLUME' else ''}"
        )


def _step(ctx: Ctx, data: Mapping[str, Any], chosen: Selection, names: tuple[str, str], *, is_top: bool) -> Step | None:
    """What to send of one dataset; None if it has no snapshot at all."""
    source, target = names
    own = _snapshots(ctx, source)
    there = _snapshots(ctx, target)
    matching = [short for short in own if chosen.matches(short)]
    wanted = list(own)[: list(own).index(matching[-1]) + 1] if matching and data["replicate"] else matching
    common = [short for short in wanted if short in there]
    base = common[-1] if common else None
    missing = wanted[wanted.index(base) + 1 :] if base is not None else wanted
    if base is None and missing:
        _prepare(ctx, data, source, target, has_snapshots=bool(there), is_top=is_top)
    if not missing and base is None and is_top:
        raise CallError(f"Dataset {source!r} does not have any matching snapshots to replicate.")
    return Step(source, target, base, tuple(missing)) if own else None


def _snapshots(ctx: Ctx, dataset: str) -> dict[str, Row]:
    rows = ctx.db.rows("select * from snapshot where dataset_name = ? order by createtxg, pk", (dataset,))
    return {row["short"]: row for row in rows}


def _prepare(ctx: Ctx, data: Mapping[str, Any], source: str, target: str, *, has_snapshots: bool, is_top: bool) -> None:
    """Make sure that a full stream may go to the target."""
    row = space.find(ctx.db, target)
    if row is None:
        return
    if has_snapshots:
        if not data["allow_from_scratch"]:
            text = "replication from scratch is not allowed."
            raise CallError(f"No incremental base on dataset {source!r} and {text}")
        dataset_ops.destroy(ctx, row, recursive=True)
    elif is_top and not data["allow_from_scratch"]:
        _refuse_data(ctx, data, row)


def _refuse_data(ctx: Ctx, data: Mapping[str, Any], row: Row) -> None:
    text = "and replication from scratch is not allowed. Refusing to overwrite existing data."
    has = f"Target dataset {row['name']!r} does not have matching snapshots but has data"
    if row["type"] == "VOLUME":
        if row["referenced"] > _EMPTY_BYTES:
            raise CallError(f"{has} ({row['referenced']} bytes used) {text}")
        return
    root = directories.at(ctx, row, "")
    assert root is not None  # noqa: S101 - every file system has one
    # With `recursive` the datasets below will be received too: that they exist is no data.
    found = [one for one in directories.children(ctx, root) if not (data["recursive"] and one.is_mountpoint)]
    if found:
        raise CallError(f"{has} (e.g. {found[0].path.rpartition('/')[2]!r}) {text}")
