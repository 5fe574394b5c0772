import json

import pytest

RULE = "mount.umount{vol=pvc-7*}: 2*error(EBUSY)"


async def post(http, body):
    answer = await http.post("/rules", json=body)
    return answer.status_code, answer.json()


async def test_a_rule_gets_a_name_and_is_in_force(http, world):
    assert await post(http, {"rule": RULE}) == (201, {"name": "rule-1", "rule": RULE, "asked": 0, "fired": 0})
    assert [str(state.rule) for state in world.plane.rules] == [RULE]
    assert (await http.get("/rules/rule-1")).json()["rule"] == RULE


async def test_several_come_as_texts_objects_or_the_text_of_a_file(http):
    status, added = await post(http, ["link.up: delay(1ms)", {"rule": RULE, "name": "busy"}])
    assert (status, [row["name"] for row in added]) == (201, ["rule-1", "busy"])
    status, added = await post(http, {"text": "# two\nlink.up: delay(1ms)\n\nlink.down: delay(2ms)  # late\n"})
    assert (status, [row["rule"] for row in added]) == (201, ["link.up: delay(1ms)", "link.down: delay(2ms)"])
    assert len((await http.get("/rules")).json()) == 4


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"rule": "mount.umount: erro(EBUSY)"}, {"column": 15}),
        ({"rule": "mount.umoun: off"}, {"column": 1, "rule": "mount.umoun: off"}),
        ({"rule": "mount.umount: drop"}, {"column": 15}),
        (["link.up: off", {"rule": "link.up: error(EIO)"}], {"column": 10, "item": 2}),
        (["link.up: off", "link.up"], {"column": 8, "item": 2}),
        ({"text": "link.up: off\n\n  mount.umoun: off"}, {"line": 3, "column": 3}),
        ({"text": "link.up: off\nlink.up: bug"}, {"line": 2, "column": 10}),
    ],
)
async def test_a_bad_rule_is_refused_with_its_place_and_nothing_is_added(http, world, body, where):
    status, refused = await post(http, body)

    assert status == 422
    assert refused["status"] == 422
    assert refused["error"]
    assert where.items() <= refused.items()
    assert world.plane.rules == ()


async def test_names_that_cannot_be_in_a_path_are_refused(http, world):
    for name in ("a/b", "x" * 101, "a\nb", "."):
        status, refused = await post(http, {"rule": RULE, "name": name})

        assert status == 422
        assert "100" in refused["error"]
    assert world.plane.rules == ()


async def test_a_name_that_is_taken_is_a_conflict_and_the_others_are_not_added_either(http, world):
    await post(http, {"rule": RULE, "name": "busy"})

    status, refused = await post(http, ["link.up: off", {"rule": RULE, "name": "busy"}])

    assert (status, refused["error"]) == (409, "there is a rule 'busy' already")
    assert len(world.plane.rules) == 1


HOSTILE = [
    b"", b"{", b'"\xff"', b"[" * 100_000, b"3", b"[3]", b"{}",
    json.dumps({"rule": RULE, "names": "x"}).encode(),
    json.dumps({"rule": 3}).encode(),
    json.dumps({"rule": "mount.umount{vol=\ud800}: off"}).encode(),
    json.dumps({"rule": "x" * 5000}).encode(),
    json.dumps(["link.up: off"] * 10_001).encode(),
]  # fmt: skip


async def test_whatever_is_sent_is_answered_with_a_json_error(http, world):
    for body in HOSTILE:
        answer = await http.post("/rules", content=body)

        assert answer.status_code in {400, 422}, body[:40]
        assert answer.json()["status"] == answer.status_code
        assert len(answer.content) < 2000
    assert world.plane.rules == ()


async def test_put_makes_and_replaces_and_patch_only_changes(http):
    one = "/rules/one%20and%20%23two"
    assert (await http.patch(one, json={"rule": RULE})).status_code == 404
    assert (await http.put(one, json={"rule": RULE})).status_code == 201
    assert (await http.put(one, json={"rule": "link.up: off"})).status_code == 200
    assert (await http.patch(one, json={"rule": "link.down: off"})).json()["rule"] == "link.down: off"
    assert [row["name"] for row in (await http.get("/rules")).json()] == ["one and #two"]


async def test_a_change_that_is_refused_leaves_the_old_rule(http):
    await http.put("/rules/one", json={"rule": RULE})

    assert (await http.put("/rules/one", json={"rule": "link.up: error(EIO)"})).status_code == 422
    assert (await http.get("/rules/one")).json()["rule"] == RULE


async def test_delete_takes_a_rule_out_once(http, world):
    await http.put("/rules/one", json={"rule": RULE})

    answers = [await http.delete("/rules/one"), await http.delete("/rules/one")]

    assert [answer.status_code for answer in answers] == [204, 404]
    assert "there is no rule 'one'" in answers[1].json()["error"]
    assert world.plane.rules == ()


async def test_reset_takes_all_rules_out_and_heals(http, world):
    healed = []
    world.plane.on_change("test", lambda *gone: healed.append(gone))
    await post(http, [RULE, "link.up: disconnect(blackhole)"])

    answer = await http.post("/reset")

    assert (answer.status_code, answer.content) == (204, b"")
    assert world.plane.rules == ()
    assert healed


async def test_there_are_only_so_many_rules(http, monkeypatch):
    monkeypatch.setattr("csisim.faults.plane.MAX_RULES", 3)
    assert (await post(http, ["link.up: off"] * 3))[0] == 201

    status, refused = await post(http, {"rule": "link.up: off"})

    assert (status, refused["error"]) == (409, "there can be at most 3 rules")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{}", "rule: Field required"),
        (b'{"text": 1}', "text: Input should be a valid string"),
        (b'{"rule": "link.up: off", "nam": "x"}', "nam: Extra inputs are not permitted"),
        (b'{"rule": "link.up: off"', "the body is not JSON: "),
        (b"null", "valid dictionary"),
    ],
)
async def test_a_wrong_body_is_told_about_what_it_was_meant_to_be_alone(http, body, reason):
    answer = await http.post("/rules", content=body)

    assert answer.status_code == 422
    assert reason in answer.json()["error"]
    assert ";" not in answer.json()["error"]
    assert "RulesTextIn" not in answer.json()["error"]
