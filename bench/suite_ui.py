"""The pages of `certherd ui` and the commands `status` and `domain list` over BENCH_NAMES names (100,000) on SQLite: how
long each takes, and the store's CPU for it."""

import http.client
import json
import os
import pathlib
import re
import sqlite3
import statistics
import tempfile
import time

import measure
from lab import herd as lab_herd, process, wait
from report import Report

NAMES = int(os.environ.get("BENCH_NAMES", "100000"))
RUNS = int(os.environ.get("BENCH_RUNS", "15"))
DAY_MS = 86_400_000
STORE_MS = 300  # of the store's CPU, at most
TENANTS = max(8, NAMES // 1000)

# Of a thousand names, from: state, code, who must act, failures.  The certificate is missing where there was none yet.
KINDS = (
    (0, "active", "ok", "nobody", 0),
    (930, "failed", "dns-points-elsewhere", "customer", 3),
    (960, "failed", "authorization-failed", "platform", 3),
    (965, "failed", "account-paused", "operator", 3),
    (967, "failed", "ca-error", "ca", 3),
    (970, "pending", "ca-limit-account", "nobody", 0),
    (985, "validating", "queued", "nobody", 0),
    (987, "pending", "queued", "nobody", 0),
    (990, "moved", "dns-moved", "customer", 9),
    (995, "paused", "paused", "nobody", 0),
)
PAGES = (
    ("overview", "/"),
    ("names", "/names"),
    ("names, the middle", "/names?prefix=n5"),
    ("names that failed", "/names?state=failed"),
    ("names that failed, the end", "/names?state=failed&prefix=n9"),
    ("names that wait for the customer", "/names?actor=customer"),
    ("names that failed, for the customer", "/names?state=failed&actor=customer"),
    ("names that failed, for the CA", "/names?state=failed&actor=ca"),
    ("active names of a tenant", "/names?state=active&tenant=t7"),
    ("moved names of a tenant", "/names?state=moved&tenant=t7"),
    ("active names of a pool without any", "/names?state=active&pool=other"),
    ("names of a pool without any", "/names?pool=other"),
    ("names that nobody must act for", "/names?actor=nobody"),
    ("names that begin so, of which there are none", "/names?prefix=zzz"),
    ("a name", "/names/{live}"),
    ("a name that failed", "/names/{failed}"),
    ("a name that is not there", "/names/nobody.example.com"),
)
COMMANDS = (
    ["status"],
    ["status", "--json"],
    ["domain", "list"],
    ["domain", "list", "--state", "failed"],
    ["domain", "list", "--state", "moved", "--tenant", "t7"],
)


def name_of(i):
    return f"n{i * 2654435761 % 4294967296}.example.com"


def case(column):
    """What the kind of a name has in this place, in SQL."""
    whens = " ".join(f"WHEN i % 1000 >= {kind[0]} THEN {kind[column]!r}" for kind in reversed(KINDS))
    return f"CASE {whens} END"


def fill(path, now):
    """Names in no order, with what a platform's have after a year: certificates, records, orders, history."""
    db = sqlite3.connect(path)
    run = db.execute
    for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1000000", "temp_store = MEMORY"):
        run(f"PRAGMA {setting}")
    run(f"CREATE TEMP TABLE k AS WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < {NAMES}) "
        "SELECT i, 'n' || (i * 2654435761 % 4294967296) || '.example.com' AS name, "
        f"'t' || (i * 7919 / 1000 % {TENANTS}) AS tenant, i % 1000 < 930 OR i % 1000 >= 967 AND i % 1000 < 970 "
        f"OR i % 1000 >= 990 AS has_cert, {now} + 30 * {DAY_MS} + i * 48271 % 60 * {DAY_MS} + i % 24 * 3600000 AS ends FROM k")
    run("INSERT INTO cert (version, names, leaf, leaf_sha256, serial, issuer, not_before, not_after, renew_at, "
        "spki_sha256, published_at, live) SELECT i, name, randomblob(900), randomblob(32), hex(randomblob(18)), 'CN=Bench', "
        f"ends - 90 * {DAY_MS}, ends, ends - 30 * {DAY_MS}, randomblob(32), ends - 90 * {DAY_MS}, 0 "
        "FROM k WHERE has_cert ORDER BY i")
    run("INSERT INTO cert_name (name, version) SELECT name, i FROM k WHERE has_cert ORDER BY i")
    run("INSERT INTO name (name, tenant, pool, www, state, code, detail, actor, failures, version, solo, cert, not_after, "
        f"next_at, created_at, updated_at) SELECT name, tenant, 'default', 0, {case(1)}, {case(2)}, "
        f"iif(i % 1000 < 930, '', 'What was found, in a sentence of about as many letters as those of the store have.'), "
        f"{case(3)}, {case(4)}, i, 0, iif(has_cert, i, NULL), iif(has_cert, ends, NULL), "
        f"iif(i % 1000 >= 995, NULL, iif(i % 1000 < 930, ends - 30 * {DAY_MS}, {now} + {DAY_MS} + i)), "
        f"{now} - 300 * {DAY_MS}, {now} - {DAY_MS} FROM k ORDER BY i")
    run("UPDATE cert SET live = 1 WHERE version IN (SELECT i FROM k WHERE i % 1000 < 990 AND has_cert)")
    run("INSERT INTO edge_record (seq, pool, name, version, kind, record, at) SELECT i, 'default', name, i, 1, "
        f"randomblob(700), {now} - {DAY_MS} FROM k ORDER BY i")
    run("INSERT INTO waiting (name, class, tenant, cas, since) SELECT name, 3 + i % 2, tenant, '', "
        f"{now} - i % 86400000 FROM k WHERE i % 1000 >= 970 AND i % 1000 < 985 ORDER BY i")
    run("INSERT INTO orders (id, state, pool, fence, attempts, renewal, created_at, updated_at, ended_at) SELECT i, 'done', "
        f"'default', 3, 1, 0, {now} - 60 * {DAY_MS}, {now} - 60 * {DAY_MS}, {now} - 60 * {DAY_MS} FROM k "
        "WHERE has_cert ORDER BY i")
    run("INSERT INTO orders (id, state, pool, fence, attempts, renewal, next_at, created_at, updated_at) SELECT i, "
        f"'ordering', 'default', 1, 1, 0, {now} + 3600000 + i, {now}, {now} FROM k WHERE i % 1000 IN (985, 986) ORDER BY i")
    run("INSERT INTO order_name (order_id, name, had_cert, prev_state, gone) SELECT i, name, 0, 'pending', 0 FROM k "
        "WHERE has_cert OR i % 1000 IN (985, 986) ORDER BY i")
    run("UPDATE name SET order_id = version WHERE state = 'validating'")
    for at, event in enumerate(("registered", "issued", "live")):
        run("INSERT INTO history (name, at, event, detail, actor) SELECT name, "
            f"{now} - {60 - at} * {DAY_MS}, '{event}', 'A sentence of what was done then.', 'nobody' FROM k ORDER BY i")
    run("INSERT INTO bucket (key, tat, size, refill, tail) SELECT 'domain:d' || i || '.example', "
        f"{now} * 1000 + i * 1000000, 50, 12096000000, 0 FROM k WHERE i <= 20000")
    run(f"UPDATE meta SET last_id = {NAMES}, head = {NAMES}")
    db.commit()
    run("PRAGMA journal_mode = WAL")
    db.close()


class Browser:
    """An operator who has opened the address, with one connection."""

    def __init__(self, child):
        found = wait.until(lambda: child.check_alive() and
                           re.search(r"http://(\S+):(\d+)/\?token=([\w-]+)\n", child.log()), "the address is printed")
        self.connection = http.client.HTTPConnection(found[1], int(found[2]), timeout=60)
        answer = self.ask(f"/?token={found[3]}")
        self.root = answer.headers["Location"].rstrip("/")
        self.cookie = answer.headers["Set-Cookie"].split(";")[0]

    def ask(self, path, **headers):
        self.connection.request("GET", path, headers=headers)
        answer = self.connection.getresponse()
        answer.text = answer.read().decode()
        return answer

    def get(self, path):
        answer = self.ask(self.root + path, Cookie=self.cookie)
        assert answer.status in (200, 404), answer.text
        return answer.text


def timed(store, action):
    """Milliseconds until it is done, and the store's CPU for it, each the median of RUNS."""
    walls, cpus = [], []
    for _ in range(RUNS):
        cpu, began = measure.cpu_s(store.pid), time.monotonic()
        action()
        walls.append((time.monotonic() - began) * 1000)
        cpus.append((measure.cpu_s(store.pid) - cpu) * 1000)
    return statistics.median(walls), statistics.median(cpus), walls


def check_counts(herd):
    """What is shown is what is there."""
    status = json.loads(herd.cli("status", "--json").stdout)
    counts = [0] * len(KINDS)
    for i in range(1, NAMES + 1):
        counts[max(at for at, kind in enumerate(KINDS) if i % 1000 >= kind[0])] += 1
    for state, n in status["names"].items():
        want = NAMES if state == "total" else sum(count for count, kind in zip(counts, KINDS) if kind[1] == state)
        assert n == want, (state, n, want)
    for actor, n in status["failed"].items():
        want = sum(count for count, kind in zip(counts, KINDS) if kind[1] == "failed" and kind[3] == actor)
        assert n == min(want, 10000), (actor, n, want)
    for words in (["--state", "moved", "--tenant", "t7"], ["--state", "failed", "--actor", "ca"]):
        listed = json.loads(herd.cli("domain", "list", "--all", "--json", *words).stdout)
        assert listed["domains"] and not listed["more"], words
    none = json.loads(herd.cli("domain", "list", "--pool", "other", "--json").stdout)
    assert none == {"domains": [], "more": False}, none


def tell(report, what, figures):
    wall, cpu, walls = figures
    how = f"{NAMES:,} names; {measure.spread(walls)}; {RUNS} runs; load {measure.loaded():.1f}"
    report.tell(f"{what}: time", wall, "ms seen", how)
    report.at_most(f"{what}: the store", cpu, "ms CPU", STORE_MS, how)


def run(bench):
    report = Report("ui")
    names = {"live": name_of(1001), "failed": name_of(1930)}
    with tempfile.TemporaryDirectory(prefix="certherd-bench-") as folder:
        herd = lab_herd.Herd(pathlib.Path(folder) / "herd").init()
        database = pathlib.Path(folder) / "bench.db"
        herd.set("store", database=f"sqlite:{database}")
        herd.start("store")
        herd.stop()
        print(f"filling a store with {NAMES:,} names", flush=True)
        fill(database, int(time.time() * 1000))
        store = herd.start("store")
        ui = process.Process("certherd ui", [lab_herd.binary(), "ui"], pathlib.Path(folder) / "ui.log",
                             env=herd.env).start()
        try:
            browser = Browser(ui)
            check_counts(herd)
            for what, path in PAGES:
                path = path.format(**names)
                tell(report, f"page, {what}", timed(store, lambda: browser.get(path)))
            for words in COMMANDS:
                tell(report, f"certherd {' '.join(words)}", timed(store, lambda: herd.cli(*words)))
        finally:
            ui.stop()
            herd.stop()
    return report
