"""What replication.run_onetime refuses before anything is sent."""

from typing import Any

import pytest

from fake_truenas.errors import ValidationErrors
from fake_truenas.replication_params import RUN_ONETIME, check, whole_name
from fake_truenas.schema import Problem

TASK = {"id": 3, "dataset": "tank/a", "recursive": True, "exclude": ["tank/a/tmp"], "enabled": True}


def data(**more: Any) -> Any:
    given = {
        "direction": "PUSH", "transport": "LOCAL", "source_datasets": ["tank/a"], "target_dataset": "tank/t",
        "recursive": False, "retention_policy": "NONE", "name_regex": "s", **more,
    }  # fmt: skip
    problems: list[Problem] = []
    made = RUN_ONETIME.compile()(given, problems)
    assert problems == []
    return made


def refused(tasks: Any = None, **more: Any) -> dict[str, str]:
    with pytest.raises(ValidationErrors) as caught:
        check(data(**more), tasks or {})
    return {str(item.attribute).removeprefix("replication_run_onetime."): item.text for item in caught.value.items}


def test_what_drivers_send_is_accepted() -> None:
    check(data(), {})
    check(data(name_regex=None, also_include_naming_schema=["s-%Y%m%d%H%M"], recursive=True, exclude=["tank/a/b"]), {})
    check(data(direction="PULL", name_regex=None, naming_schema=["s-%Y%m%d%H%M"]), {})


@pytest.mark.parametrize("name", ["name", "auto", "schedule", "only_matching_schedule", "enabled", "state"])
def test_members_of_stored_tasks_are_unknown_here(name: str) -> None:
    problems: list[Problem] = []
    RUN_ONETIME.compile()({name: None}, problems)
    assert (name, "Extra inputs are not permitted") in problems


def test_what_is_required_is_named() -> None:
    problems: list[Problem] = []
    RUN_ONETIME.compile()({"source_datasets": []}, problems)
    assert [path for path, _ in problems] == [
        "source_datasets", "direction", "transport", "target_dataset", "recursive", "retention_policy",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "attribute", "text"),
    [
        ({"name_regex": None}, "periodic_snapshot_tasks", "You must at least either bind a periodic snapshot task"),
        ({"naming_schema": ["%Y%m%d%H%M"]}, "naming_schema", "This field has no sense for push replication"),
        ({"periodic_snapshot_tasks": [9]}, "periodic_snapshot_tasks.0", "This snapshot task does not exist"),
        ({"direction": "PULL", "name_regex": None}, "naming_schema", "Naming schema or Name regex are required"),
        ({"direction": "PULL", "also_include_naming_schema": ["%Y%m%d%H%M"]}, "also_include_naming_schema", "This field has no sense"),
        ({"direction": "PULL", "hold_pending_snapshots": True}, "hold_pending_snapshots", "Pull replication tasks can't hold"),
        ({"direction": "PULL", "periodic_snapshot_tasks": [3]}, "periodic_snapshot_tasks", "Pull replication can't be bound"),
        ({"netcat_active_side": "LOCAL"}, "netcat_active_side", "This field only has sense for SSH+netcat"),
        ({"ssh_credentials": 1}, "ssh_credentials", "Remote credentials have no sense for local replication"),
        ({"compression": "LZ4"}, "compression", "Compression has no sense for local replication"),
        ({"speed_limit": 5}, "speed_limit", "Speed limit has no sense for local replication"),
        ({"transport": "SSH"}, "ssh_credentials", "SSH Credentials are required for non-local replication"),
        ({"transport": "SSH", "ssh_credentials": 4}, "ssh_credentials", "Credential 4 does not exist"),
        ({"transport": "SSH+NETCAT"}, "netcat_active_side", "You must choose active side"),
        ({"transport": "SSH+NETCAT", "netcat_active_side_port_min": 9, "netcat_active_side_port_max": 8},
         "netcat_active_side_port_max", "Please specify value greater"),
        ({"exclude": ["tank/a/b"]}, "exclude", "Excluding child datasets is only supported for recursive replication"),
        ({"exclude": ["tank/b"], "recursive": True}, "exclude.0", "This dataset is not a child of any of source datasets"),
        ({"replicate": True}, "recursive", "This option is required for full filesystem replication"),
        ({"replicate": True, "properties": False}, "properties", "This option is required"),
        ({"replicate": True, "exclude": ["tank/a/b"]}, "exclude", "This option is not supported"),
        ({"replicate": True, "recursive": True}, "retention_policy", "Only `Same as Source` retention policy"),
        ({"replicate": True, "source_datasets": ["tank/a", "tank/a/b"]}, "source_datasets.1", "Replication task that replicates"),
        ({"encryption": True}, "encryption_key", "This property is required when remote dataset encryption is enabled"),
        ({"encryption": True, "encryption_inherit": True}, "encryption", "Encrypted datasets are not offered"),
        ({"name_regex": "("}, "name_regex", "Invalid regex: "),
        ({"also_include_naming_schema": ["%Y%m%d%H%M"]}, "name_regex", "Naming regex can't be used with Naming schema"),
        ({"retention_policy": "CUSTOM"}, "lifetime_value", "This field is required for custom retention policy"),
        ({"retention_policy": "CUSTOM"}, "retention_policy", "Only `Same as Source` and `None`"),
        ({"lifetime_unit": "DAY"}, "lifetime_unit", "This field has no sense for specified retention policy"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(more: dict[str, Any], attribute: str, text: str) -> None:
    assert refused(**more)[attribute].startswith(text)


@pytest.mark.parametrize(
    ("task", "more", "attribute", "text"),
    [
        ({"enabled": False}, {}, "periodic_snapshot_tasks.0", "You can't bind disabled"),
        ({}, {"name_regex": "s"}, "name_regex", "Naming regex can't be used with periodic snapshot tasks"),
        ({}, {"recursive": True}, "exclude", "You should exclude 'tank/a/tmp'"),
        ({}, {"source_datasets": ["tank/a/tmp"]}, "source_datasets.0", "Dataset 'tank/a/tmp' is excluded by bound"),
        ({"recursive": False}, {"replicate": True}, "periodic_snapshot_tasks.0", "Replication tasks that replicate the entire"),
    ],
)  # fmt: skip
def test_bound_snapshot_tasks_have_to_fit(task: Any, more: Any, attribute: str, text: str) -> None:
    found = refused({3: {**TASK, **task}}, **{"periodic_snapshot_tasks": [3], "name_regex": None, **more})
    assert found[attribute].startswith(text)


def test_a_regular_expression_is_for_the_whole_name() -> None:
    assert [whole_name("a|b").matches(name) for name in ("a", "b", "ab", "xb")] == [True, True, False, False]
