"""The faults of one process: what it starts with, and the plane and history that are made of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from csisim.events import History
from csisim.faults.model import Rule
from csisim.faults.plane import FaultPlane, Firing
from csisim.faults.sites import Catalogue, Site


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSettings:
    """Faults of a cluster or a proxy.

    Attributes:
        rules: in force from the start.
        seed: of all decisions.
        metadata: whether a call may ask for its own fault, by gRPC metadata.
        history_limit: how many events are kept.
        trace: whether a cluster notes its insides too: locks, parameters of NAS calls, what really happened, races.
    """

    rules: tuple[Rule, ...] = ()
    seed: int = 0
    metadata: bool = False
    history_limit: int | None = 100_000
    trace: bool = False


def recorded_plane(
    settings: FaultSettings, sites: Iterable[Site], now: Callable[[], float]
) -> tuple[FaultPlane, History]:
    """A plane with the rules of the settings, and the history in which every firing is noted.

    Args:
        settings: of the faults.
        sites: what rules can be for.
        now: seconds; loop time.

    Raises:
        ValueError: a rule could not be honoured.
    """
    history = History(now, limit=settings.history_limit)

    def note(firing: Firing) -> None:
        where = firing.passing
        history.add("info", "fault", where.site, parent=where.call_id, process=where.node, value=firing.to_json())

    plane = FaultPlane(Catalogue(sites), seed=settings.seed, now=now, on_fire=note)
    plane.add_all(settings.rules)
    return plane, history
