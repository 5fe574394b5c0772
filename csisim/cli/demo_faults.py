"""What the demo breaks on the way: the websocket, in the middle of calls, and an unmount.

Both are rules of the fault plane, as anybody could give them. The driver knows of neither.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from csisim.cluster.injection import Injection as Injected
from csisim.events import Event
from csisim.faults.grammar import parse_rule
from csisim.faults.model import quoted
from csisim.sim.host import SimHost

# More than the node service tries by itself within one call, so that a caller gets to see it.
UNMOUNT_REFUSALS = 6
_CROWD = 6


@dataclass(frozen=True, slots=True)
class Injection:
    """One fault that was injected.

    Attributes:
        what: for the report.
        at_s: loop time.
        in_flight: calls to the NAS that were running; 0 for other faults.
        subject: the volume whose callers it hits, "" where it hits whatever is running.
    """

    what: str
    at_s: float
    in_flight: int = 0
    subject: str = ""


class DemoFaults:
    """Gives the rules, and notes from the history what became of them.

    Args:
        injected: the cluster's plane and history.
        hosts: the machines, by node id.

    Attributes:
        injections: what has happened, in order.
        still_mounted: whether after each refused unmount the mount was there.
    """

    def __init__(self, injected: Injected, hosts: Mapping[str, SimHost]) -> None:
        self.injections: list[Injection] = []
        self.still_mounted: list[bool] = []
        self._plane = injected.plane
        self._hosts = hosts
        self._running: dict[str, None] = {}
        self._busy: dict[str, tuple[str, str, str]] = {}
        injected.history.listen(self._hear)

    def cut_link(self, change: str) -> None:
        """Cut the websocket after such a change, before its answer leaves, while others run.

        Args:
            change: create, update or delete.
        """
        # Some calls are held up a little, so that they are there together.
        self._plane.add(parse_rule(f"nas.*.{change}.request: +1 {_CROWD}*stall(20ms)"))
        self._plane.add(parse_rule(f"nas.*.{change}.reply: +1 1*disconnect(rst)"))

    def keep_busy(self, node_id: str, path: str, subject: str) -> None:
        """Refuse to unmount a path a few times, as a kernel does while a process has a file open there.

        Args:
            node_id: where.
            path: what is not to be unmounted.
            subject: the volume that is mounted there.
        """
        only = quoted(f"subject == {path!r}")
        rule = parse_rule(f"mount.umount{{node={node_id}, when={only}}}: {UNMOUNT_REFUSALS}*error(EBUSY)")
        self._busy[self._plane.add(rule).rule.name] = node_id, os.path.realpath(path), subject

    def _hear(self, event: Event) -> None:
        if event.kind == "nas":
            if event.type == "invoke":
                self._running[event.call] = None
            else:
                self._running.pop(event.call, None)
        elif event.kind == "fault":
            value = event.to_json()["value"]
            if value["action"].startswith("disconnect"):
                self.injections.append(Injection("websocket cut", event.at_s, in_flight=len(self._running)))
            elif value["rule"] in self._busy:
                node_id, path, subject = self._busy[value["rule"]]
                self.injections.append(Injection("unmount refused (EBUSY)", event.at_s, subject=subject))
                mounted = [point.path for point in self._hosts[node_id].mounter.all_mounts()]
                self.still_mounted.append(path in mounted)
