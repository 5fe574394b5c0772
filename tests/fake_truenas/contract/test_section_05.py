"""Queries, as truenas-api.md section 5 says it, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from fake_truenas import Nas
from fake_truenas.crud import Source
from tests.fake_truenas.logins import serving
from tests.fake_truenas.rpc import KEY, Client

SHARES = (
    ("/mnt/tank/Alpha", "first", ["10.0.0.0/8", "fd00::/8"], None, ["SYS"]),
    ("/mnt/tank/beta", "", [], "root", []),
    ("/mnt/tank/gamma.x", "FIRST of all", ["192.168.0.0/16"], None, ["KRB5", "SYS"]),
)


@pytest.fixture
async def shares() -> AsyncIterator[Client]:
    """Three NFS shares with the ids 1 to 3."""
    async with serving() as served:
        client = await served.dial(key=KEY)
        for path, comment, networks, maproot, security in SHARES:
            await client.call("pool.dataset.create", {"name": path.removeprefix("/mnt/")})
            data = {
                "path": path,
                "comment": comment,
                "networks": networks,
                "maproot_user": maproot,
                "security": security,
            }
            await client.call("sharing.nfs.create", data)
        yield client


async def ids(client: Client, *filters: Any, **options: Any) -> list[int]:
    return [row["id"] for row in await client.call("sharing.nfs.query", list(filters), options)]


@pytest.mark.row("5 compare")
@pytest.mark.parametrize(
    ("field", "op", "value", "expected"),
    [
        ("comment", "=", "first", [1]), ("comment", "!=", "first", [2, 3]), ("maproot_user", "=", None, [1, 3]),
        ("id", "=", 2, [2]), ("id", "!=", 2, [1, 3]), ("id", ">", 1, [2, 3]), ("id", ">=", 2, [2, 3]),
        ("id", "<", 3, [1, 2]), ("id", "<=", 1, [1]), ("id", "=", "2", []), ("enabled", "=", 1, []),
        ("path", ">", "/mnt/tank/b", [2, 3]), ("path", "<", "/mnt/tank/b", [1]), ("path", "=", "/mnt/tank/beta", [2]),
        ("comment", ">", "", [1, 3]), ("comment", "<=", "FIRST of all", [2, 3]), ("comment", "<", 5, []),
        ("enabled", "=", True, [1, 2, 3]), ("enabled", "!=", True, []), ("none", "=", None, []), ("none", "!=", 1, []),
    ],
)  # fmt: skip
async def test_values_compare_and_a_missing_key_never_matches(
    shares: Client, field: str, op: str, value: Any, expected: list[int]
) -> None:
    assert await ids(shares, [field, op, value]) == expected


@pytest.mark.row("5 compare")
async def test_times_compare_with_iso_texts_and_in_their_own_form(shares: Client) -> None:
    await shares.call("core.job_wait", 99)
    for op, early, late in (
        (">", [1], []),
        (">=", [1], []),
        ("<", [], [1]),
        ("<=", [], [1]),
        ("!=", [1], [1]),
        ("=", [], []),
    ):
        for moment, expected in (("2020-01-01T00:00:00+00:00", early), ("2030-01-01", late)):
            found = await shares.call("core.get_jobs", [["time_started.$date", op, moment]], {"select": ["id"]})
            assert [row["id"] for row in found] == expected, (op, moment)
    moment = {"$date": 1_700_000_000_000}
    assert await shares.call("core.get_jobs", [["time_started", "=", moment]], {"count": True}) == 1
    assert await shares.call("core.get_jobs", [["time_started", ">", moment]], {"count": True}) == 0
    error = await shares.refused("core.get_jobs", [["time_started.$date", ">", "soon"]])
    assert error.items == [("filters", "Invalid ISO date: 'soon'", 22)]


@pytest.mark.row("5 ~")
@pytest.mark.parametrize(
    ("field", "pattern", "expected"),
    [
        ("path", "/mnt", [1, 2, 3]), ("path", "tank", []), ("path", ".*beta$", [2]), ("path", "(?i).*ALPHA", [1]),
        ("path", r"/mnt/tank/[a-z]+\.x", [3]), ("maproot_user", "$", [1, 3]), ("maproot_user", "ro", [2]),
        ("maproot_user", "", [1, 2, 3]), ("id", "1", []), ("comment", "first|FIRST", [1, 3]), ("none", "", []),
    ],
)  # fmt: skip
async def test_patterns_match_from_the_start_and_null_counts_as_empty(
    shares: Client, field: str, pattern: str, expected: list[int]
) -> None:
    assert await ids(shares, [field, "~", pattern]) == expected


@pytest.mark.row("5 ^")
@pytest.mark.parametrize(
    ("field", "op", "value", "expected"),
    [
        ("path", "^", "/mnt/tank/", [1, 2, 3]), ("path", "^", "/mnt/tank/b", [2]), ("path", "!^", "/mnt/tank/b", [1, 3]),
        ("path", "$", "a", [1, 2]), ("path", "!$", "a", [3]), ("comment", "^", "F", [3]), ("comment", "$", "", [1, 2, 3]),
        ("maproot_user", "^", "r", [2]),
    ],
)  # fmt: skip
async def test_texts_start_and_end_with_others_or_not(
    shares: Client, field: str, op: str, value: Any, expected: list[int]
) -> None:
    assert await ids(shares, [field, op, value]) == expected


@pytest.mark.row("5 in")
async def test_a_value_is_in_a_list_or_not(shares: Client) -> None:
    assert await ids(shares, ["id", "in", [1, 3, 9]]) == [1, 3]
    assert await ids(shares, ["id", "nin", [1, 3, 9]]) == [2]
    assert await ids(shares, ["comment", "in", ["first", ""]]) == [1, 2]
    assert await ids(shares, ["comment", "in", {"$set": ["first", ""]}]) == [1, 2]
    assert await ids(shares, ["maproot_user", "in", [None, "x"]]) == [1, 3]
    assert await ids(shares, ["networks", "in", [[], ["192.168.0.0/16"]]]) == [2, 3]
    assert await ids(shares, ["id", "in", []]) == []


@pytest.mark.row("5 rin")
async def test_a_list_or_text_holds_a_value_or_not(shares: Client) -> None:
    assert await ids(shares, ["security", "rin", "SYS"]) == [1, 3]
    assert await ids(shares, ["security", "rnin", "SYS"]) == [2]
    assert await ids(shares, ["path", "rin", "gam"]) == [3]
    assert await ids(shares, ["path", "rnin", "gam"]) == [1, 2]
    assert await ids(shares, ["maproot_user", "rin", "oo"]) == [2]
    assert await ids(shares, ["maproot_user", "rnin", "x"]) == [2]


@pytest.mark.row("5 prefix C")
@pytest.mark.parametrize(
    ("field", "op", "value", "expected"),
    [
        ("comment", "C=", "FIRST", [1]), ("comment", "C!=", "FIRST", [2, 3]), ("path", "C^", "/MNT/tank/a", [1]),
        ("path", "C!^", "/MNT/tank/a", [2, 3]), ("path", "C$", "ALPHA", [1]), ("path", "C!$", "ALPHA", [2, 3]),
        ("comment", "Cin", ["First", "x"], [1]), ("comment", "Cnin", ["First"], [2, 3]), ("security", "Crin", "krb5", [3]),
        ("security", "Crnin", "krb5", [1, 2]), ("path", "C>", "/mnt/tank/B", [2, 3]), ("path", "C<", "/MNT/TANK/B", [1]),
        ("path", "C>=", "/mnt/tank/BETA", [2, 3]), ("path", "C<=", "/mnt/tank/BETA", [1, 2]),
    ],
)  # fmt: skip
async def test_c_ignores_case(shares: Client, field: str, op: str, value: Any, expected: list[int]) -> None:
    assert await ids(shares, [field, op, value]) == expected


@pytest.mark.row("5 prefix C")
async def test_c_is_not_for_patterns(shares: Client) -> None:
    error = await shares.refused("sharing.nfs.query", [["path", "C~", "x"]])
    assert error.items == [("filters", "Invalid operation: C~", 22)]


async def test_filters_are_all_anded_and_or_takes_branches_of_one_or_several(shares: Client) -> None:
    assert await ids(shares, ["id", ">", 1], ["comment", "=", ""]) == [2]
    assert await ids(shares, ["OR", [["id", "=", 1], ["comment", "=", ""]]]) == [1, 2]
    assert await ids(shares, ["OR", [[["id", ">", 1], ["comment", "=", ""]], ["id", "=", 1]]]) == [1, 2]
    assert await ids(shares, ["OR", [["OR", [["id", "=", 1], ["id", "=", 2]]], ["id", "=", 2]]], ["id", "<", 2]) == [1]
    deepest = ["id", "=", 3]
    for depth in range(1, 3):
        deepest = ["OR", [deepest, ["id", "=", -depth]]]
    assert await ids(shares, deepest) == [3]
    error = await shares.refused("sharing.nfs.query", [["OR", [deepest]]])
    assert error.items == [("filters", "Max filter depth 3 exceeded", 22)]


async def test_paths_lead_into_objects_lists_and_through_escaped_dots(shares: Client) -> None:
    assert await ids(shares, ["networks.0", "=", "10.0.0.0/8"]) == [1]
    assert await ids(shares, ["networks.1", "^", "fd"]) == [1]
    assert await ids(shares, ["networks.7", "=", None]) == []
    assert await ids(shares, ["networks.*", "=", "fd00::/8"]) == [1]
    assert await ids(shares, ["networks.*", "^", "1"]) == [1, 3]
    user = [{"key": "tns-csi:managed.by", "value": "me"}, {"key": "x:plain", "value": "you"}]
    await shares.call("pool.dataset.create", {"name": "tank/owned", "user_properties": user})

    async def named(field: str, value: str) -> list[str]:
        rows = await shares.call("pool.dataset.query", [[field, "=", value]], {"extra": {"user_properties": True}})
        return [row["name"] for row in rows]

    assert await named(r"user_properties.tns-csi:managed\.by.value", "me") == ["tank/owned"]
    assert await named("user_properties.tns-csi:managed.by.value", "me") == []
    assert await named("user_properties.x:plain.value", "you") == ["tank/owned"]


async def test_select_takes_paths_and_renames(shares: Client) -> None:
    one = {"get": True, "order_by": ["id"]}
    query = "sharing.nfs.query"
    assert await shares.call(query, [], {**one, "select": ["id", "path"]}) == {"id": 1, "path": "/mnt/tank/Alpha"}
    assert await shares.call(query, [], {**one, "select": [["path", "where"], "none"]}) == {"where": "/mnt/tank/Alpha"}
    row = await shares.call(
        "pool.dataset.query", [["id", "=", "tank"]], {"get": True, "select": ["used.parsed", ["type", "t"]]}
    )
    assert row == {"used": {"parsed": row["used"]["parsed"]}, "t": "FILESYSTEM"}
    error = await shares.refused(query, [], {"select": [["path"]]})
    assert error.items[0][0] == "options.select"


async def test_order_limit_offset_count_and_get(shares: Client) -> None:
    assert await ids(shares, order_by=["-id"]) == [3, 2, 1]
    assert await ids(shares, order_by=["comment", "id"]) == [2, 3, 1]
    assert await ids(shares, order_by=["nulls_first:maproot_user", "-id"]) == [3, 1, 2]
    assert await ids(shares, order_by=["nulls_last:maproot_user", "-id"]) == [2, 3, 1]
    assert await ids(shares, order_by=["nulls_last:-maproot_user", "id"]) == [2, 1, 3]
    assert await ids(shares, order_by=["id"], offset=1, limit=1) == [2]
    assert await ids(shares, ["comment", "!=", "x"], order_by=["id"], offset=1) == [2, 3]
    query = "sharing.nfs.query"
    assert await shares.call(query, [["id", ">", 1]], {"count": True}) == 2
    assert await shares.call(query, [["comment", "^", "F"]], {"count": True}) == 1
    assert (await shares.call(query, [], {"get": True, "order_by": ["-id"], "limit": 1}))["id"] == 3
    for options in ({"limit": 2}, {"offset": 1}):
        error = await shares.refused(query, [], {"get": True, **options})
        assert (error.code, error.data["error"]) == (-32001, 22)
        assert error.reason.startswith("[EINVAL] Invalid options combination")
    error = await shares.refused(query, [["id", "=", 9]], {"get": True})
    assert (error.code, error.data["trace"]["class"]) == (-32001, "MatchNotFound")


async def test_options_are_checked_and_extra_is_free(shares: Client) -> None:
    query = "sharing.nfs.query"
    assert await ids(shares, limit=10_000) == [1, 2, 3]
    for options, item in (
        ({"limit": 10_001}, ("options.limit", "Input should be less than or equal to 10000", 22)),
        ({"limit": -1}, ("options.limit", "Input should be greater than or equal to 0", 22)),
        ({"lmit": 1}, ("options.lmit", "Extra inputs are not permitted", 22)),
        ({"order_by": "id"}, ("options.order_by", "Input should be a valid list", 22)),
    ):
        assert (await shares.refused(query, [], options)).items == [item]
    for filters in (None, {}, "x"):
        error = await shares.refused(query, filters)
        assert (error.code, error.items) == (-32602, [("filters", "Input should be a valid list", 22)])
    assert (await shares.refused(query, [], None)).items == [("options", "Input should be a valid dictionary", 22)]
    assert await ids(shares, extra={"user_properties": True, "no_such_thing": {"a": [1]}}, force_sql_filters=True) == [
        1,
        2,
        3,
    ]
    for wrong in (
        [[]],
        ["id"],
        [["id", "="]],
        [["id", "~~", 1]],
        [[1, "=", 1]],
        [["OR", 1]],
        [["OR", []]],
        [["XOR", [["id", "=", 1]]]],
    ):
        assert (await shares.refused(query, wrong)).items[0][0] == "filters", wrong


async def test_get_instance_gives_one_or_says_of_which_type_there_is_none(shares: Client) -> None:
    assert (await shares.call("sharing.nfs.get_instance", 2))["path"] == "/mnt/tank/beta"
    for method, key, text in (
        ("pool.dataset.get_instance", "tank/x", "PoolDataset tank/x does not exist"),
        ("pool.snapshot.get_instance", "tank@x", "PoolSnapshot tank@x does not exist"),
        ("sharing.nfs.get_instance", 7, "SharingNFS 7 does not exist"),
    ):
        error = await shares.refused(method, key)
        assert (error.code, error.message, error.data["error"]) == (-32602, "Invalid params", 22)
        assert (error.items, error.reason) == ([(None, text, 2)], f"[ENOENT] None: {text}")


HOSTILE = [
    ([["path", "=", "x"]] * 3000, "3000 conditions; 1000 are allowed"),
    ([["OR", [["path", "=", "x"]] * 3000]], "3001 conditions; 1000 are allowed"),
    ([["OR", [[["path", "=", "x"]] * 1500] * 2]], "3001 conditions; 1000 are allowed"),
    ([["path", "~", "(a+)+\\1$"]], "Invalid regular expression: invalid escape sequence: \\1"),
    ([["path", "~", "(?=a)"]], "Invalid regular expression: invalid perl operator: (?="),
    ([["path", "~", "((x{1000}){1000}){1000}"]], "Invalid regular expression: "),
    ([["path", "~", "x" * 1025]], "Invalid regular expression: 1025 characters; 1024 are allowed"),
    ([["path", "~", "["]], "Invalid regular expression: missing ]: ["),
    ([["." * 5000, "=", 1]], "Invalid field of 5000 characters: "),
]


@pytest.mark.parametrize(("filters", "text"), HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_filters_are_refused_with_a_reason(shares: Client, filters: list[Any], text: str) -> None:
    (item,) = (await shares.refused("sharing.nfs.query", filters)).items
    assert item[0] == "filters"
    assert item[1].startswith(text)


async def test_filters_nested_beyond_reason_are_refused_and_the_connection_lives(shares: Client) -> None:
    nested: Any = ["id", "=", 1]
    for _ in range(90):
        nested = ["OR", [nested]]
    assert (await shares.refused("sharing.nfs.query", [nested])).items == [
        ("filters", "Max filter depth 3 exceeded", 22)
    ]
    text = '{"jsonrpc":"2.0","id":1,"method":"sharing.nfs.query","params":[' + "[" * 9000 + "]" * 9000 + "]}"
    reply = asyncio.get_running_loop().create_future()
    shares._pending[None] = reply
    await shares.socket.send(text)
    assert (await reply)["error"]["code"] == -32700
    assert await shares.call("core.ping") == "pong"


async def test_an_exploding_pattern_on_a_long_name_costs_nothing(shares: Client) -> None:
    long = "a" * 1000 + "!"
    await shares.call("sharing.nfs.update", 2, {"comment": long})
    assert await ids(shares, ["comment", "~", "(a+)+$"]) == []
    assert await ids(shares, ["comment", "~", "(a*)*(a|aa)*(a|b|ab)*c"]) == []
    assert await ids(shares, ["comment", "~", "(a+)+!$"]) == [2]


async def test_many_filters_on_columns_do_not_upset_sql(shares: Client) -> None:
    assert await ids(shares, *[["id", "!=", -number] for number in range(1, 1000)]) == [1, 2, 3]
    assert await ids(shares, *[["id", "in", [1, 2, number]] for number in range(3, 1000)]) == [1, 2]
    assert await ids(shares, ["OR", [["id", "=", number] for number in range(2, 990)]]) == [2, 3]
    assert await ids(shares, *[["id", "in", [1, 2]]] * 1000) == [1, 2]
    assert await ids(shares, *[["id", "in", [*range(1, 40)]]] * 400, ["id", "<", 3]) == [1, 2]


COLUMNS = {"pool.dataset": ("id", "name"), "pool.snapshot": ("id", "name"), "iscsi.target": ("id", "name"),
           "iscsi.extent": ("id", "name"), "nvmet.subsys": ("id", "name"), "sharing.nfs": ("id", "path"),
           "sharing.smb": ("id", "name")}  # fmt: skip


@pytest.mark.parametrize("namespace", COLUMNS)
async def test_equality_prefix_and_range_on_id_and_name_touch_only_the_rows_they_give(
    nas: Nas, monkeypatch: pytest.MonkeyPatch, namespace: str
) -> None:
    call = nas.call_direct
    for number in range(12):
        name = f"n{number:02d}"
        call("pool.dataset.create", {"name": f"tank/{name}"})
        call("pool.dataset.create", {"name": f"tank/z{name}", "type": "VOLUME", "volsize": 1 << 30, "sparse": True})
        call("pool.snapshot.create", {"dataset": f"tank/{name}", "name": "s"})
        call("iscsi.target.create", {"name": name})
        call("iscsi.extent.create", {"name": name, "type": "DISK", "disk": f"zvol/tank/z{name}"})
        call("nvmet.subsys.create", {"name": name})
        call("sharing.nfs.create", {"path": f"/mnt/tank/{name}"})
        call("sharing.smb.create", {"path": f"/mnt/tank/{name}", "name": name})
    rows = call(f"{namespace}.query", [], {"order_by": ["id"]})
    some = rows[3]
    built: list[int] = []

    def count(member: str) -> None:
        way = getattr(Source, member)

        def counted(source: Source) -> Any:
            build = way.__get__(source)

            def building(ctx: Any, found: Any, extra: Any) -> Any:
                built.append(len(found))
                return build(ctx, found, extra)

            return None if build is None else building

        monkeypatch.setattr(Source, member, property(counted))

    count("entries")
    count("steps")
    for field in COLUMNS[namespace]:
        value = some[field]
        for op in ("=", ">=", "<", "in", *(["^"] if isinstance(value, str) else [])):
            built.clear()
            found = call(f"{namespace}.query", [[field, op, [value] if op == "in" else value]])
            assert found
            assert (sum(built), len(found) < len(rows)) == (len(found), True), (field, op)


async def test_one_query_compares_so_much_and_no_more(
    nas: Nas, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fake_truenas.query.MAX_COMPARISONS", 100_000)
    with nas.db.transaction():
        nas.db.run(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 120)"
            " insert into nfs_share (path, doc) select '/mnt/tank/' || i, ? from n",
            (orjson.dumps({"path": "/mnt/tank", "comment": "a" * 1000}).decode(),),
        )
    never = [["OR", [["comment", "=", f"x{number}"] for number in range(900)]]]
    error = await client.refused("sharing.nfs.query", never, {"count": True})
    assert (error.code, error.data["error"]) == (-32001, 7)
    assert error.reason.startswith("[E2BIG] The filters take more than 100000 comparisons: use fewer, or narrow")
    slow = [["comment", "~", "(x{30}){30}|(a|b)*a(a|b){500}c"]]
    assert (await client.refused("sharing.nfs.query", slow, {"count": True})).data["error"] == 7
    assert await client.call("sharing.nfs.query", [*never, ["id", "<", 10]], {"count": True}) == 0
