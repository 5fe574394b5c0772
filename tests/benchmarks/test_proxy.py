"""What the proxy costs: measured on real processes, and shown."""

from pathlib import Path

import orjson

from benchmarks.measure import Plan
from benchmarks.proxy import ProxyResult, as_json, as_text, measure_proxy
from benchmarks.statistics import Spread

CHEAP = ProxyResult("DeleteVolume", Spread(0.4, 0.3, 0.5), Spread(1.0, 0.9, 1.1), Spread(0.6, 0.5, 0.7), 0.55)


async def test_every_call_is_made_both_ways(tmp_path: Path) -> None:
    found = await measure_proxy(tmp_path, Plan(rounds=2), calls=5)

    assert [each.call for each in found] == ["DeleteVolume", "ListVolumes, page of 100"]
    for each in found:
        assert 0 < each.direct_ms.low <= each.direct_ms.median <= each.direct_ms.high
        assert each.through_ms.median > 0
        assert each.cpu_ms >= 0
    assert orjson.loads(orjson.dumps(as_json(found)))["most_ms"] == 1.0


def test_the_table_shows_the_cost_and_its_bar() -> None:
    dear = ProxyResult("x", CHEAP.direct_ms, CHEAP.through_ms, Spread(1.01, 0.2, 3.0), 0.5)

    cheap_row, dear_row = as_text([CHEAP, dear]).splitlines()[-2:]

    assert "0.60 (0.50 to 0.70)" in cheap_row
    assert " met " in cheap_row
    assert "NOT MET" in dear_row
