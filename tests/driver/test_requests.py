"""Requests to checked data: what is refused names the field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csisim.driver import requests
from csisim.driver.requests import AccessType, CapacityRange
from csisim.driver.volume_id import SnapshotId
from csisim.errors import CsiError, InvalidArgument, NotFound
from csisim.pb import csi_pb2 as pb

MODE = pb.VolumeCapability.AccessMode


def mount(mode=MODE.SINGLE_NODE_WRITER, **fields):
    return pb.VolumeCapability(
        mount=pb.VolumeCapability.MountVolume(**fields), access_mode=pb.VolumeCapability.AccessMode(mode=mode)
    )


def create(**fields):
    return pb.CreateVolumeRequest(**{"name": "pvc-1", "volume_capabilities": [mount()], **fields})


def test_a_create_request_is_read_whole():
    request = create(
        capacity_range=pb.CapacityRange(required_bytes=5, limit_bytes=9),
        parameters={"protocol": "nfs"},
        volume_content_source=pb.VolumeContentSource(snapshot={"snapshot_id": "a@b"}),
        accessibility_requirements=pb.TopologyRequirement(requisite=[pb.Topology(segments={"z": "1"})]),
    )

    wanted = requests.create_volume(request)

    assert wanted.capacity == CapacityRange(5, 9)
    assert wanted.source == SnapshotId("a", "b")
    assert wanted.capabilities[0].access_type is AccessType.MOUNT
    assert wanted.requisite == ({"z": "1"},)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"name": ""}, "name"),
        ({"name": "a" * 129}, "name"),
        ({"name": "ü" * 65}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "a\x85b"}, "name"),
        ({"volume_capabilities": []}, "volume_capabilities"),
        ({"volume_capabilities": [pb.VolumeCapability()]}, "access_mode"),
        ({"volume_capabilities": [mount(MODE.UNKNOWN)]}, "access_mode"),
        ({"volume_capabilities": [mount(99)]}, "access_mode"),
        ({"volume_capabilities": [mount(fs_type="x" * 129)]}, "fs_type"),
        ({"volume_capabilities": [mount(mount_flags=["x" * 100] * 50)]}, "mount_flags"),
        ({"capacity_range": pb.CapacityRange()}, "capacity_range"),
        ({"capacity_range": pb.CapacityRange(required_bytes=-1)}, "capacity_range"),
        ({"capacity_range": pb.CapacityRange(required_bytes=2, limit_bytes=1)}, "capacity_range"),
        ({"parameters": {"k": "v" * 5000}}, "parameters"),
        ({"parameters": {"": "v"}}, "parameters"),
        ({"secrets": {"k": "v" * 5000}}, "secrets"),
        ({"volume_content_source": pb.VolumeContentSource()}, "volume_content_source"),
        ({"volume_content_source": pb.VolumeContentSource(volume={})}, "volume_id"),
    ],
)
def test_what_does_not_hold_is_refused_by_the_name_of_its_field(fields, named):
    with pytest.raises(InvalidArgument, match=named):
        requests.create_volume(create(**fields))


def test_a_source_that_cannot_be_ours_does_not_exist():
    with pytest.raises(NotFound, match="no such thing"):
        requests.create_volume(
            create(volume_content_source=pb.VolumeContentSource(snapshot={"snapshot_id": "no such thing"}))
        )


def test_128_bytes_of_name_are_accepted():
    assert requests.create_volume(create(name="n" * 128)).name == "n" * 128


def test_a_secret_never_enters_the_error():
    with pytest.raises(InvalidArgument) as caught:
        requests.secrets({"password": "hunter2" * 1000})

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("flag", ["password=hunter2\n", "password=hunter2\x00", "password=hunter2" + "x" * 128])
def test_a_mount_flag_never_enters_the_error_but_its_index_does(flag):
    with pytest.raises(InvalidArgument, match=r"volume_capabilities\[0\]\.mount\.mount_flags\[1\]") as caught:
        requests.create_volume(create(volume_capabilities=[mount(mount_flags=["noatime", flag])]))

    assert "hunter2" not in str(caught.value)


def test_mount_flags_stay_out_of_what_a_capability_shows():
    parsed = requests.capability(mount(mount_flags=["password=hunter2"], fs_type="ext4"))

    assert parsed.mount_flags == ("password=hunter2",)
    assert "hunter2" not in f"{parsed!r} {parsed}"
    assert "ext4" in repr(parsed)


@given(st.text(), st.integers(0, 200))
def test_text_raises_nothing_but_invalid_argument(value, limit):
    try:
        assert requests.text(value, "field", limit) == value
        assert len(value.encode()) <= limit
    except CsiError as error:
        assert isinstance(error, InvalidArgument)  # noqa: PT017 - either outcome is right


def test_a_negative_page_size_is_refused():
    with pytest.raises(InvalidArgument, match="-1"):
        requests.page_size(-1)
