"""Sessions: resumed for their own name, never for another, never for one that was removed."""

import socket
import struct

import pytest

import hello
from lab import tls
from edge_fixture import (TLS12, TLS13, UNKNOWN_NAME, new_edge, shared_edge)  # noqa: F401

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])


def session_of(visitor, host):
    """TLS 1.3 sends its sessions after the handshake: a request brings them in."""
    assert visitor.get(host)[0] == 200
    assert visitor.sock.session.id
    return visitor.sock.session


def first_visit(edge, name, ctx, port="https"):
    with edge.connect(name, port, ctx=ctx) as visitor:
        assert not visitor.sock.session_reused
        return session_of(visitor, name)


@VERSIONS
def test_a_session_is_resumed_for_its_name(shared_edge, version):
    name = f"again{int(version)}.test"
    shared_edge.apply(f"cert:{name}:1")
    ctx = tls.context(shared_edge.root, version)
    session = first_visit(shared_edge, name, ctx)
    with shared_edge.connect(name, ctx=ctx, session=session) as visitor:
        assert visitor.sock.session_reused
        assert visitor.echo(name)["headers"]["x-reused"] == "r"


@VERSIONS
def test_a_session_is_not_usable_for_another_name(shared_edge, version):
    one, two = f"one{int(version)}.test", f"two{int(version)}.test"
    shared_edge.apply(f"cert:{one}:1", f"cert:{two}:2")
    ctx = tls.context(shared_edge.root, version)
    session = first_visit(shared_edge, one, ctx)
    with shared_edge.connect(two, ctx=ctx, session=session) as visitor:
        assert not visitor.sock.session_reused
        assert visitor.names == [two]


@VERSIONS
def test_names_below_one_wildcard_do_not_share_sessions(shared_edge, version):
    parent = f"ws{int(version)}.test"
    shared_edge.apply(f"cert:*.{parent}:1")
    ctx = tls.context(shared_edge.root, version)
    session = first_visit(shared_edge, f"a.{parent}", ctx)
    with shared_edge.connect(f"b.{parent}", ctx=ctx, session=session) as visitor:
        assert not visitor.sock.session_reused
    with shared_edge.connect(f"A.{parent}", ctx=ctx, session=session) as visitor:
        assert visitor.sock.session_reused


@VERSIONS
def test_a_session_without_sni_opens_no_name(shared_edge, version):
    name = f"sni{int(version)}.test"
    shared_edge.apply(f"cert:{name}:1")
    ctx = tls.context(shared_edge.root, version)
    session = first_visit(shared_edge, name, ctx)
    assert shared_edge.refused(None, ctx=ctx, session=session) == UNKNOWN_NAME


@VERSIONS
def test_a_removed_name_is_refused_and_its_sessions_too(shared_edge, version):
    name = f"removed{int(version)}.test"
    shared_edge.apply(f"cert:{name}:1")
    ctx = tls.context(shared_edge.root, version)
    session = first_visit(shared_edge, name, ctx)
    shared_edge.apply(f"gone:{name}:2")
    assert shared_edge.refused(name, version=version) == UNKNOWN_NAME
    assert shared_edge.refused(name, ctx=ctx, session=session) == UNKNOWN_NAME
    # Back again, under a later version.
    shared_edge.apply(f"cert:{name}:3")
    with shared_edge.connect(name, version=version) as visitor:
        assert visitor.names == [name]


@VERSIONS
def test_a_removed_name_falls_back_with_a_full_handshake(new_edge, version):
    edge = new_edge(workers=1, http_extra="\tcertherd_fallback %(folder)s/static.pem "
                                          "%(folder)s/static.key;")
    edge.apply("cert:removed.test:1").start()
    ctx = tls.context(None, version)
    session = first_visit(edge, "removed.test", ctx)
    edge.apply("gone:removed.test:2")
    static = tls.context(edge.folder / "static.pem", version)
    with edge.connect("removed.test", ctx=static) as visitor:
        assert "fallback.test" in visitor.names
    with edge.connect("removed.test", ctx=ctx, session=session) as visitor:
        assert not visitor.sock.session_reused


@VERSIONS
def test_a_session_of_the_fallback_does_not_outlive_the_names_arrival(new_edge, version):
    edge = new_edge(workers=1, http_extra="\tcertherd_fallback %(folder)s/static.pem "
                                          "%(folder)s/static.key;")
    edge.apply("name:new.test:1").start()
    ctx = tls.context(None, version)
    session = first_visit(edge, "new.test", ctx)
    with edge.connect("new.test", ctx=ctx, session=session) as visitor:
        assert visitor.sock.session_reused
    edge.apply("cert:new.test:2")
    with edge.connect("new.test", ctx=ctx, session=session) as visitor:
        assert not visitor.sock.session_reused
    with edge.connect("new.test", version=version) as visitor:
        assert visitor.names == ["new.test"]


@VERSIONS
def test_a_renewed_certificate_is_live_at_the_next_handshake(shared_edge, version):
    name = f"renewed{int(version)}.test"
    workers = shared_edge.workers_now()
    seen = []
    for at in range(1, 6):
        shared_edge.apply(f"cert:{name}:{at}")
        for _ in range(4):  # every worker has a cache of its own
            with shared_edge.connect(name, version=version) as visitor:
                seen.append((at, visitor.serial))
    assert len(set(seen)) == 5 == len({serial for _, serial in seen})
    assert shared_edge.workers_now() == workers


@VERSIONS
def test_a_resumed_connection_goes_by_the_certificate_that_is_live_now(shared_edge, version):
    v = int(version)
    name, also = f"pair{v}.test", f"www.pair{v}.test"
    shared_edge.apply(f"cert:{name}:1:names={name}+{also}", f"cert:{also}:2:names={name}+{also}")
    ctx = tls.context(shared_edge.root, version)
    session = first_visit(shared_edge, name, ctx)
    with shared_edge.connect(name, ctx=ctx, session=session) as visitor:
        assert visitor.sock.session_reused
        assert visitor.get(also)[0] == 200
        assert visitor.get("nothing.test")[0] == 421
    shared_edge.apply(f"cert:{name}:3")
    with shared_edge.connect(name, ctx=ctx, session=session) as visitor:
        assert visitor.sock.session_reused
        assert visitor.get(name)[0] == 200
        assert visitor.get(also)[0] == 421


@VERSIONS
def test_a_session_outlives_a_reload(new_edge, version):
    edge = new_edge(workers=1)
    edge.apply("cert:stays.test:1").start()
    ctx = tls.context(edge.root, version)
    session = first_visit(edge, "stays.test", ctx)
    edge.reload()
    with edge.connect("stays.test", ctx=ctx, session=session) as visitor:
        assert visitor.sock.session_reused

def test_a_name_that_nginx_reads_as_another_servers_is_served_nothing(new_edge):
    """nginx takes "b.test:443" for b.test; sessions of such names would all be bound alike, so
    that one of a server with other client certificates could be carried on here."""
    server = """
	server { listen 127.0.0.1:%%(https)d ssl; server_name %s; certherd on; return 200 %s; }
"""
    edge = new_edge(workers=1, servers=server % ("a.test", "a") + server % ("b.test", "b") + """
	server { listen 127.0.0.1:%(http)d; listen 127.0.0.1:%(mixed)d;
		listen 127.0.0.1:%(proxied)d; return 204; }
""", http_extra="\tcertherd_fallback %(folder)s/static.pem %(folder)s/static.key;")
    edge.apply("name:b.test:1").start()
    assert "CN=static" in edge.s_client("-servername", "a.test")
    assert "CN=static" in edge.s_client("-servername", "b.test")
    for sni in ("b.test:443", "B.TEST.:1"):
        answer = edge.s_client("-servername", sni)
        assert "CN=static" not in answer and "alert number 112" in answer, sni


@VERSIONS
def test_no_session_goes_from_a_static_server_to_a_custom_domain(shared_edge, version):
    name = f"cross{int(version)}.test"
    shared_edge.apply(f"cert:{name}:1")
    ctx = tls.context(None, version)
    for port in ("https", "mixed"):
        static = first_visit(shared_edge, "static.test", ctx, port)
        with shared_edge.connect("static.test", port, ctx=ctx, session=static) as visitor:
            assert visitor.sock.session_reused  # untouched
        with shared_edge.connect(name, ctx=ctx, session=static) as visitor:
            assert not visitor.sock.session_reused
    session = first_visit(shared_edge, name, ctx)
    with shared_edge.connect("static.test", ctx=ctx, session=session) as visitor:
        assert not visitor.sock.session_reused


@pytest.mark.parametrize("port,sni,ticket", [
    ("https", "tickets.test", False), ("https", "static.test", True),
    ("mixed", "t.shops.test", False), ("mixed", "static.test", True)])
def test_tickets_are_off_for_custom_domains_only(shared_edge, port, sni, ticket):
    shared_edge.apply_once("cert:tickets.test:1", "cert:t.shops.test:2")
    ctx = tls.context(None, TLS12)
    with shared_edge.connect(sni, port, ctx=ctx) as visitor:
        assert visitor.sock.session.has_ticket == ticket


# -- a second ClientHello ---------------------------------------------------------------------

HANDSHAKE, ALERT, CHANGE_CIPHER_SPEC = 22, 21, 20
SERVER_HELLO, ILLEGAL_PARAMETER = 2, 47
RETRY = bytes.fromhex("CF21AD74E59A6111BE1D8C021E65B891C2A211167ABB8C5E079E09E2C8A8339C")


def next_record(stream):
    """(type, body), without those that are there for middleboxes only."""
    while True:
        head = stream.read(5)
        assert len(head) == 5, "the connection was closed"
        body = stream.read(struct.unpack_from("!H", head, 3)[0])
        if head[0] != CHANGE_CIPHER_SPEC:
            return head[0], body


def answer_to_second(edge, port, first, second, protocols=(None, None)):
    """("alert", number), or ("hello",) when the server goes on with the handshake."""
    hellos = hello.first_and_second(first.encode(), second.encode(), protocols)
    with socket.create_connection(("127.0.0.1", edge.port[port]), timeout=10) as visitor:
        stream = visitor.makefile("rb")
        visitor.sendall(hellos[0])
        kind, body = next_record(stream)
        assert kind == HANDSHAKE and body[6:38] == RETRY, "a HelloRetryRequest"
        visitor.sendall(hellos[1])
        kind, body = next_record(stream)
        if kind == ALERT:
            return "alert", body[1]
        assert (kind, body[0]) == (HANDSHAKE, SERVER_HELLO)
        return ("hello",)


@pytest.mark.parametrize("port", ["https", "mixed"])
def test_the_second_hello_of_a_handshake_has_the_name_of_the_first(shared_edge, port):
    """OpenSSL takes another name there; sessions would stay bound to the first one's."""
    names = ("retry.shops.test", "other.shops.test")
    shared_edge.apply_once(*(f"cert:{name}:{at}" for at, name in enumerate(names, 1)))
    for name in (*names, "static.test"):
        assert answer_to_second(shared_edge, port, name, name) == ("hello",), name
    assert answer_to_second(shared_edge, port, names[0], names[0].upper()) == ("hello",)
    for second in (names[1], "static.test"):
        assert answer_to_second(shared_edge, port, names[0], second) == ("alert", ILLEGAL_PARAMETER)
    # The other way round nothing was bound yet.
    assert answer_to_second(shared_edge, port, "static.test", names[0]) == ("hello",)
