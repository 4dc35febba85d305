#!/usr/bin/env python3
"""Writes the migrations into a C file: embed_sql.py OUTPUT FILE...

FILE is <backend>-<number>.sql; numbers run from 1 without a gap, and <backend>-next.sql, which tests
add, has the one after the last.  Its first line, "-- compatible from <number>", says the oldest version
of the schema whose programs may go on with the database afterwards; HACKING.md has what that asks of
it.  Those from before the rule say nothing: only their own programs may."""
import os
import re
import sys


BEFORE_THE_RULE = {"sqlite": 13, "postgres": 3}


def compatible_from(path, backend, number, text):
    match = re.match(r"-- compatible from (\d+|the one before)\n", text)
    if not match and number <= BEFORE_THE_RULE[backend]:
        return number
    oldest = int(match[1]) if match and match[1].isdigit() else number - 1
    if not match or not 1 <= oldest <= number:
        sys.exit(f'{path}: must begin with "-- compatible from <number>", a version up to {number}: the '
                 "oldest whose programs may go on after it (HACKING.md)")
    return oldest


def quoted(text):
    lines = []
    for line in text.splitlines():
        line = line.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
        lines.append(f'\t\t"{line}\\n"')
    return "\n".join(lines)


def main():
    output, files = sys.argv[1], sys.argv[2:]
    sets = {}
    for path in sorted(files, key=os.path.basename):
        match = re.fullmatch(r"([a-z]+)-(\d{4}|next)\.sql", os.path.basename(path))
        if not match:
            sys.exit(f"{path}: not named <backend>-<number>.sql")
        backend = match[1]
        before = sets.setdefault(backend, [])
        number = len(before) + 1
        if match[2] not in ("next", f"{number:04}"):
            sys.exit(f"{path}: migrations must be numbered from 1 without a gap")
        with open(path, encoding="ascii") as file:
            text = file.read()
        oldest = compatible_from(path, backend, number, text)
        # Who may not go on after an earlier one may not go on after this one either.
        before.append((text, max(oldest, before[-1][1] if before else 1)))
    with open(output, "w", encoding="ascii") as out:
        out.write('#include "store/migrations.h"\n')
        for backend, scripts in sets.items():
            out.write(f"\nconst char *const ch_migrations_{backend}[] = {{\n")
            out.write(",\n".join(quoted(text) for text, _ in scripts))
            out.write("\n};\n")
            out.write(f"const unsigned ch_migrations_{backend}_n = {len(scripts)};\n")
            out.write(f"const unsigned ch_migrations_{backend}_from = {scripts[-1][1]};\n")


main()
