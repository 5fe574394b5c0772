"""Services and the system, as clients see them over a connection (TrueNAS API 25.10)."""

import uuid
from typing import Any

import pytest

from fake_truenas import Nas
from fake_truenas.persona import TRAINS
from tests.fake_truenas.rpc import Client, RpcError
from tests.fake_truenas.transport import dialled, legacy, serving

DAEMONS = ("nfs", "cifs", "iscsitarget", "nvmet")


async def service(client: Client, name: str) -> dict[str, Any]:
    found: dict[str, Any] = await client.call("service.query", [["service", "=", name]], {"get": True})
    return found


@pytest.mark.row("9 service.control")
@pytest.mark.parametrize("name", DAEMONS)
async def test_control_answers_with_a_job_whose_result_tells_the_outcome(client: Client, name: str) -> None:
    await client.call("core.subscribe", "service.query")
    options = {"ha_propagate": False, "silent": False, "timeout": 30}
    seen = []
    for verb, result in (("STOP", True), ("RELOAD", False), ("START", True), ("RESTART", True), ("RELOAD", True)):
        number = await client.call("service.control", verb, name, options)
        assert isinstance(number, int)
        await client.call("core.set_options", {"legacy_jobs": False})
        assert await client.call("core.job_wait", number) is result
        await client.call("core.set_options", {"legacy_jobs": True})
        [job] = await client.call("core.get_jobs", [["id", "=", number]])
        assert (job["method"], job["arguments"]) == ("service.control", [verb, name, options])
        assert (job["state"], job["result"], type(job["result"])) == ("SUCCESS", result, bool)
        event = (await client.events.get())["params"]
        assert event["msg"] == "changed"
        seen.append(event["fields"]["state"])
    assert seen == ["STOPPED", "STOPPED", "RUNNING", "RUNNING", "RUNNING"]


@pytest.mark.row("9 service.control")
async def test_control_answers_with_the_result_where_jobs_are_waited_for(client: Client) -> None:
    await client.call("core.set_options", {"legacy_jobs": False})
    assert await client.call("service.control", "RELOAD", "nfs") is True
    with pytest.raises(RpcError) as caught:
        await client.call("service.control", "RELOAD", "nope")
    assert (caught.value.code, caught.value.data["error"], caught.value.reason) == (-32001, 22, "nope")
    error = await client.refused("service.control", "KILL", "nfs")
    assert error.items == [("verb", "Input should be 'START', 'STOP', 'RESTART' or 'RELOAD'", 22)]


@pytest.mark.row("9 service.control")
async def test_what_is_stopped_serves_nobody(client: Client) -> None:
    await client.call("iscsi.target.create", {"name": "t", "groups": [{"portal": 1}]})
    session = {"protocol": "iscsi", "name": "iqn.2005-10.org.freenas.ctl:t", "initiator": "iqn.1993-08.org.debian:1"}
    await client.call("fake.block.connect", session)
    await client.call("service.stop", "iscsitarget")
    assert await client.call("iscsi.global.client_count") == 0
    assert "ECONNREFUSED" in (await client.refused("fake.block.connect", session)).reason
    await client.call("service.start", "iscsitarget")
    await client.call("fake.block.connect", session)
    for verb in ("reload", "restart"):
        await client.call(f"service.{verb}", "iscsitarget")
    assert await client.call("iscsi.global.client_count") == 1


@pytest.mark.row("9 service.reload", "12 service.reload")
@pytest.mark.parametrize("train", [train for train in TRAINS if train != "24.10"])
async def test_the_older_calls_answer_with_a_boolean_until_26(train: str) -> None:
    async with serving(version=train) as (_, server), dialled(server.url) as client:
        verbs = (("reload", True), ("stop", True), ("reload", False), ("start", True), ("restart", True))
        for verb, result in verbs:
            if train == "26.0":
                assert (await client.refused(f"service.{verb}", "nfs")).code == -32601
            else:
                assert await client.call(f"service.{verb}", "nfs", {"silent": True}) is result
        assert isinstance(await client.call("service.control", "RELOAD", "nfs"), int)


@pytest.mark.row("12 service.reload")
async def test_24_10_reloads_over_the_legacy_protocol() -> None:
    async with serving(version="24.10") as (_, server), legacy(server) as client:
        assert await client.call("service.reload", "nfs") is True


@pytest.mark.row("9 service.query")
async def test_services_are_listed_and_start_at_boot_if_told(client: Client) -> None:
    listed = await client.call("service.query")
    assert [(entry["service"], entry["state"]) for entry in listed if entry["enable"]] == [
        (name, "RUNNING") for name in ("cifs", "iscsitarget", "nfs", "ssh", "nvmet")
    ]
    nfs = await service(client, "nfs")
    assert set(nfs) == {"id", "service", "enable", "state", "pids"}
    assert [type(pid) for pid in nfs["pids"]] == [int]
    assert await client.call("service.get_instance", nfs["id"]) == nfs
    for name in ("nfs", nfs["id"], str(nfs["id"])):
        assert await client.call("service.update", name, {"enable": False}) == nfs["id"]
        assert (await service(client, "nfs"))["enable"] is False
        await client.call("service.update", name, {"enable": True})
    error = await client.refused("service.update", "nope", {"enable": True})
    assert (error.code, error.reason) == (-32001, "[ENOENT] Service nope not found.")
    await client.call("service.stop", "nfs")
    assert await service(client, "nfs") == {**nfs, "state": "STOPPED", "pids": []}
    assert await client.call("service.started", "nfs") is False
    assert await client.call("service.started_or_enabled", "nfs") is True


@pytest.mark.row("9 system.info")
async def test_info_has_all_its_fields(client: Client, nas: Nas) -> None:
    info = await client.call("system.info")
    booted = info.pop("boottime")
    assert booted == {"$date": int(nas.started_at * 1000)}
    texts = {name: info.pop(name) for name in ("version", "hostname", "model", "uptime", "timezone")}
    assert texts == {
        "version": "TrueNAS-25.10.5", "hostname": "truenas", "model": "fake_truenas", "uptime": "0:00:00",
        "timezone": "UTC",
    }  # fmt: skip
    assert {name: type(value) for name, value in info.items()} == {
        "buildtime": dict, "physmem": int, "cores": int, "physical_cores": int, "loadavg": list,
        "uptime_seconds": float, "datetime": dict, "system_serial": type(None), "system_product": str,
        "system_product_version": type(None), "system_manufacturer": type(None), "license": type(None),
        "ecc_memory": bool,
    }  # fmt: skip
    assert len(info["loadavg"]) == 3


@pytest.mark.row("9 system.version", "12 version string")
@pytest.mark.parametrize(
    ("version", "text", "product"),
    [
        ("25.04.2", "TrueNAS-25.04.2", "COMMUNITY_EDITION"),
        ("25.10.5", "TrueNAS-25.10.5", "COMMUNITY_EDITION"),
        ("26.0", "TrueNAS-26.0.0", "COMMUNITY_EDITION"),
    ],
)
async def test_a_release_says_its_name(version: str, text: str, product: str) -> None:
    async with serving(version=version) as (_, server), dialled(server.url) as client:
        assert await client.call("system.version") == text
        assert await client.call("system.version_short") == text.removeprefix("TrueNAS-")
        assert await client.call("system.product_type") == product


@pytest.mark.row("9 system.version", "12 version string")
async def test_24_10_calls_itself_scale() -> None:
    async with serving(version="24.10") as (_, server), legacy(server) as client:
        assert await client.call("system.version") == "TrueNAS-SCALE-24.10.2"
        assert await client.call("system.version_short") == "24.10.2"
        assert await client.call("system.product_type") == "SCALE"


@pytest.mark.row("9 system.ready")
async def test_a_nas_that_answers_is_ready_and_says_so_before_a_login() -> None:
    async with serving() as (nas, server), dialled(server.url, login=False) as client:
        assert await client.call("system.ready") is True
        assert await client.call("system.state") == "READY"
        boot = await client.call("system.boot_id")
        assert (str(uuid.UUID(boot)), boot) == (boot, nas.boot_id)
        assert (await client.refused("system.host_id")).data["error"] == 207
    async with serving() as (_, server), dialled(server.url) as client:
        assert len(await client.call("system.host_id")) == 64
