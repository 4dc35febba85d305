"""Which certificate a handshake gets, and which alert where there is none."""

import json

import pytest

from lab import ports, tls
from edge_fixture import (INTERNAL_ERROR, TLS12, TLS13, UNKNOWN_NAME,  # noqa: F401
                          mkreplica_binary, new_edge, shared_edge)

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])


@VERSIONS
def test_an_exact_name_is_served_with_its_chain(shared_edge, version):
    name = f"exact{version}.test"
    shared_edge.apply(f"cert:{name}:1")
    # The context trusts the root only: the intermediate has to be sent.
    with shared_edge.connect(name, version=version) as visitor:
        assert visitor.names == [name]
        assert visitor.echo(name)["headers"]["host"] == name


@VERSIONS
def test_a_wildcard_serves_one_label_below_its_parent(shared_edge, version):
    shared_edge.apply(f"cert:*.wild{version}.test:1")
    with shared_edge.connect(f"any.wild{version}.test", version=version) as visitor:
        assert visitor.names == [f"*.wild{version}.test"]
    assert shared_edge.refused(f"wild{version}.test", version=version) == UNKNOWN_NAME
    assert shared_edge.refused(f"a.b.wild{version}.test", version=version) == UNKNOWN_NAME


def test_an_exact_name_comes_before_the_wildcard(shared_edge):
    shared_edge.apply("cert:*.both.test:1", "cert:one.both.test:2")
    with shared_edge.connect("one.both.test") as visitor:
        assert visitor.names == ["one.both.test"]
    with shared_edge.connect("two.both.test") as visitor:
        assert visitor.names == ["*.both.test"]


def test_a_registered_name_without_a_certificate_has_its_wildcards(shared_edge):
    shared_edge.apply("cert:*.pending.test:1", "name:one.pending.test:2")
    with shared_edge.connect("one.pending.test") as visitor:
        assert visitor.names == ["*.pending.test"]


@VERSIONS
@pytest.mark.parametrize("sni", ["unknown.test", "nothing.test", None, "test"])
def test_an_unknown_name_is_refused_with_alert_112(shared_edge, version, sni):
    """nothing.test is registered and has no certificate; None: no SNI at all."""
    assert shared_edge.refused(sni, version=version) == UNKNOWN_NAME


@pytest.mark.parametrize("sni", ["Mixed.Case.TEST", "mixed.case.test.", "MIXED.case.test."])
def test_case_and_a_trailing_dot_do_not_matter(shared_edge, sni):
    shared_edge.apply_once("cert:mixed.case.test:1")
    said = shared_edge.s_client("-servername", sni)
    assert "Verify return code: 0 (ok)" in said
    assert "DNS:mixed.case.test" in said or "subject=CN=leaf" in said


@pytest.mark.parametrize("sni", [
    "*.star.test", ".star.test", "a..star.test", "a.star.test..", "a b.star.test",
    "a\tb.star.test", "ä.star.test", "[::1]", "127.0.0.1", ".", "x" * 63 + ".star.test:443",
    "/etc/passwd", "x." * 126 + "xx", "x." * 126 + "xxx", "y" * 255])
def test_what_is_no_name_is_unknown(shared_edge, sni):
    shared_edge.apply_once("cert:*.star.test:1")
    said = shared_edge.s_client("-servername", sni)
    assert "BEGIN CERTIFICATE" not in said
    assert "unrecognized name" in said or "alert number 112" in said, said


@pytest.mark.parametrize("kinds", [("p256",), ("x25519", "p256"), ("p256", "x25519")])
def test_each_kind_of_recipient_key_opens(new_edge, kinds):
    edge = new_edge(workers=1, keys=kinds)
    edge.apply("cert:kind.test:1").start()
    with edge.connect("kind.test") as visitor:
        assert visitor.names == ["kind.test"]


def test_one_of_several_recipients_is_enough(new_edge):
    edge = new_edge(workers=1)
    edge.make_key("p256", configured=False)
    edge.make_key("x25519", configured=False)
    edge.apply("cert:kind.test:1").start()
    with edge.connect("kind.test") as visitor:
        assert visitor.names == ["kind.test"]


def test_a_record_with_no_intermediates_is_served(shared_edge):
    shared_edge.apply("cert:alone.test:1:no-chain")
    said = shared_edge.s_client("-servername", "alone.test")
    assert said.count("BEGIN CERTIFICATE") == 1


def test_an_rsa_client_that_cannot_do_ecdsa_gets_nothing(shared_edge):
    shared_edge.apply("cert:onlyrsa.test:1")
    said = shared_edge.s_client("-servername", "onlyrsa.test", "-tls1_2", "-cipher", "aRSA")
    assert "BEGIN CERTIFICATE" not in said


BROKEN = {
    "sealed-for=other.test": "cannot be opened",
    "other-key": "not that of its certificate",
    "lost-chain": "intermediates are not in the replica",
}


@VERSIONS
@pytest.mark.parametrize("option", BROKEN)
def test_a_record_that_cannot_be_used_is_logged_and_never_the_placeholder(
        shared_edge, version, option):
    name = f"broken-{option.split('=')[0]}-{int(version)}.test"
    shared_edge.apply(f"cert:{name}:1:{option}")
    assert shared_edge.refused(name, version=version) == INTERNAL_ERROR
    said = shared_edge.s_client("-servername", name,
                                "-tls1_2" if version == TLS12 else "-tls1_3")
    assert "BEGIN CERTIFICATE" not in said
    lines = [line for line in shared_edge.log().splitlines() if f'"{name}"' in line]
    assert any("[error]" in line and BROKEN[option] in line for line in lines), lines
    # And once it is put right, it is served.
    shared_edge.apply(f"cert:{name}:2")
    with shared_edge.connect(name, version=version) as visitor:
        assert visitor.names == [name]


def test_a_wrong_recipient_key_is_told_and_others_go_on(new_edge):
    edge = new_edge(workers=1)
    edge.apply("cert:mine.test:1")
    other = edge.folder / "recipients-of-others"
    edge.run([mkreplica_binary(), "--make-key", "x25519", edge.folder / "other.key", other])
    edge.apply("cert:theirs.test:2", recipients=other).start()
    assert edge.refused("theirs.test") == INTERNAL_ERROR
    edge.wait_log("no certherd_recipient_key is among its recipients")
    with edge.connect("mine.test") as visitor:
        assert visitor.names == ["mine.test"]


def test_an_error_of_many_handshakes_does_not_flood_the_log(new_edge):
    edge = new_edge(workers=1, log_level="warn")
    edge.apply("cert:bad.test:1:other-key").start()
    for _ in range(60):
        assert edge.refused("bad.test") == INTERNAL_ERROR
    assert 1 <= edge.log().count('cannot serve "bad.test"') <= 30


def test_an_expired_certificate_is_served_and_told(shared_edge):
    shared_edge.apply("cert:late.test:1:days=-2")
    ctx = tls.context()
    with shared_edge.connect("late.test", ctx=ctx) as visitor:
        assert visitor.der
    shared_edge.wait_log('the certificate of "late.test" expired')


def test_http2(shared_edge):
    shared_edge.apply("cert:h2.test:1")
    status, protocol, body = shared_edge.curl("h2.test", "--http2")
    assert (status, protocol) == ("200", "2")
    assert json.loads(body)["headers"]["host"] == "h2.test"


def test_the_address_of_the_proxy_protocol_reaches_the_upstream(shared_edge):
    shared_edge.apply("cert:pp.test:1")
    with shared_edge.connect("pp.test", "proxied",
                             proxy_line="PROXY TCP4 203.0.113.9 192.0.2.1 5555 443") as visitor:
        assert visitor.echo("pp.test")["headers"]["x-real-ip"] == "203.0.113.9"


@pytest.mark.skipif(not ports.has_ipv6(), reason="no IPv6 here")
def test_ipv6(shared_edge):
    shared_edge.apply("cert:six.test:1")
    with shared_edge.connect("six.test", address="::1") as visitor:
        assert visitor.names == ["six.test"]


# -- servers of the operator's own on the same listeners ----------------------------------


@VERSIONS
@pytest.mark.parametrize("port", ["https", "mixed"])
def test_static_servers_keep_their_certificate(shared_edge, version, port):
    ctx = tls.context(shared_edge.folder / "static.pem", version)
    with shared_edge.connect("static.test", port, ctx=ctx) as visitor:
        assert "static.test" in visitor.names
        assert visitor.get("static.test")[2] == b"static"


@VERSIONS
def test_a_static_default_server_serves_unknown_names_as_ever(shared_edge, version):
    ctx = tls.context(shared_edge.folder / "static.pem", version)
    for sni in ("unknown.test", None):
        with shared_edge.connect(sni, "mixed", ctx=ctx) as visitor:
            assert "static.test" in visitor.names


@VERSIONS
def test_a_server_that_is_chosen_by_name_has_the_replica(shared_edge, version):
    names = [f"s{int(version)}.shops.test", f"r{int(version)}.regex.test"]
    shared_edge.apply(*(f"cert:{name}:{at}" for at, name in enumerate(names, 1)))
    for name in names:
        with shared_edge.connect(name, "mixed", version=version) as visitor:
            assert visitor.names == [name]
    assert shared_edge.refused("other.shops.test", "mixed", version=version) == UNKNOWN_NAME
    assert shared_edge.refused("r99.regex.test", "mixed", version=version) == UNKNOWN_NAME


def test_a_placeholder_of_the_operators_own_is_not_served_either(new_edge):
    edge = new_edge(workers=1, http_extra="""
	ssl_certificate %(folder)s/static.pem;
	ssl_certificate_key %(folder)s/static.key;""")
    edge.apply("cert:own.test:1").start()
    with edge.connect("own.test") as visitor:
        assert visitor.names == ["own.test"]
    said = edge.s_client("-servername", "unknown.test")
    assert "BEGIN CERTIFICATE" not in said and "alert number 112" in said
