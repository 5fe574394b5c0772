"""M-SHARESCAN: all NFS shares are fetched to find one."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from csisim.driver.exports import Export, NfsExport, exports
from csisim.driver.parameters import Protocol
from csisim.mutants.mutant import Mutant
from csisim.truenas.client import NasClient


class ScanningNfs(NfsExport):
    """Looks through the shares itself."""

    async def _only_share(self, path: str, component: str) -> dict[str, Any] | None:
        rows = await self._shares.rows()
        return next((row for row in rows if (row["path"], row["comment"]) == (path, component)), None)


def _exports(nas: NasClient, host: str) -> Mapping[Protocol, Export]:
    return {**exports(nas, host), Protocol.NFS: ScanningNfs(nas, host)}


MUTANT = Mutant(
    name="M-SHARESCAN",
    origin="review of a TrueNAS CSI driver, PERF-003",
    idea="The NAS cannot look for a path, and the list of shares is short.",
    oracle=("cost",),
    plan={"protocols": ("nfs",)},
    seed=4,
    change=lambda parts: replace(parts, exports=_exports),
)
