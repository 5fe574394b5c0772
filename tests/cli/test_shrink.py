"""The command `csisim shrink`."""

import json
from pathlib import Path

from typer.testing import CliRunner

from csisim.cli.main import app
from csisim.explore.mix import Mix
from csisim.runs.run import run_plan
from tests.explore.samples import BROKEN, TINY, UNLOCKED


def token(members: dict[str, object], verdict: str) -> str:
    reports = (run_plan(Mix(members).plan_of(seed)).report for seed in range(50))
    return next(each.replay for each in reports if each.verdict == verdict).removeprefix("csisim replay ")


def test_a_failing_run_is_shrunk_and_told_and_its_files_repeat_it(tmp_path: Path) -> None:
    out, html = tmp_path / "small.json", tmp_path / "small.html"
    result = CliRunner().invoke(
        app, ["shrink", token(BROKEN, "violation"), "--runs", "12", "--out", str(out), "--html", str(html), "--json"]
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["shrunk"], found["deviations"]) == (UNLOCKED, 0)
    assert found["report"]["verdict"] == "violation"
    assert "decides" in html.read_text()
    again = CliRunner().invoke(app, ["shrink", str(out), "--runs", "1"])
    assert again.exit_code == 0, again.output
    assert again.stdout.startswith("VIOLATION of ")
    assert again.stdout.splitlines()[-1].startswith("shrunk to 0 deviations from FIFO")


def test_a_run_that_does_not_fail_is_a_wrong_use() -> None:
    result = CliRunner().invoke(app, ["shrink", token(TINY, "ok")])
    assert result.exit_code == 2
    assert "does not fail" in result.stderr


def test_what_is_no_run_is_a_wrong_use() -> None:
    assert CliRunner().invoke(app, ["shrink", "csi1-nonsense"]).exit_code == 2
