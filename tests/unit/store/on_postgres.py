#!/usr/bin/python3
"""Runs the contract tests on a PostgreSQL server of their own: on_postgres.py [--doubt] TEST…

--doubt: what a transaction remembers is asked for again, and must be so."""

import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tools"))

from lab import postgres


def main():
    doubt = sys.argv[1] == "--doubt"
    tests = sys.argv[1 + doubt:]
    wanted = {"CERTHERD_TEST_DOUBT": "1"} if doubt else {}
    failed = []
    with tempfile.TemporaryDirectory(prefix="certherd-pg-") as name:
        os.chmod(name, 0o755)
        server = postgres.Postgres(pathlib.Path(name) / "pg").make().start()
        try:
            for test in tests:
                done = subprocess.run([test], capture_output=True, text=True, check=False,
                                      env={**os.environ, **wanted, "CERTHERD_TEST_POSTGRES": server.url()})
                if done.returncode:
                    failed.append(pathlib.Path(test).name)
                    print(done.stdout, done.stderr, sep="\n")
        finally:
            server.stop()
    print(f"{len(tests) - len(failed)} test programs passed, {len(failed)} failed",
          *failed)
    return 1 if failed else 0


sys.exit(main())
