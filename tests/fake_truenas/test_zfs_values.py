"""Property objects of 26.0."""

from fake_truenas import Nas
from fake_truenas.zfs_values import number, snapshot_values, value_object
from tests.fake_truenas.rpc import GIB


def test_a_property_has_its_text_its_value_and_on_demand_its_source() -> None:
    assert value_object(number(8192), sources=False) == {"raw": "8192", "value": 8192, "source": None}
    assert value_object(("on", "on"), sources=True, kind="INHERITED", where="tank")["source"] == {
        "type": "INHERITED",
        "value": "tank",
    }


def test_a_snapshot_has_the_properties_of_its_kind_and_no_others(nas: Nas) -> None:
    nas.call_direct("pool.dataset.create", {"name": "tank/v", "type": "VOLUME", "volsize": GIB, "sparse": True})
    nas.call_direct("pool.snapshot.create", {"dataset": "tank", "name": "s", "recursive": True})
    root, volume = nas.db.rows("select * from snapshot order by dataset_name")
    asked = ["VOLSIZE", "creation", "clones", "guid", "nope", "creation"]
    assert list(snapshot_values(root, asked)) == ["creation", "guid"]
    values = snapshot_values(volume, asked, sources=True)
    assert (values["volsize"]["value"], values["creation"]["raw"]) == (GIB, "1700000000")
    assert values["guid"]["source"] == {"type": "NONE", "value": None}
