"""The one connection to the NAS: cut, silent, logged out, and full."""

import pytest

SECRETS = ("provisioner", "controller-publish", "controller-expand", "node-stage", "node-publish", "node-expand")
CANARY = "correct-horse-battery-staple"


async def test_a_connection_that_ends_in_several_ways_at_once_answers_each_call_once(cluster):
    """The connection to the NAS is cut from both ends while calls are out, and the driver closes it too.

    Each call must have one answer, whoever comes first; a second close of the same channel used to crash the driver.

    W01; review BUG-001, GizmoTickler/truenas-scale-csi@56ab5a1
    """
    for end in ("disconnect(rst)", "disconnect(fin)", "disconnect(1011)"):
        name = end[11:-1]
        cut = cluster.faults.add(f"link.up: +3 1*{end}\nlink.down: +2 1*{end}\nfin.down: 2*drop")
        for number in range(4):
            cluster.co.create_claim(f"data-{name}-{number}")
        await cluster.fired(cut, 2)
        await cluster.driver.crash(down_s=2 * cluster.times)
        cut.remove()
    await cluster.settled()
    await cluster.teardown()
    await cluster.check()


async def test_everybody_who_waits_for_the_nas_waits_for_one_connection(cluster):
    """The NAS goes away with many calls out, and comes back.

    If each call that sees the loss connects for itself, the NAS is flooded with logins, slows them down, and never
    recovers; here they share one connection, and attempts are few.

    W02; GizmoTickler/truenas-scale-csi@de1aeda, truenas/webui#12458
    """
    cluster.co.create_claim("first")
    await cluster.settled()
    before, tried = logins(cluster), cluster.faults.passed("connect.nas")
    crash = cluster.faults.add(f"nas.pool.dataset.create.apply: #4 crash(nas, {cluster.times}s)")
    for number in range(12):
        cluster.co.create_claim(f"data-{number}")
    await cluster.fired(crash)
    await cluster.settled()
    assert logins(cluster) == before + 1
    assert cluster.faults.passed("connect.nas") - tried <= 6
    await cluster.teardown()
    await cluster.check()


async def test_a_session_that_the_nas_has_forgotten_is_logged_in_again_once(cluster):
    """The middleware forgets its sessions; the socket stays up, and pings are answered.

    Every call is refused as not authenticated until somebody restarts the driver, unless that logs in again; for a
    burst of calls once is enough.

    W03; fenio/tns-csi#193, #216
    """
    cluster.co.create_claim("data")
    await cluster.settled()
    before = logins(cluster)
    await cluster.nas.call("auth.terminate_other_sessions")
    for number in range(6):
        cluster.co.create_claim(f"data-{number}")
    await cluster.settled()
    await cluster.teardown()
    assert logins(cluster) == before + 1
    await cluster.check()


def logins(cluster):
    """How often somebody has logged in to the NAS."""
    return sum(event.f.startswith("auth.login") and event.type == "ok" for event in cluster.history.since())


@pytest.mark.csisim(mode="sim")
async def test_a_connection_on_which_nothing_comes_back_is_given_up(cluster):
    """A half-open link: what the driver sends leaves, and nothing comes back, without any error.

    Calls must not wait behind it for ever: the silence is noticed, and the calls go out on a new connection.

    Simulated: the driver looks for silence every 20 s.

    W05; GizmoTickler/truenas-scale-csi@de1aeda, sodazone/ocelloids-services#151
    """
    cluster.co.create_claim("first")
    await cluster.settled()
    half = cluster.faults.add("link.down: 1*disconnect(half)")
    cluster.co.create_claim("data")
    await cluster.fired(half)
    await cluster.settled()
    assert cluster.faults.plane.rules
    assert len(cluster.attempts("CreateVolume", "OK")) == 2
    await cluster.teardown()
    await cluster.check()


async def test_a_burst_of_claims_stays_within_what_the_nas_takes(cluster):
    """More claims come at once than the NAS takes calls on one socket: it refuses the twenty-first.

    None is refused, because the driver holds back what is too much.

    W06; truenas/middleware SoftHardSemaphore(10, 20), GizmoTickler/truenas-scale-csi@235946e
    """
    for number in range(30):
        cluster.co.create_claim(f"data-{number}")
    await cluster.settled()
    assert {each.code.name for each in cluster.attempts("CreateVolume")} <= {"OK", "DEADLINE_EXCEEDED", "ABORTED"}
    await cluster.teardown()
    await cluster.check()


async def test_secrets_are_in_no_log_error_or_event(cluster, capsys, caplog):
    """Every call comes with secrets, and calls fail in many ways.

    None of them is in what the driver logs, in what it answers, in the events that users see, or in the history.

    X01; democratic-csi/democratic-csi#515, kubernetes-sigs/gcp-compute-persistent-disk-csi-driver#1372,
    ceph/ceph-csi#134
    """
    references = "".join(
        f"  csi.storage.k8s.io/{use}-secret-name: chap\n  csi.storage.k8s.io/{use}-secret-namespace: default\n"
        for use in SECRETS
    )
    cluster.co.apply(f"""
apiVersion: v1
kind: Secret
metadata: {{name: chap}}
stringData: {{node.session.auth.username: csi, node.session.auth.password: {CANARY}}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {{name: guarded}}
provisioner: csi.csisim.dev
allowVolumeExpansion: true
parameters:
  protocol: iscsi
{references}""")
    cluster.faults.add("rpc.*.before: 3*error(INVALID_ARGUMENT)\nrpc.*.after: 3*error(UNAVAILABLE)")
    cluster.faults.add("device.connect: 1*error(EACCES)\nmount.mount: 1*error(EIO)")
    cluster.co.create_claim("data", storage_class="guarded")
    cluster.co.create_pod("web", "data")
    await cluster.settled()
    cluster.co.expand("data", 2 << 30)
    await cluster.settled()
    told = [event.message for event in cluster.co.describe()]
    told += [each.message for each in cluster.co.calls.attempts]
    told += [*capsys.readouterr(), caplog.text]
    assert CANARY not in "\n".join(told)
    await cluster.teardown()
    await cluster.check()
