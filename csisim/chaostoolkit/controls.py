"""A control: the journal of an experiment gets the seed and the faults that happened while it ran.

    "controls": [{"name": "csisim", "provider": {"type": "python", "module": "csisim.chaostoolkit.controls"}}]

The journal then has

    "csisim": {"version": "...", "driver": "...", "seed": 7, "fired": {"busy": 2}, "firings": [...]}

where `fired` counts by rule, and `firings` are in order, as in the history.
"""

from collections import Counter
from typing import Any

from csisim.chaostoolkit.connection import client
from csisim.chaostoolkit.probes import all_events

Values = dict[str, Any]

_began: dict[str, int] = {}
"""The newest event at the start of the experiment, by URL; the toolkit runs one experiment at a time."""


def before_experiment_control(
    context: Values,  # noqa: ARG001 - the toolkit passes it
    configuration: Values | None = None,
    secrets: Values | None = None,
) -> None:
    """Remember where the history is."""
    with client(configuration, secrets) as faults:
        _began[faults.url] = faults.status().last_seq


def after_experiment_control(
    context: Values,  # noqa: ARG001 - the toolkit passes it
    state: Values,
    configuration: Values | None = None,
    secrets: Values | None = None,
) -> None:
    """Add to the journal, which is `state` here."""
    with client(configuration, secrets) as faults:
        status = faults.status()
        events = all_events(faults, "fault", since=_began.pop(faults.url, 0))
    firings = [event["value"] for event in events]
    state["csisim"] = {
        "version": status.version,
        "driver": status.driver,
        "seed": status.seed,
        "fired": dict(Counter(firing["rule"] for firing in firings)),
        "firings": firings,
    }
