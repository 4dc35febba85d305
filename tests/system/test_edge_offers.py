"""Lists in a ClientHello that no client sends: they cost what they are long, not its square."""

import socket

import pytest

import hello
from edge_fixture import shared_edge  # noqa: F401

ALERT, HANDSHAKE = 21, 22
HANDSHAKE_FAILURE = 40
NAME = "offers.test"
MANY = 32_000
ECDSA_SHA256, RSA_PSS_SHA256 = 0x0403, 0x0804


@pytest.fixture(scope="module")
def edge(shared_edge):  # noqa: F811
    shared_edge.apply(f"cert:{NAME}:1")
    with shared_edge.connect(NAME):
        pass
    return shared_edge


def first_answer(edge, kind, items):
    """(content type, alert if it is one) of what is answered first.  A worker that went through the
    list anew for each of its items would be at it for a minute."""
    with socket.create_connection(("127.0.0.1", edge.port["https"]), timeout=20) as visitor:
        visitor.sendall(hello.with_list(NAME.encode(), kind, items))
        head = visitor.recv(7, socket.MSG_WAITALL)
        return head[0], head[6] if head[0] == ALERT else None


@pytest.mark.parametrize("kind,bad,good", [
    (hello.SUPPORTED_GROUPS, hello.X25519, hello.P256),
    (hello.SIGNATURE_ALGORITHMS, RSA_PSS_SHA256, ECDSA_SHA256),
], ids=["groups", "signatures"])
@pytest.mark.parametrize("number", [1, 60, 64, 65, MANY])
def test_long_lists_are_answered(edge, kind, bad, good, number):
    assert first_answer(edge, kind, [bad] * (number - 1) + [good]) == (HANDSHAKE, None)
    assert first_answer(edge, kind, [bad] * number) == (ALERT, HANDSHAKE_FAILURE)
