"""truenas-csi (the vendor's driver, in Go) as it is on the wire: its calls, its structs, its judgement, its CSI answers.

Written from its behaviour; what it does wrong is kept, because a fake that hides it hides what a real system would show.
"""

from typing import Any

from tests.fake_truenas.clients.go_json import ANY, Map, Pointer
from tests.fake_truenas.clients.wire import CsiError, Refused, Wire

GIB = 1 << 30
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - compared, not bound

NFS_SHARE = {
    "id": int, "path": str, "comment": str, "hosts": [str], "ro": bool, "maproot": str, "mapall": str,
    "security": [str], "enabled": bool, "networks": [str],
}  # fmt: skip
AUTH = {
    "id": int, "tag": int, "user": str, "secret": str, "peeruser": str, "peersecret": str, "discovery_auth": str,
}  # fmt: skip
TARGET_GROUP = {"portal": int, "initiator": int, "authmethod": str, "auth": int}
TARGET = {"id": int, "name": str, "alias": str, "mode": str, "groups": [TARGET_GROUP], "auth": Pointer(AUTH)}
EXTENT = {
    "id": int, "name": str, "type": str, "disk": str, "path": str, "filesize": ANY, "serial": str, "naa": str,
    "blocksize": int, "pblocksize": bool, "avail_threshold": int, "comment": str, "insecure_tpc": bool, "xen": bool,
    "rpm": str, "ro": bool, "enabled": bool,
}  # fmt: skip
TARGET_EXTENT = {"id": int, "target": int, "extent": int, "lunid": int}
PORTAL = {
    "id": int, "tag": int, "comment": str, "listen": [{"ip": str, "port": int}], "discovery_authmethod": str,
    "discovery_authgroup": int,
}  # fmt: skip
INITIATOR = {"id": int, "initiators": [str], "comment": str}
ISCSI_GLOBAL = {"id": int, "basename": str}
SNAPSHOT = {
    "id": str, "dataset": str, "name": str, "createtime": str, "used": int, "referenced": int, "properties": Map(ANY),
}  # fmt: skip
SCHEDULE = dict.fromkeys(("minute", "hour", "dom", "month", "dow", "begin", "end"), str)
SNAPSHOT_TASK = {
    "id": int, "dataset": str, "recursive": bool, "lifetime_value": int, "lifetime_unit": str, "enabled": bool,
    "exclude": [str], "naming_schema": str, "allow_empty": bool, "schedule": Pointer(SCHEDULE), "state": Map(ANY),
    "vmware_sync": bool,
}  # fmt: skip
POOL = {
    "id": int, "name": str, "guid": str, "status": str, "healthy": bool, "size": int, "allocated": int, "free": int,
    "path": str, "autotrim": ANY,
}  # fmt: skip
RESOURCE_PROPERTY = {"raw": str, "value": ANY, "source": Pointer({"type": str, "value": ANY})}
RESOURCE = {"name": str, "pool": str, "type": str, "properties": Map(RESOURCE_PROPERTY)}
NVME_GLOBAL = {"id": int, "basenqn": str, "kernel": bool, "ana": bool, "rdma": bool, "xport_referral": bool}
SUBSYSTEM = {
    "id": int, "name": str, "subnqn": str, "allow_any_host": bool, "serial": str, "hosts": [int], "namespaces": [int],
    "ports": [int],
}  # fmt: skip
NAMESPACE = {
    "id": int, "nsid": int, "device_type": str, "device_path": str, "device_uuid": str, "device_nguid": str,
    "enabled": bool, "subsys": Pointer(SUBSYSTEM),
}  # fmt: skip
PORT = {
    "id": int, "index": int, "addr_trtype": str, "addr_adrfam": str, "addr_traddr": str, "addr_trsvcid": ANY,
    "enabled": bool,
}  # fmt: skip
PORT_SUBSYSTEM = {"id": int, "port": Pointer(PORT), "subsys": Pointer(SUBSYSTEM)}
HOST = dict.fromkeys(("hostnqn", "dhchap_key", "dhchap_ctrl_key", "dhchap_hash", "dhchap_dhgroup"), str) | {"id": int}
HOST_SUBSYSTEM = {"id": int, "host": Pointer(HOST), "subsys": Pointer(SUBSYSTEM)}


def is_not_found(error: Refused) -> bool:
    """Words in the message or anywhere in the data, or a code that the server never sends."""
    message, data = error.message.lower(), error.data_text.lower()
    return (
        error.code == -6
        or any(word in message for word in ("not found", "does not exist", "no such"))
        or any(word in data for word in ("not found", "does not exist", "instancenotfound", "enoent"))
    )


def is_not_authenticated(error: Refused) -> bool:
    """By errno or its name in the data."""
    return error.data is not None and (error.data["error"] == 207 or error.errname == "ENOTAUTHENTICATED")


def parsed(entry: dict[str, Any], key: str) -> int:
    """A number out of a property object; anything else is 0."""
    prop = entry.get(key)
    if isinstance(prop, dict) and isinstance(prop.get("parsed"), int):
        return int(prop["parsed"])
    return 0


class TruenasClient:
    """Its package `client`: one method for each call, none of them repeated."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    async def login(self, key: str) -> bool:
        return bool(await self.wire.call("auth.login_with_api_key", key, into=bool))

    async def create_dataset(self, **options: Any) -> dict[str, Any]:
        return self._dataset(await self.wire.call("pool.dataset.create", options, into=Map(ANY)))

    async def dataset(self, path: str) -> dict[str, Any]:
        options = {"extra": {"properties": ["refquota", "volsize", "refreservation"]}}
        return self._dataset(await self.wire.call("pool.dataset.get_instance", path, options, into=Map(ANY)))

    async def datasets(self, pool: str) -> list[dict[str, Any]]:
        properties = ["type", "used", "available", "refquota", "volsize", "refreservation"]
        options = {"extra": {"flat": True, "retrieve_children": False, "properties": properties}}
        rows = await self.wire.call("pool.dataset.query", [["pool", "=", pool]], options, into=[Map(ANY)])
        return [self._dataset(row) for row in rows]

    async def delete_dataset(self, path: str, *, recursive: bool = True) -> None:
        await self.wire.call("pool.dataset.delete", path, {"recursive": recursive, "force": True})

    async def first(self, namespace: str, field: str, value: Any, shape: Any) -> Any:
        """The first row whose field has the value, or None."""
        rows = await self.wire.call(f"{namespace}.query", [[field, "=", value]], {}, into=[shape])
        return rows[0] if rows else None

    async def all(self, namespace: str, shape: Any) -> list[Any]:
        rows: list[Any] = await self.wire.call(f"{namespace}.query", [], {}, into=[shape])
        return rows

    async def create_target(self, name: str, alias: str, **group: Any) -> Any:
        data = {"name": name, "alias": alias, "mode": "ISCSI", "groups": [group]}
        return await self.wire.call("iscsi.target.create", data, into=TARGET)

    async def create_extent(self, name: str, disk: str, blocksize: int = 512) -> Any:
        data = {"name": name, "type": "DISK", "disk": disk, "blocksize": blocksize, "enabled": True}
        return await self.wire.call("iscsi.extent.create", data, into=EXTENT)

    async def delete_target(self, target_id: int) -> None:
        for row in await self.wire.call(
            "iscsi.targetextent.query", [["target", "=", target_id]], {}, into=[TARGET_EXTENT]
        ):
            await self.wire.call("iscsi.targetextent.delete", row["id"], False)
        await self.wire.call("iscsi.target.delete", target_id, False, False)

    async def create_snapshot(self, dataset: str, name: str) -> Any:
        data = {"dataset": dataset, "name": name, "recursive": False}
        return await self.wire.call("pool.snapshot.create", data, into=SNAPSHOT)

    async def delete_snapshot(self, name: str) -> None:
        await self.wire.call("pool.snapshot.delete", name, {"defer": True, "recursive": False})

    async def clone(self, snapshot: str, destination: str) -> dict[str, Any]:
        await self.wire.call("pool.snapshot.clone", {"snapshot": snapshot, "dataset_dst": destination})
        return await self.dataset(destination)

    async def snapshots(self, *filters: list[Any]) -> list[Any]:
        rows: list[Any] = await self.wire.call("pool.snapshot.query", list(filters), {}, into=[SNAPSHOT])
        return rows

    async def available(self, path: str) -> int:
        options = {"paths": [path], "properties": ["available"]}
        rows = await self.wire.call("zfs.resource.query", options, into=[RESOURCE])
        value = rows[0]["properties"]["available"]["value"]
        assert isinstance(value, int | str), value
        return int(value)

    @staticmethod
    def _dataset(row: dict[str, Any]) -> dict[str, Any]:
        entry = {key: row.get(key) or "" for key in ("id", "name", "pool", "type", "mountpoint")}
        assert all(isinstance(value, str) for value in entry.values()), entry
        numbers = ("used", "available", "refquota", "refreservation", "volsize")
        return entry | {key: parsed(row, key) for key in numbers}


class TruenasCsi:
    """Its package `driver`: what a controller RPC becomes on the wire, and what it answers.

    Attributes:
        client: the calls.
        protocol: nfs, iscsi or nvmeof, as a StorageClass would say.
    """

    def __init__(self, wire: Wire, protocol: str = "nfs", portal: str = "10.0.0.1", pool: str = "tank") -> None:
        self.client = TruenasClient(wire)
        self.protocol = protocol
        self._portal = portal
        self._pool = pool
        self._clones = 0

    async def find(self, path: str) -> dict[str, Any] | None:
        """The dataset; None if the client takes the error for "not found"."""
        try:
            return await self.client.dataset(path)
        except Refused as error:
            if not is_not_found(error):
                raise CsiError("INTERNAL", str(error)) from error
            return None

    async def create_volume(self, name: str, size: int = 0, *, snapshot: str = "", volume: str = "") -> dict[str, Any]:
        """CreateVolume; gives id, capacity and the facts of the volume context."""
        if await self.client.first("pool", "name", self._pool, POOL) is None:
            raise CsiError("INVALID_ARGUMENT", self._pool)
        size = max(size, GIB) if size else 0
        path = f"{self._pool}/{name}"
        existing = await self.find(path)
        if existing is not None:
            return await self._existing(path, existing, size)
        try:
            if snapshot or volume:
                return await self._from_source(path, size, snapshot, volume)
            return await self._new(path, size)
        except Refused as error:
            raise CsiError("INTERNAL", str(error)) from error

    async def _existing(self, path: str, dataset: dict[str, Any], size: int) -> dict[str, Any]:
        capacity = dataset["volsize"] if dataset["type"] == "VOLUME" else dataset["refquota"]
        if size and 0 < capacity < size:
            raise CsiError("ALREADY_EXISTS", path)
        context = await self._ensure_iscsi(path) if dataset["type"] == "VOLUME" and self.protocol == "iscsi" else {}
        return {"id": path, "capacity": capacity or size, **context}

    async def _new(self, path: str, size: int) -> dict[str, Any]:
        if self.protocol == "nfs":
            options = {"name": path, "type": "FILESYSTEM", "compression": "LZ4", "sync": "STANDARD"}
            dataset = await self.client.create_dataset(**options, **({"refquota": size} if size else {}))
            return {"id": path, "capacity": size, **await self._share(path, dataset["mountpoint"])}
        options = {"name": path, "type": "VOLUME", "compression": "LZ4", "volblocksize": "16K"}
        if self.protocol == "nvmeof":
            port = await self._nvme_port()
            await self.client.create_dataset(**options, **({"volsize": size} if size else {}))
            return {"id": path, "capacity": size, **await self._export_nvme(path, port)}
        portal = await self._portal_id()
        await self.client.create_dataset(**options, **({"volsize": size} if size else {}))
        return {"id": path, "capacity": size, **await self._export(path, portal)}

    async def _share(self, path: str, mountpoint: str) -> dict[str, Any]:
        share = {"path": mountpoint, "comment": f"CSI volume {path}", "ro": False, "mapall_user": "root"}
        share |= {"mapall_group": "wheel", "enabled": True}
        try:
            row = await self.client.wire.call("sharing.nfs.create", share, into=NFS_SHARE)
        except Refused:
            await self.client.delete_dataset(path)
            raise
        return {"share": row["id"], "nfsPath": mountpoint}

    async def _portal_id(self) -> int:
        for portal in await self.client.all("iscsi.portal", PORTAL):
            if any(listen["ip"] in (self._portal, ANY_ADDRESS) for listen in portal["listen"]):
                return int(portal["id"])
        raise CsiError("INTERNAL", f"no portal for {self._portal}")

    async def _export(self, path: str, portal: int) -> dict[str, Any]:
        base = (await self.client.wire.call("iscsi.global.config", into=ISCSI_GLOBAL))["basename"]
        suffix = "".join(c if c.isalnum() or c in ".-:" else "-" for c in f"csi-{path}".lower())[:120]
        target = await self.client.create_target(suffix, f"CSI volume {path}", portal=portal)
        extent = await self.client.create_extent(path[:64], f"zvol/{path}")
        data = {"target": target["id"], "extent": extent["id"], "lunid": 0}
        await self.client.wire.call("iscsi.targetextent.create", data, into=TARGET_EXTENT)
        return {"targetIQN": f"{base}:{target['name']}", "lun": 0}

    async def _ensure_iscsi(self, path: str) -> dict[str, Any]:
        base = (await self.client.wire.call("iscsi.global.config", into=ISCSI_GLOBAL))["basename"]
        portal = await self._portal_id()
        extent = await self.client.first("iscsi.extent", "disk", f"zvol/{path}", EXTENT)
        if extent is None:
            return await self._export(path, portal)
        link = await self.client.first("iscsi.targetextent", "extent", extent["id"], TARGET_EXTENT)
        target = await self.client.first("iscsi.target", "id", link["target"], TARGET)
        return {"targetIQN": f"{base}:{target['name']}", "lun": link["lunid"]}

    async def _nvme_port(self) -> int:
        call = self.client.wire.call
        for port in await call("nvmet.port.query", [["addr_traddr", "=", self._portal]], {}, into=[PORT]):
            if port["addr_trtype"] == "TCP":
                return int(port["id"])
        data = {"addr_trtype": "TCP", "addr_traddr": self._portal, "addr_trsvcid": 4420}
        return int((await call("nvmet.port.create", data, into=PORT))["id"])

    async def _export_nvme(self, path: str, port: int) -> dict[str, Any]:
        call = self.client.wire.call
        name = "".join(c if c.isalnum() or c in ".-" else "-" for c in f"csi-{path}".lower())[:200]
        subsys = await call("nvmet.subsys.create", {"name": name, "allow_any_host": True}, into=SUBSYSTEM)
        data = {"subsys_id": subsys["id"], "device_type": "ZVOL", "device_path": f"zvol/{path}", "enabled": True}
        namespace = await call("nvmet.namespace.create", data, into=NAMESPACE)
        await call("nvmet.port_subsys.create", {"port_id": port, "subsys_id": subsys["id"]}, into=PORT_SUBSYSTEM)
        return {"subNQN": subsys["subnqn"], "nsUUID": namespace["device_uuid"]}

    async def _from_source(self, path: str, size: int, snapshot: str, volume: str) -> dict[str, Any]:
        if volume:
            await self._source_or_not_found(volume)
            self._clones += 1
            name = f"csi-clone-{path.replace('/', '-')}-{self._clones}"
            snapshot = (await self.client.create_snapshot(volume, name))["id"]
            try:
                await self.client.clone(snapshot, path)
            finally:
                await self.client.delete_snapshot(snapshot)
        else:
            try:
                await self.client.clone(snapshot, path)
            except Refused as error:
                raise CsiError("NOT_FOUND" if is_not_found(error) else "INTERNAL", str(error)) from error
        if size:
            await self._resize(path, size)
        dataset = await self.client.dataset(path)
        if self.protocol == "nfs":
            return {"id": path, "capacity": dataset["refquota"], **await self._share(path, dataset["mountpoint"])}
        return {"id": path, "capacity": size, **await self._export(path, await self._portal_id())}

    async def _source_or_not_found(self, volume: str) -> dict[str, Any]:
        if "/" not in volume or (dataset := await self.find(volume)) is None:
            raise CsiError("NOT_FOUND", volume)
        return dataset

    async def _resize(self, path: str, size: int) -> None:
        updates = {"refquota": size}
        if self.protocol != "nfs":
            thick = (await self.client.dataset(path))["refreservation"] > 0
            updates = {"volsize": size} | ({"refreservation": size} if thick else {})
        await self.client.wire.call("pool.dataset.update", path, updates)

    async def delete_volume(self, volume_id: str) -> None:
        """DeleteVolume: target, extent, share, snapshot task, dataset; what the steps before the last answer is ignored."""
        if "/" not in volume_id or await self.find(volume_id) is None:
            return
        extent = await self.client.first("iscsi.extent", "disk", f"zvol/{volume_id}", EXTENT)
        if extent is not None:
            link = await self.client.first("iscsi.targetextent", "extent", extent["id"], TARGET_EXTENT)
            await self.client.delete_target(link["target"])
            await self.client.wire.call("iscsi.extent.delete", extent["id"], False, False)
        else:
            await self._delete_nvme(volume_id)
        share = await self.client.first("sharing.nfs", "path", f"/mnt/{volume_id}", NFS_SHARE)
        if share is not None:
            await self.client.wire.call("sharing.nfs.delete", share["id"])
        task = await self.client.first("pool.snapshottask", "dataset", volume_id, SNAPSHOT_TASK)
        if task is not None:
            await self.client.wire.call("pool.snapshottask.delete", task["id"], {"fixate_removal_date": False})
        try:
            await self.client.delete_dataset(volume_id)
        except Refused as error:
            if not is_not_found(error):
                raise CsiError("INTERNAL", str(error)) from error

    async def _delete_nvme(self, volume_id: str) -> None:
        call = self.client.wire.call
        namespace = await self.client.first("nvmet.namespace", "device_path", f"zvol/{volume_id}", NAMESPACE)
        if namespace is None:
            return
        subsys_id = namespace["subsys"]["id"]
        for kind, shape in (("host_subsys", HOST_SUBSYSTEM), ("port_subsys", PORT_SUBSYSTEM), ("namespace", NAMESPACE)):
            for row in await self.client.all(f"nvmet.{kind}", shape):
                if row["subsys"]["id"] == subsys_id:
                    await call(f"nvmet.{kind}.delete", row["id"])
        await call("nvmet.subsys.delete", subsys_id)

    async def create_snapshot(self, name: str, source: str) -> str:
        """CreateSnapshot; looks for the short name everywhere first."""
        await self._source_or_not_found(source)
        for found in (await self.client.snapshots(["snapshot_name", "=", name]))[:1]:
            if found["id"] != f"{source}@{name}":
                raise CsiError("ALREADY_EXISTS", found["id"])
            return str(found["id"])
        try:
            return str((await self.client.create_snapshot(source, name))["id"])
        except Refused as error:
            raise CsiError("ALREADY_EXISTS" if "already exists" in str(error) else "INTERNAL", str(error)) from error

    async def delete_snapshot(self, snapshot_id: str) -> None:
        """DeleteSnapshot, deferred; "not found" is success."""
        if "@" not in snapshot_id:
            return
        try:
            await self.client.delete_snapshot(snapshot_id)
        except Refused as error:
            if not is_not_found(error):
                raise CsiError("INTERNAL", str(error)) from error

    async def list_snapshots(self, *, snapshot_id: str = "", source: str = "") -> list[str]:
        """ListSnapshots, whole."""
        dataset = snapshot_id.partition("@")[0] or source
        rows = await self.client.snapshots(*([["dataset", "=", dataset]] if dataset else []))
        return [row["id"] for row in rows if not snapshot_id or row["id"] == snapshot_id]

    async def list_volumes(self) -> list[str]:
        """ListVolumes: every direct child of the pool, its own or not."""
        return [row["name"] for row in await self.client.datasets(self._pool) if row["name"].count("/") == 1]

    async def expand_volume(self, volume_id: str, size: int) -> int:
        """ControllerExpandVolume; gives the capacity."""
        dataset = await self._source_or_not_found(volume_id)
        capacity = int(dataset["volsize"] or dataset["refquota"])
        size = max(size, GIB)
        if size <= capacity:
            return capacity
        await self._resize(volume_id, size)
        return size
