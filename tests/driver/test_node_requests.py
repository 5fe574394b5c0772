"""Parsing of node requests."""

# tests look at the real disk

import pytest

from csisim.driver import node_requests
from csisim.driver.node_state import Attachment
from csisim.driver.parameters import Protocol
from csisim.driver.requests import CapacityRange
from csisim.errors import InvalidArgument
from csisim.pb import csi_pb2 as pb
from tests.driver.node_world import capability

NFS = {"protocol": "nfs", "server": "10.0.0.1", "share": "/mnt/tank/csi/pvc-1"}
ISCSI = {"protocol": "iscsi", "portal": "10.0.0.1:3260", "iqn": "iqn.2005-10.org.freenas.ctl:pvc-1", "lun": "0"}
NVME = {
    "protocol": "nvmeof",
    "address": "10.0.0.1",
    "port": "4420",
    "nqn": "nqn.2011-06.com.truenas:pvc-1",
    "nsid": "1",
}


@pytest.mark.parametrize(
    ("given", "normal"),
    [("/a/b", "/a/b"), ("//a///b/./", "/a/b"), ("/a/..b", "/a/..b"), ("/é/ü x", "/é/ü x")],
)
def test_paths_come_out_in_normal_form(given: str, normal: str) -> None:
    assert node_requests.path(given, "field") == normal


@pytest.mark.parametrize("given", ["", "a", "./a", "/", "//", "/.", "/a/../b", "/..", "/a\n", "/" + "a" * 4096])
def test_paths_that_lead_elsewhere_are_refused_by_field(given: str) -> None:
    with pytest.raises(InvalidArgument, match="field"):
        node_requests.path(given, "field")


@pytest.mark.parametrize("context", [NFS, ISCSI, NVME, NFS | {"server": "fd00::1"}, NFS | {"extra": "ignored"}])
def test_addresses_are_taken_from_the_context(context: dict[str, str]) -> None:
    parsed = node_requests.attachment(context)
    assert parsed.protocol == context["protocol"]
    assert parsed.attributes == {key: context[key] for key in parsed.attributes}


@pytest.mark.parametrize(
    ("context", "key", "value"),
    [
        (NFS, "protocol", "cifs"),
        (NFS, "server", ""),
        (NFS, "server", "a b"),
        (NFS, "server", "-o,suid"),
        (NFS, "share", "mnt/x"),
        (NFS, "share", "/mnt/../etc"),
        (NFS, "share", "/mnt/a b"),
        (ISCSI, "portal", "10.0.0.1"),
        (ISCSI, "portal", "10.0.0.1:x"),
        (ISCSI, "iqn", "iqn.2005-10.x/../../y"),
        (ISCSI, "iqn", "target"),
        (ISCSI, "lun", "-1"),
        (ISCSI, "lun", "16384"),
        (NVME, "port", "0"),
        (NVME, "port", "65536"),
        (NVME, "nqn", "nqn. x"),
        (NVME, "nsid", "0"),
        (NVME, "nsid", "\u0661"),
    ],
)
def test_malformed_and_missing_addresses_are_refused_by_key(context: dict[str, str], key: str, value: str) -> None:
    with pytest.raises(InvalidArgument, match=key):
        node_requests.attachment(context | {key: value})
    with pytest.raises(InvalidArgument, match=key):
        node_requests.attachment({each: context[each] for each in context if each != key})


def test_the_source_is_what_the_mount_table_shows() -> None:
    assert node_requests.source_of(Attachment(Protocol.NFS, NFS)) == "10.0.0.1:/mnt/tank/csi/pvc-1"
    assert node_requests.source_of(Attachment(Protocol.NFS, NFS | {"server": "fd00::1"})).startswith("[fd00::1]:/")
    assert node_requests.source_of(Attachment(Protocol.ISCSI, ISCSI)) == ""


def test_mount_flags_are_split_and_come_once() -> None:
    parsed = node_requests.mount_capability(capability(mount_flags=["a,b", "b", ""]), present=True)
    assert parsed.mount_flags == ("a", "b")


def test_credentials_are_only_those_of_chap() -> None:
    given = {"node.session.auth.username": "u", "node.session.auth.password": "p", "other": "x"}
    assert sorted(node_requests.credentials(given)) == ["node.session.auth.password", "node.session.auth.username"]
    assert node_requests.credentials({}) == {}


def test_an_expansion_takes_any_path_and_no_size_at_all() -> None:
    request = pb.NodeExpandVolumeRequest(volume_id="pvc-1", volume_path="some//path/")
    where, sizes, wanted = node_requests.check_expand(request)
    assert (where.path, sizes, wanted) == ("some/path", CapacityRange(), None)


def test_an_expansion_keeps_both_bounds() -> None:
    request = pb.NodeExpandVolumeRequest(
        volume_id="pvc-1", volume_path="/p", capacity_range=pb.CapacityRange(required_bytes=5, limit_bytes=9)
    )
    assert node_requests.check_expand(request)[1] == CapacityRange(5, 9)


def test_a_publish_context_says_whether_the_node_may_write() -> None:
    assert not node_requests.attached_readonly({})
    assert not node_requests.attached_readonly({"readonly": "false"})
    assert node_requests.attached_readonly({"readonly": "true", "other": "ignored"})
    for other in ("", "True", "1"):
        with pytest.raises(InvalidArgument, match="readonly"):
            node_requests.attached_readonly({"readonly": other})


def test_mount_flags_are_refused_without_being_shown() -> None:
    for flags in (["bind", "password=hunter2"], ["ro", "rw", "password=hunter2"], ["password=hunter2\x01"]):
        with pytest.raises(InvalidArgument, match="mount_flags") as refused:
            node_requests.mount_capability(capability(mount_flags=flags), present=True)
        assert "hunter2" not in str(refused.value)
