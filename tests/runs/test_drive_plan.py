"""What a plan to drive a driver refuses, and what it tells."""

import json

import pytest

from csisim.endpoint import Endpoint
from csisim.runs.drive_plan import DrivePlan
from csisim.runs.plan import BadPlan

HERE = Endpoint(path="/run/csi.sock")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"nodes": {"Node_1": HERE}}, "node: 'Node_1' is no name"),
        ({"nodes": {f"n{number}": HERE for number in range(33)}}, "node: 33 are more than 32"),
        ({"run": "xyz"}, "run: 'xyz' is not eight hex digits"),
        ({"workload": "chaos"}, "workload: 'chaos' is not one of co"),
        ({"access_mode": "rwo"}, "access-mode: 'rwo' is not one of ReadWriteOnce"),
        ({"volume_mode": "raw"}, "volume-mode: 'raw' is not one of both, Filesystem, Block"),
        ({"users": 0}, "size: 0 is not from 1 to 100"),
        ({"size_bytes": 0}, "size-bytes: 0 is not from 1"),
        ({"timeout_s": float("nan")}, "timeout: nan is not from 0.1"),
        ({"speed": 0.0}, "speed: 0 is not from 0.01"),
        ({"patience": 0.0}, "patience: 0 is not from 0.001"),
        ({"rules": ("rpc.CreateVolume.after: off",)}, "faults: they come from a csisim proxy"),
        ({"kubelet_dir": "relative"}, "kubelet-dir: 'relative' is not an absolute path"),
    ],
)
def test_what_is_not_allowed_is_refused(more, told):
    with pytest.raises(BadPlan, match=told):
        DrivePlan(**{"controller": HERE, "run": "00000001"} | more)


def test_secrets_are_not_told_but_looked_for():
    secrets = {"login": {"user": "me", "password": "hidden-one"}}
    plan = DrivePlan(controller=HERE, run="00000001", secrets=secrets)
    assert plan.secret_texts() == ("hidden-one",)
    told = json.dumps(plan.to_json()) + repr(plan)
    assert "hidden-one" not in told
    assert plan.to_json()["secrets"] == ["login"]
