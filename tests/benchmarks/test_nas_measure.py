"""What is measured of the NAS, and that it can be."""

from pathlib import Path

import pytest

from benchmarks import nas_measure
from benchmarks.nas_measure import DRIVER_EXTRA, FEW, PAGE, NasPlan, random_names
from benchmarks.nas_population import ROOT, volume_name
from csisim.truenas import storage

TINY = NasPlan(in_flight=(1, 4), rounds=1, round_s=0.01, volumes=200, batch=2, starts=1)


def test_the_driver_asks_as_the_driver_does() -> None:
    assert {**DRIVER_EXTRA, "properties": sorted(DRIVER_EXTRA["properties"])} == {
        **storage._DATASET_EXTRA,
        "properties": sorted(storage._NATIVE),
    }


def test_random_volumes_are_there_and_have_a_page_after_them() -> None:
    names = sorted(f"{ROOT}/{volume_name(index)}" for index in range(FEW))
    for name in random_names(FEW, 50, 1):
        assert name in names
        assert len(names) - names.index(name) > PAGE
    assert random_names(FEW, 50, 1) == random_names(FEW, 50, 1) != random_names(FEW, 50, 2)


def test_the_full_plan_measures_what_is_claimed() -> None:
    assert NasPlan().volumes == 1_000_000
    assert NasPlan().in_flight == (1, 16)


async def test_calls_are_measured_beside_the_yardstick(tmp_path: Path) -> None:
    results = await nas_measure.measure_calls(tmp_path, TINY)
    assert [(each.method, each.in_flight) for each in results] == [
        (method, in_flight)
        for method in ("core.ping", "pool.dataset.query by id", "pool.dataset.create")
        for in_flight in (1, 4)
    ]
    for each in results:
        assert each.ratio.median == each.nas_per_s.median / each.bare_per_s.median > 0


async def test_figures_at_size_are_taken_and_leave_the_kept_volumes_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nas_measure, "FEW", 100)
    first = await nas_measure.measure_size(tmp_path, tmp_path / "cache", TINY)
    assert first.built_s is not None
    assert len(first.calls) == 6
    assert all(each.slowest_ms >= each.many_ms.median > 0 for each in first.calls)
    assert first.peak_bytes > 10 << 20
    async with nas_measure.nas_servers.nas(tmp_path, "again", tmp_path / "cache" / "nas-200") as target:
        assert await target.client.result("pool.dataset.query", [["id", "^", f"{ROOT}/"]], {"count": True}) == 200
