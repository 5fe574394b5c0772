"""tns-csi (a community driver, in Go) as it is on the wire: its calls, its structs, its judgement, its CSI answers.

What it does wrong on a real system is kept: its snapshots cannot be asked for twice, and its capacity is always 0.
"""

from typing import Any

import orjson

from tests.fake_truenas.clients.go_json import ANY, Map, Pointer, decode
from tests.fake_truenas.clients.wire import CsiError, Refused, Wire

GIB = 1 << 30
MANAGED_BY = "tns-csi:managed_by"
VOLUME_NAME = "tns-csi:csi_volume_name"

USER_PROPERTY = {"value": str, "source": str}
DATASET = {
    "available": Map(ANY), "used": Map(ANY), "volsize": Map(ANY), "id": str, "name": str, "type": str,
    "mountpoint": str, "user_properties": Map(USER_PROPERTY),
}  # fmt: skip
PARSED = {"parsed": int}
POOL = {
    "id": int, "name": str, "topology": {"data": [ANY]}, "status": str, "path": str,
    "properties": dict.fromkeys(("size", "allocated", "free", "capacity"), PARSED),
}  # fmt: skip
NFS_SHARE = {"path": str, "comment": str, "hosts": [str], "id": int, "enabled": bool}
SMB_SHARE = {"name": str, "path": str, "comment": str, "locked": Pointer(bool), "id": int, "enabled": bool}
SUBSYSTEM = {"name": str, "subnqn": str, "serial": str, "id": int, "enabled": bool}
NAMESPACE = {
    "subsys": Pointer({"name": str, "subnqn": str, "id": int}), "device": str, "device_path": str, "id": int,
    "nsid": int,
}  # fmt: skip
PORT = {"addr_trtype": str, "addr_traddr": str, "id": int, "addr_trsvcid": int}
PORT_SUBSYSTEM = {"port": ANY, "subsystem": ANY, "subsys": ANY, "id": int, "port_id": int, "subsys_id": int}
SNAPSHOT = {"id": str, "name": str, "dataset": str, "createtxg": str, "properties": Map(ANY)}
DATE = Pointer({"$date": int})
JOB = {
    "id": int, "method": str, "state": str, "progress": Map(ANY), "error": str, "result": ANY, "time_started": DATE,
    "time_finished": DATE,
}  # fmt: skip
ISCSI_GLOBAL = {"pool_avail_threshold": Pointer(int), "basename": str, "isns_servers": [str], "id": int}
PORTAL = {"comment": str, "listen": [{"ip": str, "port": int}], "id": int, "tag": int}
INITIATOR = {"comment": str, "initiators": [str], "id": int, "tag": int}
TARGET_GROUP = {"auth": Pointer(int), "authmethod": str, "portal": int, "initiator": int}
TARGET = {"name": str, "alias": str, "mode": str, "groups": [TARGET_GROUP], "id": int}
EXTENT = {
    "name": str, "type": str, "disk": str, "path": str, "rpm": str, "comment": str, "id": int, "blocksize": int,
    "enabled": bool,
}  # fmt: skip
TARGET_EXTENT = {"id": int, "target": int, "extent": int, "lunid": int}
ERROR_DATA = {
    "error": int, "errname": str, "reason": str, "trace": Pointer({"class": str, "repr": str}), "extra": ANY,
}  # fmt: skip

CREATE = {
    "nfs": {"type": "FILESYSTEM"},
    "smb": {"type": "FILESYSTEM", "share_type": "SMB"},
    "iscsi": {"type": "VOLUME"},
    "nvmeof": {"type": "VOLUME", "volblocksize": "16K"},
}
SIZE = {"nfs": "refquota", "smb": "refquota", "iscsi": "volsize", "nvmeof": "volsize"}
ACL_ENTRY = {"id": -1, "type": "ALLOW", "perms": {"BASIC": "FULL_CONTROL"}, "flags": {"BASIC": "INHERIT"}}


def text_of(error: Refused) -> str:
    """What the client prints, and searches: it keeps class and repr of a trace, not its frames."""
    data = decode(error.data, Pointer(ERROR_DATA), "error.data")
    if data is None:
        return f"Storage API error {error.code}: {error.message}"
    return f"Storage API error {error.code}: {error.message} (data: {orjson.dumps(data).decode()})"


def is_not_found(error: Refused) -> bool:
    """By errname or words."""
    text = text_of(error).lower()
    return error.errname == "ENOENT" or any(word in text for word in ("not found", "does not exist", "enoent"))


def is_session_lost(error: Refused) -> bool:
    """What makes it log in again on the same socket."""
    return error.errname == "ENOTAUTHENTICATED"


def user_properties(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


class TnsCsi:
    """What a controller RPC becomes on the wire, and what it answers. Volume ids are dataset paths."""

    def __init__(self, wire: Wire, protocol: str = "nfs", parent: str = "tank") -> None:
        self.wire = wire
        self.protocol = protocol
        self._parent = parent

    async def call(self, method: str, *params: Any, into: Any = ANY) -> Any:
        """A call as it makes it: when the session is lost, log in on the same socket and repeat, three times at most."""
        for _ in range(3):
            try:
                return await self.wire.call(method, *params, into=into)
            except Refused as error:
                if method == "auth.login_with_api_key" or not is_session_lost(error):
                    raise
            await self.login(self._key)
        raise AssertionError("the session stays lost")

    async def login(self, key: str) -> None:
        self._key = key
        assert await self.call("auth.login_with_api_key", key, into=bool)

    async def dataset(self, dataset_id: str) -> Any:
        """One dataset with user properties, or None."""
        extra = {"flat": True, "retrieve_children": False, "user_properties": True}
        rows = await self.call("pool.dataset.query", [["id", "=", dataset_id]], {"extra": extra}, into=[DATASET])
        return rows[0] if rows else None

    async def scan(self, key: str, value: str) -> list[Any]:
        """All datasets below the parent, to find those with a user property."""
        options = {"extra": {"flat": True, "user_properties": True}}
        rows = await self.call("pool.dataset.query", [["id", "^", self._parent]], options, into=[DATASET])
        return [row for row in rows if row["user_properties"].get(key, {}).get("value") == value]

    async def set_properties(self, dataset_id: str, values: dict[str, str]) -> None:
        params = {"user_properties_update": user_properties(values)}
        await self.call("pool.dataset.update", dataset_id, params, into=DATASET)

    async def remove_property(self, dataset_id: str, key: str) -> None:
        params = {"user_properties_update": [{"key": key, "remove": True}]}
        await self.call("pool.dataset.update", dataset_id, params, into=DATASET)

    async def delete_dataset(self, dataset_id: str) -> None:
        assert await self.call("pool.dataset.delete", dataset_id, {"recursive": True, "force": True}, into=bool)

    async def create_volume(self, name: str, size: int = 0, *, snapshot: str = "", volume: str = "") -> dict[str, Any]:
        """CreateVolume."""
        size = size or GIB
        path = f"{self._parent}/{name}"
        found = await self.scan(VOLUME_NAME, name)
        if found:
            capacity = int(found[0]["user_properties"]["tns-csi:capacity_bytes"]["value"])
            if capacity != size:
                raise CsiError("ALREADY_EXISTS", path)
            return {"id": found[0]["id"], "capacity": capacity}
        try:
            if snapshot or volume:
                return await self._from_source(name, path, size, snapshot, volume)
            await self.call("pool.dataset.query", [["id", "^", path]], into=[DATASET])
            data = {"name": path, **CREATE[self.protocol], SIZE[self.protocol]: size}
            dataset = await self.call("pool.dataset.create", data, into=DATASET)
            return await self._export(name, dataset, size)
        except Refused as error:
            raise CsiError("INTERNAL", text_of(error)) from error

    async def _export(self, name: str, dataset: Any, size: int, *, clone: bool = False) -> dict[str, Any]:
        if self.protocol == "smb" and not clone:
            await self._set_acl(dataset["mountpoint"])
        make = {"nfs": self._share, "smb": self._share_smb, "iscsi": self._export_iscsi, "nvmeof": self._export_nvme}
        try:
            made = await make[self.protocol](name, dataset, size)
        except Refused:
            await self.delete_dataset(dataset["id"])
            raise
        values = {MANAGED_BY: "tns-csi", VOLUME_NAME: name, "tns-csi:capacity_bytes": str(size)}
        values |= {"tns-csi:protocol": self.protocol, "tns-csi:delete_strategy": "delete"}
        values |= {f"tns-csi:{key}": str(value) for key, value in made.items()}
        await self.set_properties(dataset["id"], values)
        return {"id": dataset["id"], "capacity": size, **made}

    async def _share(self, name: str, dataset: Any, size: int) -> dict[str, Any]:
        data = {"path": dataset["mountpoint"], "comment": f"CSI Volume: {name} | Capacity: {size}", "enabled": True}
        data |= {"maproot_user": "root", "maproot_group": "wheel"}
        row = await self.call("sharing.nfs.create", data, into=NFS_SHARE)
        return {"nfs_share_id": row["id"], "nfs_share_path": row["path"]}

    async def _set_acl(self, path: str) -> None:
        acl = [{"tag": tag, **ACL_ENTRY} for tag in ("owner@", "group@", "everyone@")]
        await self.wait_for_job(await self.call("filesystem.setacl", {"path": path, "dacl": acl}, into=int))

    async def _share_smb(self, name: str, dataset: Any, _size: int) -> dict[str, Any]:
        path = dataset["mountpoint"]
        data = {"name": name, "path": path, "comment": f"CSI Volume: {name}", "enabled": True}
        row = await self.call("sharing.smb.create", data, into=SMB_SHARE)
        assert await self.call("filesystem.getacl", path, into=Map(ANY))
        await self.call("sharing.smb.update", row["id"], {"enabled": True, "comment": "again"}, into=SMB_SHARE)
        await self.call("service.control", "RELOAD", "cifs", into=int)
        return {"smb_share_id": row["id"], "smb_share_name": row["name"]}

    async def _export_iscsi(self, name: str, dataset: Any, _size: int) -> dict[str, Any]:
        base = (await self.call("iscsi.global.config", into=ISCSI_GLOBAL))["basename"]
        extent_data = {"name": name, "type": "DISK", "disk": f"zvol/{dataset['id']}"}
        extent = await self.call("iscsi.extent.create", extent_data, into=EXTENT)
        portals = await self.call("iscsi.portal.query", into=[PORTAL])
        initiators = await self.call("iscsi.initiator.query", into=[INITIATOR])
        if not portals or not initiators:
            raise CsiError("FAILED_PRECONDITION", "no portal, or no initiator group")
        groups = [{"portal": portals[0]["id"], "initiator": initiators[0]["id"]}]
        target = await self.call("iscsi.target.create", {"name": name, "mode": "ISCSI", "groups": groups}, into=TARGET)
        link = {"target": target["id"], "extent": extent["id"], "lunid": 0}
        await self.call("iscsi.targetextent.create", link, into=TARGET_EXTENT)
        await self.call("service.control", "RELOAD", "iscsitarget", into=int)
        iqn = f"{base}:{target['name']}"
        return {"iscsi_iqn": iqn, "iscsi_target_id": target["id"], "iscsi_extent_id": extent["id"]}

    async def _export_nvme(self, name: str, dataset: Any, _size: int) -> dict[str, Any]:
        data = {"name": f"nqn.2137.csi.tns:{name}", "allow_any_host": True}
        subsys = await self.call("nvmet.subsys.create", data, into=SUBSYSTEM)
        ports = await self.call("nvmet.port.query", into=[PORT])
        if not ports:
            raise CsiError("FAILED_PRECONDITION", "no NVMe-oF port")
        binding = {"port_id": ports[0]["id"], "subsys_id": subsys["id"]}
        await self.call("nvmet.port_subsys.create", binding, into=Map(ANY))
        device = {"device_path": f"zvol/{dataset['id']}", "device_type": "ZVOL", "subsys_id": subsys["id"], "nsid": 1}
        namespace = await self.call("nvmet.namespace.create", device, into=NAMESPACE)
        assert namespace["nsid"] == 1, "the node mounts namespace 1 of a subsystem of its own"
        return {
            "nvmeof_subsystem_id": subsys["id"],
            "nvmeof_namespace_id": namespace["id"],
            "nvmeof_subsystem_nqn": subsys["subnqn"],
        }

    async def _from_source(self, name: str, path: str, size: int, snapshot: str, volume: str) -> dict[str, Any]:
        if volume:
            if await self.dataset(volume) is None:
                raise CsiError("NOT_FOUND", volume)
            data = {"dataset": volume, "name": f"csi-clone-{name}"}
            zfs_name = (await self.call("pool.snapshot.create", data, into=SNAPSHOT))["id"]
        else:
            zfs_name = snapshot.partition(":")[2]
            if not await self.call("pool.snapshot.query", [["id", "=", zfs_name]], into=[SNAPSHOT]):
                raise CsiError("NOT_FOUND", snapshot)
        params = {"snapshot": zfs_name, "dataset_dst": path}
        assert await self.call("pool.snapshot.clone", params, into=bool)
        (dataset,) = await self.call("pool.dataset.query", [["id", "=", path]], into=[DATASET])
        return await self._export(name, dataset, size, clone=True)

    async def wait_for_job(self, job_id: int) -> None:
        """Poll until the job ends; each look asks twice."""
        filters = [["id", "=", job_id]]
        for _ in range(100):
            await self.call("core.get_jobs", filters, into=[JOB])
            (job,) = await self.call("core.get_jobs", filters, into=[JOB])
            if job["state"] not in ("WAITING", "RUNNING"):
                assert job["state"] == "SUCCESS", job
                return
        raise AssertionError(f"job {job_id} does not end")

    async def delete_volume(self, volume_id: str) -> None:
        """DeleteVolume: what is not its own is refused, its snapshots keep a volume, the rest goes."""
        dataset = await self.dataset(volume_id)
        if dataset is None:
            return
        values = {key: prop["value"] for key, prop in dataset["user_properties"].items()}
        if values.get(MANAGED_BY) != "tns-csi":
            raise CsiError("FAILED_PRECONDITION", volume_id)
        if await self.call(
            "pool.snapshot.query", [["dataset", "=", volume_id]], {"select": ["id"]}, into=[{"id": str}]
        ):
            raise CsiError("FAILED_PRECONDITION", "it has snapshots")
        await self._unexport(values)
        try:
            await self.delete_dataset(volume_id)
        except Refused as error:
            if not is_not_found(error):
                raise CsiError("INTERNAL", text_of(error)) from error

    async def _unexport(self, values: dict[str, str]) -> None:
        if "tns-csi:iscsi_target_id" in values:
            target = int(values["tns-csi:iscsi_target_id"])
            rows = await self.call("iscsi.targetextent.query", [["target", "=", target]], into=[TARGET_EXTENT])
            for row in rows:
                assert await self.call("iscsi.targetextent.delete", row["id"], True, into=bool)
            assert await self.call("iscsi.target.delete", target, True, into=bool)
            extent = int(values["tns-csi:iscsi_extent_id"])
            assert await self.call("iscsi.extent.delete", extent, False, True, into=bool)
        if "tns-csi:nvmeof_subsystem_id" in values:
            subsys = int(values["tns-csi:nvmeof_subsystem_id"])
            namespace = int(values["tns-csi:nvmeof_namespace_id"])
            assert await self.call("nvmet.namespace.delete", namespace, into=bool)
            for row in await self.call("nvmet.port_subsys.query", into=[PORT_SUBSYSTEM]):
                if row["subsys"]["id"] == subsys:
                    assert await self.call("nvmet.port_subsys.delete", row["id"], into=bool)
            assert await self.call("nvmet.subsys.delete", subsys, into=bool)

    async def create_snapshot(self, name: str, source: str) -> str:
        """CreateSnapshot: looks for its short name in `name`, which has the full one on a real system."""
        if await self.dataset(source) is None:
            raise CsiError("NOT_FOUND", source)
        for found in await self.call("pool.snapshot.query", [["name", "=", name]], into=[SNAPSHOT]):
            if found["dataset"] != source:
                raise CsiError("ALREADY_EXISTS", found["id"])
            return f"{self.protocol}:{found['id']}"
        try:
            made = await self.call("pool.snapshot.create", {"dataset": source, "name": name}, into=SNAPSHOT)
        except Refused as error:
            raise CsiError("INTERNAL", text_of(error)) from error
        values = {MANAGED_BY: "tns-csi", "tns-csi:snapshot_id": name, "tns-csi:source_volume_id": source}
        params = {"user_properties_update": user_properties(values)}
        await self.call("pool.snapshot.update", made["id"], params, into=SNAPSHOT)
        return f"{self.protocol}:{made['id']}"

    async def delete_snapshot(self, snapshot_id: str) -> None:
        """DeleteSnapshot, deferred."""
        zfs_name = snapshot_id.partition(":")[2]
        if "@" not in zfs_name:
            return
        try:
            assert await self.call("pool.snapshot.delete", zfs_name, {"defer": True}, into=bool)
        except Refused as error:
            if not is_not_found(error):
                raise CsiError("INTERNAL", text_of(error)) from error

    async def list_snapshots(self, source: str) -> list[Any]:
        """ListSnapshots of one volume, with their properties."""
        options = {"extra": {"user_properties": True}}
        rows: list[Any] = await self.call("pool.snapshot.query", [["dataset", "=", source]], options, into=[SNAPSHOT])
        return rows

    async def list_volumes(self) -> dict[str, int]:
        """ListVolumes: its volumes, each with the free space for a size."""
        return {row["id"]: int(row["available"]["parsed"]) for row in await self.scan(MANAGED_BY, "tns-csi")}

    async def capacity(self) -> int:
        """GetCapacity."""
        (pool,) = await self.call("pool.query", [["name", "=", self._parent]], into=[POOL])
        return int(pool["properties"]["free"]["parsed"])

    async def expand_volume(self, volume_id: str, size: int) -> None:
        """ControllerExpandVolume."""
        params = {SIZE[self.protocol]: size}
        await self.call("pool.dataset.update", volume_id, params, into=DATASET)
