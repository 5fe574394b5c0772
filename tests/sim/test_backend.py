"""The servers in memory: what a host's calls end with."""

import errno

from csisim.sim.backend import MemoryBackend, Superblock, unit_key
from tests.sim.errnos import failing

GIB = 1 << 30
ADDRESS = {"portal": "nas:3260", "iqn": "iqn.x", "lun": "0"}


async def fails(number: int, call) -> None:
    with failing(number):
        await call


async def test_what_is_not_there_is_told_with_the_errno_of_its_layer() -> None:
    backend = MemoryBackend()
    await fails(errno.ENOENT, backend.check_export("nas:/x", "nfs"))
    await fails(errno.ESTALE, backend.fs_stats("nas:/x"))
    await fails(errno.ENOENT, backend.login("iscsi", ADDRESS))
    await fails(errno.ENODEV, backend.capacity_bytes("zvol"))
    await fails(errno.ENODEV, backend.superblock("zvol"))
    await fails(errno.ENODEV, backend.write_superblock("zvol", Superblock("ext4", "id", GIB)))


async def test_an_outage_ends_every_call() -> None:
    backend = MemoryBackend()
    backend.export("nas:/x", GIB)
    backend.offer("iscsi", ADDRESS, "zvol", GIB)
    backend.outage = errno.EHOSTUNREACH
    await fails(errno.EHOSTUNREACH, backend.check_export("nas:/x", "nfs"))
    await fails(errno.EHOSTUNREACH, backend.login("iscsi", ADDRESS))
    await fails(errno.EHOSTUNREACH, backend.superblock("zvol"))
    backend.outage = None
    await backend.check_export("nas:/x", "nfs")
    assert (await backend.login("iscsi", ADDRESS)).size_bytes == GIB


async def test_a_clone_has_a_copy_of_the_file_system() -> None:
    backend = MemoryBackend()
    backend.offer("iscsi", ADDRESS, "zvol", GIB)
    backend.clone("zvol", "blank")
    await backend.write_superblock("zvol", Superblock("xfs", "id", GIB))
    backend.clone("zvol", "copy")
    assert await backend.superblock("blank") is None
    assert await backend.superblock("copy") == Superblock("xfs", "id", GIB)


def test_the_key_of_a_unit_has_no_credentials_in_it() -> None:
    assert unit_key("iscsi", ADDRESS | {"password": "x"}) == ("iscsi", "nas:3260", "iqn.x", "0")
