"""Copied volumes are what calls would have made."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import nas_population as population
from fake_truenas.nas import Nas


@pytest.fixture
def copied() -> Iterator[Nas]:
    nas = population.make(None, population.SAMPLE)
    yield nas
    nas.close()


@pytest.fixture
def called() -> Iterator[Nas]:
    nas = population.make_by_calls(population.SAMPLE)
    yield nas
    nas.close()


def test_copied_rows_are_those_that_calls_make() -> None:
    population.verify()


@pytest.mark.parametrize(
    "change",
    [
        "update dataset set guid = '1' where pk = 90",
        "update dataset_property set source = 1 where dataset = 90 and key = 'csisim:protocol'",
        "delete from nfs_share where id = 40",
        "update pool set txg = txg + 1",
        "drop index dataset_property_value",
        "create table other (id integer)",
    ],
)
def test_a_difference_anywhere_is_noticed(copied: Nas, called: Nas, change: str) -> None:
    population.compare(copied, called)
    copied.db.run(change)
    with pytest.raises(population.NotTheSameError):
        population.compare(copied, called)


def test_a_copied_volume_is_whole(copied: Nas) -> None:
    name = f"{population.ROOT}/{population.volume_name(100)}"
    (entry,) = copied.call_direct("pool.dataset.query", [["id", "=", name]])
    own = {key: each["value"] for key, each in entry["user_properties"].items() if each["source"] == "LOCAL"}
    assert len(own) == 12
    assert own == population.properties(100)
    (share,) = copied.call_direct("sharing.nfs.query", [["path", "=", f"/mnt/{name}"]])
    assert share["comment"] == f"csisim:{population.volume_name(100)}"
    by_name = [["user_properties.csisim:volume_name.value", "=", population.volume_name(100)]]
    assert [found["id"] for found in copied.call_direct("pool.dataset.query", by_name)] == [name]
    assert copied.call_direct("pool.dataset.query", [["id", "^", f"{population.ROOT}/"]], {"count": True}) == 135


def test_half_are_file_systems_with_a_share_and_half_zvols(copied: Nas) -> None:
    counts = copied.db.rows("select type, count(*) from dataset where parent is not null group by type order by type")
    assert [tuple(row) for row in counts] == [("FILESYSTEM", 69), ("VOLUME", 67)]  # one is the root of the volumes
    assert copied.call_direct("sharing.nfs.query", [], {"count": True}) == 68


def test_a_kept_population_is_used_again_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, made = population.ensure(tmp_path, 50)
    assert made
    assert population.ensure(tmp_path, 50) == (directory, False)
    monkeypatch.setattr(population, "_GENERATION", 99)
    assert population.ensure(tmp_path, 50) == (directory, True)


def test_a_kept_population_can_be_served(tmp_path: Path) -> None:
    directory, _ = population.ensure(tmp_path, 50)
    nas = population.Nas(
        population.NasConfig(pools=(population.POOL,), api_key=population.API_KEY, data_dir=directory),
        rng=population.random.Random(1),
        clock=lambda: 0.0,
    )
    try:
        assert nas.call_direct("pool.dataset.query", [["id", "^", "tank/csi/"]], {"count": True}) == 50
    finally:
        nas.close()
