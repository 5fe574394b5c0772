"""What an error reply tells of the exception behind it: the trace, and on request the exception itself, pickled."""

import base64
import builtins
import linecache
import pickle
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any, Final

ENOTAUTHENTICATED: Final = 207

_ROOT = Path(__file__).resolve().parent.parent
_MAX_FRAMES = 50


def trace(error: BaseException) -> dict[str, Any]:
    """`data.trace`: {class, frames: [{filename, lineno, method, line, argspec, locals}], formatted, repr}.

    File names are relative to the package. `locals` stays empty: the values of a call can be secrets.
    """
    frames: list[dict[str, Any]] = []
    step = error.__traceback__
    while step is not None and len(frames) < _MAX_FRAMES:
        frames.append(_frame(step.tb_frame.f_code, step.tb_lineno))
        step = step.tb_next
    lines = [
        f'  File "{one["filename"]}", line {one["lineno"]}, in {one["method"]}\n    {one["line"]}' for one in frames
    ]
    heading = ["Traceback (most recent call last):", *lines] if lines else []
    name, text = type(error).__name__, str(error)
    formatted = "\n".join([*heading, f"{name}: {text}" if text else name]) + "\n"
    return {"class": name, "frames": frames, "formatted": formatted, "repr": repr(error)}


def py_exception(error: BaseException, errno: int, reason: str) -> str | None:
    """`data.py_exception`: base64 of a pickled exception that every Python can load without importing anything.

    The real server pickles its own class, which loads on the NAS alone. Here it is an exception of Python's own type
    where that is what it was, a ValueError for refused parameters, and else an OSError with the errno. None for 207:
    the Python client tells "not authenticated" by a class, and without one it goes by `data.error`.
    """
    if errno == ENOTAUTHENTICATED:
        return None
    shown: BaseException
    if getattr(builtins, type(error).__name__, None) is type(error):
        try:
            shown = type(error)(str(error))
        except TypeError:  # a few of Python's own want more than a text
            shown = RuntimeError(reason)
    elif hasattr(error, "items"):
        shown = ValueError(reason)
    else:
        shown = OSError(errno, reason)
    return base64.b64encode(pickle.dumps(shown)).decode() + "\n"


def _frame(code: CodeType, lineno: int) -> dict[str, Any]:
    return {
        "filename": _shown(code.co_filename),
        "lineno": lineno,
        "method": code.co_name,
        "line": _line(code.co_filename, lineno),
        "argspec": list(code.co_varnames[: code.co_argcount]),
        "locals": {},
    }


@cache
def _line(filename: str, lineno: int) -> str:
    return linecache.getline(filename, lineno).strip()


@cache
def _shown(filename: str) -> str:
    """A file's path without what differs between machines."""
    path = Path(filename)
    return path.relative_to(_ROOT).as_posix() if path.is_relative_to(_ROOT) else path.name
