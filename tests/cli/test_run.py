"""The command `csisim run`: flags, exit status, and what it prints and writes."""

import json
import signal
import warnings
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from csisim.check.verdicts import Violation
from csisim.cli.main import app
from csisim.runs.plan import RunPlan
from csisim.runs.replay import parse_file, parse_token
from csisim.runs.report import RunResult
from csisim.runs.run import run_plan

SMALL = ["run", "--size", "2x3x1", "--faults", "none"]


def call(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_one_seed_prints_a_line_per_check_and_the_line_that_repeats_it():
    result = call(*SMALL, "--seed", "5", "--strategy", "walk")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("seed 5 · walk · 2 clients x 3 operations, 1 volume · 2 nodes · ")
    checks = {line.split()[0]: line.split()[1] for line in lines[1 : lines.index("")]}
    assert {"I1", "I18", "linearizability", "cost", "races", "termination"} <= set(checks)
    assert set(checks.values()) <= {"ok", "-"}
    assert lines[-2] == "OK: everything held"
    known = parse_token(lines[-1].removeprefix("csisim replay "))
    assert known.plan == RunPlan(seed=5, strategy="walk", clients=2, operations=3, volumes=1, faults=("none",))


def test_json_is_one_object():
    result = call(*SMALL, "--seed", "5", "--json", "--protocol", "nfs", "--nodes", "1")
    report = json.loads(result.stdout)
    assert {"seed", "strategy", "verdict", "invariants", "violations", "trace_hash", "steps", "virtual_s",
            "replay"} <= set(report)  # fmt: skip
    assert (report["seed"], report["verdict"], report["plan"]["protocols"]) == (5, "ok", ["nfs"])
    assert len(report["trace_hash"]) == 32


def test_without_a_seed_one_is_drawn_and_printed():
    seeds = {json.loads(call(*SMALL, "--json").stdout)["seed"] for _ in range(2)}
    assert len(seeds) == 2


def test_many_seeds_are_summed_up_with_a_digest():
    once, again = (call(*SMALL, "--seeds", "3:6") for _ in range(2))
    assert once.exit_code == 0, once.output
    (last,) = once.stdout.splitlines()
    assert last.startswith("OK: 3 runs in ")
    assert "0 violations, 0 unknown" in last
    assert last.split("digest ")[1] == again.stdout.split("digest ")[1].strip()
    assert "3/3 runs" in once.stderr
    report = json.loads(call(*SMALL, "--seeds", "3:6", "--json").stdout)
    assert (report["seeds"], report["runs"], report["violating_seeds"], report["verdict"]) == ("3:6", 3, [], "ok")
    assert report["digest"] == last.split("digest ")[1]
    assert report["runs_per_s"] > 0


def test_everything_is_written_where_it_is_wanted(tmp_path: Path):
    names = {"junit": "r.xml", "html": "r.html", "history": "r.jsonl", "replay-file": "r.json"}
    flags = [part for name, file in names.items() for part in (f"--{name}", str(tmp_path / file))]
    result = call(*SMALL, "--seed", "5", *flags)
    assert result.exit_code == 0, result.output
    assert ET.parse(tmp_path / "r.xml").getroot().tag == "testsuites"  # noqa: S314 - our own
    assert (tmp_path / "r.html").read_text().startswith("<!DOCTYPE html>")
    first = json.loads((tmp_path / "r.jsonl").read_text().splitlines()[0])
    assert (first["seq"], first["kind"]) == (1, "world")
    known = parse_file((tmp_path / "r.json").read_bytes())
    assert known.plan.seed == 5
    assert known.trace_hash == json.loads(call(*SMALL, "--seed", "5", "--json").stdout)["trace_hash"]


def broken(plan: RunPlan, *, keep_events: bool = False) -> RunResult:
    """A run with a violation in it."""
    result = run_plan(plan, keep_events=True)
    found = Violation("I4", "two nodes write to pvc-1", "one node writes", (1,), 0.0)
    invariants = {**result.report.invariants, "I4": "violation"}
    report = replace(result.report, verdict="violation", violations=(found,), invariants=invariants)
    return replace(result, report=report)


def test_a_violation_is_told_and_the_status_is_1(monkeypatch):
    monkeypatch.setattr("csisim.runs.run.run_plan", broken)
    monkeypatch.setattr("csisim.runs.many.run_plan", broken)
    result = call(*SMALL, "--seed", "5")
    assert result.exit_code == 1
    assert "two nodes write to pvc-1" in result.stdout
    assert "VIOLATION" in result.stdout
    assert "csisim replay csi1-" in result.stdout.splitlines()[-1]
    many = call(*SMALL, "--seeds", "3:5")
    assert many.exit_code == 1
    assert "violating seeds: 3, 4" in many.stdout
    assert many.stdout.splitlines()[-1].startswith("FAILED: 2 runs")
    assert json.loads(call(*SMALL, "--seeds", "3:5", "--json").stdout)["violating_seeds"] == [3, 4]


def test_a_manifest_that_cannot_be_brought_about_is_a_wrong_use_that_names_its_file(tmp_path: Path):
    from tests.runs.test_intents import MANIFEST

    first, second = (tmp_path / name for name in ("1.yaml", "2.yaml"))
    first.write_text(MANIFEST)
    second.write_text(MANIFEST.replace("1Gi", "1Mi"))
    result = call("run", "--seed", "5", "-f", str(first), "-f", str(second))
    assert result.exit_code == 2, result.output
    said = " ".join(result.stderr.split())
    assert f"for --file: {second}, document" in said
    assert "PersistentVolumeClaim" in said
    assert f"in {first}, document" in said
    assert "a volume does not shrink" in said


def test_rules_come_from_flags_and_files(tmp_path: Path):
    rules = tmp_path / "rules.txt"
    rules.write_text("# busy\nmount.umount: #1 error(EBUSY)\n")
    result = call(
        "run", "--seed", "5", "--size", "2x3", "--json", "--faults", f"@{rules}", "--faults", "clock.nas: skew(1h)"
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["faults"] == ["mount.umount: #1 error(EBUSY)", "clock.nas: skew(1h)"]


def test_manifests_make_it_an_orchestrators_run(tmp_path: Path):
    from tests.runs.test_intents import MANIFEST

    (tmp_path / "all.yaml").write_text(MANIFEST)
    result = call("run", "--seed", "5", "--size", "1x1", "--faults", "none", "--json", "-f", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["plan"]["workload"] == "co"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seeds", "5"], "is not A:B"),
        (["--seeds", "5:5"], "is not A:B"),
        (["--seed", "1", "--seeds", "1:2"], "either --seed or --seeds"),
        (["--seed", "-1"], "for --seed: '-1' is not a whole number"),
        (["--seeds", "9:900000000000000000000"], "for --seeds: '9:900000000000000000000' is not"),
        (["--size", "3"], "for --size: '3' is not CxO"),
        (["--size", "0x5"], "for --size: clients: '0' is not"),
        (["--strategy", "best"], "for --strategy: 'best' is no strategy"),
        (["--protocol", "smb"], "for --protocol: protocols: 'smb' is not one of"),
        (["--workload", "stress"], "for --workload: 'stress' is not one of"),
        (["--nodes", "0"], "for --nodes: '0' is not"),
        (["--faults", "all", "--faults", "none"], "for --faults: all and none stand alone"),
        (["--faults", ""], "for --faults: there is no rule in ''"),
        (["--faults", "mount.umont: error(EBUSY)"], "for --faults: there is no site"),
        (["--faults", "mount.umount"], "--faults"),
        (["--faults", "@/nowhere"], "/nowhere"),
        (["-f", "/nowhere"], "/nowhere"),
        (["--seed", "1", "--html", "/nowhere/x.html"], "/nowhere/x.html"),
    ],
)
def test_a_wrong_use_is_status_2_and_says_what_is_allowed(arguments, said):
    result = call("run", "--size", "1x1", *arguments)
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.stderr.split())


def test_a_mutant_brings_its_plan_along_and_the_command_line_goes_before_it():
    result = call("run", "--mutant", "M-UNLINK", "--seed", "1", "--size", "2x2x1", "--json")
    plan = json.loads(result.stdout)["plan"]
    assert (plan["mutant"], plan["clients"], plan["operations"], plan["volumes"]) == ("M-UNLINK", 2, 2, 1)
    assert (plan["nodes"], plan["faults"]) == (1, ["none"])


def test_a_run_with_a_mutant_says_so_and_repeats_with_it():
    result = call("run", "--mutant", "M-ONEWS", "--seed", "4")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].startswith("DRIVER WITH THE KNOWN BUG M-ONEWS · seed 4 · ")
    assert any("driver with the KNOWN BUG M-ONEWS" in line for line in lines)
    token = next(line for line in lines if line.startswith("replay: ")).removeprefix("replay: csisim replay ")
    assert parse_token(token).plan.mutant == "M-ONEWS"


def test_a_mutant_that_there_is_not_is_a_wrong_use():
    result = call("run", "--mutant", "M-NONE")
    assert result.exit_code == 2
    assert "'M-NONE' is no mutant" in result.stderr


SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: chap, annotations: {last-applied: canary-4711-plain}}
stringData: {node.session.auth.password: canary-4711-plain}
"""


def test_what_secrets_of_manifests_hold_is_nowhere_in_what_is_printed_and_written(tmp_path: Path):
    (tmp_path / "secret.yaml").write_text(SECRET)
    names = {"junit": "r.xml", "html": "r.html", "history": "r.jsonl", "replay-file": "r.json"}
    flags = [part for name, file in names.items() for part in (f"--{name}", str(tmp_path / file))]
    result = call("run", "--seed", "5", "--faults", "none", "--json", "-f", str(tmp_path / "secret.yaml"), *flags)
    assert result.exit_code == 0, result.output
    token = json.loads(result.stdout)["replay"].removeprefix("csisim replay ")
    (manifest,) = parse_token(token).plan.manifests
    assert "name: chap" in manifest
    written = [(tmp_path / file).read_text() for file in names.values()]
    assert not any("canary-4711" in text for text in (manifest, result.output, *written))


def test_where_nothing_can_be_written_nothing_is_run(tmp_path: Path, monkeypatch):
    def run(*_args, **_kwargs):
        raise AssertionError("it was run")

    monkeypatch.setattr("csisim.runs.run.run_plan", run)
    monkeypatch.setattr("csisim.runs.many.run_plan", run)
    for path, said in ((tmp_path, "Is a directory"), (tmp_path / "no" / "x", "No such file")):
        for seeds in (["--seed", "1"], ["--seeds", "0:9"]):
            result = call("run", *seeds, "--history", str(path))
            assert result.exit_code == 2
            assert said in result.stderr


def test_a_run_that_is_interrupted_says_no_more_than_that(tmp_path: Path, monkeypatch):
    def cut_off(plan: RunPlan, *, keep_events: bool = False) -> RunResult:
        signal.raise_signal(signal.SIGINT)
        return run_plan(plan)

    monkeypatch.setattr("csisim.runs.run.run_plan", cut_off)
    monkeypatch.setattr("sys.unraisablehook", None)
    with warnings.catch_warnings():
        result = call(*SMALL, "--seed", "3", "--html", str(tmp_path / "r.html"))
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_the_history_of_many_runs_that_held_is_the_first_ones(tmp_path: Path):
    one, many = (tmp_path / name for name in ("one", "many"))
    call(*SMALL, "--seed", "3", "--history", str(one))
    call(*SMALL, "--seeds", "3:5", "--history", str(many))
    assert many.read_text() == one.read_text() != ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_many_runs_that_are_interrupted_tell_what_there_was_until_then(number, tmp_path: Path, monkeypatch):
    def until(plan: RunPlan, *, keep_events: bool = False) -> RunResult:
        if plan.seed == 5:
            signal.raise_signal(number)
        return run_plan(plan, keep_events=keep_events)

    monkeypatch.setattr("csisim.runs.many.run_plan", until)
    monkeypatch.setattr("sys.unraisablehook", None)
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # else a test that fails would end its process
    try:
        with warnings.catch_warnings():
            result = call(*SMALL, "--seeds", "3:9", "--json", "--junit", str(tmp_path / "r.xml"))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert result.exit_code == 128 + number
    assert "interrupted after 2 of 6 runs" in result.stderr
    report = json.loads(result.stdout)
    assert (report["runs"], report["seeds"]) == (2, "3:5")
    assert "seed 4" in (tmp_path / "r.xml").read_text()
