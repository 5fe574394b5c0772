"""What is left on the NAS and on the nodes: the other side's view of what a driver did."""

from collections.abc import Mapping
from typing import Any, Protocol

from csisim.sim.host import SimHost

SHARING = (
    ("nfs share", "sharing.nfs.query", "path"),
    ("iscsi target", "iscsi.target.query", "name"),
    ("iscsi extent", "iscsi.extent.query", "name"),
    ("iscsi target-extent", "iscsi.targetextent.query", "id"),
    ("nvmet subsystem", "nvmet.subsys.query", "name"),
    ("nvmet namespace", "nvmet.namespace.query", "device_path"),
    ("nvmet port-subsystem", "nvmet.port_subsys.query", "id"),
)
"""Kind of object, its query method, and the field that names one."""


class Queries(Protocol):
    """What reads from the NAS: a client of it."""

    async def query(self, method: str, *params: Any) -> Any:
        """Call a method that only reads."""


async def nas_leftovers(nas: Queries, root_dataset: str) -> list[str]:
    """Everything that volumes are made of and that is still there: `dataset tank/csi/pvc-1`, sorted by kind.

    Args:
        nas: any client of the NAS; it should not be the driver's.
        root_dataset: itself not counted.
    """
    below: list[Any] = [["id", "^", f"{root_dataset}/"]]
    datasets = await nas.query("pool.dataset.query", below, {"select": ["id"], "extra": {"flat": True}})
    found = [f"dataset {row['id']}" for row in datasets]
    # A neighbour's name may begin with the root's.
    of_ours: list[Any] = [["OR", [["dataset", "=", root_dataset], ["dataset", "^", f"{root_dataset}/"]]]]
    snapshots = await nas.query("pool.snapshot.query", of_ours, {"select": ["id"]})
    found += [f"snapshot {row['id']}" for row in snapshots]
    for kind, method, name in SHARING:
        found += [f"{kind} {row[name]}" for row in await nas.query(method, [], {})]
    return found


async def host_leftovers(hosts: Mapping[str, SimHost]) -> list[str]:
    """Mounts, device sessions and records that nodes still have: `node-1: mount /var/...`."""
    found = []
    for node_id, host in hosts.items():
        found += [f"{node_id}: mount {point.path}" for point in host.mounter.all_mounts()]
        found += [f"{node_id}: session {row['device']}" for row in host.devices.rows()]
        found += [f"{node_id}: record {name}" for name in await host.files.names()]
    return found
