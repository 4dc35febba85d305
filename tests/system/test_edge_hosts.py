"""What goes by the Host header: 421, the variables, challenges, the fallback."""

import http.client
import socket

import pytest

from lab import tls
from edge_fixture import (HINTS, THUMBPRINTS, TLS12, TLS13, UNKNOWN_NAME,  # noqa: F401
                          new_edge, shared_edge)

VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])


def test_a_host_that_the_certificate_does_not_cover_gets_421(shared_edge):
    shared_edge.apply("cert:a421.test:1:names=a421.test+www.a421.test", "cert:b421.test:2",
                      "cert:*.w421.test:3", "cert:www.a421.test:4:names=www.a421.test+a421.test")
    with shared_edge.connect("a421.test") as visitor:
        for host, status in [
                ("a421.test", 200), ("www.a421.test", 200), ("A421.TEST", 200),
                ("a421.test:443", 200), ("a421.test.", 200), ("b421.test", 421),
                ("x.w421.test", 421), ("unknown.test", 421), ("127.0.0.1", 421),
                ("x.a421.test", 421), ("[::1]", 421), ("a421.test", 200)]:
            assert visitor.get(host)[0] == status, host
    with shared_edge.connect("x.w421.test") as visitor:
        assert visitor.get("x.w421.test")[0] == 200
        assert visitor.get("y.w421.test")[0] == 200
        assert visitor.get("a.b.w421.test")[0] == 421
        assert visitor.get("w421.test")[0] == 421


def test_421_over_http2(shared_edge):
    shared_edge.apply("cert:h421.test:1")
    assert shared_edge.curl("h421.test", "--http2")[:2] == ("200", "2")
    assert shared_edge.curl("other.test", "--http2", sni="h421.test")[:2] == ("421", "2")


def test_421_comes_before_a_return_in_the_configuration(new_edge):
    edge = new_edge(workers=1, servers="""
	server {
		listen 127.0.0.1:%(https)d ssl;
		certherd on;
		return 204;
	}
	server { listen 127.0.0.1:%(http)d; listen 127.0.0.1:%(mixed)d;
		listen 127.0.0.1:%(proxied)d; return 204; }
""")
    edge.apply("cert:one.test:1").start()
    with edge.connect("one.test") as visitor:
        assert visitor.get("one.test")[0] == 204
        assert visitor.get("two.test")[0] == 421


def test_a_custom_domain_is_not_had_over_the_certificate_of_a_static_server(shared_edge):
    shared_edge.apply("cert:front.test:1", "cert:front.shops.test:2")
    ctx = tls.context(shared_edge.folder / "static.pem")
    with shared_edge.connect("static.test", ctx=ctx) as visitor:
        assert visitor.get("static.test")[2] == b"static"
        assert visitor.get("front.test")[0] == 421
    with shared_edge.connect("static.test", "mixed", ctx=ctx) as visitor:
        assert visitor.get("front.shops.test")[0] == 421


def test_http_1_0_without_a_host_is_answered(shared_edge):
    shared_edge.apply("cert:old.test:1")
    with shared_edge.connect("old.test") as visitor:
        visitor.sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = http.client.HTTPResponse(visitor.sock)
        answer.begin()
        assert answer.status == 200


# -- variables ------------------------------------------------------------------------------


def asked(edge, host, path="/", method="GET", body=None):
    connection = http.client.HTTPConnection("127.0.0.1", edge.port["http"], timeout=10)
    connection.request(method, path, body, headers={"Host": host})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def variables(edge, host):
    import json
    status, _, body = asked(edge, host)
    assert status == 200
    headers = json.loads(body)["headers"]
    return tuple(headers.get(f"x-certherd-{name}", "") for name in ("name", "https", "not-after"))


def test_variables(shared_edge):
    shared_edge.apply("cert:var.test:1", "name:named.var.test:2", "cert:*.star.var.test:3",
                      "name:one.star.var.test:4", "cert:late.var.test:5:days=-1",
                      "cert:gone.var.test:6", "gone:gone.var.test:7")
    for host in ("var.test", "VAR.test", "var.test:8080", "var.test."):
        name, https, not_after = variables(shared_edge, host)
        assert (name, https) == ("var.test", "1")
        assert int(not_after) > 0
    assert variables(shared_edge, "named.var.test") == ("named.var.test", "", "")
    assert variables(shared_edge, "x.star.var.test")[:2] == ("*.star.var.test", "1")
    assert variables(shared_edge, "one.star.var.test")[:2] == ("one.star.var.test", "1")
    name, https, not_after = variables(shared_edge, "late.var.test")
    assert (name, https) == ("late.var.test", "") and int(not_after) > 0
    for host in ("unknown.var.test", "gone.var.test", "127.0.0.1", "*.star.var.test"):
        assert variables(shared_edge, host) == ("", "", "")


# -- policy ---------------------------------------------------------------------------------

WORDS = ("tenant", "upstream", "hsts", "redirect")


def policy(edge, host, sni=None):
    """What the platform is told; sni: over HTTPS."""
    import json
    if sni:
        with edge.connect(sni) as visitor:
            status, _, body = visitor.get(host)
    else:
        status, _, body = asked(edge, host)
    assert status == 200
    headers = json.loads(body)["headers"]
    return tuple(headers.get(f"x-certherd-{word}", "") for word in WORDS)


def test_the_policy_of_a_name(shared_edge):
    shared_edge.apply(
        "cert:pol.test:1", "policy:pol.test:2:tenant=t1:upstream=eu-1:hsts=max-age=300; preload",
        "cert:plain.pol.test:3", "name:soon.pol.test:4",
        "policy:soon.pol.test:5:tenant=t2:hsts=max-age=1", "cert:*.star.pol.test:6",
        "policy:*.star.pol.test:7:tenant=t3:upstream=us-1")
    assert policy(shared_edge, "pol.test") == ("t1", "eu-1", "", "https://pol.test")
    assert policy(shared_edge, "POL.test.", "pol.test") == ("t1", "eu-1", "max-age=300; preload", "")
    assert policy(shared_edge, "plain.pol.test") == ("default", "", "", "https://plain.pol.test")
    assert policy(shared_edge, "plain.pol.test", "plain.pol.test") == ("default", "", "", "")
    # Without a certificate nobody is sent to HTTPS, nor told to stay there.
    assert policy(shared_edge, "soon.pol.test") == ("t2", "", "", "")
    assert policy(shared_edge, "x.star.pol.test") == ("t3", "us-1", "", "https://x.star.pol.test")
    assert policy(shared_edge, "unknown.pol.test") == ("", "", "", "")


def test_a_changed_policy_holds_from_the_next_request_on(shared_edge):
    shared_edge.apply("cert:new.pol.test:1", "policy:new.pol.test:2:upstream=eu-1")
    assert policy(shared_edge, "new.pol.test")[1] == "eu-1"
    shared_edge.apply("policy:new.pol.test:3:upstream=us-1")
    assert policy(shared_edge, "new.pol.test")[1] == "us-1"
    shared_edge.apply("policy:new.pol.test:4")
    assert policy(shared_edge, "new.pol.test")[1] == ""
    shared_edge.apply("policy:new.pol.test:5:upstream=us-2", "gone:new.pol.test:6",
                      "cert:new.pol.test:7")
    assert policy(shared_edge, "new.pol.test")[:2] == ("default", "")


REDIRECTS = (
    "cert:red.test:1", "cert:www.red.test:2", "policy:www.red.test:3:redirect=red.test",
    "cert:stay.red.test:4", "policy:stay.red.test:5:redirect=none",
    "cert:self.red.test:6", "policy:self.red.test:7:redirect=self.red.test",
    "name:later.red.test:8", "cert:to-later.red.test:9",
    "policy:to-later.red.test:10:redirect=later.red.test",
    "cert:away.red.test:11", "policy:away.red.test:12:redirect=elsewhere.example",
    "cert:late.red.test:13:days=-1", "name:early.red.test:14",
    "policy:early.red.test:15:redirect=red.test",
    "cert:to-late.red.test:16", "policy:to-late.red.test:17:redirect=late.red.test",
    "cert:*.w.red.test:18", "cert:to-w.red.test:19", "policy:to-w.red.test:20:redirect=a.w.red.test")


def check_redirects(edge, plain, over_https):
    for host, want in plain.items():
        assert policy(edge, host)[3] == want, host
    # Over HTTPS: on to another name, never off HTTPS, never in a circle.
    for host, want in over_https.items():
        assert policy(edge, host, host)[3] == want, host


def test_where_visitors_are_redirected(shared_edge):
    shared_edge.apply(*REDIRECTS)
    check_redirects(shared_edge, {
        "www.red.test": "https://red.test", "stay.red.test": "",
        "self.red.test": "https://self.red.test", "late.red.test": "",
        "early.red.test": "https://red.test", "to-late.red.test": "http://late.red.test",
        "to-w.red.test": "https://a.w.red.test",
        # Nobody but the store says that these are anybody's of ours.
        "to-later.red.test": "", "away.red.test": ""}, {
        "www.red.test": "https://red.test", "red.test": "", "stay.red.test": "",
        "self.red.test": "", "to-later.red.test": "", "away.red.test": "",
        "to-late.red.test": "", "to-w.red.test": "https://a.w.red.test"})


def test_redirects_to_other_names_must_be_asked_for(new_edge):
    edge = new_edge(workers=1, http_extra="\tcertherd_redirect_any on;").apply(*REDIRECTS).start()
    check_redirects(edge, {
        "www.red.test": "https://red.test", "stay.red.test": "",
        "to-later.red.test": "http://later.red.test",
        "away.red.test": "https://elsewhere.example"}, {
        "www.red.test": "https://red.test", "to-later.red.test": "",
        "away.red.test": "https://elsewhere.example"})


def test_a_redirect_that_leads_back_is_not_served(new_edge):
    """Not after a name went whose wildcard sends its visitors on, whatever the store said before."""
    edge = new_edge(workers=1).apply(
        "cert:*.ring.test:1", "policy:*.ring.test:2:redirect=red.test", "cert:red.test:3",
        "policy:red.test:4:redirect=blue.test", "cert:blue.test:5", "policy:blue.test:6:redirect=one.ring.test",
        "cert:one.ring.test:7").start()
    on = {"two.ring.test": "https://red.test", "red.test": "https://blue.test", "blue.test": "https://one.ring.test"}
    check_redirects(edge, {**on, "one.ring.test": "https://one.ring.test"}, {**on, "one.ring.test": ""})
    edge.apply("gone:one.ring.test:8")
    in_the_ring = ("one.ring.test", "red.test", "blue.test")
    check_redirects(edge, {host: f"https://{host}" for host in in_the_ring}, {host: "" for host in in_the_ring})
    assert '"blue.test" is not redirected to "one.ring.test", which leads back to it' in edge.log()
    # Its visitors get into the ring, and stay there.
    check_redirects(edge, {}, {"two.ring.test": "https://red.test"})
    # What has no certificate sends nobody on.
    edge.apply("gone:blue.test:9", "name:blue.test:10", "policy:blue.test:11:redirect=one.ring.test")
    check_redirects(edge, {}, {"one.ring.test": "https://red.test", "red.test": ""})


@pytest.mark.parametrize("redirect_any", ["off", "on"])
def test_what_is_no_policy_is_not_used(new_edge, redirect_any):
    """The agent takes none over: these were in the replica before, or are a taken agent's."""
    bad = ("redirect=evil.example/x?", "redirect=red.test/", "redirect=u@red.test", "redirect=RED.test",
           "redirect=red.test.", "redirect=192.0.2.1", "hsts=max-age=1; evil", "upstream=$evil",
           "tenant=a/b")
    edge = new_edge(workers=1, http_extra=f"\tcertherd_redirect_any {redirect_any};")
    edge.apply("cert:red.test:1", "cert:bad.test:2").start()
    for version, text in enumerate(bad, 3):
        edge.apply(f"policy:bad.test:{version}:{text}")
        assert policy(edge, "bad.test") == ("default", "", "", "https://bad.test"), text
        assert policy(edge, "bad.test", "bad.test") == ("default", "", "", ""), text
    edge.apply("policy:bad.test:100:tenant=a/b:upstream=u1:hsts=max-age=5:redirect=red.test")
    assert policy(edge, "bad.test", "bad.test") == ("default", "u1", "max-age=5", "https://red.test")


# -- challenges -------------------------------------------------------------------------------

PREFIX = "/.well-known/acme-challenge/"
TOKEN = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"


def test_a_challenge_of_a_registered_name_is_answered(shared_edge):
    shared_edge.apply("name:chal.test:1", "cert:live.chal.test:2",
                      f"name:first.chal.test:3:hint={HINTS[0]}",
                      f"name:second.chal.test:4:hint={HINTS[1]}")
    for host, print_ in [("chal.test", 0), ("CHAL.test:80", 0), ("live.chal.test", 0),
                         ("first.chal.test", 0), ("second.chal.test", 1)]:
        status, headers, body = asked(shared_edge, host, PREFIX + TOKEN)
        assert (status, body.decode()) == (200, f"{TOKEN}.{THUMBPRINTS[print_]}"), host
        assert headers["Content-Type"] == "text/plain"
    for token in ("a", "-", "_", "A" * 128):
        assert asked(shared_edge, "chal.test", PREFIX + token)[0] == 200
    assert asked(shared_edge, "chal.test", PREFIX + TOKEN + "?x=1")[0] == 200


def test_head_has_the_length_and_no_body(shared_edge):
    shared_edge.apply("name:head.test:1")
    status, headers, body = asked(shared_edge, "head.test", PREFIX + TOKEN, "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) == len(TOKEN) + 1 + 43


@pytest.mark.parametrize("path", [
    "", "A" * 129, "a.b", "a/b", "a%2fb", "../secret", "a%00b", "a b", "a+b", "a=", "a%0d%0aX",
    "%e2%82%ac", "..%2f..%2fetc%2fpasswd", "a~"])
def test_what_is_no_token_is_not_found(shared_edge, path):
    shared_edge.apply_once("name:tok.test:1")
    with socket.create_connection(("127.0.0.1", shared_edge.port["http"]), 10) as raw:
        raw.sendall(f"GET {PREFIX}{path} HTTP/1.1\r\nHost: tok.test\r\n\r\n".encode())
        answer = http.client.HTTPResponse(raw)
        answer.begin()
        body = answer.read()
    assert THUMBPRINTS[0].encode() not in body
    if path != "../secret" and path != "a b" and "%00" not in path and "%2f" not in path:
        assert (answer.status, body) == (404, b"not found\n")
        assert answer.headers["Content-Type"] == "text/plain"


def test_only_registered_names_are_answered_for(shared_edge):
    shared_edge.apply("cert:*.reg.test:1", "name:gone.reg.test:2", "gone:gone.reg.test:3",
                      "name:foreign.reg.test:4:hint=ffffffffffffffff")
    for host in ("reg.test", "below.reg.test", "gone.reg.test", "unknown.test", "*.reg.test",
                 "127.0.0.1", "foreign.reg.test"):
        status, _, body = asked(shared_edge, host, PREFIX + TOKEN)
        assert (status, body) == (404, b"not found\n"), host
    shared_edge.wait_log('the order of "foreign.reg.test" is under an account')


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_other_methods_are_not_answered(shared_edge, method):
    shared_edge.apply_once("name:meth.test:1")
    status, _, body = asked(shared_edge, "meth.test", PREFIX + TOKEN, method, body=b"x" * 1000)
    assert (status, body) == (404, b"not found\n")


# -- the fallback ------------------------------------------------------------------------------


@VERSIONS
def test_the_fallback_is_served_to_unknown_names(new_edge, version):
    edge = new_edge(workers=1, http_extra="\tcertherd_fallback %(folder)s/static.pem "
                                          "%(folder)s/static.key;")
    edge.apply("cert:known.test:1", "name:pending.test:2").start()
    ctx = tls.context(edge.folder / "static.pem", version)
    for sni in ("unknown.test", "pending.test", None, "fallback.test"):
        with edge.connect(sni, ctx=ctx) as visitor:
            assert "fallback.test" in visitor.names
            assert visitor.get("fallback.test")[0] == 200
            assert visitor.get(sni or "203.0.113.5")[0] == 200
            # It is no way round to a name that has a certificate.
            assert visitor.get("known.test")[0] == 421
    with edge.connect("unknown.test", ctx=ctx) as visitor:
        assert visitor.get("another.test")[0] == 421
    with edge.connect(None, ctx=ctx) as visitor:
        assert visitor.get("unknown.test")[0] == 200
    with edge.connect("known.test", version=version) as visitor:
        assert visitor.names == ["known.test"]
    # A broken record is no unknown name.
    edge.apply("cert:broken.test:3:other-key")
    assert edge.refused("broken.test", version=version) == "TLSV1_ALERT_INTERNAL_ERROR"
