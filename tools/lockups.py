#!/usr/bin/env python3
"""What to do about Pebble's known lock-up, which says nothing about what was tested.

    lockups.py files RESULTS         prints the test files in which Pebble locked up
    lockups.py merge RESULTS AGAIN   puts the results of their second run in place of the first

RESULTS and AGAIN are pytest's junit files.  `merge` exits with 1 if anything has failed then.
"""

import pathlib
import sys
import xml.etree.ElementTree as xml

# By the watchdog of tools/lab/pebble.py.
LOCKUP = "Pebble no longer answers"


def file_of(case):
    """tests.system.test_cli, or with a class behind it: the file that there is."""
    parts = case.get("classname", "").split(".")
    while parts:
        path = pathlib.Path(*parts).with_suffix(".py")
        if path.exists():
            return str(path)
        parts.pop()
    return None


def complaints(case):
    return [child for child in case if child.tag in ("failure", "error")]


def files(results):
    """A lock-up fails whatever shares that Pebble, so the whole file is run again."""
    found = set()
    for case in xml.parse(results).getroot().iter("testcase"):
        for child in complaints(case):
            if LOCKUP in child.get("message", "") + (child.text or ""):
                found.add(file_of(case))
    return sorted(found - {None})


def merge(results, again):
    tree = xml.parse(results)
    cases = list(xml.parse(again).getroot().iter("testcase"))
    repeated = {file_of(case) for case in cases} - {None}
    if not repeated:
        sys.exit(f"lockups.py: {again} has no results of a test file")
    suite = next(tree.getroot().iter("testsuite"))
    for case in list(suite.iter("testcase")):
        if file_of(case) in repeated:
            suite.remove(case)
    suite.extend(cases)
    failed = sum(1 for case in suite.iter("testcase") if complaints(case))
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("failures", str(failed))
    suite.set("errors", "0")
    tree.write(results, encoding="utf-8", xml_declaration=True)
    return failed


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "files":
        print("\n".join(files(sys.argv[2])))
        return 0
    if len(sys.argv) == 4 and sys.argv[1] == "merge":
        return 1 if merge(sys.argv[2], sys.argv[3]) else 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
