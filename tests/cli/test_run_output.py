"""What is printed of runs."""

import pytest

from csisim.cli import run_output
from csisim.runs.many import Tally
from csisim.runs.plan import RunPlan
from csisim.runs.run import run_plan

RESULT = run_plan(RunPlan(seed=6, clients=1, operations=1, volumes=1, faults=("none",)))


def test_only_ok_is_status_0():
    assert [run_output.status(verdict) for verdict in ("ok", "violation", "unknown")] == [0, 1, 1]


def test_what_could_not_be_decided_says_why(capsys):
    from dataclasses import replace

    report = replace(
        RESULT.report,
        verdict="unknown",
        invariants={"I1": "ok", "linearizability": "unknown"},
        unknown={"linearizability": "the budget was used up"},
        looked_at={"I1": 0, "linearizability": 40},
    )
    run_output.show(replace(RESULT, report=report), json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["I1", "-", "0", "No", "data", "is", "lost"]
    assert lines[2].split()[:3] == ["linearizability", "UNKNOWN", "40"]
    assert lines[2].endswith(": the budget was used up")


@pytest.mark.parametrize("runs", [1, 25])
def test_progress_has_rate_and_time_left_about_every_tenth(runs, capsys):
    tally = Tally()
    with run_output.progress(25) as progress:
        for _ in range(runs):
            tally.add(RESULT)
            progress(tally)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == (10 if runs == 25 else 0)
    if lines:
        assert lines[-1].startswith("25/25 runs, ")
        assert "/s, 0 s left, 0 not ok" in lines[-1]


def test_progress_follows_a_total_that_grows_and_ends_its_line_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr(run_output, "_BETWEEN_S", 0)
    tally = Tally()
    with run_output.progress(lambda: 10 * tally.runs) as progress:
        for _ in range(2):
            tally.add(RESULT)
            progress(tally)
    first, second = capsys.readouterr().err.split("\r\x1b[K")[1:]
    assert first.startswith("1/10 runs, ")
    assert second.startswith("2/20 runs, ")
    assert second.endswith("\n")


def test_what_is_missing_of_many_runs_is_not_fine(capsys):
    tally = Tally()
    tally.add(RESULT)
    for span, said in ((range(6, 7), "OK: 1 runs in 1.0 s"), (range(6, 9), "INCOMPLETE, 2 missing: 1 runs in 1.0 s")):
        run_output.show_many(tally, span, 1.0, json=False)
        assert capsys.readouterr().out.startswith(said)
