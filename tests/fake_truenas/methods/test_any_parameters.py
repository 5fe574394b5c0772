"""Whatever is sent to a share, service or block method: a result or a refusal, and a refusal changes nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_truenas.errors import ApiError
from fake_truenas.methods import default_registry
from fake_truenas.schema import AnyOf, Bool, Enum, Field, Int, List, Nullable, Obj, Str
from tests.fake_truenas.methods.conftest import Box

PREFIXES = ("sharing.nfs.", "nfs.", "iscsi.", "nvmet.", "service.", "system.", "fake.block.")
METHODS = {
    name: method
    for name, method in sorted(default_registry().methods.items())
    if name.startswith(PREFIXES) and not method.is_async
}

NAMES = st.sampled_from(
    ["/mnt/tank/fs", "zvol/tank/v", "tank/v", "tank/v@s", "t", "s", "nfs", "10.0.0.1", "QUJD", "nqn.2014-08.org.x:1"]
)
TEXT = (
    NAMES
    | NAMES
    | NAMES
    | st.text(max_size=6)
    | st.sampled_from(["\0", "a" * 1025, "/mnt/tank/\U0001f512", '"', "'; drop table x"])
)
NUMBER = (
    st.integers(0, 2)
    | st.integers(0, 2)
    | st.integers(1, 1)
    | st.integers(-1, 3)
    | st.sampled_from([512, 4096, 4420, 1 << 31, (1 << 63) - 1, 1 << 63, -(1 << 70), 1 << 90])
)
SCALAR = st.none() | st.booleans() | NUMBER | st.floats(allow_nan=False) | TEXT
FILTER = st.lists(
    st.tuples(
        st.sampled_from(["id", "path", "name", "subsys.id", "x", "groups.*.portal"]),
        st.sampled_from(["=", "in", "^", ">", "~", "?"]),
        SCALAR | st.lists(SCALAR, max_size=2),
    ).map(list),
    max_size=2,
)
JUNK = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)


def fitting(declared) -> st.SearchStrategy:  # noqa: PLR0911 - one per type
    """Values that mostly have the declared type."""
    match declared:
        case Str():
            return TEXT
        case Int():
            return NUMBER
        case Bool():
            return st.booleans()
        case Enum():
            return st.sampled_from(declared.values)
        case Nullable():
            return st.none() | fitting(declared.inner)
        case AnyOf():
            return st.one_of(*[fitting(one) for one in declared.types])
        case List():
            return st.lists(fitting(declared.inner), max_size=2)
        case Obj():
            return an_object(declared)
        case _:
            return JUNK


def an_object(declared: Obj) -> st.SearchStrategy:
    members = {field.name: fitting(field.type) for field in declared.fields}
    return st.fixed_dictionaries({}, optional=members) | st.fixed_dictionaries(members)


def argument(field: Field) -> st.SearchStrategy:
    return FILTER if field.name == "filters" else fitting(field.type)


@st.composite
def calls(draw):
    name = draw(st.sampled_from(list(METHODS)))
    params = [draw(JUNK) if draw(st.integers(0, 9)) == 0 else draw(argument(field)) for field in METHODS[name].params]
    return name, params[: draw(st.integers(len(params) - 1, len(params)))] if params else params


def dump(box: Box) -> list[str]:
    return list(box.nas.db.connection.iterdump())


@pytest.fixture(scope="module")
def busy_box():
    """A NAS with one of everything, so that references can fit."""
    box = Box()
    box.zvol("tank/v")
    box.filesystem("tank/fs")
    box("pool.snapshot.create", {"dataset": "tank/v", "name": "s"})
    box("iscsi.target.create", {"name": "t", "groups": [{"portal": 1}]})
    box("nvmet.subsys.create", {"name": "s"})
    yield box
    box.nas.close()


@settings(max_examples=400)
@given(call=calls())
def test_every_call_ends_with_a_result_or_a_refusal(busy_box, call):
    name, params = call
    db = busy_box.nas.db
    before = db.connection.total_changes
    try:
        busy_box(name, *params)
    except ApiError as error:
        data = error.data()
        assert data is None or isinstance(data["reason"], str)
        assert not db.connection.in_transaction
    else:
        assert db.connection.total_changes >= before


def test_a_refused_call_changes_nothing(busy_box):
    before = dump(busy_box)
    refusals = [
        ("iscsi.extent.create", {"name": "e", "disk": "zvol/tank/none"}),
        ("nvmet.namespace.create", {"subsys_id": 99, "device_type": "ZVOL", "device_path": "zvol/tank/v"}),
        ("fake.block.write", "tank/v", (1 << 30) - 1, "QUJD"),
        ("iscsi.targetextent.create", {"target": 99, "extent": 99}),
    ]
    for refusal in refusals:
        busy_box.refused(*refusal)
    assert dump(busy_box) == before
