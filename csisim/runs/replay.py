"""What repeats a run: a token, which is one line, or a file.

    csi1-<base64url of zlib of JSON {"v": version, "p": plan, "h": trace hash, "r": verdict}>

A file is JSON too, with readable keys and the tape of the run. Both come from outside: whatever they hold, reading
them gives a `Replay` or a `ValueError` that says what is wrong.
"""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from csisim import __version__
from csisim.check.verdicts import Verdict
from csisim.runs.plan import RunPlan

PREFIX: Final = "csi1-"
_MOST_TOKEN_CHARACTERS: Final = 1 << 20
_MOST_JSON_BYTES: Final = 8 << 20
_HASH = re.compile(r"[0-9a-f]{32}|")
_VERSION = re.compile(r"[\w.+-]{0,40}", re.ASCII)
_VERDICTS: Final = ("ok", "violation", "unknown")
_FORM: Final = "csisim replay"


@dataclass(frozen=True, slots=True)
class Replay:
    """A run that was.

    Attributes:
        plan: does it again.
        trace_hash: of the run; "" where none is known.
        verdict: of the run.
        version: of csisim, as it was then: another one may run the same plan otherwise.
    """

    plan: RunPlan
    trace_hash: str = ""
    verdict: Verdict = "ok"
    version: str = __version__

    def token(self) -> str:
        """One line without blanks."""
        short = {"v": self.version, "p": self.plan.to_short_json(), "h": self.trace_hash, "r": self.verdict}
        packed = zlib.compress(json.dumps(short, separators=(",", ":")).encode(), 9)
        return PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def dump(self, tape: str = "") -> str:
        """The text of a file; with the tape of the run, `plan.tape` gives the same schedule without its strategy."""
        shown: dict[str, Any] = {
            "form": _FORM,
            "version": self.version,
            "plan": self.plan.to_json(),
            "trace_hash": self.trace_hash,
            "verdict": self.verdict,
        }
        return json.dumps(shown | ({"tape": json.loads(tape)} if tape else {}), indent=1) + "\n"


def parse_token(text: str) -> Replay:
    """Read a token.

    Raises:
        ValueError: it is none, is damaged or cut off, or does not hold a run; nothing was run.
    """
    if not text.startswith(PREFIX):
        raise ValueError(f"a token begins with {PREFIX}, not with {text[:16]!r}")
    if len(text) > _MOST_TOKEN_CHARACTERS:
        raise ValueError(f"the token has {len(text)} characters; at most {_MOST_TOKEN_CHARACTERS} are read")
    body = text.removeprefix(PREFIX)
    try:
        packed = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        unpacker = zlib.decompressobj()
        unpacked = unpacker.decompress(packed, _MOST_JSON_BYTES)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ValueError(f"the token is damaged: {error}") from None
    if not unpacker.eof:
        raise ValueError("the token is cut off, or far too large")
    found = _object(unpacked, "the token", {"v", "p", "h", "r"})
    return _replay(found.get("p"), found.get("h", ""), found.get("r", ""), found.get("v", ""))


def parse_file(content: bytes) -> Replay:
    """Read a file that `Replay.dump` wrote; the strategy makes the schedule, not the tape in it.

    Raises:
        ValueError: it is none; says what is wrong.
    """
    if len(content) > _MOST_JSON_BYTES:
        raise ValueError(f"the file has {len(content)} bytes; at most {_MOST_JSON_BYTES} are read")
    found = _object(content, "the file", {"form", "version", "plan", "trace_hash", "verdict", "tape"})
    if found.get("form") != _FORM:
        raise ValueError(f"the file does not say that its form is {_FORM!r}")
    return _replay(found.get("plan"), found.get("trace_hash", ""), found.get("verdict", ""), found.get("version", ""))


def tape_of(content: bytes) -> str:
    """The tape in a file, as `RunPlan.tape` wants it.

    Raises:
        ValueError: there is none.
    """
    tape = _object(content, "the file", None).get("tape")
    if tape is None:
        raise ValueError("there is no tape in the file")
    return json.dumps(tape, separators=(",", ":"))


def _object(content: bytes, what: str, keys: set[str] | None) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is not JSON: {str(error)[:200]}") from None
    if not isinstance(found, Mapping) or (keys is not None and found.keys() - keys):
        raise ValueError(f"{what} is not an object with {', '.join(sorted(keys or ()))}")
    return found


def _replay(plan: Any, trace_hash: Any, verdict: Any, version: Any) -> Replay:
    if not isinstance(trace_hash, str) or not _HASH.fullmatch(trace_hash):
        raise ValueError(f"{str(trace_hash)[:80]!r} is not a trace hash of 32 hexadecimal digits")
    if verdict not in _VERDICTS:
        raise ValueError(f"{str(verdict)[:80]!r} is not a verdict: {', '.join(_VERDICTS)}")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise ValueError(f"{str(version)[:80]!r} is not a version of csisim")
    return Replay(RunPlan.from_json(plan), trace_hash, verdict, version)
