"""HTTP/3: the same certificates over QUIC, where this nginx and this curl speak it (Debian 13)."""

import subprocess

import pytest

from lab import herd
from edge_fixture import check_no_crash, new_edge  # noqa: F401

_SERVERS = """\
	server {
		listen 127.0.0.1:%(https)d ssl;
		listen 127.0.0.1:%(https)d quic reuseport;
		certherd on;
		location / {
			add_header Alt-Svc 'h3=":%(https)d"; ma=86400';
			add_header X-Name $certherd_name always;
			return 200 "$server_protocol $certherd_https";
		}
	}
	server { listen 127.0.0.1:%(proxied)d; return 404; }
	server { listen 127.0.0.1:%(mixed)d; return 404; }
	server { listen 127.0.0.1:%(http)d; return 404; }
"""


def _says(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    return done.stdout + done.stderr


pytestmark = [
    pytest.mark.skipif("http_v3_module" not in _says(herd.nginx(), "-V"),
                       reason="this nginx is built without HTTP/3 (it is there from 1.25 on)"),
    pytest.mark.skipif("HTTP3" not in _says("curl", "-V"),
                       reason="this curl is built without HTTP/3")]


@pytest.fixture
def edge(new_edge):
    return new_edge(workers=1, servers=_SERVERS).apply(
        "cert:a.test:1", "cert:b.test:2", "name:waiting.test:3").start()


def h3(edge, host, *words, sni=None):
    """(status, protocol, body) over QUIC."""
    return edge.curl(host, "--http3-only", *words, sni=sni)


def test_a_name_is_served_over_quic(edge):
    assert h3(edge, "a.test") == ("200", "3", "HTTP/3.0 1")
    assert h3(edge, "b.test") == ("200", "3", "HTTP/3.0 1")


def test_the_same_over_tcp(edge):
    assert edge.curl("a.test")[0] == "200"


def test_no_challenge_is_answered_over_quic(edge):
    """RFC 8737 section 3 wants TCP: over that it is."""
    edge.apply("challenge:a.test:4:token=abc")

    def certificates(protocol, *words):
        return edge.s_client("-servername", "a.test", "-alpn", protocol, *words).count("BEGIN CERT")

    if not certificates("h3", "-quic"):
        pytest.skip("this openssl speaks no QUIC")
    assert certificates("acme-tls/1", "-quic") == 0
    assert certificates("acme-tls/1") == 1


@pytest.mark.parametrize("name", ["waiting.test", "unknown.test"])
def test_names_without_a_certificate_are_refused(edge, name):
    assert h3(edge, name)[0] == "000"
    assert h3(edge, "a.test")[0] == "200"


def test_a_renewed_certificate_is_shown_at_the_next_handshake(edge):
    def expires():
        return [line for line in _says(
            "curl", "-sv", "--http3-only", "--cacert", str(edge.root), "--resolve",
            f"a.test:{edge.port['https']}:127.0.0.1", "-o", "/dev/null", "-w", "%{certs}",
            f"https://a.test:{edge.port['https']}/").splitlines() if "Serial Number" in line]

    before = expires()
    edge.apply("cert:a.test:10")
    assert before and expires() != before


def test_a_removed_name_is_refused_at_the_next_handshake(edge):
    assert h3(edge, "a.test")[0] == "200"
    edge.apply("gone:a.test:10")
    assert h3(edge, "a.test")[0] == "000"


def test_another_host_on_the_connection_is_misdirected(edge):
    assert h3(edge, "b.test", sni="a.test")[0] == "421"
    assert h3(edge, "a.test", sni="a.test")[0] == "200"


def test_many_requests_over_one_connection(edge):
    """Each stream of QUIC has a pool of its own: what one request leaves must not be another's."""
    # A curl with several URLs hangs now and then with an nginx, any nginx, of a moment ago.
    assert h3(edge, "a.test")[0] == "200"
    url = f"https://a.test:{edge.port['https']}/"
    done = subprocess.run(
        ["curl", "-s", "--http3-only", "--cacert", str(edge.root), "--resolve",
         f"a.test:{edge.port['https']}:127.0.0.1", "-w", "%{http_code}\n",
         *[word for _ in range(50) for word in ("-o", "/dev/null", url)]],
        capture_output=True, text=True, timeout=30)
    assert done.stdout.split() == ["200"] * 50
