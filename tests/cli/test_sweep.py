"""The command: what it takes, what it prints, and how it ends."""

import io
import json
import signal
from concurrent.futures import BrokenExecutor

import pytest
from rich.console import Console
from typer.testing import CliRunner

from csisim.cli import sweep as command
from csisim.cli.main import app
from csisim.sweep import campaign
from csisim.sweep.campaign import Order
from csisim.sweep.cases import Case
from csisim.sweep.judge import Outcome


def test_a_whole_sweep_of_one_site_in_two_processes_ends_with_zero_and_says_what_was_done():
    flags = ["--protocol", "nfs", "--site", "file.remove", "--seed", "1", "--jobs", "2", "--json"]
    found = CliRunner().invoke(app, ["sweep", *flags])

    shown = json.loads(found.stdout)
    assert found.exit_code == 0, found.stderr
    assert (shown["ok"], shown["protocols"], shown["seed"]) == (True, ["nfs"], 1)
    assert shown["sites"] == [{"site": "file.remove", "passes": 3, "cases": 9, "fired": 9, "violations": 0}]
    assert "9/9 cases" in found.stderr
    assert "\x1b" not in found.stderr


@pytest.fixture
def asked(monkeypatch):
    """What the command asks for, instead of doing it."""
    orders = []

    def sweep(found, executor, progress):
        orders.append((found.order, type(executor).__name__))
        progress(0, 0, 0)
        found.complete = True

    monkeypatch.setattr(campaign, "sweep", sweep)
    monkeypatch.setattr("csisim.logs.silence", lambda: None)
    return orders


def run(*flags):
    return CliRunner().invoke(app, ["sweep", "--jobs", "1", *flags])


def test_everything_is_swept_unless_something_is_named(asked):
    assert run("--seed", "4").exit_code == 0
    assert (
        run("--protocol", "iscsi", "--protocol", "nfs", "--site", "nas.*", "--limit", "5", "--seed", "1").exit_code == 0
    )

    assert asked == [
        (Order(protocols=("nfs", "iscsi", "nvmeof"), seed=4), "Inline"),
        (Order(protocols=("iscsi", "nfs"), site="nas.*", seed=1, limit=5), "Inline"),
    ]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--protocol", "smb"), "'smb' is not one of nfs, iscsi, nvmeof"),
        (("--case", "mount rpc.X.before: #1 drop"), "give one --protocol with it"),
        (("--protocol", "nfs", "--case", "mount"), "is not STORY SITE: #N FAULT"),
        (
            ("--protocol", "nfs", "--case", "block rpc.X.before: #1 drop"),
            "'block' is no story of nfs: mount, copies, group",
        ),
        (("--limit", "0"), "--limit"),
    ],
)
def test_a_wrong_use_is_exit_status_two_and_says_what_is_allowed(asked, flags, said):
    result = run(*flags)

    assert result.exit_code == 2
    assert said in result.stderr
    assert asked == []


def test_what_cannot_be_run_is_exit_status_two(monkeypatch):
    def sweep(*_args):
        raise RuntimeError("nfs mount goes wrong without a fault: x")

    monkeypatch.setattr(campaign, "sweep", sweep)
    monkeypatch.setattr("csisim.logs.silence", lambda: None)

    result = run()

    assert result.exit_code == 2
    assert "csisim sweep: nfs mount goes wrong without a fault: x" in result.stderr


@pytest.fixture
def half_way(monkeypatch):
    """One case of two is run, and then something happens."""

    def arrange(happens):
        def sweep(found, *_):
            found.known = 2
            found.outcomes.append(Outcome(Case("nfs", "mount", "mount.bind", 1, "error(EIO)"), True, (), 20, 0.1))
            happens()

        monkeypatch.setattr(campaign, "sweep", sweep)
        monkeypatch.setattr("csisim.logs.silence", lambda: None)

    return arrange


def test_a_worker_that_dies_ends_it_with_status_3_and_what_was_found(half_way):
    def dies():
        raise BrokenExecutor("a worker was killed")

    half_way(dies)
    result = run("--protocol", "nfs", "--seed", "1")

    assert result.exit_code == 3
    assert result.stderr == (
        "csisim sweep: a worker has died after 1 of 2 cases, and what was found until then is shown: "
        "a worker was killed\n"
    )
    assert "INCOMPLETE: 1 of 2 cases over nfs in " in result.stdout


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_what_was_found(half_way, number, status):
    half_way(lambda: signal.raise_signal(number))
    result = run("--protocol", "nfs", "--json")

    shown = json.loads(result.stdout)
    assert result.exit_code == status
    assert result.stderr == "interrupted after 1 of 2 cases\n"
    assert (shown["ok"], shown["complete"], shown["cases"]) == (False, False, 1)


def test_a_violation_is_exit_status_one_with_the_command_that_repeats_it(monkeypatch):
    monkeypatch.setattr("csisim.logs.silence", lambda: None)
    case = "mount rpc.CreateVolume.after: #1 error(INTERNAL)"

    result = run("--protocol", "nfs", "--case", case, "--seed", "3")

    assert result.exit_code == 1
    assert "VIOLATION nfs mount: rpc.CreateVolume.after: #1 error(INTERNAL)" in result.stdout
    assert f"repeat: csisim sweep --protocol nfs --case '{case}'" in result.stdout
    assert "FAILED: 1 cases over nfs in " in result.stdout


def test_progress_tells_rate_time_left_and_violations():
    out = io.StringIO()
    with command._progress_on(Console(file=out, force_terminal=False, width=200)) as progress:
        for done in range(0, 101, 5):
            progress(done, 100, done // 50)

    lines = out.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[4].startswith("50/100 cases, ")
    assert lines[4].endswith(" s left, 1 violations")
    with command._progress_on(Console(file=io.StringIO(), force_terminal=True)) as progress:
        progress(1, 2, 0)
