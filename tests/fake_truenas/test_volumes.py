"""Device names and paths of what is shared."""

import pytest

from fake_truenas.context import Ctx
from fake_truenas.volumes import device_dataset, device_exists, device_path, pool_problem


@pytest.mark.parametrize("name", ["tank/v", "tank/a b", "tank/v@s"])
def test_a_device_name_leads_back_to_its_zvol(name):
    assert device_dataset(device_path(name)) == name
    assert " " not in device_path(name)


def test_only_zvols_and_their_snapshots_are_devices(nas):
    nas.call_direct("pool.dataset.create", {"name": "tank/v", "type": "VOLUME", "volsize": 1 << 20})
    nas.call_direct("pool.dataset.create", {"name": "tank/fs"})
    for name in ("tank/v", "tank/fs"):
        nas.call_direct("pool.snapshot.create", {"dataset": name, "name": "s"})
    names = ("tank/v", "tank/v@s", "tank/v@t", "tank/fs", "tank/fs@s", "tank/none", "tank/none@s", "")
    assert [name for name in names if device_exists(Ctx(nas), name)] == ["tank/v", "tank/v@s"]


@pytest.mark.parametrize(
    "path", ["", "/", "/mnt", "/mnt/", "/mnt/tan", "/mntx/tank", "tank", "/mnt/../etc", "/etc/mnt/tank"]
)
def test_paths_outside_of_pools_are_refused(nas, path):
    assert pool_problem(Ctx(nas), path) == "The path must reside within a pool mount point"


@pytest.mark.parametrize("path", ["/mnt/tank", "/mnt/tank/x", "/mnt/tank/fs/sub"])
def test_paths_below_a_pool_may_be_shared_whether_they_exist_or_not(nas, path):
    assert pool_problem(Ctx(nas), path) is None
