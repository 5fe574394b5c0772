"""The served socket: its mode, stale ones, modes of service, extra nodes, reflection and standard health."""

import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from csisim.pb import csi_pb2 as csi
from tests.support.processes import Server, driver
from tests.support.rpc import METHODS, Client, refused

SERVED_EVERYWHERE = {"Identity"}
MODES = {"controller": {"Controller", "GroupController", "SnapshotMetadata"}, "node": {"Node"}}


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serve")


def test_the_socket_is_private_and_alone_in_its_directory(server: Server, call: Client) -> None:
    path = server.directory / "csi.sock"
    call(csi.ProbeRequest())
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {entry.name for entry in server.directory.iterdir()} == {"csi.sock", "csisim.out", "csisim.err"}


def test_sockets_left_over_are_replaced_also_that_of_a_killed_server_and_the_own_one_is_removed(
    directory: Path,
) -> None:
    path = directory / "csi.sock"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    server = driver(directory)
    for end in (server.kill, server.stop):
        assert path.exists()
        server.start()
        call = Client(path)
        assert call(csi.GetPluginInfoRequest()).name
        call.close()
        end()
    assert not path.exists()


def test_a_file_that_is_not_a_socket_is_left_alone(directory: Path) -> None:
    path = directory / "csi.sock"
    path.write_text("somebody's")
    server = driver(directory)
    server.spawn()
    assert server.process.wait(timeout=30) != 0
    assert path.read_text() == "somebody's"
    assert str(path) in server.output


@pytest.fixture(params=MODES)
def one_sided(request: pytest.FixtureRequest, directory: Path) -> Iterator[tuple[set[str], Client]]:
    server = driver(directory, "--mode", request.param).start()
    client = Client(directory / "csi.sock")
    yield MODES[request.param], client
    client.close()
    server.stop()


def test_a_one_sided_server_answers_unimplemented_for_the_rest(one_sided: tuple[set[str], Client]) -> None:
    services, call = one_sided
    for method in METHODS.values():
        code = _code(call, method.request())
        served = method.service in services | SERVED_EVERYWHERE
        assert (code is not StatusCode.UNIMPLEMENTED) is served, f"{method.path}: {code}"
    # All instances of one version answer alike: what the plugin can do is not what this socket serves.
    capabilities = {item.service.type for item in call(csi.GetPluginCapabilitiesRequest()).capabilities}
    assert csi.PluginCapability.Service.CONTROLLER_SERVICE in capabilities


def _code(call: Client, request: Any) -> StatusCode:
    try:
        call(request)
    except grpc.RpcError as error:
        code: StatusCode = error.code()
        return code
    return StatusCode.OK


def test_spellings_of_other_drivers_are_accepted_and_the_endpoint_in_the_environment(directory: Path) -> None:
    flags = ["--nodeid", "other", "--drivername", "x.example.com", "--maxvolumespernode", "3"]
    flags += ["--statedir", str(directory / "state")]
    server = driver(directory, *flags)
    flag = server.args.index("--endpoint")
    del server.args[flag : flag + 2]
    server.env["CSI_ENDPOINT"] = f"unix://{directory}/csi.sock"
    server.start()
    call = Client(directory / "csi.sock")
    info = call(csi.NodeGetInfoRequest())
    assert (info.node_id, info.max_volumes_per_node) == ("other", 3)
    assert call(csi.GetPluginInfoRequest()).name == "x.example.com"
    assert (directory / "state").is_dir()
    call.close()
    server.stop()


def test_a_bad_flag_is_a_usage_error(directory: Path) -> None:
    server = driver(directory, "--mode", "both")
    server.spawn()
    assert server.process.wait(timeout=30) == 2
    assert "Traceback" not in server.output
    assert server.output.strip()


def test_reflection_lists_the_services(call: Client) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(call.channel)
    answers = stub.ServerReflectionInfo(
        iter(
            [
                reflection_pb2.ServerReflectionRequest(list_services=""),
                reflection_pb2.ServerReflectionRequest(file_containing_symbol="csi.v1.Controller"),
            ]
        ),
        timeout=10,
    )
    listed, described = list(answers)
    names = {service.name for service in listed.list_services_response.service}
    assert {f"csi.v1.{method.service}" for method in METHODS.values()} | {"grpc.health.v1.Health"} <= names
    assert described.file_descriptor_response.file_descriptor_proto


@pytest.mark.parametrize("service", ["", "csi.v1.Controller", "csi.v1.Node", "csi.v1.Identity"])
def test_standard_health_says_serving(call: Client, service: str) -> None:
    stub: Any = health_pb2_grpc.HealthStub(call.channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_an_rpc_that_does_not_exist_is_unimplemented(call: Client) -> None:
    begin: Any = call.channel.unary_unary("/csi.v1.Controller/MakeCoffee")
    with refused(StatusCode.UNIMPLEMENTED):
        begin(b"", timeout=10)
