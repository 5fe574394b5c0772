"""M-NOPAGE: everything is fetched for each page of a list."""

from dataclasses import replace

from csisim.driver.records import Volume
from csisim.driver.volumes import Volumes
from csisim.mutants.mutant import Mutant


class WholeVolumes(Volumes):
    """Cuts the page out of the whole list."""

    async def page(self, after: str, limit: int) -> list[Volume]:
        """See the module."""
        found = [each for each in await super().page("", 0) if each.id > after]
        return found[:limit] if limit else found


MUTANT = Mutant(
    name="M-NOPAGE",
    origin="review of a TrueNAS CSI driver, PERF-002",
    idea="Pages are for the caller, and the NAS can give everything at once.",
    oracle=("cost",),
    plan={"volumes": 4},
    seed=74,
    change=lambda parts: replace(parts, volumes=WholeVolumes),
)
