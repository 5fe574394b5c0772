"""The commands `csisim explore` and `csisim explore merge`: flags, exit status, and what they print and write."""

import json
import signal
import warnings
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from csisim.cli.main import app
from csisim.executors import NoCluster
from csisim.explore import work
from csisim.explore.journal import read
from csisim.explore.tally import tally_of

TINY = ["explore", "--size", "1x1x1", "--workload", "clients", "--faults", "none", "--jobs", "1"]
BROKEN = ["explore", "--size", "2x8x1", "--workload", "clients", "--faults", "none", "--protocol", "nfs", "--jobs", "1",
          "--mutant", "M-NOLOCK"]  # fmt: skip


def call(*arguments: str | Path, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], env=env)


def test_what_holds_is_summed_up_in_a_line_and_progress_goes_elsewhere() -> None:
    result = call(*TINY, "--seeds", "3:7")
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    assert line.startswith("OK: 4 runs of the seeds 3:7 in ")
    assert "0 violations, 0 unknown" in line
    assert "4/4 runs" in result.stderr


def test_shards_are_merged_to_the_digest_of_the_whole(tmp_path: Path) -> None:
    whole = json.loads(call(*TINY, "--seeds", "0:8", "--json").stdout)
    files = []
    for number in range(4):
        files.append(tmp_path / f"{number}.jsonl")
        env = {"JOB_COMPLETION_INDEX": str(number), "JOB_COMPLETIONS": "4"}
        result = call(*TINY, "--seeds", "0:8", "--out", files[-1], "--json", env=env)
        assert json.loads(result.stdout)["seeds"] == f"{2 * number}:{2 * number + 2}"
    merged = call("explore", "merge", *reversed(files), "--out", tmp_path / "all.jsonl", "--json")
    assert merged.exit_code == 0, merged.output
    found = json.loads(merged.stdout)
    assert (found["digest"], found["runs"], found["missing"], found["seeds"]) == (whole["digest"], 8, 0, "0:8")
    assert tally_of(read(tmp_path / "all.jsonl").records).digest == whole["digest"]
    assert call("explore", "merge", tmp_path / "all.jsonl", files[0]).exit_code == 0


def test_failures_are_grouped_shrunk_and_told(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    result = call(*BROKEN, "--seeds", "3:6", "--out", tmp_path / "a.jsonl", "--html-dir", pages)
    assert result.exit_code == 1, result.output
    lines = result.stdout.splitlines()
    assert " x races: ControllerExpandVolume(#) # wrote" in lines[0]
    assert lines[3].startswith("    shrunk to 0 deviations from FIFO, ")
    assert lines[4].startswith("    csisim replay csi1-")
    assert lines[-1].startswith("FAILED: 3 runs of the seeds 3:6 in ")
    page, replay, story = sorted(pages.iterdir(), key=lambda path: (".html", ".json", ".txt").index(path.suffix))
    assert page.stem == replay.stem == story.stem
    assert page.name.startswith("01-races-ControllerExpandVolume")
    assert story.read_text().startswith("VIOLATION of ")
    again = call("replay", replay, "--by-tape", "--json")
    assert json.loads(again.stdout)["same_trace"] is True
    group = json.loads(call("explore", "merge", tmp_path / "a.jsonl", "--json").stdout)["failures"][0]
    assert (group["count"], group["shrunk"]["deviations"]) == (len(group["seeds"]), 0)


def test_results_go_to_standard_output_and_all_else_elsewhere(tmp_path: Path) -> None:
    result = call(*TINY, "--seeds", "0:2", "--out", "-")
    assert "OK: 2 runs" in result.stderr
    path = tmp_path / "a.jsonl"
    path.write_text(result.stdout)
    assert tally_of(read(path).records).runs == 2


def test_a_campaign_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert call(*TINY, "--seeds", "0:3", "--out", path).exit_code == 0
    whole = json.loads(call("explore", "--resume", path, "--seeds", "0:6", "--jobs", "1", "--json").stdout)
    assert (whole["runs"], whole["missing"]) == (6, 0)
    assert whole["digest"] == json.loads(call(*TINY, "--seeds", "0:6", "--json").stdout)["digest"]
    nothing = call("explore", "--resume", path, "--seeds", "0:6", "--jobs", "1", "--json")
    assert json.loads(nothing.stdout)["digest"] == whole["digest"]


def test_ctrl_c_keeps_what_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, begun = tmp_path / "a.jsonl", work.run_chunk

    def pressed(mix: Any, start: int, stop: int, code: str) -> Any:
        if start and read(path).records:
            signal.raise_signal(signal.SIGINT)
        return begun(mix, start, min(stop, start + 4), code)

    monkeypatch.setattr("csisim.explore.campaign.run_chunk", pressed)
    monkeypatch.setattr("sys.unraisablehook", None)
    with warnings.catch_warnings():
        result = call(*TINY, "--seeds", "0:100000", "--out", path)
    assert result.exit_code == 130, result.output
    assert result.stdout.startswith("INCOMPLETE, ")
    assert f"csisim explore --resume {path} goes on" in result.stderr
    assert tally_of(read(path).records).runs >= 4


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([*TINY], "say which seeds"),
        ([*TINY, "--seeds", "5:3"], "not A:B"),
        ([*TINY, "--seeds", "0:5", "--shard", "5/5"], "not I/N"),
        (["explore", "--seeds", "0:5", "--workload", "nonsense"], "workload"),
        (["explore", "--seeds", "0:5", "--strategy", "nonsense"], "is no strategy"),
        (["explore", "--seeds", "0:5", "--mutant", "M-NONSENSE"], "is no mutant"),
        (["explore", "--seeds", "0:5", "--faults", "nas.nonsense.reply: drop"], "nas.nonsense"),
        ([*TINY, "--seeds", "0:5", "--out", "-", "--json"], "standard output is taken"),
        ([*TINY, "--seeds", "0:5", "--out", "/nowhere/at/all"], "No such file"),
        ([*TINY, "--resume", "/nowhere/at/all"], "says what is run"),
        (["explore", "--resume", "/nowhere/at/all"], "No such file"),
        (["explore", "merge", "/nowhere/at/all"], "No such file"),
        (["explore", "merge", __file__], "line 1"),
    ],
)
def test_wrong_uses_say_what_is_wrong(arguments: list[str], reason: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert reason in " ".join(result.stderr.replace("│", " ").split())


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("mine")
    result = call(*TINY, "--seeds", "0:5", "--out", path)
    assert result.exit_code == 2
    assert path.read_text() == "mine"


def test_a_worker_that_dies_ends_it_with_status_3_and_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = work.run_chunk

    def dies(mix: Any, start: int, stop: int, code: str) -> Any:
        if start >= 4:
            raise BrokenExecutor("a worker was killed")
        return begun(mix, start, stop, code)

    monkeypatch.setattr("csisim.explore.campaign.run_chunk", dies)
    result = call(*TINY, "--seeds", "0:9")
    assert result.exit_code == 3
    assert "csisim explore: a worker was killed" in result.stderr
    assert "Traceback" in result.stderr
    assert result.stdout.startswith("INCOMPLETE, 5 missing: 4 runs of the seeds 0:9")


def test_a_cluster_that_is_not_there_is_a_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(address: str) -> Any:
        raise NoCluster(f"no Dask scheduler at {address!r}")

    monkeypatch.setattr("csisim.executors.dask", nobody)
    result = call(*TINY, "--seeds", "0:5", "--dask", "tcp://127.0.0.1:1")
    assert result.exit_code == 2
    assert "no Dask scheduler at 'tcp://127.0.0.1:1'" in " ".join(result.stderr.split())
