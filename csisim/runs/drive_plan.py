"""Everything that defines how somebody else's driver is driven, checked before it is touched."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from csisim.co.objects import ACCESS_MODES, RWO
from csisim.co.plans import GIB
from csisim.endpoint import Endpoint
from csisim.runs.plan import BadPlan

WORKLOADS: Final = ("co", "clients")
VOLUME_MODES: Final = ("both", "Filesystem", "Block")

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", re.ASCII)
_RUN: Final = re.compile(r"[0-9a-f]{8}", re.ASCII)
_MOST_USERS: Final = 100
_MOST_ROUNDS: Final = 1000
_MOST_NODES: Final = 32
_MOST_BYTES: Final = 1 << 50
_LONGEST_S: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DrivePlan:
    """A run against a driver on real sockets.

    Attributes:
        controller: where its controller service listens.
        nodes: where its node services listen, by the names of their nodes; none for no pods.
        guessed: the nodes were not named: one that turns out to have no node service is left out.
        run: eight hex digits with which the uid of every object begins, so that the names of all volumes and snapshots
            show whose they are; not used by any other run.
        seed: of content and pauses.
        manifests: files of Kubernetes manifests; none for the built-in intents.
        workload: "co" has an orchestrator bring intents about; "clients" has clients make random calls.
        users, rounds: how many users want the built-in intents, each that often; of clients, and calls of each.
        parameters: of the StorageClass, `csi.storage.k8s.io/...` included.
        secrets: by name; never shown.
        access_mode: of claims.
        volume_mode: of claims; both: raw volumes too, if the driver takes them.
        fs_type: of file systems; "" leaves it to the driver.
        size_bytes: of a claim at first; it grows by as much.
        timeout_s: the longest that anything may take to come true.
        speed: pauses between calls are this many times shorter than those of Kubernetes.
        patience: factor on the time-outs of calls.
        kubelet_dir: where directories of kubelets are made; "" for a temporary one.
        proxy_control: URL of the control server of a `csisim proxy` on the way; "" for none.
        rules: faults of the safety phase, for that proxy.

    Raises:
        BadPlan: a value is not allowed.
    """

    controller: Endpoint
    nodes: Mapping[str, Endpoint] = field(default_factory=dict)
    guessed: bool = False
    run: str
    seed: int = 0
    manifests: tuple[str, ...] = ()
    workload: str = "co"
    users: int = 2
    rounds: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    access_mode: str = RWO
    volume_mode: str = "both"
    fs_type: str = ""
    size_bytes: int = GIB
    timeout_s: float = 120.0
    speed: float = 10.0
    patience: float = 1.0
    kubelet_dir: str = ""
    proxy_control: str = ""
    rules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.nodes:
            if not _NAME.fullmatch(name):
                raise BadPlan(f"node: {name[:80]!r} is no name: lower-case letters, digits, '-' and '.', at most 63")
        if len(self.nodes) > _MOST_NODES:
            raise BadPlan(f"node: {len(self.nodes)} are more than {_MOST_NODES}")
        if not _RUN.fullmatch(self.run):
            raise BadPlan(f"run: {self.run[:80]!r} is not eight hex digits")
        _one_of("workload", self.workload, WORKLOADS)
        _one_of("access-mode", self.access_mode, ACCESS_MODES)
        _one_of("volume-mode", self.volume_mode, VOLUME_MODES)
        _between("size", self.users, 1, _MOST_USERS)
        _between("size", self.rounds, 0, _MOST_ROUNDS)
        _between("size-bytes", self.size_bytes, 1, _MOST_BYTES)
        _between("timeout", self.timeout_s, 0.1, _LONGEST_S)
        _between("speed", self.speed, 0.01, 10_000)
        _between("patience", self.patience, 0.001, 1000)
        if self.manifests and self.workload != "co":
            raise BadPlan(f"file: the workload is {self.workload!r}, and only co reads manifests")
        if self.rules and not self.proxy_control:
            raise BadPlan("faults: they come from a csisim proxy; say with --proxy-control where it is controlled")
        if self.kubelet_dir and not self.kubelet_dir.startswith("/"):
            raise BadPlan(f"kubelet-dir: {self.kubelet_dir[:80]!r} is not an absolute path")

    def secret_texts(self) -> tuple[str, ...]:
        """What must not turn up anywhere, as far as it is long enough to be told from other texts."""
        return tuple(text for each in self.secrets.values() for text in each.values() if len(text) >= 4)

    def to_json(self) -> dict[str, Any]:
        """Plain data without secrets; with what a reader of run reports expects of a plan."""
        return {
            "endpoint": str(self.controller),
            "node_endpoints": {name: str(where) for name, where in self.nodes.items()},
            "nodes": len(self.nodes),
            "run": self.run,
            "seed": self.seed,
            "manifests": list(self.manifests),
            "workload": self.workload,
            "clients": self.users,
            "operations": self.rounds,
            "volumes": self.users,
            "parameters": dict(self.parameters),
            "secrets": sorted(self.secrets),
            "access_mode": self.access_mode,
            "volume_mode": self.volume_mode,
            "fs_type": self.fs_type,
            "size_bytes": self.size_bytes,
            "timeout_s": self.timeout_s,
            "speed": self.speed,
            "patience": self.patience,
            "kubelet_dir": self.kubelet_dir,
            "proxy_control": self.proxy_control,
            "faults": list(self.rules) or ["none"],
            "real": True,
        }


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise BadPlan(f"{name}: {value[:80]!r} is not one of {', '.join(allowed)}")


def _between(name: str, value: float, lowest: float, highest: float) -> None:
    if not math.isfinite(value) or not lowest <= value <= highest:
        raise BadPlan(f"{name}: {value:g} is not from {lowest:g} to {highest:g}")
