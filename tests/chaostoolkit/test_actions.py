"""Actions, seen from where they hurt: a real driver's callers, its NAS connection, its rules."""

from collections.abc import Callable
from typing import Any

import pytest

from csisim.chaostoolkit import actions, probes
from csisim.control.client import FaultClient, NoSuchRule, RuleRefused

pytestmark = pytest.mark.xdist_group("chaostoolkit")


def test_a_fault_that_is_added_hits_callers_until_it_is_removed(here: dict[str, Any], volumes: Any) -> None:
    name = actions.add_fault("rpc.DeleteVolume.before: error(RESOURCE_EXHAUSTED)", "full", configuration=here)
    assert name == "full"
    assert volumes.code_of_delete("pvc-none") == "RESOURCE_EXHAUSTED"
    actions.remove_fault("full", configuration=here)
    assert volumes.code_of_delete("pvc-none") == "OK"


def test_a_fault_without_a_name_gets_one(here: dict[str, Any]) -> None:
    name = actions.add_fault("mount.umount: error(EBUSY)", configuration=here)
    actions.remove_fault(name, configuration=here)
    with pytest.raises(NoSuchRule):
        actions.remove_fault(name, configuration=here)


def test_a_rule_that_is_wrong_fails_the_activity_with_the_reason(here: dict[str, Any]) -> None:
    with pytest.raises(RuleRefused, match="EBUSI"):
        actions.add_fault("mount.umount: error(EBUSI)", configuration=here)


def test_reset_takes_every_rule_out(here: dict[str, Any]) -> None:
    actions.add_fault("mount.umount: error(EBUSY)", configuration=here)
    actions.reset(configuration=here)
    with FaultClient(here["csisim_control"]) as faults:
        assert faults.rules() == []


def test_calls_go_on_when_their_barrier_is_released(
    here: dict[str, Any], volumes: Any, in_background: Callable[..., Any]
) -> None:
    actions.add_fault("rpc.DeleteVolume.before: 1*hang(gate)", configuration=here)
    with in_background(volumes.code_of_delete, "pvc-none") as code:
        while probes.calls_waiting("gate", configuration=here) == 0:
            assert not code.done()
        assert probes.calls_waiting("another", configuration=here) == 0
        assert actions.release_barrier("gate", configuration=here) == 1
        assert code.result(timeout=10) == "OK"


def test_the_nas_is_cut_off_and_found_again(here: dict[str, Any], volumes: Any) -> None:
    volumes.create("pvc-before")
    assert actions.disconnect_nas(configuration=here) == 1
    assert volumes.create("pvc-after") == "pvc-after"


def test_a_crash_comes_back_when_the_process_serves_again(here: dict[str, Any], volumes: Any) -> None:
    volumes.create("pvc-crash")
    actions.crash("nas", configuration=here)
    assert volumes.create("pvc-crash") == "pvc-crash"


def test_what_cannot_crash_is_refused(here: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="node-9"):
        actions.crash("node", node="node-9", configuration=here)
