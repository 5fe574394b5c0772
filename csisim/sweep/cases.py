"""Which faults there are to try: one case per story, site, ordinal and kind of fault. Pure.

Not part of it, because no driver survives them by repeating: lies (an operation that says it was done), clocks that are
wrong, machines that reboot (a kubelet has to stage anew then), and connections that stay silent for good.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from csisim.faults.grammar import parse_rule
from csisim.faults.sites import GROWING

PROTOCOLS: Final = ("nfs", "iscsi", "nvmeof")

_CODES: Final = ("UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED")
_FAMILIES: Final = ("rpc.", "nas.", "link.", "mount.", "device.", "file.", "process.")
_FAULTS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("rpc", "before"): ("error({CODE})", "drop", "disconnect(rst)"),
    ("rpc", "after"): ("error({CODE})", "drop", "disconnect(rst)", "crash(driver)"),
    ("nas", "request"): ("error(EBUSY)", "disconnect(rst)"),
    ("nas", "apply"): ("error(EIO)",),
    ("nas", "reply"): ("error(EIO)", "drop", "disconnect(rst)", "crash(nas)"),
    ("link", ""): ("disconnect(rst)",),
    ("process", ""): ("crash",),
}
_ERRNOS: Final = ("error(EIO)", "error(EBUSY)", "error(ENOSPC)")
_HOST_FAULTS: Final = (_ERRNOS, (*_ERRNOS, "crash(node)"))


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """One run of a story with one fault in it.

    Attributes:
        protocol: nfs, iscsi or nvmeof.
        story: which part of the life cycle is told.
        site: where it fails.
        ordinal: at which passing of the site, from 1.
        fault: the action, as the rule language has it.
    """

    protocol: str
    story: str
    site: str
    ordinal: int
    fault: str

    @property
    def rule(self) -> str:
        """The one-line rule."""
        return f"{self.site}: #{self.ordinal} {self.fault}"

    @property
    def command(self) -> str:
        """What repeats just this case."""
        return f"csisim sweep --protocol {self.protocol} --case '{self.story} {self.rule}'"

    @property
    def loses_answers(self) -> bool:
        """Whether somebody waits in vain for as long as the time of the call lasts."""
        return self.fault == "drop"

    @property
    def final_codes(self) -> frozenset[str]:
        """The codes that are right answers to this fault, although callers take them as final."""
        codes = set()
        if "ENOSPC" in self.fault or self.fault.startswith("exhaust"):
            codes.add("RESOURCE_EXHAUSTED")
        if "EBUSY" in self.fault and self.site.startswith("nas.") and ".delete." in self.site:
            codes.add("FAILED_PRECONDITION")  # "in use"
        return frozenset(codes)


def parse_case(protocol: str, text: str) -> Case:
    """A case from `STORY SITE: #ORDINAL FAULT`.

    Raises:
        ValueError: it is not of that form, or its rule is none; whether that can be honoured is not checked.
    """
    story, _, rule = text.strip().partition(" ")
    site, colon, term = rule.partition(":")
    ordinal, _, fault = term.strip().partition(" ")
    if not colon or not fault or not ordinal.startswith("#") or not ordinal[1:].isdecimal():
        raise ValueError(f"{text!r} is not STORY SITE: #N FAULT, such as 'mount rpc.CreateVolume.after: #1 drop'")
    case = Case(protocol, story, site.strip(), int(ordinal[1:]), fault.strip())
    parse_rule(case.rule)
    return case


def faults_at(site: str, ordinal: int) -> tuple[str, ...]:
    """What is tried at a passing of a site. Codes of calls take turns: to callers they mean the same."""
    family, end = site.partition(".")[0], site.rpartition(".")[2]
    known = _FAULTS.get((family, end)) or _FAULTS.get((family, "")) or _HOST_FAULTS[end == "after"]
    method = site.removeprefix("nas.").removesuffix(".apply")
    full = ("exhaust(pool)",) if end == "apply" and method in GROWING else ()
    return tuple(fault.format(CODE=_CODES[ordinal % len(_CODES)]) for fault in (*known, *full))


def cases_at(protocol: str, story: str, site: str, ordinals: Iterable[int]) -> list[Case]:
    """All cases at some passings of a site."""
    return [Case(protocol, story, site, ordinal, fault) for ordinal in ordinals for fault in faults_at(site, ordinal)]


def sites_of(passes: Mapping[str, int], pattern: str = "*") -> dict[str, int]:
    """The sites of a story that faults are tried at, with how often each was passed."""
    return {
        site: count
        for site, count in passes.items()
        if count and site.startswith(_FAMILIES) and fnmatchcase(site, pattern)
    }


def plan(protocol: str, story: str, passes: Mapping[str, int], pattern: str = "*") -> list[Case]:
    """Every case of a story that passed its sites so often without a fault.

    Args:
        protocol: of its volumes.
        story: its name.
        passes: by site.
        pattern: glob of the sites that are wanted.
    """
    found = sites_of(passes, pattern)
    return [case for site, count in found.items() for case in cases_at(protocol, story, site, range(1, count + 1))]
