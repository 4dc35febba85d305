"""CPU time of an nginx worker for one full TLS 1.3 handshake: 10,000 names by the module, against one
static certificate of the same shape."""

import edge
import measure
from report import Report

PAIRS = 15
TURNS = 4  # of each contender in a pair, one after the other
TURN = 300  # handshakes
PARALLEL = 8
LIMIT = 1.2


class Cost:
    """CPU time of a worker over the handshakes of its turns."""

    def __init__(self, pair, nginx):
        self.pair, self.nginx, self.pid = pair, nginx, nginx.worker
        self.cpu_s = self.handshakes = 0

    def turn(self, **options):
        before = measure.cpu_s(self.pid)
        found = self.pair.load(self.nginx, parallel=PARALLEL, **options)
        self.cpu_s += measure.cpu_s(self.pid) - before
        self.handshakes += found["handshakes"]
        if found["tickets"]:
            raise RuntimeError(f"{self.nginx.kind} sent {found['tickets']} session tickets")

    @property
    def each_us(self):
        return self.cpu_s / self.handshakes * 1e6


def anonymous_b(pid):
    """Memory that is a process's own: not what it maps of files."""
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("no RssAnon in /proc/PID/status")


def opening(pair, names=edge.NAMES):
    """So many names for the first time, in ten parts between as many on the other side."""
    found = []
    for part in range(10):
        costs = Cost(pair, pair.herd), Cost(pair, pair.plain)
        for cost in costs if part % 2 == 0 else reversed(costs):
            cost.turn(**{"from": part * names // 10, "count": names // 10})
        found.append(tuple(cost.each_us for cost in costs))
    return found


def serving(pair, **options):
    found = []
    for number in range(PAIRS):
        costs = Cost(pair, pair.herd), Cost(pair, pair.plain)
        for turn in range(TURNS):
            # Who begins takes turns as well.
            for cost in costs if turn % 2 == 0 else reversed(costs):
                cost.turn(seed=number * TURNS + turn, count=TURN, **options)
        found.append(tuple(cost.each_us for cost in costs))
    return found


def tell_times(report, times, what, how):
    """What came of pairs, apart from their ratio."""
    for which, (text, note) in enumerate(((f"{what}, by the module", how),
                                          (f"{what}, static certificate", ""))):
        values = [one[which] for one in times]
        report.tell(text, measure.median(values), "µs CPU",
                    f"{measure.spread(values)}{'; ' if note else ''}{note}")


def run(bench):
    pair = edge.pair(bench)
    pair.start()
    try:
        before_b = anonymous_b(pair.herd.worker)
        cold = opening(pair)
        name_b = (anonymous_b(pair.herd.worker) - before_b) / edge.NAMES
        warm = serving(pair)
    finally:
        pair.stop()
    report = Report("handshake")
    ratios = [herd / plain for herd, plain in warm]
    report.at_most(f"full handshake, {edge.NAMES:,} names, against one static certificate",
                   measure.median(ratios), "×", LIMIT,
                   f"{measure.spread(ratios)}; {PAIRS} pairs of {TURNS * TURN}; all names opened "
                   f"before, then at random; certherd_cache {edge.CACHE}, as they take "
                   f"{name_b * edge.NAMES / 1e6:.0f} MB (default {edge.CACHE_DEFAULT}); "
                   f"load {measure.loaded():.1f}")
    tell_times(report, warm, "full handshake", "TLS 1.3, X25519, P-256, no tickets")
    ratios = [herd / plain for herd, plain in cold]
    report.tell("first handshake of a name, against one static certificate", measure.median(ratios),
                "×", f"{measure.spread(ratios)}; {len(cold)} pairs of {edge.NAMES // 10:,}")
    tell_times(report, cold, "first handshake of a name", "its key is opened")
    report.tell("memory of an opened name", name_b, "bytes", "growth of the worker's own memory")
    return report
