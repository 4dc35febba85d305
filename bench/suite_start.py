"""From the start of nginx to the end of its first handshake: 10,000 names in the replica, against one
static certificate."""

import json
import subprocess
import time

import edge
import measure
from report import Report

PAIRS = 21
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


def run(bench):
    pair = edge.pair(bench)
    times = []
    for number in range(-2, PAIRS):
        one = [first_handshake_ms(pair, nginx, number + 2) for nginx in (pair.herd, pair.plain)]
        if number >= 0:  # the first two warm the page cache
            times.append(one)
    herd, plain = (measure.median(side) for side in zip(*times))
    ratios = [one[0] / one[1] for one in times]
    report = Report("start")
    report.either(f"start to first handshake, {edge.NAMES:,} names, against one certificate",
                  measure.median(ratios), "×", f"≤ {LIMIT:g} or + {LIMIT_MS} ms",
                  measure.median(ratios) <= LIMIT
                  or measure.median([one[0] - one[1] for one in times]) <= LIMIT_MS,
                  f"{measure.spread(ratios)}; {PAIRS} pairs; page cache warm; "
                  f"load {measure.loaded():.1f}")
    report.tell("start to first handshake, by the module", herd, "ms",
                measure.spread([one[0] for one in times]))
    report.tell("start to first handshake, static certificate", plain, "ms",
                measure.spread([one[1] for one in times]))
    return report
