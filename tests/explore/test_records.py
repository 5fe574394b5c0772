"""Records: what is written is read back, and what is damaged is refused with a reason."""

import json
from dataclasses import replace
from typing import Any

import pytest

from csisim.explore.records import BadRecord, Chunk, Failure, Record, Shrunk, record_of, weight

CHUNK = Chunk(start=4, stop=7, verdicts={"ok": 1, "violation": 2, "unknown": 0}, digest="0a" * 16, cpu_ms=12.5, steps=30,
              calls=9, faults_fired=1, virtual_s=4.25)  # fmt: skip
FAILURE = Failure(seed=5, verdict="violation", signature="I3: left #", summary="left pvc-1", plan={"seed": 5, "clients": 4},
                  trace_hash="ab" * 16, replay="csi1-x", version="0.1.0+12")  # fmt: skip
SHRUNK = Shrunk(signature="I3: left #", seed=5, deviations=1, operations=2, rules=1, firings=1, runs=40, cpu_ms=900.0,
                replay="csi1-y", finished=True)  # fmt: skip


@pytest.mark.parametrize("record", [CHUNK, FAILURE, SHRUNK])
def test_a_record_is_read_back_from_a_line(record: Record) -> None:
    assert record_of(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.parametrize(
    ("record", "changes", "reason"),
    [
        (CHUNK, {"chunk": [7, 4]}, "does not add up"),
        (CHUNK, {"chunk": [4, 9]}, "does not add up"),
        (CHUNK, {"chunk": [4]}, "is not a first seed"),
        (CHUNK, {"chunk": [4, True]}, "not a whole number"),
        (CHUNK, {"chunk": [-1, 2]}, "not a whole number"),
        (CHUNK, {"verdicts": {"ok": 3, "violation": 0, "unknown": 0, "odd": 0}}, "does not add up"),
        (CHUNK, {"verdicts": None}, "verdicts"),
        (CHUNK, {"digest": "0A" * 16}, "not 32 hexadecimal digits"),
        (CHUNK, {"steps": 1.5}, "steps"),
        (CHUNK, {"cpu_ms": float("nan")}, "cpu_ms"),
        (CHUNK, {"virtual_s": "1"}, "virtual_s"),
        (FAILURE, {"verdict": "ok"}, "is no failure"),
        (FAILURE, {"plan": {"seed": 5, "clients": 0}}, "clients"),
        (FAILURE, {"plan": []}, "plan"),
        (FAILURE, {"replay": None}, "replay"),
        (FAILURE, {"failure": "5"}, "failure"),
        (SHRUNK, {"deviations": -1}, "deviations"),
        (SHRUNK, {"finished": 1}, "finished"),
        (SHRUNK, {"shrunk": 5}, "shrunk"),
    ],
)
def test_a_damaged_record_is_refused(record: Record, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        record_of(record.to_json() | changes)


@pytest.mark.parametrize("found", [None, [], 5, {}, {"seed": 5}])
def test_what_is_no_record_is_refused(found: object) -> None:
    with pytest.raises(BadRecord, match="neither of chunk, failure, shrunk"):
        record_of(found)


def test_a_run_weighs_otherwise_with_another_seed_trace_or_verdict() -> None:
    assert len({weight(1, "a", "ok"), weight(2, "a", "ok"), weight(1, "b", "ok"), weight(1, "a", "unknown")}) == 4
    assert weight(1, "a", "ok") == weight(1, "a", "ok") < 1 << 128


def test_records_are_plain_data() -> None:
    assert replace(CHUNK, start=5, verdicts=CHUNK.verdicts | {"ok": 0}).to_json()["chunk"] == [5, 7]
