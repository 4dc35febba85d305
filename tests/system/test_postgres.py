"""Two stores on one PostgreSQL database: what one of them takes the other one knows; either may
die, and PostgreSQL too."""

import os
import signal
import socket

import pytest

from killing import Visitors
from lab import conffile, herd, ports, postgres, process, site as site_module, wait


class Pair:
    """A site whose store, issuer and agent run under `certherd up`, and a second store."""

    def __init__(self, folder):
        self.server = postgres.Postgres(folder / "pg", durable=True).make().start()
        self.standby = None
        self.site = site_module.Site(folder)
        self.second_port = ports.free_port()
        self.second = None

    def add_standby(self):
        self.standby = self.server.make_standby(self.server.folder.parent / "standby").start()
        self.server.wait_synchronous()
        return self

    def start(self):
        self.site.prepare()
        place = self.site.herd
        self.server.create("certherd")
        place.set("store", database=self.server.url("certherd", filter(None, [self.standby])))
        both = f"https://127.0.0.1:{place.store_port}, https://127.0.0.1:{self.second_port}"
        for section in ("issuer", "agent", "cli"):
            place.set(section, store=both)
        self.configure()
        text = conffile.set_key(place.config.read_text(), "store", "listen",
                                f"127.0.0.1:{self.second_port}")
        (place.folder / "second.conf").write_text(text)
        place.start("up")
        self.start_second()
        self.site.nginx.start()
        return self

    def configure(self):
        """More than the stores' places, before anything runs."""

    def start_second(self):
        env = {"CERTHERD_CONFIG": str(self.site.herd.folder / "second.conf")}
        self.second = process.Process("second store", [herd.binary(), "store"],
                                      self.site.herd.folder / "second.log", env=env).start()
        process.wait_listening(self.second, self.second_port)

    def api(self, port):
        place = self.site.herd
        return herd.Api(port, place.pki("ca.pem"), place.pki("operator.pem"),
                        place.pki("operator.key"))

    def is_known(self, name, port):
        return self.api(port).get(f"/v1/domains/{name}").status == 200

    def put(self, name, port):
        """Until it is acknowledged: 503 is an answer that asks for that."""
        def put():
            try:
                answer = self.api(port).put(f"/v1/domains/{name}")
            except OSError:
                return False
            assert answer.status in (200, 201, 503), answer
            return answer.status != 503
        wait.until(put, f"{name} is not taken")

    def wait_active(self, names, port, timeout=60):
        def active():
            try:
                answers = [self.api(port).get(f"/v1/domains/{name}") for name in names]
            except OSError:
                return False
            return all(answer.status == 200 and answer.json["state"] == "active" for answer in answers)
        wait.until(active, f"not all of {names} are active", timeout)

    def stop(self):
        if self.second:
            self.second.stop()
        try:
            self.site.stop()
        finally:
            self.server.stop()
            if self.standby:
                self.standby.stop()
            self.site.remove()


@pytest.fixture(scope="module")
def pair():
    two = Pair(site_module.make_scratch("certherd-pg-"))
    try:
        yield two.start()
    finally:
        two.stop()


@pytest.fixture
def replicated():
    two = Pair(site_module.make_scratch("certherd-pg-"))
    try:
        yield two.add_standby().start()
    finally:
        two.stop()


def served(pair, name):
    with pair.site.connect(name) as visit:
        return visit.names == [name]


def test_what_one_store_takes_goes_live_through_the_other(pair):
    first = pair.site.herd.store_port
    pair.put("a.pg.example.com", pair.second_port)
    assert pair.is_known("a.pg.example.com", first)
    assert not pair.is_known("none.pg.example.com", first)
    pair.wait_active(["a.pg.example.com"], first)
    assert served(pair, "a.pg.example.com")


def test_names_go_live_while_a_store_is_dead(pair):
    pid = pair.site.herd.pid_of("store")
    os.kill(pid, signal.SIGSTOP)
    try:
        pair.put("b.pg.example.com", pair.second_port)
    finally:
        os.kill(pid, signal.SIGKILL)
    pair.wait_active(["b.pg.example.com"], pair.second_port)
    assert served(pair, "b.pg.example.com")
    pair.second.kill()
    wait.until(lambda: pair.site.herd.is_healthy(), "the first store is not back")
    pair.put("c.pg.example.com", pair.site.herd.store_port)
    pair.wait_active(["c.pg.example.com"], pair.site.herd.store_port)
    pair.start_second()


def test_a_store_that_is_silent_is_passed_over(pair):
    """Its host takes connections, and nobody answers on them."""
    config = pair.site.herd.folder / "silent.conf"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        urls = (f"https://127.0.0.1:{silent.getsockname()[1]}, "
                f"https://127.0.0.1:{pair.second_port}")
        config.write_text(conffile.set_key(pair.site.herd.config.read_text(), "cli", "store", urls))
        # Alone it would be waited for during ten seconds.
        done = pair.site.herd.cli("status", "--config", config, timeout=9)
        assert done.stdout.startswith("Names")
        config.write_text(conffile.set_key(pair.site.herd.config.read_text(), "cli", "store",
                                           urls.partition(",")[0]))
        done = pair.site.herd.cli("status", "--config", config, check=False, timeout=30)
        assert done.returncode != 0 and "127.0.0.1" in done.stderr


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_postgresql_may_go_and_come(pair, how):
    first = pair.site.herd.store_port
    names = [f"{how}{number}.pg.example.com" for number in range(6)]
    for name in names[:3]:
        pair.put(name, first)
    getattr(pair.server, how)()
    answer = pair.api(pair.second_port).put(f"/v1/domains/{names[3]}")
    assert (answer.status, answer.code) == (503, "store-busy")
    assert served(pair, "a.pg.example.com")
    pair.server.start()
    for name in names[3:]:
        pair.put(name, pair.second_port)
    pair.wait_active(names, first)
    assert served(pair, names[0]) and served(pair, names[5])


def epoch(pair, port):
    return pair.api(port).get("/v1/status").json["feed"]["epoch"]


def test_a_standby_takes_over_and_nothing_acknowledged_is_lost(replicated):
    first, second = replicated.site.herd.store_port, replicated.second_port
    names = [f"n{number:02}.pg.example.com" for number in range(30)]
    replicated.put(names[0], first)
    replicated.wait_active(names[:1], first)
    before = epoch(replicated, first)
    with Visitors(replicated.site, 1) as visitors:
        visitors.names = names[:1]
        for name in names[1:20]:
            replicated.put(name, second)
        replicated.server.kill()
        replicated.standby.promote()
        for name in names[20:]:
            replicated.put(name, second)
        assert all(replicated.is_known(name, first) for name in names)
        replicated.wait_active(names, first)
    assert visitors.served
    assert (visitors.wrong, visitors.alerts, visitors.broken) == ([], {}, 0)
    assert epoch(replicated, first) == epoch(replicated, second) != before
    # The edge has compared what it has with the new timeline, and takes what comes on it.
    replicated.put("last.pg.example.com", second)
    replicated.wait_active(["last.pg.example.com"], second)
    assert served(replicated, "last.pg.example.com") and served(replicated, names[5])
