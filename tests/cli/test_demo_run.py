"""The demo on a real driver, NAS and sockets; and that it notices what is left.

That nothing is left where nothing is kept is shown on the command's own process (test_demo.py).
"""

import asyncio

from csisim.cli.demo_run import run_demo


def steps():
    told = []
    return told, lambda *step: told.append(step)


async def test_the_faults_strike_all_lives_end_and_a_volume_that_was_never_deleted_is_a_leak_by_name():
    told, progress = steps()
    tasks_before = asyncio.all_tasks()

    verdict = await run_demo(5, progress, keep=frozenset({"pvc-iscsi-2"}))

    assert verdict.volumes == 20
    rows = {row.rpc: row for row in verdict.rpcs}
    assert rows["CreateVolume"].codes["OK"] == 20
    assert rows["DeleteVolume"].codes["OK"] == 19
    assert rows["NodeUnpublishVolume"].codes["ABORTED"] >= 1
    assert {"GetMetadataAllocated", "GetMetadataDelta", "CreateVolumeGroupSnapshot", "NodeExpandVolume"} <= rows.keys()
    injected = {seen.what: seen.times for seen in verdict.injected}
    assert injected["unmount refused (EBUSY)"] == 6
    assert injected["websocket cut"] >= 2
    assert all(sum(seen.codes.values()) for seen in verdict.injected)
    assert told[0] == ("create volumes", 0, 16)
    assert told[-1] == ("look for leaks", 1, 1)
    assert asyncio.all_tasks() == tasks_before

    assert not verdict.ok
    assert [check.name for check in verdict.checks if not check.ok] == ["nothing leaked"]
    assert "NAS: dataset tank/csi/pvc-iscsi-2" in verdict.leaks
    assert "NAS: iscsi target pvc-iscsi-2" in verdict.leaks
    assert "NAS: iscsi extent pvc-iscsi-2" in verdict.leaks
    assert "dataset tank/csi/pvc-iscsi-2" in verdict.checks[-1].detail
