"""The table of a hunt."""

import json
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from csisim.cli.mutants_output import Results, head, row, sums
from csisim.explore.hunted import Effort, Hunted
from csisim.explore.records import Shrunk

OWN = Effort(campaigns=2, schedules=(3, 7), runs=10, cpu_ms=500.0, wall_ms=600.0)
NEVER = Effort(campaigns=2, schedules=(), runs=8, cpu_ms=900.0, wall_ms=20_000.0)
SMALL = Shrunk(
    signature="I1: #", seed=1, deviations=1, operations=2, rules=0, firings=0, runs=5, cpu_ms=1.0, replay="csi1-",
    finished=True,
)  # fmt: skip


def cells(line: str) -> list[list[str]]:
    return [part.split() for part in line.split(" | ")]


def test_a_row_has_what_was_found_and_what_the_other_ways_took() -> None:
    found = Hunted(name="M-X", origin="", race=True, effort=OWN, shrunk=(SMALL,), replays=3, reproduced=3,
                   against={"fifo": OWN, "real": NEVER})  # fmt: skip
    own, fifo, real = cells(row(found))
    assert own == ["M-X", "2/2", "5.0", "7", "250", "20.00%", "(5.67%..50.98%)", "1", "1", "3/3"]
    assert fifo == ["2/2", "5.0", "250", "1.0"]
    assert real == ["0/2", ">8", ">900", ">20000", ">80"]
    assert [len(each) for each in cells(head(("fifo", "real")))] == [13, 6, 8]  # a title of two words, and no brackets
    assert len(head(("fifo", "real"))) == len(row(found))
    every, small, times = sums([found], 40.0)
    assert every == "1 mutant of 1 found in every campaign"
    assert small == "1 hit shrunk, the smallest of each, to at most 1 deviation"
    assert times.endswith("Each was given 40 s for a mutant; > where that brought no hit")


def test_what_was_not_found_is_named() -> None:
    found = Hunted(name="M-X", origin="", race=True, effort=NEVER, against={"real": OWN})
    own, real = cells(row(found))
    assert own == ["M-X", "0/2", ">8", "-", ">900", "0.00%", "(0.00%..32.44%)", "-", "0", "-"]
    assert real == ["2/2", "5.0", "250", "300", "-"]
    assert sums([found], 40.0)[0] == "0 mutants of 1 found in every campaign; not M-X"


FOUND = Hunted(name="M-X", origin="", race=True, effort=OWN)


def test_what_was_not_hunted_to_the_end_is_counted() -> None:
    assert sums([FOUND], 40.0, left=2)[0] == (
        "1 mutant of 1 found in every campaign; INCOMPLETE, 2 more not hunted to the end"
    )


def test_a_file_is_exchanged_whole_and_stays_what_it_was(tmp_path: Path) -> None:
    there, link = tmp_path / "there.json", tmp_path / "link.json"
    there.touch(0o640)
    link.symlink_to(there)
    results = Results(link)
    results.write([FOUND])
    results.write([FOUND, FOUND])
    assert [each["name"] for each in json.loads(there.read_text())] == ["M-X", "M-X"]
    assert link.is_symlink()
    assert stat.S_IMODE(there.stat().st_mode) == 0o640
    assert sorted(tmp_path.iterdir()) == [link, there]
    assert not results.lost


@pytest.mark.parametrize(
    "stopped", [KeyboardInterrupt(), OSError(28, "No space left on device")], ids=["signal", "full"]
)
def test_what_was_in_the_file_outlives_a_write_that_fails(
    stopped: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "hunt.json"
    results = Results(path)
    results.write([FOUND])
    whole = Path.write_text

    def half(file: Path, text: str) -> None:
        whole(file, text[:20])
        raise stopped

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", half)
        for _ in range(2):
            with suppress(KeyboardInterrupt):
                results.write([FOUND, FOUND])
    assert [each["name"] for each in json.loads(path.read_text())] == ["M-X"]
    assert list(tmp_path.iterdir()) == [path]
    told = capsys.readouterr().err
    assert results.lost is isinstance(stopped, OSError)
    if results.lost:
        assert told == f"csisim mutants hunt: {path} could not be written: No space left on device\n"
    results.write([FOUND, FOUND])
    assert not results.lost
    assert len(json.loads(path.read_text())) == 2
