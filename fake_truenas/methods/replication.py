"""replication.run_onetime: copies snapshots to another dataset of the same NAS (TrueNAS API 25.10).

Tasks that are stored and run by themselves are not there.
"""

import asyncio
from typing import Any

from fake_truenas import replication_ops
from fake_truenas.context import Ctx
from fake_truenas.jobs import JobRun
from fake_truenas.registry import Job, Namespace
from fake_truenas.replication_params import RUN_ONETIME, check, whole_name
from fake_truenas.replication_plan import Selection, make_plan
from fake_truenas.schema import Field
from fake_truenas.snapshot_tasks import SNAPSHOT_TASKS

replication = Namespace("replication")
namespaces = (replication,)


@replication.method(
    "run_onetime",
    Field("replication_run_onetime", RUN_ONETIME),
    job=Job(lock=lambda data: f"replication.run_onetime:{data['target_dataset']}"),
)
async def run_onetime(ctx: Ctx, job: JobRun, data: dict[str, Any]) -> None:
    """Send the snapshots that match and are not there yet; each arrives in a transaction of its own.

    A run that fails, or is cut off, leaves the snapshots that have arrived; the next one goes on from there.

    Raises:
        ValidationErrors: parameters that do not fit together.
        CallError: a source is missing, nothing matches, a target is in the way, or the space does not suffice.
    """
    tasks = SNAPSHOT_TASKS.by_id(ctx.db, data["periodic_snapshot_tasks"])
    check(data, tasks)
    schemas = [tasks[one]["naming_schema"] for one in data["periodic_snapshot_tasks"]]
    schemas += [*data["naming_schema"], *data["also_include_naming_schema"]]
    regex = None if data["name_regex"] is None else whole_name(data["name_regex"])
    chosen = Selection(tuple(dict.fromkeys(schemas)), regex)
    with ctx.transaction():
        steps = make_plan(ctx, data, chosen)
    total = sum(len(step.snapshots) for step in steps)
    sent = 0
    for step in steps:
        base = step.base
        for short in step.snapshots:
            job.progress(100 * sent / total, f"Sending {sent + 1} of {total}: {step.source}@{short}")
            await asyncio.sleep(0)  # others get their turn, and a job that is cancelled ends here
            with ctx.transaction():
                replication_ops.receive(ctx, data, step, short, base)
            base, sent = short, sent + 1
    with ctx.transaction():
        replication_ops.finish(ctx, data, steps, chosen)
