"""How volumes are described in calls."""

import random

import pytest

from csisim.co.api import Api
from csisim.co.objects import CSINode, PersistentVolume, Secret
from csisim.co.volume_requests import (
    access_mode,
    capability,
    of_volume,
    plain_parameters,
    reachable,
    secret,
    secret_refs,
    topology,
)
from csisim.co.workqueue import Retry
from csisim.pb import csi_pb2 as csi
from tests.co.scripted import claim, simulated

Mode = csi.VolumeCapability.AccessMode


@pytest.mark.parametrize(
    ("modes", "multi_writer", "mode"),
    [
        (["ReadWriteOnce"], False, Mode.SINGLE_NODE_WRITER),
        (["ReadWriteOnce"], True, Mode.SINGLE_NODE_MULTI_WRITER),
        (["ReadWriteOncePod"], True, Mode.SINGLE_NODE_SINGLE_WRITER),
        (["ReadWriteOncePod"], False, Mode.SINGLE_NODE_WRITER),
        (["ReadOnlyMany"], True, Mode.MULTI_NODE_READER_ONLY),
        (["ReadWriteOnce", "ReadWriteMany"], True, Mode.MULTI_NODE_MULTI_WRITER),
    ],
)
def test_access_modes(modes, multi_writer, mode):
    assert access_mode(modes, multi_writer=multi_writer) == mode


def test_capabilities_of_file_systems_and_devices():
    raw = capability(claim("a", volume_mode="Block"), multi_writer=False, fs_type="xfs")
    assert raw.WhichOneof("access_type") == "block"
    pv = PersistentVolume(name="v", driver="d", volume_handle="v", fs_type="xfs", mount_options=("noatime",))
    mounted = of_volume(pv, multi_writer=False, mount_group="7").mount
    assert (mounted.fs_type, list(mounted.mount_flags), mounted.volume_mount_group) == ("xfs", ["noatime"], "7")


def test_parameters_of_the_sidecars_stay_with_them():
    assert plain_parameters({"b": "1", "csi.storage.k8s.io/fstype": "xfs", "a": "2"}) == {"a": "2", "b": "1"}


@simulated
async def test_secrets_are_found_by_template_and_missing_ones_are_waited_for():
    parameters = {
        "csi.storage.k8s.io/node-stage-secret-name": "${pv.name}",
        "csi.storage.k8s.io/node-stage-secret-namespace": "${pvc.namespace}",
    }
    refs = secret_refs(parameters, claim("a", namespace="team"), "pvc-1")
    assert refs == {"node-stage": ("team", "pvc-1")}
    api = Api(random.Random(1))
    with pytest.raises(Retry, match="secret team/pvc-1, which is for node-stage, does not exist"):
        secret(api, refs, "node-stage")
    api.create(Secret(name="pvc-1", namespace="team", data={"user": "ada"}))
    assert secret(api, refs, "node-stage") == {"user": "ada"}
    assert secret(api, refs, "node-publish") == {}
    assert "ada" not in repr(api.get(Secret, "pvc-1", "team"))


def test_topology_is_near_the_chosen_node_and_the_same_each_time():
    nodes = [CSINode(name=f"n{i}", driver="d", node_id=f"n{i}", topology={"zone": f"z{i}"}) for i in (2, 0, 1)]
    wanted = topology(nodes, "a", "n1")
    assert [each.segments["zone"] for each in wanted.requisite] == ["z0", "z1", "z2"]
    assert [each.segments["zone"] for each in wanted.preferred] == ["z1", "z2", "z0"]
    assert topology(nodes, "a") == topology(list(reversed(nodes)), "a")
    firsts = {topology(nodes, name).preferred[0].segments["zone"] for name in "abcdefgh"}
    assert len(firsts) == 3
    assert topology([CSINode(name="n", driver="d", node_id="n")], "a") is None


def test_a_volume_is_reachable_where_one_of_its_terms_holds():
    here = CSINode(name="n", driver="d", node_id="n", topology={"zone": "a", "rack": "1"})
    for terms, expected in (((), True), (({"zone": "a"},), True), (({"zone": "b"}, {"rack": "1"}), True),
                            (({"zone": "a", "rack": "2"},), False)):  # fmt: skip
        pv = PersistentVolume(name="v", driver="d", volume_handle="v", node_affinity=terms)
        assert reachable(pv, here) is expected
