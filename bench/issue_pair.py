#!/usr/bin/python3
"""CPU time for each certificate of two or more programs that take turns, in milliseconds and as a share of Pebble's:
bench/issue_pair.py TURNS CERTHERD CERTHERD…, with the tools of build/."""

import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import measure
import run
import suite_issue
from lab import site


def start(bench, program):
    os.environ["CERTHERD_BIN"] = program
    herd = suite_issue.Herd(bench, site.make_scratch("certherd-bench-") / "site")
    herd.start()
    return herd


def turn(herd, number):
    before = herd.cpu_s()
    herd.issue(f"turn{number}")
    return {name: 1000 * (spent - before[name]) / suite_issue.CHUNK for name, spent in herd.cpu_s().items()}


def tell(program, turns):
    ms = {name: round(measure.median([one[name] for one in turns]), 2) for name in turns[0]}
    shares = [one["issuer"] / one["Pebble"] for one in turns]
    print(f"{program}: {ms}, issuer of Pebble's {measure.median(shares):.3f} ({measure.spread(shares)})", flush=True)


def main():
    bench = run.Bench(HERE.parent / "build")
    herds = []
    turns = {program: [] for program in sys.argv[2:]}
    try:
        for program in turns:
            herds.append(start(bench, program))
        for number in range(int(sys.argv[1])):
            for program, herd in zip(turns, herds):
                turns[program].append(turn(herd, number))
    finally:
        for herd in herds:
            herd.site.stop()
    for program, list_of in turns.items():
        tell(program, list_of)


if __name__ == "__main__":
    main()
