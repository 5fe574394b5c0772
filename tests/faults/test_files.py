"""Rules from files and the environment: all of them, or an error that says which one."""

from pathlib import Path

import pytest

from csisim.faults.files import read_rules, rules_of_environment, rules_of_list
from csisim.faults.grammar import parse_rule
from csisim.faults.sites import Catalogue, link_sites

BUSY, STORM = "mount.umount: 3*error(EBUSY)", 'rpc.CreateVolume.after: 30%error(UNAVAILABLE, "a; b")'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rules.txt", f"# a storm\n\n{BUSY}   # on purpose\n{STORM}\n"),
        ("rules.yaml", f"- name: ''\n  rule: '{BUSY}'\n- '{STORM}'\n"),
        (
            "rules.json",
            '["mount.umount: 3*error(EBUSY)", {"rule": "rpc.CreateVolume.after: 30%error(UNAVAILABLE, \\"a; b\\")"}]',
        ),
    ],
)
def test_files_of_each_kind(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert read_rules(path) == [parse_rule(BUSY), parse_rule(STORM)]
    assert rules_of_environment(f"@{path}") == read_rules(path)


def test_several_rules_in_the_environment() -> None:
    expected = [parse_rule(BUSY), parse_rule(STORM)]
    assert rules_of_environment(f"{BUSY}; {STORM}") == rules_of_environment(f"{BUSY}\n{STORM}\n") == expected
    assert rules_of_environment("") == []


def test_names_come_along() -> None:
    assert [rule.name for rule in rules_of_list([{"name": "storm", "rule": STORM}, BUSY])] == ["storm", ""]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.txt", f"{BUSY}\nmount.umount 3*off\n", r"line 2, column 14: here should be ':'"),
        ("a.yaml", "- rule: [", r"line 1, column \d+: not YAML"),
        ("a.yaml", "rule: x", "here should be a list of rules"),
        ("a.yaml", "- 7", "item 1 is neither a rule nor an object with a rule: 7"),
        ("a.json", '[{"rule": "a: off", "when": "now"}]', "item 1: 'when' is not known; there are name and rule"),
        ("a.json", '[{"rule": "a: offf", "name": "b"}]', r"item 1 \(b\): column 4: 'offf' is not an action"),
        ("a.json", '[{"rule": "a: off", "name": "x/y"}]', "'x/y' is not a name"),
        ("a.json", "[" * 100_000, "not YAML"),
        ("a.txt", "# " + "x" * (1 << 20), "more than 1048576 bytes"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_the_place(tmp_path: Path, name: str, text: str, reason: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=reason) as caught:
        read_rules(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        read_rules(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"a: off\xff")
    with pytest.raises(ValueError, match="not UTF-8 at byte 6"):
        read_rules(tmp_path / "binary")


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("- !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ValueError, match="not YAML"):
        read_rules(path)


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("a.txt", "link.up: off\n  link.up: error(EIO)\n", "line 2, column 12: error cannot happen at link.up"),
        (
            "a.yaml",
            '- "link.up: off"\n- {name: x, rule: "linkup: off"}\n',
            "item 2 (x): column 1: there is no site 'linkup'",
        ),
    ],
)
def test_a_rule_that_could_not_be_honoured_is_told_with_its_place_too(
    tmp_path: Path, name: str, text: str, where: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=r"there|cannot") as caught:
        read_rules(path, Catalogue(link_sites()).check)
    assert str(caught.value).startswith(f"{path}: {where}")


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ("link.up: off; foo", "line 1, column 18: "),
        ("link.up: off\n\nlink.up: off;link.up: bug", "line 3, column 23: "),
    ],
)
def test_a_wrong_rule_of_the_environment_is_told_with_its_place_in_the_whole(value: str, where: str) -> None:
    with pytest.raises(ValueError, match=where):
        rules_of_environment(value)


def test_a_name_that_two_items_have_is_refused_with_both_places() -> None:
    named = {"name": "x", "rule": "link.up: off"}
    with pytest.raises(ValueError, match="item 3: item 1 has the name 'x' already"):
        rules_of_list([named, "link.up: off", named])
