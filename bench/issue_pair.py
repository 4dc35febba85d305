#!/usr/bin/python3
"""Two or more programs, or settings of one, that take turns at issuing: certificates a second, how much of both processors
was idle meanwhile, and CPU time for each certificate, in milliseconds and as a share of Pebble's.

    bench/issue_pair.py TURNS CERTHERD[,SECTION.KEY=VALUE…] CERTHERD…

With the tools of build/."""

import os
import pathlib
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import measure
import run
import suite_issue
from lab import site

LOOK_S = 0.02


class Idle:
    """How much of the processors nobody wanted, from a begin to any moment after it."""

    def __init__(self):
        self.seen = []
        self.ended = threading.Event()
        threading.Thread(target=self.look, daemon=True).start()

    def look(self):
        while not self.ended.wait(LOOK_S):
            with open("/proc/stat") as stat:
                ticks = [int(word) for word in stat.readline().split()[1:9]]
            self.seen.append((time.monotonic(), ticks[3] + ticks[4], sum(ticks)))

    def percent(self, until):
        self.ended.set()
        during = [one for one in self.seen if one[0] <= until]
        return 100 * (during[-1][1] - during[0][1]) / (during[-1][2] - during[0][2])


def start(bench, contender):
    program, *settings = contender.split(",")
    os.environ["CERTHERD_BIN"] = program
    herd = suite_issue.Herd(bench, site.make_scratch("certherd-bench-") / "site")
    herd.site.settings = {section: dict(keys) for section, keys in herd.site.settings.items()}
    for setting in settings:
        where, value = setting.split("=", 1)
        section, key = where.split(".")
        herd.site.settings.setdefault(section, {})[key] = value
    herd.start()
    return herd


def turn(herd, number):
    before = herd.cpu_s()
    idle = Idle()
    began = time.monotonic()
    live, active = herd.issue(f"turn{number}")
    done = {name: 1000 * (spent - before[name]) / suite_issue.CHUNK for name, spent in herd.cpu_s().items()}
    done |= {"live/s": live, "active/s": active, "idle %": idle.percent(began + suite_issue.CHUNK / live)}
    return done


def tell(contender, turns):
    figures = {name: round(measure.median([one[name] for one in turns]), 2) for name in turns[0]}
    shares = {name: [one[name] / one["Pebble"] for one in turns] for name in ("issuer", "store")}
    print(f"{contender}: {figures}, of Pebble's: " + ", ".join(
        f"{name} {measure.median(list_of):.3f} ({measure.spread(list_of)})" for name, list_of in shares.items()),
          flush=True)


def main():
    bench = run.Bench(HERE.parent / "build")
    herds = []
    turns = {contender: [] for contender in sys.argv[2:]}
    try:
        for contender in turns:
            herds.append(start(bench, contender))
        for number in range(-1, int(sys.argv[1])):
            for at in range(len(herds)):
                at = at if number % 2 else -1 - at  # who goes first takes turns, too
                done = turn(herds[at], number)
                if number >= 0:  # the first is to warm up
                    list(turns.values())[at].append(done)
    finally:
        for herd in herds:
            herd.site.stop()
        for contender, list_of in turns.items():
            if list_of:
                tell(contender, list_of)


if __name__ == "__main__":
    main()
