"""Secrets: in calls, and nowhere else."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import structlog

from csisim import logs
from csisim.call_log import CallLog
from csisim.co.volume_requests import PREFIX, SECRETS
from csisim.runs.script import Script
from csisim.scenarios.expect import expect
from csisim.scenarios.scenario import EXPECTATION, Scenario
from csisim.scenarios.wrong_messages import shows_requests

_CANARY: Final = "correct-horse-battery-staple"
_LARGER_BYTES: Final = 2 << 30
_FAULTS: Final = (
    "rpc.*.before: 3*error(INVALID_ARGUMENT)",
    "rpc.*.after: 3*error(UNAVAILABLE)",
    "device.connect: 1*error(EACCES)",
    "mount.mount: 1*error(EIO)",
)
_REFERENCES: Final = "".join(
    f"  {PREFIX}{use}-secret-name: chap\n  {PREFIX}{use}-secret-namespace: default\n" for use in SECRETS
)
_CLASS: Final = f"""
apiVersion: v1
kind: Secret
metadata: {{name: chap}}
stringData: {{node.session.auth.username: csi, node.session.auth.password: {_CANARY}}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {{name: guarded}}
provisioner: csi.csisim.dev
allowVolumeExpansion: true
parameters:
  protocol: iscsi
{_REFERENCES}"""


@contextmanager
def _overheard() -> Iterator[io.StringIO]:
    """All that this process logs meanwhile, at the verbosity that tells most."""
    root = logging.getLogger()
    before, handlers, level, disabled = structlog.get_config(), root.handlers[:], root.level, root.manager.disable
    heard = io.StringIO()
    # A clock of its own: nothing in a simulation looks at the wall.
    logs.configure(verbosity=logs.PAYLOAD_VERBOSITY, stream=heard, clock=lambda: datetime.fromtimestamp(0, UTC))
    logging.disable(logging.NOTSET)
    try:
        yield heard
    finally:
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.disable(disabled)


async def _kept_secret(cluster: Script, _variant: str) -> None:
    cluster.co.apply(_CLASS)
    cluster.faults.add("\n".join(_FAULTS))
    with _overheard() as heard:
        cluster.co.create_claim("data", storage_class="guarded")
        cluster.co.create_pod("web", "data")
        await cluster.settled()
        cluster.co.expand("data", _LARGER_BYTES)
        await cluster.settled()
        shown = [*cluster.co.volume_of("data").volume_attributes.values()]
        await cluster.teardown()
    shown += [event.message for event in cluster.co.describe()]
    shown += [each.message for each in cluster.co.calls.attempts]
    logged = heard.getvalue()
    expect(logs.GRPC_CALL in logged and "NodeStageVolume" in logged, "every call is in the log")
    expect(_CANARY not in logged, "no secret is in the log")
    expect(_CANARY not in "\n".join(shown), "no secret is in an error, an event or a volume's context")


SCENARIOS: Final = (
    Scenario(
        name="X01",
        title="A secret in a call that fails",
        story=(
            "Every call comes with secrets, and calls fail in many ways, with all that there is to log. A driver that"
            " puts the request that failed into its message tells everybody who can read events."
        ),
        faults=_FAULTS,
        expectation="No secret is in what the driver logs and answers, in events, or in the history.",
        invariants=("I15",),
        source=(
            "democratic-csi/democratic-csi#515; kubernetes-sigs/gcp-compute-persistent-disk-csi-driver#1372;"
            " ceph/ceph-csi#134; kubernetes-csi/external-provisioner#600"
        ),
        body=_kept_secret,
        settings={"observers": (CallLog(payloads=True),)},
        wrong=shows_requests,
        wrong_idea="Whoever has to find out why a call failed needs to see the call.",
        caught_by=("I15", EXPECTATION),
    ),
)
