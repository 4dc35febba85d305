#!/usr/bin/python3
"""The edge with N names: bench/bench_edge.py [--build DIR] [--names N] [--part PART]…

Prints a table and writes bench/results/edge-N.json, with limits (bench/report.py).  Exits with 1
when a limit is missed or a part could not be measured.  The certificates are made once for each N
and kept in bench/cache, or in the folder that BENCH_CACHE names.
"""

import argparse
import os
import pathlib
import signal
import sys
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import report as reports
from run import Bench, refuse_slow_build

CACHE, CACHE_LARGE = "256m", "1024m"  # from LARGE names on
LARGE = 50_000


def parts(options):
    from edgebench import filling, idle, live, serving
    return {
        "start": serving.start,
        "handshakes": serving.handshakes,
        "visits": serving.visits,
        "bootstrap": filling.bootstrap,
        "year": filling.year,
        "idle": idle.idle,
        "change": live.Changes(options.samples),
        "churn": live.Churn(options.rate, options.seconds),
    }


def read_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=HERE.parent / "build", type=pathlib.Path)
    parser.add_argument("--names", type=int, default=10_000)
    parser.add_argument("--cache", help="certherd_cache of nginx where a part sets no other")
    parser.add_argument("--samples", type=int, default=1000, help="of one changed certificate")
    parser.add_argument("--rate", type=int, default=1000, help="changes a second of the part churn")
    parser.add_argument("--seconds", type=int, default=60, help="of the part churn")
    parser.add_argument("--peers", action="store_true", help="other servers beside it instead")
    parser.add_argument("--part", action="append", help="only these")
    options = parser.parse_args()
    if options.names < 100:
        parser.error("--names: at least 100")
    return parser, options


def measure_parts(bench, options, chosen):
    from edgebench import made
    cache = options.cache or (CACHE if options.names < LARGE else CACHE_LARGE)
    report = reports.Report(f"edge-{options.names}")
    ready = made.Made(bench, options.names)
    for name, run in chosen.items():
        print(f"measuring: {name}", flush=True)
        try:
            run(bench, ready, cache, report)
        except Exception:
            traceback.print_exc()
            report.either(f"{name}: could not be measured", 0, "", "measured", False)
    return report


def main():
    parser, options = read_options()
    build = options.build.resolve()
    refuse_slow_build(build)
    os.environ["CERTHERD_BIN"] = str(build / "src/certherd")
    os.environ["CERTHERD_MODULE"] = str(build / "nginx/ngx_http_certherd_module.so")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if options.peers:
        from edgebench import compare
        return compare.run(Bench(build), options)
    known = parts(options)
    chosen = options.part or list(known)
    unknown = set(chosen) - set(known)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    report = measure_parts(Bench(build), options, {name: known[name] for name in chosen})
    report.write()
    report.show()
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
