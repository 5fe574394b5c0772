"""The table of what faults cost, from results that are made up."""

import orjson

from benchmarks.fault_measure import QUICK, FaultResult, FaultResults
from benchmarks.fault_report import as_json, as_text
from benchmarks.statistics import Spread

SPREAD = Spread(400.0, 380.0, 410.0)
KEPT = FaultResult("no rules", SPREAD, Spread(0.95, 0.9, 1.1), 1.04, 0.05)
BROKEN = FaultResult("1,000 rules", SPREAD, Spread(0.84, 0.8, 0.9), 1.2, 0.15)
ALL = FaultResults(QUICK, SPREAD, [KEPT, BROKEN])


def test_the_table_says_which_bars_are_kept() -> None:
    lines = as_text(ALL).splitlines()
    assert "0.950 (0.900 to 1.100)" in lines[4]
    assert lines[4].endswith(">= 0.95      met")
    assert lines[5].endswith(">= 0.85  NOT MET")


def test_json_has_the_bars() -> None:
    document = orjson.loads(orjson.dumps(as_json(ALL)))
    assert [each["met"] for each in document["results"]] == [True, False]
    assert document["plan"]["rules"] == 1000
