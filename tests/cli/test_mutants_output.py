"""The table of a hunt."""

from csisim.cli.mutants_output import head, row, sums
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
