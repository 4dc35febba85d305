"""Asking the CA when it wants BENCH_NAMES certificates (1,000,000) renewed, while names go live.

The certificates are copies of some that the simulator of tests/casim has issued, put into the store's
database, so that it answers for each.  In turns with and without asking: names that go live.  At first all
of them are due at once, as after a day without an issuer: that is the most that asking can do."""

import os
import shutil
import sqlite3
import time

import measure
from lab import site, wait
from report import Report
from scene import Scene

NAMES = int(os.environ.get("BENCH_NAMES", "1000000"))
REAL = 200  # are issued, and the others copies of them
GOOD = 600  # names of one round
PAIRS = 7
WATCHED_S = 60
SETTLE_S = 120
RATE = 30  # the default of ari_rate
DAY_MS = 86_400_000
MOST_TIMES, MOST_RATE = 1.15, RATE * 1.02
ASKED = "renewalInfo"


def copy(db, table, number, **changed):
    """Of each row that there is, until there are so many."""
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    chosen = ", ".join(changed.get(column, column) for column in columns)
    times = number // REAL
    db.execute(f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {times}) "
               f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM {table} CROSS JOIN n")


def multiply(path, due_ms):
    """Certificates and names: NAMES of each; all are to be asked about at due_ms."""
    with sqlite3.connect(path) as db:
        last, = db.execute("SELECT max(version) FROM cert").fetchone()
        version = f"version + i * {last}"
        copy(db, "cert", NAMES, version=version, ari_next=str(due_ms))
        copy(db, "name", NAMES, name="'c' || i || '.' || name", cert=f"cert + i * {last}", prev_cert="NULL")
        db.execute(f"UPDATE cert SET ari_next = {due_ms} WHERE ari_next IS NOT NULL")
        db.execute("UPDATE meta SET last_id = (SELECT max(version) FROM cert)")
    db.close()


def spread_out(path):
    """Twice a day each, as with a CA that says so; from when this is written and all run again."""
    with sqlite3.connect(path) as db:
        db.execute("UPDATE cert SET ari_next = ?1 + abs(random()) % ?2 WHERE ari_next IS NOT NULL",
                   (int((time.time() + SETTLE_S) * 1000), DAY_MS // 2))
    db.close()


class Turns:
    def __init__(self, scene, path):
        self.scene, self.path, self.number = scene, path, 0

    def restart(self, ari, change=None):
        self.scene.site.herd.stop()
        if change:
            change(self.path)
        self.scene.site.herd.set("issuer", ari="yes" if ari else "no")
        self.scene.start_programs()

    def round(self, kind):
        self.number += 1
        return self.scene.round([f"{kind}{i}.r{self.number}-{i}.ari.example" for i in range(GOOD)])

    def asked(self):
        return self.scene.ca.tell("/state")["counts"]["requests"].get(ASKED, 0)

    def watch(self):
        """Requests a second, and CPU seconds of issuer and store a second, while no name goes live."""
        def now():
            return (time.monotonic(), self.asked(), measure.cpu_s(self.scene.pid("issuer")),
                    measure.cpu_s(self.scene.pid("store")))
        before = now()
        time.sleep(WATCHED_S)
        after = now()
        span_s = after[0] - before[0]
        return [(new - old) / span_s for new, old in zip(after[1:], before[1:])]


def measured(scene):
    path = scene.site.herd.folder / "store/certherd.db"
    turns = Turns(scene, path)
    scene.round([f"real{i}.real{i}.example" for i in range(REAL)])
    turns.restart(True, lambda path: multiply(path, 1))
    pairs, rates = [], []
    for number in range(PAIRS):
        pair = {}
        for asks in (number % 2 == 0, number % 2 == 1):
            turns.restart(asks)
            turns.round("warm")
            before, began = turns.asked(), time.monotonic()
            pair[asks] = turns.round("round")
            if asks:
                rates.append((turns.asked() - before) / (time.monotonic() - began))
        pairs.append((pair[False], pair[True]))
    turns.restart(True)
    behind = turns.watch()
    turns.restart(True, spread_out)
    before = turns.asked()
    wait.until(lambda: turns.asked() > before, "the first is asked about", 2 * SETTLE_S)
    level = turns.watch()
    turns.restart(False)
    return pairs, rates, behind, level, turns.watch()


def run(bench):
    folder = site.make_scratch("certherd-bench-")
    scene = Scene(folder, ca={"ari": {"retry_after": DAY_MS // 2000}}, issuer={"ari": "yes", "ari_rate": RATE})
    try:
        scene.start()
        pairs, rates, behind, level, idle = measured(scene)
    finally:
        scene.stop()
    shutil.rmtree(folder, ignore_errors=True)
    report = Report("ari")
    ratios = [alone / beside for alone, beside in pairs]
    report.at_most("names that go live while all certificates are due to be asked about, time against no asking",
                   measure.median(ratios), "×", MOST_TIMES,
                   f"{measure.spread(ratios)}; {PAIRS} pairs in turn of {GOOD} names; {NAMES:,} certificates; "
                   f"load {measure.loaded():.1f}")
    report.tell("names a second without asking", measure.median(alone for alone, _ in pairs), "/s")
    report.tell("requests for renewal information meanwhile", measure.median(rates), "/s", measure.spread(rates))
    report.at_most("the same while no name goes live", behind[0], "/s", MOST_RATE, f"ari_rate {RATE}")
    report.tell("requests when each is due twice a day", level[0], "/s", f"{WATCHED_S} s")
    for at, program in ((1, "issuer"), (2, "store")):
        report.tell(f"CPU of the {program} a request", (level[at] - idle[at]) / level[0] * 1e3, "ms",
                    f"{100 * level[at]:.1f} % of a core in all, {100 * idle[at]:.2f} without asking")
    return report
