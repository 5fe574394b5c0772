"""Faults for the Chaos Toolkit: actions, probes, and a control that notes seed and firings in the journal.

An experiment names them as python providers, by module and function; see examples/chaostoolkit. Which control server
they talk to is `csisim_control` in the experiment's configuration, else CSISIM_CONTROL; the token is
`csisim_control_token` in its secrets, else CSISIM_CONTROL_TOKEN.
"""

import importlib
from typing import Any

from csisim import __version__

_MODULES = ("actions", "probes")


def discover(discover_system: bool = True) -> dict[str, Any]:
    """What the extension offers, for `chaos discover csisim`.

    Args:
        discover_system: also tell about the system, if its control server answers.
    """
    # The toolkit is an extra: the actions and probes themselves do without it.
    toolkit = importlib.import_module("chaoslib.discovery.discover")

    found: dict[str, Any] = toolkit.initialize_discovery_result("csisim", __version__, "csi")
    for module in _MODULES:
        name = f"{__name__}.{module}"
        list_them = toolkit.discover_actions if module == "actions" else toolkit.discover_probes
        found["activities"].extend(list_them(name))
    found["system"] = _system() if discover_system else None
    return found


def _system() -> dict[str, Any] | None:
    from dataclasses import asdict  # noqa: PLC0415

    from csisim.control.client import FaultClient, Unreachable  # noqa: PLC0415

    try:
        with FaultClient() as client:
            return asdict(client.status())
    except Unreachable:
        return None
