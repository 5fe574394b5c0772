"""Whole runs: equal plans give equal runs, and whatever becomes of a run is a verdict."""

import asyncio
import gc
import json
import pickle
from dataclasses import replace

import pytest

from csisim.cluster.embedded_nas import NasProcess
from csisim.runs.clients import Client
from csisim.runs.pace import HURRIED, PATIENT
from csisim.runs.plan import RunPlan
from csisim.runs.replay import parse_token
from csisim.runs.run import node_ids, rules_of, run_plan, settings_of
from csisim.runs.testbed import Testbed

PLAN = RunPlan(seed=3, strategy="walk", faults=("none",))
KEYS = {
    "seed", "strategy", "verdict", "invariants", "violations", "trace_hash", "steps", "virtual_s", "replay",
    "looked_at", "unknown", "plan", "faults", "faults_fired", "calls", "real",
}  # fmt: skip


def test_a_run_is_ok_and_its_report_is_plain_data():
    result = run_plan(PLAN, keep_events=True)
    report = result.report.to_json()
    assert report["verdict"] == "ok", report["violations"]
    assert set(report) == KEYS
    assert json.loads(json.dumps(report)) == report
    assert {f"I{number}" for number in range(1, 19)} <= set(report["invariants"])
    assert {"linearizability", "cost", "races", "termination"} <= set(report["invariants"])
    assert (report["seed"], report["strategy"], report["faults"], report["faults_fired"]) == (3, "walk", [], 0)
    assert report["calls"] == len([event for event in result.events if (event.kind, event.type) == ("call", "invoke")])
    phases = [event.value["phase"] for event in result.events if (event.kind, event.f) == ("world", "phase")]
    assert phases == ["safety", "heal", "liveness", "end"]
    assert pickle.loads(pickle.dumps(result)) == result  # noqa: S301 - our own


def test_the_same_plan_gives_the_same_run_and_another_seed_another():
    first, again, other = (run_plan(plan) for plan in (PLAN, PLAN, replace(PLAN, seed=4)))
    assert first == again
    assert first.report.trace_hash != other.report.trace_hash
    token = parse_token(first.report.replay.removeprefix("csisim replay "))
    assert (token.plan, token.trace_hash, token.verdict) == (PLAN, first.report.trace_hash, "ok")


def test_many_runs_in_a_row_do_not_fill_the_memory():
    def objects_after(runs: int) -> int:
        for _ in range(runs):
            run_plan(replace(PLAN, clients=1, operations=1))
        return len(gc.get_objects())

    one = objects_after(2)
    assert objects_after(5) < one + 1000


def test_the_schedule_on_a_tape_is_the_run_without_its_strategy():
    drawn = run_plan(replace(PLAN, faults=("all",), seed=21))
    assert '"picks":[[' in drawn.tape
    again = run_plan(replace(PLAN, faults=("all",), seed=21, strategy="fifo", tape=drawn.tape))
    assert again.report.trace_hash == drawn.report.trace_hash
    assert again.report.strategy == "tape"


def test_an_orchestrator_brings_about_what_users_want():
    result = run_plan(replace(PLAN, workload="co", operations=8), keep_events=True)
    assert result.report.verdict == "ok", result.report.violations
    assert {"Pod", "PersistentVolumeClaim"} <= {
        event.value["object"].split()[0] for event in result.events if (event.kind, event.type) == ("intent", "ok")
    }


def test_on_real_sockets_it_is_the_same_but_for_the_trace():
    report = run_plan(replace(PLAN, real=True)).report.to_json()
    assert report["verdict"] == "ok", report["violations"]
    assert set(report) == KEYS
    assert (report["trace_hash"], report["steps"], report["real"]) == ("", 0, True)


def test_a_patient_run_on_real_sockets_waits_as_a_simulated_one_does():
    patient = RunPlan(seed=3, clients=1, operations=2, real=True, patient=True)
    assert rules_of(patient) == rules_of(replace(patient, real=False, patient=False))
    assert rules_of(patient) != rules_of(replace(patient, patient=False))
    assert [Testbed(settings_of(plan, ())).pace for plan in (patient, replace(patient, patient=False))] == [
        PATIENT, HURRIED,
    ]  # fmt: skip


def test_the_seed_draws_the_faults_or_the_plan_gives_them():
    drawn = {seed: rules_of(RunPlan(seed=seed)) for seed in range(20)}
    assert len(set(drawn.values())) > 10
    given = RunPlan(seed=1, faults=("mount.umount: #1 error(EBUSY)",))
    assert rules_of(given) == given.faults
    assert node_ids(RunPlan(seed=1, nodes=3)) == ("node-1", "node-2", "node-3")


@pytest.mark.parametrize("rule", ["mount.umount error", "mount.umont: error(EBUSY)", "mount.umount: error(ABORTED)"])
def test_a_rule_that_cannot_be_is_refused_before_anything_runs(rule):
    with pytest.raises(ValueError, match="umo"):
        run_plan(RunPlan(seed=1, faults=(rule,)))


async def raises(_client: Client, _operations: int) -> None:
    raise ZeroDivisionError("a slip")


async def waits(_client: Client, _operations: int) -> None:
    await asyncio.get_running_loop().create_future()


async def spins(_client: Client, _operations: int) -> None:
    while True:
        await asyncio.sleep(0)


async def leaves(_client: Client, _operations: int) -> None:
    async def goes_on() -> None:
        while True:
            await asyncio.sleep(1)

    asyncio.get_running_loop().__dict__.setdefault("kept", []).append(asyncio.create_task(goes_on(), name="left over"))


async def dies_unseen(_client: Client, _operations: int) -> None:
    async def dies() -> None:
        raise ZeroDivisionError("nobody looks")

    asyncio.create_task(dies())  # noqa: RUF006 - that is the point
    await asyncio.sleep(1)


@pytest.mark.parametrize(
    ("what", "said", "detail"),
    [
        (raises, "error of the program: ", "test_run.py:"),
        (waits, "the phase safety has not ended within", "waits for a future that nobody completes"),
        (spins, "livelock: ", "client-1"),
        (leaves, "3 tasks were left behind: left over", ""),
    ],
)
def test_whatever_becomes_of_the_program_is_a_verdict(what, said, detail, monkeypatch):
    monkeypatch.setattr(Client, "run", what)
    report = run_plan(PLAN).report
    assert (report.verdict, report.invariants["termination"]) == ("violation", "violation")
    violation = next(each for each in report.violations if each.check == "termination")
    assert said in violation.summary
    assert detail in violation.detail
    assert "/work" not in violation.detail


def test_a_start_that_fails_is_a_verdict_too(monkeypatch):
    async def start(_nas: NasProcess) -> None:
        raise OSError(98, "Address already in use")

    monkeypatch.setattr(NasProcess, "start", start)
    (violation,) = run_plan(PLAN).report.violations
    assert violation.summary == "error of the program: OSError: [Errno 98] Address already in use"


def test_a_task_that_dies_unseen_is_an_event(monkeypatch):
    monkeypatch.setattr(Client, "run", dies_unseen)
    events = run_plan(PLAN, keep_events=True).events
    errors = [event.value["error"] for event in events if (event.kind, event.f) == ("world", "error")]
    assert errors == ["ZeroDivisionError: nobody looks"] * 3
