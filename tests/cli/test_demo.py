import io
import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

from csisim.cli import demo as command
from csisim.cli import demo_run
from csisim.cli.demo import progress_on
from csisim.cli.demo_report import Check, Verdict
from csisim.cli.main import app
from tests.support.processes import Server


def test_json_is_alone_on_standard_output_and_progress_beside_it(tmp_path):
    server = Server(["csisim.cli.main", "demo", "--json", "--seed", "7"], tmp_path, "demo")
    server.spawn()
    status = server.process.wait(timeout=80)
    stdout, stderr = server.stdout.read_text(), server.stderr.read_text()

    verdict = json.loads(stdout)
    assert status == 0, stderr
    assert verdict["ok"] is True
    assert verdict["seed"] == 7
    assert verdict["leaks"] == []
    assert {row["rpc"]: row["codes"]["OK"] for row in verdict["rpcs"]}["DeleteVolume"] == 20
    assert "delete volumes: 16/16" in stderr
    assert "\x1b" not in stderr


@pytest.fixture
def failing(monkeypatch):
    async def run(seed, progress, **_):
        return Verdict(
            seed, 3, 0.5, (), (), (Check("nothing leaked", False, "dataset tank/csi/x"),), ("dataset tank/csi/x",)
        )

    monkeypatch.setattr(demo_run, "run_demo", run)
    monkeypatch.setattr("csisim.logs.configure", lambda **_: None)


def test_what_does_not_hold_is_exit_status_one(failing):
    result = CliRunner().invoke(app, ["demo", "--seed", "9"])

    assert result.exit_code == 1
    assert "FAIL nothing leaked: dataset tank/csi/x" in result.stdout
    assert "FAILED: 3 volumes in 0.5 s, seed 9" in result.stdout


def test_json_of_a_failure_says_so(failing):
    result = CliRunner().invoke(app, ["demo", "--json"])

    assert result.exit_code == 1
    assert json.loads(result.stdout)["leaks"] == ["dataset tank/csi/x"]


def test_without_a_terminal_progress_is_a_line_per_phase():
    out = io.StringIO()
    with progress_on(Console(file=out)) as progress:
        for done in range(4):
            progress("create volumes", done, 3)

    assert out.getvalue() == "create volumes: 3/3\n"


def test_on_a_terminal_progress_is_a_bar():
    out = io.StringIO()
    with progress_on(Console(file=out, force_terminal=True, width=100)) as progress:
        progress("create volumes", 0, 3)
        progress("create volumes", 3, 3)

    assert "create volumes" in out.getvalue()
    assert "3/3" in out.getvalue()
    assert "\x1b" in out.getvalue()


def test_the_seed_is_random_unless_given(monkeypatch):
    seeds = []

    async def run(seed, progress, **_):
        seeds.append(seed)
        return Verdict(seed, 0, 0.0, (), (), (), ())

    monkeypatch.setattr(demo_run, "run_demo", run)
    monkeypatch.setattr("csisim.logs.configure", lambda **_: None)
    for args in ([], [], ["--seed", "3"]):
        CliRunner().invoke(app, ["demo", *args])

    assert seeds[2] == 3
    assert seeds[0] != seeds[1]
    assert command.demo.__doc__
