"""What `kubectl apply -k deploy` would send: the resources of kustomization.yaml, read without kustomize."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
Manifest = dict[str, Any]


def documents(path: Path) -> list[Manifest]:
    """All YAML documents of a file, empty ones left out."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def kustomization() -> Manifest:
    """The kustomization itself."""
    (only,) = documents(DEPLOY / "kustomization.yaml")
    return only


def rendered() -> list[Manifest]:
    """Every manifest, in the order of the kustomization, which uses `resources` and nothing else."""
    return [manifest for path in kustomization()["resources"] for manifest in documents(DEPLOY / path)]


def examples() -> list[Manifest]:
    """Every manifest of deploy/examples."""
    return [manifest for path in sorted((DEPLOY / "examples").glob("*.yaml")) for manifest in documents(path)]


def of_kind(*kinds: str) -> list[Manifest]:
    """The rendered manifests of these kinds."""
    return [manifest for manifest in rendered() if manifest["kind"] in kinds]


def named(kind: str, name: str) -> Manifest:
    """The one rendered manifest of this kind and name."""
    (only,) = [manifest for manifest in of_kind(kind) if manifest["metadata"]["name"] == name]
    return only


def workloads() -> list[Manifest]:
    """Everything with a pod template."""
    return of_kind("Deployment", "DaemonSet")


def containers(workload: Manifest) -> Iterator[Manifest]:
    """The containers of a workload."""
    yield from workload["spec"]["template"]["spec"]["containers"]


def container(workload: Manifest, name: str) -> Manifest:
    """One container of a workload."""
    (only,) = [found for found in containers(workload) if found["name"] == name]
    return only


def title(manifest: Manifest) -> str:
    """Kind and name, for messages and test ids."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"
