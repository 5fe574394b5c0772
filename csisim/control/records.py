"""What the control server answers, as the clients see it. Stable: members are added, never renamed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RuleRecord:
    """A rule in force.

    Attributes:
        name: of the rule.
        rule: its text in the rule language.
        asked: how often it was asked, of passings that it is for.
        fired: how often it fired.
    """

    name: str
    rule: str
    asked: int
    fired: int


@dataclass(frozen=True, slots=True)
class SiteRecord:
    """A place where faults can happen.

    Attributes:
        name: as rules write it.
        about: what is about to happen, or has happened, there.
        actions: what can happen there.
        keys: what a rule may select by.
        passed: how often it was passed.
        fired: how often a fault happened at it.
    """

    name: str
    about: str
    actions: tuple[str, ...]
    keys: tuple[str, ...]
    passed: int
    fired: int


@dataclass(frozen=True, slots=True)
class BarrierRecord:
    """Calls that hang until the barrier is released."""

    name: str
    waiting: int


@dataclass(frozen=True, slots=True)
class StatusRecord:
    """What is controlled.

    Attributes:
        version: of csisim.
        driver: name of the driver; "" where it is not known.
        endpoints: where CSI is served.
        seed: of all decisions.
        uptime_s: how long there has been a control server.
        now_s: loop time, in which events and windows are told.
        rules: how many are in force.
        waiting: how many calls hang at barriers.
        fired: how many faults have happened.
        last_seq: number of the newest event.
        links: names of the connections that can be bad.
    """

    version: str
    driver: str
    endpoints: tuple[str, ...]
    seed: int
    uptime_s: float
    now_s: float
    rules: int
    waiting: int
    fired: int
    last_seq: int
    links: tuple[str, ...]
