import pytest

from csisim.cluster.settings import (
    ClusterSettings,
    EmbeddedNas,
    Mode,
    check_driver_name,
    check_node_id,
    check_root_dataset,
    check_zone,
    parse_pools,
    parse_size,
)
from csisim.driver.config import DriverConfig
from fake_truenas import Pool


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("1073741824", 1 << 30),
        ("1TiB", 1 << 40),
        ("1Ti", 1 << 40),
        ("1T", 1 << 40),
        ("500GB", 500 * 10**9),
        ("1.5Gi", 3 << 29),
        ("2K", 2048),
    ],
)
def test_sizes_are_read_in_the_usual_spellings(text, size_bytes):
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "-1", "1e9", "GiB", "1 GiB", "1XB", "1.2.3", "1Gib", "\uff11GiB", "9" * 16])
def test_other_sizes_are_refused(text):
    with pytest.raises(ValueError, match="is not a size such as 1TiB"):
        parse_size(text)


def test_pools_are_name_and_size():
    assert parse_pools(["tank:1TiB", "fast:100GiB"]) == (Pool("tank", 1 << 40), Pool("fast", 100 << 30))


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["tank"], "NAME:SIZE"),
        (["tank:"], "size"),
        (["1tank:1TiB"], "1tank"),
        (["mirror:1TiB"], "mirror"),
        (["tank:1KiB"], "1024"),
        (["tank:1TiB", "tank:2TiB"], "already"),
    ],
)
def test_other_pools_are_refused(texts, says):
    with pytest.raises(ValueError, match=says):
        parse_pools(texts)


@pytest.mark.parametrize("name", ["csi.csisim.dev", "a", "ab", "A-b_c.d", "a" + "-" * 61 + "b"])
def test_driver_names_of_the_spec_and_of_csi_sanity_pass(name):
    assert check_driver_name(name) == name


@pytest.mark.parametrize("name", ["", "csisim.v1", "1csi", "csi.", "a b", "a\n", "a" * 64, "csi!x", "ä"])
def test_other_driver_names_are_refused(name):
    with pytest.raises(ValueError, match="63 letters"):
        check_driver_name(name)


@pytest.mark.parametrize("node_id", ["", "a/b", "..", ".a", "a.", "a" * 193, "a\n", "node 1"])
def test_node_ids_that_cannot_name_a_directory_are_refused(node_id):
    with pytest.raises(ValueError, match="is not a node id"):
        check_node_id(node_id)


@pytest.mark.parametrize("name", ["tank", "tank/", "/tank/csi", "tank//csi", "tank/a b", "tank/csi@x", "tank/csi\n"])
def test_root_datasets_that_are_not_below_a_pool_are_refused(name):
    with pytest.raises(ValueError, match="is not a dataset below a pool"):
        check_root_dataset(name)


@pytest.mark.parametrize("zone", ["", "a" * 64, "a b", "-a", "a/b"])
def test_zones_that_no_label_can_carry_are_refused(zone):
    with pytest.raises(ValueError, match="is not a zone"):
        check_zone(zone)


def test_plain_values_pass():
    assert check_node_id("node-1.example") == "node-1.example"
    assert check_root_dataset("tank/k8s/csi") == "tank/k8s/csi"
    assert check_zone("eu-1") == "eu-1"


def test_the_root_dataset_must_be_on_a_pool_of_the_embedded_nas():
    with pytest.raises(ValueError, match="'fast/csi' is not on a pool of the embedded NAS: tank"):
        ClusterSettings(driver=DriverConfig(root_dataset="fast/csi"), nas=EmbeddedNas())


def test_node_ids_must_differ_and_exist_where_nodes_are_served():
    with pytest.raises(ValueError, match="not distinct"):
        ClusterSettings(node_ids=("a", "a"))
    with pytest.raises(ValueError, match="at least one node"):
        ClusterSettings(node_ids=())
    assert ClusterSettings(mode=Mode.CONTROLLER, node_ids=()).mode.has_controller
