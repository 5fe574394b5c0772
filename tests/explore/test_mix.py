"""The plans of a campaign: drawn by the seed, but for what is fixed."""

import json
from collections import Counter

import pytest

from csisim.explore.mix import Mix
from csisim.runs.plan import BadPlan
from csisim.runs.run import rules_of


def test_equal_seeds_give_equal_plans_and_sizes_are_mixed() -> None:
    plans = [Mix().plan_of(seed) for seed in range(400)]
    assert plans == [Mix().plan_of(seed) for seed in range(400)]
    sizes = Counter((plan.workload, plan.clients, plan.operations) for plan in plans)
    assert sizes[("clients", 3, 5)] > 200
    assert {("clients", 6, 10), ("clients", 8, 20), ("co", 2, 6), ("co", 4, 12)} < set(sizes)
    assert {plan.volumes for plan in plans} == {1, 2, 3, 4}
    assert {plan.nodes for plan in plans} == {1, 2, 3}
    assert {1, 3} <= {len(plan.protocols) for plan in plans}
    assert {plan.seed for plan in plans} == set(range(400))
    assert all(plan.strategy == "portfolio" for plan in plans)
    assert 290 < sum(plan.draws_faults for plan in plans) < 350


def test_in_some_runs_one_thing_goes_wrong_all_the_time_and_those_are_there_whom_it_hurts() -> None:
    plagued = {plan.faults: plan for plan in map(Mix().plan_of, range(600)) if not plan.draws_faults}
    assert len(plagued) == 9
    assert all(rules_of(plan) == plan.rules for plan in plagued.values())
    assert plagued[("mount.umount: 85%error(EBUSY)",)].workload == "co"
    assert plagued[("none",)].volumes == 1
    assert {plan.workload for plan in map(Mix({"workload": "co"}).plan_of, range(200))} == {"co"}


def test_what_lasts_is_shorter_by_the_real_clock() -> None:
    def late(mix: Mix) -> set[str]:
        return {rule for seed in range(300) for rule in mix.plan_of(seed).rules if rule.startswith("device.present")}

    assert late(Mix()) == {"device.present: ready(40000ms)", "device.present: ready(200000ms)"}
    assert late(Mix({"real": True})) == {"device.present: ready(2000ms)", "device.present: ready(10000ms)"}
    assert late(Mix({"real": True, "patient": True})) == late(Mix())


def test_what_is_fixed_is_in_every_plan_and_shifts_nothing_else() -> None:
    fixed = Mix({"strategy": "walk", "faults": ("none",)})
    for seed in range(50):
        plan, free = fixed.plan_of(seed), Mix().plan_of(seed)
        assert (plan.strategy, plan.faults) == ("walk", ("none",))
        assert (plan.clients, plan.volumes, plan.nodes, plan.protocols) == (
            free.clients, free.volumes, free.nodes, free.protocols,
        )  # fmt: skip


def test_a_fixed_workload_is_drawn_among_its_own_sizes() -> None:
    for workload, most in (("co", 4), ("clients", 8)):
        plans = [Mix({"workload": workload}).plan_of(seed) for seed in range(100)]
        assert {plan.workload for plan in plans} == {workload}
        assert max(plan.clients for plan in plans) == most


def test_plain_data_gives_the_same_mix() -> None:
    mix = Mix({"protocols": ("nfs", "iscsi"), "clients": 4})
    assert Mix.from_json(json.loads(json.dumps(mix.to_json()))).plan_of(3) == mix.plan_of(3)


@pytest.mark.parametrize("wrong", [{"seed": 1}, {"tape": "{}"}, {"clients": 0}, {"colour": "red"}, {"faults": ()}])
def test_what_cannot_be_fixed_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadPlan, match=next(iter(wrong))):
        Mix(wrong)


@pytest.mark.parametrize("wrong", [None, [], "walk", {1: 2}])
def test_what_is_no_mix_is_refused(wrong: object) -> None:
    with pytest.raises(BadPlan, match="a mix is an object"):
        Mix.from_json(wrong)
