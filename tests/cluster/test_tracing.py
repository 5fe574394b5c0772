"""Locks, NAS calls and races of a whole cluster, under virtual time."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from csisim.check.invariants.nas_calls import i18
from csisim.driver.controller import ControllerService
from csisim.driver.inflight import OperationLocks, volume_key
from csisim.driver.requests import CapacityRange
from csisim.pb import csi_pb2 as csi
from csisim.sim.strategies import Fifo, Pct, RandomWalk, stalls
from tests.support.traced import GIB, Client, Traced, traced, turmoil

EXPAND = csi.ControllerExpandVolumeRequest(volume_id="pvc-1", capacity_range=csi.CapacityRange(required_bytes=2 * GIB))


async def one_volume(client: Client) -> None:
    await client(client.create("pvc-1"))
    await client(client.publish("pvc-1", "a"))


async def at_once(client: Client) -> None:
    await one_volume(client)
    await asyncio.gather(client(EXPAND), client(EXPAND))


def test_nothing_is_watched_unless_it_is_asked_for():
    async def locks(client: Client) -> list[type]:
        await one_volume(client)
        return [type(each) for each in client.cluster.locks.values()]

    run = traced(locks, trace=False)
    assert run.result == [OperationLocks] * 3
    assert not run.of("lock")
    assert not run.of("truth")
    assert run.of("nas")
    assert not any("value" in each or "parent" in each for each in run.of("nas") if each["type"] != "fail")


def test_a_lock_is_told_when_it_is_taken_and_when_it_is_free_again():
    run = traced(one_volume)
    create, publish = run.of("rpc", type="invoke")
    locks = run.of("lock")
    assert [(each["type"], each["f"], each["parent"]) for each in locks] == [
        ("invoke", "volume pvc-1", create["call"]),
        ("ok", "volume pvc-1", create["call"]),
        ("invoke", "volume pvc-1", publish["call"]),
        ("ok", "volume pvc-1", publish["call"]),
    ]
    assert {each["process"] for each in locks} == {"controller"}
    assert locks[0]["value"] == {"mode": "exclusive"}
    assert locks[0]["call"] == locks[1]["call"] != locks[2]["call"]


def test_a_call_that_the_nas_refuses_unseen_is_told_too():
    async def crowd(client: Client) -> None:
        await one_volume(client)
        client.cluster.nas_client._slots = asyncio.Semaphore(64)  # type: ignore[union-attr] # it is there
        await asyncio.gather(*(client(csi.ControllerGetVolumeRequest(volume_id="pvc-1")) for _ in range(30)))

    run = traced(crowd)
    refused = run.of("nas", "pool.dataset.query", type="fail")
    assert len(refused) > 5
    assert {each["value"]["reason"] for each in refused} == {"Maximum number of concurrent calls (20) has exceeded"}
    assert {each["parent"] for each in refused} <= {each["call"] for each in run.of("rpc", "ControllerGetVolume")}
    assert [found.check for found in i18(run.index).violations] == ["I18"] * len(refused)


def test_a_lock_that_is_refused_is_told_once_with_its_key():
    run = traced(at_once)
    refused = run.of("lock", type="fail")
    assert [each["f"] for each in refused] == ["volume pvc-1"]
    (aborted,) = run.of("rpc", "ControllerExpandVolume", type="info")
    assert aborted["value"]["code"] == "ABORTED"
    assert refused[0]["parent"] == aborted["call"]


def test_shared_and_queued_locks_say_so():
    async def restore(client: Client) -> None:
        await one_volume(client)
        await client(csi.CreateSnapshotRequest(name="s", source_volume_id="pvc-1"))
        await client(client.create("pvc-2", snapshot="pvc-1@s"))

    modes = {each["f"]: each["value"]["mode"] for each in traced(restore).of("lock", type="invoke")}
    assert modes == {"volume pvc-1": "exclusive", "volume pvc-2": "exclusive", "snapshot s": "shared"}


def test_a_call_of_the_nas_is_told_with_its_parameters_and_the_rpc_that_made_it():
    run = traced(one_volume)
    create, publish = run.of("rpc", type="invoke")
    update, answer = run.of("nas", "pool.dataset.update")
    assert update["parent"] == answer["parent"] == publish["call"]
    assert update["value"]["params"][0] == "tank/csi/pvc-1"
    assert answer["value"]["changes"] == 2
    assert answer["value"]["size_bytes"] > 1000
    share = run.of("nas", "sharing.nfs.create", type="invoke")[0]
    assert share["parent"] == create["call"]
    (query, found) = run.of("nas", "pool.dataset.query")[-2:]
    assert query["value"]["params"][0] == [["id", "=", "tank/csi/pvc-1"]]
    assert found["value"]["rows"] == 1


def test_no_key_of_the_nas_gets_into_the_history():
    async def key(client: Client) -> str:
        await one_volume(client)
        return client.cluster.nas_settings.api_key

    run = traced(key)
    (login,) = run.of("nas", "auth.login_with_api_key", type="invoke")
    assert login["value"]["params"] == ["********"]
    assert run.result not in json.dumps(run.values)


def test_calls_are_joined_with_their_rpcs_over_a_crash_of_the_driver():
    async def crash(client: Client) -> None:
        await one_volume(client)
        await client.cluster.crash("driver")
        await client(EXPAND)

    run = traced(crash)
    expand = run.of("rpc", "ControllerExpandVolume", type="invoke")[0]
    assert len(run.of("nas", type="invoke", parent=expand["call"])) == 3
    assert len(run.of("nas", "auth.login_with_api_key", type="invoke", parent="")) == 2


def test_the_same_seed_gives_the_same_history():
    def run() -> list[dict[str, Any]]:
        return traced(lambda client: turmoil(client, calls=8), seed=5, strategy=RandomWalk).values

    assert run() == run()


@pytest.mark.parametrize(
    ("seed", "protocol", "strategy", "rules"),
    [
        (1, "nfs", RandomWalk, ()),
        (2, "iscsi", Pct, ("nas.pool.dataset.update.request: 30%delay(0..50ms)",)),
        (3, "nvmeof", Fifo, ("nas.pool.dataset.update.reply: 20%drop", "link.down: 2%disconnect(rst)")),
        (4, "nfs", stalls(0.05), ("process.driver: 2%crash(driver,100ms)",)),
        (5, "iscsi", RandomWalk, ("nas.pool.dataset.create.reply: 30%drop", "process.nas: 1%crash(nas,50ms)")),
    ],
)
def test_the_shipped_driver_has_no_race(seed, protocol, strategy, rules):
    run = traced(
        lambda client: turmoil(client, seed=seed), protocol=protocol, seed=seed, strategy=strategy, rules=rules
    )
    assert [violation.summary for violation in run.races.violations] == []
    assert run.races.looked_at > 30


async def reads_first(service: ControllerService, request: Any, _context: Any) -> Any:
    volume = await service._volumes.get(request.volume_id, request.volume_id)
    async with service._locks.hold(volume_key(request.volume_id)):
        await service._volumes.expand(volume, CapacityRange(2 * GIB, 0))
    return csi.ControllerExpandVolumeResponse()


async def loses_its_lock(service: ControllerService, request: Any, _context: Any) -> Any:
    async with service._locks.hold(volume_key(request.volume_id)):
        volume = await service._volumes.get(request.volume_id, request.volume_id)
    await asyncio.sleep(1)
    async with service._locks.hold(volume_key(request.volume_id)):
        await service._volumes.expand(volume, CapacityRange(2 * GIB, 0))
    return csi.ControllerExpandVolumeResponse()


async def has_no_lock(service: ControllerService, request: Any, _context: Any) -> Any:
    await service._volumes.expand(
        await service._volumes.get(request.volume_id, request.volume_id), CapacityRange(2 * GIB, 0)
    )
    return csi.ControllerExpandVolumeResponse()


async def locks_something_else(service: ControllerService, request: Any, _context: Any) -> Any:
    async with service._locks.hold("expansions"):
        volume = await service._volumes.get(request.volume_id, request.volume_id)
        await asyncio.sleep(1)
        await service._volumes.expand(volume, CapacityRange(2 * GIB, 0))
    return csi.ControllerExpandVolumeResponse()


async def expand_while_it_goes_away(client: Client) -> None:
    await client(client.create("pvc-1"))

    async def replace() -> None:
        await asyncio.sleep(0.5)
        await client(csi.DeleteVolumeRequest(volume_id="pvc-1"))
        await client(client.create("pvc-1"))

    await asyncio.gather(client(EXPAND), replace())


@pytest.mark.parametrize(
    ("wrong", "summaries"),
    [
        (reads_first, ["had read it before it held the lock"]),
        (loses_its_lock, ["under a lock that it had let go since", "wrote over version"]),
        (has_no_lock, ["without any lock"]),
        (locks_something_else, ["wrote over version"]),
    ],
)
def test_a_wrong_operation_is_told_with_the_stacks_of_read_and_write(monkeypatch, wrong, summaries):
    monkeypatch.setattr(ControllerService, "ControllerExpandVolume", wrong)
    run: Traced = traced(expand_while_it_goes_away)
    violations = run.races.violations
    (expand,) = run.of("rpc", "ControllerExpandVolume", type="invoke")
    assert [any(text in each.summary for each in violations) for text in summaries] == [True] * len(summaries)
    assert {each.detail.splitlines()[0].split(" at ")[0] for each in violations} == {
        f"read by ControllerExpandVolume(pvc-1) {expand['call']}, pool.dataset.query"
    }
    for violation in violations:
        reading, _, writing = violation.detail.partition("\nwrite by ")
        assert "csisim/driver/volumes.py" in reading
        assert "Volumes.find" in reading
        assert "Volumes.expand" in writing
        for half in (reading, writing):
            assert "\n    test_tracing.py:" in half
            assert f" {wrong.__name__}" in half
        assert str(Path(__file__).parent) not in violation.detail
        assert violation.events
