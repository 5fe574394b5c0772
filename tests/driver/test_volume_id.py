"""Names to components, ids back: total on any string."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csisim.driver.volume_id import SnapshotId, component_for, parse_snapshot_id, parse_volume_id

any_text = st.text(max_size=300)


def test_a_kubernetes_name_stays_readable_as_it_is():
    name = "pvc-0f0e5d0c-9d3e-4a6a-8f0e-3c9a1b2d4e5f"

    assert component_for(name) == name


@pytest.mark.parametrize("name", ["A", "a/b", "../../etc", "ünïcode", "a" * 128, "-a", "a ", "snap@1", "\x00"])
def test_a_name_that_zfs_cannot_carry_is_mapped_with_a_hash(name):
    component = component_for(name)

    assert component != name
    assert parse_volume_id(component) == component


def test_names_that_differ_in_case_only_do_not_meet():
    assert component_for("Data") != component_for("data")


def test_a_name_that_looks_mapped_is_mapped_again():
    mapped = component_for("A")

    assert component_for(mapped) != mapped


@given(any_text)
def test_every_name_has_a_component_that_is_an_id(name):
    component = component_for(name)

    assert parse_volume_id(component) == component
    assert len(component) <= 60
    for snapshot in (component, f"g_{component}"):
        assert parse_snapshot_id(f"{component}@{snapshot}") == SnapshotId(component, snapshot)
    assert len(f"s.{component}@g_{component}".encode()) <= 128


@given(st.lists(any_text, unique=True, min_size=2, max_size=2))
def test_two_names_have_two_components(names):
    assert component_for(names[0]) != component_for(names[1])


@given(any_text)
def test_any_string_parses_to_an_id_or_to_none(text):
    volume = parse_volume_id(text)
    snapshot = parse_snapshot_id(text)

    assert volume in (None, text)
    assert snapshot is None or str(snapshot) == text


@pytest.mark.parametrize("text", ["", "@", "a@", "@b", "a@b@c", "a", "a/b@c", "A@b", "a@clone_b", "a@g_", "a@g_g_b"])
def test_what_is_not_a_snapshot_id_is_not_ours(text):
    assert parse_snapshot_id(text) is None
