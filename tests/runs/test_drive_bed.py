"""Where a driver is driven from: kubelets' directories, lists, and what is told of them."""

import random

import pytest

from csisim.runs.drive_bed import DriveBed
from csisim.runs.stranger import CannotDrive, meet
from tests.support.stranger import Stranger


@pytest.fixture
def socket(tmp_path_factory):
    return tmp_path_factory.mktemp("d") / "s.sock"


async def bed_of(stranger, **more):
    plan = stranger.plan(**more)
    rng = random.Random(1)
    return DriveBed(plan, await meet(plan, rng), rng)


async def test_directories_are_ours_alone_and_what_has_content_is_told(socket, tmp_path):
    async with Stranger(socket) as stranger:
        bed = await bed_of(stranger, kubelet_dir=str(tmp_path))
        async with bed:
            await bed.co.settled(4.0)
            (own,) = tmp_path.iterdir()
            assert own.name == "csisim-drive-5eed0001"
            assert own.stat().st_mode & 0o777 == 0o700
            (own / "one" / "pods" / "left").write_text("data")
            await bed.look(lambda _found: [])
            assert bed.left == ["i-0001: path pods/left"]
    assert [note for note in bed.notes if f"left on this machine, in {own}" in note]
    assert (own / "one" / "pods" / "left").exists()


async def test_a_directory_that_cannot_be_made_is_told_before_anything_is_created(socket, tmp_path):
    async with Stranger(socket) as stranger:
        (tmp_path / "csisim-drive-5eed0001").mkdir()
        with pytest.raises(CannotDrive, match=f"--kubelet-dir {tmp_path}: File exists"):
            async with await bed_of(stranger, kubelet_dir=str(tmp_path)):
                raise AssertionError
        assert list(stranger.volumes) == ["someone-elses"]


async def test_lists_are_walked_in_pages_and_others_volumes_left_out(socket):
    async with Stranger(socket) as stranger, await bed_of(stranger) as bed:
        for number in (1, 2):
            bed.co.create_claim(f"data-{number}", 1 << 20)
        assert await bed.listed("on the way") == []
        pages = [event.to_json() for event in bed.history.since() if event.f == "ListVolumes"]
        assert all(not page.get("value", {}).get("entries") for page in pages)
        stranger.volumes["v-5eed0001"] = stranger.volumes["someone-elses"]
        stranger.volumes["v-5eed0001"].volume_id = "v-5eed0001"
        assert "volume v-5eed0001" in await bed.listed("on the way")
