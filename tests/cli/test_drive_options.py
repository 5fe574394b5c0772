"""The options of `csisim drive`: what is wrong with them is told, and secrets are not."""

import re

import pytest
from typer.testing import CliRunner

from csisim.cli.drive_options import plan_of
from csisim.cli.main import app
from csisim.endpoint import Endpoint

NOTHING = {"node": [], "file": [], "size": "2x1", "parameters": [], "secrets": [], "kubelet_dir": None, "faults": []}


def drive(*flags):
    return CliRunner().invoke(app, ["drive", *map(str, flags)])


def test_one_socket_is_controller_and_node():
    plan = plan_of("/run/csi.sock", None, **NOTHING)
    here = Endpoint(path="/run/csi.sock")
    assert (plan.controller, dict(plan.nodes), plan.guessed) == (here, {"node-1": here}, True)
    assert plan_of("/run/csi.sock", None, **NOTHING).run != plan.run


def test_sockets_of_their_own():
    nodes = {"node": ["one=unix:///run/1.sock", "two=tcp://127.0.0.1:2"]}
    plan = plan_of(None, "/run/ctl.sock", **NOTHING | nodes)
    assert str(plan.controller) == "unix:///run/ctl.sock"
    assert {name: str(where) for name, where in plan.nodes.items()} == {
        "one": "unix:///run/1.sock", "two": "tcp://127.0.0.1:2",
    }  # fmt: skip
    assert not plan.guessed
    assert plan_of(None, "/run/ctl.sock", **NOTHING).nodes == {}


def test_a_secret_is_lines_of_key_and_value(tmp_path):
    file = tmp_path / "secret"
    file.write_text("# of the array\nuser=me\n\npassword=a=b c\n")
    plan = plan_of("/run/csi.sock", None, **NOTHING | {"secrets": [f"s={file}"]})
    assert plan.secrets == {"s": {"user": "me", "password": "a=b c"}}


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ((), "say where the driver listens"),
        (("--endpoint", "unix:///nowhere/csi.sock"), "unix:///nowhere/csi.sock: there is no such socket"),
        (("--endpoint", "csi.sock"), "is neither unix:///"),
        (("--endpoint", "/x.sock", "--node", "one"), "'one' has no '=' and value"),
        (("--endpoint", "/x.sock", "--node", "a=/x.sock", "--node", "a=/y.sock"), "'a' is given twice"),
        (("--endpoint", "/x.sock", "--size", "many"), "'many' is not UxR"),
        (("--endpoint", "/x.sock", "--access-mode", "rwo"), "for --access-mode: 'rwo' is not one of"),
        (("--endpoint", "/x.sock", "--size-bytes", "0"), "for --size-bytes: 0 is not from 1"),
        (("--endpoint", "/x.sock", "--node", "A=/x.sock"), "for --node: 'A' is no name"),
        (("--endpoint", "/x.sock", "--faults", "nonsense"), "nonsense"),
        (("--endpoint", "/x.sock", "--faults", "rpc.CreateVolume.after: off"), "say with --proxy-control"),
        (("--endpoint", "/x.sock", "--secret", "s=/nowhere/secret"), "No such file"),
        (("--endpoint", "/x.sock", "--file", "/nowhere/web.yaml"), "cannot be read"),
    ],
)
def test_a_wrong_use_is_told_with_status_2(flags, told):
    found = drive(*flags)
    assert found.exit_code == 2
    assert told in re.sub(r"[│\s]+", " ", found.output)


def test_secrets_are_read_from_files_and_never_shown(tmp_path):
    file = tmp_path / "secret"
    file.write_text("user=me\nhidden-line\n")
    found = drive("--endpoint", "/x.sock", "--secret", f"s={file}")
    assert found.exit_code == 2
    assert "line 2 of secret 's' is no KEY=VALUE" in re.sub(r"[│\s]+", " ", found.output)
    assert "hidden" not in found.output
