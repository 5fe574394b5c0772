"""`csisim serve` as a process: what it prints, refuses, locks and leaves behind."""

import asyncio
import json
import random
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from typer.testing import CliRunner

from csisim.cli.main import app
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc
from fake_truenas import Nas, NasConfig
from tests.support.processes import API_KEY, Server, driver, free_port, nas_flags


@pytest.fixture
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("d")  # short: a socket path has 107 bytes


@pytest.fixture
def started(directory):
    """Starts servers and makes sure that none outlives the test."""
    servers = []

    def start(*flags, **options):
        server = driver(directory, *flags, **options)
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.kill()


def refused(directory: Path, *flags: str, **env: str) -> str:
    """The error text of a serve that must end with status 2."""
    endpoint = [] if "--endpoint" in flags or env else ["--endpoint", f"unix://{directory}/csi.sock"]
    result = CliRunner(env={"CSI_ENDPOINT": None, "CSISIM_API_KEY": None} | env).invoke(
        app, ["serve", *flags, *endpoint]
    )
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    return " ".join(result.stderr.split())


def test_further_nodes_count_on_have_sockets_of_their_own_and_are_told_before_the_ready_line(directory, started):
    server = started("--nodes", "3", "--drivername", "x.example.org")

    assert server.stdout.read_text().splitlines() == [
        f"csisim node node-2 on unix://{directory}/csi-node-2.sock",
        f"csisim node node-3 on unix://{directory}/csi-node-3.sock",
        f"csisim ready: driver x.example.org on unix://{directory}/csi.sock (node node-1)",
    ]
    modes = [stat.S_IMODE(path.stat().st_mode) for path in directory.glob("*.sock")]
    assert modes == [0o600] * 3
    for name, node_id in (("csi", "node-1"), ("csi-node-2", "node-2"), ("csi-node-3", "node-3")):
        with grpc.insecure_channel(f"unix://{directory}/{name}.sock") as channel:
            info = csi_pb2_grpc.NodeStub(channel).NodeGetInfo(csi.NodeGetInfoRequest(), timeout=10)
        assert info.node_id == node_id
    server.stop()
    assert list(directory.glob("*.sock")) == []


def test_a_port_chosen_by_the_system_is_in_the_ready_line_and_json_logs_can_go_to_a_private_file(directory):
    path = directory / "csisim.log"
    logs = ["--log-format", "json", "--log-file", str(path), "-v", "3"]
    args = ["csisim.cli.main", "serve", "--endpoint", "tcp://127.0.0.1:0", "--node-id", "n", *logs]
    server = Server(args, directory, "csisim").start()
    found = re.search(r"on tcp://(127\.0\.0\.1:\d+) \(node n\)\n", server.stdout.read_text())
    try:
        with grpc.insecure_channel(found[1]) as channel:
            info = csi_pb2_grpc.IdentityStub(channel).GetPluginInfo(csi.GetPluginInfoRequest(), timeout=10)
    finally:
        server.stop()

    assert info.name == "csi.csisim.dev"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert {"Serving", "GRPC call"} <= {record["msg"] for record in records}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert server.stderr.read_text() == ""


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--endpoint", "unix:///tmp/x"], ["--endpoint", "'unix:///tmp/x'", ".sock"]),
        (["--endpoint", "tcp://0.0.0.0:1"], ["--endpoint", "'tcp://0.0.0.0:1'", "loopback"]),
        (["--driver-name", "v1"], ["--driver-name", "'v1'", "63"]),
        (["--drivername", "a" * 64], ["--driver-name", "63"]),
        (["--node-id", "a/b"], ["--node-id", "'a/b'", "letter"]),
        (["--nodes", "0"], ["--nodes", "0", "from 1 to 1000"]),
        (["--mode", "both"], ["--mode", "'both'", "all", "controller", "node"]),
        (["--pool", "tank"], ["--pool", "'tank'", "NAME:SIZE"]),
        (["--pool", "tank:1"], ["--pool", "tank", "64 MiB"]),
        (["--pool", "tank:1TiB", "--root-dataset", "fast/csi"], ["'fast/csi'", "tank"]),
        (["--root-dataset", "tank"], ["--root-dataset", "'tank'", "tank/csi"]),
        (["--zone", "a b"], ["--zone", "'a b'", "63"]),
        (["--nas", "http://x", "--api-key", "1-x"], ["--nas", "ws://"]),
        (["--nas", "ws://x/api/current"], ["--api-key", "CSISIM_API_KEY"]),
        (["--nas", "ws://x", "--api-key", "1-x", "--pool", "a:1T"], ["--pool", "embedded"]),
        (["--max-volumes-per-node", "-1"], ["--max-volumes-per-node", "-1", "from 0"]),
        (["--device-timeout", "nan"], ["--device-timeout", "nan", "from 0.1"]),
        (["--grace-period", "-1"], ["--grace-period", "-1.0", "from 0"]),
        (["-v", "11"], ["-v", "11", "from 0 to 10"]),
        (["--enable", "magic"], ["--enable", "'magic'", "volume-health"]),
        (["--log-format", "xml"], ["--log-format", "'xml'", "text", "json"]),
        (["--log-file", "/nowhere/x"], ["--log-file", "/nowhere/x", "No such"]),
        (["--no-such"], ["--no-such"]),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_a_bad_value_is_a_usage_error_with_flag_value_and_what_is_allowed(directory, flags, says):
    text = refused(directory, *flags)

    for part in says:
        assert part in text


def test_a_bad_endpoint_from_the_environment_is_a_usage_error_too(directory):
    assert "'nonsense' is neither" in refused(directory, CSI_ENDPOINT="nonsense")


def test_a_refused_key_does_not_show_up(directory):
    assert "canary" not in refused(directory, "--nas", "ftp://x", "--api-key", "canary")


def test_a_live_socket_stays_with_its_owner(directory, started):
    first = started()
    named = f"driver csi.csisim.dev on unix://{directory}/csi.sock (node node-1)"
    assert first.stdout.read_text() == f"csisim ready: {named}\n"
    second = driver(directory, name="second")
    second.spawn()

    assert second.process.wait(timeout=60) == 1
    assert "another process is listening" in second.output
    assert "Traceback" not in second.output
    first.stop()


def test_a_state_directory_stays_with_its_owner_and_its_volumes_survive_kill_minus_nine(directory, started):
    server = started("--state-dir", str(directory / "state"))
    asyncio.run(_create(directory, "pvc-1"))
    second = driver(directory, "--statedir", str(directory / "state"), endpoint=directory / "b.sock", name="second")
    second.spawn()
    assert second.process.wait(timeout=60) == 1
    assert f"in use by process {server.process.pid}" in second.output
    server.kill()
    server.start()

    assert asyncio.run(_listed(directory)) == ["pvc-1"]
    server.stop()


def test_a_controller_has_no_node_and_without_a_state_directory_nothing_that_kill_minus_nine_could_leave(
    directory, started, tmp_path, monkeypatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    server = started("--mode", "controller")
    assert server.stdout.read_text() == f"csisim ready: driver csi.csisim.dev on unix://{directory}/csi.sock\n"
    asyncio.run(_create(directory, "pvc-1"))
    server.kill()

    assert list(tmp_path.iterdir()) == []


async def _create(directory, name):
    async with grpc.aio.insecure_channel(f"unix://{directory}/csi.sock") as channel:
        request = csi.CreateVolumeRequest(name=name, volume_capabilities=[_mount()])
        await csi_pb2_grpc.ControllerStub(channel).CreateVolume(request, timeout=20)


async def _listed(directory):
    async with grpc.aio.insecure_channel(f"unix://{directory}/csi.sock") as channel:
        reply = await csi_pb2_grpc.ControllerStub(channel).ListVolumes(csi.ListVolumesRequest(), timeout=20)
        return [entry.volume.volume_id for entry in reply.entries]


def _mount():
    mode = csi.VolumeCapability.AccessMode(mode="MULTI_NODE_MULTI_WRITER")
    return csi.VolumeCapability(mount=csi.VolumeCapability.MountVolume(), access_mode=mode)


@pytest.fixture
async def slow_nas():
    """A NAS that holds back every dataset it is to create: `reached` is set once it does, until `release` is."""
    nas = Nas(NasConfig(api_key=API_KEY), rng=random.Random(1), clock=lambda: 1_700_000_000.0)
    nas.reached, nas.release = asyncio.Event(), asyncio.Event()

    async def intercept(call, proceed):
        if call.method == "pool.dataset.create":
            nas.reached.set()
            await nas.release.wait()
        return await proceed()

    nas.intercept = intercept
    server = await nas.serve("127.0.0.1", 0)
    nas.port = server.port
    yield nas
    await server.close()
    nas.close()


@pytest.fixture
async def creating(directory, slow_nas):
    """Starts a driver and a call that hangs in the NAS; gives both."""
    servers = []

    async def begin(channel, *flags):
        server = driver(directory, *nas_flags(slow_nas.port), *flags)
        servers.append(server)
        await server.start_async()
        request = csi.CreateVolumeRequest(name="pvc-1", volume_capabilities=[_mount()])
        call = csi_pb2_grpc.ControllerStub(channel).CreateVolume(request, timeout=60)
        await slow_nas.reached.wait()
        return server, call

    yield begin
    for server in servers:
        server.kill()


async def test_sigterm_lets_a_running_call_end_and_takes_no_more(directory, creating, slow_nas):
    async with grpc.aio.insecure_channel(f"unix://{directory}/csi.sock") as channel:
        server, call = await creating(channel, "--grace-period", "25")
        server.terminate()
        while (directory / "csi.sock").exists():
            await asyncio.sleep(0.01)
        slow_nas.release.set()

        assert (await call).volume.volume_id == "pvc-1"
    assert await server.exit_status() == 0


async def test_after_the_grace_period_running_calls_are_cut_and_the_status_is_still_zero(directory, creating):
    async with grpc.aio.insecure_channel(f"unix://{directory}/csi.sock") as channel:
        server, call = await creating(channel, "--grace-period", "0.1")
        server.process.send_signal(signal.SIGINT)

        assert await call.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    assert await server.exit_status() == 0
    assert not (directory / "csi.sock").exists()


async def test_a_second_signal_ends_the_wait(directory, creating):
    async with grpc.aio.insecure_channel(f"unix://{directory}/csi.sock") as channel:
        server, call = await creating(channel, "--grace-period", "3600")
        server.terminate()
        while (directory / "csi.sock").exists():
            await asyncio.sleep(0.01)
        server.terminate()

        assert await call.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    assert await server.exit_status() == 0


def test_it_serves_while_the_nas_cannot_be_reached(directory, started):
    server = started(*nas_flags(free_port()))

    with grpc.insecure_channel(f"unix://{directory}/csi.sock") as channel:
        assert csi_pb2_grpc.IdentityStub(channel).GetPluginInfo(csi.GetPluginInfoRequest(), timeout=10).name
    server.stop()


def test_the_default_endpoint_is_in_the_runtime_directory(directory):
    args = ["-u", "XDG_RUNTIME_DIR", f"XDG_RUNTIME_DIR={directory}", sys.executable, "-m", "csisim.cli.main", "serve"]
    with subprocess.Popen(["/usr/bin/env", *args], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        line = process.stdout.readline()
        process.terminate()

    assert f"on unix://{directory}/csisim/csi.sock (node " in line
    assert process.returncode == 0
    assert stat.S_IMODE((directory / "csisim").stat().st_mode) == 0o700


def test_a_runtime_directory_that_others_can_write_is_refused(directory):
    (directory / "csisim").mkdir()
    (directory / "csisim").chmod(0o777)

    assert "not yours alone" in refused(directory, XDG_RUNTIME_DIR=str(directory))
