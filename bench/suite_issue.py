"""Issuance through the whole path, against the CA's own ceiling.

certherd (store, issuer, agent, nginx with the module) and a bare ACME client take turns, each with
a Pebble of its own, set alike; both share this machine's processors with it.
"""

import contextlib
import http.client
import json
import shutil
import subprocess
import time

import measure
from lab import pebble, ports, process, site, wait
from report import Report

CHUNK = 300  # certificates of one turn: beginning and end, when processors idle, weigh less
PAIRS = 7
LEAST_PERCENT = 60
MOST_OF_PEBBLE = {"issuer": 0.95, "store": 0.7}  # CPU
AIM_PERCENT, AIM_MS = 80, 2.5  # what is still to be reached: told, no limit
CONCURRENCY = (4, 8, 16)  # of the bare driver; the best is the ceiling
CHUNK_S = 120
NONCE_REJECT = 0
BARE = "the bare driver"

# As shipped, but for the test CA's address: the lab's quick settings undone.
SHIPPED = {"issuer": {"poll_interval": "500ms", "lease": "60s", "workers": "16"},
           "store": {"edge_timeout": "60s"}, "agent": {"poll_wait": "30s"}}


class Driver:
    def __init__(self, bench, folder):
        self.bench = bench
        self.pebble = pebble.Pebble(folder, ports.free_port(), nonce_reject=NONCE_REJECT)

    def issue(self, prefix, threads):
        """Certificates a second, and the driver's own CPU for all of them."""
        done = json.loads(self.bench.tool("acmedrive", self.pebble.directory, self.pebble.api_ca,
                                          self.pebble.http_port, prefix, CHUNK, threads,
                                          timeout=CHUNK_S)[-1])
        return CHUNK / done["wall_s"], done["cpu_s"]

    def best(self):
        """The concurrency that suits this Pebble best."""
        rates = {threads: [] for threads in CONCURRENCY}
        for turn in range(2):
            for threads in CONCURRENCY:
                rates[threads].append(self.issue(f"try{turn}-{threads}", threads)[0])
        return max(CONCURRENCY, key=lambda threads: max(rates[threads]))


class Herd:
    def __init__(self, bench, folder):
        self.bench = bench
        self.site = site.Site(folder, pebble_options={"nonce_reject": NONCE_REJECT},
                              settings=SHIPPED)
        self.programs = {}

    def start(self):
        self.site.prepare()
        for program in ("store", "issuer", "agent"):
            self.programs[program] = self.site.herd.start(program).pid
        self.site.nginx.start()
        self.programs["Pebble"] = self.site.pebble.server.pid

    def cpu_s(self):
        spent = {name: measure.cpu_s(pid) for name, pid in self.programs.items()}
        spent["nginx"] = sum(map(measure.cpu_s, process.children_of(self.site.nginx.process.pid)))
        return spent

    def machine_s(self):
        """What all processors had to give, and where it went besides, in seconds since the start."""
        given, idle, stolen = measure.processors_s()
        return {"given": given, "nobody": idle, "taken by the machine below": stolen,
                "Pebble's DNS server": measure.cpu_s(self.site.pebble.dns.pid),
                "the clients and this program": measure.mine_s()}

    def issue(self, prefix, count=CHUNK):
        """Certificates a second until the last is live in the replica, and until all are active."""
        names = [f"{prefix}-{i}.shop.example.com" for i in range(count)]
        replica = self.site.herd.folder / "edge/replica"
        waiter = subprocess.Popen(
            [self.bench.tools / "replicawait", replica, str(count), str(CHUNK_S)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        began = time.monotonic()
        self.put(names)
        found, _ = waiter.communicate("\n".join(names) + "\n")
        self.site.check()
        if waiter.returncode:
            raise RuntimeError(f"not all of {prefix} went live:\n" +
                               self.site.herd.running[1].log_tail())
        self.wait_active()
        return count / (float(found) - began), count / (time.monotonic() - began)

    def put(self, names):
        """As a platform's backend does it: one by one, over a connection that is kept open."""
        herd = self.site.herd
        subprocess.run([self.bench.tools / "nameput", f"https://127.0.0.1:{herd.store_port}",
                        herd.pki("ca.pem"), herd.pki("operator.pem"), herd.pki("operator.key")],
                       input="\n".join(names) + "\n", text=True, check=True, timeout=CHUNK_S)

    def wait_active(self):
        """Over one connection: a handshake for each look would weigh on the store's figure."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.site.herd.store_port, timeout=30,
                                                 context=self.site.herd.api().context)

        def all_active():
            connection.request("GET", "/v1/status")
            names = json.loads(connection.getresponse().read())["names"]
            return names["total"] == names["active"]

        with contextlib.closing(connection):
            wait.until(all_active, "all names are active", timeout=CHUNK_S, interval=0.05)


def since(before, now):
    return {name: seconds - before[name] for name, seconds in now.items()}


def take_turns(driver, herd, threads):
    pairs = []
    for turn in range(PAIRS):
        ceiling, bare_cpu_s = driver.issue(f"turn{turn}", threads)
        before, machine_before = herd.cpu_s(), herd.machine_s()
        live, active = herd.issue(f"turn{turn}")
        spent = since(before, herd.cpu_s())
        machine = since(machine_before, herd.machine_s())
        spent[BARE] = bare_cpu_s
        pairs.append((ceiling, live, active, spent, machine))
    return pairs


def run(bench):
    folder = site.make_scratch("certherd-bench-")
    driver, herd = Driver(bench, folder / "driver"), Herd(bench, folder)
    try:
        driver.pebble.start()
        herd.start()
        threads = driver.best()
        herd.issue("warm")
        pairs = take_turns(driver, herd, threads)
        driver.pebble.check()
    finally:
        herd.site.stop()
        driver.pebble.stop()
    shutil.rmtree(folder, ignore_errors=True)
    return tell(pairs, threads)


def tell_cpu(report, spent):
    """What others use of the processors changes what a certificate costs here by half; Pebble's own
    work for it, which is the same each time, changes with it."""
    for name, most in MOST_OF_PEBBLE.items():
        shares = [one[name] / one["Pebble"] for one in spent]
        report.at_most(f"CPU of {name}, of Pebble's", measure.median(shares), "×", most,
                       f"{measure.spread(shares)}; for the same certificates")
    ours = [one["issuer"] + one["store"] for one in spent]
    tell_ms(report, "issuer and store together", ours, f"aim: {AIM_MS}")
    times = [together / one[BARE] for together, one in zip(ours, spent)]
    report.tell(f"the same, of {BARE}'s", measure.median(times), "×",
                f"{measure.spread(times)}; which keeps, seals, publishes and checks nothing")
    for name in spent[0]:
        tell_ms(report, name, [one[name] for one in spent],
                "its own turns" if name == BARE else "through the whole path")


def tell_machine(report, pairs):
    """All that the processors gave until the names were active, so that nothing is left to guess."""
    for _, _, _, spent, machine in pairs:
        known = sum(machine.values()) - machine["given"] + sum(spent.values()) - spent[BARE]
        machine["others, and the kernel's own threads"] = machine["given"] - known
    for name in pairs[0][-1]:
        each = [1000 * machine[name] / CHUNK for *_, machine in pairs]
        report.tell(f"processors' time, {name}", measure.median(each), "ms/certificate", measure.spread(each))


def tell_ms(report, whose, spent_s, how):
    each = [1000 * one / CHUNK for one in spent_s]
    report.tell(f"CPU of {whose}", measure.median(each), "ms/certificate", f"{measure.spread(each)}; {how}")


def tell(pairs, threads):
    report = Report("issue")
    total = PAIRS * CHUNK
    shares = [100 * live / ceiling for ceiling, live, *_ in pairs]
    report.at_least("issued through the whole path, of the CA's ceiling", measure.median(shares), "%",
                    LEAST_PERCENT, f"{measure.spread(shares)}; aim: {AIM_PERCENT}; {PAIRS} pairs of {CHUNK}, taking turns")
    for at, figure, how in (
            (0, "bare driver", f"{threads} orders at a time, the best of {CONCURRENCY}"),
            (1, "certherd, PUT to live in the replica", f"{total:,} certificates"),
            (2, "certherd, PUT to active", "edges have acknowledged, a probe has seen it")):
        rates = [pair[at] for pair in pairs]
        report.tell(figure, measure.median(rates), "/s", f"{measure.spread(rates)}; {how}")
    tell_cpu(report, [spent for *_, spent, _ in pairs])
    tell_machine(report, pairs)
    return report
