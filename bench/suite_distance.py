"""The store with PostgreSQL on another host: between them is a line on which everything takes its time.
BENCH_NAMES names (100,000) for each length of the line, and CERTIFICATES issued through the whole path."""

import json
import os
import shutil
import subprocess

import measure
import suite_issue
from lab import postgres, site
from report import Report

ROUND_TRIPS_MS = (0, 0.5, 2)  # the same host with the line between, the same place, the next town
RUNS = int(os.environ.get("BENCH_RUNS", "1"))
CERTIFICATES = 300

# What storetime says, the figure, its unit.
FIGURES = (
    ("put_batched_per_s", "names put, a thousand at a time", "/s"),
    ("put_single_per_s", "names put singly, 16 clients", "/s"),
    ("put_single_trips", "the same, waits for the database", "each"),
    ("feed_per_s", "feed read from the start", "records/s"),
    ("step_p50_ms", "one lease and one step, median", "ms"),
    ("step_trips", "the same, waits for the database", "each"),
    ("due_p99_ms", "looking for due work, 99 %", "ms"),
    ("issued_per_s", "issued, PUT to live in the replica", "/s"),
)


class Far:
    """A PostgreSQL server at the end of lines."""

    def __init__(self, bench, folder):
        self.bench = bench
        self.server = postgres.Postgres(folder, durable=True, settings={"shared_buffers": "512MB"})
        self.server.make().start()
        self.lines = {trip_ms: self.line(trip_ms) for trip_ms in ROUND_TRIPS_MS}
        self.ports = {trip_ms: int(line.stdout.readline()) for trip_ms, line in self.lines.items()}

    def line(self, trip_ms):
        argv = [self.bench.tools / "longline", self.server.folder / ".s.PGSQL.5432", str(int(trip_ms * 500))]
        return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def create(self, name, trip_ms):
        self.server.create(name)
        return f"postgresql://{postgres.USER}@127.0.0.1:{self.ports[trip_ms]}/{name}"

    def stop(self):
        for line in self.lines.values():
            line.communicate()
        self.server.stop()


class Herd(suite_issue.Herd):
    def __init__(self, bench, folder, database):
        super().__init__(bench, folder)
        self.site.settings = {**suite_issue.SHIPPED, "store": {**suite_issue.SHIPPED["store"], "database": database}}


def issue(bench, folder, database):
    herd = Herd(bench, folder, database)
    try:
        herd.start()
        herd.issue("warm")
        return herd.issue("turn", CERTIFICATES)[0]
    finally:
        herd.site.stop()


def one_run(bench, folder, far, trip_ms, name):
    found = json.loads(bench.tool("storetime", far.create(f"time-{name}", trip_ms), timeout=3600)[-1])
    found["issued_per_s"] = issue(bench, folder / name, far.create(f"issue-{name}", trip_ms))
    return found


def run(bench):
    folder = site.make_scratch("certherd-bench-")
    far = Far(bench, folder / "pg")
    found = {trip_ms: [] for trip_ms in ROUND_TRIPS_MS}
    try:
        for turn in range(RUNS):
            for trip_ms in ROUND_TRIPS_MS:
                found[trip_ms].append(one_run(bench, folder, far, trip_ms, f"{turn}-{trip_ms}"))
    finally:
        far.stop()
    shutil.rmtree(folder, ignore_errors=True)
    return tell(found)


def tell(found):
    report = Report("distance")
    for key, figure, unit in FIGURES:
        for trip_ms, runs in found.items():
            values = [one[key] for one in runs]
            report.tell(f"{figure}, {trip_ms} ms there and back", measure.median(values), unit,
                        f"{measure.spread(values)}; {RUNS} runs; {runs[0]['names']:,} names; load {measure.loaded():.1f}")
    return report
