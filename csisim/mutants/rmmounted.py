"""M-RMMOUNTED: the staging directory is removed with all that is in it, though it could not be unmounted."""

import logging
from dataclasses import replace
from typing import Any

from csisim.driver.node import NodeService
from csisim.driver.node_staging import Staging
from csisim.errors import Aborted
from csisim.host import NodeHost
from csisim.mutants.mutant import Mutant
from csisim.sim.host import SimHost

_log = logging.getLogger(__name__)


class Shell:
    """The machine's mounts and paths, with `rm -r`."""

    def __init__(self, host: NodeHost, machine: SimHost) -> None:
        self._mounter = host.mounter
        self._content = machine.content

    async def remove_all(self, path: str) -> None:
        """Remove everything below a path, wherever mounts lead."""
        for name in await self._content.names(path):
            await self._content.remove(path, name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mounter, name)


class TidyStaging(Staging):
    """Leaves nothing behind."""

    async def unstage(self, volume_id: str, staging_path: str) -> None:
        """See the module."""
        try:
            await super().unstage(volume_id, staging_path)
        except Aborted as error:
            _log.warning("volume %s: removed nevertheless: %s", volume_id, error)
            shell: Any = self._host.mounter
            await shell.remove_all(staging_path)
            raise


class Node(NodeService):
    """With such an end."""

    staging_kind = TidyStaging


def _with_shell(_node_id: str, host: NodeHost, machine: SimHost) -> NodeHost:
    shell: Any = Shell(host, machine)
    return replace(host, mounter=shell)


MUTANT = Mutant(
    name="M-RMMOUNTED",
    origin="review of a TrueNAS CSI driver, BUG-003: data loss",
    idea="What cannot be unmounted is not mounted, so its directory can be removed.",
    oracle=("I1",),
    plan={"workload": "co", "faults": ("mount.umount: 85%error(EBUSY)",)},
    seed=70,
    change=lambda parts: replace(parts, node=Node, host=_with_shell),
)
