import asyncio
import os
import re

import grpc
import pytest
import typer
from typer.testing import CliRunner

from csisim.cli.fault_options import ControlUnavailable, FaultFlags, controlled
from csisim.cli.main import app
from csisim.control.client import FaultClient, RuleRefused
from csisim.control.options import ControlOptions
from csisim.faults.sites import host_sites, link_sites
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc
from tests.support.controlled import World
from tests.support.processes import driver

RULE = "mount.umount: 2*error(EBUSY)"


def sites():
    return [*host_sites(), *link_sites()]


@pytest.fixture(autouse=True)
def no_rules_from_outside(monkeypatch):
    monkeypatch.delenv("CSISIM_FAULTS", raising=False)


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.txt"
    path.write_text(f"# busy\n{RULE}\n")
    return path


def test_without_a_flag_there_is_no_plane_at_all(capsys):
    assert FaultFlags().settings(sites, 1) is None
    assert FaultFlags().control_options() is None
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("flags", [{"calls": True}, {"control": "127.0.0.1:0"}, {"seed": 0}])
def test_each_flag_turns_faults_on(flags):
    settings = FaultFlags(**flags).settings(sites, 1)

    assert settings is not None
    assert settings.metadata is flags.get("calls", False)


def test_rules_of_files_and_of_the_variable_are_put_together(rules, tmp_path, monkeypatch):
    more = tmp_path / "more.yaml"
    more.write_text('- name: late\n  rule: "link.up: delay(1ms)"\n')
    monkeypatch.setenv("CSISIM_FAULTS", "link.down: off; link.up: off")

    settings = FaultFlags(files=(rules, more), seed=4).settings(sites, None)

    assert [str(rule) for rule in settings.rules] == [RULE, "link.up: delay(1ms)", "link.down: off", "link.up: off"]
    assert (settings.rules[1].name, settings.seed) == ("late", 4)


def test_a_seed_that_is_made_up_is_printed_and_follows_from_the_other_one(capsys):
    seeds = [FaultFlags(calls=True).settings(sites, given).seed for given in (1, 1, 2, None)]

    assert seeds[0] == seeds[1]
    assert len(set(seeds)) == 3
    assert capsys.readouterr().out.splitlines() == [f"csisim fault seed {seed}" for seed in seeds]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("link.up: off\nlink.up: bug\n", "line 2, column 10: 'bug' is not an action"),
        ("link.up: off\n  linkup: off\n", "line 2, column 3: there is no site 'linkup'"),
        ("link.up: error(EIO)\n", "line 1, column 10: error cannot happen at link.up"),
    ],
)
def test_a_bad_rule_is_a_usage_error_that_names_file_line_and_column(tmp_path, text, says):
    path = tmp_path / "bad.txt"
    path.write_text(text)

    with pytest.raises(typer.BadParameter) as caught:
        FaultFlags(files=(path,)).settings(sites, None)

    assert caught.value.param_hint == "--faults"
    assert str(path) in str(caught.value)
    assert says in str(caught.value)


def test_so_is_one_of_the_variable(monkeypatch):
    monkeypatch.setenv("CSISIM_FAULTS", "link.up: bug")
    with pytest.raises(typer.BadParameter, match="'bug' is not an action") as caught:
        FaultFlags().settings(sites, None)
    assert caught.value.param_hint == "CSISIM_FAULTS"


def test_a_name_that_two_files_use_is_refused(tmp_path):
    paths = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    for path in paths:
        path.write_text('- {name: same, rule: "link.up: off"}\n')
    with pytest.raises(typer.BadParameter, match="there is a rule 'same' already"):
        FaultFlags(files=tuple(paths)).settings(sites, None)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"control": "8474"}, "'8474' is not HOST:PORT"),
        ({"control": "0.0.0.0:0"}, "--control-allow-remote"),
        ({"control": "0.0.0.0:0", "allow_remote": True}, "needs a token"),
        ({"allow_remote": True}, "give --control HOST:PORT with it"),
        ({"control": "127.0.0.1:0", "token": "canary"}, "8 to 200"),
    ],
)
def test_an_address_that_must_not_be_listened_on_is_a_usage_error(flags, says):
    with pytest.raises(typer.BadParameter, match=says) as caught:
        FaultFlags(**flags).control_options()
    assert "canary" not in str(caught.value)


def test_the_token_is_not_in_the_repr():
    assert "canary" not in repr(FaultFlags(token="canary"))


async def test_an_address_that_is_taken_is_an_error_of_its_own(capsys):
    async with controlled(ControlOptions(), World):
        port = int(re.search(r"csisim control on http://127.0.0.1:(\d+)\n", capsys.readouterr().out)[1])
        with pytest.raises(ControlUnavailable, match="Address already in use"):
            async with controlled(ControlOptions(port=port), World):
                pass


async def test_without_options_nothing_is_served(capsys):
    async with controlled(None, World):
        assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("flags", "env", "says"),
    [
        (["--faults", "{bad}"], {}, ["--faults", "line 1, column 1", "no site 'nowhere'"]),
        (["--faults", "/nowhere/x"], {}, ["--faults", "/nowhere/x: No such file"]),
        ([], {"CSISIM_FAULTS": "nas.pool.dataset.create.reply: bug"}, ["CSISIM_FAULTS", "column 32"]),
        (
            ["--control", "0.0.0.0:0"],
            {"CSISIM_CONTROL_TOKEN": "canary-canary"},
            ["--control", "--control-allow-remote"],
        ),
        (["--control", "nonsense"], {}, ["--control", "'nonsense'"]),
    ],
)
def test_serve_does_not_start_with_half_of_its_rules_or_an_open_door(tmp_path, flags, env, says):
    bad = tmp_path / "bad.txt"
    bad.write_text("nowhere: off\n")
    flags = [flag.replace("{bad}", str(bad)) for flag in flags]
    result = CliRunner(env=env).invoke(app, ["serve", "--endpoint", f"unix://{tmp_path}/a.sock", *flags])

    assert result.exit_code == 2, result.output
    text = " ".join(result.stderr.split())
    for part in says:
        assert part in text
    assert "canary" not in text
    assert os.listdir(tmp_path) == ["bad.txt"]  # noqa: PTH208


def test_a_served_driver_is_controlled_from_outside(tmp_path_factory):
    directory = tmp_path_factory.mktemp("d")  # short: a socket path has 107 bytes
    rules = directory / "rules.txt"
    rules.write_text("rpc.Probe.before: 1*error(UNAVAILABLE, from the file)\n")
    token = "canary-canary"
    server = driver(
        directory, "--control", "127.0.0.1:0", "--control-token", token, "--faults", str(rules), "--seed", "1"
    )
    server.start()
    try:
        seed, control, ready = server.stdout.read_text().splitlines()
        assert re.fullmatch(r"csisim fault seed \d+", seed)
        assert ready.startswith("csisim ready")
        with (
            FaultClient(control.removeprefix("csisim control on "), token) as client,
            grpc.insecure_channel(f"unix://{directory}/csi.sock") as channel,
        ):
            identity = csi_pb2_grpc.IdentityStub(channel)
            with pytest.raises(grpc.RpcError, match="from the file"):
                identity.Probe(csi.ProbeRequest(), timeout=10)
            by_hand = "rpc.Probe.before: error(ABORTED, by hand)"
            with client.fault(by_hand), pytest.raises(grpc.RpcError, match="by hand"):
                identity.Probe(csi.ProbeRequest(), timeout=10)
            assert identity.Probe(csi.ProbeRequest(), timeout=10)
            with pytest.raises(RuleRefused):
                client.add("nowhere: off")
            assert client.status().seed == int(seed.rpartition(" ")[2])
    finally:
        server.stop()
    assert token not in server.output


def test_a_control_port_that_is_taken_ends_serve_with_status_one(tmp_path_factory):
    directory = tmp_path_factory.mktemp("d")

    async def taken():
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        process = driver(directory, "--control", f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        process.spawn()
        status = await process.exit_status()
        server.close()
        return status, process.output

    status, output = asyncio.run(taken())

    assert status == 1
    assert "csisim serve: the control server cannot listen on 127.0.0.1:" in output
    assert "Traceback" not in output
