"""Everything that defines a run, as plain data: equal plans give equal runs."""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from functools import partial
from typing import Any, Final, Self

from csisim.mutants.registry import check_name
from csisim.runs.schedules import check_strategy
from csisim.sim.tape import Tape

WORKLOADS: Final = ("clients", "co")
PROTOCOLS: Final = ("nfs", "iscsi", "nvmeof")

_MOST_CLIENTS: Final = 256
_MOST_OPERATIONS: Final = 10_000
_MOST_VOLUMES: Final = 256
_MOST_NODES: Final = 32
_MOST_RULES: Final = 1000
_MOST_ONLY: Final = 10_000
_OPERATION: Final = re.compile(r"[1-9]\d{0,4}\.[1-9]\d{0,4}", re.ASCII)
_LONGEST_LATENCY_S: Final = 10.0
_MOST_SEED: Final = (1 << 63) - 1
_TEXT_CHARACTERS: Final = 1 << 20

Range = tuple[float, float]


class BadPlan(ValueError):
    """What was asked for is no run; says which part, with which value, and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """A run.

    Attributes:
        seed: of every random choice.
        strategy: how schedules are made, see `csisim.runs.schedules`.
        tape: `Tape.dump()` of a run to be done again, instead of a strategy; "" for none.
        workload: "clients", which make random calls, or "co", an orchestrator with intents.
        clients, operations, volumes: how many clients, how many operations each, over how many volumes.
        protocols: of the volumes, drawn from these.
        nodes: how many.
        faults: rules (docs/faults.md), or one word: "all" for those that the seed draws, "none".
        manifests: texts of Kubernetes manifests, for the orchestrator.
        real: on real sockets by the real clock; such a run does not repeat exactly.
        patient: a real run waits as long as a simulated one does, which is a minute now and then; else it makes haste.
        network_s: the shortest and longest time of a message one way, in seconds; simulated runs only.
        nas_s: the same for a call inside of the NAS.
        think_s: the same for the pauses of clients, or users, between what they do; None for what is usual.
        mutant: a known bug that the driver has, by its name (docs/mutants.md); "" for the shipped driver.
        only: the operations that are done, each as client.operation (both from 1), such as 2.5; empty for all. What
            the others would have drawn is not shifted by those that are left out.

    Raises:
        BadPlan: a value is not allowed.
    """

    seed: int
    strategy: str = "portfolio"
    tape: str = ""
    workload: str = "clients"
    clients: int = 3
    operations: int = 5
    volumes: int = 2
    protocols: tuple[str, ...] = PROTOCOLS
    nodes: int = 2
    faults: tuple[str, ...] = ("all",)
    manifests: tuple[str, ...] = ()
    real: bool = False
    patient: bool = False
    network_s: Range = (0.0001, 0.002)
    nas_s: Range = (0.0005, 0.02)
    think_s: Range | None = None
    mutant: str = ""
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            check(name, getattr(self, name))
        if self.tape and self.real:
            raise BadPlan("tape: a run on real sockets cannot follow one")
        if self.patient and not self.real:
            raise BadPlan("patient: only a run on real sockets can make haste, or not")
        if self.manifests and self.workload != "co":
            raise BadPlan(f"manifests: the workload is {self.workload!r}; only co reads them")

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that were given; none where the seed draws them, or where there are none."""
        return () if self.faults in {("all",), ("none",)} else self.faults

    @property
    def draws_faults(self) -> bool:
        """Whether the seed says which faults there are."""
        return self.faults == ("all",)

    def does(self, client: int, operation: int) -> bool:
        """Whether this operation of this client is done; both are counted from 1."""
        return not self.only or f"{client}.{operation}" in self.only

    def to_json(self) -> dict[str, Any]:
        """Plain data, every member."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    def to_short_json(self) -> dict[str, Any]:
        """Plain data without what is as it is by default."""
        default = {each.name: each.default for each in fields(self) if each.default is not MISSING}
        return {
            key: value
            for key, value in self.to_json().items()
            if key not in default or getattr(self, key) != default[key]
        }

    @classmethod
    def from_json(cls, found: Any) -> Self:
        """Read back what `to_json` or `to_short_json` gave.

        Raises:
            BadPlan: it is not such data; says what is wrong.
        """
        if not isinstance(found, Mapping):
            raise BadPlan(f"a plan is an object, not {str(found)[:80]!r}")
        known = [each.name for each in fields(cls)]
        if strange := [str(key)[:80] for key in found if key not in known]:
            raise BadPlan(f"{strange[0]!r} is no part of a plan: there are {', '.join(known)}")
        if "seed" not in found:
            raise BadPlan("seed: missing")
        members: dict[str, Any] = {}
        for key, value in found.items():
            members[key] = tuple(value) if isinstance(value, list) else value
        return cls(**members)


def _whole(lowest: int, highest: int, name: str, value: Any) -> None:
    if type(value) is not int or not lowest <= value <= highest:
        raise BadPlan(f"{name}: {str(value)[:80]!r} is not a whole number from {lowest} to {highest}")


def _texts(name: str, value: Any, most: int = _MOST_RULES) -> None:
    if not isinstance(value, tuple) or not all(isinstance(each, str) for each in value):
        raise BadPlan(f"{name}: {str(value)[:80]!r} is not a list of texts")
    if len(value) > most or sum(map(len, value)) > _TEXT_CHARACTERS:
        raise BadPlan(f"{name}: more than {most} texts or {_TEXT_CHARACTERS} characters")


def _range(name: str, value: Any) -> None:
    if (
        not isinstance(value, tuple)
        or len(value) != 2
        or not all(type(each) in {int, float} for each in value)
        or not 0 <= value[0] <= value[1] <= _LONGEST_LATENCY_S
    ):
        raise BadPlan(
            f"{name}: {str(value)[:80]} is not a shortest and a longest time, in seconds up to {_LONGEST_LATENCY_S:g}"
        )


def _optional_range(name: str, value: Any) -> None:
    if value is not None:
        _range(name, value)


def _flag(name: str, value: Any) -> None:
    if type(value) is not bool:
        raise BadPlan(f"{name}: {str(value)[:80]!r} is neither true nor false")


def _strategy(name: str, value: Any) -> None:
    try:
        check_strategy(value if isinstance(value, str) else "")
    except ValueError as error:
        raise BadPlan(f"{name}: {error}") from None


def _mutant(name: str, value: Any) -> None:
    try:
        check_name(value if isinstance(value, str) else str(value)[:80])
    except ValueError as error:
        raise BadPlan(f"{name}: {error}") from None


def _tape(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise BadPlan(f"{name}: {str(value)[:80]!r} is not a text")
    if value:
        try:
            Tape.load(value)
        except ValueError as error:
            raise BadPlan(f"{name}: {error}") from None


def _one_of(allowed: tuple[str, ...], name: str, value: Any) -> None:
    if value not in allowed:
        raise BadPlan(f"{name}: {str(value)[:80]!r} is not one of {', '.join(allowed)}")


def _protocols(name: str, value: Any) -> None:
    _texts(name, value)
    for each in value:
        _one_of(PROTOCOLS, name, each)
    if not value:
        raise BadPlan(f"{name}: none; there are {', '.join(PROTOCOLS)}")


def _only(name: str, value: Any) -> None:
    _texts(name, value, _MOST_ONLY)
    for each in value:
        if not _OPERATION.fullmatch(each):
            raise BadPlan(f"{name}: {each[:80]!r} is not client.operation, both counted from 1, such as 2.5")


def _faults(name: str, value: Any) -> None:
    _texts(name, value)
    if not value:
        raise BadPlan(f"{name}: give rules, or one word: all, none")


_CHECKS: Final[Mapping[str, Callable[[str, Any], None]]] = {
    "seed": partial(_whole, 0, _MOST_SEED),
    "strategy": _strategy,
    "tape": _tape,
    "workload": partial(_one_of, WORKLOADS),
    "clients": partial(_whole, 1, _MOST_CLIENTS),
    "operations": partial(_whole, 0, _MOST_OPERATIONS),
    "volumes": partial(_whole, 1, _MOST_VOLUMES),
    "protocols": _protocols,
    "nodes": partial(_whole, 1, _MOST_NODES),
    "faults": _faults,
    "manifests": _texts,
    "real": _flag,
    "patient": _flag,
    "network_s": _range,
    "nas_s": _range,
    "think_s": _optional_range,
    "mutant": _mutant,
    "only": _only,
}
