"""Fields of manifests, one by one."""

import pytest

from csisim.co.fields import Fields, ManifestError


def fields(**value):
    return Fields("file.yaml, document 2", value)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("1Gi", 1 << 30),
        ("1.5Ki", 1536),
        ("500M", 500_000_000),
        ("1k", 1000),
        (1073741824, 1 << 30),
        ("1e3", 1000),
        ("1E", 10**18),
        ("1500m", 2),
        ("0.5", 1),
    ],
)
def test_sizes_are_kubernetes_quantities(text, size_bytes):
    assert fields(storage=text).size("storage") == size_bytes


@pytest.mark.parametrize("text", ["", "1GB", "-1Gi", "Gi", "1 Gi", True, None, [], "0", "2Ei", "9" * 40, 1.5, "1e99"])
def test_other_sizes_are_refused(text):
    with pytest.raises(ManifestError, match=r"^file.yaml, document 2: storage: "):
        fields(storage=text).size("storage")


def test_errors_name_the_path_the_value_and_what_is_allowed():
    spec = fields(spec={"a": {"b": ["x", 7]}}).below("spec").below("a")
    with pytest.raises(ManifestError, match=r"^file.yaml, document 2: spec\.a\.b\[1\]: 7 is not a text; put it in quo"):
        spec.words("b")
    with pytest.raises(ManifestError, match=r"spec\.a\.b\[0\]: 'x' is not one of y, z$"):
        spec.words("b", ("y", "z"))
    with pytest.raises(ManifestError, match=r"spec\.a\.b: is not a field here; known are c, d$"):
        spec.only("d", "c")
    with pytest.raises(ManifestError, match=r"spec\.a\.c: is required, and not there$"):
        spec.text("c")
    with pytest.raises(ManifestError, match=r"spec\.a: \['x', 7\] is not a mapping of fields"):
        Fields("file.yaml, document 2", ["x", 7], "spec.a")


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ({"x": 1}, lambda found: found.text("x")),
        ({"x": "yes"}, lambda found: found.flag("x")),
        ({"x": -1}, lambda found: found.number("x", 0, 10)),
        ({"x": True}, lambda found: found.number("x", 0, 10)),
        ({"x": 11}, lambda found: found.number("x", 0, 10)),
        ({"x": "Big"}, lambda found: found.name("x")),
        ({"x": ""}, lambda found: found.name("x")),
        ({"x": "a" * 300}, lambda found: found.name("x")),
        ({"x": "a.b"}, lambda found: found.label("x", "default")),
        ({"x": "a"}, lambda found: found.one_of("x", ("b",))),
        ({"x": "a"}, lambda found: found.below("x")),
        ({"x": {"y": 1}}, lambda found: found.texts("x")),
        ({"x": {}}, lambda found: found.items("x", Fields)),
        ({}, lambda found: found.below("x", required=True)),
        ({1: "a"}, lambda found: found),
    ],
)
def test_values_of_the_wrong_kind_are_refused(value, read):
    with pytest.raises(ManifestError, match=r"^here: "):
        read(Fields("here", value))


def test_what_is_not_there_has_its_default():
    found = fields(x=None)
    assert (found.text("x", "a"), found.flag("x", default=True), found.number("x", 3, 9)) == ("a", True, 3)
    assert (found.words("x"), found.texts("x"), found.items("x", Fields), found.name("x", "")) == ((), {}, [], "")
    assert not found.has("x")


def test_long_values_are_cut_in_errors():
    with pytest.raises(ManifestError) as caught:
        fields(x="a" * 10_000).one_of("x", ("b",))
    assert len(str(caught.value)) < 200
