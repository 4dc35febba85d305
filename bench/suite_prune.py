"""Pruning the history of BENCH_NAMES names (100,000), ten old entries each, down to the last two, on SQLite and on
PostgreSQL: what it costs, and what a client that writes singly notices of it."""

import json
import os
import pathlib
import sqlite3
import tempfile
import time

from lab import postgres
from report import Report

NAMES = int(os.environ.get("BENCH_NAMES", "100000"))
ENTRIES = 10
DAY_MS = 86_400_000
TIMEOUT_S = 7200
SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB"}

FIGURES = (
    ("rows_per_s", "rows pruned without pauses", "/s seen"),
    ("row_cpu_us", "row pruned, the store's part", "µs CPU"),
    ("batch_p50_ms", "one batch, median", "ms seen"),
    ("batch_p99_ms", "one batch, 99 %", "ms seen"),
    ("rows_per_s_beside", "rows pruned as the store does, beside a writer", "/s seen"),
    ("write_p99_ms", "name put singly, 99 %, without pruning", "ms seen"),
    ("write_beside_p50_ms", "name put singly, median, beside pruning", "ms seen"),
    ("write_beside_p99_ms", "name put singly, 99 %, beside pruning", "ms seen"),
)


def fill(run, series, old):
    """Names in no order; what triggers would count does not matter here."""
    run("INSERT INTO name (name, tenant, pool, www, state, code, detail, actor, failures, version, solo, created_at, "
        f"updated_at) SELECT 'n' || (i * 2654435761 % 4294967296) || '.example.com', 't', 'default', 0, 'active', "
        f"'ok', '', 'nobody', 0, 1, 0, {old}, {old} FROM {series} ORDER BY i")
    for _ in range(ENTRIES):
        run("INSERT INTO history (name, at, event, detail, actor) SELECT 'n' || (i * 2654435761 % 4294967296) || "
            f"'.example.com', {old}, 'changed', 'Settings changed.', 'nobody' FROM {series} ORDER BY i")


def on_sqlite(bench, folder, old):
    path = pathlib.Path(folder) / "bench.db"
    bench.tool("storeprune", f"sqlite:{path}", "make")
    db = sqlite3.connect(path)
    fill(db.execute, f"(WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < {NAMES}) "
                     "SELECT i FROM k)", old)
    db.commit()
    db.close()
    return json.loads(bench.tool("storeprune", f"sqlite:{path}", timeout=TIMEOUT_S)[-1])


def on_postgres(bench, folder, old):
    os.chmod(folder, 0o755)
    server = postgres.Postgres(pathlib.Path(folder) / "pg", durable=True, settings=SETTINGS)
    server.make().start()
    try:
        url = server.create("bench")
        bench.tool("storeprune", url, "make")
        fill(lambda sql: server.run(f"SET session_replication_role = replica; {sql}", "bench"),
             f"(SELECT generate_series(1, {NAMES}::bigint) AS i) AS k", old)
        server.run("ANALYZE", "bench")
        return json.loads(bench.tool("storeprune", url, timeout=TIMEOUT_S)[-1])
    finally:
        server.stop()


def run(bench):
    old = int(time.time() * 1000) - 401 * DAY_MS
    report = Report("prune")
    with tempfile.TemporaryDirectory() as folder:
        found = {"SQLite": on_sqlite(bench, folder, old), "PostgreSQL": on_postgres(bench, folder, old)}
    for database, figures in found.items():
        for key, figure, unit in FIGURES:
            report.tell(f"{figure}, {database}", figures[key], unit, f"{NAMES:,} names")
    return report
