"""Something to control: a real plane and a real history that belong to a double."""

import asyncio
from dataclasses import dataclass, field

from csisim.faults.settings import FaultSettings, recorded_plane
from csisim.faults.sites import clock_sites, host_sites, link_sites, nas_sites, process_sites, rpc_sites


@dataclass
class World:
    """See `csisim.control.controlled.Controlled`; notes what it was asked to do."""

    driver_name: str = "csi.example.org"
    endpoints: tuple[str, ...] = ("unix:///tmp/csi.sock",)
    links: dict[str, str] = field(default_factory=lambda: {"nas": "127.0.0.1:6000"})
    asked: list = field(default_factory=list)
    left: list = field(default_factory=lambda: ["dataset tank/csi/pvc-1"])
    crashing: asyncio.Event | None = None

    def __post_init__(self):
        nas = ["pool.dataset.create", "pool.dataset.query"]
        sites = [
            *rpc_sites(local=True),
            *link_sites(),
            *host_sites(),
            *process_sites(),
            *nas_sites(nas),
            *clock_sites(),
        ]
        loop = asyncio.get_running_loop()
        self.plane, self.history = recorded_plane(FaultSettings(seed=7), sites, loop.time)

    async def crash(self, what, node_id, down_s):
        if what == "node" and node_id == "nowhere":
            raise ValueError("node nowhere is not part of this process")
        self.asked.append(("crash", what, node_id, down_s))
        if self.crashing is not None:
            await self.crashing.wait()

    async def leftovers(self):
        if isinstance(self.left, Exception):
            raise self.left
        return self.left

    def disconnect_nas(self):
        if not self.links:
            raise ValueError("there is no connection to a NAS here")
        self.asked.append(("disconnect-nas",))
        return 2
