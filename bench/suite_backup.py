"""Backup, check, restore, and the move to PostgreSQL, of a store on SQLite with BENCH_NAMES names (100,000),
each with its certificate, order, record and history."""

import json
import os
import pathlib
import resource
import sqlite3
import subprocess
import tempfile
import time

import measure
from lab import herd as lab_herd, postgres
from report import Report

NAMES = int(os.environ.get("BENCH_NAMES", "100000"))
DAY_MS = 86_400_000
NAME = "printf('n%07d.example.com', i)"


def fill(path, names, now):
    """As a store has them after a year; triggers would only count what is counted here."""
    db = sqlite3.connect(path)
    db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000")
    triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        db.execute(f"DROP TRIGGER {name}")

    def insert(table, **values):
        db.execute(f"INSERT INTO {table} ({', '.join(values)}) WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL "
                   f"SELECT i + 1 FROM k WHERE i < {names}) SELECT {', '.join(map(str, values.values()))} FROM k")

    end, renewal = now + 90 * DAY_MS, now + 60 * DAY_MS
    insert("orders", id="i", state="'done'", pool="'default'", fence=5, attempts=1, renewal=0,
           leaf_sha256="randomblob(32)", created_at=now, updated_at=now, ended_at=now)
    insert("order_name", order_id="i", name=NAME, had_cert=0, prev_state="'pending'", gone=0)
    insert("cert", version="i", names=NAME, leaf="randomblob(900)", leaf_sha256="randomblob(32)",
           chain_id="zeroblob(32)", serial="hex(randomblob(18))", issuer="'CN=E7,O=CA,C=US'", not_before=now,
           not_after=end, renew_at=renewal, spki_sha256="randomblob(32)", published_at=now, live=1)
    insert("cert_name", name=NAME, version="i")
    insert("edge_record", seq="i", pool="'default'", name=NAME, version="i", kind=2,
           record="randomblob(1150)", chain_id="zeroblob(32)", at=now)
    for event in ("created", "published", "active"):
        insert("history", name=NAME, at=now, event=f"'{event}'", detail="'Served by the edges.'", actor="'nobody'")
    insert("audit", at=now, who="'platform/default/p'", action="'domain.create'", target=NAME)
    insert("name", name=NAME, tenant="'t' || (i % 1000)", pool="'default'", www=0, state="'active'", code="'ok'",
           detail="'Served by the edges.'", actor="'nobody'", next_at=renewal, failures=0, version="i", solo=0,
           cert="i", not_after=end, created_at=now, updated_at=now)
    db.execute("INSERT INTO chain VALUES (zeroblob(32), randomblob(1200))")
    db.execute("UPDATE counter SET n = ? WHERE key = 'active'", (names,))
    db.execute("INSERT INTO renewal_slot VALUES (?, ?)", (renewal // 3_600_000, names))
    db.execute("UPDATE meta SET last_id = ?1, head = ?1", (names,))
    for _, sql in triggers:
        db.execute(sql)
    db.commit()
    db.execute("PRAGMA journal_mode = WAL")
    db.close()


def timed(herd, *arguments):
    """(what it said, seconds)"""
    began = time.monotonic()
    done = herd.cli(*arguments, "--json")
    return json.loads(done.stdout), time.monotonic() - began


def migrate(herd, store, url):
    """Stops the store when asked to."""
    argv = [lab_herd.binary(), "migrate", url, "--json"]
    with subprocess.Popen(argv, env={**os.environ, **herd.env}, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as running:
        for line in running.stderr:
            if line.startswith("all is copied"):
                store.stop()
        told = json.loads(running.stdout.read())
    if running.returncode:
        raise RuntimeError(f"migrate: exit {running.returncode}")
    return told


def run(bench):
    os.environ["CERTHERD_BIN"] = str(bench.build / "src/certherd")
    with tempfile.TemporaryDirectory(prefix="certherd-bench-") as name:
        os.chmod(name, 0o755)
        folder = pathlib.Path(name)
        herd = lab_herd.Herd(folder / "herd").init()
        herd.start("store")
        herd.stop()
        fill(herd.folder / "store/certherd.db", NAMES, int(time.time() * 1000))
        store = herd.start("store")
        told, backup_s = timed(herd, "backup", folder / "backup")
        _, verify_s = timed(herd, "restore", folder / "backup", "--verify")
        peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        other = folder / "other.conf"
        other.write_text(herd.config.read_text().replace("[store]", f"[store]\ndatabase = sqlite:{folder}/again.db", 1))
        _, restore_s = timed(herd, "restore", folder / "backup", "--config", other)
        (folder / "again.db").unlink()
        server = postgres.Postgres(folder / "pg", durable=True).make().start()
        try:
            server.create("bench")
            moved = migrate(herd, store, server.url("bench"))
        finally:
            server.stop()
            herd.stop()
    report = Report("backup")
    how = f"{told['names']:,} names, {told['rows']:,} rows, {told['bytes'] / 1e9:.1f} GB; load {measure.loaded():.1f}"
    report.tell("backup, while the store runs", backup_s, "s", how)
    report.tell("restore --verify", verify_s, "s", how)
    report.at_most("memory of either at most", peak_mib, "MiB", 200, how)
    report.tell("restore into SQLite", restore_s, "s", how)
    report.tell("migrate: copied and compared, while the store runs", moved["copy_seconds"], "s", how)
    report.tell("migrate: without a store", moved["pause_seconds"], "s", how)
    return report
