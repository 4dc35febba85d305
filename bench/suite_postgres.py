"""The store on PostgreSQL by itself, beside the store on SQLite, in turns; each run fills a database of
its own.  BENCH_NAMES names (100,000).  PostgreSQL flushes its commits to the disk, as SQLite does."""

import json
import os
import pathlib
import tempfile

import measure
from lab import postgres
from report import Report

RUNS = int(os.environ.get("BENCH_RUNS", "3"))
TIMEOUT_S = 7200
SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB"}

# What storetime says, the figure, its unit, its limit and whether that is the least or the most.
FIGURES = (
    ("put_batched_per_s", "names put, a thousand at a time", "/s", 1000, "least"),
    ("put_more_per_s", "20,000 more put, a thousand at a time", "/s", 1000, "least"),
    ("put_single_per_s", "names put singly, 16 clients", "/s", 300, "least"),
    ("feed_per_s", "feed read from the start", "records/s", 20_000, "least"),
    ("step_p50_ms", "one lease and one step, median", "ms", None, None),
    ("step_p99_ms", "one lease and one step, 99 %", "ms", None, None),
    ("due_p50_ms", "looking for due work, median", "ms", None, None),
    ("due_p99_ms", "looking for due work, 99 %", "ms", 5, "most"),
    ("put_batched_cpu_us", "name put, a thousand at a time", "µs CPU of the store", None, None),
    ("put_more_cpu_us", "of 20,000 more put, one", "µs CPU of the store", None, None),
    ("step_cpu_us", "one lease and one step", "µs CPU of the store", None, None),
    ("peak_mib", "memory of the store at most", "MiB", 200, "most"),
)


def on_postgres(bench):
    with tempfile.TemporaryDirectory(prefix="certherd-bench-") as name:
        os.chmod(name, 0o755)
        server = postgres.Postgres(pathlib.Path(name) / "pg", durable=True, settings=SETTINGS)
        server.make().start()
        try:
            return json.loads(bench.tool("storetime", server.create("bench"), timeout=TIMEOUT_S)[-1])
        finally:
            server.stop()


def run(bench):
    sides = {"PostgreSQL": [], "SQLite": []}
    for _ in range(RUNS):
        sides["PostgreSQL"].append(on_postgres(bench))
        sides["SQLite"].append(json.loads(bench.tool("storetime", timeout=TIMEOUT_S)[-1]))
    report = Report("postgres")
    how = f"{RUNS} runs; {sides['SQLite'][0]['names']:,} names; load {measure.loaded():.1f}"
    for key, figure, unit, limit, kind in FIGURES:
        for side, runs in sides.items():
            values = [one[key] for one in runs]
            note = f"{measure.spread(values)}; {how}"
            if limit is None:
                report.tell(f"{side}: {figure}", measure.median(values), unit, note)
            elif kind == "least":
                report.at_least(f"{side}: {figure}", measure.median(values), unit, limit, note)
            else:
                report.at_most(f"{side}: {figure}", measure.median(values), unit, limit, note)
    return report
