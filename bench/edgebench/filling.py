"""How an empty edge is filled, and what the replica's file becomes in a year."""

import json
import pathlib
import shutil
import tempfile

import suite_bootstrap

# Lifetime and days of the simulation, the batch in the mean; the renewals of so many names.
YEARS = ((90, 365, 20, 100_000), (6, 60, 20, 20_000))
DAY_BATCH = 20
LIMIT_B = 2048
MEMORY = pathlib.Path("/dev/shm")


def bootstrap(bench, made, _, report):
    suite_bootstrap.tell(report, made.names,
                         suite_bootstrap.measure_rounds(bench, made.names, made))


def simulate(bench, *words):
    """In memory where there is enough: what is measured is not the disk."""
    room = MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 4 << 30 else None
    with tempfile.TemporaryDirectory(prefix="certherd-year-", dir=room) as folder:
        return json.loads(bench.tool("replicayear", pathlib.Path(folder) / "replica", *words,
                                     timeout=7200)[-1])


def year(bench, made, _, report):
    for lifetime, days, batch, most in YEARS:
        names = min(made.names, most)
        found = simulate(bench, names, lifetime, days, batch)
        report.at_most(f"replica's file after {days} days of {lifetime}-day certificates",
                       found["peak_b"], "bytes/name", LIMIT_B,
                       f"{names:,} names, {found['renewed']:,} renewals in {found['batches']:,} "
                       f"batches; {found['fill_b']:,.0f} when filled; virtual time")
    found = simulate(bench, made.names, 6, 1, DAY_BATCH)
    report.at_most("the same after 24 h of 6-day certificates", found["end_b"], "bytes/name", LIMIT_B,
                   f"{made.names:,} names, {found['renewed']:,} renewals; "
                   f"{found['fill_b']:,.0f} when filled; virtual time")
