"""What the manifests of a plan want."""

import pytest

from csisim.co.manifests import ManifestError
from csisim.runs.plan import RunPlan
from csisim.runs.wanted import wanted
from tests.runs.test_intents import MANIFEST

DRIVER = "csi.csisim.dev"


def plan(*manifests: str) -> RunPlan:
    return RunPlan(seed=1, workload="co", manifests=manifests)


def test_what_a_later_manifest_says_of_the_same_object_comes_afterwards():
    found = wanted(plan(MANIFEST, MANIFEST.replace("1Gi", "2Gi")), DRIVER)
    assert {each.ref for each in found.objects} == {each.ref for (stage,) in [found.changes] for each in stage}


def test_a_claim_that_waits_for_another_driver_is_refused():
    with pytest.raises(
        ManifestError, match=r"has the provisioner 'csi\.csisim\.dev', and the driver that runs here is"
    ):
        wanted(plan(MANIFEST), "csi.other.dev")


def test_a_claim_of_a_class_that_is_not_there_is_refused():
    claims_only = "---".join(part for part in MANIFEST.split("---") if "kind: StorageClass" not in part)
    with pytest.raises(ManifestError, match=r"there is no StorageClass '.*' in the manifests"):
        wanted(plan(claims_only), DRIVER)


def test_a_claim_without_a_class_needs_a_default_one_of_this_driver():
    claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {accessModes: [ReadWriteOnce], "
    claim += "resources: {requests: {storage: 1Gi}}}\n"
    class_ = "---\napiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata:\n  name: fast\n  annotations: "
    class_ += "{storageclass.kubernetes.io/is-default-class: 'true'}\nprovisioner: csi.csisim.dev\n"
    with pytest.raises(
        ManifestError, match="data: it names no StorageClass, and none of those in the manifests is the def"
    ):
        wanted(plan(claim), DRIVER)
    with pytest.raises(ManifestError, match="none of those in the manifests is the default one"):
        wanted(plan(claim + class_.replace("'true'", "'false'")), DRIVER)
    with pytest.raises(ManifestError, match="its StorageClass 'fast' has the provisioner"):
        wanted(plan(claim + class_), "csi.other.dev")
    assert len(wanted(plan(claim + class_), DRIVER).objects) == 2


def test_manifests_without_any_object_are_refused():
    with pytest.raises(ManifestError, match="there is nothing in the manifests"):
        wanted(plan("", "---\n"), DRIVER)


def test_errors_say_which_manifest_by_its_file_where_that_is_known():
    with pytest.raises(ManifestError, match="manifest 2, document 1: kind: is required"):
        wanted(plan(MANIFEST, "a: 1"), DRIVER)
    with pytest.raises(ManifestError, match=r"b\.yaml, document 1: kind: is required"):
        wanted(plan(MANIFEST, "a: 1"), DRIVER, ["a.yaml", "b.yaml"])
    claim = next(part for part in MANIFEST.split("---") if "kind: PersistentVolumeClaim" in part)
    with pytest.raises(ManifestError, match=r"b\.yaml, document 2: PersistentVolumeClaim .*there is no StorageClass"):
        wanted(plan("", f"---\n---{claim}"), DRIVER, ["a.yaml", "b.yaml"])
