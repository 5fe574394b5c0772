"""Where in the code something was called from: files relative to the package, without the paths of this machine."""

import asyncio
import os
import sys
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Final

import csisim
from csisim.check.races import Stack

_PACKAGE: Final = Path(csisim.__file__).parent
_LIBRARIES: Final = (Path(os.__file__).parent, Path(asyncio.__file__).parent.parent)
# What is between the code that decides and the wire, and what is around a served call, tells nobody anything.
_PASSED_OVER: Final = ("csisim/truenas/client", "csisim/truenas/retry", "csisim/cluster/", "csisim/faults/")
_AT_MOST: Final = 24

_Place = tuple[str, str] | None
_BEYOND: Final = ("", "")


def calling_stack() -> Stack:
    """Who called, innermost first, as far as it tells: without libraries, the client, and what serves a call."""
    found: list[str] = []
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - as the traceback module, without reading source lines
    while frame is not None and len(found) < _AT_MOST:
        code = frame.f_code
        place = _place(code.co_filename, code.co_qualname)
        if place is _BEYOND:
            break
        if place is not None:
            found.append(f"{place[0]}:{frame.f_lineno} {place[1]}")
        frame = frame.f_back
    return tuple(found)


@cache  # by the names: to hash a code object is to hash all of its constants
def _place(filename: str, function: str) -> _Place:
    """File and function; None for what is passed over, _BEYOND where a task begins."""
    file = Path(filename)
    if file.is_relative_to(_PACKAGE):
        path = f"{_PACKAGE.name}/{file.relative_to(_PACKAGE).as_posix()}"
        if path.startswith("csisim/sim/"):
            return _BEYOND
        return None if path.startswith(_PASSED_OVER) else (path, function)
    if "site-packages" in file.parts or filename.startswith("<"):
        return None
    if any(file.is_relative_to(library) for library in _LIBRARIES):
        return _BEYOND if file.parent.name == "asyncio" else None
    return file.name, function
