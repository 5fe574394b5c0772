"""Every built-in kind fits the Kubernetes schemas, strictly; custom resources have the fields of their definitions."""

import copy
from collections.abc import Callable
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tests.deploy.manifests import DEPLOY, Manifest, examples, kustomization, named, rendered, title

VERSIONS = ("1.34", "1.36")
CUSTOM_GROUPS = ("snapshot.storage.k8s.io", "groupsnapshot.storage.k8s.io")
CLASS_FIELDS = {"apiVersion", "kind", "metadata", "driver", "deletionPolicy"}


def is_custom(manifest: Manifest) -> bool:
    return manifest["apiVersion"].split("/")[0] in CUSTOM_GROUPS


BUILT_IN = [manifest for manifest in (*rendered(), *examples()) if not is_custom(manifest)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", BUILT_IN, ids=title)
def test_built_in_kind_fits_its_schema(manifest: Manifest, version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def unknown_field(manifest: Manifest) -> None:
    manifest["spec"]["template"]["spec"]["containers"][0]["imagePullPolice"] = "Always"


def wrong_type(manifest: Manifest) -> None:
    manifest["spec"]["replicas"] = "one"


def missing_selector(manifest: Manifest) -> None:
    del manifest["spec"]["selector"]


@pytest.mark.parametrize("damage", [unknown_field, wrong_type, missing_selector])
def test_schema_refuses_a_damaged_manifest(damage: Callable[[Manifest], Any]) -> None:
    manifest = copy.deepcopy(named("Deployment", "csisim-controller"))
    damage(manifest)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, VERSIONS[0], strict=True)


def test_snapshot_classes_have_exactly_the_fields_of_their_definitions() -> None:
    custom = [manifest for manifest in rendered() if is_custom(manifest)]
    assert [(m["apiVersion"], m["kind"]) for m in custom] == [
        ("snapshot.storage.k8s.io/v1", "VolumeSnapshotClass"),
        ("groupsnapshot.storage.k8s.io/v1", "VolumeGroupSnapshotClass"),
    ]
    for manifest in custom:
        assert manifest.keys() == CLASS_FIELDS
        assert manifest["deletionPolicy"] in {"Delete", "Retain"}
        assert "namespace" not in manifest["metadata"]


def test_example_snapshot_names_one_source_and_an_existing_class() -> None:
    (snapshot,) = [manifest for manifest in examples() if manifest["kind"] == "VolumeSnapshot"]
    assert list(snapshot["spec"]["source"]) == ["persistentVolumeClaimName"]
    assert named("VolumeSnapshotClass", snapshot["spec"]["volumeSnapshotClassName"])


def test_kustomization_lists_every_manifest_once() -> None:
    assert kustomization().keys() == {"apiVersion", "kind", "resources"}
    there = sorted(str(path.relative_to(DEPLOY)) for path in (DEPLOY / "kubernetes").iterdir())
    assert sorted(kustomization()["resources"]) == there


def test_no_two_manifests_share_kind_namespace_and_name() -> None:
    keys = [(m["kind"], m["metadata"].get("namespace"), m["metadata"]["name"]) for m in rendered()]
    assert len(keys) == len(set(keys))
