"""How the story is told; what it tells of a real driver is in test_demo_run."""

import asyncio
import random
from types import SimpleNamespace

import pytest

from csisim.cli.demo_workload import CONCURRENCY, Blocks, Trouble, Workload, kubelets_on
from csisim.co.callers import Calls
from csisim.co.kubelet import CheckFailed


@pytest.fixture
def content():
    return {}


@pytest.fixture
def workload(content):
    async def write(volume_id, offset, data):
        content[volume_id, offset] = data

    async def read(volume_id, offset, length):
        return content.get((volume_id, offset), bytes(length))

    told = []
    workload = Workload(
        main=None,
        kubelets={},
        trouble=Trouble(lambda _: None, lambda *_: None),
        blocks=Blocks(write, read),
        rng=random.Random(1),
        progress=lambda *step: told.append(step),
    )
    workload.volumes["pvc-restored-block"] = SimpleNamespace(volume_id="copy")
    return workload, told


async def test_work_is_done_several_at_a_time_and_never_more(workload):
    running, most, done = 0, 0, []

    async def work(item):
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(3):
            await asyncio.sleep(0)
        running -= 1
        done.append(item)

    await workload[0]._each("phase", range(40), work)

    assert sorted(done) == list(range(40))
    assert most == CONCURRENCY
    assert workload[1] == [("phase", count, 40) for count in range(41)]


async def test_the_first_failure_ends_the_phase(workload):
    async def work(item):
        if item == 3:
            raise CheckFailed("three")
        await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as caught:
        await workload[0]._each("phase", range(5), work)
    assert [str(error) for error in caught.value.exceptions] == ["three"]


async def test_a_copy_must_read_what_was_written_before_the_snapshot(workload, content):
    content["copy", 0] = b"before"
    await workload[0]._check_copy({0: b"before"})

    with pytest.raises(CheckFailed, match="other bytes at 0"):
        await workload[0]._check_copy({0: b"beFore"})


async def test_a_copy_must_not_have_what_was_written_later(workload, content):
    content["copy", 512 << 20] = b"later"

    with pytest.raises(CheckFailed, match="written after the snapshot"):
        await workload[0]._check_copy({})


def metadata_of(*offsets):
    ranges = [SimpleNamespace(byte_offset=offset, size_bytes=16384) for offset in offsets]
    return [SimpleNamespace(block_metadata=ranges)]


@pytest.mark.parametrize(
    ("allocated", "changed", "says"),
    [
        ([0], [1 << 20], "GetMetadataAllocated"),
        ([0, 1 << 20], [], "GetMetadataDelta"),
        ([0, 1 << 20], [0, 1 << 20], "GetMetadataDelta"),
    ],
    ids=["a written block is missing", "a changed block is missing", "an unchanged block is reported"],
)
async def test_block_metadata_must_report_what_was_written(workload, allocated, changed, says):
    async def stream(role, method, request, subject):
        return metadata_of(*(allocated if method == "allocated" else changed))

    story = workload[0]
    story.snapshots = {name: SimpleNamespace(snapshot_id=name) for name in ("snapshot-block-1", "snapshot-block-2")}
    story.main = SimpleNamespace(
        snapshot_metadata=SimpleNamespace(GetMetadataAllocated="allocated", GetMetadataDelta="delta"), stream=stream
    )

    with pytest.raises(CheckFailed, match=says):
        await story._check_metadata([0, 1 << 20], [1 << 20])


async def test_each_node_has_a_kubelet_with_its_own_directory(tmp_path):
    kubelets = kubelets_on(tmp_path, {"a": "unix:///x.sock", "b": "unix:///y.sock"}, Calls(), random.Random(1))

    assert [kubelet.directory for kubelet in kubelets.values()] == [tmp_path / "a", tmp_path / "b"]
    assert all(kubelet.leftovers() == [] for kubelet in kubelets.values())
    for kubelet in kubelets.values():
        await kubelet.close()
