"""What makes a dataset reachable, per protocol: create or complete it, remove it, describe it to nodes.

NFS: one share. iSCSI: extent, target, targetextent. NVMe-oF: subsystem, namespace, port_subsys. Every part is named
after the volume's component, so a half-made set is found again by name. A dataset that was created a moment ago has
none yet, so the common path asks nothing first; otherwise each part is looked up, compared and, where missing, made.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from csisim.concurrency import together
from csisim.driver.parameters import Protocol as Transport
from csisim.errors import AlreadyExists, FailedPrecondition, NasRefused
from csisim.truenas.client import NasClient
from csisim.truenas.storage import Dataset, is_existing, is_missing

Row = dict[str, Any]
ISCSI_LUN = 0
NVME_NSID = 1


class Export(Protocol):
    """One protocol's way to reach a dataset."""

    async def ensure(self, dataset: Dataset, *, fresh: bool) -> None:
        """Create what is missing. `fresh`: the dataset was created by this very call."""

    async def remove(self, dataset: Dataset) -> None:
        """Remove everything that `ensure` made and that the NAS does not remove with the dataset; idempotent."""

    async def contexts(self, datasets: Iterable[Dataset]) -> list[dict[str, str]]:
        """The volume_context of each dataset, the same on every call."""

    async def missing(self, datasets: Iterable[Dataset]) -> dict[str, str]:
        """Dataset ids that nodes cannot reach, each with a CamelCase reason."""


class _Parts:
    """Looking up, creating and deleting rows of one namespace of the API."""

    def __init__(self, nas: NasClient, namespace: str) -> None:
        self._nas = nas
        self._namespace = namespace

    async def rows(self, *filters: list[Any], limit: int = 0) -> list[Row]:
        """Rows that match all filters."""
        options = {"limit": limit} if limit else {}
        found: list[Row] = await self._nas.query(f"{self._namespace}.query", list(filters), options)
        return found

    async def first(self, *filters: list[Any]) -> Row | None:
        """The one row that matches, or None."""
        found = await self.rows(*filters, limit=1)
        return found[0] if found else None

    async def ensure(self, find: Callable[[], Awaitable[Row | None]], fields: Row, *, fresh: bool) -> Row:
        """The row that `find` finds, created when it is not there.

        Raises:
            AlreadyExists: the NAS has something in its place that `find` does not take for ours.
        """
        if not fresh and (found := await find()) is not None:
            return found

        async def create() -> Row:
            try:
                row: Row = await self._nas.call(f"{self._namespace}.create", fields)
            except NasRefused as error:
                if not is_existing(error):
                    raise
                there = await find()
                if there is None:
                    reason = error.reason.strip()
                    raise AlreadyExists(f"{self._namespace}: in the way, and not ours: {reason}") from error
                return there
            return row

        return await self._nas.settle(create, find)

    async def delete(self, row: Row, *options: Any) -> None:
        """Delete a row; missing is fine."""
        try:
            await self._nas.call(f"{self._namespace}.delete", row["id"], *options)
        except NasRefused as error:
            if not is_missing(error):
                raise


class NfsExport:
    """A share of the dataset's mount point, open to all hosts."""

    def __init__(self, nas: NasClient, host: str) -> None:
        self._shares = _Parts(nas, "sharing.nfs")
        self._host = host

    async def ensure(self, dataset: Dataset, *, fresh: bool) -> None:
        """See `Export`. The NAS accepts a second share of one path, so an existing one must be looked for."""
        path = _mountpoint(dataset)
        fields = {"path": path, "comment": dataset.component, "maproot_user": "root", "maproot_group": "wheel"}
        share = await self._shares.ensure(lambda: self._only_share(path, dataset.component), fields, fresh=fresh)
        if not share.get("enabled", True) or share.get("ro"):
            raise FailedPrecondition(f"the share of {path} is disabled or read-only on the NAS; change it back")

    async def _only_share(self, path: str, component: str) -> Row | None:
        """Our share of a path; a second one, from a create whose answer was lost and which landed late, is removed."""
        found = await self._shares.rows(["path", "=", path], ["comment", "=", component])
        for surplus in found[1:]:
            await self._shares.delete(surplus)
        return found[0] if found else None

    async def remove(self, dataset: Dataset) -> None:
        """Nothing to do: the NAS removes shares with their dataset."""

    async def contexts(self, datasets: Iterable[Dataset]) -> list[dict[str, str]]:
        """See `Export`."""
        return [{"protocol": Transport.NFS, "server": self._host, "share": _mountpoint(each)} for each in datasets]

    async def missing(self, datasets: Iterable[Dataset]) -> dict[str, str]:
        """See `Export`."""
        wanted = {_mountpoint(each): each.id for each in datasets}
        shares = await self._shares.rows(["path", "in", list(wanted)])
        served = {row["path"] for row in shares if row.get("enabled", True)}
        return {dataset_id: "ShareMissing" for path, dataset_id in wanted.items() if path not in served}


class IscsiExport:
    """A target with one LUN on the NAS's first portal."""

    def __init__(self, nas: NasClient, host: str) -> None:
        self._nas = nas
        self._host = host
        self._extents = _Parts(nas, "iscsi.extent")
        self._targets = _Parts(nas, "iscsi.target")
        self._pairs = _Parts(nas, "iscsi.targetextent")

    async def ensure(self, dataset: Dataset, *, fresh: bool) -> None:
        """See `Export`."""
        name, disk = dataset.component, f"zvol/{dataset.id}"
        extent, target = await together(
            self._extents.ensure(
                lambda: self._extents.first(["name", "=", name]),
                {"name": name, "type": "DISK", "disk": disk},
                fresh=fresh,
            ),
            self._ensure_target(name, fresh=fresh),
        )
        if extent["disk"] != disk:
            raise AlreadyExists(f"iSCSI extent {name!r} exists on the NAS and serves {extent['disk']}, not {disk}")
        pair = {"target": target["id"], "extent": extent["id"], "lunid": ISCSI_LUN}
        await self._pairs.ensure(
            lambda: self._pairs.first(["target", "=", target["id"]], ["extent", "=", extent["id"]]), pair, fresh=fresh
        )

    async def _ensure_target(self, name: str, *, fresh: bool) -> Row:
        portals, initiators = await together(
            self._nas.query("iscsi.portal.query", [], {"order_by": ["id"], "limit": 1}),
            self._nas.query("iscsi.initiator.query", [["initiators", "=", []]], {"order_by": ["id"], "limit": 1}),
        )
        if not portals:
            raise FailedPrecondition("the NAS has no iSCSI portal; create one")
        group = {"portal": portals[0]["id"], "authmethod": "NONE", "auth": None}
        group["initiator"] = initiators[0]["id"] if initiators else None
        fields = {"name": name, "alias": _alias(name), "mode": "ISCSI", "groups": [group]}
        return await self._targets.ensure(lambda: self._our_target(name), fields, fresh=fresh)

    async def _our_target(self, name: str) -> Row | None:
        """The target of this name with the alias that only we give."""
        return await self._targets.first(["name", "=", name], ["alias", "=", _alias(name)])

    async def remove(self, dataset: Dataset) -> None:
        """See `Export`: target first, so that no session can begin, then the extent."""
        target = await self._our_target(dataset.component)
        if target is not None:
            await self._targets.delete(target, True)
        extent = await self._extents.first(["name", "=", dataset.component])
        if extent is not None and extent["disk"] == f"zvol/{dataset.id}":
            await self._extents.delete(extent, False, True)

    async def contexts(self, datasets: Iterable[Dataset]) -> list[dict[str, str]]:
        """See `Export`."""
        config = await self._nas.query("iscsi.global.config")
        portal = f"{self._host}:{config.get('listen_port') or 3260}"
        return [
            {
                "protocol": Transport.ISCSI,
                "portal": portal,
                "iqn": f"{config['basename']}:{each.component}",
                "lun": str(ISCSI_LUN),
            }
            for each in datasets
        ]

    async def missing(self, datasets: Iterable[Dataset]) -> dict[str, str]:
        """See `Export`."""
        wanted = {each.component: each.id for each in datasets}
        extents = {row["name"]: row["id"] for row in await self._extents.rows(["name", "in", list(wanted)])}
        targets = {row["name"] for row in await self._targets.rows(["name", "in", list(wanted)])}
        joined = {row["extent"] for row in await self._pairs.rows(["extent", "in", list(extents.values())])}
        missing = {}
        for name, dataset_id in wanted.items():
            if name not in targets:
                missing[dataset_id] = "TargetMissing"
            elif name not in extents:
                missing[dataset_id] = "ExtentMissing"
            elif extents[name] not in joined:
                missing[dataset_id] = "LunMissing"
        return missing


class NvmeofExport:
    """A subsystem with one namespace, on the NAS's first TCP port."""

    def __init__(self, nas: NasClient, host: str) -> None:
        self._nas = nas
        self._host = host
        self._subsystems = _Parts(nas, "nvmet.subsys")
        self._namespaces = _Parts(nas, "nvmet.namespace")
        self._ports = _Parts(nas, "nvmet.port")
        self._pairs = _Parts(nas, "nvmet.port_subsys")

    async def ensure(self, dataset: Dataset, *, fresh: bool) -> None:
        """See `Export`."""
        name, path = dataset.component, f"zvol/{dataset.id}"
        subsystem, port = await together(
            self._subsystems.ensure(
                lambda: self._subsystems.first(["name", "=", name]),
                {"name": name, "allow_any_host": True},
                fresh=fresh,
            ),
            self._port(),
        )
        namespace = {"subsys_id": subsystem["id"], "nsid": NVME_NSID, "device_type": "ZVOL", "device_path": path}
        of_subsystem = ["subsys.id", "=", subsystem["id"]]
        made, _ = await together(
            self._namespaces.ensure(lambda: self._namespaces.first(of_subsystem), namespace, fresh=fresh),
            self._pairs.ensure(
                lambda: self._pairs.first(of_subsystem, ["port.id", "=", port["id"]]),
                {"port_id": port["id"], "subsys_id": subsystem["id"]},
                fresh=fresh,
            ),
        )
        if made["device_path"] != path:
            raise AlreadyExists(f"NVMe-oF subsystem {name!r} exists and serves {made['device_path']}, not {path}")

    async def _port(self) -> Row:
        port = await self._ports.first(["addr_trtype", "=", "TCP"])
        if port is None:
            raise FailedPrecondition("the NAS has no NVMe-oF TCP port; create one")
        return port

    async def remove(self, dataset: Dataset) -> None:
        """See `Export`. Only a subsystem that serves this dataset, or nothing yet, is ours."""
        subsystem = await self._subsystems.first(["name", "=", dataset.component])
        if subsystem is None:
            return
        served = await self._namespaces.rows(["subsys.id", "=", subsystem["id"]])
        if all(row["device_path"] == f"zvol/{dataset.id}" for row in served):
            await self._subsystems.delete(subsystem, {"force": True})

    async def contexts(self, datasets: Iterable[Dataset]) -> list[dict[str, str]]:
        """See `Export`."""
        config, port = await together(self._nas.query("nvmet.global.config"), self._port())
        return [
            {
                "protocol": Transport.NVMEOF,
                "address": self._host,
                "port": str(port["addr_trsvcid"]),
                "nqn": f"{config['basenqn']}:{each.component}",
                "nsid": str(NVME_NSID),
            }
            for each in datasets
        ]

    async def missing(self, datasets: Iterable[Dataset]) -> dict[str, str]:
        """See `Export`."""
        wanted = {f"zvol/{each.id}": each.id for each in datasets}
        namespaces = await self._namespaces.rows(["device_path", "in", list(wanted)])
        subsystems = {row["device_path"]: row["subsys"]["id"] for row in namespaces}
        pairs = await self._pairs.rows(["subsys.id", "in", list(subsystems.values())])
        reachable = {row["subsys"]["id"] for row in pairs}
        missing = {}
        for path, dataset_id in wanted.items():
            if path not in subsystems:
                missing[dataset_id] = "NamespaceMissing"
            elif subsystems[path] not in reachable:
                missing[dataset_id] = "PortMissing"
        return missing


def exports(nas: NasClient, host: str) -> Mapping[Transport, Export]:
    """Every protocol's export on one NAS, reached at `host`."""
    return {
        Transport.NFS: NfsExport(nas, host),
        Transport.ISCSI: IscsiExport(nas, host),
        Transport.NVMEOF: NvmeofExport(nas, host),
    }


def _alias(name: str) -> str:
    return f"csisim:{name}"


def _mountpoint(dataset: Dataset) -> str:
    return f"/mnt/{dataset.id}"
