"""truenas-scale-csi against the fake: five sockets, many small calls, and errors of which it reads the message only."""

import random
from typing import Any

import pytest

from fake_truenas import Nas, NasConfig
from fake_truenas.rate_limit import RateLimit
from tests.fake_truenas.clients.conftest import OpenWire
from tests.fake_truenas.clients.truenas_scale_csi import GIB, ScaleCsi, Sockets, is_not_found
from tests.fake_truenas.clients.wire import Refused, always, code_of, integers, open_wire
from tests.fake_truenas.rpc import Clock

USER_AGENT = {"user_agent_header": "truenas-scale-csi", "compression": None}


@pytest.fixture
async def sockets(wires: OpenWire, key: str) -> Sockets:
    sockets = Sockets([await wires(integers(), always, **USER_AGENT) for _ in range(5)])
    await sockets.login(key)
    return sockets


@pytest.fixture(params=["nfs", "iscsi"])
async def driver(request: pytest.FixtureRequest, sockets: Sockets, nas: Nas) -> ScaleCsi:
    await nas.call("pool.dataset.create", {"name": "tank/k8s"})
    await nas.call("iscsi.initiator.create", {"initiators": []})
    return ScaleCsi(sockets, request.param)


async def test_each_socket_counts_its_own_ids(driver: ScaleCsi) -> None:
    for _ in range(5):
        await driver.capacity()
    assert [[frame["id"] for frame in wire.sent] for wire in driver.sockets.wires] == [[1, 2]] * 5


async def test_volume_is_made_once_however_often_it_is_asked_for(driver: ScaleCsi) -> None:
    volume = await driver.create_volume("vol", GIB)
    again = await driver.create_volume("vol", GIB)
    assert again == volume
    assert driver.sockets.count("pool.dataset.create") == 1
    assert await driver.list_volumes() == ["vol"]
    assert await code_of(driver.create_volume("vol", 2 * GIB)) == "OK", "it does not compare sizes"


async def test_every_property_is_a_call_of_its_own(driver: ScaleCsi) -> None:
    await driver.create_volume("vol", GIB)
    dataset = await driver.dataset("tank/k8s/vol")
    assert len(dataset["user_properties"]) == driver.sockets.count("pool.dataset.update")


async def test_volume_goes_with_all_its_parts(driver: ScaleCsi, nas: Nas) -> None:
    await driver.create_volume("vol", GIB)
    for name in ("vol", "vol", "reallyfakevolumeid"):
        await driver.delete_volume(name)
    for namespace in ("sharing.nfs", "iscsi.target", "iscsi.extent", "iscsi.targetextent"):
        assert await nas.call(f"{namespace}.query") == []
    assert await driver.list_volumes() == []


async def test_volume_grows(driver: ScaleCsi) -> None:
    await driver.create_volume("vol", GIB)
    await driver.expand_volume("vol", 2 * GIB)
    assert (await driver.create_volume("vol", GIB))["capacity"] == 2 * GIB
    assert await code_of(driver.expand_volume("none", GIB)) == "INTERNAL"


async def test_pages_of_the_list(driver: ScaleCsi) -> None:
    for name in "abc":
        await driver.create_volume(name, GIB)
    assert await driver.list_volumes(limit=2) == ["a", "b"]
    assert await driver.list_volumes(limit=2, offset=2) == ["c"]


async def test_snapshots(driver: ScaleCsi) -> None:
    await driver.create_volume("a", GIB)
    assert await driver.create_snapshot("snap", "a") == "snap"
    assert await driver.list_snapshots() == {"snap": "a"}
    for name in ("snap", "snap", "reallyfakesnapshotid"):
        await driver.delete_snapshot(name)
    assert await driver.list_snapshots() == {}


async def test_volume_of_a_snapshot_and_of_a_volume(driver: ScaleCsi) -> None:
    await driver.create_volume("a", GIB)
    await driver.create_snapshot("snap", "a")
    await driver.create_volume("b", GIB, snapshot="snap")
    await driver.create_volume("c", GIB, volume="a")
    assert sorted(await driver.list_volumes()) == ["a", "b", "c"]
    assert await code_of(driver.create_volume("d", GIB, snapshot="none")) == "NOT_FOUND"
    assert await code_of(driver.create_volume("d", GIB, volume="none")) == "INTERNAL", "it cannot tell a missing source"


async def test_capacity_is_in_the_vdevs(driver: ScaleCsi) -> None:
    assert await driver.capacity() > GIB


# What it does wrong on a real system: the fake must not hide it.


async def test_snapshot_cannot_be_asked_for_twice(driver: ScaleCsi) -> None:
    for name in ("a", "b"):
        await driver.create_volume(name, GIB)
    await driver.create_snapshot("snap", "a")
    assert await code_of(driver.create_snapshot("snap", "a")) == "INTERNAL"
    assert await code_of(driver.create_snapshot("snap", "b")) == "OK", "it misses the conflict, too"


async def test_delete_of_a_snapshot_deletes_the_volumes_made_of_it(driver: ScaleCsi) -> None:
    await driver.create_volume("a", GIB)
    await driver.create_snapshot("snap", "a")
    await driver.create_volume("b", GIB, snapshot="snap")
    await driver.delete_snapshot("snap")
    assert await driver.list_volumes() == ["a"]


async def test_its_nvme_parameters_are_refused(driver: ScaleCsi) -> None:
    driver.protocol = "nvmeof"
    assert await code_of(driver.create_volume("vol", GIB)) == "INTERNAL"
    assert await driver.list_volumes() == []
    with pytest.raises(Refused) as caught:
        await driver.call("nvmet.subsys.create", {"nqn": "vol", "serial": "vol", "allow_any_host": True})
    refused = {(name, text) for name, text, _ in caught.value.data["extra"]}
    assert ("nvmet_subsys_create.nqn", "Extra inputs are not permitted") in refused
    assert ("nvmet_subsys_create.name", "Field required") in refused


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("pool.dataset.get_instance", ("tank/none",)),
        ("pool.dataset.delete", ("tank/none", {"recursive": True, "force": True})),
        ("pool.dataset.update", ("tank/none", {"volsize": GIB})),
        ("pool.snapshot.get_instance", ("tank@none",)),
        ("pool.snapshot.delete", ("tank@none", {"defer": False, "recursive": False})),
        ("sharing.nfs.delete", (999,)),
        ("iscsi.target.delete", (999, True)),
        ("iscsi.extent.delete", (999, False, True)),
        ("iscsi.targetextent.delete", (999, True)),
    ],
)
async def test_what_is_not_there_cannot_be_told_from_the_message(
    sockets: Sockets, method: str, params: tuple[Any, ...]
) -> None:
    with pytest.raises(Refused) as caught:
        await sockets.call(method, *params)
    assert (caught.value.code, caught.value.message) == (-32602, "Invalid params")
    assert [item[2] for item in caught.value.data["extra"]] == [2]
    assert not is_not_found(caught.value)


# Its connections.


async def test_close_logs_out_and_then_drops_the_sockets(sockets: Sockets, nas: Nas) -> None:
    assert len(await nas.call("auth.sessions")) == 5
    await sockets.close()
    assert await nas.call("auth.sessions") == []


async def test_restarts_in_a_minute_reach_the_rate_limit(key: str) -> None:
    """Five logins for each start, all from one address: the twentieth is the last one that is served."""
    nas = Nas(NasConfig(api_key=key, rate_limit=RateLimit(delay_s=(0.0, 0.0))), rng=random.Random(7), clock=Clock())
    server = await nas.serve("127.0.0.1", 0)
    try:
        for _ in range(4):
            sockets = Sockets([await open_wire(server, integers(), always) for _ in range(5)])
            await sockets.login(key)
            await sockets.close()
        wire = await open_wire(server, integers(), always)
        with pytest.raises(Refused) as caught:
            await wire.call("auth.login_with_api_key", key)
        await wire.close()
    finally:
        await server.close()
        nas.close()
    assert (caught.value.code, caught.value.errname) == (-32001, "EBUSY")
    assert caught.value.data["reason"] == "[EBUSY] Rate Limit Exceeded"
