#!/usr/bin/python3
"""Runs suites of benchmarks against a build folder: bench/run.py [--build DIR] [SUITE…]

Each prints a table and writes bench/results/<suite>.json (bench/report.py).  Exits with 1 when a
limit is missed or a suite could not run; a suite that could not run leaves no results, old ones
neither.
"""

import argparse
import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import report as reports

SUITES = ["seal", "store", "handshake", "resume", "start", "issue", "bootstrap", "preflight", "fanout", "postgres",
          "backup", "prune", "rekey", "adopt", "ui"]
# They take long, and the first needs the packages of the section "peers".
ASKED_FOR = ["issue_peers", "ari", "distance", "idle", "faults"]


class Bench:
    """Where the suites find what they run."""

    def __init__(self, build):
        self.build = build
        self.tools = build / "bench"
        self.mkreplica = build / "tests/tools/mkreplica"

    def tool(self, name, *arguments, timeout=600):
        """Output of one of bench/tools, a line each."""
        done = subprocess.run([self.tools / name, *map(str, arguments)], capture_output=True,
                              text=True, timeout=timeout)
        if done.returncode:
            raise RuntimeError(f"{name}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.splitlines()


def refuse_slow_build(build):
    """Figures of a build without optimization, or with a sanitizer, would mean nothing."""
    try:
        listed = json.loads((build / "meson-info/intro-buildoptions.json").read_text())
    except FileNotFoundError:
        sys.exit(f"bench: {build} is not a build folder: run `make`")
    options = {option["name"]: option["value"] for option in listed}
    sanitizers = options.get("b_sanitize", "none")
    if options["optimization"] not in ("2", "3") or sanitizers not in ("none", []):
        sys.exit(f"bench: {build} is built with optimization={options['optimization']} "
                 f"b_sanitize={sanitizers}; figures need optimization 2 or 3 and no sanitizer")


def run_suite(name, bench):
    """True when the suite ran and every limit is kept."""
    reports.remove(name)
    try:
        report = importlib.import_module(f"suite_{name}").run(bench)
    except KeyboardInterrupt:
        raise
    except Exception:
        print(f"\n{name}: could not be measured", flush=True)
        traceback.print_exc()
        return False
    report.write()
    report.show()
    return report.ok


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=HERE.parent / "build", type=pathlib.Path)
    parser.add_argument("suite", nargs="*", help=f"of {', '.join(SUITES + ASKED_FOR)}; without: all "
                        f"but {', '.join(ASKED_FOR)}")
    options = parser.parse_args()
    unknown = set(options.suite) - set(SUITES + ASKED_FOR)
    if unknown:
        parser.error(f"no such suite: {', '.join(sorted(unknown))}; "
                     f"there are {', '.join(SUITES + ASKED_FOR)}")
    build = options.build.resolve()
    refuse_slow_build(build)
    os.environ["CERTHERD_BIN"] = str(build / "src/certherd")
    os.environ["CERTHERD_MODULE"] = str(build / "nginx/ngx_http_certherd_module.so")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    failed = [name for name in options.suite or SUITES if not run_suite(name, Bench(build))]
    if failed:
        print(f"\nnot within the limits: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
