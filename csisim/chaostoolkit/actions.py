"""Actions: what breaks a running csisim, and what heals it.

All of them fail the activity, with the server's reason, if they are refused; `csisim.control.client` says with what.
"""

from typing import Any

from csisim.chaostoolkit.connection import client

__all__ = ["add_fault", "crash", "disconnect_nas", "release_barrier", "remove_fault", "reset"]

Values = dict[str, Any]


def add_fault(rule: str, name: str = "", configuration: Values | None = None, secrets: Values | None = None) -> str:
    """Put a fault rule into force, such as `mount.umount{vol=pvc-7*}: 2*error(EBUSY)`; gives its name.

    Args:
        rule: in csisim's rule language.
        name: to remove or count it by; one is made up without.
        configuration: of the experiment.
        secrets: of the experiment.
    """
    with client(configuration, secrets) as faults:
        return faults.add(rule, name=name).name


def remove_fault(name: str, configuration: Values | None = None, secrets: Values | None = None) -> None:
    """Take a rule out; calls that hung on it go on."""
    with client(configuration, secrets) as faults:
        faults.remove(name)


def reset(configuration: Values | None = None, secrets: Values | None = None) -> None:
    """Take all rules out, release every barrier and heal every connection: the rollback of every experiment."""
    with client(configuration, secrets) as faults:
        faults.reset()


def release_barrier(barrier: str, configuration: Values | None = None, secrets: Values | None = None) -> int:
    """Let the calls that hang at a barrier go on; gives how many there were."""
    with client(configuration, secrets) as faults:
        return faults.release(barrier)


def disconnect_nas(configuration: Values | None = None, secrets: Values | None = None) -> int:
    """Reset every connection between driver and NAS; gives how many there were."""
    with client(configuration, secrets) as faults:
        return faults.disconnect_nas()


def crash(
    what: str = "driver",
    node: str = "",
    down_s: float = 0.0,
    configuration: Values | None = None,
    secrets: Values | None = None,
) -> None:
    """End a process as kill -9 does, and start it again on its durable state; comes back when it serves.

    Args:
        what: driver, nas, node, or reboot: a node whose machine loses its mounts too.
        node: id of the node; the first one by default.
        down_s: seconds that it stays away.
        configuration: of the experiment.
        secrets: of the experiment.
    """
    with client(configuration, secrets) as faults:
        faults.crash(what, node=node, down_s=down_s)
