"""What drivers do with shares, over a real connection."""

import asyncio

from tests.fake_truenas.rpc import GIB


async def test_a_volume_is_shared_over_iscsi_and_goes_with_its_zvol(client):
    await client.call("pool.dataset.create", {"name": "tank/v", "type": "VOLUME", "volsize": GIB})
    [portal], [initiator] = [await client.call(f"iscsi.{name}.query") for name in ("portal", "initiator")]
    groups = [{"portal": portal["id"], "initiator": initiator["id"]}]
    target = await client.call("iscsi.target.create", {"name": "v", "groups": groups})
    extent = await client.call("iscsi.extent.create", {"name": "v", "disk": "zvol/tank/v"})
    link = {"target": target["id"], "extent": extent["id"]}
    assert (await client.call("iscsi.targetextent.create", link))["lunid"] == 0
    assert await client.call("pool.dataset.delete", "tank/v") is True
    for name in ("target", "extent", "targetextent"):
        assert await client.call(f"iscsi.{name}.query") == []


async def test_refusals_have_the_real_shape(client):
    error = await client.refused("sharing.nfs.create", {"path": "/mnt/tank/none", "paths": []})
    assert (error.code, error.message) == (-32602, "Invalid params")
    assert error.items == [("data.paths", "Extra inputs are not permitted", 22)]
    error = await client.refused("sharing.nfs.delete", 7)
    assert error.items == [(None, "SharingNFS 7 does not exist", 2)]
    assert (error.data["error"], error.reason) == (22, "[ENOENT] None: SharingNFS 7 does not exist")
    error = await client.refused("sharing.nfs.query", None)
    assert error.code == -32602


async def test_two_drivers_that_create_the_same_target_get_one(dial):
    clients = [await dial() for _ in range(2)]
    data = {"name": "t", "groups": []}
    replies = await asyncio.gather(*[await one.start("iscsi.target.create", data) for one in clients])
    assert sorted("error" in reply for reply in replies) == [False, True]
    assert await clients[0].call("iscsi.target.query", [["name", "=", "t"]], {"count": True}) == 1


async def test_subscribers_are_told_and_see_no_secret(dial):
    watcher, driver = await dial(), await dial()
    await watcher.call("core.subscribe", "iscsi.auth.query")
    await driver.call("iscsi.auth.create", {"tag": 1, "user": "u", "secret": "canary-secret"})
    event = await watcher.events.get()
    assert (event["params"]["msg"], event["params"]["id"]) == ("added", 1)
    assert event["params"]["fields"]["secret"] == "********"


async def test_service_control_answers_with_the_id_of_its_job(client):
    number = await client.call("service.control", "RELOAD", "nfs", {"silent": False})
    assert isinstance(number, int)
    await client.call("core.set_options", {"legacy_jobs": False})
    assert await client.call("service.control", "RELOAD", "nfs") is True
