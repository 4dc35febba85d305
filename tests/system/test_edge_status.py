"""certherd_status: figures for Prometheus, of all workers together."""

import http.client
import os
import signal
import ssl
import time

import pytest

import status_page
from lab import tls, wait
from edge_fixture import (INTERNAL_ERROR, TLS12, TLS13, UNKNOWN_NAME,  # noqa: F401
                          new_edge)
from test_edge_unknown import Strangers

SERVERS = """
	server {
		listen 127.0.0.1:%(https)d ssl;
		certherd on;
		return 200 $certherd_name;
	}
""" + status_page.LOCATION

FALLBACK = "\tcertherd_fallback %(folder)s/static.pem %(folder)s/static.key;"
RESULTS = {"served", "resumed", "fallback", "unknown", "failed", "unreadable", "challenge",
           "unchallenged"}


def make(new_edge, **options):  # noqa: F811
    return new_edge(**{"workers": 1, "servers": SERVERS, **options})


def ask(edge, method, path="/status"):
    connection = http.client.HTTPConnection("127.0.0.1", edge.port["http"], timeout=10)
    try:
        connection.request(method, path, body=b"x" if method == "POST" else None)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_the_text_is_prometheus_own(new_edge):  # noqa: F811
    edge = make(new_edge)
    edge.apply("cert:some.test:1").start()
    status, headers, body = ask(edge, "GET")
    assert status == 200
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = status_page.parse(body.decode("ascii"))
    assert {key for key in found if key.startswith("handshakes")} == {
        f"handshakes_total{{{result}}}" for result in RESULTS}
    assert found["key_open_seconds_count"] == 0 == found["key_open_seconds_sum"]
    status, headers, nothing = ask(edge, "HEAD")
    assert (status, nothing) == (200, b"")
    assert headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_but_get_and_head(new_edge, method):  # noqa: F811
    edge = make(new_edge)
    edge.apply("cert:some.test:1").start()
    status, _, body = ask(edge, method)
    assert status == 405 and b"certherd_edge" not in body


def test_there_is_no_status_without_a_replica(new_edge):  # noqa: F811
    status, said = new_edge(certherd="", servers=status_page.LOCATION).test_config()
    assert status != 0 and '"certherd_status" needs "certherd_replica"' in said, said


def visit(edge, name, ctx, session=None):
    with edge.connect(name, ctx=ctx, session=session) as visitor:
        assert visitor.get(name)[0] in (200, 421)
        return visitor.sock.session


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])
def test_handshakes_are_counted_by_their_result(new_edge, version):  # noqa: F811
    edge = make(new_edge)
    edge.apply("cert:good.test:1", "cert:bad.test:2:other-key", "name:none.test:3").start()
    ctx = tls.context(edge.root, version)
    before = status_page.read(edge)
    session = visit(edge, "good.test", ctx)
    visit(edge, "good.test", ctx)
    for _ in range(3):
        visit(edge, "good.test", ctx, session)
    assert edge.refused("bad.test", version=version) == INTERNAL_ERROR
    for name in ("none.test", "never.test", None, "a.good.test"):
        assert edge.refused(name, version=version) == UNKNOWN_NAME
    gained = status_page.gained(before, status_page.read(edge))
    assert {key: value for key, value in gained.items() if "handshakes" in key} == {
        "handshakes_total{served}": 2, "handshakes_total{resumed}": 3,
        "handshakes_total{failed}": 1, "handshakes_total{unknown}": 4}
    assert gained["unknown_names_total"] == 4
    assert gained["cache_misses_total"] == 2
    assert gained["cache_hits_total"] == 1
    assert gained["key_open_seconds_count"] == 1
    assert 0 < gained["key_open_seconds_sum"] < 10
    assert gained["key_open_failures_total"] == 1
    assert gained["cache_entries"] == 1
    assert "expired_served_total" not in gained


def test_a_second_hello_is_no_second_handshake(new_edge):  # noqa: F811
    edge = make(new_edge, http_extra="\tssl_ecdh_curve secp384r1;")
    edge.apply("cert:retry.test:1").start()
    ctx = tls.context(edge.root, TLS13)  # its share is for another group
    visit(edge, "retry.test", ctx)
    found = status_page.read(edge)
    assert sum(found[f"handshakes_total{{{result}}}"] for result in RESULTS) == 1


def test_the_fallback_is_counted_and_its_names_are_unknown(new_edge):  # noqa: F811
    edge = make(new_edge, http_extra=FALLBACK)
    edge.apply("cert:some.test:1").start()
    ctx = tls.context(edge.folder / "static.pem", TLS13)
    session = visit(edge, "unknown.test", ctx)
    visit(edge, "unknown.test", ctx, session)
    found = status_page.read(edge)
    assert found["handshakes_total{fallback}"] == 1 == found["handshakes_total{resumed}"]
    assert found["unknown_names_total"] == 2
    assert found["handshakes_total{unknown}"] == 0


def test_no_name_is_ever_told(new_edge):  # noqa: F811
    edge = make(new_edge)
    edge.apply(*(f"cert:secret{i}.shop.test:{i + 1}" for i in range(20)),
               "policy:secret1.shop.test:50:tenant=acmetenant").start()
    ctx = tls.context(edge.root)
    before = status_page.text(edge)
    for i in range(20):
        visit(edge, f"secret{i}.shop.test", ctx)
    assert edge.refused("strange.shop.test") == UNKNOWN_NAME
    after = status_page.text(edge)
    for word in ("shop", "secret", "strange", "acmetenant", str(edge.folder)):
        assert word not in after
    # As many lines as before, but for the end of a certificate.
    assert len(after.splitlines()) == len(before.splitlines()) + 1


def test_certificates_in_use_and_their_end(new_edge):  # noqa: F811
    edge = make(new_edge)
    edge.apply("cert:soon.test:1:days=5", "cert:later.test:2:days=50",
               "cert:idle.test:3:days=1").start()
    assert "next_expiry_timestamp_seconds" not in status_page.read(edge)
    ends = {}
    for name in ("later.test", "soon.test", "later.test"):
        with edge.connect(name) as visitor:
            ends[name] = ssl.cert_time_to_seconds(visitor.sock.getpeercert()["notAfter"])
        found = status_page.read(edge)
        assert found["next_expiry_timestamp_seconds"] == min(ends.values())
    assert found["expired_served_total"] == 0
    edge.apply("cert:late.test:4:days=-2")
    for _ in range(2):
        edge.connect("late.test", ctx=tls.context()).__exit__()
    found = status_page.read(edge)
    assert found["next_expiry_timestamp_seconds"] < time.time() - 86400
    assert found["expired_served_total"] == 2


def test_the_replica_and_its_age(new_edge):  # noqa: F811
    edge = make(new_edge, workers=2).start()
    found = status_page.read(edge)
    assert found["replica_open"] == 0
    assert not {"replica_sequence", "replica_age_seconds", "feed_age_seconds"} & set(found)
    edge.apply("cert:one.test:41")
    edge.wait_log("opened the live generation", 2)
    found = status_page.read(edge)
    assert (found["replica_open"], found["replica_sequence"]) == (1, 41)
    assert 0 <= found["replica_age_seconds"] < 600
    edge.apply("cert:two.test:42")
    assert status_page.read(edge)["replica_sequence"] == 42
    # What the files say is told, whichever way the clock went.
    data, = edge.folder.glob("replica/f1-*/data.mdb")
    now = time.time()
    os.utime(data, (now - 5000, now - 5000))
    os.utime(edge.folder / "replica/writer.lock", (now + 5000, now + 5000))
    found = status_page.read(edge)
    assert 5000 <= found["replica_age_seconds"] < 6000
    assert found["feed_age_seconds"] == 0


def test_the_age_of_the_ticket_key(new_edge):  # noqa: F811
    edge = make(new_edge).start()
    assert "ticket_key_age_seconds" not in status_page.read(edge)
    edge.apply("cert:one.test:1", "tickets:default:1:a=-600..3600")
    wait.until(lambda: "ticket_key_age_seconds" in status_page.read(edge), edge.log)
    assert 600 <= status_page.read(edge)["ticket_key_age_seconds"] < 1200


# -- the cache ----------------------------------------------------------------------------------


def test_names_in_use_outlast_a_sweep(new_edge):  # noqa: F811
    """Measured by hits.  The cache holds about 140 names."""
    edge = make(new_edge, http_extra="\tcertherd_cache 1m;")
    edge.apply("many:sweep.test:700:1").start()
    hot = 40
    for _ in range(4):
        edge.load("sweep.test", hot, **{"from": 0, "count": hot})
    at, hits = hot, 0
    while at < 700:
        edge.load("sweep.test", 700, **{"from": at, "count": 60})
        at += 60
        before = status_page.read(edge)
        edge.load("sweep.test", hot, **{"from": 0, "count": hot})
        after = status_page.read(edge)
        hits += after["cache_hits_total"] - before["cache_hits_total"]
        assert after["cache_bytes"] <= after["cache_limit_bytes"] == 2**20
    assert hits > 0.97 * 11 * hot
    assert after["cache_evictions_total"] > 400
    assert 100 < after["cache_entries"] < 200
    assert after["cache_misses_total"] >= 700


def test_keys_outlast_the_certificates_that_were_thrown_away(new_edge):  # noqa: F811
    """700 names in a cache of about 140: parsed again, but not opened again."""
    edge = make(new_edge, http_extra="\tcertherd_cache 1m;")
    edge.apply("many:again.test:700:1").start()
    edge.load("again.test", 700, **{"from": 0, "count": 700})
    before = status_page.read(edge)
    assert 600 < before["cache_second_entries"] <= 700
    assert before["cache_second_bytes"] == 64 * before["cache_second_entries"]
    assert before.get("cache_second_hits_total", 0) == 0
    edge.load("again.test", 700, **{"from": 0, "count": 700})
    gained = status_page.gained(before, status_page.read(edge))
    assert 0.8 * gained["cache_misses_total"] < gained["cache_second_hits_total"] <= 700
    # Of a new version of the record nothing is known; of a removed name no more.
    edge.apply("cert:n7.again.test:9", "gone:n8.again.test:9")
    before = status_page.read(edge)
    with edge.connect("n7.again.test") as visitor:
        assert visitor.names == ["n7.again.test"]
    edge.refused("n8.again.test")
    after = status_page.read(edge)
    assert after.get("cache_second_hits_total", 0) == before["cache_second_hits_total"]
    assert after["cache_second_entries"] in (before["cache_second_entries"] - 1,
                                             before["cache_second_entries"])


def without_ecdsa(edge, name):
    """Its second certificate is opened for such a client; that it is none with RSA, is all the same."""
    assert "alert number 40" in edge.s_client("-servername", name, "-sigalgs", "RSA-PSS+SHA256")


def entries(edge):
    found = status_page.read(edge)
    assert found["cache_second_entries"] == found["cache_entries"]
    return found["cache_entries"]


def test_a_second_certificate_that_is_withdrawn_is_forgotten(new_edge):  # noqa: F811
    edge = make(new_edge)
    names = ("asked.two.test", "renewed.two.test", "kept.two.test")
    edge.apply(*(f"{kind}:{name}:1" for name in names for kind in ("cert", "second"))).start()
    for name in names:
        edge.connect(name).__exit__()
        without_ecdsa(edge, name)
    assert entries(edge) == 6
    edge.apply("no-second:asked.two.test:2", "no-second:renewed.two.test:2")
    # Whoever is shown the first does not make the worker look.
    for name in names:
        edge.connect(name).__exit__()
    assert entries(edge) == 6
    without_ecdsa(edge, "asked.two.test")
    assert entries(edge) == 5
    edge.apply("cert:renewed.two.test:3", "cert:kept.two.test:3")
    for name in names:
        edge.connect(name).__exit__()
    assert entries(edge) == 4
    before = status_page.read(edge)
    without_ecdsa(edge, "kept.two.test")
    assert status_page.gained(before, status_page.read(edge))["cache_hits_total"] == 1


def test_a_name_that_becomes_popular_gets_in(new_edge):  # noqa: F811
    edge = make(new_edge, http_extra="\tcertherd_cache 1m;")
    edge.apply("many:pop.test:700:1", "cert:n0.late.test:1").start()
    for _ in range(2):
        edge.load("pop.test", 150, **{"from": 0, "count": 150})
    at, hits = 150, []
    for _ in range(11):
        before = status_page.read(edge)
        edge.load("late.test", 1, **{"from": 0, "count": 1})
        hits.append(status_page.read(edge)["cache_hits_total"] - before["cache_hits_total"])
        edge.load("pop.test", 700, **{"from": at, "count": 50})
        at += 50
    assert hits[0] == 0 and hits[-4:] == [1, 1, 1, 1]


# -- processes ------------------------------------------------------------------------------------


def test_counters_outlive_a_reload_and_gauges_are_of_the_living(new_edge):  # noqa: F811
    edge = make(new_edge, workers=2)
    edge.apply("many:life.test:20:1").start()
    edge.load("life.test", 20, **{"from": 0, "count": 20})
    before = status_page.read(edge)
    assert before["workers"] == 2
    assert before["handshakes_total{served}"] == 20
    assert 20 <= before["cache_entries"] <= 40
    edge.reload()
    after = status_page.read(edge)
    assert after["handshakes_total{served}"] == 20
    assert after["key_open_seconds_count"] == before["key_open_seconds_count"]
    assert (after["workers"], after["cache_entries"]) == (2, 0)
    assert "next_expiry_timestamp_seconds" not in after
    edge.load("life.test", 20, **{"from": 0, "count": 20})
    assert status_page.read(edge)["handshakes_total{served}"] == 40


def test_a_worker_that_was_killed_leaves_no_gauges(new_edge):  # noqa: F811
    edge = make(new_edge, workers=1)
    edge.apply("many:life.test:20:1").start()
    edge.load("life.test", 20, **{"from": 0, "count": 20})
    before = edge.workers_now()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait.until(lambda: len(edge.workers_now() - before) == 1, edge.log)
    edge.wait_log("opened the live generation", 2)
    found = status_page.read(edge)
    assert found["handshakes_total{served}"] == 20
    assert (found["workers"], found["cache_entries"]) == (1, 0)


# -- strangers -------------------------------------------------------------------------------------


def test_unknown_names_do_not_make_workers_look_at_files(new_edge):  # noqa: F811
    """Of which generation is live, a worker convinces itself once a second, whoever comes."""
    edge = make(new_edge, log_level="warn")
    edge.apply("cert:served.test:1").start()
    strangers = Strangers(edge, "s%06d.strangers.test")
    before, begun = status_page.read(edge), time.monotonic()
    strangers.ask_all(range(3000))
    gained = status_page.gained(before, status_page.read(edge))
    seconds = time.monotonic() - begun
    assert gained["handshakes_total{unknown}"] == 3000 == gained["unknown_names_total"]
    assert gained.get("replica_looks_total", 0) <= seconds + 2
    assert "key_open_seconds_count" not in gained and "cache_misses_total" not in gained
