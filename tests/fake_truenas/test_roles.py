"""What roles include, and what methods and events ask for."""

import pytest

from fake_truenas.methods import default_registry
from fake_truenas.persona import TRAINS, persona
from fake_truenas.roles import ROLES, expand, may_call, may_subscribe, needed


def test_roles_include_others_all_the_way() -> None:
    assert expand(["DATASET_WRITE"]) == {"DATASET_WRITE", "DATASET_READ"}
    sharing = expand(["SHARING_ADMIN"])
    assert {"SHARING_ADMIN", "READONLY_ADMIN", "SHARING_ISCSI_EXTENT_WRITE", "POOL_SCRUB_READ"} <= sharing
    assert not {"DATASET_DELETE", "SNAPSHOT_WRITE", "POOL_WRITE", "API_KEY_WRITE", "FULL_ADMIN"} & sharing
    assert expand(["FULL_ADMIN"]) == set(ROLES)
    assert expand([]) == frozenset()
    with pytest.raises(ValueError, match="role 'dataset_read' does not exist"):
        expand(["DATASET_READ", "dataset_read"])


def test_readonly_reads_everything_and_changes_nothing() -> None:
    reads = expand(["READONLY_ADMIN"])
    assert all(name == "READONLY_ADMIN" or name.endswith("_READ") for name in reads)
    assert reads > {name for name in ROLES if name.endswith("_READ")}


def test_every_role_that_is_asked_for_exists_and_only_the_fakes_own_methods_need_all() -> None:
    for train in TRAINS:
        for name, method in default_registry().serving(persona(train)).methods.items():
            wanted = needed(name)
            if wanted is None:
                assert method.public or name.startswith("fake."), name
            else:
                assert set(wanted) <= set(ROLES), name


@pytest.mark.parametrize(
    ("method", "roles"),
    [
        ("pool.query", ("POOL_READ",)),
        ("pool.dataset.query", ("DATASET_READ",)),
        ("pool.dataset.create", ("DATASET_WRITE",)),
        ("pool.dataset.delete", ("DATASET_DELETE",)),
        ("pool.dataset.promote", ("DATASET_WRITE",)),
        ("pool.snapshot.get_instance", ("SNAPSHOT_READ",)),
        ("pool.snapshot.clone", ("SNAPSHOT_WRITE",)),
        ("zfs.snapshot.delete", ("SNAPSHOT_DELETE",)),
        ("zfs.resource.query", ("ZFS_RESOURCE_READ",)),
        ("pool.snapshottask.run", ("SNAPSHOT_TASK_WRITE",)),
        ("replication.run_onetime", ("REPLICATION_TASK_WRITE",)),
        ("sharing.nfs.create", ("SHARING_NFS_WRITE",)),
        ("nfs.config", ("SHARING_NFS_READ",)),
        ("sharing.smb.getacl", ("SHARING_SMB_READ",)),
        ("iscsi.targetextent.delete", ("SHARING_ISCSI_TARGETEXTENT_WRITE",)),
        ("iscsi.portal.listen_ip_choices", ("SHARING_ISCSI_PORTAL_READ",)),
        ("nvmet.port_subsys.create", ("SHARING_NVME_TARGET_WRITE",)),
        ("filesystem.stat", ("FILESYSTEM_ATTRS_READ",)),
        ("filesystem.setacl", ("FILESYSTEM_ATTRS_WRITE",)),
        ("auth.sessions", ("AUTH_SESSIONS_READ",)),
        ("auth.terminate_session", ("AUTH_SESSIONS_WRITE",)),
        ("auth.me", ()),
        ("core.bulk", ()),
        ("fake.block.write", None),
        ("no.such", None),
    ],
)
def test_what_methods_ask_for(method: str, roles: tuple[str, ...] | None) -> None:
    assert needed(method) == roles


def test_one_of_several_roles_is_enough_and_none_are_needed_for_ones_own() -> None:
    assert may_call(expand(["SHARING_NFS_WRITE"]), "service.reload")
    assert not may_call(expand(["SHARING_NFS_READ"]), "service.reload")
    assert may_call(frozenset(), "auth.logout")
    assert not may_call(frozenset(), "pool.query")
    assert not may_call(expand(["SHARING_ADMIN"]), "fake.block.read")
    assert may_call(expand(["FULL_ADMIN"]), "fake.block.read")


@pytest.mark.parametrize(
    ("role", "event", "allowed"),
    [
        ("DATASET_READ", "pool.dataset.query", True),
        ("SNAPSHOT_READ", "pool.dataset.query", False),
        ("SNAPSHOT_READ", "core.get_jobs", True),
        ("AUTH_SESSIONS_READ", "auth.sessions", False),
        ("FULL_ADMIN", "auth.sessions", True),
        ("REPORTING_READ", 'reporting.realtime:{"interval": 2}', True),
        ("DATASET_READ", "reporting.realtime", False),
        ("READONLY_ADMIN", "*", False),
        ("FULL_ADMIN", "*", True),
    ],
)
def test_events_are_for_those_who_may_ask(role: str, event: str, allowed: bool) -> None:
    assert may_subscribe(expand([role]), event) is allowed
