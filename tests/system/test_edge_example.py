"""doc/examples/nginx.conf, with nothing changed but addresses, paths and the account."""

import json
import pathlib
import re
import socket

import pytest

from lab import herd, ports, tls
from edge_fixture import THUMBPRINTS, UNKNOWN_NAME, Edge, check_no_crash, nginx_version

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "doc/examples/nginx.conf"
VISITOR = "PROXY TCP4 203.0.113.9 192.0.2.1 5555 443"


class ExampleEdge(Edge):
    def write_config(self):
        text = EXAMPLE.read_text()
        changes = [
            ("/usr/local/lib/nginx/modules/ngx_http_certherd_module.so", str(herd.module())),
            ("user www-data;", f"user {self.user};" if self.user else ""),
            ("worker_rlimit_nofile 65536;", ""),
            ("worker_processes auto;", f"worker_processes {self.workers}; daemon off;"),
            ("/var/log/nginx/error.log warn", f"{self.folder}/error.log info"),
            ("/run/nginx.pid", f"{self.folder}/nginx.pid"),
            ("/etc/certherd/edge/replica", f"{self.folder}/replica"),
            ("/etc/certherd/edge/recipient.key", str(self.keys[0])),
            ("A" * 43, THUMBPRINTS[0]),
            ("10.0.0.0/8", "127.0.0.0/8"), ("fd00::/8", "::1"),
            ("127.0.0.1:8081", f"127.0.0.1:{self.port['mixed']}"),
            ("10.0.0.80:8080", f"127.0.0.1:{self.upstream.port}"),
            ("http {\n", "http {\n" + "".join(
                f"\t{kind}_temp_path {self.folder}/tmp-{kind};\n"
                for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
             + "\taccess_log off;\n"),
        ]
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        for number, port in (("80", self.port["http"]), ("443", self.port["https"])):
            text, count = re.subn(rf"(?m)^(\t\tlisten )\[::\]:{number} ", rf"\g<1>[::1]:{port} ", text)
            assert count == 1
            text, count = re.subn(rf"(?m)^(\t\tlisten ){number} ", rf"\g<1>127.0.0.1:{port} ", text)
            assert count == 1
        if not ports.has_ipv6():
            text = re.sub(r"(?m)^\t\tlisten \[::1\].*\n", "", text)
        if nginx_version() >= (1, 25, 1):
            text = text.replace(" ssl http2 ", " ssl ").replace("certherd on;", "certherd on; http2 on;")
        (self.folder / "nginx.conf").write_text(text)
        return self.folder / "nginx.conf"


@pytest.fixture(scope="module")
def edge():
    made = ExampleEdge(workers=1)
    del made.port["proxied"]
    made.apply("cert:live.test:1", "name:new.test:2").start()
    yield made
    check_no_crash(made.stop())


def plain(edge, host, path="/", line=VISITOR, address="127.0.0.1"):
    import http.client
    with socket.create_connection((address, edge.port["http"]), 10) as raw:
        raw.sendall(f"{line}\r\nGET {path} HTTP/1.1\r\nHost: {host}\r\n"
                    "X-Forwarded-For: 198.51.100.7\r\nConnection: close\r\n\r\n".encode())
        answer = http.client.HTTPResponse(raw)
        answer.begin()
        return answer.status, answer.headers, answer.read()


def test_https_is_served_with_what_the_upstream_needs(edge):
    with edge.connect("live.test", proxy_line=VISITOR) as visitor:
        assert visitor.names == ["live.test"]
        headers = visitor.echo("live.test", headers={"X-Forwarded-For": "198.51.100.7"})["headers"]
    assert headers["host"] == "live.test"
    assert headers["x-forwarded-for"] == "203.0.113.9"
    assert headers["x-forwarded-proto"] == "https"


@pytest.mark.skipif(not ports.has_ipv6(), reason="no IPv6 here")
def test_ipv6(edge):
    with edge.connect("live.test", address="::1",
                      proxy_line="PROXY TCP6 2001:db8::9 2001:db8::1 5555 443") as visitor:
        assert visitor.echo("live.test")["headers"]["x-forwarded-for"] == "2001:db8::9"
    assert plain(edge, "new.test", address="::1")[0] == 200


def test_http2_is_offered(edge):
    ctx = tls.context(edge.root, alpn=["h2", "http/1.1"])
    with edge.connect("live.test", ctx=ctx, proxy_line=VISITOR) as visitor:
        assert visitor.sock.selected_alpn_protocol() == "h2"


def test_an_unknown_name_is_refused(edge):
    assert edge.refused("unknown.test", proxy_line=VISITOR) == UNKNOWN_NAME


def test_port_80_redirects_names_that_are_live(edge):
    status, headers, _ = plain(edge, "live.test", "/a?b=c")
    assert (status, headers["Location"]) == (308, "https://live.test/a?b=c")


def test_the_policy_of_a_name_holds_on_both_ports(edge):
    edge.apply("cert:www.pol.test:11:names=www.pol.test", "cert:pol.test:12",
               "policy:www.pol.test:13:redirect=pol.test", "policy:pol.test:14:hsts=max-age=300")
    status, headers, _ = plain(edge, "www.pol.test", "/a?b=c")
    assert (status, headers["Location"]) == (308, "https://pol.test/a?b=c")
    with edge.connect("www.pol.test", proxy_line=VISITOR) as visitor:
        status, headers, _ = visitor.get("www.pol.test")
    assert (status, headers["Location"]) == (308, "https://pol.test/")
    with edge.connect("pol.test", proxy_line=VISITOR) as visitor:
        status, headers, _ = visitor.get("pol.test")
    assert (status, headers["Strict-Transport-Security"]) == (200, "max-age=300")
    with edge.connect("live.test", proxy_line=VISITOR) as visitor:
        status, headers, _ = visitor.get("live.test")
    assert status == 200 and "Strict-Transport-Security" not in headers


@pytest.mark.parametrize("host", ["new.test", "unknown.test", "127.0.0.1"])
def test_port_80_serves_the_others_as_they_are(edge, host):
    status, _, body = plain(edge, host)
    headers = json.loads(body)["headers"]
    assert status == 200
    assert (headers["host"], headers["x-forwarded-proto"]) == (host, "http")
    assert headers["x-forwarded-for"] == "203.0.113.9"


def test_port_80_answers_challenges_of_registered_names(edge):
    path = "/.well-known/acme-challenge/token-1"
    for host in ("new.test", "live.test"):
        assert plain(edge, host, path)[2].decode() == f"token-1.{THUMBPRINTS[0]}"
    assert plain(edge, "unknown.test", path)[0] == 404


def test_the_monitoring_has_its_figures(edge):
    status, _, body = tls.plain_get(edge.port["mixed"], "localhost", "/metrics")
    assert status == 200 and b"\ncertherd_edge_workers 1\n" in body
    # Not where visitors are.
    assert b"certherd_edge" not in plain(edge, "live.test", "/metrics")[2]
