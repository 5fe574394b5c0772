"""Rows of the mount table."""

import pytest

from csisim.host import MountPoint


@pytest.mark.parametrize(("options", "readonly"), [(("ro", "noatime"), True), (("rw",), False), ((), False)])
def test_a_mount_refuses_writes_by_its_own_options(options: tuple[str, ...], readonly: bool) -> None:
    assert MountPoint("/a", "nas:/a", "nfs", options).readonly is readonly
