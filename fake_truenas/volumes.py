"""What shares point at: device names of zvols (`zvol/tank/v`) and paths of file systems (`/mnt/tank/fs`)."""

from fake_truenas.context import Ctx

_DEVICE = "zvol/"
_MOUNT_ROOT = "/mnt/"


def device_path(name: str) -> str:
    """The device of a zvol or of a zvol's snapshot; spaces are written as plus signs, as udev does."""
    return _DEVICE + name.replace(" ", "+")


def device_dataset(device: str) -> str:
    """The zvol or snapshot behind a device name that starts with `zvol/`."""
    return device.removeprefix(_DEVICE).replace("+", " ")


def device_exists(ctx: Ctx, name: str) -> bool:
    """Whether there is a zvol, or a snapshot of one, of this name."""
    dataset, at, _ = name.partition("@")
    if at and ctx.db.one("select 1 from snapshot where name = ?", (name,)) is None:
        return False
    return bool(ctx.db.value("select type from dataset where name = ?", (dataset,)) == "VOLUME")


def mountpoint(name: str) -> str:
    """Where a file system is mounted."""
    return _MOUNT_ROOT + name


def pool_problem(ctx: Ctx, path: str) -> str | None:
    """Why a path, which need not exist, cannot be shared, or None: it is not below a pool's mount point."""
    pool = path.removeprefix(_MOUNT_ROOT).split("/", 1)[0]
    if not path.startswith(_MOUNT_ROOT) or ctx.db.one("select 1 from pool where name = ?", (pool,)) is None:
        return "The path must reside within a pool mount point"
    return None
