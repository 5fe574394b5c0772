"""Parameters of replication.run_onetime and the rules between them (TrueNAS API 25.10)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fake_truenas import zfs
from fake_truenas.cron import CRON, SCHEDULE
from fake_truenas.documents import Problems
from fake_truenas.errors import ValidationErrors
from fake_truenas.naming_schema import NAMING_SCHEMA
from fake_truenas.patterns import Pattern
from fake_truenas.schema import SECRET, Bool, Enum, Field, Int, List, Map, Nullable, Obj, Str

_TEXT = Str(min_length=1)
_UNIT = Enum("HOUR", "DAY", "WEEK", "MONTH", "YEAR")
_PORT = Nullable(Int(1, 65535))
_NETCAT = (
    "netcat_active_side_listen_address", "netcat_active_side_port_min", "netcat_active_side_port_max",
    "netcat_passive_side_connect_address",
)  # fmt: skip

RUN_ONETIME: Final = Obj(
    Field("direction", Enum("PUSH", "PULL")),
    Field("transport", Enum("SSH", "SSH+NETCAT", "LOCAL")),
    Field("ssh_credentials", Nullable(Int()), default=None),
    Field("netcat_active_side", Nullable(Enum("LOCAL", "REMOTE")), default=None),
    Field("netcat_active_side_listen_address", Nullable(Str()), default=None),
    Field("netcat_active_side_port_min", _PORT, default=None),
    Field("netcat_active_side_port_max", _PORT, default=None),
    Field("netcat_passive_side_connect_address", Nullable(Str()), default=None),
    Field("sudo", Bool(), default=False),
    Field("source_datasets", List(Str(), min_length=1)),
    Field("target_dataset", Str()),
    Field("recursive", Bool()),
    Field("exclude", List(Str()), default=()),
    Field("properties", Bool(), default=True),
    Field("properties_exclude", List(_TEXT), default=()),
    Field("properties_override", Map(Str()), default={}),
    Field("replicate", Bool(), default=False),
    Field("encryption", Bool(), default=False),
    Field("encryption_inherit", Nullable(Bool()), default=None),
    Field("encryption_key", Nullable(SECRET), default=None),
    Field("encryption_key_format", Nullable(Enum("HEX", "PASSPHRASE")), default=None),
    Field("encryption_key_location", Nullable(Str()), default=None),
    Field("periodic_snapshot_tasks", List(Int()), default=()),
    Field("naming_schema", List(NAMING_SCHEMA), default=()),
    Field("also_include_naming_schema", List(NAMING_SCHEMA), default=()),
    Field("name_regex", Nullable(_TEXT), default=None),
    Field("restrict_schedule", Nullable(SCHEDULE), default=None),
    Field("allow_from_scratch", Bool(), default=False),
    Field("readonly", Enum("SET", "REQUIRE", "IGNORE"), default="SET"),
    Field("hold_pending_snapshots", Bool(), default=False),
    Field("retention_policy", Enum("SOURCE", "CUSTOM", "NONE")),
    Field("lifetime_value", Nullable(Int(1)), default=None),
    Field("lifetime_unit", Nullable(_UNIT), default=None),
    Field(
        "lifetimes",
        List(Obj(Field("schedule", Obj(*CRON)), Field("lifetime_value", Int(1)), Field("lifetime_unit", _UNIT))),
        default=(),
    ),
    Field("compression", Nullable(Enum("LZ4", "PIGZ", "PLZIP")), default=None),
    Field("speed_limit", Nullable(Int(1)), default=None),
    Field("large_block", Bool(), default=True),
    Field("embed", Bool(), default=False),
    Field("compressed", Bool(), default=True),
    Field("retries", Int(1), default=5),
    Field("logging_level", Nullable(Enum("DEBUG", "INFO", "WARNING", "ERROR")), default=None),
    Field("exclude_mountpoint_property", Bool(), default=True),
    Field("only_from_scratch", Bool(), default=False),
    Field("mount", Bool(), default=True),
)

Data = Mapping[str, Any]


def whole_name(regex: str) -> Pattern:
    """What `name_regex` means: it matches whole short names.

    Raises:
        ValidationErrors: it is not a regular expression.
    """
    return Pattern(f"({regex})$")


def check(data: Data, tasks: Mapping[int, Data]) -> None:
    """Refuse what does not fit together.

    Args:
        data: validated by RUN_ONETIME.
        tasks: the periodic snapshot tasks that exist, of those asked for.

    Raises:
        ValidationErrors: with everything that was wrong.
    """
    problems = Problems("replication_run_onetime")
    bound = [tasks[one] for one in data["periodic_snapshot_tasks"] if one in tasks]
    if data["direction"] == "PUSH":
        _check_push(problems, data, tasks, bound)
    else:
        _check_pull(problems, data)
    _check_transport(problems, data)
    _check_sources(problems, data, bound)
    if data["replicate"]:
        _check_replicate(problems, data, bound)
    if data["encryption"]:
        if not data["encryption_inherit"]:
            for key in ("encryption_key", "encryption_key_format", "encryption_key_location"):
                if data[key] is None:
                    problems.add(key, "This property is required when remote dataset encryption is enabled")
        problems.add("encryption", "Encrypted datasets are not offered by this server")
    if data["name_regex"] is not None:
        _check_regex(problems, data, bound)
    _check_retention(problems, data)
    for index, task in enumerate(bound):
        if not task["enabled"]:
            text = "You can't bind disabled periodic snapshot task to enabled replication task"
            problems.add(f"periodic_snapshot_tasks.{index}", text)
    problems.check()


def _check_push(problems: Problems, data: Data, tasks: Mapping[int, Data], bound: Sequence[Data]) -> None:
    for index, task_id in enumerate(data["periodic_snapshot_tasks"]):
        if task_id not in tasks:
            problems.add(f"periodic_snapshot_tasks.{index}", "This snapshot task does not exist")
    if data["naming_schema"]:
        problems.add("naming_schema", "This field has no sense for push replication")
    if not bound and not data["also_include_naming_schema"] and not data["name_regex"]:
        problems.add(
            "periodic_snapshot_tasks",
            'You must at least either bind a periodic snapshot task or provide "Also Include Naming Schema" or'
            ' "Name Regex" for push replication task',
        )


def _check_pull(problems: Problems, data: Data) -> None:
    if data["periodic_snapshot_tasks"]:
        problems.add("periodic_snapshot_tasks", "Pull replication can't be bound to a periodic snapshot task")
    if not data["naming_schema"] and not data["name_regex"]:
        problems.add("naming_schema", "Naming schema or Name regex are required for pull replication")
    if data["also_include_naming_schema"]:
        problems.add("also_include_naming_schema", "This field has no sense for pull replication")
    if data["hold_pending_snapshots"]:
        text = "Pull replication tasks can't hold pending snapshots because they don't do source retention"
        problems.add("hold_pending_snapshots", text)


def _check_transport(problems: Problems, data: Data) -> None:
    if data["transport"] == "SSH+NETCAT":
        low, high = data["netcat_active_side_port_min"], data["netcat_active_side_port_max"]
        if data["netcat_active_side"] is None:
            problems.add("netcat_active_side", "You must choose active side for SSH+netcat replication")
        if low is not None and high is not None and low > high:
            text = "Please specify value greater than or equal to netcat_active_side_port_min"
            problems.add("netcat_active_side_port_max", text)
    else:
        for key in ("netcat_active_side", *_NETCAT):
            if data[key] is not None:
                problems.add(key, "This field only has sense for SSH+netcat replication")
    if data["transport"] == "LOCAL":
        words = {
            "ssh_credentials": "Remote credentials have",
            "compression": "Compression has",
            "speed_limit": "Speed limit has",
        }
        for key, subject in words.items():
            if data[key] is not None:
                problems.add(key, f"{subject} no sense for local replication")
    elif data["ssh_credentials"] is None:
        problems.add("ssh_credentials", "SSH Credentials are required for non-local replication")
    else:  # this server keeps none
        problems.add("ssh_credentials", f"Credential {data['ssh_credentials']} does not exist")


def _check_sources(problems: Problems, data: Data, bound: Sequence[Data]) -> None:
    sources, excluded = data["source_datasets"], data["exclude"]
    for index, source in enumerate(sources):
        for task in bound:
            if not zfs.is_at_or_under(source, task["dataset"]):
                continue
            for one in task["exclude"]:
                if data["recursive"] and zfs.is_at_or_under(one, source) and one not in excluded:
                    text = (
                        f"You should exclude {one!r} as bound periodic snapshot task dataset {task['dataset']!r} does"
                    )
                    problems.add("exclude", text)
            if not data["recursive"] and source in task["exclude"]:
                text = f"Dataset {source!r} is excluded by bound periodic snapshot task for dataset {task['dataset']!r}"
                problems.add(f"source_datasets.{index}", text)
    if excluded and not data["recursive"]:
        problems.add("exclude", "Excluding child datasets is only supported for recursive replication")
    for index, one in enumerate(excluded):
        if not any(one.startswith(f"{source}/") for source in sources):
            problems.add(f"exclude.{index}", "This dataset is not a child of any of source datasets")


def _check_replicate(problems: Problems, data: Data, bound: Sequence[Data]) -> None:
    sources = data["source_datasets"]
    if not data["recursive"]:
        problems.add("recursive", "This option is required for full filesystem replication")
    if data["exclude"]:
        problems.add("exclude", "This option is not supported for full filesystem replication")
    if not data["properties"]:
        problems.add("properties", "This option is required for full filesystem replication")
    if data["retention_policy"] != "SOURCE":
        text = "Only `Same as Source` retention policy can be used for full filesystem replication"
        problems.add("retention_policy", text)
    for index, source in enumerate(sources):
        for other in sources:
            if source != other and zfs.is_at_or_under(source, other):
                text = "Replication task that replicates the entire filesystem can't replicate both"
                problems.add(f"source_datasets.{index}", f"{text} {other!r} and its child {source!r}")
    for index, task in enumerate(bound):
        if not task["recursive"] or not any(zfs.is_at_or_under(source, task["dataset"]) for source in sources):
            text = (
                "Replication tasks that replicate the entire filesystem can only use periodic snapshot tasks that take"
                " recursive snapshots of the dataset being replicated (or its ancestor)"
            )
            problems.add(f"periodic_snapshot_tasks.{index}", text)


def _check_regex(problems: Problems, data: Data, bound: Sequence[Data]) -> None:
    try:
        whole_name(data["name_regex"])
    except ValidationErrors as error:
        problems.add("name_regex", f"Invalid regex: {error.items[0].text}")
    if bound:
        problems.add("name_regex", "Naming regex can't be used with periodic snapshot tasks")
    if data["naming_schema"] or data["also_include_naming_schema"]:
        problems.add("name_regex", "Naming regex can't be used with Naming schema")
    if data["retention_policy"] == "CUSTOM":
        text = "Only `Same as Source` and `None` retention policies can be used with Naming regex"
        problems.add("retention_policy", text)


def _check_retention(problems: Problems, data: Data) -> None:
    if data["retention_policy"] == "CUSTOM":
        for key in ("lifetime_value", "lifetime_unit"):
            if data[key] is None:  # the real server too names lifetime_value for both
                problems.add("lifetime_value", "This field is required for custom retention policy")
        return
    for key in ("lifetime_value", "lifetime_unit", "lifetimes"):
        if data[key]:
            problems.add(key, "This field has no sense for specified retention policy")
