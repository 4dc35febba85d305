#!/usr/bin/env python3
"""Writes the migrations into a C file: embed_sql.py OUTPUT FILE...

FILE is <backend>-<number>.sql; numbers run from 1 without a gap."""
import os
import re
import sys


def quoted(text):
    lines = []
    for line in text.splitlines():
        line = line.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
        lines.append(f'\t\t"{line}\\n"')
    return "\n".join(lines)


def main():
    output, files = sys.argv[1], sys.argv[2:]
    sets = {}
    for path in sorted(files):
        match = re.fullmatch(r"([a-z]+)-(\d{4})\.sql", os.path.basename(path))
        if not match:
            sys.exit(f"{path}: not named <backend>-<number>.sql")
        backend, number = match[1], int(match[2])
        with open(path, encoding="ascii") as file:
            sets.setdefault(backend, []).append(file.read())
        if number != len(sets[backend]):
            sys.exit(f"{path}: migrations must be numbered from 1 without a gap")
    with open(output, "w", encoding="ascii") as out:
        out.write('#include "store/migrations.h"\n')
        for backend, texts in sets.items():
            out.write(f"\nconst char *const ch_migrations_{backend}[] = {{\n")
            out.write(",\n".join(quoted(text) for text in texts))
            out.write("\n};\n")
            out.write(f"const unsigned ch_migrations_{backend}_n = {len(texts)};\n")


main()
