#!/usr/bin/env python3
"""The direction of dependencies, checked on the include lines.

base <- crypto <- wire <- pace <- {sim, net, acme, store, edge} <- programs.  Siblings do not
include each other (acme may include net/http.h), the pages of src/ui know the store by its answers
only and belong to cli, programs never include one another, src/main.c alone knows
them all, and the nginx module sees the replica's header and the others of src/edge that it
links, and what lies below.
"""

import pathlib
import re
import sys

BELOW_LIBRARIES = {"base", "crypto", "wire"}
PACED = BELOW_LIBRARIES | {"pace"}
LIBRARIES = PACED | {"sim", "net", "acme", "store", "edge"}
PROGRAMS = {"stored", "issuerd", "agentd", "cli", "up"}

ALLOWED = {
    "base": {"base"},
    "crypto": {"base", "crypto"},
    "wire": BELOW_LIBRARIES,
    "pace": PACED,
    "sim": PACED | {"sim"},
    "net": BELOW_LIBRARIES | {"net"},
    "acme": BELOW_LIBRARIES | {"acme", "net/http.h"},
    "store": PACED | {"store"},
    "edge": BELOW_LIBRARIES | {"edge"},
    "ui": {"base", "wire", "net", "ui"},
    **{program: LIBRARIES | {program} for program in PROGRAMS},
    "cli": LIBRARIES | {"ui", "cli"},
    "main.c": LIBRARIES | PROGRAMS,
    "nginx": BELOW_LIBRARIES | {"edge/replica.h", "edge/hotset.h", "edge/keytable.h", "edge/namelist.h",
              "edge/told.h", "nginx"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def complaints(root):
    src = root / "src"
    files = [*src.rglob("*.[ch]"), *(root / "nginx").rglob("*.[ch]")]
    if len(files) < 10:
        yield f"only {len(files)} source files under {root}: wrong folder?"
    for path in sorted(files):
        where = path.relative_to(root).parts
        owner = where[0] if where[0] == "nginx" else where[1]
        allowed = ALLOWED.get(owner)
        if allowed is None:
            yield f"{'/'.join(where)}: no rule for the folder '{owner}'; add one to {__file__}"
            continue
        for included in INCLUDE.findall(path.read_text()):
            folder = included.split("/")[0] if "/" in included else owner
            if folder not in allowed and included not in allowed:
                yield f"{'/'.join(where)}: may not include {included}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    if root.is_file():
        root = root.parent.parent
    found = list(complaints(root))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
