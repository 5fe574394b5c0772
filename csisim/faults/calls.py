"""Which CSI call the running code belongs to, so that a mount operation knows its volume and phase."""

from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from csisim.faults.matching import RuleState

PHASE_OF: Final = {
    "CreateVolume": "create",
    "CreateSnapshot": "create",
    "CreateVolumeGroupSnapshot": "create",
    "ControllerPublishVolume": "publish",
    "NodePublishVolume": "publish",
    "NodeStageVolume": "stage",
    "NodeUnstageVolume": "unstage",
    "NodeUnpublishVolume": "unpublish",
    "ControllerUnpublishVolume": "unpublish",
    "DeleteVolume": "delete",
    "DeleteSnapshot": "delete",
    "DeleteVolumeGroupSnapshot": "delete",
}
"""What of a volume's life a method belongs to; all others are "use"."""


@dataclass(frozen=True, slots=True)
class CallInfo:
    """One served CSI call.

    Attributes:
        call_id: its own.
        method: short name, such as CreateVolume.
        vol, snap, node, client: what it is about, where it runs and who calls; "" if that is not known.
        own: rules that the call brought along, for itself alone.
    """

    call_id: str
    method: str
    vol: str = ""
    snap: str = ""
    node: str = ""
    client: str = ""
    own: tuple["RuleState", ...] = ()

    @property
    def phase(self) -> str:
        """See PHASE_OF."""
        return PHASE_OF.get(self.method, "use")


_current: ContextVar[CallInfo | None] = ContextVar("csisim_call", default=None)


def current_call() -> CallInfo | None:
    """The call that the running code belongs to."""
    return _current.get()


class serving:  # noqa: N801 - used as a function; a generator would cost each call several times as much
    """The code inside belongs to this call, tasks that it starts too."""

    __slots__ = ("_call", "_token")

    def __init__(self, call: CallInfo) -> None:
        self._call = call
        self._token: Token[CallInfo | None]

    def __enter__(self) -> None:
        self._token = _current.set(self._call)

    def __exit__(self, *_error: object) -> None:
        _current.reset(self._token)
