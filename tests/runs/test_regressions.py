"""Runs that once found something wrong in the driver, kept with what was wrong. Each rule strikes, and nothing breaks."""

import pytest

from csisim.runs.plan import RunPlan
from csisim.runs.run import run_plan

REGRESSIONS = {
    # The clone was made, the look at it was never sent, and "exists" of the second clone became FAILED_PRECONDITION:
    # to the provisioner the volume was not there.
    "a copy that was made is not made again": RunPlan(
        seed=5, workload="co", operations=10, volumes=3, protocols=("nfs",),
        faults=("process.nas: #14 crash(nas, 7736ms)",),
    ),
    # A full quota became FAILED_PRECONDITION, which the resizer takes for "not while it is in use": it never came back.
    "a full quota is no precondition": RunPlan(
        seed=22, workload="co", operations=15, volumes=1, protocols=("iscsi",),
        faults=("nas.pool.dataset.update.request: #2 exhaust(quota)",),
    ),
    # A stage was cut short, and its repeat refused for good: what both had done stayed, and nobody would unstage it.
    "a repeat that is refused leaves nothing of the first attempt": RunPlan(
        seed=3, workload="co", operations=5, volumes=1, protocols=("iscsi",),
        faults=("device.format_of.after: #1 error(EIO)", "file.write.after: #3 error(ENOSPC)"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("plan", REGRESSIONS.values(), ids=REGRESSIONS.keys())
def test_what_was_wrong_is_right(plan):
    report = run_plan(plan).report
    assert report.faults_fired
    assert report.verdict == "ok", report.violations
