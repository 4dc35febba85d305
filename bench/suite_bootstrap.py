"""The first fill of an edge: a store with NAMES certificates, an agent with an empty folder, both on
this machine, until the replica is live."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import measure
from lab import herd, process, wait
from report import Report

NAMES = int(os.environ.get("BENCH_NAMES", "20000"))
ROUNDS = 7
LEAST_PER_S = 20_000
MOST_MIB = 64
MOST_B = 1_536  # of the replica's file for each name
FILL_S = 600


class Scene:
    """made: what edgebench.made keeps, or None: a set of its own."""

    def __init__(self, bench, folder, names=NAMES, made=None):
        self.folder, self.names = folder, names
        self.herd = herd.Herd(folder / "herd").init()
        self.herd.set("store", database=f"sqlite:{folder}/store.db")
        if made:
            made.lend(self.herd, folder / "store.db")
        else:
            self._make(bench)
        self.store = self.herd.start("store")

    def _make(self, bench):
        pki = self.folder / "pki"
        pki.mkdir()
        shutil.copy(self.herd.folder / "issuer/signing.key", pki / "signing.key")
        print(f"making {self.names:,} certificates", flush=True)
        for words in (["--make-key", "x25519", "recipient.key", "recipients"],
                      ["--pki", "pki", "--recipients", "recipients", "--map", str(64 << 30),
                       "--shape", "public", "made",
                       f"many:shops.customers.example.net:{self.names}:1"]):
            subprocess.run([bench.mkreplica, *words], cwd=self.folder, check=True)
        bench.tool("storefill", self.folder / "made", self.folder / "store.db")

    def fill(self, number):
        """An agent with an empty folder, until its replica is live."""
        replica = self.folder / f"replica{number}"
        self.herd.set("agent", replica=str(replica))
        store_s = measure.cpu_s(self.store.pid)
        begun = time.monotonic()
        agent = self.herd.start("agent")
        peak_kib = 0

        def is_live():
            nonlocal peak_kib
            peak_kib = max(peak_kib, anonymous_kib(agent.pid))
            return agent.check_alive() and (replica / "current").exists()

        wait.until(is_live, lambda: f"the replica is live\n{agent.log_tail()}", FILL_S, interval=0.005)
        wall_s = time.monotonic() - begun
        data, = replica.glob("f*/data.mdb")
        found = {"rate": self.names / wall_s, "peak_mib": peak_kib / 1024,
                 "file_b": data.stat().st_blocks * 512 / self.names,
                 "agent_us": measure.cpu_ended_s(agent.pid) / self.names * 1e6,
                 "store_us": (measure.cpu_s(self.store.pid) - store_s) / self.names * 1e6}
        agent.stop()
        self.herd.running.remove(agent)
        shutil.rmtree(replica)
        return found


def anonymous_kib(pid):
    """Without the mapped file, which is the page cache's."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1])


def measure_rounds(bench, names=NAMES, made=None):
    with tempfile.TemporaryDirectory(prefix="certherd-bench-") as name:
        scene = Scene(bench, pathlib.Path(name), names, made)
        try:
            return [scene.fill(number) for number in range(ROUNDS)]
        finally:
            scene.herd.stop()


def tell(report, names, rounds):
    sides = {key: [one[key] for one in rounds] for key in rounds[0]}
    how = (f"{names:,} names; {ROUNDS} rounds; {os.cpu_count()} processors for store and agent; "
           f"load {measure.loaded():.1f}")
    report.at_least("an empty edge is filled", measure.median(sides["rate"]), "records/s", LEAST_PER_S,
                    f"{measure.spread(sides['rate'])}; {how}")
    report.at_most("agent's private memory at most", max(sides["peak_mib"]), "MiB", MOST_MIB, how)
    report.at_most("replica's file", measure.median(sides["file_b"]), "bytes/name", MOST_B, how)
    report.tell("agent", measure.median(sides["agent_us"]), "µs CPU/record",
                measure.spread(sides["agent_us"]))
    report.tell("store", measure.median(sides["store_us"]), "µs CPU/record",
                measure.spread(sides["store_us"]))


def run(bench):
    report = Report("bootstrap")
    tell(report, NAMES, measure_rounds(bench))
    return report
