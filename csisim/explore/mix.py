"""What the runs of a campaign are like: a plan for every seed."""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from csisim.runs.pace import pace_of
from csisim.runs.plan import PROTOCOLS, BadPlan, RunPlan
from csisim.sim.streams import Streams

_SIZES: Final[Mapping[str, tuple[Mapping[str, Any], int]]] = {
    "3 x 5": ({"clients": 3, "operations": 5, "volumes": 2}, 60),
    "3 x 5, one volume": ({"clients": 3, "operations": 5, "volumes": 1}, 14),
    "6 x 10": ({"clients": 6, "operations": 10, "volumes": 3}, 10),
    "8 x 20": ({"clients": 8, "operations": 20, "volumes": 4}, 4),
    "orchestrator": ({"workload": "co", "clients": 2, "operations": 6, "volumes": 2}, 9),
    "orchestrator, busy": ({"workload": "co", "clients": 4, "operations": 12, "volumes": 3}, 3),
}
"""By name: members of the plan, and how many of a hundred runs are so. Most bugs need few clients, some need many."""

_PLAGUED: Final = 0.2
_PLAGUES: Final[Mapping[str, tuple[Mapping[str, Any], int]]] = {
    "volumes stay busy": ({
        "workload": "co", "clients": 4, "operations": 12, "volumes": 3, "faults": ("mount.umount: 85%error(EBUSY)",),
    }, 4),
    "devices come late": ({"protocols": ("iscsi", "nvmeof"), "faults": ("device.present: ready({40})",)}, 1),
    "devices do not come": ({
        "workload": "co", "clients": 2, "operations": 6, "volumes": 2, "protocols": ("iscsi", "nvmeof"),
        "faults": ("device.present: ready({200})",),
    }, 2),
    "the NAS does not store": ({"faults": ("nas.pool.dataset.update.apply: 20%error(EIO)",)}, 1),
    "the NAS hangs up having stored": ({"faults": ("nas.pool.dataset.update.reply: 30%disconnect(rst)",)}, 2),
    "targets stay busy": ({
        "workload": "co", "clients": 4, "operations": 12, "volumes": 3, "protocols": ("iscsi", "nvmeof"),
        "faults": ("nas.iscsi.target.delete.request: 50%error(EIO)", "nas.nvmet.subsys.delete.request: 50%error(EIO)"),
    }, 4),
    "the NAS crashes again and again": ({"faults": ("process.nas: 5%crash(nas, {20})",)}, 1),
    "the NAS deletes slowly, and many want one volume": ({
        "workload": "clients", "clients": 8, "operations": 6, "volumes": 1, "protocols": ("iscsi", "nvmeof"),
        "faults": ("nas.pool.dataset.delete.request: 60%delay({0.1})",),
    }, 2),
    "nothing fails, and many want one volume": ({
        "workload": "clients", "clients": 6, "operations": 8, "volumes": 1, "faults": ("none",),
    }, 2),
}  # fmt: skip
"""By name: one thing that goes wrong again and again, where it hurts, who is there then, and how often it is drawn.

Braces are for seconds.
"""

_SECONDS: Final = re.compile(r"\{([\d.]+)\}")

_NODES: Final = ((2, 80), (1, 10), (3, 10))
_ONE_PROTOCOL: Final = 0.2
_NO_MEMBERS: Final = ("seed", "tape", "manifests", "only")


@dataclass(frozen=True, slots=True)
class Mix:
    """Sizes, workloads, nodes and protocols drawn by the seed; so are strategy and faults, by the run itself.

    Attributes:
        fixed: members of `RunPlan` that are the same in all runs, instead of drawn.

    Raises:
        BadPlan: a member is no such thing, or has a wrong value.
    """

    fixed: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.fixed:
            if name in _NO_MEMBERS:
                raise BadPlan(f"{name}: it cannot be the same in all runs of a campaign")
        self.plan_of(0)

    def plan_of(self, seed: int) -> RunPlan:
        """The run of a seed."""
        rng = Streams(seed).stream("mix")
        drawn = {"protocols": _protocols(rng), "nodes": _drawn(rng, _NODES)} | _drawn(rng, self._sizes())
        if rng.random() < _PLAGUED:
            drawn |= self._plague(rng)
        return RunPlan.from_json({"seed": seed, **drawn, **self.fixed})

    def _sizes(self) -> tuple[tuple[Mapping[str, Any], int], ...]:
        """The sizes of the workload that is fixed, if it is."""
        wanted = self.fixed.get("workload")
        sizes = tuple(_SIZES.values())
        own = tuple((members, share) for members, share in sizes if members.get("workload", "clients") == wanted)
        return own or sizes

    def _plague(self, rng: random.Random) -> Mapping[str, Any]:
        """One of those that go with the workload that is fixed, if it is; shorter where everybody makes haste."""
        wanted = self.fixed.get("workload")
        own = tuple(each for each in _PLAGUES.values() if wanted in {None, each[0].get("workload", wanted)})
        times = pace_of(real=bool(self.fixed.get("real")), patient=bool(self.fixed.get("patient"))).times
        chosen = _drawn(rng, own)
        shown = lambda match: f"{max(1, round(1000 * times * float(match[1])))}ms"  # noqa: E731
        return {**chosen, "faults": tuple(_SECONDS.sub(shown, rule) for rule in chosen["faults"])}

    def to_json(self) -> dict[str, Any]:
        """Plain data; equal for equal mixes."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in sorted(self.fixed.items())}

    @classmethod
    def from_json(cls, found: Any) -> Self:
        """Read back what `to_json` gave.

        Raises:
            BadPlan: it is not such data; says what is wrong.
        """
        if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
            raise BadPlan(f"a mix is an object, not {str(found)[:80]!r}")
        return cls({key: tuple(value) if isinstance(value, list) else value for key, value in found.items()})


def _drawn(rng: random.Random, choices: tuple[tuple[Any, int], ...]) -> Any:
    values, shares = zip(*choices, strict=True)
    return rng.choices(values, shares)[0]


def _protocols(rng: random.Random) -> tuple[str, ...]:
    return (rng.choice(PROTOCOLS),) if rng.random() < _ONE_PROTOCOL else PROTOCOLS
