"""Reports are plain data."""

import json

from csisim.check.verdicts import Violation
from csisim.runs.report import RunReport

VIOLATION = Violation("I4", "two writers", "one writer", (1, 2), 0.5)


def test_every_member_is_in_the_json():
    report = RunReport(
        seed=1, strategy="walk", verdict="violation", invariants={"I4": "violation"}, violations=(VIOLATION,),
        trace_hash="ab", steps=3, virtual_s=1.23456789, replay="csisim replay csi1-x", looked_at={"I4": 2},
        unknown={}, plan={"seed": 1}, faults=("r",), faults_fired=1, calls=4, real=False,
    )  # fmt: skip
    shown = json.loads(json.dumps(report.to_json()))
    assert set(shown) == set(RunReport.__dataclass_fields__)
    assert shown["violations"] == [VIOLATION.to_json()]
    assert shown["virtual_s"] == 1.234568
