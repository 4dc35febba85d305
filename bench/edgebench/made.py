"""The set of N certificates under a test CA that all of a run works with.  It is made once for each
N and kept in a folder: at a million names that takes many minutes and 3 GB."""

import grp
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import edge
from lab import herd, process

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "cache"
FORMAT = 1
OLD_S = 45 * 86400  # the certificates are for 90 days
MAP_B = 64 << 30


class Made:
    """folder/ replica/, recipient.key, plain.pem (a certificate of the same shape), store.db, and
    what the records are signed with."""

    def __init__(self, bench, names):
        self.bench, self.names = bench, names
        self.folder = pathlib.Path(os.environ.get("BENCH_CACHE", FOLDER)) / str(names)
        self.replica = self.folder / "replica"
        if not self._is_good():
            self._make()
        self._check_access()

    def _is_good(self):
        try:
            note = json.loads((self.folder / "made.json").read_text())
        except (OSError, ValueError):
            return False
        return note["format"] == FORMAT and time.time() - note["at"] < OLD_S

    def _make(self):
        print(f"making {self.names:,} certificates in {self.folder}", flush=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "pki").mkdir(parents=True)
        process.run([herd.binary(), "init", self.folder / "signers"])
        shutil.copy(self.folder / "signers/issuer/signing.key", self.folder / "pki/signing.key")
        self._mkreplica("--make-key", "x25519", "recipient.key", "recipients")
        self.apply("replica", f"many:{edge.SUFFIX}:{self.names}:1",
                   f"pem:n{self.names}.{edge.SUFFIX}:plain.pem")
        self.bench.tool("storefill", self.replica, self.folder / "store.db", timeout=3600)
        (self.folder / "made.json").write_text(json.dumps({"format": FORMAT, "at": time.time()}))

    def apply(self, replica, *operations, cwd=None):
        group = []
        if os.geteuid() == 0:
            group = ["--group", str(grp.getgrnam(edge.USER).gr_gid)]
        self._mkreplica("--pki", self.folder / "pki", "--recipients", self.folder / "recipients",
                        *group, "--map", str(MAP_B), "--shape", "public",
                        "--jobs", str(os.cpu_count()), replica, *operations, cwd=cwd)

    def _mkreplica(self, *words, cwd=None):
        subprocess.run([self.bench.mkreplica, *map(str, words)], cwd=cwd or self.folder, check=True)

    def _check_access(self):
        """nginx's workers are another user's when it is started by root."""
        if os.geteuid() != 0:
            return
        for folder in self.folder.parents:
            if not folder.stat().st_mode & 0o001:
                sys.exit(f"bench: {edge.USER} may not enter {folder}: name another folder in BENCH_CACHE")

    def lend(self, to, database):
        """To a herd that was just made: the signer whom its agent believes, and a store's
        database, which does not exist yet."""
        shutil.copy(self.folder / "signers/edge/signers", to.folder / "edge/signers")
        subprocess.run(["cp", "--reflink=auto", self.folder / "store.db", database], check=True)

    def size_b(self):
        data, = self.replica.glob("f*/data.mdb")
        return data.stat().st_blocks * 512
