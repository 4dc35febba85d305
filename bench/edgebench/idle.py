"""What store and issuer cost when nothing is due."""

import pathlib
import tempfile
import time

import measure
from lab import herd, wait

SETTLE_S, WATCHED_S = 20, 60
NOBODY = "https://127.0.0.1:9/directory"  # nothing is due, so nobody is asked
LIMIT_PERCENT = 1


def idle(bench, made, _, report):
    with tempfile.TemporaryDirectory(prefix="certherd-bench-") as name:
        folder = pathlib.Path(name)
        place = herd.Herd(folder / "herd").init("--directory", NOBODY, "--agree-terms")
        place.set("store", database=f"sqlite:{folder / 'store.db'}")
        made.lend(place, folder / "store.db")
        try:
            roles = [place.start("store"), place.start("issuer")]
            wait.until(place.is_healthy, "the store answers", 60)
            time.sleep(SETTLE_S)  # what a start costs is not what is asked for
            before = [measure.cpu_s(role.pid) for role in roles]
            begun = time.monotonic()
            time.sleep(WATCHED_S)
            wall_s = time.monotonic() - begun
            used = [measure.cpu_s(role.pid) - was for role, was in zip(roles, before)]
            for role in roles:
                role.check_alive()
        finally:
            place.stop()
    report.at_most("store and issuer with nothing due", 100 * sum(used) / wall_s, "% of a core",
                   LIMIT_PERCENT, f"{made.names:,} names, {wall_s:.0f} s; store "
                   f"{100 * used[0] / wall_s:.3f}, issuer {100 * used[1] / wall_s:.3f}")
