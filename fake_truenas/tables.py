"""The tables of pools, datasets and snapshots. Sizes are bytes, times seconds since the epoch.

`dataset`: `referenced` is what the dataset shows, `head` what it would free, `uniq` what neither a snapshot nor an
origin shares, `snaps` what only snapshots hold, `child` what the children charge. `local` is a JSON object of the
inheritable native properties set here.

`dataset_property` holds the user properties in force, inherited ones too, each with the dataset that set it: so that
looking for a value is one index lookup. `snapshot_property` holds a snapshot's own ones. `dataset_quota` holds what
users and groups may store in a file system, by kind (USER, USEROBJ, GROUP, GROUPOBJ) and id.
"""

from fake_truenas.zfs import INTERNAL_MARKS

INTERNAL_SQL = "(" + " or ".join(f"instr(name, '{mark}') > 0" for mark in INTERNAL_MARKS) + ")"
"""Condition for datasets that queries hide; the index on it is empty where there are none."""

TABLES = f"""
create table pool (
    id integer primary key,
    name text not null unique,
    guid text not null,
    size_bytes integer not null,
    allocated integer not null default 0,
    txg integer not null
);

create table dataset (
    pk integer primary key,
    name text not null unique,
    parent integer references dataset (pk),
    pool integer not null references pool (id),
    pool_name text not null,
    type text not null,
    guid text not null,
    createtxg integer not null,
    created_at integer not null,
    volsize integer not null default 0,
    volblocksize integer not null default 0,
    quota integer not null default 0,
    refquota integer not null default 0,
    reservation integer not null default 0,
    refreservation integer not null default 0,
    referenced integer not null default 0,
    head integer not null default 0,
    uniq integer not null default 0,
    snaps integer not null default 0,
    child integer not null default 0,
    origin integer references snapshot (pk) deferrable initially deferred,
    local text not null default '{{}}'
);
create index dataset_parent on dataset (parent, name);
create index dataset_origin on dataset (origin) where origin is not null;
create index dataset_internal on dataset (name) where {INTERNAL_SQL};

create table dataset_property (
    dataset integer not null references dataset (pk) on delete cascade,
    key text not null,
    value text not null,
    source integer not null,
    primary key (dataset, key)
) without rowid;
create index dataset_property_value on dataset_property (key, value, dataset);

create table dataset_quota (
    dataset integer not null references dataset (pk) on delete cascade,
    kind text not null,
    owner integer not null,
    value integer not null,
    primary key (dataset, kind, owner)
) without rowid;

create table snapshot (
    pk integer primary key,
    name text not null unique,
    dataset integer not null references dataset (pk),
    dataset_name text not null,
    short text not null,
    pool_name text not null,
    guid text not null,
    createtxg integer not null,
    created_at integer not null,
    referenced integer not null,
    uniq integer not null default 0,
    written integer not null default 0,
    volsize integer not null default 0,
    volblocksize integer not null default 0,
    deferred integer not null default 0
);
create index snapshot_dataset on snapshot (dataset, createtxg);
create index snapshot_dataset_name on snapshot (dataset_name, name);
create index snapshot_short on snapshot (short, name);

create table snapshot_property (
    snapshot integer not null references snapshot (pk) on delete cascade,
    key text not null,
    value text not null,
    primary key (snapshot, key)
) without rowid;
create index snapshot_property_value on snapshot_property (key, value, snapshot);

create table snapshot_hold (
    snapshot integer not null references snapshot (pk) on delete cascade,
    tag text not null,
    held_at integer not null,
    primary key (snapshot, tag)
) without rowid;
"""
