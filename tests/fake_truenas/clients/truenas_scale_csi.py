"""truenas-scale-csi (a community driver, in Go) as it is on the wire: five sockets, its calls, its judgement, its answers.

It reads only the message of an error, which is the same for all; what follows from that is kept.
"""

import asyncio
from typing import Any

from tests.fake_truenas.clients.go_json import ANY, Map
from tests.fake_truenas.clients.wire import CsiError, Refused, Wire

GIB = 1 << 30
PREFIX = "truenas-csi:"
MAX_CONCURRENT = 10

PROPERTY = {"value": ANY, "rawvalue": str, "parsed": ANY, "source": str}
DATASET = {
    "id": str, "name": str, "pool": str, "type": str, "mountpoint": str, "used": PROPERTY, "available": PROPERTY,
    "quota": PROPERTY, "refquota": PROPERTY, "reservation": PROPERTY, "refreservation": PROPERTY, "volsize": PROPERTY,
    "volblocksize": PROPERTY, "user_properties": Map({"value": str, "source": str}),
}  # fmt: skip
SNAPSHOT = {"id": str, "name": str, "dataset": str, "pool": str, "type": str, "properties": Map(PROPERTY)}
NFS_SHARE = {
    "id": int, "path": str, "comment": str, "networks": [str], "hosts": [str], "ro": bool, "maproot_user": str,
    "maproot_group": str, "mapall_user": str, "mapall_group": str, "security": [str], "enabled": bool,
}  # fmt: skip
GROUP = {"portal": int, "initiator": int, "authmethod": str, "auth": int}
TARGET = {"id": int, "name": str, "alias": str, "mode": str, "groups": [GROUP]}
EXTENT = {
    "id": int, "name": str, "type": str, "disk": str, "serial": str, "path": str, "comment": str, "naa": str,
    "blocksize": int, "pblocksize": bool, "insecure_tpc": bool, "xen": bool, "rpm": str, "ro": bool, "enabled": bool,
}  # fmt: skip
TARGET_EXTENT = {"id": int, "target": int, "extent": int, "lunid": int}
ISCSI_GLOBAL = {"id": int, "basename": str}
POOL = {"topology": {"data": [{"stats": {"free": int}}]}}
"""Free space is looked for in each vdev."""


def is_not_found(error: Refused) -> bool:
    """The message only, or its own code for a lost connection."""
    message = error.message.lower()
    return error.code == -1 or "not found" in message or "does not exist" in message


def is_already_exists(error: Refused) -> bool:
    """The message only, which never says it."""
    return "already exists" in error.message.lower()


class Sockets:
    """Its pool of connections: calls go round, ten at a time over all."""

    def __init__(self, wires: list[Wire]) -> None:
        self.wires = wires
        self._next = 0
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)

    async def login(self, key: str) -> None:
        """All at once."""
        answers = await asyncio.gather(*(wire.call("auth.login_with_api_key", key, into=bool) for wire in self.wires))
        assert answers == [True] * len(self.wires)

    async def call(self, method: str, *params: Any, into: Any = ANY) -> Any:
        self._next += 1
        async with self._slots:
            return await self.wires[self._next % len(self.wires)].call(method, *params, into=into)

    async def close(self) -> None:
        """Log out on each, then go without a close frame."""
        for wire in self.wires:
            assert await wire.call("auth.logout") is True
            await wire.drop()

    def count(self, method: str) -> int:
        """How often a method was called over all sockets."""
        return sum(wire.methods.count(method) for wire in self.wires)


class ScaleCsi:
    """What a controller RPC becomes on the wire, and what it answers. Ids are short names below one parent."""

    def __init__(self, sockets: Sockets, protocol: str = "nfs", parent: str = "tank/k8s") -> None:
        self.sockets = sockets
        self.call = sockets.call
        self.protocol = protocol
        self.parent = parent

    async def dataset(self, name: str) -> Any:
        """By a query, since `get_instance` could not be understood; None if absent."""
        rows = await self.call("pool.dataset.query", [["id", "=", name]], {}, into=[DATASET])
        return rows[0] if rows else None

    async def set_property(self, name: str, key: str, value: str) -> None:
        params = {"user_properties_update": [{"key": PREFIX + key, "value": value}]}
        await self.call("pool.dataset.update", name, params, into=DATASET)

    async def set_all(self, name: str, values: dict[str, str]) -> None:
        """One call for each property, side by side."""
        await asyncio.gather(*(self.set_property(name, key, value) for key, value in values.items()))

    async def create_volume(self, name: str, size: int = 0, *, snapshot: str = "", volume: str = "") -> dict[str, Any]:
        """CreateVolume: what exists is taken as it is, whatever its size."""
        size = size or GIB
        path = f"{self.parent}/{name}"
        existing = await self.dataset(path)
        if existing is not None:
            await self.set_all(path, dict.fromkeys(("managed_resource", "provision_success"), "true"))
            return {"id": name, "capacity": self._capacity(existing), **await self._context(path)}
        try:
            if snapshot or volume:
                await self._from_source(path, snapshot, volume)
            else:
                await self._create(path, size)
            await self._export(path, name)
        except Refused as error:
            raise CsiError("INTERNAL", error.message) from error
        marks = {"managed_resource": "true", "provision_success": "true", "csi_volume_name": name}
        await self.set_all(path, marks)
        return {"id": name, "capacity": size, **await self._context(path)}

    async def _create(self, path: str, size: int) -> None:
        data: dict[str, Any] = {"name": path, "type": "FILESYSTEM", "refquota": size}
        if self.protocol != "nfs":
            data = {"name": path, "type": "VOLUME", "volsize": size, "volblocksize": "16K", "sparse": True}
        await self.call("pool.dataset.create", data, into=DATASET)

    async def _export(self, path: str, name: str) -> None:
        make = {"nfs": self._share, "iscsi": self._export_iscsi, "nvmeof": self._export_nvme}[self.protocol]
        try:
            await make(path, name)
        except Refused:
            await self.call("pool.dataset.delete", path, {"recursive": False, "force": False})
            raise

    async def _share(self, path: str, _name: str) -> None:
        mountpoint = (await self.dataset(path))["mountpoint"]
        data = {"path": mountpoint, "comment": f"truenas-csi (org.scale.csi): {path}", "maproot_user": "root"}
        data |= {"maproot_group": "wheel", "enabled": True}
        row = await self.call("sharing.nfs.create", data, into=NFS_SHARE)
        await self.set_property(path, "truenas_nfs_share_id", str(row["id"]))

    async def _export_iscsi(self, path: str, name: str) -> None:
        groups = [{"portal": 1, "initiator": 1, "authmethod": "NONE", "auth": None}]
        target_data = {"name": name, "alias": "", "mode": "ISCSI", "groups": groups}
        target = await self.call("iscsi.target.create", target_data, into=TARGET)
        await self.set_property(path, "truenas_iscsi_target_id", str(target["id"]))
        data: dict[str, Any] = {"name": name, "type": "DISK", "disk": f"zvol/{path}", "comment": f"truenas-csi: {path}"}
        data |= {"blocksize": 512, "pblocksize": True, "insecure_tpc": True, "rpm": "SSD", "ro": False, "enabled": True}
        extent = await self.call("iscsi.extent.create", data, into=EXTENT)
        await self.set_property(path, "truenas_iscsi_extent_id", str(extent["id"]))
        link = {"target": target["id"], "extent": extent["id"], "lunid": 0}
        row = await self.call("iscsi.targetextent.create", link, into=TARGET_EXTENT)
        await self.set_property(path, "truenas_iscsi_targetextent_id", str(row["id"]))
        assert await self.call("service.reload", "iscsitarget", into=bool)

    async def _export_nvme(self, _path: str, name: str) -> None:
        data = {"nqn": name, "serial": name[:20], "allow_any_host": True}
        await self.call("nvmet.subsys.create", data)

    async def _context(self, path: str) -> dict[str, Any]:
        dataset = await self.dataset(path)
        target_id = dataset["user_properties"].get(f"{PREFIX}truenas_iscsi_target_id")
        if target_id is None:
            return {"share": dataset["mountpoint"]}
        (target,) = await self.call("iscsi.target.query", [["id", "=", int(target_id["value"])]], {}, into=[TARGET])
        base = (await self.call("iscsi.global.config", into=ISCSI_GLOBAL))["basename"]
        return {"iqn": f"{base}:{target['name']}"}

    @staticmethod
    def _capacity(dataset: Any) -> int:
        value = dataset["volsize" if dataset["type"] == "VOLUME" else "refquota"]["parsed"]
        return int(value or dataset["available"]["parsed"])

    async def _from_source(self, path: str, snapshot: str, volume: str) -> None:
        if volume:
            data = {"dataset": f"{self.parent}/{volume}", "name": f"clone-source-{path.rpartition('/')[2]}"}
            zfs_name = (await self.call("pool.snapshot.create", data, into=SNAPSHOT))["id"]
        else:
            found = await self.find_snapshot(snapshot)
            if found is None:
                raise CsiError("NOT_FOUND", snapshot)
            zfs_name = found["id"]
        await self.call("pool.snapshot.clone", {"snapshot": zfs_name, "dataset_dst": path})
        kind = "volume" if volume else "snapshot"
        await self.set_all(
            path, {"csi_volume_content_source_type": kind, "csi_volume_content_source_id": volume or snapshot}
        )

    async def find_snapshot(self, name: str) -> Any:
        """By short name below the parent: in `snapshot_name` if `name` has nothing, which it never has."""
        for field in ("name", "snapshot_name"):
            filters = [["dataset", "^", self.parent], [field, "=", name]]
            rows = await self.call("pool.snapshot.query", filters, {}, into=[SNAPSHOT])
            if rows:
                return rows[0]
        return None

    async def create_snapshot(self, name: str, source: str) -> str:
        """CreateSnapshot: a repeat is refused by the server, and the words that tell why are not read."""
        try:
            made = await self.call(
                "pool.snapshot.create", {"dataset": f"{self.parent}/{source}", "name": name}, into=SNAPSHOT
            )
        except Refused as error:
            if is_already_exists(error):
                return name
            raise CsiError("INTERNAL", error.message) from error
        marks = {"managed_resource": "true", "csi_snapshot_name": name, "csi_snapshot_source_volume_id": source}
        await asyncio.gather(*(self._mark(made["id"], key, value) for key, value in marks.items()))
        assert isinstance(made["properties"]["creation"]["parsed"], int | dict)
        return name

    async def _mark(self, snapshot: str, key: str, value: str) -> None:
        params = {"user_properties_update": [{"key": PREFIX + key, "value": value}]}
        await self.call("pool.snapshot.update", snapshot, params, into=SNAPSHOT)

    async def list_snapshots(self) -> dict[str, str]:
        """ListSnapshots: its own ones, by short name, with the volume they are of."""
        rows = await self.call("pool.snapshot.query", [["dataset", "^", self.parent]], {}, into=[SNAPSHOT])
        own = [row for row in rows if row["properties"].get(f"{PREFIX}managed_resource", {}).get("value") == "true"]
        source = f"{PREFIX}csi_snapshot_source_volume_id"
        return {row["id"].partition("@")[2]: row["properties"].get(source, {"value": ""})["value"] for row in own}

    async def delete_snapshot(self, name: str) -> None:
        """DeleteSnapshot: refused with "Invalid params", it looks for clones and deletes them with force."""
        found = await self.find_snapshot(name)
        if found is None:
            return
        options = {"defer": False, "recursive": False}
        try:
            await self.call("pool.snapshot.delete", found["id"], options)
        except Refused as error:
            if error.code != -32602:
                raise CsiError("INTERNAL", error.message) from error
            again = await self.call("pool.snapshot.get_instance", found["id"], into=SNAPSHOT)
            for clone in filter(None, again["properties"]["clones"]["value"].split(",")):
                await self.call("pool.dataset.delete", clone, {"recursive": True, "force": True})
            await self.call("pool.snapshot.delete", found["id"], options)

    async def delete_volume(self, name: str) -> None:
        """DeleteVolume: what the share's deletes answer is only logged."""
        path = f"{self.parent}/{name}"
        dataset = await self.dataset(path)
        if dataset is None:
            return
        ids = {key.removeprefix(PREFIX): prop["value"] for key, prop in dataset["user_properties"].items()}
        deletes: list[tuple[str, str, tuple[Any, ...]]] = [
            ("truenas_nfs_share_id", "sharing.nfs.delete", ()),
            ("truenas_iscsi_targetextent_id", "iscsi.targetextent.delete", (True,)),
            ("truenas_iscsi_extent_id", "iscsi.extent.delete", (False, True)),
            ("truenas_iscsi_target_id", "iscsi.target.delete", (True,)),
        ]
        for key, method, options in deletes:
            if key in ids:
                await self.call(method, int(ids[key]), *options)
        try:
            await self.call("pool.dataset.delete", path, {"recursive": True, "force": True})
        except Refused as error:
            if not is_not_found(error):
                raise CsiError("INTERNAL", error.message) from error

    async def list_volumes(self, limit: int = 0, offset: int = 0) -> list[str]:
        """ListVolumes, a page of it; what is not its own is left out afterwards."""
        options: dict[str, Any] = {"extra": {"flat": True}}
        options |= {key: value for key, value in (("limit", limit), ("offset", offset)) if value}
        rows = await self.call("pool.dataset.query", [["id", "^", f"{self.parent}/"]], options, into=[DATASET])
        mark = f"{PREFIX}managed_resource"
        return [
            row["name"].rpartition("/")[2]
            for row in rows
            if row["user_properties"].get(mark, {}).get("value") == "true"
        ]

    async def capacity(self) -> int:
        """GetCapacity."""
        (pool,) = await self.call("pool.query", [["name", "=", self.parent.partition("/")[0]]], {}, into=[POOL])
        return sum(int(vdev["stats"]["free"]) for vdev in pool["topology"]["data"])

    async def expand_volume(self, name: str, size: int) -> None:
        """ControllerExpandVolume: nothing is looked at before."""
        try:
            update = {"refquota" if self.protocol == "nfs" else "volsize": size}
            await self.call("pool.dataset.update", f"{self.parent}/{name}", update, into=DATASET)
        except Refused as error:
            raise CsiError("INTERNAL", error.message) from error
