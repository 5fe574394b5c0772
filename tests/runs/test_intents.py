"""The orchestrator's workload: what users want is possible, and comes true also when parts crash."""

from csisim.runs.plan import RunPlan
from csisim.runs.run import run_plan

MANIFEST = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: csi.csisim.dev
parameters: {protocol: nvmeof}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec:
  storageClassName: fast
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers: [{name: web, image: web, volumeMounts: [{name: data, mountPath: /data}]}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
"""


def test_users_get_what_they_want_and_it_goes_again():
    wanted: set[str] = set()
    for seed in range(1, 4):
        result = run_plan(RunPlan(seed=seed, workload="co", operations=12), keep_events=True)
        assert result.report.verdict == "ok", (seed, result.report.violations)
        wanted |= {
            f"{event.f} {str(event.value['object']).split()[0]}"  # type: ignore[index]
            for event in result.events
            if (event.kind, event.type) == ("intent", "ok")
        }
    assert wanted == {
        f"{wish} {kind}"
        for wish in ("present", "absent")
        for kind in ("PersistentVolumeClaim", "Pod", "VolumeSnapshot")
    }


def test_manifests_are_brought_about_under_faults_and_crashes():
    result = run_plan(RunPlan(seed=1, workload="co", manifests=(MANIFEST,)), keep_events=True)
    assert result.report.verdict == "ok", result.report.violations
    reached = {event.value["object"] for event in result.events if (event.kind, event.type) == ("intent", "ok")}  # type: ignore[index]
    assert reached == {"PersistentVolumeClaim default/data", "Pod default/web"}
    assert [event for event in result.events if (event.kind, event.f) == ("data", "write")]
