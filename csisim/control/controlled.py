"""What the control server needs of the thing that it controls: a driver with its NAS, or a proxy."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from csisim.events import History
from csisim.faults.plane import FaultPlane


class Controlled(Protocol):
    """A running driver or proxy."""

    @property
    def plane(self) -> FaultPlane:
        """The rules in force."""

    @property
    def history(self) -> History:
        """What happened."""

    @property
    def driver_name(self) -> str:
        """As in the CSIDriver object; "" where it is not known."""

    @property
    def endpoints(self) -> Sequence[str]:
        """Where CSI is served."""

    @property
    def links(self) -> Mapping[str, str]:
        """The connections that rules for `link.up` and `link.down` are for: name and address of the far end."""

    async def crash(self, what: str, node_id: str, down_s: float) -> None:
        """End a process and start it again; comes back when it serves.

        Raises:
            ValueError: there is no such process here.
        """

    async def leftovers(self) -> list[str]:
        """Everything of volumes that the NAS and the nodes have: `dataset tank/csi/pvc-1`, `node-1: mount /x`.

        Raises:
            ValueError: nothing is known about that here.
            NasError: the NAS could not be asked.
        """

    def disconnect_nas(self) -> int:
        """Reset every connection to the NAS now; gives how many there were.

        Raises:
            ValueError: there are no such connections here.
        """
