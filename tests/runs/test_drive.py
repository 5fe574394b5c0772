"""Driving strangers: what is wrong with one is found and named, and only what it can do is asked of it."""

import asyncio
import re

import pytest

from csisim.co.manifests import parse
from csisim.endpoint import Endpoint
from csisim.runs import real_files
from csisim.runs.drive import CannotDrive, Patience, command, drive
from tests.support.stranger import EVERYTHING, NodeRpc, Rpc, Stranger

MANIFEST = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: stranger.example
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {storageClassName: fast, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  nodeSelector: {kubernetes.io/hostname: one}
  containers: [{name: web, image: web, volumeMounts: [{name: data, mountPath: /data}]}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
"""


@pytest.fixture
def socket(tmp_path_factory):
    return tmp_path_factory.mktemp("d") / "s.sock"  # short: a socket path has 107 bytes


async def test_a_driver_without_defects_passes_and_nothing_is_left(socket, tmp_path):
    async with Stranger(socket) as stranger:
        found = await drive(stranger.plan(kubelet_dir=str(tmp_path)))
        assert list(stranger.volumes) == ["someone-elses"]
        assert not stranger.snapshots
    report = found.result.report
    assert (report.verdict, report.violations) == ("ok", ())
    for check in ("I2", "I3", "I5", "I6", "I7", "I11", "I12", "I14", "linearizability"):
        assert report.looked_at[check], check
    assert found.more["unseen"]["I18"] == "only the driver itself sees the calls of its storage"
    assert any("no raw volumes here" in note for note in found.more["notes"])
    assert any("data was not checked" in note for note in found.more["notes"])
    assert not list(tmp_path.iterdir())


async def test_only_ours_is_touched_and_nothing_of_others_is_told(socket):
    async with Stranger(socket) as stranger:
        found = await drive(stranger.plan())
    told = "".join(str(event.to_json()) for event in found.result.events)
    assert "someone-elses" not in told
    names = {event.to_json()["value"]["name"] for event in found.result.events
             if (event.type, event.f) == ("invoke", "CreateVolume")}  # fmt: skip
    assert names
    assert all(name.startswith("pvc-5eed0001-") for name in names)


@pytest.mark.parametrize(
    ("defects", "checks"),
    [
        (
            ("forgets in lists", "leaves targets", "two for one name"),
            {
                "I14": "did not show",
                "I6": "and the path was still there",
                "I2": "and nobody had asked to delete the first",
            },
        ),
        (
            ("keeps what is deleted", "shrinks"),
            {"I3": "were left: volume v", "I12": "were required, and it was answered with"},
        ),
    ],
    ids=["many", "few"],
)
async def test_what_a_driver_does_wrong_is_named(socket, defects, checks):
    async with Stranger(socket, *defects) as stranger:
        found = await drive(stranger.plan(timeout_s=0.4))
    report = found.result.report
    for check, told in checks.items():
        assert report.invariants[check] == "violation"
        assert any(told in each.summary for each in report.violations if each.check == check)


async def test_a_driver_that_never_attaches_is_a_violation_and_what_was_made_is_taken_away(socket):
    async with Stranger(socket, "never attaches") as stranger:
        found = await drive(stranger.plan(timeout_s=0.4))
        assert list(stranger.volumes) == ["someone-elses"]
    report = found.result.report
    assert report.invariants["termination"] == "violation"
    assert any("FAILED_PRECONDITION: not today" in each.detail for each in report.violations)


async def test_a_driver_with_few_capabilities_is_asked_for_nothing_else(socket):
    async with Stranger(socket, controller=[Rpc.CREATE_DELETE_VOLUME], node=[]) as stranger:
        found = await drive(stranger.plan())
        asked = set(stranger.asked)
    assert found.result.report.verdict == "ok"
    assert "NodePublishVolume" in asked
    assert not [each for each in asked if "Snapshot" in each or "List" in each or "Expand" in each]
    assert not asked & {"ControllerPublishVolume", "NodeStageVolume", "ControllerGetVolume", "NodeGetVolumeStats"}
    assert any("it has neither LIST_VOLUMES nor GET_VOLUME" in note for note in found.more["notes"])


async def test_without_lists_volumes_are_asked_for_one_by_one(socket):
    some = [each for each in EVERYTHING if each != Rpc.LIST_VOLUMES]
    async with Stranger(
        socket, "keeps what is deleted", controller=some, node=[NodeRpc.STAGE_UNSTAGE_VOLUME]
    ) as stranger:
        found = await drive(stranger.plan())
    assert found.result.report.invariants["I3"] == "violation"
    assert found.more["left"][0].startswith("volume v")


async def test_manifests_take_the_place_of_the_built_in_intents(socket):
    async with Stranger(socket) as stranger:
        found = await drive(stranger.plan(manifests=("web.yaml",)), parse(MANIFEST))
        assert "NodePublishVolume" in stranger.asked
        assert "CreateSnapshot" not in stranger.asked
    assert found.result.report.verdict == "ok"
    assert found.result.report.plan["manifests"] == ["web.yaml"]


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        (
            MANIFEST.replace("provisioner: stranger.example", "provisioner: other"),
            "data: its StorageClass 'fast' has the provisioner 'other', and the driver that runs here is 'stranger.example'",
        ),
        (MANIFEST.replace("storageClassName: fast", "storageClassName: slow"), "there is no StorageClass 'slow'"),
    ],
)
async def test_claims_that_would_wait_for_ever_are_refused_before_anything_is_created(socket, manifest, why):
    async with Stranger(socket) as stranger:
        with pytest.raises(CannotDrive, match=why):
            await drive(stranger.plan(), parse(manifest))
        assert "CreateVolume" not in stranger.asked


async def test_a_run_that_is_ended_early_tidies_up(socket, tmp_path):
    patience = Patience()
    async with Stranger(socket, "never attaches") as stranger:
        work = asyncio.create_task(drive(stranger.plan(kubelet_dir=str(tmp_path)), patience=patience))
        while "ControllerPublishVolume" not in stranger.asked:
            await asyncio.sleep(0.005)
        patience.asked.set()
        found = await work
        assert list(stranger.volumes) == ["someone-elses"]
    assert found.result.report.unknown["termination"].startswith("it was ended before its time")
    assert not list(tmp_path.iterdir())


async def test_in_a_hurry_nothing_is_tidied_up_and_what_is_left_is_told(socket):
    patience = Patience()
    async with Stranger(socket, "never attaches") as stranger:
        work = asyncio.create_task(drive(stranger.plan(), patience=patience))
        while "ControllerPublishVolume" not in stranger.asked:
            await asyncio.sleep(0.005)
        patience.asked.set()
        patience.hurried.set()
        found = await work
    assert found.more["left"] == ["volume v1"]
    assert any("there is left: volume v1" in note for note in found.more["notes"])


async def test_there_is_nobody_to_drive(tmp_path, socket):
    async with Stranger(socket) as stranger:
        plan = stranger.plan()
    with pytest.raises(CannotDrive, match=re.escape(f"unix://{socket}: ")):
        await drive(plan)


async def test_the_command_does_the_same_again(socket):
    plan = Stranger(socket).plan(parameters={"tier": "gold silver"}, secrets={"s": {"key": "hidden"}}, fs_type="xfs")
    assert command(plan) == (
        f"csisim drive --controller-endpoint unix://{socket} --node one=unix://{socket} --seed 0 --size 1x1"
        f" --fs-type xfs --timeout 4 --speed 500 --kubelet-dir {socket.parent}"
        " --storage-class-parameter 'tier=gold silver' --secret s=FILE"
    )
    assert "hidden" not in str(plan)
    assert Endpoint(path=str(socket)) == plan.controller


@pytest.fixture
def as_if_mounted(monkeypatch):
    """Every published path counts as a mount."""

    def settle(stranger):
        monkeypatch.setattr(real_files, "mount_points", lambda _directory: sorted(stranger.published))

    return settle


@pytest.mark.parametrize(
    ("defects", "checks"), [((), []), (("loses data", "empty copies"), ["I1", "I13"])], ids=["safe", "unsafe"]
)
async def test_what_pods_write_is_there_later_and_in_copies(socket, as_if_mounted, defects, checks):
    async with Stranger(socket, *defects) as stranger:
        as_if_mounted(stranger)
        found = await drive(stranger.plan(speed=150.0))
    report = found.result.report
    assert report.looked_at["I1"] > 5
    assert report.looked_at["I13"]
    assert [each for each, verdict in report.invariants.items() if verdict != "ok"] == checks
    assert not any("data was not checked" in note for note in found.more["notes"])
