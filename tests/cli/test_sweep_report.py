"""What is printed at the end of a sweep."""

import io
import json

import pytest
from rich.console import Console

from csisim.cli.sweep_report import print_result, to_json
from csisim.sweep.campaign import Order, Sweep
from csisim.sweep.cases import Case
from csisim.sweep.judge import Outcome

GOOD = Outcome(Case("nfs", "mount", "mount.bind", 1, "error(EIO)"), True, (), 20, 0.1)
BAD = Outcome(Case("nfs", "copies", "file.write", 2, "error([EIO])"), True, ("left: [red]x", "wrong code: y"), 20, 0.1)
SILENT = Outcome(Case("nfs", "mount", "mount.bind", 2, "error(EIO)"), False, (), 20, 0.1)
PASSES = {("nfs", "mount"): {"mount.bind": 2}, ("nfs", "copies"): {"mount.bind": 1, "file.write": 2}}


@pytest.fixture
def result():
    return Sweep(Order(protocols=("nfs",), seed=7), PASSES, [GOOD, BAD, SILENT], 3, complete=True)


def printed(result):
    out = io.StringIO()
    print_result(result, 12.34, Console(file=out, width=200))
    return out.getvalue().splitlines()


def test_sites_with_their_counts_then_violations_then_the_verdict(result):
    lines = printed(result)

    assert [line.split() for line in lines[:3]] == [
        ["site", "passes", "cases", "fired", "violations"],
        ["file.write", "2", "1", "1", "1"],
        ["mount.bind", "3", "2", "1", "0"],
    ]
    assert lines[3:] == [
        "VIOLATION nfs copies: file.write: #2 error([EIO])",
        "    left: [red]x",
        "    wrong code: y",
        "    repeat: csisim sweep --protocol nfs --case 'copies file.write: #2 error([EIO])'",
        "FAILED: 3 cases over nfs in 12.3 s, 2 faults fired, 1 did not, 1 violations, seed 7",
    ]


def test_without_violations_it_passed():
    lines = printed(Sweep(Order(protocols=("nfs", "iscsi")), {}, [GOOD], 1, complete=True))

    assert lines[-1] == "PASSED: 1 cases over nfs, iscsi in 12.3 s, 1 faults fired, 0 violations, seed 0"


def test_json_has_all_of_it(result):
    shown = json.loads(to_json(result, 1.5))

    assert (shown["ok"], shown["cases"], shown["fired"], shown["duration_s"]) == (False, 3, 2, 1.5)
    assert shown["pace"]["overdue_s"] == 0.2
    assert shown["sites"][0] == {"site": "file.write", "passes": 2, "cases": 1, "fired": 1, "violations": 1}
    assert shown["violations"] == [
        {
            "protocol": "nfs",
            "story": "copies",
            "rule": "file.write: #2 error([EIO])",
            "command": "csisim sweep --protocol nfs --case 'copies file.write: #2 error([EIO])'",
            "found": ["left: [red]x", "wrong code: y"],
        }
    ]
