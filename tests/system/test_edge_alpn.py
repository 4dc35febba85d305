"""tls-alpn-01 (RFC 8737) at the edge: who gets which certificate, and who gets none."""

import hashlib
import socket
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

import hello
import status_page
from lab import herd, sanitizer, tls
from edge_fixture import (HINTS, NO_PROTOCOL, THUMBPRINTS, TLS12, TLS13, UNKNOWN_NAME,  # noqa: F401
                          memory_b, new_edge, shared_edge)
from test_edge_sessions import ILLEGAL_PARAMETER, answer_to_second

PROTOCOL = "acme-tls/1"
IDENTIFIER = "1.3.6.1.5.5.7.1.31"
TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["TLS1.2", "TLS1.3"])
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def ca(version=None, alpn=(PROTOCOL,)):
    """As a CA comes: it checks no chain."""
    return tls.context(version=version, alpn=list(alpn))


def extensions(der):
    return {one.oid.dotted_string: one for one in x509.load_der_x509_certificate(der).extensions}


def is_answer(der, name, token, thumbprint):
    """Whether it is the certificate of RFC 8737 section 3, checked as a CA does."""
    leaf, found = x509.load_der_x509_certificate(der), extensions(der)
    if IDENTIFIER not in found:
        return False
    assert len(found) == 2 and found[IDENTIFIER].critical
    digest = hashlib.sha256(f"{token}.{thumbprint}".encode()).digest()
    assert found[IDENTIFIER].value.value == b"\x04\x20" + digest
    assert list(found[x509.SubjectAlternativeName.oid.dotted_string].value) == [x509.DNSName(name)]
    assert leaf.issuer == leaf.subject
    leaf.public_key().verify(leaf.signature, leaf.tbs_certificate_bytes,
                             ec.ECDSA(leaf.signature_hash_algorithm))
    return True


def answered(edge, name, token=TOKEN, thumbprint=THUMBPRINTS[0], **options):
    options.setdefault("ctx", ca())
    with edge.connect(name, **options) as visit:
        assert visit.sock.selected_alpn_protocol() == PROTOCOL
        assert is_answer(visit.der, name, token, thumbprint)
        return visit.der


@VERSIONS
@pytest.mark.parametrize("port", ["https", "mixed"])
def test_an_open_challenge_is_answered(shared_edge, version, port):
    """For a name that has no certificate yet, and for one that is served."""
    names = ("new.shops.test", "live.shops.test")
    shared_edge.apply_once(f"name:{names[0]}:1", f"cert:{names[1]}:1",
                           *(f"challenge:{name}:2:hint={HINTS[0]}:token={TOKEN}" for name in names))
    for name in names:
        answered(shared_edge, name, port=port, ctx=ca(version))
    answered(shared_edge, "new.shops.test", port="mixed", ctx=ca(version))


def test_through_the_proxy_protocol_too(shared_edge):
    shared_edge.apply(f"name:proxied.test:1", f"challenge:proxied.test:2:token={TOKEN}")
    answered(shared_edge, "proxied.test", port="proxied",
             proxy_line="PROXY TCP4 203.0.113.7 192.0.2.1 4711 443")


def test_the_hint_chooses_among_pinned_thumbprints(shared_edge):
    shared_edge.apply(
        "name:first.hint.test:1", f"challenge:first.hint.test:2:token={TOKEN}",
        "name:second.hint.test:1", f"challenge:second.hint.test:2:hint={HINTS[1]}:token={TOKEN}",
        "name:foreign.hint.test:1", f"challenge:foreign.hint.test:2:hint={'f' * 16}:token={TOKEN}")
    answered(shared_edge, "first.hint.test")
    answered(shared_edge, "second.hint.test", thumbprint=THUMBPRINTS[1])
    assert shared_edge.refused("foreign.hint.test", ctx=ca()) == NO_PROTOCOL
    shared_edge.wait_log('the order of "foreign.hint.test" is under an account')


@VERSIONS
def test_where_no_challenge_is_open_there_is_no_handshake(shared_edge, version):
    shared_edge.apply_once(
        "name:none.test:1", "cert:none.served.test:1", "cert:*.wild.test:1",
        "name:over.test:1", f"challenge:over.test:2:token={TOKEN}", "challenge:over.test:3",
        "name:late.test:1", f"challenge:late.test:2:token={TOKEN}:until=-1",
        "name:gone.test:1", f"challenge:gone.test:2:token={TOKEN}")
    shared_edge.apply_once("gone:gone.test:3")
    for name in ("none.test", "none.served.test", "over.test", "late.test"):
        assert shared_edge.refused(name, ctx=ca(version)) == NO_PROTOCOL, name
    for name in ("unknown.test", "below.wild.test", "gone.test", None):
        assert shared_edge.refused(name, ctx=ca(version)) == UNKNOWN_NAME, name


def test_a_name_that_comes_back_has_no_challenge(shared_edge):
    shared_edge.apply("name:back.test:1", f"challenge:back.test:2:token={TOKEN}")
    answered(shared_edge, "back.test")
    shared_edge.apply("gone:back.test:3")
    shared_edge.apply("name:back.test:4")
    assert shared_edge.refused("back.test", ctx=ca()) == NO_PROTOCOL


@VERSIONS
@pytest.mark.parametrize("alpn", [
    None, ["http/1.1"], ["h2", "http/1.1"], [PROTOCOL, "http/1.1"], ["http/1.1", PROTOCOL]])
def test_visitors_never_see_the_answer(shared_edge, version, alpn):
    """Nor does who offers acme-tls/1 among others: that is no CA (RFC 8737 section 3)."""
    shared_edge.apply_once("cert:visited.test:1", f"challenge:visited.test:2:token={TOKEN}")
    ctx = tls.context(shared_edge.root, version, alpn=alpn)
    with shared_edge.connect("visited.test", ctx=ctx) as visit:
        assert visit.names == ["visited.test"]
        assert visit.sock.selected_alpn_protocol() == (alpn and [p for p in alpn if p != PROTOCOL][0])
        if "h2" not in (alpn or ()):
            assert visit.get("visited.test")[0] == 200
    # Without a certificate a name is as unknown as ever.
    shared_edge.apply_once("name:unserved.test:1", f"challenge:unserved.test:2:token={TOKEN}")
    assert shared_edge.refused("unserved.test", ctx=ctx) == UNKNOWN_NAME


def test_http2_goes_on_beside_an_open_challenge(shared_edge):
    shared_edge.apply("cert:h2.test:1", f"challenge:h2.test:2:token={TOKEN}")
    answered(shared_edge, "h2.test")
    assert shared_edge.curl("h2.test")[:2] == ("200", "2")


@VERSIONS
def test_nothing_is_served_on_such_a_connection(shared_edge, version):
    shared_edge.apply_once("cert:closed.test:1", f"challenge:closed.test:2:token={TOKEN}")
    with shared_edge.connect("closed.test", ctx=ca(version)) as visit:
        try:
            visit.sock.sendall(REQUEST)
            assert visit.sock.recv(1) == b""
        except (ConnectionError, ssl.SSLError):
            pass  # closed before all of it had come


@VERSIONS
def test_such_a_handshake_neither_resumes_nor_can_be_resumed(shared_edge, version):
    shared_edge.apply_once("cert:kept.test:1", f"challenge:kept.test:2:token={TOKEN}")
    ctx = ca(version)
    with shared_edge.connect("kept.test", ctx=ctx) as visit:
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            visit.get("kept.test")
        kept = visit.sock.session
    assert not kept or not (kept.id or kept.has_ticket) or version == TLS13 and not kept.has_ticket
    # A session of an ordinary visit is no way round either, in one direction …
    ordinary = ca(version, ["http/1.1"])
    with shared_edge.connect("kept.test", ctx=ordinary) as visit:
        assert visit.get("kept.test")[0] == 200
        session = visit.sock.session
    with shared_edge.connect("kept.test", ctx=ordinary, session=session) as visit:
        assert visit.sock.session_reused
        session = visit.sock.session
    ordinary.set_alpn_protocols([PROTOCOL])
    with shared_edge.connect("kept.test", ctx=ordinary, session=session) as visit:
        assert not visit.sock.session_reused
        assert is_answer(visit.der, "kept.test", TOKEN, THUMBPRINTS[0])
    # … or the other.
    ordinary.set_alpn_protocols(["http/1.1"])
    if kept:
        ctx.set_alpn_protocols(["http/1.1"])
        with shared_edge.connect("kept.test", ctx=ctx, session=kept) as visit:
            assert not visit.sock.session_reused
            assert not is_answer(visit.der, "kept.test", TOKEN, THUMBPRINTS[0])


def test_the_second_hello_offers_what_the_first_did(shared_edge):
    shared_edge.apply("cert:retry.test:1", f"challenge:retry.test:2:token={TOKEN}",
                      "cert:other.test:1", f"challenge:other.test:2:token={TOKEN}")
    acme, http = PROTOCOL.encode(), b"http/1.1"

    def answer(first, second, names=("retry.test", "retry.test")):
        return answer_to_second(shared_edge, "https", *names, protocols=(first, second))

    assert answer(acme, acme) == answer(http, http) == ("hello",)
    for first, second in ((acme, http), (http, acme), (None, acme), (acme, None)):
        assert answer(first, second) == ("alert", ILLEGAL_PARAMETER)
    assert answer(acme, acme, ("retry.test", "other.test")) == ("alert", ILLEGAL_PARAMETER)


def test_servers_without_certherd_are_as_nginx_has_them(shared_edge):
    assert shared_edge.refused("static.test", ctx=ca()) == NO_PROTOCOL
    assert shared_edge.refused("static.test", port="mixed", ctx=ca()) == NO_PROTOCOL


def test_the_answer_is_made_once_for_each_token(new_edge):
    edge = new_edge(workers=1)
    edge.apply("name:a.test:1", f"challenge:a.test:2:token={TOKEN}",
               "name:b.test:1", f"challenge:b.test:2:token={TOKEN}").start()
    first = answered(edge, "a.test")
    assert answered(edge, "a.test") == first
    assert answered(edge, "b.test") != first
    edge.apply("challenge:a.test:3:token=another")
    assert answered(edge, "a.test", token="another") != first
    edge.reload()
    answered(edge, "a.test", token="another")


CLIENT_CERTIFICATES = """
	server {
		listen 127.0.0.1:%(https)d ssl;
		ssl_verify_client on;
		ssl_client_certificate %(folder)s/static.pem;
		certherd on;
		return 200 $certherd_name;
	}
"""


@VERSIONS
def test_a_ca_needs_no_client_certificate(new_edge, version):
    edge = new_edge(workers=1, servers=CLIENT_CERTIFICATES + status_page.LOCATION)
    edge.apply("cert:a.test:1", f"challenge:a.test:2:token={TOKEN}").start()
    answered(edge, "a.test", ctx=ca(version))
    with edge.connect("a.test", version=version) as visit:
        assert visit.get("a.test")[0] == 400  # a visitor does


def test_each_is_counted(new_edge):
    edge = new_edge(workers=1, servers=CLIENT_CERTIFICATES + status_page.LOCATION)
    edge.apply("cert:a.test:1", f"challenge:a.test:2:token={TOKEN}", "cert:b.test:1").start()
    before = status_page.read(edge)
    answered(edge, "a.test")
    edge.refused("b.test", ctx=ca())
    edge.refused("b.test", ctx=ca())
    edge.refused("unknown.test", ctx=ca())
    gained = status_page.gained(before, status_page.read(edge))
    assert {key: value for key, value in gained.items() if key.startswith("handshakes")} == {
        "handshakes_total{challenge}": 1, "handshakes_total{unchallenged}": 2,
        "handshakes_total{unknown}": 1}
    # No key was opened for any of it.
    assert "key_open_seconds_count" not in gained


def hello_for(name):
    """A CA's first hello, as it is on the wire."""
    return hello.real(name, ca())


@pytest.mark.skipif(sanitizer.watches(herd.nginx()), reason="the sanitizer's memory would count too")
def test_strangers_leave_nothing_behind(new_edge):
    edge = new_edge(workers=1, log_level="warn")
    edge.apply(*(f"name:n{number}.test:1" for number in range(100)),
               *(f"challenge:n{number}.test:2:token={TOKEN}" for number in range(0, 100, 2))).start()
    (worker,) = edge.workers_now()

    def come(rounds):
        for number in range(rounds):
            with socket.create_connection(("127.0.0.1", edge.port["https"]), timeout=10) as stranger:
                stranger.sendall(hello_for(f"n{number % 100}.test"))
                kind = stranger.recv(1)[0]
                assert kind == (21 if number % 2 else 22), (number, kind)

    come(200)
    before, log = memory_b(worker), edge.log()
    come(2000)
    assert memory_b(worker) - before < 1 << 19
    assert edge.log() == log
