"""Changes that reach visitors while they come: a store, an agent and nginx on this machine, and
full handshakes at half of what nginx can do."""

import base64
import contextlib
import hashlib
import http.client
import json
import math
import pathlib
import sqlite3
import ssl
import struct
import subprocess
import tempfile
import threading
import time

import edge
import measure
from edgebench.serving import CACHE_MORE, mib_of, private_b
from lab import herd, wait

PARALLEL = 8
CEILING_ROUNDS, CEILING = 3, 3000
CHUNK_S = 2  # of load, then the next begins
FILL_S = 3600
LEASE = {"max": 256, "lease_ms": 3_600_000, "wait_ms": 1000}
P99_MS = 250
WAKE_S = 0.05
SETTLED = 0.2  # of the time, until what grows at first has grown
GROWTH_MIB = 4
REPLICA_TIMES = 1.5


class Client:
    """Of the store's API over one connection that is kept."""

    def __init__(self, site, role):
        pki = site.herd.folder / "pki"
        context = ssl.create_default_context(cafile=str(pki / "ca.pem"))
        context.load_cert_chain(pki / f"{role}.pem", pki / f"{role}.key")
        self.connection = http.client.HTTPSConnection("127.0.0.1", site.herd.store_port, timeout=60,
                                                      context=context)

    def call(self, method, path, body=None, busy=False):
        """busy: it does not matter if the store has no time."""
        if method == "GET":
            self.connection.request(method, path)
        else:
            self.connection.request(method, path, body=json.dumps(body or {}),
                                    headers={"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        if busy and answer.status == 503:
            return None
        if answer.status not in (200, 201):
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text)


class Site:
    """Everything runs, and the replica is filled."""

    def __init__(self, bench, made, cache, folder):
        self.bench, self.made, self.folder = bench, made, folder
        folder.chmod(0o755)
        self.replica = folder / "replica"
        self.herd = herd.Herd(folder / "herd").init()
        self.database = folder / "store.db"
        self.herd.set("store", database=f"sqlite:{self.database}")
        self.herd.set("agent", replica=str(self.replica))
        made.lend(self.herd, self.database)
        self.store = self.herd.start("store")
        self.agent = self.herd.start("agent")
        wait.until(lambda: self.agent.check_alive() and (self.replica / "current").exists(),
                   lambda: f"the replica is live\n{self.agent.log_tail()}", FILL_S)
        self.nginx = edge.Nginx(made.folder, "herd", made.names, cache, "warn", folder / "nginx",
                                self.replica)
        self.turns = edge.Turns(bench, self.nginx.start(), None)

    def ceiling(self):
        """Full handshakes a second, popular names in the cache."""
        rates = []
        for number in range(CEILING_ROUNDS + 1):
            found = self.turns.load(self.nginx, zipf=True, seed=number, parallel=PARALLEL,
                                    count=CEILING)
            rates.append(found["handshakes"] / found["wall_s"])
        return measure.median(rates[1:])

    def replica_b(self):
        return sum(data.stat().st_blocks * 512 for data in self.replica.glob("f*/data.mdb"))

    def stop(self):
        self.nginx.stop()
        self.herd.stop()


@contextlib.contextmanager
def running(bench, made, cache):
    with tempfile.TemporaryDirectory(prefix="certherd-bench-") as name:
        site = Site(bench, made, cache, pathlib.Path(name))
        try:
            yield site
        finally:
            site.stop()


class Load(threading.Thread):
    """Handshakes at a rate, from entering to leaving; each must succeed."""

    def __init__(self, site, rate):
        super().__init__(daemon=True)
        self.site, self.rate = site, rate
        self.over = threading.Event()
        self.handshakes, self.late_ms, self.error = 0, 0, None

    def run(self):
        seed = 1000
        try:
            while not self.over.is_set():
                seed += 1
                found = self.site.turns.load(
                    self.site.nginx, zipf=True, seed=seed, rate=round(self.rate), parallel=64,
                    count=round(self.rate * CHUNK_S))
                self.handshakes += found["handshakes"]
                self.late_ms = max(self.late_ms, found["late_ms"])
        except Exception as error:  # told by whoever leaves
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def tell(self, report, figure):
        report.at_most(figure, 0 if self.error is None else 1, "failed runs", 0,
                       str(self.error) if self.error else
                       f"{self.handshakes:,} handshakes at {self.rate:,.0f}/s, half of what nginx "
                       f"can do; begun {self.late_ms:.0f} ms late at most")


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part_of(record, at, layout):
    """What lies so far behind the name (src/wire/record.h)."""
    return struct.unpack_from(layout, record, 21 + record[20] + at)


def leaf_of(record):
    length, = part_of(record, 56, ">H")
    return part_of(record, 58, f"{length}s")[0]


def time_text(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


class Issuer:
    """Publishes certificates that were made before, as the issuer's last step does."""

    def __init__(self, site):
        self.site = site
        self.client = Client(site, "issuer")
        self.platform = Client(site, "platform")
        pem = (site.made.folder / "pki/intermediate.pem").read_text()
        der = ssl.PEM_cert_to_DER_cert(pem)
        self.chain = b64u(b"\1" + struct.pack(">H", len(der)) + der)

    def lease(self, names):
        orders = {}
        while len(orders) < len(names):
            for order in self.client.call("POST", "/v1/leases", LEASE)["orders"]:
                orders[order["names"][0]] = order
        for order in orders.values():
            self.client.call("PATCH", f"/v1/orders/{order['id']}",
                             {"fence": order["fence"], "keep_lease": True, "state": "sealed",
                              "csr": b64u(b"csr"), "sealed": b64u(b"sealed")})
        return orders

    def make(self, orders):
        """The records of such orders, by name."""
        folder = self.site.folder / "records"
        folder.mkdir(exist_ok=True)
        words = [f"record:{name}:{order['id']}:{folder}/{order['id']}"
                 for name, order in orders.items()]
        self.site.made.apply(self.site.folder / "unused", *words)
        return {name: (folder / str(order["id"])).read_bytes() for name, order in orders.items()}

    def publication(self, order, record):
        begin, end = part_of(record, 8, ">qq")
        return {"fence": order["fence"], "leaf": b64u(leaf_of(record)), "chain": self.chain,
                "records": [b64u(record)], "renew_at": time_text(end - 30 * 86400),
                "next_at": time_text(time.time() + 86400), "serial": "0a",
                "issuer": "CN=test intermediate", "not_before": time_text(begin),
                "not_after": time_text(end), "spki_sha256": "ab" * 32}

    def publish(self, order, publication):
        self.client.call("POST", f"/v1/orders/{order['id']}/publish", publication)

    def prepare(self, count):
        """Names that are served, and for each the next certificate, ready to be published."""
        names = [f"c{number}.changing.example.net" for number in range(count)]
        for at in range(0, count, 1000):
            self.platform.call("POST", "/v1/domains",
                               {"domains": [{"name": name} for name in names[at:at + 1000]]})
        orders = self.lease(names)
        for name, record in self.make(orders).items():
            order = orders[name]
            self.publish(order, self.publication(order, record))
            self.client.call("PATCH", f"/v1/orders/{order['id']}",
                             {"fence": order["fence"], "state": "done"})
        return names

    def renew(self, names):
        for name in names:
            self.platform.call("POST", f"/v1/domains/{name}/retry")
        orders = self.lease(names)
        return orders, self.make(orders)


class Changes:
    """One changed certificate: from the request that commits it at the store to the first handshake
    that serves it."""

    def __init__(self, samples):
        self.samples = samples

    def __call__(self, bench, made, cache, report):
        with running(bench, made, cache) as site:
            rate = site.ceiling() / 2
            issuer = Issuer(site)
            names = issuer.prepare(self.samples)
            orders, records = issuer.renew(names)
            watch = Watch(bench, site.nginx.port)
            with Load(site, rate) as load:
                took_ms = [self.one(site, issuer, orders[name], records[name], watch)
                           for name in names]
        self.tell(report, made, took_ms, load)

    @staticmethod
    def one(site, issuer, order, record, watch):
        publication = issuer.publication(order, record)
        watch.begin(order["names"][0], hashlib.sha256(leaf_of(record)).hexdigest())
        begun_ns = time.monotonic_ns()
        issuer.publish(order, publication)
        return (watch.seen_ns() - begun_ns) / 1e6

    @staticmethod
    def tell(report, made, took_ms, load):
        took_ms.sort()
        at = lambda share: took_ms[min(len(took_ms) - 1, math.ceil(share * len(took_ms)) - 1)]
        how = (f"{len(took_ms):,} samples, one after another, {made.names:,} names; from the request "
               f"to publish it, its answer included; load {measure.loaded():.1f}")
        report.at_most("one changed certificate, to the first handshake with it, 99 %", at(0.99), "ms",
                       P99_MS, how)
        report.tell("the same, median", at(0.5), "ms", f"{took_ms[0]:.1f} to {took_ms[-1]:.1f}")
        load.tell(report, "handshakes that failed meanwhile")


class Watch:
    """bench/tools/certwatch.c."""

    def __init__(self, bench, port, *mode):
        self.failed = 0
        self.process = subprocess.Popen([bench.tools / "certwatch", str(port), *mode],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def begin(self, name, sha256):
        self.process.stdin.write(f"{name} {sha256}\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "watching\n":
            raise RuntimeError(f"a handshake for {name} failed")

    def seen_ns(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("a handshake failed, or the new certificate did not come")
        seen_ns, _, failed = map(int, line.split())
        self.failed += failed
        return seen_ns

    def __del__(self):
        self.process.stdin.close()
        self.process.wait()


class Churn:
    """So many changed certificates a second for long: nothing grows, no handshake fails."""

    def __init__(self, rate, seconds):
        self.rate, self.seconds = rate, seconds

    def __call__(self, bench, made, cache, report):
        with running(bench, made, cache) as site:
            with Load(site, site.ceiling() / 2) as load:
                seen, done = self.churn(site)
                behind_s = self.catch_up(site)
            live_b = live_data_b(site)
            replica_b = max(one["replica_b"] for one in seen)
            cpu_s = seen[-1]["agent_s"] - seen[0]["agent_s"]
        rate = done["changed"] / done["wall_s"]
        how = (f"{done['changed']:,} changes at {rate:,.0f}/s for {self.seconds} s, {made.names:,} "
               f"names; load {measure.loaded():.1f}")
        report.either("changes made", rate, "/s", f"≥ {0.95 * self.rate:g}", rate >= 0.95 * self.rate,
                      how)
        load.tell(report, "handshakes that failed while so much changed")
        report.tell("the edge has all of them, after the last", behind_s, "s")
        report.at_most("replica's file at most, against its live data", replica_b / live_b, "×",
                       REPLICA_TIMES, f"{replica_b / 2**20:,.0f} of {live_b / 2**20:,.0f} MiB")
        settled = seen[math.ceil(SETTLED * (len(seen) - 1))]["agent_mib"]
        report.at_most("agent's private memory grew by", seen[-1]["agent_mib"] - settled, "MiB",
                       GROWTH_MIB, f"after the first fifth; {seen[-1]['agent_mib']:.1f} MiB at the end")
        report.at_most("nginx worker's private memory", max(one["worker_mib"] for one in seen), "MiB",
                       round(mib_of(cache) * CACHE_MORE + GROWTH_MIB), f"certherd_cache {cache}")
        report.tell("agent", 1e6 * cpu_s / done["changed"], "µs CPU/change")

    def churn(self, site):
        signing_key = site.made.folder / "pki/signing.key"
        words = [site.bench.tools / "storechurn", site.database, signing_key, edge.SUFFIX,
                 site.made.names, self.rate, self.seconds]
        platform = Client(site, "platform")
        seen, number = [], 0
        with subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True) as churning:
            while churning.poll() is None:
                # What is changed beside the store wakes nobody; a change by its API does.
                number += 1
                platform.call("PUT", "/v1/domains/waker.example.net", {"upstream": f"u{number}"},
                              busy=True)
                if len(seen) < number * WAKE_S:
                    seen.append(self.look(site))
                time.sleep(WAKE_S)
            text = churning.stdout.read()
        if churning.returncode:
            raise RuntimeError(f"storechurn: exit {churning.returncode}")
        return [*seen, self.look(site)], json.loads(text)

    @staticmethod
    def look(site):
        site.agent.check_alive()
        return {"replica_b": site.replica_b(), "agent_mib": private_b(site.agent.pid) / 2**20,
                "worker_mib": private_b(site.nginx.worker) / 2**20,
                "agent_s": measure.cpu_ended_s(site.agent.pid)}

    @staticmethod
    def catch_up(site):
        begun = time.monotonic()
        viewer = Client(site, "operator")
        wait.until(lambda: all(one["lag"] == 0 for one in viewer.call("GET", "/v1/edges")["edges"]),
                   "the edge has caught up", FILL_S, interval=0.1)
        return time.monotonic() - begun


def live_data_b(site):
    database = sqlite3.connect(f"file:{site.database}?mode=ro", uri=True)
    found, = database.execute("SELECT sum(length(record) + length(name)) FROM edge_record").fetchone()
    database.close()
    return found
