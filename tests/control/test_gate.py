"""Requests that must not get through, over raw sockets and by a client."""

import asyncio
import base64
import json

import pytest

TOKEN = "s3cret-canary-token"


async def raw(server, text):
    """What comes back until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(text)
    answer = await reader.read()
    writer.close()
    return answer


def status(answer):
    return int(answer.split(b" ", 2)[1])


def error(answer):
    return json.loads(answer.partition(b"\r\n\r\n")[2])


async def test_hosts_of_this_machine_get_through(http):
    for host in ("127.0.0.1", "localhost", "LOCALHOST:80", "[::1]:1", "127.1.2.3"):
        assert (await http.get("/status", headers={"Host": host})).status_code == 200


async def test_a_host_that_is_not_this_machine_is_refused_as_in_dns_rebinding(http, world):
    for host in ("evil.example", "localhost.evil.example", "10.0.0.1", "[::2]", "127.0.0.1.nip.io", ""):
        answer = await http.post("/rules", json={"rule": "link.up: off"}, headers={"Host": host})

        assert answer.status_code == 403
        assert "not this machine" in answer.json()["error"]
    assert world.plane.rules == ()


async def test_a_page_of_another_origin_sets_no_fault(http, world):
    for origin in ("https://evil.example", "null", "http://127.0.0.1", "http://localhost:1"):
        answer = await http.post("/rules", content=b'{"rule": "link.up: off"}', headers={"Origin": origin})

        assert answer.status_code == 403
    assert world.plane.rules == ()


async def test_our_own_page_may(http, server):
    assert (await http.post("/reset", headers={"Origin": server.url})).status_code == 204


@pytest.fixture
async def guarded(serve):
    return await serve(token=TOKEN)


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


async def test_who_shows_the_token_gets_in(guarded, connect):
    http = await connect(guarded)
    for shown in (f"Bearer {TOKEN}", f"bearer  {TOKEN}", basic(f"anybody:{TOKEN}")):
        assert (await http.get("/status", headers={"Authorization": shown})).status_code == 200


WRONG = ["", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer", "Bearer \xff", basic(TOKEN), "Basic %%%",
         f"Token {TOKEN}"]  # fmt: skip


async def test_nobody_else_does_anywhere_and_no_answer_tells_the_token(guarded, connect):
    http = await connect(guarded)
    for path in ("/status", "/metrics", "/docs", "/openapi.json", "/proxies", "/nothing"):
        for shown in WRONG:
            answer = await http.get(path, headers={"Authorization": shown.encode("latin-1")})

            assert answer.status_code == 401
            assert "Bearer" in answer.headers["www-authenticate"]
            assert answer.json()["error"].startswith("the control token is missing or wrong")
            assert TOKEN not in answer.text


async def test_the_token_is_nowhere_to_be_seen(guarded, connect):
    http = await connect(guarded, headers={"Authorization": f"Bearer {TOKEN}"})
    for path in ("/status", "/metrics", "/openapi.json", "/docs", "/events", "/rules", "/sites"):
        assert TOKEN not in (await http.get(path)).text
    assert TOKEN not in repr(guarded._options)


async def test_a_body_that_is_too_big_is_refused_before_it_is_read(serve):
    server = await serve(max_body_bytes=1000)
    for path in ("/rules", "/crash", "/proxies/nas/toxics", "/status"):
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999\r\n\r\n".encode()
        answer = await raw(server, head + b"x")

        assert status(answer) == 413
        assert error(answer) == {"error": "a request has at most 1000 bytes", "status": 413}


async def test_a_chunked_body_that_is_too_big_is_refused_too(serve):
    server = await serve(max_body_bytes=1000)
    head = b"POST /rules HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await raw(server, head + b"1f4\r\n" + b"x" * 500 + b"\r\n1f5\r\n" + b"x" * 501 + b"\r\n")

    assert status(answer) == 413


async def test_a_body_of_just_the_size_is_taken(serve, connect):
    server = await serve(max_body_bytes=1000)
    body = json.dumps({"rule": "link.up: off", "name": ""}).ljust(1000).encode()
    assert (await (await connect(server)).post("/rules", content=body)).status_code == 201


async def test_a_request_that_never_arrives_is_given_up(serve):
    server = await serve(read_timeout_s=0.02)
    answer = await raw(server, b"POST /rules HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nx")

    assert (status(answer), error(answer)["error"]) == (408, "the request did not arrive in time")


async def test_what_is_not_json_by_name_is_read_as_json(http):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}  # what curl -d says
    assert (await http.post("/rules", content=b'{"rule": "link.up: off"}', headers=headers)).status_code == 201


GARBAGE = [
    b"nonsense\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /%00%ff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    b"POST /rules HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
    b"GET /events/stream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: x\r\nConnection: close\r\n\r\n",
]


async def test_garbage_is_refused_and_the_server_goes_on(server, http):
    for text in GARBAGE:
        assert status(await raw(server, text)) in range(400, 500), text[:40]
    assert (await http.get("/status")).status_code == 200
