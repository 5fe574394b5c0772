"""M-INTERNAL: whatever the NAS answers with, or does not answer at all, is an internal error."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from csisim.driver.controller import ControllerService
from csisim.driver.grpc_types import Context
from csisim.errors import Internal, NasError
from csisim.mutants.mutant import Mutant

_MUTATIONS = (
    "CreateVolume",
    "DeleteVolume",
    "ControllerPublishVolume",
    "ControllerUnpublishVolume",
    "ControllerExpandVolume",
    "CreateSnapshot",
    "DeleteSnapshot",
)


def _wrapped(serve: Callable[[Any, Context], Awaitable[Any]]) -> Callable[[Any, Context], Awaitable[Any]]:
    async def served(request: Any, context: Context) -> Any:
        try:
            return await serve(request, context)
        except NasError as error:
            raise Internal(f"failed: {error}") from error

    return served


class Controller(ControllerService):
    """Has one code for all that goes wrong below."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return _wrapped(found) if name in _MUTATIONS else found


MUTANT = Mutant(
    name="M-INTERNAL",
    origin="tns-csi and truenas-scale-csi: a CreateSnapshot that is repeated ends with INTERNAL, every time",
    idea="What goes wrong inside is an internal error.",
    oracle=("I8",),
    seed=38,
    change=lambda parts: replace(parts, controller=Controller),
)
