"""Declaring methods, and what comes with them."""

import inspect

import pytest

from fake_truenas.context import Ctx
from fake_truenas.errors import ValidationErrors
from fake_truenas.methods import default_registry
from fake_truenas.persona import TRAINS, persona
from fake_truenas.registry import DatasetHooks, Job, Namespace, Registry
from fake_truenas.schema import Field, Int
from tests.fake_truenas.rpc import GIB, make_nas


def test_a_decorated_function_is_served_under_its_namespace_with_its_parameters() -> None:
    maths = Namespace("test.maths")

    @maths.method("double", Field("number", Int()), Field("times", Int(), default=1))
    def double(ctx: Ctx, number: int, times: int) -> int:
        return number * 2**times

    nas = make_nas(registry=Registry([maths]))
    assert (nas.call_direct("test.maths.double", 4), nas.call_direct("test.maths.double", 4, 3)) == (8, 32)
    with pytest.raises(ValidationErrors, match="number"):
        nas.call_direct("test.maths.double", "4")
    assert double(Ctx(nas), 5, 1) == 10  # the decorator leaves the function as it is
    nas.close()


def test_a_job_must_be_able_to_wait() -> None:
    names = Namespace("test")
    with pytest.raises(TypeError, match=r"test\.now is a job: its handler must be async"):

        @names.method("now", job=Job())
        def now(ctx: Ctx) -> None:
            pass

    assert names.methods == []


def test_a_name_is_declared_once() -> None:
    first, second = Namespace("test"), Namespace("test")
    for names in (first, second):

        @names.method("same")
        def same(ctx: Ctx) -> None:
            pass

    with pytest.raises(ValueError, match=r"test\.same is declared twice"):
        Registry([first, second])


def test_tables_and_hooks_come_in_the_order_of_the_namespaces() -> None:
    hooks = [DatasetHooks(), DatasetHooks()]
    registry = Registry(
        [Namespace("a", "create table a (x)", hooks[0]), Namespace("b"), Namespace("c", "create table c (x)", hooks[1])]
    )
    assert registry.tables == ["create table a (x)", "create table c (x)"]
    assert registry.hooks == hooks


def test_hooks_that_override_nothing_are_in_nobodys_way() -> None:
    nas = make_nas()
    nas.hooks = [*nas.hooks, DatasetHooks()]
    call = nas.call_direct
    call("pool.dataset.create", {"name": "tank/v", "type": "VOLUME", "volsize": GIB, "sparse": True})
    call("pool.snapshot.create", {"dataset": "tank/v", "name": "s"})
    call("pool.dataset.update", "tank/v", {"volsize": 2 * GIB})
    call("pool.snapshot.rollback", "tank/v@s")
    call("pool.snapshot.clone", {"snapshot": "tank/v@s", "dataset_dst": "tank/c"})
    call("pool.dataset.promote", "tank/c")
    call("pool.dataset.rename", "tank/v", {"new_name": "tank/w", "force": True})
    call("pool.dataset.delete", "tank/w")
    call("pool.snapshot.delete", "tank/c@s")
    assert [row["id"] for row in call("pool.dataset.query")] == ["tank", "tank/c"]
    nas.close()


def test_all_methods_modules_are_found_and_jobs_can_wait() -> None:
    methods = default_registry().methods
    namespaces = {name.rpartition(".")[0] for name in methods}
    assert {"auth", "core", "pool.dataset", "pool.snapshot", "sharing.nfs", "nvmet.subsys", "fake.block"} <= namespaces
    for name, method in methods.items():
        assert method.name == name
        assert inspect.iscoroutinefunction(method.handler) is method.is_async
        assert method.is_async or method.job is None


def test_only_what_a_client_needs_before_its_login_is_public() -> None:
    public = sorted(name for name, method in default_registry().methods.items() if method.public)
    assert [name for name in public if not name.startswith("system.")] == [
        "auth.login",
        "auth.login_ex", "auth.login_ex_continue", "auth.login_with_api_key",
        "auth.login_with_token", "auth.mechanism_choices", "core.ping", "core.set_options",
    ]  # fmt: skip


def test_snapshots_ns() -> None:
    def how(train: str) -> tuple[str | None, str | None]:
        methods = default_registry().serving(persona(train)).methods
        found = [methods.get(f"{name}.query") for name in ("zfs.snapshot", "pool.snapshot")]
        zfs, pool = [None if one is None else "private" if one.private else "there" for one in found]
        return zfs, pool

    assert {train: how(train) for train in TRAINS} == {
        "24.10": ("there", None),
        "25.04": ("there", None),
        "25.10": ("private", "there"),
        "26.0": (None, "there"),
    }


@pytest.mark.parametrize(
    ("method", "trains"),
    [("nvmet.subsys.create", TRAINS[2:]), ("service.reload", TRAINS[:3]), ("service.control", TRAINS)],
)
def test_a_method_is_there_from_its_first_release_to_before_its_last(method: str, trains: tuple[str, ...]) -> None:
    assert tuple(train for train in TRAINS if method in default_registry().serving(persona(train)).methods) == trains
