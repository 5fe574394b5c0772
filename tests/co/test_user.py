"""What a user can do."""

import pytest

from csisim.co.api import ApiError
from csisim.co.manifests import ManifestError
from csisim.co.objects import PersistentVolumeClaim, Pod
from tests.co.scripted import GIB, claim, kubernetes, pod, simulated

YAML = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: a}
spec: {accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}}
"""


@simulated
async def test_yaml_and_objects_are_applied_and_applied_again_as_changes():
    async with kubernetes() as co:
        co.apply(YAML)
        await co.settled(10)
        co.apply(YAML)
        await co.settled(10)
        co.apply(YAML.replace("1Gi", "2Gi"))
        assert co.get("PersistentVolumeClaim", "a").storage == 2 * GIB
        assert co.apply("apiVersion: v1\nkind: Service\nmetadata: {name: s}") == []
        assert co.warnings[0].startswith("manifest, document 1: Service (v1) is left out")
        with pytest.raises(ManifestError, match="is not a size"):
            co.apply(YAML.replace("1Gi", "much"))


@simulated
async def test_what_may_not_change_is_refused():
    async with kubernetes() as co:
        co.create_claim("a", 2 * GIB)
        co.create_pod("p", "a")
        await co.settled(10)
        with pytest.raises(ApiError, match=r"access_modes is .* and may not become"):
            co.apply([claim("a", storage=2 * GIB, access_modes=("ReadWriteMany",))])
        with pytest.raises(ApiError, match=f"storage {GIB} is less than the {2 * GIB} bytes it has"):
            co.expand("a", GIB)
        with pytest.raises(ApiError, match="storage_class_name is 'standard' and may not become 'other'"):
            co.apply([claim("a", storage=2 * GIB, storage_class_name="other")])
        with pytest.raises(ApiError, match="Pod default/p: volumes is"):
            co.apply([pod("p", "b")])


@simulated
async def test_more_may_be_wanted_of_a_volume_that_is_larger_than_it_had_to_be():
    async with kubernetes() as co:
        found = co.create_claim("a", GIB)
        await co.settled(10)
        co.api.patch(found, capacity=3 * GIB)
        co.expand("a", 2 * GIB)
        assert co.get("PersistentVolumeClaim", "a").storage == 2 * GIB
        with pytest.raises(ApiError, match=f"storage {GIB} is less than the {3 * GIB} bytes it has"):
            co.expand("a", GIB)


@simulated
async def test_what_is_not_there_is_told_or_fine():
    async with kubernetes() as co:
        co.delete("Pod", "nobody")
        assert co.get("Pod", "nobody") is None
        assert co.get("StorageClass", "standard").is_default
        with pytest.raises(KeyError, match="there is no PersistentVolumeClaim default/z"):
            co.expand("z", GIB)
        with pytest.raises(KeyError, match="there is no node 'n9'"):
            co.cordon("n9")
        with pytest.raises(KeyError):
            co.get("Teapot", "a")


@simulated
async def test_namespaces_keep_things_apart():
    async with kubernetes() as co:
        for namespace in ("one", "two"):
            co.create_claim("a", namespace=namespace)
            co.create_pod("p", "a", namespace=namespace)
            co.create_snapshot("s", "a", namespace=namespace)
        await co.settled(30)
        co.delete("Pod", "p", namespace="one")
        co.delete("PersistentVolumeClaim", "a", namespace="one")
        await co.settled(30)
        assert [each.key for each in co.api.all_of(Pod)] == ["two/p"]
        assert [each.key for each in co.api.all_of(PersistentVolumeClaim)] == ["two/a"]


@simulated
async def test_a_pod_that_is_drained_and_belongs_to_nobody_is_gone():
    async with kubernetes() as co:
        co.create_claim("a")
        co.create_pod("p", "a", node="n1")
        await co.settled(10)
        co.drain("n1")
        await co.settled(10)
        assert co.api.all_of(Pod) == []
        co.cordon("n1", on=False)
        co.create_pod("q", "a", node="n1")
        await co.settled(10)
