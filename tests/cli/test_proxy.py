"""`csisim proxy` as a process: what it prints, refuses, records, and how it ends."""

import asyncio
import json
import re
import signal
import stat

import grpc
import httpx
import pytest
from grpc import StatusCode
from typer.testing import CliRunner

from csisim.cli.main import app
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc
from tests.proxy.between import CREATE, Driver, Held, answering, error_of, running
from tests.support.processes import Server


@pytest.fixture
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("d")  # short: a socket path has 107 bytes


def proxy(directory, *flags, **env):
    where = ["--listen", f"unix://{directory}/p.sock", "--upstream", f"unix://{directory}/d.sock"]
    server = Server(["csisim.cli.main", "proxy", *where, *flags], directory, "proxy")
    server.env = env
    return server


@pytest.fixture
async def upstream(directory):
    driver = Driver(directory / "d.sock")
    await driver.start()
    yield driver
    await driver.stop()


@pytest.fixture
async def started(directory):
    """Starts proxies and makes sure that none outlives the test."""
    servers = []

    async def start(*flags, **env):
        servers.append(proxy(directory, *flags, **env))
        return await servers[-1].start_async()

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
async def channel(directory):
    async with grpc.aio.insecure_channel(f"unix://{directory}/p.sock") as made:
        yield made


async def test_one_process_from_its_ready_line_to_its_end(directory, started, upstream, channel):
    """Rules of a file and of the environment, the record of calls, control, and what is left."""
    rules = directory / "rules.yaml"
    rules.write_text('- name: storm\n  rule: "rpc.CreateVolume.before{vol=bad}: error(ABORTED, no)"\n')
    server = await started(
        "--faults", str(rules), "--call-faults", "--fault-seed", "7", "--control", "127.0.0.1:0", "-v", "5",
        CSISIM_FAULTS="rpc.DeleteVolume.after: 1*error(DATA_LOSS)",
    )  # fmt: skip
    said = server.stdout.read_text().splitlines()
    assert said[-1] == f"csisim proxy ready: unix://{directory}/p.sock -> unix://{directory}/d.sock"
    assert stat.S_IMODE((directory / "p.sock").stat().st_mode) == 0o600

    upstream.on[CREATE] = answering(csi.CreateVolumeResponse(volume=csi.Volume(volume_id="v")).SerializeToString())
    stub = csi_pb2_grpc.ControllerStub(channel)
    made = await stub.CreateVolume(csi.CreateVolumeRequest(name="good", secrets={"k": "canary"}), timeout=20)
    assert made.volume.volume_id == "v"
    refused = await error_of(stub.CreateVolume(csi.CreateVolumeRequest(name="bad"), timeout=20))
    assert (refused.code(), refused.details()) == (StatusCode.ABORTED, "no")
    lost = await error_of(stub.DeleteVolume(csi.DeleteVolumeRequest(volume_id="v"), timeout=20))
    assert lost.code() is StatusCode.DATA_LOSS
    own = (("csisim-fault", "before: error(CANCELLED)"),)
    assert (await error_of(stub.CreateVolume(csi.CreateVolumeRequest(), timeout=20, metadata=own))).code() is (
        StatusCode.CANCELLED
    )

    url = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.read_text())[0]
    async with httpx.AsyncClient(base_url=url, trust_env=False) as control:
        assert "storm" in (await control.get("/rules")).text
        assert (await control.post("/rules", json={"rule": "rpc.Probe.before: error(UNAVAILABLE)"})).is_success
        probe = csi_pb2_grpc.IdentityStub(channel).Probe(csi.ProbeRequest(), timeout=20)
        assert (await error_of(probe)).code() is StatusCode.UNAVAILABLE
        assert (await control.post("/reset")).is_success
    assert await stub.CreateVolume(csi.CreateVolumeRequest(name="bad"), timeout=20)

    server.terminate()
    assert await server.exit_status() == 0
    assert not (directory / "p.sock").exists()
    assert "canary" not in server.output
    calls = [
        json.loads(line.partition("gRPCCall: ")[2]) for line in server.output.splitlines() if "gRPCCall: {" in line
    ]
    assert calls[0] == {
        "Method": CREATE,
        "Request": {"name": "good", "secrets": "***stripped***"},
        "Response": {"volume": {"volume_id": "v"}},
        "Error": "",
        "FullError": None,
    }
    assert calls[1]["FullError"] == {"code": 10, "message": "no"}
    assert [call["Method"].rpartition("/")[2] for call in calls] == [
        "CreateVolume", "CreateVolume", "DeleteVolume", "CreateVolume", "Probe", "CreateVolume",
    ]  # fmt: skip


def refused(directory, *flags, **env):
    """The error text of a proxy that must end with status 2."""
    where = {"--listen": f"unix://{directory}/p.sock", "--upstream": f"unix://{directory}/d.sock"}
    given = [text for flag, value in where.items() if flag not in flags for text in (flag, value)]
    result = CliRunner(env={"CSISIM_FAULTS": None} | env).invoke(app, ["proxy", *given, *flags])
    assert result.exit_code == 2, result.output
    assert list(directory.iterdir()) == []
    return " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--listen", "unix:///tmp/x"], ["--listen", "'unix:///tmp/x'", ".sock"]),
        (["--upstream", "http://x"], ["--upstream", "'http://x'", "neither"]),
        (["--upstream", "tcp://10.0.0.1:1"], ["--upstream", "loopback"]),
        (["--listen", "/x.sock", "--upstream", "unix:///x.sock"], ["--upstream", "both"]),
        (["--faults", "/nowhere/x"], ["--faults", "/nowhere/x", "No such file"]),
        (["--control", "here"], ["--control", "'here'", "HOST:PORT"]),
        (["--control", "0.0.0.0:1"], ["--control", "other machines"]),
        (["--grace-period", "-1"], ["--grace-period", "-1.0", "from 0"]),
    ],
)
def test_a_bad_value_is_a_usage_error_with_flag_value_and_what_is_allowed(directory, flags, says):
    text = refused(directory, *flags)

    for part in says:
        assert part in text


def test_a_rule_for_another_place_is_a_usage_error(directory):
    assert "there is no site 'mount.umount'" in refused(directory, CSISIM_FAULTS="mount.umount: error(EBUSY)")


async def test_a_live_socket_stays_with_its_owner(directory):
    async with running(directory) as row:
        second = proxy(directory)
        second.spawn()

        assert await second.exit_status(60) == 1
        assert "another process is listening" in second.output
        assert "Traceback" not in second.output
        assert await row.unary(CREATE) == b""


async def test_a_port_in_use_ends_it_before_it_is_ready(directory, upstream):
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    server = proxy(directory, "--control", f"127.0.0.1:{port}")
    server.spawn()

    assert await server.exit_status(60) == 1
    assert f"csisim proxy: the control server cannot listen on 127.0.0.1:{port}" in server.output
    taken.close()


async def test_signals_drain_and_then_cut(directory, started, upstream, channel):
    held = upstream.on[CREATE] = Held()
    server = await started("--grace-period", "3600")
    call = channel.unary_unary(CREATE)(b"", timeout=60)
    await held.reached.wait()
    server.terminate()
    while (directory / "p.sock").exists():
        await asyncio.sleep(0.01)
    assert not call.done()

    server.process.send_signal(signal.SIGINT)

    assert (await error_of(call)).code() in {StatusCode.UNAVAILABLE, StatusCode.CANCELLED}
    assert await server.exit_status() == 0
    await asyncio.wait_for(held.ended.wait(), 10)
