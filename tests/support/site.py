"""A NAS, a driver on it, and a client: what a robustness test works on."""

import json
import os.path
from dataclasses import dataclass
from pathlib import Path

from tests.support.nas import Nas, Relay
from tests.support.orchestrator import Orchestrator
from tests.support.processes import Server
from tests.support.rpc import AsyncClient


@dataclass
class Site:
    """One machine's worth: a NAS that keeps its data, a driver, a client and the orchestrator on it.

    Attributes:
        relay: between driver and NAS, where the test asked for one.
    """

    directory: Path
    port: int
    backend: Server
    plugin: Server
    client: AsyncClient
    co: Orchestrator
    relay: Relay | None = None

    @property
    def mounts(self) -> Path:
        """Where this site's staging and target paths are; empty when everything is taken down."""
        path = self.directory / "mounts"
        path.mkdir(exist_ok=True)
        return path

    def paths(self, name: str) -> tuple[str, str]:
        """Staging and target path of a volume; the first exists, as the specification wants from the orchestrator."""
        staging, target = self.mounts / f"{name}-staging", self.mounts / f"{name}-target"
        staging.mkdir(exist_ok=True)
        return str(staging), str(target)

    async def nothing_left(self) -> None:
        """Delete what there is, then neither NAS nor host may show anything of it."""
        await self.co.delete_everything()
        async with Nas(self.port) as look:
            assert await look.inventory() == {}
        assert list(self.mounts.iterdir()) == []
        self.host_is_clean()

    def host_is_clean(self) -> None:
        """No record of a staged volume, no row in the mount table, no session with a target."""
        state = self.directory / "state"
        assert list(state.rglob("*.record*")) == []
        for kernel in state.rglob("kernel.json"):
            assert json.loads(kernel.read_text()) == {"mounts": [], "sessions": []}


def is_there(path: str) -> bool:
    """Whether anything is at this path."""
    return os.path.lexists(path)
