"""system.*: what the box is and which version it runs (TrueNAS API 25.10)."""

import hashlib
from typing import Any

from fake_truenas.context import Ctx
from fake_truenas.registry import Namespace

system = Namespace("system")
namespaces = (system,)

_HOSTNAME = "truenas"
_PRODUCT = "fake_truenas"
_BUILD_TIME_S = 1_760_000_000
_MEMORY_BYTES = 16 << 30
_CORES = 4


def _date(epoch_s: float) -> dict[str, int]:
    return {"$date": int(epoch_s * 1000)}


def _uptime_text(seconds: float) -> str:
    days, rest = divmod(int(seconds), 86400)
    clock = f"{rest // 3600}:{rest % 3600 // 60:02}:{rest % 60:02}"
    if not days:
        return clock
    return f"{days} day{'s' * (days != 1)}, {clock}"


@system.method("version")
def version(ctx: Ctx) -> str:
    """The full version, such as "TrueNAS-25.10.5"; 24.10 and earlier call themselves SCALE."""
    return ctx.nas.persona.version_text


@system.method("version_short")
def version_short(ctx: Ctx) -> str:
    """The number alone."""
    return ctx.nas.persona.version


@system.method("product_type")
def product_type(ctx: Ctx) -> str:
    """The edition, which 24.10 and earlier call SCALE."""
    return "COMMUNITY_EDITION" if ctx.nas.persona.at_least("25.04") else "SCALE"


@system.method("hostname")
def hostname(ctx: Ctx) -> str:  # noqa: ARG001 - every handler gets its context
    """The host name."""
    return _HOSTNAME


@system.method("host_id")
def host_id(ctx: Ctx) -> str:
    """Identifies the machine, over restarts too."""
    guid = ctx.db.value("select guid from pool order by id limit 1")
    return hashlib.sha256(f"host {guid}".encode()).hexdigest()


@system.method("boot_id", public=True)
def boot_id(ctx: Ctx) -> str:
    """A uuid that changes when the NAS starts anew."""
    return ctx.nas.boot_id


@system.method("ready", public=True)
def ready(ctx: Ctx) -> bool:  # noqa: ARG001 - a NAS that answers is ready
    """Whether it has booted."""
    return True


@system.method("state", public=True)
def state(ctx: Ctx) -> str:  # noqa: ARG001 - as above
    """BOOTING, READY or SHUTTING_DOWN."""
    return "READY"


@system.method("build_time", public=True)
def build_time(ctx: Ctx) -> dict[str, int]:  # noqa: ARG001 - every handler gets its context
    """When the version was built."""
    return _date(_BUILD_TIME_S)


@system.method("info")
def info(ctx: Ctx) -> dict[str, Any]:
    """Basic facts about the system."""
    now, started = ctx.now(), ctx.nas.started_at
    uptime_s = max(0.0, now - started)
    return {
        "version": version(ctx),
        "buildtime": _date(_BUILD_TIME_S),
        "hostname": _HOSTNAME,
        "physmem": _MEMORY_BYTES,
        "model": _PRODUCT,
        "cores": _CORES,
        "physical_cores": _CORES,
        "loadavg": [0.0, 0.0, 0.0],
        "uptime": _uptime_text(uptime_s),
        "uptime_seconds": uptime_s,
        "system_serial": None,
        "system_product": _PRODUCT,
        "system_product_version": None,
        "license": None,
        "boottime": _date(started),
        "datetime": _date(now),
        "timezone": "UTC",
        "system_manufacturer": None,
        "ecc_memory": False,
    }
