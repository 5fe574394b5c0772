"""List tokens: ours come back, anything else is ABORTED."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csisim.driver.paging import after_snapshot, after_volume, snapshot_token, volume_token
from csisim.errors import Aborted


def test_tokens_lead_back_to_where_the_page_ended():
    assert after_volume(volume_token("pvc-1")) == "pvc-1"
    assert after_snapshot(snapshot_token("pvc-1@s-1")) == "pvc-1@s-1"


def test_no_token_is_the_start():
    assert after_volume("") == after_snapshot("") == ""


def test_a_token_of_the_other_list_is_refused():
    with pytest.raises(Aborted):
        after_volume(snapshot_token("a@b"))
    with pytest.raises(Aborted):
        after_snapshot(volume_token("a"))


@given(st.text(min_size=1))
def test_any_string_is_a_token_of_ours_or_aborted(token):
    for after, make in ((after_volume, volume_token), (after_snapshot, snapshot_token)):
        try:
            assert make(after(token)) == token
        except Aborted as error:
            assert "starting_token" in str(error)  # noqa: PT017 - either outcome is right, this one has a text
