"""Tables and bars of the NAS, from results that are made up."""

from dataclasses import replace

import orjson

from benchmarks.nas_measure import QUICK, AtSize, CallsResult, NasResults, SizeResult
from benchmarks.nas_report import as_json, as_text, bars
from benchmarks.statistics import Spread


def same(value: float) -> Spread:
    return Spread(value, value, value)


PING = CallsResult("core.ping", 16, same(9000), same(12000), Spread(0.75, 0.7, 0.8), 0.05, 0.02)
PAGE = AtSize("page of 100 by key, every property", same(4.5), same(4.4), Spread(1.02, 0.9, 1.1), 9.7)
BY_ID = AtSize("query by id, every property", same(0.3), same(0.3), same(1.0), 2.0)
CREATE = AtSize("create", same(9.0), same(1.0), same(9.0), 20.0)
SIZE = SizeResult(1_000_000, 2000, 2 << 30, 61.0, same(0.4), [BY_ID, PAGE, CREATE], 1 << 30)


def test_bars_are_met_below_and_only_below_their_limit() -> None:
    assert [(bar.what, bar.met) for bar in bars(SIZE)] == [
        ("start", True),
        ("query by id, every property", True),
        ("page of 100 by key, every property", True),
        ("resident memory", True),
    ]
    slow = replace(SIZE, start_s=same(5.0), calls=[replace(PAGE, many_ms=same(5.1))], peak_bytes=2 << 30)
    assert [bar.met for bar in bars(slow)] == [False, False, False]


def test_tables_show_ratios_and_bars() -> None:
    text = as_text(NasResults(QUICK, [PING], SIZE))
    assert "0.75 (0.70 to 0.80)" in text
    assert "made in 61 s" in text
    assert "NOT MET" not in text
    assert "set for" not in text
    slow = as_text(NasResults(QUICK, [], replace(SIZE, start_s=same(6.0), built_s=None)))
    assert "NOT MET" in slow
    assert "kept from before" in slow
    assert "core.ping" not in slow


def test_bars_measured_with_fewer_volumes_say_so() -> None:
    assert "(set for 1,000,000; this was 10,000)" in as_text(NasResults(QUICK, [], replace(SIZE, volumes=10_000)))


def test_json_has_the_bars() -> None:
    document = orjson.loads(orjson.dumps(as_json(NasResults(QUICK, [PING], SIZE))))
    assert document["calls"][0]["ratio"] == {"median": 0.75, "low": 0.7, "high": 0.8}
    assert [bar["met"] for bar in document["bars"]] == [True] * 4
    assert "bars" not in as_json(NasResults(QUICK, [PING], None))
