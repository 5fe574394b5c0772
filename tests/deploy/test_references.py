"""What the manifests say about one another holds: accounts, secrets, volumes, ports, driver name, versions, flags."""

import re
from typing import Any

import pytest
import typer

from csisim import __version__
from csisim.driver.config import DEFAULT_DRIVER_NAME
from csisim.driver.parameters import mutable_parameters, volume_parameters
from tests.deploy.manifests import Manifest, container, containers, examples, named, of_kind, rendered, title, workloads

NAMESPACE = "csisim"
CLUSTER_SCOPED = {
    "Namespace", "CSIDriver", "ClusterRole", "ClusterRoleBinding", "StorageClass", "VolumeAttributesClass",
    "VolumeSnapshotClass", "VolumeGroupSnapshotClass",
}  # fmt: skip
SIDECARS = {
    "csi-provisioner": "v6.3.0",
    "csi-attacher": "v4.12.0",
    "csi-resizer": "v2.2.1",
    "csi-snapshotter": "v8.6.0",
    "csi-node-driver-registrar": "v2.17.0",
    "livenessprobe": "v2.19.0",
}
READ = {"get", "list", "watch"}
# What each sidecar asks the API server for, by its own documentation.
NEEDED: dict[str, dict[str, set[str]]] = {
    "csisim-provisioner": {
        "/persistentvolumes": READ | {"create", "patch", "delete"},
        "/persistentvolumeclaims": READ | {"update"},
        "/events": {"list", "watch", "create", "update", "patch"},
        "/nodes": READ,
        "storage.k8s.io/storageclasses": READ,
        "storage.k8s.io/csinodes": READ,
        "storage.k8s.io/volumeattachments": READ,
        "storage.k8s.io/volumeattributesclasses": READ,
        "snapshot.storage.k8s.io/volumesnapshots": {"get", "list"},
        "snapshot.storage.k8s.io/volumesnapshotcontents": {"get", "list"},
    },
    "csisim-attacher": {
        "/persistentvolumes": READ | {"patch"},
        "storage.k8s.io/csinodes": READ,
        "storage.k8s.io/volumeattachments": READ | {"patch"},
        "storage.k8s.io/volumeattachments/status": {"patch"},
    },
    "csisim-resizer": {
        "/persistentvolumes": READ | {"patch"},
        "/persistentvolumeclaims": READ,
        "/persistentvolumeclaims/status": {"patch"},
        "/pods": READ,
        "/events": {"list", "watch", "create", "update", "patch"},
        "storage.k8s.io/volumeattributesclasses": READ,
    },
    "csisim-snapshotter": {
        "/events": {"list", "watch", "create", "update", "patch"},
        "snapshot.storage.k8s.io/volumesnapshotclasses": READ,
        "snapshot.storage.k8s.io/volumesnapshotcontents": READ | {"create", "update", "patch"},
        "snapshot.storage.k8s.io/volumesnapshotcontents/status": {"update", "patch"},
        "groupsnapshot.storage.k8s.io/volumegroupsnapshotclasses": READ,
        "groupsnapshot.storage.k8s.io/volumegroupsnapshotcontents": READ | {"update", "patch"},
        "groupsnapshot.storage.k8s.io/volumegroupsnapshotcontents/status": {"update", "patch"},
    },
    "csisim-controller": {
        "coordination.k8s.io/leases": READ | {"create", "update", "patch", "delete"},
        "storage.k8s.io/csistoragecapacities": READ | {"create", "update", "patch", "delete"},
        "/pods": {"get"},
        "apps/replicasets": {"get"},
    },
}
WORKLOADS = pytest.mark.parametrize("workload", workloads(), ids=title)


def pod(workload: Manifest) -> Manifest:
    spec: Manifest = workload["spec"]["template"]["spec"]
    return spec


def grants(role: Manifest) -> dict[str, set[str]]:
    granted: dict[str, set[str]] = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                granted.setdefault(f"{group}/{resource}", set()).update(rule["verbs"])
    return granted


def test_everything_namespaced_is_in_the_namespace_of_the_driver() -> None:
    assert named("Namespace", NAMESPACE)
    for manifest in rendered():
        wanted = None if manifest["kind"] in CLUSTER_SCOPED else NAMESPACE
        assert manifest["metadata"].get("namespace") == wanted, title(manifest)


def test_driver_name_is_the_same_everywhere() -> None:
    named_by = [m["metadata"]["name"] for m in of_kind("CSIDriver")]
    named_by += [m["provisioner"] for m in of_kind("StorageClass")]
    named_by += [m["driverName"] for m in of_kind("VolumeAttributesClass")]
    named_by += [m["driver"] for m in of_kind("VolumeSnapshotClass", "VolumeGroupSnapshotClass")]
    assert len(named_by) == 7
    assert set(named_by) == {DEFAULT_DRIVER_NAME}


def test_csidriver_promises_what_the_driver_does() -> None:
    spec = named("CSIDriver", DEFAULT_DRIVER_NAME)["spec"]
    assert (spec["attachRequired"], spec["podInfoOnMount"], spec["storageCapacity"]) == (True, False, True)
    assert spec["volumeLifecycleModes"] == ["Persistent"]
    assert spec["fsGroupPolicy"] in {"File", "ReadWriteOnceWithFSType", "None"}


@WORKLOADS
def test_every_volume_mount_resolves_and_every_volume_is_used(workload: Manifest) -> None:
    volumes = {volume["name"] for volume in pod(workload)["volumes"]}
    mounted = {mount["name"] for each in containers(workload) for mount in each["volumeMounts"]}
    assert mounted == volumes


@WORKLOADS
def test_selector_matches_the_pods(workload: Manifest) -> None:
    assert workload["spec"]["selector"]["matchLabels"] == workload["spec"]["template"]["metadata"]["labels"]


@WORKLOADS
def test_service_account_exists_or_no_token_is_mounted(workload: Manifest) -> None:
    if "serviceAccountName" in pod(workload):
        assert named("ServiceAccount", pod(workload)["serviceAccountName"])
    else:
        assert pod(workload)["automountServiceAccountToken"] is False


@WORKLOADS
def test_secrets_exist_with_the_key_and_never_appear_in_arguments(workload: Manifest) -> None:
    used = 0
    for each in containers(workload):
        for variable in each.get("env", []):
            if "secretKeyRef" in variable.get("valueFrom", {}):
                reference = variable["valueFrom"]["secretKeyRef"]
                secret = named("Secret", reference["name"])["stringData"][reference["key"]]
                used += 1
                assert secret not in " ".join(each["args"])
    assert used == 1


@WORKLOADS
def test_probes_point_at_declared_ports(workload: Manifest) -> None:
    for each in containers(workload):
        ports = {port["name"] for port in each.get("ports", [])}
        for probe in ("livenessProbe", "readinessProbe"):
            for action in ("httpGet", "tcpSocket"):
                if action in each.get(probe, {}):
                    assert each[probe][action]["port"] in ports


@WORKLOADS
def test_images_are_pinned_to_the_versions_of_the_project(workload: Manifest) -> None:
    for each in containers(workload):
        path, _, tag = each["image"].rpartition(":")
        image = path.rpartition("/")[2]
        assert tag == (SIDECARS | {"csisim": __version__})[image]


def test_controller_and_node_have_their_sidecars() -> None:
    def images(workload: Manifest) -> set[str]:
        return {each["image"].rpartition("/")[2].partition(":")[0] for each in containers(workload)}

    assert images(named("Deployment", "csisim-controller")) == {
        "csisim", "csi-provisioner", "csi-attacher", "csi-resizer", "csi-snapshotter", "livenessprobe",
    }  # fmt: skip
    assert images(named("DaemonSet", "csisim-node")) == {"csisim", "csi-node-driver-registrar", "livenessprobe"}


@pytest.mark.parametrize("kind_and_name", [("Deployment", "csisim-controller"), ("DaemonSet", "csisim-node")])
def test_sidecars_connect_to_the_socket_the_driver_opens(kind_and_name: tuple[str, str]) -> None:
    workload = named(*kind_and_name)
    for each in containers(workload):
        flag = "--endpoint=unix://" if each["name"] == "csisim" else "--csi-address="
        assert f"{flag}/csi/csi.sock" in each["args"], each["name"]
        assert {"name": "socket", "mountPath": "/csi"} in each["volumeMounts"], each["name"]


def test_liveness_probe_serves_the_port_the_kubelet_asks() -> None:
    for workload in (named("Deployment", "csisim-controller"), named("DaemonSet", "csisim-node")):
        driver = container(workload, "csisim")
        assert driver["ports"] == [{"name": "healthz", "containerPort": 9808}]
        assert driver["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "healthz"}
        assert "--health-port=9808" in container(workload, "liveness-probe")["args"]


def test_registrar_tells_the_kubelet_the_host_path_of_the_socket() -> None:
    node = named("DaemonSet", "csisim-node")
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in pod(node)["volumes"]}
    registrar = container(node, "node-driver-registrar")
    assert paths["socket"] == f"/var/lib/kubelet/plugins/{DEFAULT_DRIVER_NAME}"
    assert f"--kubelet-registration-path={paths['socket']}/csi.sock" in registrar["args"]
    assert {"name": "registration", "mountPath": "/registration"} in registrar["volumeMounts"]
    assert paths["registration"] == "/var/lib/kubelet/plugins_registry"


def test_node_sees_the_kubelet_paths_where_the_kubelet_does_with_mounts_shared_both_ways() -> None:
    node = named("DaemonSet", "csisim-node")
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in pod(node)["volumes"]}
    driver = container(node, "csisim")
    shared = {mount["name"]: mount for mount in driver["volumeMounts"] if "mountPropagation" in mount}
    assert shared.keys() == {"pods", "staging"}
    for name, mount in shared.items():
        assert mount["mountPath"] == paths[name]
        assert mount["mountPropagation"] == "Bidirectional"
    assert driver["securityContext"]["privileged"] is True


def test_only_the_node_driver_is_privileged_and_nothing_else_runs_as_root() -> None:
    for workload in workloads():
        node = workload["kind"] == "DaemonSet"
        assert pod(workload)["securityContext"].get("runAsNonRoot", False) is not node
        for each in containers(workload):
            if not (node and each["name"] == "csisim"):
                assert each["securityContext"] == {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                }, each["name"]


def test_state_of_the_node_outlives_its_pod_and_lies_apart_from_the_socket() -> None:
    node = named("DaemonSet", "csisim-node")
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in pod(node)["volumes"]}
    assert "--state-dir=/state" in container(node, "csisim")["args"]
    assert not paths["state"].startswith(paths["socket"])


def test_nas_address_is_the_service_in_front_of_the_fake_nas() -> None:
    service, nas = named("Service", "fake-truenas"), named("Deployment", "fake-truenas")
    assert service["spec"]["selector"] == nas["spec"]["selector"]["matchLabels"]
    (port,) = service["spec"]["ports"]
    assert port["port"] == 80
    (served,) = container(nas, "fake-truenas")["ports"]
    assert port["targetPort"] == served["name"]
    assert f"--listen=0.0.0.0:{served['containerPort']}" in container(nas, "fake-truenas")["args"]
    for workload in (named("Deployment", "csisim-controller"), named("DaemonSet", "csisim-node")):
        address = f"--nas=ws://{service['metadata']['name']}.{NAMESPACE}.svc/api/current"
        assert address in container(workload, "csisim")["args"]


def test_roles_grant_exactly_what_each_sidecar_needs() -> None:
    granted = {role["metadata"]["name"]: grants(role) for role in of_kind("ClusterRole", "Role")}
    assert granted == NEEDED


def test_bindings_join_existing_roles_and_accounts() -> None:
    bindings = of_kind("ClusterRoleBinding", "RoleBinding")
    for binding in bindings:
        assert named(binding["roleRef"]["kind"], binding["roleRef"]["name"])
        for subject in binding["subjects"]:
            assert subject["namespace"] == NAMESPACE
            assert named(subject["kind"], subject["name"])
    bound = {binding["roleRef"]["name"] for binding in bindings}
    assert bound == {role["metadata"]["name"] for role in of_kind("ClusterRole", "Role")} == NEEDED.keys()


def test_storage_classes_cover_the_protocols_with_parameters_the_driver_accepts() -> None:
    protocols = set()
    for storage_class in of_kind("StorageClass"):
        # The provisioner keeps the csi.storage.k8s.io/ keys to itself.
        protocols.add(volume_parameters(storage_class["parameters"], ()).protocol.value)
        assert storage_class["allowVolumeExpansion"] is True
        assert storage_class["reclaimPolicy"] == "Delete"
    assert protocols == {"nfs", "iscsi", "nvmeof"}


def test_volume_attributes_class_has_parameters_the_driver_accepts() -> None:
    (attributes,) = of_kind("VolumeAttributesClass")
    assert mutable_parameters(attributes["parameters"]) == {"compression": "ZSTD", "sync": "STANDARD"}


def test_example_claims_name_existing_storage_classes_and_pods_existing_claims() -> None:
    claims = {m["metadata"]["name"]: m for m in examples() if m["kind"] == "PersistentVolumeClaim"}
    for claim in claims.values():
        assert named("StorageClass", claim["spec"]["storageClassName"])
    (example,) = [m for m in examples() if m["kind"] == "Pod"]
    (volume,) = example["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] in claims
    for each in example["spec"]["containers"]:
        assert re.fullmatch(r"[^:]+:[^:]+", each["image"])
        assert not each["image"].endswith(":latest")


def parsed_serve_flags(args: list[str]) -> Any:
    """The flags of `csisim serve` as the command itself parses them; SystemExit or UsageError for a wrong one."""
    from csisim.cli.main import app

    group: Any = typer.main.get_command(app)
    command, *flags = args
    return group.commands[command].make_context(command, flags).params


@pytest.mark.parametrize("kind_and_name", [("Deployment", "csisim-controller"), ("DaemonSet", "csisim-node")])
def test_driver_accepts_its_flags(kind_and_name: tuple[str, str]) -> None:
    workload = named(*kind_and_name)
    params = parsed_serve_flags(container(workload, "csisim")["args"])
    assert params["mode"].value == {"Deployment": "controller", "DaemonSet": "node"}[workload["kind"]]
    assert params["endpoint"] == "unix:///csi/csi.sock"


def test_nas_accepts_its_flags() -> None:
    from fake_truenas.__main__ import app, parse_listen, parse_pool

    command: Any = typer.main.get_command(app)
    args = container(named("Deployment", "fake-truenas"), "fake-truenas")["args"]
    params = command.make_context("fake-truenas", list(args)).params
    assert parse_listen(params["listen"]) == ("0.0.0.0", 8080)  # noqa: S104 - inside the pod
    assert [parse_pool(text).name for text in params["pool"]] == ["tank"]


def test_a_flag_that_the_driver_does_not_have_is_noticed() -> None:
    with pytest.raises(Exception, match="--volumes-dir"):
        parsed_serve_flags(["serve", "--volumes-dir=/x"])


def test_api_key_comes_from_the_variable_that_each_program_reads() -> None:
    variables = {
        "csisim-controller": "CSISIM_API_KEY",
        "csisim-node": "CSISIM_API_KEY",
        "fake-truenas": "FAKE_TRUENAS_API_KEY",
    }
    for workload in workloads():
        (driver, *_) = containers(workload)
        assert variables[workload["metadata"]["name"]] in [variable["name"] for variable in driver["env"]]
