"""The command `csisim replay`: the same run again, or a reason."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from csisim.cli.main import app
from csisim.runs.plan import RunPlan
from csisim.runs.replay import Replay
from csisim.runs.run import run_plan

PLAN = RunPlan(seed=6, strategy="pos", clients=2, operations=3, volumes=1, faults=("none",))


def call(*arguments: str):
    return CliRunner().invoke(app, ["replay", *arguments])


def test_a_token_is_the_same_run_again():
    report = run_plan(PLAN).report
    token = report.replay.removeprefix("csisim replay ")
    result = call(token)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == f"the same run: trace {report.trace_hash}"
    found = json.loads(call(token, "--json").stdout)
    assert (found["trace_hash"], found["same_trace"]) == (report.trace_hash, True)


def test_a_file_is_the_same_run_again_by_its_strategy_or_by_its_tape(tmp_path: Path):
    result = run_plan(PLAN)
    path = tmp_path / "run.json"
    path.write_text(Replay(PLAN, result.report.trace_hash, "ok").dump(result.tape))
    for flags in ((), ("--by-tape",)):
        found = json.loads(call(str(path), "--json", *flags).stdout)
        assert found["same_trace"] is True
        assert found["strategy"] == ("tape" if flags else "pos")


def test_another_run_is_called_so():
    token = Replay(PLAN, "0" * 32, "ok", "0.0.1").token()
    result = call(token)
    assert result.exit_code == 0
    assert "ANOTHER run: trace " in result.stdout
    assert f"it was {'0' * 32}; it was csisim 0.0.1" in result.stdout.splitlines()[-1]
    assert json.loads(call(token, "--json").stdout)["same_trace"] is False


def test_everything_is_written_where_it_is_wanted(tmp_path: Path):
    token = Replay(PLAN).token()
    files = {name: tmp_path / name for name in ("junit", "html", "history")}
    result = call(token, *[part for name, path in files.items() for part in (f"--{name}", str(path))])
    assert result.exit_code == 0, result.output
    assert all(path.stat().st_size > 500 for path in files.values())
    assert result.stdout.splitlines()[-1].startswith("trace ")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("csi1-nonsense", "the token is"),
        ("/nowhere", "neither a token (csi1-...) nor a file: No such file"),
        ("a\x00b", "neither a token"),
        (".", "Is a directory"),
        ("pyproject.toml", "not JSON"),
    ],
)
def test_what_is_no_run_is_status_2(what, said):
    result = call(what)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_a_token_has_no_schedule():
    result = call(Replay(PLAN).token(), "--by-tape")
    assert (result.exit_code, "a token has no schedule" in result.stderr) == (2, True)
