"""How long calls take: distributions, and which methods have which.

A call takes its time after it was admitted and its parameters were accepted, and before its effect. So a refusal for a
missing login or a wrong parameter comes at once, as it does on a real system; and what the call reads, checks and
changes stays one step at the end of the time, right before its events and its reply. Until then nobody sees anything
of it, as with a ZFS operation that takes long. A job takes its time in the state RUNNING. All the while the call holds
one of its connection's ten slots. (A reply that comes late although the effect is there is a fault: see `Intercept`.)
"""

import fnmatch
import math
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

_UNITS_S: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(us|ms|s)", re.ASCII)
_FORMS: Final = "50ms, 20ms..2s or exp:100ms, with units us, ms and s"


class UnknownMethod(ValueError):
    """A rule that no method of this release matches."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Times in seconds.

    Attributes:
        kind: "uniform" from `low_s` to `high_s`, or "exp" with the mean `low_s`.
        low_s: the least time, or the mean.
        high_s: the longest time.
    """

    kind: Literal["uniform", "exp"]
    low_s: float
    high_s: float

    def __post_init__(self) -> None:
        if not 0 <= self.low_s <= self.high_s < math.inf:
            raise ValueError(f"times from {self.low_s} s to {self.high_s} s: the least one first, none below 0")

    def draw(self, rng: random.Random) -> float:
        """One time in seconds."""
        if self.kind == "exp":
            return min(rng.expovariate(1 / self.low_s), self.high_s) if self.low_s else 0.0
        return self.low_s if self.low_s == self.high_s else rng.uniform(self.low_s, self.high_s)


@dataclass(frozen=True, slots=True)
class LatencyRule:
    """Methods by name or glob, such as "pool.dataset.*", and how long their calls take.

    Attributes:
        methods: the name or glob.
        times: in seconds.
        optional: it may match nothing, as a rule for more than one release must.
    """

    methods: str
    times: Distribution
    optional: bool = False


def parse_distribution(text: str) -> Distribution:
    """Read `50ms`, `20ms..2s` or `exp:100ms`; the last one is cut off at a hundred times its mean.

    Raises:
        ValueError: it is none of them.
    """
    try:
        if text.startswith("exp:"):
            mean_s = _seconds(text.removeprefix("exp:"))
            return Distribution("exp", mean_s, 100 * mean_s)
        low, dots, high = text.partition("..")
        return Distribution("uniform", _seconds(low), _seconds(high if dots else low))
    except ValueError as error:
        raise ValueError(f"{text!r} is not a time: {_FORMS} ({error})") from None


def parse_rule(text: str) -> LatencyRule:
    """Read METHOD=DIST, for example pool.dataset.*=20ms..2s.

    Raises:
        ValueError: it is not such a pair.
    """
    methods, equals, times = text.partition("=")
    if not equals or not methods:
        raise ValueError(f"{text!r} is not METHOD=TIME, for example pool.dataset.create=100ms; a time is {_FORMS}")
    return LatencyRule(methods, parse_distribution(times))


def resolve(rules: Iterable[LatencyRule], methods: Iterable[str]) -> Mapping[str, Distribution]:
    """The distribution of each method that has one; of several rules for a method the last one counts.

    Raises:
        UnknownMethod: a rule matches none of the methods, and is not optional.
    """
    names = list(methods)
    found: dict[str, Distribution] = {}
    for rule in rules:
        matched = fnmatch.filter(names, rule.methods)
        if not matched and not rule.optional:
            raise UnknownMethod(
                f"latency for {rule.methods!r}: no such method in this release; "
                "core.get_methods and docs/fake-truenas-methods.md list them"
            )
        found.update(dict.fromkeys(matched, rule.times))
    return found


def _seconds(text: str) -> float:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} has no number with a unit")
    return float(match[1]) * _UNITS_S[match[2]]


PROFILES: Final[Mapping[str, tuple[LatencyRule, ...]]] = {
    "truenas": tuple(
        LatencyRule(methods, parse_distribution(times), optional=True)
        for times, several in (
            ("1ms..5ms", "*.query *.get_instance *.config *.*_choices system.* service.query filesystem.stat"),
            ("5ms..30ms", "pool.query pool.dataset.query pool.snapshot.query zfs.snapshot.query zfs.resource.query"),
            ("80ms..250ms", "pool.dataset.create pool.dataset.update pool.snapshot.create zfs.snapshot.create"),
            ("80ms..300ms", "pool.snapshot.clone zfs.snapshot.clone pool.dataset.promote pool.dataset.rename"),
            ("150ms..1.5s", "pool.dataset.delete pool.snapshot.delete zfs.snapshot.delete *.snapshot.rollback"),
            # Each writes a configuration and has a daemon read it again.
            ("150ms..600ms", "sharing.nfs.create sharing.nfs.update sharing.nfs.delete sharing.smb.create"),
            ("150ms..800ms", "sharing.smb.update sharing.smb.delete nvmet.*.create nvmet.*.update nvmet.*.delete"),
            ("100ms..3s", "iscsi.*.create iscsi.*.update iscsi.*.delete"),
            ("500ms..5s", "service.control service.start service.stop service.restart service.reload"),
            ("50ms..500ms", "filesystem.setacl filesystem.setperm filesystem.chown filesystem.mkdir"),
        )
        for methods in several.split()
    ),
}
"""Plausible times of a system with hard disks and a few hundred volumes, not measurements."""
