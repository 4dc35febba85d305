"""Names with dead DNS beside good ones: what they cost the good ones, and the CA.

A platform whose preflight asks a real DNS server (BIND): the dead names are not there, or what should
answer for them is silent.  The CA is the simulator of tests/casim, which counts requests.
"""

import shutil
import socket
import time

import measure
from lab import bind, site, wait
from report import Report
from scene import ROUND_S, Scene

GOOD = 1000  # names of one round
DEAD = 10_000
ROUNDS = 7
BURSTS = 5  # rounds alone, and with as many that come with dead names
MOST_TIMES = 1.25
MOST_TIMES_BURST = 1.1


class DnsScene(Scene):
    def __init__(self, folder, **issuer):
        # Takes questions and answers none.
        self.silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.silent.bind(("127.0.0.1", 0))
        zones = {"": ["*.good.test. IN A 127.0.0.1", "ns.platform.example. IN A 127.0.0.1"], "dead.test": []}
        silent = (f'zone "silent.test" {{ type forward; forward only; '
                  f'forwarders {{ 127.0.0.1 port {self.silent.getsockname()[1]}; }}; }};\n')
        self.bind = bind.Bind(folder / "bind", zones, [], more=silent)
        super().__init__(folder, pebble_options={"resolver": self.bind.address}, issuer={
            "preflight": "on", "self_check": "off", "addresses": "127.0.0.1", "resolvers": self.bind.address, **issuer})

    def start(self):
        self.bind.start()
        super().start()

    def stop(self):
        super().stop()
        self.bind.stop()
        self.silent.close()

    def good(self, number, before=()):
        """A round of good names.  before: dead names, registered just before."""
        self.add(before)
        return self.round([f"g{i}.r{number}-{i}.good.test" for i in range(GOOD)])

    def orders_at_ca(self):
        state = self.ca.tell("/state")
        return state["counts"]["orders"]["new"], state["certificates"]


def dead_names(number):
    return [f"d{i}.x{number}-{i}.{'dead' if i % 2 else 'silent'}.test" for i in range(DEAD)]


def all_looked_at(scene, times):
    wait.until(lambda: scene.count("failed") == times * DEAD, "all dead names were looked at", timeout=ROUND_S)


def bursts(scene):
    """Rounds that take turns: alone, and together with dead names that are new."""
    scene.good("warm")
    pairs = []
    for number in range(BURSTS):
        alone = scene.good(f"single{number}")
        pairs.append((alone, scene.good(f"burst{number}", dead_names(number))))
        all_looked_at(scene, number + 1)
    return pairs


def beside(scene):
    """Rounds alone, then with dead names that are tried again; and what these take when there is nothing else."""
    scene.good("warm")
    alone = [scene.good(f"alone{number}") for number in range(ROUNDS)]
    scene.add(dead_names(0))
    all_looked_at(scene, 1)
    with_dead = [scene.good(f"beside{number}") for number in range(ROUNDS)]
    all_looked_at(scene, 1)
    spent = {name: measure.cpu_s(program.pid) for name, program in scene.running.items()}
    time.sleep(60)
    idle = {name: (measure.cpu_s(program.pid) - spent[name]) / 60 for name, program in scene.running.items()}
    return alone, with_dead, idle


def on_a_scene(work, **issuer):
    """What work says, how many certificates were wanted, and what the CA counted."""
    folder = site.make_scratch("certherd-bench-")
    folder.chmod(0o755)
    scene = DnsScene(folder, **issuer)
    try:
        scene.start()
        done = work(scene)
        seen = (scene.count("active"), *scene.orders_at_ca())
    finally:
        scene.stop()
    shutil.rmtree(folder, ignore_errors=True)
    return done, seen


def run(bench):
    # Those of one burst do not come back during the next.
    pairs, seen = on_a_scene(bursts, preflight_ladder="1d")
    (alone, with_dead, idle), more = on_a_scene(beside)
    return tell(pairs, alone, with_dead, idle, [a + b for a, b in zip(seen, more)])


def tell(pairs, alone, with_dead, idle, seen):
    good, orders, certificates = seen
    report = Report("preflight")
    ratios = [a / b for a, b in zip(alone, with_dead)]
    in_burst = [a / b for a, b in pairs]
    report.tell("good names alone", measure.median(alone), "/s", f"{measure.spread(alone)}; {ROUNDS} rounds of {GOOD}")
    report.at_most("good names that come right after the dead ones, time against alone", measure.median(in_burst), "×",
                   MOST_TIMES_BURST, f"{measure.spread(in_burst)}; {BURSTS} pairs in turn, {DEAD:,} dead ones each")
    report.at_most("good names while the dead ones are tried again, time against alone",
                   measure.median(ratios), "×", MOST_TIMES, measure.spread(ratios))
    report.at_most("orders at the CA for dead names", orders - good, "orders", 0, f"{orders:,} for {good:,} good names")
    report.at_most("certificates beyond one for each good name", certificates - good, "", 0)
    for name, cores in idle.items():
        report.tell(f"{name}, dead names only", 100 * cores, "% of a core", "a minute of their retries")
    return report
