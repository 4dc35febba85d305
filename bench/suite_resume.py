"""CPU time of an nginx worker for one TLS 1.3 handshake that is resumed by another edge's ticket,
against a full one."""

import json
import pathlib
import shutil
import tempfile

import edge
import measure
from report import Report

PAIRS = 15
TURNS = 4  # of each contender in a pair, one after the other
TURN = 250  # handshakes
NAMES = 100  # all opened before
LIMIT = 0.9


class Edges:
    """Two of one pool: "here" is measured, "there" gives tickets."""

    def __init__(self, bench):
        self.bench = bench
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="certherd-bench-"))
        self.folder.chmod(0o755)
        edge.make_replica(bench, self.folder, "tickets:default:2:a=-60..86400",
                          f"many:{edge.SUFFIX}:{NAMES}:1")
        self.here = edge.Nginx(self.folder, "herd", NAMES, folder=self.folder / "here")
        self.there = edge.Nginx(self.folder, "herd", NAMES, folder=self.folder / "there")

    def __enter__(self):
        self.here.start()
        self.there.start()
        return self

    def __exit__(self, *exc):
        self.here.stop()
        self.there.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def load(self, resumed, count):
        """CPU seconds of the worker here."""
        words = [f"--port={self.here.port}", f"--suffix={edge.SUFFIX}", f"--names={NAMES}",
                 f"--count={count}"]
        if resumed:
            words.append(f"--given-by={self.there.port}")
        before = measure.cpu_s(self.here.worker)
        found = json.loads(self.bench.tool("resumeload", *words)[-1])
        if found["tickets"] != count:
            raise RuntimeError(f"{found['tickets']} tickets came with {count} handshakes")
        return measure.cpu_s(self.here.worker) - before


def pairs_of(edges):
    found = []
    for _ in range(PAIRS):
        spent = [0, 0]
        for turn in range(TURNS):
            # Who begins takes turns as well.
            for resumed in (True, False) if turn % 2 == 0 else (False, True):
                spent[resumed] += edges.load(resumed, TURN)
        found.append(tuple(one / (TURNS * TURN) * 1e6 for one in spent))
    return found


def run(bench):
    with Edges(bench) as edges:
        for resumed in (False, True):
            edges.load(resumed, NAMES)
        found = pairs_of(edges)
    report = Report("resume")
    ratios = [resumed / full for full, resumed in found]
    report.at_most("resumed handshake across two edges, against a full one",
                   measure.median(ratios), "×", LIMIT,
                   f"{measure.spread(ratios)}; {PAIRS} pairs of {TURNS * TURN}; one ticket each; "
                   f"load {measure.loaded():.1f}")
    for which, text in enumerate(("full handshake", "resumed handshake")):
        values = [one[which] for one in found]
        report.tell(text, measure.median(values), "µs CPU", measure.spread(values))
    return report
