"""What shares or exports a dataset: at its name, below it, and not beside it."""

from fake_truenas import Nas
from fake_truenas.context import Ctx
from fake_truenas.dataset_attachments import attachments, extents, nfs_shares, nvme_namespaces, smb_shares
from tests.fake_truenas.rpc import GIB


def made(nas: Nas, *names: str) -> None:
    for name in names:
        nas.call_direct("pool.dataset.create", {"name": name})


def test_everything_at_a_dataset_and_below_it_is_found_and_nothing_beside_it(nas: Nas) -> None:
    call = nas.call_direct
    made(nas, "tank/a", "tank/a/b", "tank/ab")
    for name in ("a", "a/b", "ab"):
        call("sharing.nfs.create", {"path": f"/mnt/tank/{name}"})
        call("sharing.smb.create", {"path": f"/mnt/tank/{name}", "name": name.replace("/", "_")})
    subsys = call("nvmet.subsys.create", {"name": "s"})
    for name in ("a/v", "a/b/v", "ab/v"):
        for zvol in (f"tank/{name}", f"tank/{name}2"):
            call("pool.dataset.create", {"name": zvol, "type": "VOLUME", "volsize": GIB, "sparse": True})
        call("iscsi.extent.create", {"name": name.replace("/", "_"), "disk": f"zvol/tank/{name}"})
        data = {"subsys_id": subsys["id"], "device_type": "ZVOL", "device_path": f"zvol/tank/{name}2"}
        call("nvmet.namespace.create", data)
    ctx = Ctx(nas)
    assert [one["path"] for one in nfs_shares(ctx, "tank/a")] == ["/mnt/tank/a", "/mnt/tank/a/b"]
    assert [one["name"] for one in smb_shares(ctx, "tank/a")] == ["a", "a_b"]
    assert [one["name"] for one in extents(ctx, "tank/a")] == ["a_v", "a_b_v"]
    assert [one["path"] for one in extents(ctx, "tank/a/v")] == ["zvol/tank/a/v"]
    assert [one["device_path"] for one in nvme_namespaces(ctx, "tank/a/b")] == ["zvol/tank/a/b/v2"]
    assert [(one["service"], len(one["attachments"])) for one in attachments(ctx, "tank/a")] == [
        ("nfs", 2), ("cifs", 2), ("iscsitarget", 2), ("nvmet", 2),
    ]  # fmt: skip
    assert attachments(ctx, "tank/none") == []


def test_what_is_disabled_is_found_but_is_no_attachment(nas: Nas) -> None:
    made(nas, "tank/a")
    nas.call_direct("sharing.nfs.create", {"path": "/mnt/tank/a", "enabled": False})
    ctx = Ctx(nas)
    assert (len(nfs_shares(ctx, "tank/a")), attachments(ctx, "tank/a")) == (1, [])
