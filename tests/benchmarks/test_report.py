"""Tables and JSON, from results that are made up."""

import orjson
import pytest

from benchmarks.measure import QUICK, Compared, LevelResult, PairsResult, memory_growth
from benchmarks.report import Results, as_json, as_text, table
from benchmarks.statistics import Spread


def same(value: float) -> Spread:
    return Spread(value, value, value)


PAIRS = PairsResult(16, same(1200), same(3000), Spread(0.4, 0.38, 0.41), {"driver": 0.21, "nas": 0.13, "bare": 0.08})
FEW = LevelResult(100, 900.0, Compared(same(1.5), same(1.5), same(0.4), same(1.0)), None, None, {"driver": 60 << 20})
MANY = LevelResult(
    100_100,
    950.0,
    Compared(same(1.8), same(1.5), same(0.4), Spread(1.2, 1.1, 1.3)),
    Compared(same(4.0), same(3.9), same(0.9), same(1.03)),
    same(4.1),
    {"driver": 80 << 20},
)
ALL = Results("2026-01-31", QUICK, [PAIRS], [FEW, MANY])


def test_tables_show_ratios_with_their_spread() -> None:
    text = as_text(ALL)
    assert "0.40 (0.38 to 0.41)" in text
    assert "1.20 (1.10 to 1.30)" in text
    assert "p50 ms with 100" in text
    assert "date 2026-01-31" in text


def test_parts_left_out_leave_no_empty_tables() -> None:
    text = as_text(Results("2026-01-31", QUICK, [PAIRS], []))
    assert "CreateVolume + DeleteVolume" in text
    assert "ListVolumes" not in text
    assert "memory" not in text


def test_json_has_the_claims_the_versions_and_the_machine() -> None:
    document = orjson.loads(orjson.dumps(as_json(ALL)))
    assert document["pairs"][0]["ratio"] == {"median": 0.4, "low": 0.38, "high": 0.41}
    assert document["levels"][1]["create"]["ratio"]["median"] == 1.2
    assert document["memory_bytes_per_10000_volumes"] == {"driver": 2 << 20}
    assert document["machine"]["cores"] >= 1
    assert {"csisim", "grpcio", "websockets", "python", "sqlite"} <= document["machine"].keys()


def test_memory_growth_needs_two_levels() -> None:
    assert memory_growth([FEW, MANY]) == {"driver": 2 << 20}
    with pytest.raises(ValueError, match="not more than"):
        memory_growth([FEW, FEW])


def test_table_columns_line_up() -> None:
    lines = table("t", ("a", "long"), [("1000", "2"), ("3", "4")]).splitlines()
    assert lines[0] == "t"
    assert len({len(line) for line in lines[1:]}) == 1
