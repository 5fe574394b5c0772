"""What a campaign gives: plain records, one line of JSON each, that can be put together in any order."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self, TypeVar

from csisim.runs.plan import RunPlan

VERDICTS: Final = ("ok", "violation", "unknown")
MODULUS: Final = 1 << 128
_HEX: Final = re.compile(r"[0-9a-f]{32}")
_MOST: Final = 1 << 63

T = TypeVar("T")


class BadRecord(ValueError):
    """A line that is no record; says what is wrong with it."""


def weight(seed: int, trace_hash: str, verdict: str) -> int:
    """What one run adds to a digest. Digests are sums, so neither order nor division of the seeds shows in them."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {trace_hash} {verdict}".encode(), digest_size=16).digest(), "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Some seeds that were run one after the other.

    Attributes:
        start, stop: the seeds, `stop` without.
        verdicts: how many runs had which.
        digest: sum of their weights, 32 hexadecimal digits.
        cpu_ms: processor time.
        steps, calls, faults_fired: sums.
        virtual_s: the same, loop time.
    """

    start: int
    stop: int
    verdicts: Mapping[str, int]
    digest: str
    cpu_ms: float
    steps: int
    calls: int
    faults_fired: int
    virtual_s: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        shown = asdict(self)
        return {"chunk": [shown.pop("start"), shown.pop("stop")], **shown}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Read back what `to_json` gave.

        Raises:
            BadRecord: it is not that.
        """
        span = found.get("chunk")
        if not isinstance(span, list) or len(span) != 2:
            raise BadRecord(f"chunk: {str(span)[:80]!r} is not a first seed and the one after the last")
        start, stop = (_whole(each, "chunk") for each in span)
        verdicts = _of(found, "verdicts", dict)
        counts = {verdict: _whole(verdicts.get(verdict), "verdicts") for verdict in VERDICTS}
        if start >= stop or sum(counts.values()) != stop - start or verdicts.keys() - counts.keys():
            raise BadRecord(f"chunk: {span} with verdicts {str(verdicts)[:80]}: that does not add up")
        digest = _of(found, "digest", str)
        if not _HEX.fullmatch(digest):
            raise BadRecord(f"digest: {digest[:80]!r} is not 32 hexadecimal digits")
        steps, calls, faults = (_whole(found.get(name), name) for name in ("steps", "calls", "faults_fired"))
        cpu_ms, virtual_s = (_amount(found.get(name), name) for name in ("cpu_ms", "virtual_s"))
        return cls(start=start, stop=stop, verdicts=counts, digest=digest, cpu_ms=cpu_ms, steps=steps, calls=calls,
                   faults_fired=faults, virtual_s=virtual_s)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A run that was not ok.

    Attributes:
        seed, verdict, trace_hash: of the run.
        signature: what kind of failure, see `csisim.explore.signature`.
        summary: what happened, with its names and numbers.
        plan: `RunPlan.to_short_json()`.
        replay: the token that does it again.
        version: of csisim.
    """

    seed: int
    verdict: str
    signature: str
    summary: str
    plan: Mapping[str, Any]
    trace_hash: str
    replay: str
    version: str

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        shown = asdict(self)
        return {"failure": shown.pop("seed"), **shown}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Read back what `to_json` gave.

        Raises:
            ValueError: it is not that.
        """
        texts = {name: _of(found, name, str) for name in _FAILURE_TEXTS}
        if texts["verdict"] not in VERDICTS[1:]:
            raise BadRecord(f"verdict: {texts['verdict'][:80]!r} is no failure")
        plan = RunPlan.from_json(_of(found, "plan", dict))
        return cls(seed=_whole(found.get("failure"), "failure"), plan=plan.to_short_json(), **texts)


_FAILURE_TEXTS: Final = ("verdict", "signature", "summary", "trace_hash", "replay", "version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """A kind of failure, brought down to what decides it.

    Attributes:
        signature: which kind.
        seed: of the run.
        deviations: how many steps are not as FIFO would have them.
        operations, rules, firings: how many operations are done, faults are in force, and faults happen.
        runs, cpu_ms: what it took.
        replay: the token of the smallest run that was found; it has the schedule in it.
        finished: whether nothing more could be left out, one at a time; false where runs or time were over before.
    """

    signature: str
    seed: int
    deviations: int
    operations: int
    rules: int
    firings: int
    runs: int
    cpu_ms: float
    replay: str
    finished: bool

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        shown = asdict(self)
        return {"shrunk": shown.pop("signature"), **shown}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Read back what `to_json` gave.

        Raises:
            BadRecord: it is not that.
        """
        counts = {name: _whole(found.get(name), name) for name in _SHRUNK_COUNTS}
        return cls(signature=_of(found, "shrunk", str), replay=_of(found, "replay", str),
                   finished=_of(found, "finished", bool), cpu_ms=_amount(found.get("cpu_ms"), "cpu_ms"),
                   **counts)  # fmt: skip


_SHRUNK_COUNTS: Final = ("seed", "deviations", "operations", "rules", "firings", "runs")

Record = Chunk | Failure | Shrunk
_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Record]]] = {
    "chunk": Chunk.from_json,
    "failure": Failure.from_json,
    "shrunk": Shrunk.from_json,
}


def record_of(found: Any) -> Record:
    """Any of the records.

    Raises:
        ValueError: it is none; a BadRecord, or a BadPlan where its plan is wrong.
    """
    if isinstance(found, Mapping):
        for name, read in _READERS.items():
            if name in found:
                return read(found)
    raise BadRecord(f"{str(found)[:80]!r} is neither of {', '.join(_READERS)}")


def _of(found: Mapping[str, Any], name: str, kind: type[T]) -> T:
    value = found.get(name)
    if not isinstance(value, kind):
        raise BadRecord(f"{name}: {str(value)[:80]!r} is not what belongs there ({kind.__name__})")
    return value


def _whole(value: Any, name: str) -> int:
    if type(value) is not int or not 0 <= value < _MOST:
        raise BadRecord(f"{name}: {str(value)[:80]!r} is not a whole number from 0")
    return value


def _amount(value: Any, name: str) -> float:
    if type(value) not in {int, float} or not 0 <= value < _MOST:
        raise BadRecord(f"{name}: {str(value)[:80]!r} is not a number from 0")
    return float(value)
