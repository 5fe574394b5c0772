"""Which control server an experiment means."""

from collections.abc import Mapping
from typing import Any, Final

from csisim.control.client import FaultClient

URL: Final = "csisim_control"
"""Key of the experiment's configuration."""
TOKEN: Final = "csisim_control_token"  # noqa: S105 - the name of a key
"""Key of the experiment's secrets, in any group."""

Values = Mapping[str, Any] | None


def client(configuration: Values = None, secrets: Values = None) -> FaultClient:
    """A client of the server that the experiment names, else of the one that the environment names.

    Args:
        configuration: of the experiment, resolved.
        secrets: as an activity gets them, or all groups of them as a control does.

    Raises:
        Unreachable: neither names one.
    """
    url = (configuration or {}).get(URL)
    return FaultClient(url or None, _token(secrets or {}))


def _token(secrets: Mapping[str, Any]) -> str | None:
    groups = [secrets, *(group for group in secrets.values() if isinstance(group, Mapping))]
    return next((str(group[TOKEN]) for group in groups if group.get(TOKEN)), None)
