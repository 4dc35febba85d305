"""Configuration, reload, crash, cache, and a replica that comes, goes and changes."""

import os
import signal
import subprocess
import threading

import pytest

from lab import wait
from edge_fixture import (INTERNAL_ERROR, THUMBPRINTS, TLS12, TLS13, UNKNOWN_NAME,  # noqa: F401
                          Edge, check_no_crash, new_edge)

MINIMAL = """
	server { listen 127.0.0.1:%(https)d ssl; certherd on; return 200 $certherd_name; }
	server { listen 127.0.0.1:%(http)d; listen 127.0.0.1:%(mixed)d;
		listen 127.0.0.1:%(proxied)d; return 200 $certherd_https;
		location /.well-known/acme-challenge/ { certherd_challenge; } }
"""


# -- nginx -t ---------------------------------------------------------------------------------

GOOD = {
    "replica": "certherd_replica %(folder)s/replica;",
    "key": "certherd_recipient_key %(folder)s/recipient0.key;",
    "thumbprint": f"certherd_account_thumbprint {THUMBPRINTS[0]};",
}


def directives(**changed):
    return "\n".join(line for line in {**GOOD, **changed}.values() if line)


@pytest.mark.parametrize("text,says", [
    (directives(replica=""), '"certherd on" needs "certherd_replica"'),
    (directives(key=""), '"certherd on" needs "certherd_recipient_key"'),
    (directives(thumbprint=""), '"certherd_challenge" needs "certherd_account_thumbprint"'),
    (directives(more=GOOD["replica"]), '"certherd_replica" directive is duplicate'),
    (directives(replica='certherd_replica "";'), "is empty"),
    (directives(replica="certherd_replica a b;"), "invalid number of arguments"),
    (directives(key="certherd_recipient_key;"), "invalid number of arguments"),
    (directives(key="certherd_recipient_key %(folder)s/none.key;"), "No such file"),
    (directives(key="certherd_recipient_key %(folder)s/open.key;"), "open.key"),
    (directives(key="certherd_recipient_key %(folder)s/static.pem;"), "static.pem"),
    (directives(key="certherd_recipient_key %(folder)s/rubbish.key;"), "not a recipient key"),
    (directives(thumbprint="certherd_account_thumbprint " + "A" * 42 + ";"), "no account thumbprint"),
    (directives(thumbprint="certherd_account_thumbprint " + "A" * 44 + ";"), "no account thumbprint"),
    (directives(thumbprint="certherd_account_thumbprint " + "A" * 42 + "=;"), "no account thumbprint"),
    (directives(thumbprint="certherd_account_thumbprint " + "A" * 42 + "+;"), "no account thumbprint"),
    (directives(thumbprint="certherd_account_thumbprint " + "A" * 42 + "B;"), "no account thumbprint"),
    (directives(more="certherd_cache 1k;"), '"certherd_cache" must be at least'),
    (directives(more="certherd_cache lots;"), "invalid value"),
    (directives(more="certherd_cache 1m; certherd_cache 1m;"), "is duplicate"),
    (directives(more="certherd maybe;"), "invalid value"),
    (directives(more="certherd_redirect_any to;"), "invalid value"),
    (directives(more="certherd_challenge;"), "not allowed here"),
    (directives(more="certherd_status;"), "not allowed here"),
    (directives(more="certherd_fallback %(folder)s/static.pem;"), "invalid number of arguments"),
    (directives(more="certherd_fallback %(folder)s/none.pem %(folder)s/static.key;"), "cannot open"),
    (directives(more="certherd_fallback %(folder)s/static.key %(folder)s/static.key;"), "cannot read"),
    (directives(more="certherd_fallback %(folder)s/static.pem %(folder)s/recipient0.key;"), "cannot read"),
    (directives(more="certherd_fallback %(folder)s/static.pem %(folder)s/another.key;"), "is not that of"),
])
def test_a_bad_configuration_is_refused_with_what_is_wrong(new_edge, text, says):
    edge = new_edge(workers=1, servers=MINIMAL, certherd=text)
    (edge.folder / "rubbish.key").write_text("CERTHERD-SECRET-KEY-X25519-QUFBQQ\n")
    (edge.folder / "rubbish.key").chmod(0o600)
    (edge.folder / "open.key").write_bytes((edge.folder / "recipient0.key").read_bytes())
    (edge.folder / "open.key").chmod(0o644)
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out",
                    edge.folder / "another.key"], check=True, capture_output=True)
    status, said = edge.test_config()
    assert status != 0 and says in said, said
    assert "QUFBQQ" not in said


def test_a_good_configuration_is_accepted_without_a_replica(new_edge):
    edge = new_edge(workers=1, servers=MINIMAL)
    assert edge.test_config()[0] == 0
    assert not (edge.folder / "replica").exists()


def test_a_configuration_without_certherd_needs_nothing(new_edge):
    edge = new_edge(workers=1, certherd="", servers="""
	server { listen 127.0.0.1:%(http)d; return 200 "<$certherd_name>"; }""")
    assert edge.test_config()[0] == 0


# -- reload, crash ------------------------------------------------------------------------------


def test_a_reload_keeps_serving(new_edge):
    edge = new_edge(workers=2)
    edge.apply("cert:on.test:1").start()
    stop, failures, served = threading.Event(), [], [0]

    def visit():
        while not stop.is_set():
            try:
                with edge.connect("on.test") as visitor:
                    assert visitor.get("on.test")[0] == 200
                served[0] += 1
            except Exception as error:  # noqa: BLE001
                failures.append(repr(error))

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        for _ in range(3):
            before = served[0]
            edge.reload()
            wait.until(lambda: failures or served[0] > before + 3, "visitors are served")
    finally:
        stop.set()
        visitor.join()
    assert not failures
    # New settings are there, and a new key is read.
    edge.make_key("p256")
    edge.apply("cert:new.test:2")
    edge.reload()
    with edge.connect("new.test") as visitor:
        assert visitor.names == ["new.test"]


def test_a_reload_with_a_bad_key_changes_nothing(new_edge):
    edge = new_edge(workers=1)
    edge.apply("cert:on.test:1").start()
    good = edge.keys[:]
    edge.keys.append(edge.folder / "missing.key")
    edge.write_config()
    before = edge.workers_now()
    os.kill(edge.process.pid, signal.SIGHUP)
    wait.until(lambda: "missing.key" in edge.log(), edge.log)
    assert edge.workers_now() == before
    with edge.connect("on.test") as visitor:
        assert visitor.names == ["on.test"]
    edge.keys = good
    path = edge.folder / "error.log"
    path.write_text(path.read_text().replace("[emerg]", "[seen]"))


def test_a_worker_that_dies_is_replaced(new_edge):
    edge = new_edge(workers=1)
    edge.apply("cert:on.test:1").start()
    with edge.connect("on.test"):
        pass
    before = edge.workers_now()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait.until(lambda: len(edge.workers_now() - before) == 1, edge.log)
    edge.wait_log("opened the live generation", 2)
    with edge.connect("on.test") as visitor:
        assert visitor.names == ["on.test"]
    edge.apply("cert:on.test:2")  # the dead one's place in the reader table is no obstacle
    with edge.connect("on.test") as visitor:
        assert visitor.names == ["on.test"]


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/usr/bin/setpriv"),
                    reason="cannot become another user")
def test_nginx_as_an_unprivileged_user(new_edge):
    edge = new_edge(workers=1, user=None)
    edge.apply("cert:on.test:1")
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "nobody", edge.folder], check=True)
    edge.spawn(*(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
                 if os.geteuid() == 0 else []))
    edge.wait_log("opened the live generation")
    with edge.connect("on.test") as visitor:
        assert visitor.names == ["on.test"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_workers_that_may_not_read_the_replica_say_so(new_edge):
    edge = new_edge(workers=1)
    edge.apply("cert:on.test:1")
    (edge.folder / "replica").chmod(0o700)
    edge.spawn()
    edge.wait_log("Permission denied")
    assert edge.refused("on.test") == UNKNOWN_NAME
    (edge.folder / "replica").chmod(0o750)
    edge.wait_log("opened the live generation")
    with edge.connect("on.test") as visitor:
        assert visitor.names == ["on.test"]


# -- the replica ------------------------------------------------------------------------------------


def test_a_replica_that_appears_later_is_used(new_edge):
    edge = new_edge(workers=2).start()
    edge.wait_log("all names are unknown as long as there is no replica", 2)
    for version in (TLS12, TLS13):
        assert edge.refused("late.test", version=version) == UNKNOWN_NAME
    edge.apply("cert:late.test:1")
    edge.wait_log("opened the live generation", 2)
    with edge.connect("late.test") as visitor:
        assert visitor.names == ["late.test"]
    assert edge.log().count("all names are unknown") == 2


def test_a_new_generation_is_followed_while_the_old_one_serves(new_edge):
    edge = new_edge(workers=2)
    edge.apply("cert:old.test:1", "cert:both.test:2").start()
    edge.apply("rebuild", "cert:both.test:1", "cert:new.test:2")
    for name in ("old.test", "both.test"):
        with edge.connect(name) as visitor:
            assert visitor.names == [name]
    edge.apply("publish")
    edge.wait_log("opened the live generation", 4)
    assert edge.refused("old.test") == UNKNOWN_NAME
    for name in ("new.test", "both.test"):
        with edge.connect(name) as visitor:
            assert visitor.names == [name]


def test_a_name_of_a_new_generation_is_served_at_once(new_edge):
    """An agent acknowledges it as soon as it has published: workers do not wait for their next look
    at which generation is live, though names that are missing make them look at no file."""
    edge = new_edge(workers=2)
    edge.apply("cert:first.test:1").start()
    for number in range(6):
        name = f"new{number}.test"
        edge.apply("rebuild", f"cert:{name}:1", "publish")
        for _ in range(4):
            with edge.connect(name) as visitor:
                assert visitor.names == [name]
    assert edge.refused("first.test") == UNKNOWN_NAME


def test_the_same_version_in_another_generation_is_another_certificate(new_edge):
    edge = new_edge(workers=1)
    edge.apply("cert:again.test:5").start()
    with edge.connect("again.test") as visitor:
        first = visitor.serial
    edge.apply("rebuild", "cert:again.test:5", "publish")
    edge.wait_log("opened the live generation", 2)
    with edge.connect("again.test") as visitor:
        assert visitor.serial != first


def current(edge):
    return edge.folder / "replica" / (edge.folder / "replica/current").read_text().strip()


def test_a_replica_that_is_cut_is_an_error_and_no_crash(new_edge):
    edge = new_edge(workers=1)
    edge.apply("cert:cut.test:1").start()
    with edge.connect("cut.test") as visitor:
        assert visitor.names == ["cut.test"]
    os.truncate(current(edge) / "data.mdb", 4096)
    assert edge.refused("cut.test") == INTERNAL_ERROR
    edge.wait_log("cannot read replica")
    # The agent makes a new generation, and all is well again.
    edge.apply("cert:cut.test:2", "publish")
    edge.wait_log("opened the live generation", 2)
    with edge.connect("cut.test") as visitor:
        assert visitor.names == ["cut.test"]


def test_a_newer_format_is_told_and_the_old_generation_stays(new_edge):
    edge = new_edge(workers=1)
    edge.apply("cert:stay.test:1").start()
    (edge.folder / "replica/current").write_text("f9-0123456789abcdef\n")
    edge.wait_log("keeping the last generation of the replica")
    with edge.connect("stay.test") as visitor:
        assert visitor.names == ["stay.test"]
    assert "cannot read" in edge.log()
