#!/usr/bin/env python3
"""Adds up the results that the build folders given hold, from meson's testlog.json and pytest's
junit file, and prints "N passed, N failed" as its last line.

A folder that lacks a file counts as one failure: what did not run has not passed.
"""

import json
import pathlib
import sys
import xml.etree.ElementTree as xml


def count_meson(path):
    good = bad = 0
    for line in path.read_text().splitlines():
        result = json.loads(line)["result"]
        if result in ("OK", "EXPECTEDFAIL"):
            good += 1
        elif result != "SKIP":
            bad += 1
    return good, bad


def count_pytest(path):
    good = bad = 0
    for case in xml.parse(path).getroot().iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            bad += 1
        elif "skipped" not in kinds:
            good += 1
    return good, bad


def count(label, path, counter):
    try:
        good, bad = counter(path)
        if good + bad == 0:
            raise ValueError("no results in it")
    except (OSError, ValueError, KeyError, xml.ParseError) as error:
        print(f"{label}: no results ({error})")
        return 0, 1
    print(f"{label}: {good} passed, {bad} failed")
    return good, bad


def main():
    total_good = total_bad = 0
    for argument in sys.argv[1:]:
        folder, _, kinds = argument.partition(":")
        for kind in kinds.split(","):
            name = {"unit": "meson-logs/testlog.json", "system": "system.xml"}[kind]
            counter = {"unit": count_meson, "system": count_pytest}[kind]
            good, bad = count(f"{folder} {kind}", pathlib.Path(folder) / name, counter)
            total_good += good
            total_bad += bad
    print(f"{total_good} passed, {total_bad} failed")
    return 1 if total_bad else 0


if __name__ == "__main__":
    sys.exit(main())
