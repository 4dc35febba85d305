"""Names that visitors wait for: the datagrams of nginx's workers, and the real agent between them and a store."""

import contextlib
import grp
import os
import socket
import time

import pytest

import forge
import status_page
from edge_fixture import TLS12, TLS13, UNKNOWN_NAME, new_edge  # noqa: F401
from lab import tls, wait

SERVERS = """
	server {
		listen 127.0.0.1:%(https)d ssl;
		certherd on;
		return 200 $certherd_name;
	}
	server {
		listen 127.0.0.1:%(https)d ssl;
		server_name off.test;
		certherd on;
		certherd_wanted off;
		return 200 $certherd_name;
	}
	server {
		listen 127.0.0.1:%(https)d ssl;
		server_name none.test;
		ssl_certificate %(folder)s/static.pem;
		ssl_certificate_key %(folder)s/static.key;
		return 200 static;
	}
	server {
		listen 127.0.0.1:%(http)d;
		location = /status { certherd_status; }
		location /.well-known/acme-challenge/ {
			certherd_challenge;
			add_header X-Https "$certherd_https";
		}
		location = /unseen { return 200 unseen; }
		location / { rewrite ^/old(.*)$ /new$1; return 200 "$certherd_https-"; }
	}
	server {
		listen 127.0.0.1:%(http)d;
		server_name off.test;
		certherd_wanted off;
		location / { return 200 "$certherd_https-"; }
	}
	server {
		listen 127.0.0.1:%(http)d;
		server_name none.test;
		certherd off;
		certherd_wanted on;
		location / { return 200 "$certherd_https-"; }
	}
	server { listen 127.0.0.1:%(mixed)d; listen 127.0.0.1:%(proxied)d; return 204; }
"""
FALLBACK = "\tcertherd_fallback %(folder)s/static.pem %(folder)s/static.key;"
PATH = "/.well-known/acme-challenge/"


class Listener:
    """What stands for the agent."""

    def __init__(self, edge):
        self.path = edge.folder / "replica/wanted"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        if edge.user:
            os.chown(self.path, 0, grp.getgrnam(edge.user).gr_gid)
        self.path.chmod(0o620)

    def heard(self):
        """All that has come: a handshake has told before it is answered."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.socket.recv(4096, socket.MSG_DONTWAIT).decode())
        return found

    def close(self):
        self.socket.close()
        self.path.unlink(missing_ok=True)


def make(new_edge, *operations, **options):  # noqa: F811
    edge = new_edge(**{"workers": 1, "servers": SERVERS, **options})
    edge.apply("cert:live.test:1", *operations)
    return edge.start()


@pytest.fixture
def listening():
    with contextlib.ExitStack() as ends:
        def listen(edge):
            made = Listener(edge)
            ends.callback(made.close)
            return made

        yield listen


def ask(edge, host, path="/"):
    return tls.plain_get(edge.port["http"], host, path)[0]


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])
def test_a_handshake_for_a_name_without_a_certificate_is_told_once(new_edge, listening, version):  # noqa: F811
    edge = make(new_edge, "name:wait.test:1", "name:later.test:1")
    listener = listening(edge)
    for name in ("wait.test", "WAIT.test", "later.test", "wait.test"):
        assert edge.refused(name, version=version) == UNKNOWN_NAME
    assert listener.heard() == ["wait.test", "later.test"]
    found = status_page.read(edge)
    assert (found["wanted_told_total"], found.get("wanted_left_out_total", 0)) == (2, 0)


def test_a_name_is_told_again_ten_seconds_later(new_edge, listening):  # noqa: F811
    edge = make(new_edge, "name:wait.test:1")
    listener = listening(edge)

    def again():
        edge.refused("wait.test")
        return listener.heard()

    begun = time.monotonic()
    assert again() == ["wait.test"]
    assert wait.until(again, "it is told again", 20, interval=0.5) == ["wait.test"]
    assert time.monotonic() - begun > 9


def test_nobody_waits_for_other_names(new_edge, listening):  # noqa: F811
    """A certificate of their own or of their wildcard, not registered, removed; or a CA comes."""
    edge = make(new_edge, "cert:*.wild.test:1", "name:below.wild.test:1", "name:*.bare.test:1", "name:gone.test:1",
                "name:ca.test:1")
    edge.apply("gone:gone.test:2")
    listener = listening(edge)
    for name in ("live.test", "below.wild.test", "other.wild.test"):
        edge.connect(name).__exit__()
        ask(edge, name)
    for name in ("a.bare.test", "gone.test", "unknown.test", None):
        assert edge.refused(name) == UNKNOWN_NAME
    for name in ("a.bare.test", "gone.test", "unknown.test", "127.0.0.1"):
        ask(edge, name)
    edge.refused("ca.test", ctx=tls.context(alpn=["acme-tls/1"]))
    assert listener.heard() == []
    assert status_page.read(edge)["wanted_told_total"] == 0


def test_with_a_fallback_it_is_told_too(new_edge, listening):  # noqa: F811
    edge = make(new_edge, "name:wait.test:1", http_extra=FALLBACK)
    listener = listening(edge)
    ctx = tls.context(edge.folder / "static.pem")
    for name in ("wait.test", "unknown.test"):
        with edge.connect(name, ctx=ctx) as visitor:
            assert "fallback.test" in visitor.names
            assert visitor.get(name)[0] == 200
    assert listener.heard() == ["wait.test"]


def test_requests_over_plain_http_are_told_when_the_host_is_looked_up(new_edge, listening):  # noqa: F811
    edge = make(new_edge, *(f"name:{name}.test:1" for name in ("wait", "unseen", "ca", "moved")))
    listener = listening(edge)
    assert ask(edge, "wait.test") == 200
    assert ask(edge, "Wait.Test:80") == 200
    assert ask(edge, "unseen.test", "/unseen") == 200
    for path in (PATH + "token", PATH, PATH + "x/../token"):
        ask(edge, "ca.test", path)
    assert listener.heard() == ["wait.test"]
    assert ask(edge, "moved.test", "/old/path") == 200
    assert listener.heard() == ["moved.test"]


def test_servers_where_it_is_off_tell_nothing(new_edge, listening):  # noqa: F811
    edge = make(new_edge, "name:off.test:1", "name:none.test:1")
    listener = listening(edge)
    assert edge.refused("off.test") == UNKNOWN_NAME
    edge.connect("none.test", ctx=tls.context()).__exit__()
    for name in ("off.test", "none.test"):
        assert ask(edge, name) == 200
    assert listener.heard() == []


def test_without_an_agent_nothing_is_different(new_edge, listening):  # noqa: F811
    edge = make(new_edge, "name:wait.test:1", "name:other.test:1")
    for _ in range(3):
        assert edge.refused("wait.test") == UNKNOWN_NAME
    assert status_page.read(edge)["wanted_left_out_total"] == 3
    listener = listening(edge)
    assert edge.refused("wait.test") == UNKNOWN_NAME
    assert listener.heard() == ["wait.test"]
    # One that has ended and left its socket.
    listener.socket.close()
    assert edge.refused("other.test") == UNKNOWN_NAME
    assert status_page.read(edge)["wanted_left_out_total"] == 4
    for line in edge.log().splitlines():
        assert "wanted" not in line


def test_an_agent_that_does_not_read_holds_nobody_up(new_edge, listening):  # noqa: F811
    names = [f"n{number}.test" for number in range(100)]
    edge = make(new_edge, *(f"name:{name}:1" for name in names))
    listener = listening(edge)
    begun = time.monotonic()
    for name in names:
        assert edge.refused(name) == UNKNOWN_NAME
    seconds = time.monotonic() - begun
    found = status_page.read(edge)
    assert found["wanted_told_total"] + found["wanted_left_out_total"] == 100
    heard = listener.heard()
    assert len(heard) == found["wanted_told_total"] <= 20 * (seconds + 2)
    assert heard == [name for name in names if name in heard]
    assert seconds < 20


def test_at_most_twenty_a_second_are_told(new_edge, listening):  # noqa: F811
    names = [f"n{number}.test" for number in range(300)]
    edge = make(new_edge, *(f"name:{name}:1" for name in names))
    listener = listening(edge)
    begun, heard = time.monotonic(), []
    for name in names:
        assert ask(edge, name) == 200
        heard += listener.heard()
    seconds = time.monotonic() - begun
    assert min(300, 20) <= len(heard) <= 20 * (seconds + 2)
    found = status_page.read(edge)
    assert found["wanted_left_out_total"] == 300 - len(heard)


# -- the real agent ------------------------------------------------------------------------------


class Edge:
    def __init__(self, site):
        self.site, self.herd = site, site.herd
        self.store = forge.HostileStore(site.herd).start()
        self.path = self.herd.folder / "edge/replica/wanted"

    def start(self):
        self.herd.start("agent")
        self.site.nginx.start()
        return self

    def feed(self, *names):
        self.store.feed(*[forge.name_record(number, name) for number, name in enumerate(names, 1)])
        seq = len(self.store.records)
        wait.until(lambda: self.herd.check() and self.store.acknowledged >= seq, "the agent has the names", 20)
        self.site.nginx.wait_open(self.herd.folder / "edge/replica")

    def live_on(self):
        """Waits until the agent has read its feed twice more, each time for half a second."""
        reads = self.store.reads
        wait.until(lambda: self.herd.check() and self.store.reads > reads + 2, "the feed is followed", 10)

    def refused(self, sni):
        with pytest.raises(tls.Refused):
            self.site.connect(sni, tls.context()).__exit__()


@pytest.fixture
def edge(make_site):
    site = make_site()
    site.prepare_without_ca()
    made = Edge(site)
    try:
        site.herd.set("agent", poll_wait="500ms")
        yield made
    finally:
        made.store.stop()


def test_a_visitor_is_heard_of_by_the_store(edge):
    edge.start().feed("wait.example.com", "quiet.example.com")
    edge.refused("wait.example.com")
    wait.until(lambda: edge.herd.check() and edge.store.wanted == [["wait.example.com"]],
               lambda: f"the store has heard: {edge.store.wanted}", 10)
    edge.refused("wait.example.com")
    edge.refused("unknown.example.com")
    edge.refused("quiet.example.com")
    wait.until(lambda: edge.herd.check() and len(edge.store.wanted) > 1, "the store has heard of the next", 10)
    assert edge.store.wanted == [["wait.example.com"], ["quiet.example.com"]]
    assert edge.path.stat().st_mode & 0o7777 == 0o620
    assert edge.path.stat().st_gid == (edge.herd.folder / "edge/replica").stat().st_gid


def test_what_a_taken_worker_sends_ends_at_the_agent(edge):
    edge.start().feed("wait.example.com")
    wait.until(edge.path.exists, "the agent listens", 10)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as worker:
        worker.setblocking(False)
        for bytes_ in (b"", b"\0" * 200, b"*.example.com", b"192.0.2.1", b"a" * 60000, b'x.example.com","y.example.com',
                       os.urandom(100), "bücher.example.com".encode(), b"Wait.example.com"):
            with contextlib.suppress(BlockingIOError):
                worker.sendto(bytes_, str(edge.path))
        edge.refused("wait.example.com")
    wait.until(lambda: edge.herd.check() and edge.store.wanted, "the store has heard", 10)
    assert edge.store.wanted == [["wait.example.com"]]


def test_it_can_be_switched_off(edge):
    edge.herd.set("agent", wanted="no")
    edge.start().feed("wait.example.com")
    edge.refused("wait.example.com")
    edge.live_on()
    assert not edge.path.exists() and edge.store.wanted == []


def test_a_killed_agent_leaves_nothing_in_the_way(edge):
    edge.start().feed("wait.example.com")
    wait.until(edge.path.exists, "the agent listens", 10)
    agent = next(one for one in edge.herd.running if "agent" in one.name)
    edge.herd.running.remove(agent)
    agent.kill()
    assert edge.path.exists()
    edge.refused("wait.example.com")
    agent = edge.herd.start("agent")

    def heard():
        # Within ten seconds a worker that has told, or believes so, does not tell again.
        edge.refused("wait.example.com")
        return edge.herd.check() and edge.store.wanted

    wait.until(heard, "the store has heard", 20)
    edge.herd.running.remove(agent)
    assert agent.stop(timeout=5) == 0
    assert not edge.path.exists()


def test_a_store_that_does_not_answer_keeps_no_agent_from_ending(edge):
    edge.store.wanted_wait_s = 30
    edge.start().feed("wait.example.com", "other.example.com")
    edge.refused("wait.example.com")
    wait.until(lambda: edge.herd.check() and edge.store.wanted, "the store was asked", 10)
    edge.live_on()
    agent = next(one for one in edge.herd.running if "agent" in one.name)
    edge.herd.running.remove(agent)
    assert agent.stop(timeout=3) == 0


def test_a_store_that_does_not_know_the_request_is_left_alone(edge):
    edge.store.wanted_status = 404
    names = [f"n{number}.example.com" for number in range(3)]
    edge.start().feed(*names)
    edge.refused(names[0])
    wait.until(lambda: edge.herd.check() and edge.store.wanted, "the store was asked", 10)
    for name in names[1:]:
        edge.refused(name)
        edge.live_on()
    assert edge.store.wanted == [[names[0]]]


def test_a_visitor_at_the_edge_is_known_to_the_store(make_site):
    site = make_site()
    site.prepare_without_ca()
    site.herd.set("agent", poll_wait="500ms")
    site.herd.start("store")
    site.herd.start("agent")
    site.nginx.start()
    api = site.herd.api()
    for name in ("wait.example.com", "quiet.example.com"):
        assert api.put(f"/v1/domains/{name}", {}).status == 201

    def asked():
        with pytest.raises(tls.Refused):
            site.connect("wait.example.com", tls.context()).__exit__()
        return site.herd.check() and api.get("/v1/domains/wait.example.com").json["wanted_at"]

    wait.until(asked, "the store knows that somebody waits", 20)
    assert api.get("/v1/domains/quiet.example.com").json["wanted_at"] is None
