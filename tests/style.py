#!/usr/bin/env python3
"""Limits that are checked by machine: length of functions and files, and clang-format.

Only clang-format 14 (Debian 12) is asked: other versions lay out a few things differently.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

FILE_LINES = 700
FUNCTION_LINES = 80
FOLDERS = ("src", "nginx", "tests/unit", "fuzz", "bench")


def sources(root):
    for folder in FOLDERS:
        yield from sorted((root / folder).rglob("*.[ch]"))


def long_functions(lines):
    """A function begins with '{' and ends with '}' in the first column (see .clang-format)."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            if number - start + 1 > FUNCTION_LINES:
                yield start, number - start + 1
            start = None


def length_complaints(root, path):
    name = path.relative_to(root)
    lines = path.read_text().splitlines()
    if len(lines) > FILE_LINES:
        yield f"{name}: {len(lines)} lines; at most {FILE_LINES}"
    for start, length in long_functions(lines):
        yield f"{name}:{start}: a function of {length} lines; at most {FUNCTION_LINES}"


def insert_complaints(root, path):
    """An older store meets tables to which a newer one has added columns."""
    name = path.relative_to(root)
    if name.parts[:2] == ("src", "store"):
        for found in re.finditer(r"INSERT INTO \w+[\s\"]+(VALUES|SELECT)", path.read_text()):
            yield f"{name}: {found[0]!r} names no columns (HACKING.md, Migrations)"


def clang_format():
    for command in ("clang-format-14", "clang-format"):
        if shutil.which(command):
            version = subprocess.run([command, "--version"], capture_output=True, text=True)
            if re.search(r"version 14\.", version.stdout):
                return command
    return None


def format_complaints(root, files):
    command = clang_format()
    if command is None:
        print("clang-format 14 is not there: layout not checked", file=sys.stderr)
        return
    done = subprocess.run(
        [command, "--dry-run", "-Werror", "--style=file", *map(str, files)],
        capture_output=True, text=True, cwd=root, env={**os.environ, "LC_ALL": "C"})
    if done.returncode:
        bad = re.findall(r"^(\S+?):(\d+):", done.stderr, re.MULTILINE)
        for name in sorted({name for name, _ in bad}):
            line = min(int(number) for other, number in bad if other == name)
            yield f"{os.path.relpath(name, root)}:{line}: run clang-format -i on it"
        if not bad:
            yield done.stderr


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    files = list(sources(root))
    found = [line for path in files for complaints in (length_complaints, insert_complaints)
             for line in complaints(root, path)]
    found += format_complaints(root, files)
    if len(files) < 10:
        found.append(f"only {len(files)} source files under {root}: wrong folder?")
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
