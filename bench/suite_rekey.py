"""`certherd rekey --all` over BENCH_NAMES names (100,000) with a certificate each, on SQLite and on PostgreSQL: how long
it takes, as the command does it, and how long others wait for the store meanwhile."""

import json
import os
import pathlib
import sqlite3
import tempfile
import time

from lab import postgres
from report import Report

NAMES = int(os.environ.get("BENCH_NAMES", "100000"))
BATCH = 1000
DAY_MS = 86_400_000
TIMEOUT_S = 7200
SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB"}

FIGURES = (
    ("count_s", "certificates counted", "s seen", None),
    ("plan_s", "certificates planned", "s seen", None),
    ("plan_p50_ms", "one request that plans, median", "ms seen", None),
    ("plan_max_ms", "one request that plans, the longest", "ms seen", None),
    ("again_s", "planned once more, which changes nothing", "s seen", None),
    ("put_alone_p99_ms", "name put singly, 99 %", "ms seen", None),
    ("put_beside_p99_ms", "name put singly, 99 %, meanwhile", "ms seen", 500),
    ("put_beside_max_ms", "name put singly, the longest, meanwhile", "ms seen", None),
    ("lease_alone_p99_ms", "lease, 99 %", "ms seen", None),
    ("lease_beside_p99_ms", "lease, 99 %, meanwhile", "ms seen", 500),
    ("lease_beside_max_ms", "lease, the longest, meanwhile", "ms seen", None),
    ("peak_mib", "memory of the store at most", "MiB", 200),
)


def fill(run, series, blob, end):
    """Certificates in the order of their versions, of names in no order."""
    name = "'n' || (i * 2654435761 % 4294967296) || '.example.com'"
    run("INSERT INTO cert (version, names, leaf, leaf_sha256, serial, issuer, not_before, not_after, renew_at, "
        f"spki_sha256, published_at, live) SELECT i, {name}, {blob(900)}, {blob(32)}, '0a0b', 'CN=Bench', "
        f"{end - 90 * DAY_MS}, {end}, {end - 30 * DAY_MS}, {blob(32)}, {end - 90 * DAY_MS}, 1 FROM {series} ORDER BY i")
    run(f"INSERT INTO cert_name (name, version) SELECT {name}, i FROM {series} ORDER BY i")
    run("INSERT INTO name (name, tenant, pool, www, state, code, detail, actor, failures, version, solo, cert, not_after, "
        f"next_at, created_at, updated_at) SELECT {name}, 't', 'default', 0, 'active', 'ok', '', 'nobody', 0, i, 0, i, "
        f"{end}, {end - 30 * DAY_MS}, {end - 90 * DAY_MS}, {end - 90 * DAY_MS} FROM {series} ORDER BY i")
    run(f"UPDATE meta SET last_id = {NAMES}")


def on_sqlite(bench, folder, end):
    path = pathlib.Path(folder) / "bench.db"
    bench.tool("storerekey", f"sqlite:{path}")
    db = sqlite3.connect(path)
    fill(db.execute,
         f"(WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < {NAMES}) SELECT i FROM k)",
         "randomblob({})".format, end)
    db.commit()
    db.close()
    return json.loads(bench.tool("storerekey", f"sqlite:{path}", str(BATCH), timeout=TIMEOUT_S)[-1])


def on_postgres(bench, folder, end):
    os.chmod(folder, 0o755)
    server = postgres.Postgres(pathlib.Path(folder) / "pg", durable=True, settings=SETTINGS)
    server.make().start()
    try:
        url = server.create("bench")
        bench.tool("storerekey", url)
        fill(lambda sql: server.run(f"SET session_replication_role = replica; {sql}", "bench"),
             f"(SELECT generate_series(1, {NAMES}::bigint) AS i) AS k",
             lambda n: f"decode(repeat(md5(i::text), {(n + 15) // 16}), 'hex')", end)
        server.run("ANALYZE", "bench")
        return json.loads(bench.tool("storerekey", url, str(BATCH), timeout=TIMEOUT_S)[-1])
    finally:
        server.stop()


def run(bench):
    end = int(time.time() * 1000) + 60 * DAY_MS
    report = Report("rekey")
    with tempfile.TemporaryDirectory() as folder:
        found = {"SQLite": on_sqlite(bench, folder, end), "PostgreSQL": on_postgres(bench, folder, end)}
    for database, figures in found.items():
        assert figures["planned"] == figures["counted"] >= NAMES, figures
        for key, figure, unit, limit in FIGURES:
            note = f"{NAMES:,} names"
            if limit is None:
                report.tell(f"{figure}, {database}", figures[key], unit, note)
            else:
                report.at_most(f"{figure}, {database}", figures[key], unit, limit, note)
    return report
