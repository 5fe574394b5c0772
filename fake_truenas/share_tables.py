"""The tables of shares and block targets, in one place because their rules look into each other's."""

from fake_truenas.documents import Documents

NFS_SHARES = Documents("nfs_share", {"path": str})

# `name_key` is the name as it is compared; entries do not show it.
SMB_SHARES = Documents("smb_share", {"path": str, "name": str, "name_key": str})

ISCSI_PORTALS = Documents("iscsi_portal", {"tag": int})
ISCSI_INITIATORS = Documents("iscsi_initiator")
ISCSI_AUTHS = Documents("iscsi_auth", {"tag": int})
ISCSI_TARGETS = Documents("iscsi_target", {"name": str, "alias": str, "rel_tgt_id": int})
ISCSI_EXTENTS = Documents("iscsi_extent", {"name": str, "path": str, "disk": str, "serial": str})
ISCSI_TARGET_EXTENTS = Documents(
    "iscsi_target_extent", {"target": int, "extent": int, "lunid": int}, (("target", "lunid"), ("extent",))
)

NVMET_SUBSYSTEMS = Documents("nvmet_subsys", {"name": str, "subnqn": str})
NVMET_NAMESPACES = Documents(
    "nvmet_namespace", {"subsys_id": int, "device_path": str, "nsid": int}, (("subsys_id", "nsid"), ("device_path",))
)
NVMET_PORTS = Documents("nvmet_port", {"index": int, "addr_traddr": str})
NVMET_PORT_SUBSYSTEMS = Documents(
    "nvmet_port_subsys", {"port_id": int, "subsys_id": int}, (("subsys_id", "port_id"), ("port_id", "subsys_id"))
)
NVMET_HOSTS = Documents("nvmet_host", {"hostnqn": str})
NVMET_HOST_SUBSYSTEMS = Documents(
    "nvmet_host_subsys", {"host_id": int, "subsys_id": int}, (("subsys_id", "host_id"), ("host_id", "subsys_id"))
)
