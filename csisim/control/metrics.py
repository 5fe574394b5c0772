"""Figures for Prometheus, counted from the history; a registry of its own for each control server.

csi_plugin_operations_seconds is what the CSI sidecars' own library calls this histogram, with its labels and buckets.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from csisim.control.controlled import Controlled
from csisim.control.stream import Streams
from csisim.events import Event
from csisim.pb import csi_pb2

_BUCKETS_S: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600)
_MOST_RUNNING: Final = 100_000
_MOST_RULES: Final = 1000
_FULL_NAMES: Final = {
    method.name: f"/{service.full_name}/{method.name}"
    for service in csi_pb2.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


class Metrics:
    """Counts until it is closed.

    Args:
        controlled: what is counted.
        streams: the readers of events.
    """

    def __init__(self, controlled: Controlled, streams: Streams) -> None:
        self._controlled = controlled
        self._sites = controlled.plane.catalogue.sites
        self._driver = controlled.driver_name
        self._began: dict[str, float] = {}
        self._rules: dict[str, None] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._calls = Histogram(
            "csi_plugin_operations_seconds", "CSI calls served, by method and status code",
            ("driver_name", "method_name", "grpc_status_code"), buckets=_BUCKETS_S, registry=self._registry,
        )  # fmt: skip
        self._nas = Counter(
            "csisim_nas_calls", "Calls that the NAS has ended, by method and outcome", ("method", "outcome"),
            registry=self._registry,
        )  # fmt: skip
        self._faults = Counter(
            "csisim_faults", "Faults that have happened, by site and rule", ("site", "rule"), registry=self._registry
        )
        self._registry.register(_Now(controlled, streams))
        self.close = controlled.history.listen(self._count)

    def text(self) -> bytes:
        """In the text format of Prometheus."""
        return generate_latest(self._registry)

    def _count(self, event: Event) -> None:
        if event.kind == "rpc":
            self._count_call(event)
        elif event.kind == "nas" and event.type != "invoke":
            # The methods that clients make up are one.
            method = event.f if f"nas.{event.f}.request" in self._sites else "other"
            self._nas.labels(method, event.type).inc()
        elif event.kind == "fault":
            rule = str(event.value.get("rule", "")) if isinstance(event.value, Mapping) else ""
            if rule not in self._rules:
                if len(self._rules) >= _MOST_RULES:
                    rule = "other"
                self._rules[rule] = None
            self._faults.labels(event.f, rule).inc()

    def _count_call(self, event: Event) -> None:
        if event.type == "invoke":
            if len(self._began) < _MOST_RUNNING:
                self._began[event.call] = event.at_s
            return
        began = self._began.pop(event.call, None)
        if began is None:
            return
        code = "OK"
        if event.type != "ok":
            code = str(event.value.get("code", "UNKNOWN")) if isinstance(event.value, Mapping) else "UNKNOWN"
        self._calls.labels(self._driver, _FULL_NAMES.get(event.f, "other"), code).observe(event.at_s - began)


class _Now(Collector):
    """What is read off at the moment of asking."""

    def __init__(self, controlled: Controlled, streams: Streams) -> None:
        self._controlled = controlled
        self._streams = streams

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        plane = self._controlled.plane
        waiting = GaugeMetricFamily("csisim_barrier_waiting", "Calls that hang at a barrier", labels=["barrier"])
        for name, calls in plane.barriers.waiting().items():
            waiting.add_metric([name], calls)
        yield waiting
        passed = CounterMetricFamily("csisim_site_passed", "How often a site was passed", labels=["site"])
        for site, count in plane.passed.items():
            if count and site in plane.catalogue.sites:
                passed.add_metric([site], count)
        yield passed
        yield GaugeMetricFamily("csisim_rules", "Rules in force", value=len(plane.rules))
        yield GaugeMetricFamily("csisim_event_streams", "Readers of the event stream", value=self._streams.open)
        yield CounterMetricFamily("csisim_events", "Events of the history", value=self._controlled.history.last_seq)
