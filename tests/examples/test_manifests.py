"""The manifests for the orchestrator are ones that a real cluster takes."""

from pathlib import Path

import kubernetes_validate
import pytest
import yaml

DIRECTORY = Path(__file__).parent.parent.parent / "examples" / "manifests"
DOCUMENTS = [
    (path.name, document) for path in sorted(DIRECTORY.glob("*.yaml")) for document in yaml.safe_load_all(path.read_text())
]  # fmt: skip
BUILT_IN = [(name, document) for name, document in DOCUMENTS if "snapshot" not in document["apiVersion"]]


@pytest.mark.parametrize(
    ("_name", "document"), BUILT_IN, ids=[f"{name} {each['kind']} {each['metadata']['name']}" for name, each in BUILT_IN]
)  # fmt: skip
def test_built_in_kinds_fit_their_schemas(_name, document):
    kubernetes_validate.validate(document, "1.34", strict=True)


def test_there_is_one_of_each_thing_that_volumes_can_do():
    kinds = [document["kind"] for _, document in DOCUMENTS]
    assert {"StatefulSet", "VolumeSnapshot", "VolumeAttributesClass"} <= set(kinds)
    sources = [each["spec"]["dataSource"]["kind"] for _, each in DOCUMENTS if "dataSource" in each.get("spec", {})]
    assert sorted(sources) == ["PersistentVolumeClaim", "VolumeSnapshot"]
    assert any(each.get("spec", {}).get("volumeMode") == "Block" for _, each in DOCUMENTS)
