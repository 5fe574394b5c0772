"""What each kind of manifest may say."""

import json

import pytest

from csisim.co.manifests import ManifestError, parse
from csisim.co.objects import DataSource, PodVolume

CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "a", "namespace": "team"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
CLASS = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "c"}, "provisioner": "d"}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {}}
SNAPSHOT = {
    "apiVersion": "snapshot.storage.k8s.io/v1",
    "kind": "VolumeSnapshot",
    "metadata": {"name": "s"},
    "spec": {"source": {"persistentVolumeClaimName": "a"}},
}
SET = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "web"},
    "spec": {"template": {"spec": {}}},
}


def one(document, **spec):
    document = {**document, "spec": {**document.get("spec", {}), **spec}} if spec else document
    return parse(json.dumps(document)).objects[0]


def test_a_claim_with_everything():
    source = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"}
    found = one(
        CLAIM, storageClassName="fast", volumeMode="Block", dataSource=source, dataSourceRef=source,
        volumeAttributesClassName="gold",
    )  # fmt: skip
    assert (found.key, found.storage_class_name, found.volume_mode, found.storage) == (
        "team/a",
        "fast",
        "Block",
        1 << 30,
    )
    assert found.data_source == DataSource("VolumeSnapshot", "s")
    assert found.volume_attributes_class_name == "gold"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"accessModes": []}, "spec.accessModes: is required; name at least one of ReadWriteOnce"),
        ({"accessModes": ["RWO"]}, r"spec.accessModes\[0\]: 'RWO' is not one of ReadWriteOnce, ReadOnlyMany"),
        ({"accessModes": ["ReadWriteOncePod", "ReadWriteMany"]}, "ReadWriteOncePod goes with no other mode"),
        ({"volumeMode": "Raw"}, "spec.volumeMode: 'Raw' is not one of Filesystem, Block"),
        ({"resources": {"requests": {"storage": "lots"}}}, "spec.resources.requests.storage: 'lots' is not a size"),
        ({"resources": {}}, "spec.resources.requests: is required"),
        ({"volumeName": "pv"}, "spec.volumeName: existing volumes are not modelled"),
        ({"storageClas": "x"}, "spec.storageClas: is not a field here; known are accessModes"),
        ({"dataSource": {"kind": "Pod", "name": "p"}}, "spec.dataSource.kind: 'Pod' is not one of VolumeSnapshot"),
        ({"dataSource": {"kind": "VolumeSnapshot", "name": "p"}}, "'' has no VolumeSnapshot; it is of 'snapshot"),
        (
            {"dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "p", "namespace": "other"}},
            "sources in other namespaces are not modelled",
        ),
        (
            {
                "dataSource": {"kind": "PersistentVolumeClaim", "name": "p"},
                "dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "q"},
            },
            "differs from dataSource",
        ),
    ],
)
def test_claims_that_are_refused(spec, problem):
    with pytest.raises(ManifestError, match=problem):
        one(CLAIM, **spec)


def test_classes():
    found = one(
        {
            **CLASS, "reclaimPolicy": "Retain", "volumeBindingMode": "WaitForFirstConsumer", "mountOptions": ["noatime"],
            "allowVolumeExpansion": True, "parameters": {"b": "1", "a": "2"},
        }
    )  # fmt: skip
    assert (found.reclaim_policy, found.volume_binding_mode, found.mount_options) == (
        "Retain", "WaitForFirstConsumer", ("noatime",),
    )  # fmt: skip
    assert list(found.parameters) == ["a", "b"]
    assert found.allow_volume_expansion
    snapshots = {"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotClass", "metadata": {"name": "c"}}
    assert one({**snapshots, "driver": "d", "deletionPolicy": "Retain"}).deletion_policy == "Retain"
    attributes = {"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttributesClass", "metadata": {"name": "c"}}
    assert one({**attributes, "driverName": "d", "parameters": {"x": "y"}}).parameters == {"x": "y"}


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"reclaimPolicy": "Recycle"}, "reclaimPolicy: 'Recycle' is not one of Delete, Retain"),
        ({"allowVolumeExpansion": "yes"}, "'yes' is neither true nor false"),
        ({"allowedTopologies": []}, "is not modelled; leave it out"),
        ({"parameters": {"size": 7}}, "parameters.size: 7 is not a text; put it in quotes"),
        ({"parameters": {"csi.storage.k8s.io/fsType": "ext4"}}, "is not a parameter of the sidecars"),
        ({"parameters": {"csi.storage.k8s.io/node-stage-secret-name": "x"}}, "needs .*node-stage-secret-namespace"),
        ({"provisioner": None}, "provisioner: is required"),
    ],
)
def test_classes_that_are_refused(more, problem):
    with pytest.raises(ManifestError, match=problem):
        one({**CLASS, **more})


def test_pods_are_read_for_their_claims_and_nodes():
    volumes = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "a", "readOnly": True}},
        {"name": "scratch", "emptyDir": {}},
    ]
    found = one(POD, volumes=volumes, nodeName="n1", securityContext={"fsGroup": 7})
    assert found.volumes == (PodVolume("data", "a", read_only=True),)
    assert (found.node_selector, found.fs_group) == ({"kubernetes.io/hostname": "n1"}, "7")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"volumes": [{"name": "v", "csi": {"driver": "d"}}]}, r"spec.volumes\[0\].csi: is not modelled; use a claim"),
        ({"volumes": [{"name": "v", "persistentVolumeClaim": {}}]}, "claimName: is required"),
        ({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "a"}}] * 2}, "'v' is there twice"),
        ({"nodeSelector": {"disk": "ssd"}}, "nodeSelector.disk: nodes have no such label here"),
        ({"securityContext": {"fsGroup": "7"}}, "securityContext.fsGroup: '7' is not a group id"),
    ],
)
def test_pods_that_are_refused(spec, problem):
    with pytest.raises(ManifestError, match=problem):
        one(POD, **spec)


def test_a_set_mounts_its_templates_under_their_names():
    template = {"metadata": {"name": "data"}, "spec": CLAIM["spec"]}
    shared = {"name": "shared", "persistentVolumeClaim": {"claimName": "b"}}
    found = one(SET, replicas=3, podManagementPolicy="Parallel", volumeClaimTemplates=[template],
                template={"spec": {"volumes": [shared]}})  # fmt: skip
    assert (found.replicas, found.parallel) == (3, True)
    assert found.template.volumes == (PodVolume("data", "data"), PodVolume("shared", "b"))
    assert [each.name for each in found.volume_claim_templates] == ["data"]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"replicas": -1}, "spec.replicas: -1 is not a whole number from 0 to 100"),
        ({"volumeClaimTemplates": [{"kind": "Pod", "metadata": {"name": "d"}}]}, "'Pod' is not PersistentVolumeClaim"),
        ({"podManagementPolicy": "Fast"}, "'Fast' is not one of OrderedReady, Parallel"),
    ],
)
def test_sets_that_are_refused(spec, problem):
    with pytest.raises(ManifestError, match=problem):
        one(SET, **spec)


def test_snapshots():
    assert one(SNAPSHOT, volumeSnapshotClassName="c").source_claim_name == "a"
    with pytest.raises(ManifestError, match="existing snapshots are not modelled"):
        one(SNAPSHOT, source={"volumeSnapshotContentName": "x"})


def test_secrets_are_decoded_and_never_shown():
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    found = one({**secret, "data": {"a": "aGVsbG8="}, "stringData": {"b": "plain"}})
    assert found.data == {"a": "hello", "b": "plain"}
    assert "hello" not in repr(found)
    for wrong in ({"data": {"a": "hunter2!"}}, {"data": {"a": 7}}, {"stringData": {"a": 1234567}}):
        with pytest.raises(ManifestError) as caught:
            one({**secret, **wrong})
        assert "hunter2" not in str(caught.value)
        assert "1234567" not in str(caught.value)
