"""What the linearizability checker takes: measured, and shown."""

from dataclasses import replace

import orjson

from benchmarks.checker import CheckerResult, as_json, as_text, make_history, measure_checker
from benchmarks.statistics import Spread
from csisim.check.linearizability import check
from csisim.check.volume_model import VolumeModel

QUICK = CheckerResult(8, 20, 4, 160.0, Spread(0.5, 0.4, 0.6), Spread(0.05, 0.04, 0.06), 2.0)


def test_histories_have_all_clients_at_all_volumes_and_an_order() -> None:
    history = make_history(1, 8, 20, 4)
    assert len(history) == 160
    assert len({each.process for each in history}) == 8
    assert len({each.value.volume for each in history}) == 4
    assert 0 < sum(each.pending for each in history) < 20
    assert sum(each.type == "fail" for each in history) > 10
    assert check(history, VolumeModel()).verdict == "ok"
    assert history == make_history(1, 8, 20, 4)


def test_each_size_is_measured_with_a_ratio_to_the_fixed_loop() -> None:
    found = measure_checker(rounds=1, histories=2)
    assert [(each.clients, each.operations, each.volumes) for each in found] == [(8, 20, 4), (8, 20, 1), (8, 100, 4)]
    for each in found:
        assert each.explored >= 100
        assert each.ms.median > 0
        assert each.ratio.median > 0
    assert orjson.loads(orjson.dumps(as_json(found)))[0]["most_ms"] == 2.0


def test_the_table_shows_the_time_and_its_bar() -> None:
    slow = replace(QUICK, ms=Spread(2.1, 2.0, 2.2))
    free = replace(slow, most_ms=0.0)
    quick_row, slow_row, free_row = as_text([QUICK, slow, free]).splitlines()[-3:]
    assert quick_row.endswith("< 2 ms met")
    assert slow_row.endswith("< 2 ms NOT MET")
    assert "2.10 (2.00 to 2.20)" in free_row
    assert "met" not in free_row.lower()
