"""From the start of nginx to the end of its first handshake: 10,000 names in the replica, against one
static certificate."""

import json
import subprocess
import time

import edge
import measure
from report import Report

PAIRS = 22  # even: each begins as often as the other
LIMIT = 1.2
LIMIT_MS = 5


def first_handshake_ms(pair, nginx, number):
    """hsload knocks already when nginx is started."""
    argv = [pair.bench.tools / "hsload", *nginx.load_arguments(seed=number), "--wait"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as client:
        if client.stdout.readline() != "ready\n":
            raise RuntimeError("hsload did not get ready")
        begin_ns = time.monotonic_ns()
        nginx.spawn()
        try:
            answer = client.stdout.readline()
        finally:
            nginx.stop()
    if not answer:
        raise RuntimeError(f"no handshake with {nginx.kind}")
    return (json.loads(answer)["first_ns"] - begin_ns) / 1e6


def both_ms(pair, number):
    """By the module, and with the static certificate; who begins takes turns."""
    order = (pair.herd, pair.plain) if number % 2 == 0 else (pair.plain, pair.herd)
    taken = {nginx.kind: first_handshake_ms(pair, nginx, number) for nginx in order}
    return taken["herd"], taken["plain"]


def tell(report, names, times):
    """times: of pairs, as both_ms returns them."""
    herd, plain = (measure.median(side) for side in zip(*times))
    ratios = [one[0] / one[1] for one in times]
    more = [one[0] - one[1] for one in times]
    report.either(f"start to first handshake, {names:,} names, against one certificate",
                  measure.median(ratios), "×", f"≤ {LIMIT:g} or + {LIMIT_MS} ms",
                  measure.median(ratios) <= LIMIT or measure.median(more) <= LIMIT_MS,
                  f"{measure.spread(ratios)}; {len(times)} pairs, taking turns; page cache warm; "
                  f"load {measure.loaded():.1f}")
    report.tell("difference of the two", measure.median(more), "ms", measure.spread(more))
    report.tell("start to first handshake, by the module", herd, "ms",
                measure.spread([one[0] for one in times]))
    report.tell("start to first handshake, static certificate", plain, "ms",
                measure.spread([one[1] for one in times]))


def run(bench):
    pair = edge.pair(bench)
    # The first two warm the page cache.
    times = [both_ms(pair, number) for number in range(PAIRS + 2)][2:]
    report = Report("start")
    tell(report, edge.NAMES, times)
    return report
