"""Which code runs: results of other code are no results of the same campaign."""

import hashlib
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from csisim import __version__

_PACKAGES: Final = ("csisim", "fake_truenas")
_OUTSIDE: Final = frozenset({"chaostoolkit", "cli", "control", "proxy", "pytest_plugin.py", "reports", "sweep"})
"""What of csisim has no part in a run."""


class OtherCode(ValueError):
    """Something was run, or is to be run, by other code than this; says by which."""


@cache
def version() -> str:
    """The version of csisim, a plus, and 12 hexadecimal digits of Python and of all sources that take part in runs."""
    found = hashlib.blake2b(f"{sys.version_info[:2]}".encode(), digest_size=6)
    for package in _PACKAGES:
        spec = find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec is not None else ():
            for path in sorted(Path(place).rglob("*.py")):
                if path.relative_to(place).parts[0] in _OUTSIDE:
                    continue
                content = path.read_bytes()
                found.update(f"{package} {path.relative_to(place).as_posix()} {len(content)}\n".encode() + content)
    return f"{__version__}+{found.hexdigest()}"


def check(other: str, what: str) -> None:
    """Whether it is the same code.

    Raises:
        OtherCode: it is not.
    """
    if other != version():
        raise OtherCode(f"{what} csisim {other[:60]}, this is {version()}: their runs cannot be counted together")
