"""How long Kubernetes waits for what: the defaults of its components, which a run may scale as a whole."""

from dataclasses import dataclass, fields, replace
from typing import Self

from csisim.co.callers import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds, but for `calls`. The defaults are those of Kubernetes 1.34 and its sidecars.

    Attributes:
        calls: factor on the time-outs of calls, which belong to the callers' roles.
        retry_s: a sidecar's pause after the first failure; doubles with each (--retry-interval-start).
        retry_max_s: the longest (--retry-interval-max).
        node_retry_s: kubelet's pause after the first failure; doubles with each (nestedpendingoperations).
        node_retry_max_s: the longest.
        unmount_wait_s: after this long a volume is detached from a node that is not ready (maxWaitForUnmountDuration).
        not_ready_s: a node whose kubelet is silent this long is not ready (--node-monitor-grace-period).
        eviction_s: pods stay this long on a node that is not ready (tolerationSeconds of the default tolerations).
        stats_s: how often kubelet asks for the usage of each volume.
        relist_s: how often the attacher compares ListVolumes with its attachments (--reconcile-sync).
        io_s: how often a pod writes and reads; not of Kubernetes.
    """

    calls: float = 1.0
    retry_s: float = 1.0
    retry_max_s: float = 300.0
    node_retry_s: float = 0.5
    node_retry_max_s: float = 122.0
    unmount_wait_s: float = 360.0
    not_ready_s: float = 40.0
    eviction_s: float = 300.0
    stats_s: float = 60.0
    relist_s: float = 60.0
    io_s: float = 10.0

    def scaled(self, factor: float) -> Self:
        """Everything this many times as long."""
        return replace(self, **{each.name: getattr(self, each.name) * factor for each in fields(self)})

    def role(self, role: Role) -> Role:
        """A caller with its time-out scaled."""
        return role if self.calls == 1.0 else replace(role, timeout_s=role.timeout_s * self.calls)
