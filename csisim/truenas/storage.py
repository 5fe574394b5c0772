"""Typed verbs over the NAS client: datasets, snapshots and clones (TrueNAS API 25.10).

Reads are repeated after indeterminate errors; mutations are sent once, unless a verb says that it looks up what
happened. Every verb may raise NasRefused (definite) or NasIndeterminate (the effect may have happened).
"""

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from csisim.errors import NasRefused
from csisim.truenas.client import NasClient

_NATIVE = [
    "used",
    "available",
    "referenced",
    "refquota",
    "volsize",
    "origin",
    "compression",
    "sync",
    "comments",
    "creation",
]
_DATASET_EXTRA = {"flat": True, "retrieve_children": False, "properties": _NATIVE}
_EXISTS_WORDS = ("already exists", "must be unique", "already exports")
_MISSING_WORDS = ("does not exist", "not found", "no such", "specify a pool which exists")
_PAGE = 500
_SPACE_WORDS = ("out of space", "80%", "80 %", "no space", "insufficient space", "exceeds available", "quota exceeded")


@dataclass(frozen=True, slots=True)
class Dataset:
    """A file system or zvol.

    Attributes:
        id: full name, `pool/…`.
        is_volume: a zvol.
        size_bytes: refquota of a file system (0 for none), volsize of a zvol.
        origin: the snapshot it was cloned from, "" for none.
        user_properties: LOCAL ones only: what is inherited says nothing about this dataset.
        settings: compression, sync and comments as the NAS spells them.
        snapshots: how many it has, where that was asked for, else 0.
    """

    id: str
    is_volume: bool
    size_bytes: int
    used_bytes: int
    referenced_bytes: int
    available_bytes: int
    origin: str
    user_properties: Mapping[str, str]
    settings: Mapping[str, str]
    snapshots: int = 0

    @property
    def component(self) -> str:
        """The last component of the name."""
        return self.id.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot; `id` is `dataset@name`, `user_properties` are the LOCAL ones, `created_s` is seconds since 1970."""

    id: str
    dataset: str
    name: str
    created_s: float
    createtxg: int
    volsize_bytes: int
    clones: tuple[str, ...]
    deferred: bool
    held: bool
    user_properties: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool; `status` is ONLINE, DEGRADED, FAULTED, OFFLINE, UNAVAIL or REMOVED; sizes in bytes."""

    name: str
    status: str
    healthy: bool
    size_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class BlockRuns:
    """Runs of bytes of a zvol; `next_offset` is None at the end."""

    volsize_bytes: int
    runs: tuple[tuple[int, int], ...]
    next_offset: int | None


def is_missing(error: NasRefused) -> bool:
    """Whether the NAS says that the very object is not there: a delete may call that done."""
    return error.errno == errno.ENOENT


def lacks_base(error: NasRefused) -> bool:
    """Whether a create or clone was refused because what it stands on (parent, dataset, snapshot) is not there.

    ZFS tells that by text alone, under an errno that says nothing.
    """
    return is_missing(error) or (error.errno in (errno.EFAULT, errno.EINVAL) and error.mentions(*_MISSING_WORDS))


def is_existing(error: NasRefused) -> bool:
    """Whether the NAS refused because the name is taken. Which error that is differs by object and version."""
    return error.errno == errno.EEXIST or error.mentions(*_EXISTS_WORDS)


def is_out_of_space(error: NasRefused) -> bool:
    """Whether the NAS refused for lack of space or quota."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT) or error.mentions(*_SPACE_WORDS)


def is_busy(error: NasRefused) -> bool:
    """Whether the object is in use at the moment."""
    return error.errno == errno.EBUSY or error.mentions("is busy")


class Storage:
    """The storage verbs of one NAS."""

    def __init__(self, nas: NasClient) -> None:
        self.nas = nas

    async def pool(self, name: str) -> Pool | None:
        """One pool by name."""
        rows = await self.nas.query("pool.query", [["name", "=", name]], {})
        if not rows:
            return None
        row = rows[0]
        return Pool(name, row["status"], bool(row["healthy"]), int(row["size"]), int(row["free"]))

    async def dataset(self, dataset_id: str, *, count_snapshots: bool = False) -> Dataset | None:
        """One dataset by its full name."""
        extra = _DATASET_EXTRA | {"snapshots_count": True} if count_snapshots else _DATASET_EXTRA
        rows = await self.nas.query("pool.dataset.query", [["id", "=", dataset_id]], {"extra": extra})
        return _dataset(rows[0]) if rows else None

    async def datasets_after(self, parent: str, after: str, limit: int) -> list[Dataset]:
        """Datasets below `parent` whose id is greater than `after`, by id, at most `limit` (0 for all)."""
        filters = [*([["id", ">", after]] if after else []), ["id", "^", f"{parent}/"]]
        return [_dataset(row) for row in await self._paged("pool.dataset.query", filters, limit, _DATASET_EXTRA)]

    async def dataset_names(self, parent: str) -> list[str]:
        """Ids of all datasets below `parent`, sorted."""
        extra = {"flat": True, "retrieve_children": False, "properties": [], "retrieve_user_props": False}
        rows = await self._paged("pool.dataset.query", [["id", "^", f"{parent}/"]], 0, extra, select=["id"])
        return [row["id"] for row in rows]

    async def count_with_property(self, parent: str, key: str, value: str) -> int:
        """How many datasets below `parent` have this user property value."""
        filters = [["id", "^", f"{parent}/"], [f"user_properties.{_escaped(key)}.value", "=", value]]
        extra = {"flat": True, "retrieve_children": False, "properties": []}
        count = await self.nas.query("pool.dataset.query", filters, {"count": True, "extra": extra})
        return int(count)

    async def create_dataset(
        self, dataset_id: str, *, volsize_bytes: int = 0, refquota_bytes: int = 0, thin: bool = True,
        user_properties: Mapping[str, str], settings: Mapping[str, str],
    ) -> Dataset:  # fmt: skip
        """Create a zvol (`volsize_bytes`) or a file system; refused where the name is taken (`is_existing`)."""
        data: dict[str, Any] = {"name": dataset_id, "user_properties": _pairs(user_properties), **settings}
        if volsize_bytes:
            data |= {"type": "VOLUME", "volsize": volsize_bytes, "sparse": thin}
        elif refquota_bytes:
            data["refquota"] = refquota_bytes
        return _dataset(await self.nas.call("pool.dataset.create", data))

    async def create_parents(self, dataset_id: str) -> None:
        """Make a plain file system and its missing ancestors; existing is fine."""
        try:
            await self.nas.call("pool.dataset.create", {"name": dataset_id, "create_ancestors": True})
        except NasRefused as error:
            if not is_existing(error):
                raise

    async def update_dataset(
        self, dataset_id: str, *, volsize_bytes: int = 0, refquota_bytes: int = 0,
        settings: Mapping[str, str] | None = None, set_properties: Mapping[str, str] | None = None,
        remove_properties: Sequence[str] = (),
    ) -> Dataset:  # fmt: skip
        """Change only what is given, in one call."""
        changes: list[dict[str, Any]] = _pairs(set_properties or {})
        changes += [{"key": key, "remove": True} for key in remove_properties]
        data: dict[str, Any] = dict(settings or {})
        data |= {"user_properties_update": changes} if changes else {}
        data |= {"volsize": volsize_bytes} if volsize_bytes else {}
        data |= {"refquota": refquota_bytes} if refquota_bytes else {}
        return _dataset(await self.nas.call("pool.dataset.update", dataset_id, data))

    async def delete_dataset(self, dataset_id: str) -> None:
        """Delete a dataset without children; missing is fine. Its shares and extents go with it."""
        await self._delete("pool.dataset.delete", dataset_id, {"recursive": False, "force": False})

    async def promote(self, dataset_id: str) -> None:
        """Make a clone independent: its origin's snapshots up to that one become its own."""
        await self.nas.call("pool.dataset.promote", dataset_id)

    async def snapshot(self, snapshot_id: str) -> Snapshot | None:
        """One snapshot by `dataset@name`."""
        rows = await self.nas.query("pool.snapshot.query", [["id", "=", snapshot_id]], {})
        return _snapshot(rows[0]) if rows else None

    async def snapshots_named(self, parent: str, name: str) -> list[Snapshot]:
        """Snapshots of this short name on `parent` and the datasets below it, by id."""
        filters = [["snapshot_name", "=", name], ["OR", [["dataset", "=", parent], ["dataset", "^", f"{parent}/"]]]]
        return [_snapshot(row) for row in await self._paged("pool.snapshot.query", filters, 0, {})]

    async def snapshots_of(self, dataset_id: str) -> list[Snapshot]:
        """All snapshots of one dataset, by id."""
        return [
            _snapshot(row) for row in await self._paged("pool.snapshot.query", [["dataset", "=", dataset_id]], 0, {})
        ]

    async def snapshots_after(self, prefix: str, after: str, limit: int) -> list[Snapshot]:
        """Snapshots whose id starts with `prefix` and is greater than `after`, by id, at most `limit` (0 for all)."""
        filters = [*([["id", ">", after]] if after else []), ["id", "^", prefix]]
        return [_snapshot(row) for row in await self._paged("pool.snapshot.query", filters, limit, {})]

    async def create_snapshot(self, dataset_id: str, name: str, user_properties: Mapping[str, str]) -> Snapshot:
        """Cut a snapshot that carries its user properties from the start."""
        data = {"dataset": dataset_id, "name": name, "properties": dict(user_properties)}
        return _snapshot(await self.nas.call("pool.snapshot.create", data))

    async def create_snapshots(self, parent: str, name: str, exclude: Sequence[str]) -> Snapshot:
        """Cut `parent` and everything below it but the excluded datasets, at one instant; gives the parent's snapshot.

        The NAS takes no properties together with exclusions.
        """
        data = {"dataset": parent, "name": name, "recursive": True, "exclude": list(exclude)}
        return _snapshot(await self.nas.call("pool.snapshot.create", data))

    async def update_snapshot(self, snapshot_id: str, set_properties: Mapping[str, str]) -> Snapshot:
        """Set user properties of a snapshot."""
        data = {"user_properties_update": _pairs(set_properties)}
        return _snapshot(await self.nas.call("pool.snapshot.update", snapshot_id, data))

    async def delete_snapshot(self, snapshot_id: str, *, defer: bool = False) -> None:
        """Destroy a snapshot, or with `defer` as soon as its last clone goes; missing is fine."""
        await self._delete("pool.snapshot.delete", snapshot_id, {"defer": defer, "recursive": False})

    async def clone(self, snapshot_id: str, dataset_id: str, properties: Mapping[str, str]) -> None:
        """Make a dataset from a snapshot, with native and user properties set from the start."""
        data = {"snapshot": snapshot_id, "dataset_dst": dataset_id, "dataset_properties": dict(properties)}
        await self.nas.call("pool.snapshot.clone", data)

    async def allocated(self, snapshot_id: str, offset: int, limit: int) -> BlockRuns:
        """Allocated runs of a zvol snapshot from `offset`; needs a NAS that tracks blocks (`fake.block.*`)."""
        return _runs(await self.nas.query("fake.block.allocated", snapshot_id, offset, limit))

    async def changed(self, base_id: str, target_id: str, offset: int, limit: int) -> BlockRuns:
        """Runs that differ between two snapshots of one zvol, from `offset`."""
        return _runs(await self.nas.query("fake.block.changed", base_id, target_id, offset, limit))

    async def _delete(self, method: str, *params: Any) -> None:
        try:
            await self.nas.call(method, *params)
        except NasRefused as error:
            if not is_missing(error):
                raise

    async def _paged(
        self, method: str, filters: list[Any], limit: int, extra: Mapping[str, Any], select: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """Rows by id, fetched in pages by key so that no reply grows without bound."""
        rows: list[dict[str, Any]] = []
        after: list[Any] = []
        while True:
            size = min(_PAGE, limit - len(rows)) if limit else _PAGE
            options: dict[str, Any] = {"order_by": ["id"], "limit": size, "extra": dict(extra)}
            options |= {"select": list(select)} if select else {}
            page = await self.nas.query(method, [*after, *filters], options)
            rows += page
            if len(page) < size or (limit and len(rows) >= limit):
                return rows
            after = [["id", ">", page[-1]["id"]]]


def _runs(row: Mapping[str, Any]) -> BlockRuns:
    runs = tuple((int(offset), int(length)) for offset, length in row["runs"])
    return BlockRuns(int(row["volsize"]), runs, row["next_offset"])


def _dataset(row: Mapping[str, Any]) -> Dataset:
    is_volume = row["type"] == "VOLUME"
    size = row.get("volsize" if is_volume else "refquota") or {}
    return Dataset(
        id=row["id"],
        is_volume=is_volume,
        size_bytes=size.get("parsed") or 0,
        used_bytes=(row.get("used") or {}).get("parsed") or 0,
        referenced_bytes=(row.get("referenced") or {}).get("parsed") or 0,
        available_bytes=(row.get("available") or {}).get("parsed") or 0,
        origin=(row.get("origin") or {}).get("parsed") or "",
        user_properties=_local(row.get("user_properties") or {}),
        snapshots=row.get("snapshot_count") or 0,
        settings={key: (row.get(key) or {}).get("value") or "" for key in ("compression", "sync", "comments")},
    )


def _snapshot(row: Mapping[str, Any]) -> Snapshot:
    properties = row["properties"]
    clones = (properties.get("clones") or {}).get("rawvalue") or ""
    return Snapshot(
        id=row["id"],
        dataset=row["dataset"],
        name=row["snapshot_name"],
        created_s=float((properties.get("creation") or {}).get("rawvalue") or 0),
        createtxg=int(row.get("createtxg") or 0),
        volsize_bytes=int((properties.get("volsize") or {}).get("rawvalue") or 0),
        clones=tuple(name for name in clones.split(",") if name),
        deferred=(properties.get("defer_destroy") or {}).get("rawvalue") == "on",
        held=(properties.get("userrefs") or {}).get("rawvalue") not in (None, "", "0"),
        user_properties=_local({key: value for key, value in properties.items() if ":" in key}),
    )


def _local(properties: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {key: each["value"] for key, each in properties.items() if each.get("source") == "LOCAL"}


def _pairs(properties: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in properties.items()]


def _escaped(key: str) -> str:
    """A dot inside a key is not a path separator."""
    return key.replace(".", "\\.")
