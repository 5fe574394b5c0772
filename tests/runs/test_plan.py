"""Plans: whatever they are read from, they are a run or a reason."""

import json

import pytest

from csisim.runs.plan import BadPlan, RunPlan


def test_a_plan_is_read_back_from_its_json_long_or_short():
    plan = RunPlan(seed=7, clients=8, faults=("mount.umount: 2*error(EBUSY)",), nas_s=(0.0, 0.5), protocols=("nfs",))
    assert RunPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    short = json.loads(json.dumps(plan.to_short_json()))
    assert sorted(short) == ["clients", "faults", "nas_s", "protocols", "seed"]
    assert RunPlan.from_json(short) == plan
    assert RunPlan(seed=3).to_short_json() == {"seed": 3}


def test_whether_the_seed_draws_the_faults():
    assert RunPlan(seed=1).draws_faults
    assert RunPlan(seed=1).rules == ()
    none = RunPlan(seed=1, faults=("none",))
    assert (none.draws_faults, none.rules) == (False, ())
    given = RunPlan(seed=1, faults=("clock.nas: skew(1h)",))
    assert (given.draws_faults, given.rules) == (False, ("clock.nas: skew(1h)",))


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"seed": -1}, "seed: '-1' is not a whole number"),
        ({"seed": True}, "seed: 'True' is not a whole number"),
        ({"seed": 1 << 63}, "seed: .* is not a whole number"),
        ({"clients": 0}, "clients: '0' is not a whole number from 1"),
        ({"operations": 1e9}, "operations: .* is not a whole number"),
        ({"strategy": "best"}, "strategy: 'best' is no strategy: there are portfolio, fifo"),
        ({"strategy": 5}, "strategy: '' is no strategy"),
        ({"tape": "no tape"}, "tape: a tape is one line of JSON"),
        ({"tape": 3}, "tape: '3' is not a text"),
        ({"tape": '{"picks":[]}', "real": True}, "tape: a run on real sockets cannot follow one"),
        ({"workload": "stress"}, "workload: 'stress' is not one of clients, co"),
        ({"protocols": ["nfs", "smb"]}, "protocols: 'smb' is not one of nfs, iscsi, nvmeof"),
        ({"protocols": []}, "protocols: none"),
        ({"faults": []}, "faults: give rules"),
        ({"faults": "all"}, "faults: 'all' is not a list of texts"),
        ({"manifests": ["kind: Pod"]}, "manifests: the workload is 'clients'"),
        ({"patient": True}, "patient: only a run on real sockets can make haste, or not"),
        ({"real": 1}, "real: '1' is neither true nor false"),
        ({"nas_s": [2, 1]}, "nas_s: .* is not a shortest and a longest time"),
        ({"network_s": [0, float("nan")]}, "network_s: .* is not a shortest"),
        ({"network_s": [0]}, "network_s: .* is not a shortest"),
        ({"only": ["1.2", "3"]}, "only: '3' is not client.operation"),
        ({"only": ["0.1"]}, "only: '0.1' is not client.operation"),
        ({"only": "1.2"}, "only: '1.2' is not a list of texts"),
        ({"colour": "red"}, "'colour' is no part of a plan: there are seed, strategy"),
    ],
)
def test_what_is_no_plan_is_refused_with_its_part_and_value(members, said):
    with pytest.raises(BadPlan, match=said):
        RunPlan.from_json({"seed": 1} | members)


@pytest.mark.parametrize("found", [None, [], "seed", {}, {"clients": 3}])
def test_what_is_no_object_with_a_seed_is_refused(found):
    with pytest.raises(BadPlan):
        RunPlan.from_json(found)


def test_all_operations_are_done_unless_some_are_named():
    assert RunPlan(seed=1).does(3, 5)
    plan = RunPlan.from_json({"seed": 1, "only": ["2.1", "3.5"]})
    assert [plan.does(*each) for each in ((2, 1), (3, 5), (1, 2), (2, 5))] == [True, True, False, False]
