"""The comparison of engines: what is divided is all of it, and a difference is seen."""

import pytest

from csisim.executors import processes
from csisim.explore.mix import Mix
from tests.explore.samples import TINY
from tools import explore_engines


def test_shards_are_all_seeds_in_another_order() -> None:
    parts = explore_engines.shards(range(3, 20))
    assert sorted(seed for part in parts for seed in part) == list(range(3, 20))
    assert len(parts) == 4
    assert parts[0].stop == 20


def test_a_row_tells_the_digest(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explore_engines, "Mix", lambda: Mix(TINY))
    one = explore_engines.digest("inline", [range(4)], processes(1))
    assert one == explore_engines.digest("four shards", explore_engines.shards(range(4)), processes(1))
    assert capsys.readouterr().out.count(one) == 2


@pytest.mark.parametrize(("digests", "status"), [(["a", "a", "a", "a"], 0), (["a", "a", "b", "a"], 1)])
def test_digests_that_differ_are_a_failure(
    digests: list[str], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = iter(digests)
    monkeypatch.setattr(explore_engines, "digest", lambda _name, _parts, _place: next(left))
    assert explore_engines.main("0:8", 1) == status
    assert capsys.readouterr().out.endswith("equal\n" if status == 0 else "NOT EQUAL\n")
