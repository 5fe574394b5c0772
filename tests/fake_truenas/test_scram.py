"""The server's half of SCRAM-SHA-512 against a client written from RFC 5802, and messages that are wrong."""

import base64
import hashlib
import hmac
from typing import Any

import pytest

from fake_truenas import scram
from tests.fake_truenas.logins import ScramClient

MATERIAL = "k" * 64
KEY = f"10-{MATERIAL}"
VERIFIER = scram.make_verifier(MATERIAL, b"s" * 16)
NONCE = b"n" * 32
SERVER_NONCE = b"m" * 32


END_POINT = b"e" * 32
BINDING = "p=tls-server-end-point"


def exchange(
    client: ScramClient, verifier: scram.Verifier = VERIFIER, end_point: bytes | None = None
) -> scram.Exchange:
    first = scram.parse_client_first(client.first()["rfc_str"])
    return scram.Exchange(first, verifier, first.nonce + SERVER_NONCE, end_point)


def test_a_client_with_the_key_and_a_server_with_the_verifier_know_each_other() -> None:
    client = ScramClient("ada", KEY)
    server = exchange(client)
    assert server.server_first == (
        f"r={base64.b64encode(NONCE + SERVER_NONCE).decode()},s={base64.b64encode(b's' * 16).decode()},i=50000"
    )
    assert client.trusts(server.finish(client.final(server.server_first)["rfc_str"]))


def test_the_verifier_is_what_the_rfc_says_and_the_client_key_is_not_in_it() -> None:
    salted = hashlib.pbkdf2_hmac("sha512", MATERIAL.encode(), b"s" * 16, 50_000)
    key = hmac.new(salted, b"Client Key", "sha512").digest()
    assert scram.client_key(MATERIAL, b"s" * 16) == key
    assert VERIFIER.stored_key == hashlib.sha512(key).digest()
    assert VERIFIER.server_key == hmac.new(salted, b"Server Key", "sha512").digest()
    assert repr(VERIFIER) == "Verifier(iterations=50000)"


def test_a_first_message_names_user_key_and_nonce() -> None:
    first = scram.parse_client_first(ScramClient("a:b", KEY).first()["rfc_str"])
    assert (first.username, first.key_id, first.nonce, first.header) == ("a:b", 10, NONCE, "n,,")
    nonce = base64.b64encode(NONCE).decode()
    assert scram.parse_client_first(f"y,,n=ada,r={nonce}").key_id is None
    assert scram.parse_client_first(f"n,,n=a=2Cb=3Dc:7,r={nonce}").username == "a,b=c"
    assert nonce not in repr(first)


@pytest.mark.parametrize(
    "text",
    ["", "n,,", "n=ada:10,r={nonce}", "n,,n=ada:10", "n,,r={nonce},n=ada:10", "n,,n=,r={nonce}", "n,,n=ada:10,r=",
     "p=,,n=ada:10,r={nonce}", "p=a=b,,n=ada:10,r={nonce}", "x,,n=ada:10,r={nonce}", "n,a=root,n=ada:10,r={nonce}", "n,,m=x,n=ada:10,r={nonce}",
     "n,,n=ada:10,r={nonce},x=1", "n,,n=a=b:10,r={nonce}", "n,,n=ada:10,r={short}", "n,,n=ada:10,r=!!!!", "\ud800"],
)  # fmt: skip
def test_other_first_messages_are_refused(text: str) -> None:
    filled = text.format(nonce=base64.b64encode(NONCE).decode(), short=base64.b64encode(b"n" * 31).decode())
    with pytest.raises(scram.ScramError):
        scram.parse_client_first(filled)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "", "does not consist of"),
        (lambda text: text.rpartition(",")[0], "does not consist of"),
        (lambda text: f"{text},p=AAAA", "does not consist of"),
        (lambda text: text.replace("c=biws", "c=eSws"), "does not belong"),
        (lambda text: text.replace("c=biws", "c=b"), "not Base64"),
        (lambda text: text.replace("r=", "r=AAAA"), "does not belong"),
        (lambda text: f"{text.rpartition(',')[0]},p=AAAA", "the proof has 3 bytes"),
        (lambda text: f"{text.rpartition(',')[0]},p={base64.b64encode(bytes(64)).decode()}", "the proof is wrong"),
    ],
)
def test_other_last_messages_are_refused_without_showing_them(change: Any, said: str) -> None:
    client = ScramClient("ada", KEY)
    server = exchange(client)
    final = client.final(server.server_first)["rfc_str"]
    with pytest.raises(scram.ScramError, match=said) as caught:
        server.finish(change(final))
    assert final.rpartition("p=")[2] not in str(caught.value)


def test_a_proof_is_for_its_own_exchange_and_key() -> None:
    client = ScramClient("ada", KEY)
    final = client.final(exchange(client).server_first)["rfc_str"]
    other = scram.Exchange(exchange(client).first, VERIFIER, NONCE + b"x" * 32)
    with pytest.raises(scram.ScramError):
        other.finish(final)
    with pytest.raises(scram.ScramError, match="proof is wrong"):
        exchange(client, scram.make_verifier("another", b"s" * 16)).finish(final)


@pytest.mark.parametrize(
    ("header", "binding", "end_point"),
    [(BINDING, END_POINT, END_POINT), ("n", b"", END_POINT), ("y", b"", None)],
    ids=["bound", "a client that cannot bind", "a client that could"],
)
def test_a_login_is_bound_to_the_channel_if_the_client_wants_that(
    header: str, binding: bytes, end_point: bytes | None
) -> None:
    client = ScramClient("ada", KEY, header=header, binding=binding)
    server = exchange(client, end_point=end_point)
    assert client.trusts(server.finish(client.final(server.server_first)["rfc_str"]))


@pytest.mark.parametrize(
    ("header", "binding", "end_point", "said"),
    [
        (BINDING, b"x" * 32, END_POINT, "does not belong"),
        (BINDING, b"", END_POINT, "does not belong"),
        ("n", END_POINT, END_POINT, "does not belong"),
        (BINDING, END_POINT, None, "does not have the channel binding"),
        ("p=tls-exporter", END_POINT, END_POINT, "does not have the channel binding"),
        ("y", b"", END_POINT, "has no channel binding, and it has"),
    ],
)
def test_a_login_by_another_channel_is_refused_at_its_end(
    header: str, binding: bytes, end_point: bytes | None, said: str
) -> None:
    client = ScramClient("ada", KEY, header=header, binding=binding)
    server = exchange(client, end_point=end_point)
    with pytest.raises(scram.ScramError, match=said):
        server.finish(client.final(server.server_first)["rfc_str"])
