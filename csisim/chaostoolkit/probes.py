"""Probes: whether faults happened, and whether what should have survived them has."""

import fnmatch
import logging
from typing import Any

from csisim.chaostoolkit.connection import client
from csisim.chaostoolkit.consistency import contradictions
from csisim.control.client import FaultClient, Unreachable

__all__ = ["calls_waiting", "control_is_up", "faults_fired", "leftovers", "nothing_leaked", "volumes_consistent"]

Values = dict[str, Any]

_log = logging.getLogger("chaostoolkit")


def control_is_up(configuration: Values | None = None, secrets: Values | None = None) -> bool:
    """Whether the control server answers; with a wrong token it does not."""
    try:
        with client(configuration, secrets) as faults:
            faults.status()
    except Unreachable:
        return False
    return True


def faults_fired(
    rule: str = "", site: str = "*", configuration: Values | None = None, secrets: Values | None = None
) -> int:
    """How many faults have happened since csisim was started.

    Args:
        rule: name of a rule, in force or not; counted from the history then. All rules without.
        site: pattern of sites, such as `mount.*`.
        configuration: of the experiment.
        secrets: of the experiment.
    """
    with client(configuration, secrets) as faults:
        if not rule:
            return sum(each.fired for each in faults.sites(site))
        values = [event["value"] for event in all_events(faults, "fault")]
        return sum(each["rule"] == rule and fnmatch.fnmatchcase(each["site"], site) for each in values)


def calls_waiting(barrier: str = "", configuration: Values | None = None, secrets: Values | None = None) -> int:
    """How many calls hang at a barrier, or at any."""
    with client(configuration, secrets) as faults:
        return sum(each.waiting for each in faults.barriers() if barrier in {"", each.name})


def leftovers(configuration: Values | None = None, secrets: Values | None = None) -> list[str]:
    """Everything of volumes that the NAS and the nodes have: `dataset tank/csi/pvc-1`, `node-1: mount /var/...`."""
    with client(configuration, secrets) as faults:
        return faults.leftovers()


def nothing_leaked(configuration: Values | None = None, secrets: Values | None = None) -> bool:
    """Whether NAS and nodes have nothing of volumes any more; what there is goes to the log."""
    return _none("left over", leftovers(configuration, secrets))


def volumes_consistent(configuration: Values | None = None, secrets: Values | None = None) -> bool:
    """Whether the NAS has all whose creation was answered, and nothing whose deletion was.

    What a call is about that is under way, or whose outcome nobody knows, is left out. Fails where the history does
    not go back to the start any more.
    """
    with client(configuration, secrets) as faults:
        first = faults.events(limit=1).events
        if first and first[0]["seq"] != 1:
            raise RuntimeError(f"the history begins with event {first[0]['seq']}: earlier calls are forgotten")
        before = all_events(faults, "rpc")
        there = faults.leftovers()
        # A call that ran while the NAS was asked may have changed what it said.
        after = all_events(faults, "rpc", since=before[-1]["seq"] if before else 0)
        return _none("inconsistent", contradictions(before, there, meanwhile=after))


def all_events(faults: FaultClient, kind: str, since: int = 0) -> list[dict[str, Any]]:
    """All events of a kind after one."""
    found: list[dict[str, Any]] = []
    while True:
        page = faults.events(since=since, kinds=[kind])
        found += page.events
        if page.next >= page.last_seq or page.next == since:
            return found
        since = page.next


def _none(what: str, found: list[str]) -> bool:
    for each in found:
        _log.warning("csisim: %s: %s", what, each)
    return not found
