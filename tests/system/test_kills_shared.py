"""Two stores, three issuers and three edges on one PostgreSQL: processes die at random moments while
names are issued and renewed, PostgreSQL too, and nothing is lost.

CERTHERD_KILL_ROUNDS and CERTHERD_KILL_SEED as in test_kills.py; one round in the ordinary tests.
"""

import os
import random
import time

import pytest

from killing import Visitors
from test_kills import STATES
from lab import conffile, herd, ports, postgres, process, wait

ROUNDS = max(1, int(os.environ.get("CERTHERD_KILL_ROUNDS", "1")) - 2)
FIRST_SEED = int(os.environ["CERTHERD_KILL_SEED"])
NAMES = [f"n{number:02}.shared.example.com" for number in range(60)]
KILLS = 12  # of each of the two phases
PHASE_S = 90 * float(os.environ.get("CERTHERD_TEST_SLOWNESS", "1"))
SETTINGS = {
    "store": {"edge_timeout": "5s"},
    "issuer": {"lease": "1s", "retry_ladder": "500ms,1s,2s", "poll_interval": "100ms"},
    "agent": {"poll_wait": "2s"},
}


class Role:
    """A process with a configuration of its own, which is started again whenever it is gone."""

    def __init__(self, place, program, number, **keys):
        self.program, self.place = program, place
        self.config = place.folder / f"{program}{number}.conf"
        text = place.config.read_text()
        for key, value in keys.items():
            text = conffile.set_key(text, program, key, value)
        self.config.write_text(text)
        self.log = place.folder / f"{program}{number}.log"
        self.process = None

    @property
    def env(self):
        return {"CERTHERD_CONFIG": str(self.config)}

    def start(self):
        self.process = process.Process(self.config.stem, [herd.binary(), self.program], self.log,
                                       env=self.env).start()

    def kill(self):
        self.process.kill()

    def keep(self):
        """As a service manager does."""
        if not self.process.is_alive():
            self.start()

    def stop(self):
        if self.process:
            self.process.stop()


class Cluster:
    def __init__(self, site):
        self.site, place = site, site.herd
        self.server = postgres.Postgres(site.folder / "pg", durable=True).make().start()
        self.server.create("certherd")
        store_ports = [place.store_port, ports.free_port()]
        place.set("store", database=self.server.url("certherd"))
        both = ", ".join(f"https://127.0.0.1:{port}" for port in store_ports)
        for section in ("issuer", "agent", "cli"):
            place.set(section, store=both)
        for number in (2, 3):
            place.cli("identity", "new", "issuer", "--id", f"i{number}")
            place.cli("identity", "new", "edge", "--id", f"e{number}")
        self._next = []
        self.stores = [Role(place, "store", number, listen=f"127.0.0.1:{port}")
                       for number, port in enumerate(store_ports, 1)]
        self.issuers = [Role(place, "issuer", number, **self._identity("issuer", "i", number),
                             account_state=place.folder / f"issuer/state{number}")
                        for number in (1, 2, 3)]
        self.edges = [Role(place, "agent", number, **self._identity("edge", "e", number),
                           **({"replica": place.folder / f"edge/replica{number}"} if number > 1 else {}))
                      for number in (1, 2, 3)]

    def _identity(self, role, letter, number):
        stem = role if number == 1 else f"{role}-{letter}{number}"
        return {"identity_cert": self.site.herd.pki(f"{stem}.pem"),
                "identity_key": self.site.herd.pki(f"{stem}.key")}

    @property
    def roles(self):
        return [*self.stores, *self.issuers, *self.edges]

    def start(self):
        for role in self.roles:
            role.start()
        wait.until(self.answers, "no store answers")
        self.site.nginx.start()

    def answers(self):
        return self.call("GET", "/v1/status") is not None

    def call(self, method, path, body=None):
        """By the first store that answers; None when none does."""
        place = self.site.herd
        for store in self.stores:
            port = int(conf_value(store.config, "store", "listen").rpartition(":")[2])
            api = herd.Api(port, place.pki("ca.pem"), place.pki("operator.pem"),
                           place.pki("operator.key"))
            try:
                answer = api.call(method, path, body)
            except OSError:
                continue
            if answer.status != 503:
                return answer
        return None

    def insist(self, method, path, body=None):
        return wait.until(lambda: self.call(method, path, body), f"no answer to {method} {path}", 30)

    def kill(self, rng):
        """Each in random order, then again."""
        if not self._next:
            self._next = rng.sample([*self.roles, self.server], len(self.roles) + 1)
        victim = self._next.pop()
        victim.kill()
        if victim is self.server:
            victim.start()

    def keep(self):
        for role in self.roles:
            role.keep()

    def stop(self):
        for role in reversed(self.roles):
            role.stop()
        self.server.stop()


def conf_value(path, section, key):
    inside = None
    for line in path.read_text().splitlines():
        if line.startswith("["):
            inside = line.strip("[] ")
        elif inside == section and line.partition("=")[0].strip() == key:
            return line.partition("=")[2].strip()
    raise KeyError(key)


def domains(cluster):
    answer = cluster.call("GET", "/v1/domains?limit=1000")
    return answer.json["domains"] if answer and answer.status == 200 else []


class Progress:
    """How far the orders of a phase are, 0 to 1, read past the stores, which may be dead."""

    def __init__(self, cluster):
        self.server = cluster.server
        self.before = int(self.server.run("SELECT coalesce(max(id), 0) FROM orders", "certherd"))

    def __call__(self):
        try:
            states = self.server.run(f"SELECT state FROM orders WHERE id > {self.before} "
                                     "AND state <> 'failed'", "certherd").split()
        except AssertionError:  # PostgreSQL is not there
            return 0
        return sum(map(STATES.index, states)) / (len(NAMES) * (len(STATES) - 1))


def along(cluster, rng, progress, is_done):
    """Kills at random points of the way, and waits for its end."""
    points = sorted(rng.random() * 0.98 for _ in range(KILLS))
    deadline = time.monotonic() + PHASE_S
    while points or not is_done():
        if points and points[0] <= progress():
            points.pop(0)
            cluster.kill(rng)
        cluster.keep()
        assert time.monotonic() < deadline, (len(points), [
            (one["name"], one["state"], one["reason"]) for one in domains(cluster)
            if one["state"] != "active"][:5])


def serials(cluster):
    found = domains(cluster)
    if len(found) != len(NAMES) or any(one["state"] != "active" for one in found):
        return {}
    return {one["name"]: one["certificate"]["serial"] for one in found}


def verify(cluster, edge):
    done = cluster.site.herd.cli("verify", "--names", "--config", edge.config, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def make_cluster(make_site):
    made = []

    def make():
        site = make_site(settings=SETTINGS, pebble_options={"nonce_reject": 10}).prepare()
        made.append(Cluster(site))
        made[0].start()
        return made[0]

    yield make
    for cluster in made:
        cluster.stop()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [FIRST_SEED + number for number in range(ROUNDS)],
                         ids=lambda seed: f"seed {seed}")
def test_kills_of_any_of_many_lose_nothing(make_cluster, seed):
    rng = random.Random(seed)
    cluster = make_cluster()
    progress = Progress(cluster)
    body = {"domains": [{"name": name} for name in NAMES]}
    assert cluster.insist("POST", "/v1/domains", body).status == 200
    with Visitors(cluster.site, seed) as visitors:
        along(cluster, rng, progress, lambda: serials(cluster))
        first = wait.until(lambda: serials(cluster), "not all are active", 30)
        visitors.names = NAMES
        progress = Progress(cluster)
        for name in NAMES:
            assert cluster.insist("POST", f"/v1/domains/{name}/retry").status in (200, 202, 204)
        along(cluster, rng, progress, lambda: all(serial != first[name]
                                        for name, serial in serials(cluster).items())
              and serials(cluster))
    assert visitors.wrong == [] and visitors.alerts == {}
    wait.until(lambda: cluster.insist("GET", "/v1/status").json["orders"]["open"] == 0,
               "orders are open", 30)
    live = serials(cluster)
    for edge in cluster.edges:
        verify(cluster, edge)
    for name in NAMES:
        with cluster.site.connect(name) as visit:
            assert visit.serial.lstrip("0") == live[name].lstrip("0")
