"""A CA at which much fails: what it takes until all names are active, and how many certificates that costs.

BENCH_NAMES names (300) at a CA in order, then as many at the same one (tests/casim) while half of the nonces are
refused, and of the requests 5 % answered 500, 5 % cut off and 2 % never answered."""

import collections
import os
import shutil
import time

from lab import site, wait
from report import Report
from scene import Scene

NAMES = int(os.environ.get("BENCH_NAMES", "300"))
FAULTS = {"bad_nonce_percent": 50, "error_500_percent": 5, "reset_percent": 5, "stall_percent": 2}
WARM = 20
MOST_S = 1200
WORKERS = 16  # the default; the laboratory has fewer


def requests(ca):
    return sum(ca.tell("/state")["counts"].get("requests", {}).values())


def round_of(scene, kind, number):
    """Seconds until 19 of 20 names are active and until all are, requests to the CA for each, and how many
    certificates each has."""
    names = [f"{kind}{i}.{kind}{i}.example" for i in range(number)]
    before, active, began, took = requests(scene.ca), scene.count("active"), time.monotonic(), []
    scene.add(names)
    for share in (0.95, 1):
        wait.until(lambda share=share: scene.count("active") >= active + share * number,
                   f"{share:.0%} of the names are active", timeout=MOST_S, interval=0.05)
        took.append(time.monotonic() - began)
    scene.site.check()
    asked = (requests(scene.ca) - before) / number
    made = collections.Counter(name for one in scene.ca.tell("/certificates") for name in one["names"])
    return took, asked, [made[name] for name in names]


def run(bench):
    folder = site.make_scratch("certherd-bench-")
    scene = Scene(folder, issuer={"workers": WORKERS})
    try:
        scene.start()
        round_of(scene, "warm", WARM)
        well, well_asked, _ = round_of(scene, "well", NAMES)
        scene.ca.ask("/settings", {"faults": FAULTS})
        ill, ill_asked, made = round_of(scene, "ill", NAMES)
        faults = scene.ca.tell("/state")["counts"]["faults"]
    finally:
        scene.stop()
    shutil.rmtree(folder, ignore_errors=True)
    report = Report("faults")
    told = ", ".join(f"{number} {kind}" for kind, number in sorted(faults.items()) if number)
    report.at_most("names of a CA at which much fails that are not active in the end", made.count(0), "names", 0,
                   f"of {NAMES}; {told}")
    report.at_most("certificates beyond one for each name", sum(made) - NAMES, "", 0, "the CA counts them")
    for at, which in enumerate(("19 of 20 names are", "all are")):
        report.tell(f"time until {which} active, against a CA in order", ill[at] / well[at], "×",
                    f"{ill[at]:.0f} and {well[at]:.1f} s")
    report.tell("requests a certificate, CA in order", well_asked, "")
    report.tell("requests a certificate, with failures", ill_asked, "", "those that were refused or cut off too")
    return report
