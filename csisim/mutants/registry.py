"""The mutants by name. To ask for a name costs nothing: what it stands for is imported when it is wanted."""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from csisim.cluster.parts import Parts
    from csisim.mutants.mutant import Mutant

_MODULES: Final[Mapping[str, str]] = {
    "M-COUNT": "count",
    "M-STALE": "stale",
    "M-DUPNAME": "dupname",
    "M-DROPUSED": "dropused",
    "M-LIVECOPY": "livecopy",
    "M-UNLINK": "unlink",
    "M-CLOSE2": "close2",
    "M-SNAPID": "snapid",
    "M-RMMOUNTED": "rmmounted",
    "M-GWAIT": "gwait",
    "M-NOCANCEL": "nocancel",
    "M-ALLSNAPS": "allsnaps",
    "M-NOPAGE": "nopage",
    "M-SHARESCAN": "sharescan",
    "M-ONEWS": "onews",
    "M-WALK": "walk",
    "M-REPROP": "reprop",
    "M-HARDTIMEOUT": "hardtimeout",
    "M-TICKLATE": "ticklate",
    "M-NOLOCK": "nolock",
    "M-PROPLOG": "proplog",
    "M-NOSIGNAL": "nosignal",
    "M-LOSTWAKE": "lostwake",
    "M-LATECACHE": "latecache",
    "M-BLINDRETRY": "blindretry",
    "M-LOSTASGONE": "lostasgone",
    "M-TWOKEYS": "twokeys",
    "M-INTERNAL": "internal",
    "M-STALECACHE": "stalecache",
    "M-SHARELEAK": "shareleak",
    "M-INHERITED": "inherited",
    "M-HALFMADE": "halfmade",
}

NAMES: Final = tuple(_MODULES)
"""All of them, in the order of docs/mutants.md."""


def check_name(name: str) -> None:
    """Whether there is such a mutant; "" stands for none.

    Raises:
        ValueError: there is not; says which there are.
    """
    if name and name not in _MODULES:
        raise ValueError(f"{name[:80]!r} is no mutant: there are {', '.join(NAMES)}")


def find(name: str) -> "Mutant":
    """One of them.

    Raises:
        ValueError: there is no such mutant.
    """
    if not name:
        raise ValueError(f"no mutant is named: there are {', '.join(NAMES)}")
    check_name(name)
    found: Mutant = import_module(f"csisim.mutants.{_MODULES[name]}").MUTANT
    return found


def parts_of(name: str) -> "Parts":
    """The parts of a driver with this bug; of the shipped one for "".

    Raises:
        ValueError: there is no such mutant.
    """
    from csisim.cluster.parts import SHIPPED  # noqa: PLC0415 - names are checked without all of a cluster

    return find(name).change(SHIPPED) if name else SHIPPED
