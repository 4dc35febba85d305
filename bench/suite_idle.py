"""What store and issuer cost while nothing is due: BENCH_NAMES names (1,000,000) with a certificate each, that
nobody asks about and that nobody changes."""

import os
import shutil
import time

import measure
import suite_ari
from lab import site
from report import Report
from scene import Scene

WATCHED_S = 120
SETTLE_S = 30  # after the start: leases that find nothing become rarer, files are written back
MOST_PERCENT = 1.0
PROGRAMS = ("store", "issuer")


def watch(scene):
    before = {program: measure.cpu_s(scene.pid(program)) for program in PROGRAMS}
    time.sleep(WATCHED_S)
    return {program: 100 * (measure.cpu_s(scene.pid(program)) - before[program]) / WATCHED_S for program in PROGRAMS}


def run(bench):
    folder = site.make_scratch("certherd-bench-")
    scene = Scene(folder, issuer={"ari": "no"})
    try:
        scene.start()
        scene.round([f"real{i}.real{i}.example" for i in range(suite_ari.REAL)])
        scene.site.herd.stop()
        suite_ari.multiply(scene.site.herd.folder / "store/certherd.db", int((time.time() + 86_400) * 1000))
        scene.start_programs()
        time.sleep(SETTLE_S)
        percent = watch(scene)
        total = scene.site.herd.api().get("/v1/status").json["names"]["total"]
    finally:
        scene.stop()
    shutil.rmtree(folder, ignore_errors=True)
    if total < suite_ari.NAMES:
        raise RuntimeError(f"the store has {total:,} names only")
    report = Report("idle")
    report.at_most("CPU of store and issuer while nothing is due", sum(percent.values()), "% of a core", MOST_PERCENT,
                   f"{total:,} names, {WATCHED_S} s; store {percent['store']:.2f}, issuer {percent['issuer']:.2f}; ARI off")
    return report
