"""certherd adopt: BENCH_NAMES names (2,000), each with a certificate of its own, taken over from certbot's layout into a
fresh store on this machine, with one thread and with one a processor, for ECDSA and for RSA keys."""

import json
import os
import pathlib
import resource
import sys
import tempfile
import time

import measure
from lab import herd as lab_herd
from report import Report

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/system"))
from adopt_ca import Ca, certbot, new_key, pem  # noqa: E402

NAMES = int(os.environ.get("BENCH_NAMES", "2000"))
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
LEAST_PER_S = {"ecdsa": 80, "rsa": 40}


def make(folder, kind):
    """A few keys are enough: each is checked as if it were new."""
    ca = Ca()
    keys = [new_key(kind) for _ in range(20)]
    chain = pem(ca.intermediate)
    for i in range(NAMES):
        name, key = f"n{i:06}.{kind}.example", keys[i % len(keys)]
        certbot(folder, name, pem(ca.leaf(name, key=key)) + chain, pem(key))
    (folder / "root.pem").write_bytes(pem(ca.root))


def adopt(folder, source, threads):
    """Names a second, and CPU of certherd adopt for one name in microseconds."""
    herd = lab_herd.Herd(folder).init()
    herd.set("issuer", directory="https://127.0.0.1:9/dir", terms_agreed="yes")
    herd.start("store")
    try:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        done = herd.cli("adopt", "--json", "--certbot", source, "--roots", source / "root.pem", "--threads", threads)
        wall = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    finally:
        herd.stop()
    told = json.loads(done.stdout.splitlines()[-1])
    if told["adopted"] != NAMES:
        raise RuntimeError(f"adopted {told}")
    return NAMES / wall, (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e6 / NAMES


def run(bench):
    report = Report("adopt")
    processors = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="certherd-bench-") as name:
        folder = pathlib.Path(name)
        for kind in ("ecdsa", "rsa"):
            make(folder / kind, kind)
            runs = {1: [], processors: []}
            for i in range(RUNS):
                for threads, list_ in runs.items():
                    list_.append(adopt(folder / f"{kind}{i}-{threads}", folder / kind, threads))
            for threads, list_ in runs.items():
                rates, cpu = zip(*list_)
                how = f"{measure.spread(rates)}; {RUNS} runs; {NAMES:,} names; {threads} threads; load " \
                      f"{measure.loaded():.1f}"
                report.at_least(f"names with {kind} keys adopted, {threads} threads", measure.median(rates), "/s",
                                LEAST_PER_S[kind], how)
                report.tell(f"the same, CPU of a name, {threads} threads", measure.median(cpu), "µs", how)
    return report
