"""Any bytes in any field of a node request: an answer or a CsiError, no stray path, no lock left."""

# tests look at the real disk

import asyncio
import errno
import tempfile
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from csisim.errors import CsiError, Internal
from csisim.pb import csi_pb2 as pb
from tests.driver.node_world import Mode, World

WORDS = st.sampled_from(
    ["", "pvc-1", "pvc-2", "/", "..", "@", "nfs", "iscsi", "ext4", "ro", "a/../b", "/\x00", "\u202e", "x" * 129]
)
TEXT = st.one_of(WORDS, st.text(max_size=40))
IDS = st.one_of(st.just("pvc-1"), TEXT)


class Jail:
    """Lets the mounter touch nothing outside one directory."""

    def __init__(self, part: Any, root: Path) -> None:
        self._part = part
        self._root = f"{root}/"

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._part, name)
        if name not in ("make_dir", "make_file", "remove_path"):
            return real

        async def jailed(path: str) -> None:
            assert "/../" not in f"{path}/"
            if not path.startswith(self._root):
                raise OSError(errno.EACCES, "outside", path)
            await real(path)

        return jailed


@st.composite
def requests(draw: st.DrawFn, root: str, contexts: list[dict[str, str]]) -> Message:
    paths = st.one_of(
        TEXT, TEXT.map(lambda text: f"{root}/{text}"), st.sampled_from([f"{root}/staging", f"{root}/pods/target"])
    )
    maps = st.one_of(st.sampled_from(contexts), st.dictionaries(TEXT, TEXT, max_size=3))
    contexts_with_noise = st.tuples(maps, st.dictionaries(st.sampled_from(sorted(contexts[0])), TEXT, max_size=1))
    mounts = st.builds(
        pb.VolumeCapability.MountVolume,
        fs_type=TEXT,
        mount_flags=st.lists(TEXT, max_size=3),
        volume_mount_group=TEXT,
    )
    capabilities = st.one_of(
        st.builds(pb.VolumeCapability),
        st.builds(
            pb.VolumeCapability,
            mount=st.one_of(st.just(pb.VolumeCapability.MountVolume()), mounts),
            access_mode=st.sampled_from([Mode(mode=each) for each in Mode.Mode.values()]),
        ),
        st.just(pb.VolumeCapability(block=pb.VolumeCapability.BlockVolume(), access_mode=Mode(mode=1))),
    )
    sizes = st.builds(
        pb.CapacityRange,
        required_bytes=st.integers(-(2**63), 2**63 - 1),
        limit_bytes=st.integers(-(2**63), 2**63 - 1),
    )
    fields = {
        "volume_id": IDS,
        "staging_target_path": paths,
        "target_path": paths,
        "volume_path": paths,
        "volume_publish_path": paths,
        "volume_capability": capabilities,
        "capacity_range": sizes,
        "readonly": st.booleans(),
        "secrets": st.dictionaries(TEXT, TEXT, max_size=2),
        "publish_context": st.dictionaries(TEXT, TEXT, max_size=2),
        "volume_context": contexts_with_noise.map(lambda both: both[0] | both[1]),
    }
    kind = draw(
        st.sampled_from(
            [
                pb.NodeStageVolumeRequest,
                pb.NodeUnstageVolumeRequest,
                pb.NodePublishVolumeRequest,
                pb.NodeUnpublishVolumeRequest,
                pb.NodeGetVolumeStatsRequest,
                pb.NodeExpandVolumeRequest,
                pb.NodeGetVolumeHealthRequest,
                pb.NodeGetStorageHealthRequest,
            ]
        )
    )
    names = [each.name for each in kind.DESCRIPTOR.fields]
    return kind(**{name: draw(fields[name]) for name in names if draw(st.integers(0, 9))})


@given(data=st.data())
@settings(max_examples=50)
def test_no_request_gets_anything_but_an_answer_or_a_csi_error(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory))
        for protocol in ("nfs", "iscsi", "nvmeof"):
            world.volume(protocol, {"nfs": "pvc-1", "iscsi": "pvc-2"}.get(protocol, "pvc-3"))
        contexts = list(world.contexts.values())
        world.restart(lambda part: Jail(part, world.directory) if part is world.sim.mounter else part)

        async def send(request: Message) -> None:
            refusal = None
            try:
                await world.call(request)
            except CsiError as error:
                refusal = error
            assert refusal is None or str(refusal)
            assert not isinstance(refusal, Internal)
            assert world.locks.held() == ()

        for _ in range(data.draw(st.integers(1, 6))):
            asyncio.run(send(data.draw(requests(directory, contexts))))
