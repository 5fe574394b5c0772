"""What scripts call, and how it fails; tests/scenarios uses all of it where it succeeds."""

import asyncio
import errno
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from csisim.co.callers import CallFailed
from csisim.co.objects import Secret, StorageClass
from csisim.pb import csi_pb2 as csi
from csisim.runs.script import Broken, Script
from csisim.runs.testbed import TestbedSettings
from csisim.runs.waiting import NotSeen
from csisim.sim.run import simulate


def run(program: Callable[[Script], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def main() -> None:
        async with Script(TestbedSettings(seed=3), **options) as script:
            script.patience_s = 100.0
            await program(script)

    outcome = simulate(main, seed=3)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.leaked == ()


async def with_a_pod(script: Script, storage_class: str = "nfs") -> None:
    script.co.create_claim("data", storage_class=storage_class)
    script.co.create_pod("web", "data", node="node-1")
    await script.settled()


def test_there_are_the_classes_that_were_asked_for():
    async def names(script: Script) -> None:
        assert [each.name for each in script.co.api.all_of(StorageClass)] == ["iscsi"]

    run(names, protocols=("iscsi",))
    with pytest.raises(ValueError, match="'smb' is no protocol: there are nfs, iscsi, nvmeof"):
        Script(protocols=("smb",))


def test_waits_in_vain_say_how_things_stand():
    async def program(script: Script) -> None:
        await with_a_pod(script)
        rule = script.faults.add("mount.umount: 1*error(EBUSY)")
        with pytest.raises(NotSeen, match=r"mount.umount: 1\*error\(EBUSY\) fired 0 of 1 times"):
            await script.fired(rule)
        with pytest.raises(NotSeen, match="CreateVolume was answered ABORTED less than 1 times; its answers were OK"):
            await script.answered("CreateVolume", "ABORTED")
        with pytest.raises(NotSeen, match="it is not so that pigs fly"):
            await script.until(lambda: False, "pigs fly")
        script.co.create_pod("stuck", "missing")
        with pytest.raises(NotSeen, match=r"pod stuck does not run; Pod default/stuck .present.: Pending on no node"):
            await script.running("stuck")

    run(program)


def test_files_of_a_volume_are_written_and_read_where_its_pod_runs_and_seen_in_the_history():
    async def program(script: Script) -> None:
        await with_a_pod(script)
        assert script.mounted("data") == ["node-1"]
        assert await script.read("web", "a") is None
        await script.write("web", "a", b"one")
        assert await script.read("web", "a") == b"one"
        noted = [(each.f, each.type) for each in script.history.since() if each.process == "script"]
        assert noted == [("read", "invoke"), ("read", "ok"), ("write", "invoke"), ("write", "ok"),
                         ("read", "invoke"), ("read", "ok")]  # fmt: skip
        assert await script.size_bytes("web") == 1 << 30
        with script.open_file("web"), pytest.raises(OSError, match="busy") as busy:
            await script.nodes["node-1"].host.mounter.umount(script.co.mount_of("web")[1].target)
        assert busy.value.errno == errno.EBUSY

    run(program)


@pytest.mark.parametrize(
    ("pod", "claim", "why"),
    [
        ("nobody", "", "there is no Pod default/nobody that runs"),
        ("web", "other", "Pod default/web has the claims data: which one is 'other'"),
        ("both", "", "Pod default/both has the claims data, more: which one is ''"),
    ],
)
def test_a_volume_that_cannot_be_told_is_refused_by_name(pod, claim, why):
    async def program(script: Script) -> None:
        await with_a_pod(script)
        script.co.create_claim("more")
        script.co.create_pod("both", "data", "more", node="node-1")
        await script.settled()
        with pytest.raises(KeyError, match=why):
            await script.read(pod, "a", claim)
        with pytest.raises(KeyError, match="there is no PersistentVolumeClaim default/third with a volume"):
            script.mounted("third")

    run(program)


def test_calls_by_hand_go_to_any_service_and_fail_with_their_code():
    async def program(script: Script) -> None:
        assert (await script.call(csi.GetPluginInfoRequest())).name == "csi.csisim.dev"
        assert (await script.call(csi.NodeGetInfoRequest(), "node-2")).node_id == "node-2"
        with pytest.raises(CallFailed, match="INVALID_ARGUMENT"):
            await script.call(csi.DeleteVolumeRequest())
        assert [each.code.name for each in script.attempts("DeleteVolume")] == ["INVALID_ARGUMENT"]

    run(program)


def test_a_cluster_is_calm_when_no_call_is_out_any_more():
    async def program(script: Script) -> None:
        late = script.faults.add("rpc.GetPluginInfo.before: 1*hang")
        call = asyncio.create_task(script.call(csi.GetPluginInfoRequest()))
        await script.fired(late)
        assert script.calls.out == 1
        assert not await script.calm()
        late.remove()
        assert await script.calm()
        assert call.done()

    run(program)


def test_after_a_teardown_nothing_may_be_left_and_what_is_fails_with_its_story():
    async def program(script: Script) -> None:
        await with_a_pod(script)
        await script.check()
        await script.teardown()
        assert (await script.check()).looked_at["I3"] == 3
        await script.nas.call("pool.dataset.create", {"name": "tank/csi/left"})
        with pytest.raises(Broken, match=r"I3: Nothing is left behind\n.*dataset tank/csi/left") as broken:
            await script.check()
        assert broken.value.report.verdict == "violation"
        assert [each.check for each in broken.value.violations] == ["I3"]

    run(program)


def test_what_belongs_to_somebody_else_is_watched():
    async def program(script: Script) -> None:
        script.co.create_claim("data")
        await script.settled()
        await script.foreign("tank/csi/theirs")
        await script.nas.call("pool.dataset.delete", "tank/csi/theirs")
        with pytest.raises(Broken, match="dataset tank/csi/theirs, which belongs to somebody else, was destroyed"):
            await script.check()

    run(program)


def test_secrets_of_the_orchestrator_are_looked_for_but_for_what_is_too_short():
    async def program(script: Script) -> None:
        script.co.apply([Secret(name="chap", data={"user": "csi", "password": "correct-horse"})])
        assert script.secrets[1:] == ("correct-horse",)
        script.history.add("info", "world", "phase", value={"phase": "correct-horse"})
        with pytest.raises(Broken, match="showed secret 2"):
            await script.check()

    run(program)
