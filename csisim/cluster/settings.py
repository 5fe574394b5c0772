"""What a cluster consists of: plain data, checked here so that every front end refuses the same values."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from csisim.driver.config import DriverConfig
from csisim.endpoint import Endpoint
from csisim.truenas.settings import NasSettings
from fake_truenas.config import Pool
from fake_truenas.latency import Distribution, LatencyRule

_UNITS = {"": 1, **{f"{prefix}{suffix}": (1024 if "i" in suffix or not suffix else 1000) ** power
                    for power, prefix in enumerate("KMGTP", start=1) for suffix in ("", "i", "iB", "B")}}  # fmt: skip
_SIZE = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,3}))?([A-Za-z]*)")
_NODE_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,190}[A-Za-z0-9])?")
_DRIVER_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9._-]{0,61}[A-Za-z])?")
_DATASET = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,49}(?:/[A-Za-z0-9_.-]{1,60}){1,6}")
_ZONE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


class ClusterError(Exception):
    """The cluster cannot be started as it is configured; the text says why and what to do."""


class Mode(StrEnum):
    """Which services a process offers."""

    ALL = "all"
    CONTROLLER = "controller"
    NODE = "node"

    @property
    def has_controller(self) -> bool:
        """Whether the controller services are offered."""
        return self is not Mode.NODE

    @property
    def has_nodes(self) -> bool:
        """Whether the node service is offered."""
        return self is not Mode.CONTROLLER


def as_they_are(settings: NasSettings) -> NasSettings:
    """The NAS client's patience as it is by default."""
    return settings


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedNas:
    """A NAS inside this process, on a loopback port that the system chooses.

    Attributes:
        pools: where it keeps its datasets.
        tune: may change how patient the driver's client is with it.
        latency: how long its calls take.
    """

    pools: tuple[Pool, ...] = (Pool("tank", 1 << 40),)
    latency: tuple[LatencyRule, ...] = ()
    tune: Callable[[NasSettings], NasSettings] = as_they_are


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """Everything that a composition root needs to know.

    Attributes:
        driver: as the services read it; `known_nodes` is filled in where the nodes are in the same process.
        mode: which services this process offers.
        node_ids: nodes of this process; the first shares the main socket, the others have one each.
        endpoint: the main socket; None for one in the private directory of this cluster.
        nas: how to reach a NAS, or one to be started inside.
        state_dir: keeps everything over a restart; None keeps nothing.
        grace_period_s: how long running calls may take when the cluster is stopped.
        device_delay_s: time from login to device node on the simulated hosts.
    """

    driver: DriverConfig = field(default_factory=DriverConfig)
    mode: Mode = Mode.ALL
    node_ids: tuple[str, ...] = ("node-1",)
    endpoint: Endpoint | None = None
    nas: EmbeddedNas | NasSettings = field(default_factory=EmbeddedNas)
    state_dir: Path | None = None
    grace_period_s: float = 10.0
    device_delay_s: float = 0.0

    def __post_init__(self) -> None:
        if len(set(self.node_ids)) != len(self.node_ids):
            raise ValueError(f"node ids are not distinct: {', '.join(self.node_ids)}")
        if self.mode.has_nodes and not self.node_ids:
            raise ValueError(f"mode {self.mode} needs at least one node")
        if isinstance(self.nas, EmbeddedNas) and self.driver.pool not in [pool.name for pool in self.nas.pools]:
            raise ValueError(
                f"root dataset {self.driver.root_dataset!r} is not on a pool of the embedded NAS: "
                f"{', '.join(pool.name for pool in self.nas.pools)}"
            )


def impatient(settings: NasSettings, *, overdue_s: float, landing_s: float) -> NasSettings:
    """The NAS client's patience for a NAS on the same machine: a run by the real clock takes no longer than it must.

    Args:
        settings: to be changed.
        overdue_s: see `NasSettings`; 15 by default there.
        landing_s: the same; 1 by default there.
    """
    return replace(
        settings,
        overdue_s=overdue_s,
        landing_s=landing_s,
        backoff_s=0.02,
        backoff_max_s=0.1,
        backoff_refused_s=0.05,
        stable_s=0.5,
        job_poll_s=0.1,
        close_timeout_s=0.2,
    )


def all_calls_take(shortest_s: float, longest_s: float) -> tuple[LatencyRule, ...]:
    """The latency of a NAS whose calls all take about the same time, in seconds."""
    return (LatencyRule("*", Distribution("uniform", shortest_s, longest_s)),)


def parse_size(text: str) -> int:
    """Bytes from `1TiB`, `500GB`, `1.5Gi` or a plain number; K, M, G, T and P alone mean powers of 1024.

    Raises:
        ValueError: says what is allowed.
    """
    match = _SIZE.fullmatch(text)
    unit = None if match is None else _UNITS.get(match[3])
    if match is None or unit is None:
        raise ValueError(f"{text!r} is not a size such as 1TiB, 500GB or 1073741824")
    fraction = match[2] or ""
    whole: int = int(match[1]) * unit
    return whole + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)


def parse_pools(texts: Sequence[str]) -> tuple[Pool, ...]:
    """Pools from `name:size` each.

    Raises:
        ValueError: says what is allowed.
    """
    pools: list[Pool] = []
    for text in texts:
        name, colon, size = text.partition(":")
        if not colon:
            raise ValueError(f"{text!r} is not NAME:SIZE, such as tank:1TiB")
        if name in [pool.name for pool in pools]:
            raise ValueError(f"{text!r}: there is a pool {name!r} already")
        pools.append(Pool(name, parse_size(size)))
    return tuple(pools)


def check_driver_name(name: str) -> str:
    """The name, if it may be a CSIDriver's.

    Raises:
        ValueError: says what is allowed.
    """
    if not _DRIVER_NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a driver name: at most 63 letters, digits, '-', '.' and '_', a letter first and last"
        )
    return name


def check_node_id(node_id: str) -> str:
    """The id, if it may be a node's: it also names a directory and a socket.

    Raises:
        ValueError: says what is allowed.
    """
    if not _NODE_ID.fullmatch(node_id):
        raise ValueError(
            f"{node_id!r} is not a node id: at most 192 letters, digits, '-', '.' and '_', "
            "a letter or digit first and last"
        )
    return node_id


def check_root_dataset(name: str) -> str:
    """The name, if it is a dataset below a pool.

    Raises:
        ValueError: says what is allowed.
    """
    if not _DATASET.fullmatch(name):
        raise ValueError(f"{name!r} is not a dataset below a pool, such as tank/csi")
    return name


def check_zone(zone: str) -> str:
    """The zone, if it may be the value of a topology segment.

    Raises:
        ValueError: says what is allowed.
    """
    if not _ZONE.fullmatch(zone):
        raise ValueError(
            f"{zone!r} is not a zone: at most 63 letters, digits, '-', '.' and '_', a letter or digit first and last"
        )
    return zone
