"""Names of snapshots from the clock, and the clock from names."""

from datetime import UTC, datetime

import pytest

from fake_truenas.naming_schema import DEFAULT, NAMING_SCHEMA, parse, problem, snapshot_name

AT = datetime(2023, 11, 14, 22, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        (DEFAULT, "auto-2023-11-14_22-13"),
        ("daily.%Y%m%d.%H%M", "daily.20231114.2213"),
        ("s-%Y-%m-%d-%H-%M-%z", "s-2023-11-14-22-13-:0000"),
        ("e%s", "e1699999980"),
    ],
)
def test_a_name_is_made_and_read_again(schema: str, name: str) -> None:
    assert problem(schema) is None
    assert snapshot_name(schema, AT.timestamp() + 0.5) == name
    assert parse(schema, name) == AT


@pytest.mark.parametrize(
    ("schema", "name"),
    [(DEFAULT, "auto-2023-13-14_22-13"), (DEFAULT, "x"), ("e%s", "e"), ("e%s", "e12x"), ("e%s", "e" + "9" * 30), ("%Y-%q", "2023-1")],
)  # fmt: skip
def test_other_names_are_not_read(schema: str, name: str) -> None:
    assert parse(schema, name) is None


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ("", "%Y must be present"), ("%Y-%m-%d", "%H must be present in snapshot naming schema"),
        ("%Y%m%d%H%M%%", "% is not an allowed character in ZFS snapshot name"),
        ("%Y%m%d%H%M@", "@ is not an allowed character in ZFS snapshot name"),
        ("%Y/%m/%d%H%M", "// are not allowed characters in ZFS snapshot name"),
        ("%s-%Y", "No other placeholder can be used with %s"), ("%Y%m%d%H%M:%z", "%z and `:` can't be present"),
        ("%Y%m%d%H%M%q", "cannot be read"), ("%Y%m%d%H%M%I", "cannot be read"), ("%Y%Y%m%d%H%M", "cannot be read"),
    ],
)  # fmt: skip
def test_schemas_that_zfs_or_the_reading_of_names_would_not_survive_are_refused(schema: str, text: str) -> None:
    assert text in str(problem(schema))


def test_as_a_parameter_it_has_to_be_a_text_with_something_in_it() -> None:
    check = NAMING_SCHEMA.compile()
    for value, text in (
        (7, "Input should be a valid string"),
        ("", "String should have at least 1 character"),
        ("x", "Value error, %Y must"),
    ):
        problems: list[tuple[str, str]] = []
        check(value, problems)
        assert [path for path, _ in problems] == [""]
        assert problems[0][1].startswith(text)
