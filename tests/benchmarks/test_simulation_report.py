"""The tables of what the simulation does, from results that are made up."""

import orjson

from benchmarks.schedules import LARGE, SMALL
from benchmarks.simulation import QUICK, LockResult, SimulationResult, SimulationResults
from benchmarks.simulation_report import as_json, as_text
from benchmarks.statistics import Spread

LOOP = Spread(0.01, 0.009, 0.012)
STEPS = Spread(30_000.0, 29_000.0, 31_000.0)
KEPT = SimulationResult("stack", SMALL, Spread(510, 500, 520), Spread(505, 480, 530), STEPS, Spread(5.1, 4.9, 5.3))
BROKEN = SimulationResult("run", LARGE, Spread(20, 19, 21), Spread(21, 18, 22), STEPS, Spread(2.4, 2.2, 2.6))
LOCKS = LockResult({"simloom": 12.0, "csisim": 4.0})
ALL = SimulationResults(QUICK, LOOP, [KEPT, BROKEN], LOCKS)


def test_the_table_says_which_bars_are_kept() -> None:
    lines = as_text(ALL).splitlines()
    assert "505 (480 to 530)  >= 500      met" in lines[3]
    assert lines[3].endswith(">= 5      met")
    assert "21 (18 to 22)   >= 50  NOT MET" in lines[4]
    assert lines[4].endswith(">= 5  NOT MET")
    assert lines[-2].split() == ["simloom", "12.00", "3.00"]


def test_what_could_not_be_measured_says_why() -> None:
    assert as_text(SimulationResults(QUICK, LOOP, [KEPT], LockResult({}, "no simloom"))).endswith(
        "not measured: no simloom"
    )


def test_json_has_the_bars() -> None:
    document = orjson.loads(orjson.dumps(as_json(ALL)))
    assert [each["is_fast"] for each in document["results"]] == [True, False]
    assert document["bars"] == {"cpu_ratio": 5.0, "reference_loop_s": 0.01}
