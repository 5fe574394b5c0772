"""The demo on a real driver, NAS and sockets; and that it notices what is left or wrong."""

import asyncio

import pytest

from csisim.cli.demo_run import run_demo


def steps():
    told = []
    return told, lambda *step: told.append(step)


async def test_everything_holds_and_the_faults_struck():
    told, progress = steps()
    tasks_before = asyncio.all_tasks()

    verdict = await run_demo(5, progress)

    assert verdict.ok, [check for check in verdict.checks if not check.ok]
    assert verdict.volumes == 20
    assert verdict.leaks == ()
    rows = {row.rpc: row for row in verdict.rpcs}
    assert rows["CreateVolume"].codes["OK"] == 20
    assert rows["DeleteVolume"].codes["OK"] == 20
    assert rows["NodeUnpublishVolume"].codes["ABORTED"] >= 1
    assert {"GetMetadataAllocated", "GetMetadataDelta", "CreateVolumeGroupSnapshot", "NodeExpandVolume"} <= rows.keys()
    injected = {seen.what: seen.times for seen in verdict.injected}
    assert injected["unmount refused (EBUSY)"] == 6
    assert injected["websocket cut"] >= 2
    assert all(sum(seen.codes.values()) for seen in verdict.injected)
    assert told[0] == ("create volumes", 0, 16)
    assert told[-1] == ("look for leaks", 1, 1)
    assert asyncio.all_tasks() == tasks_before


@pytest.mark.parametrize("name", ["pvc-iscsi-2"])
async def test_a_volume_that_was_never_deleted_is_a_leak_by_name(name):
    verdict = await run_demo(6, steps()[1], keep=frozenset({name}))

    assert not verdict.ok
    assert [check.name for check in verdict.checks if not check.ok] == ["nothing leaked"]
    assert f"NAS: dataset tank/csi/{name}" in verdict.leaks
    assert f"NAS: iscsi target {name}" in verdict.leaks
    assert f"NAS: iscsi extent {name}" in verdict.leaks
    assert f"dataset tank/csi/{name}" in verdict.checks[-1].detail
