"""certherd's edge and the peers with the same certificates, the same load, in one run."""

import hashlib
import json
import pathlib
import select
import ssl
import subprocess
import tempfile
import time

import edge
import measure
import report as reports
from edgebench import live, plot
from edgebench.made import Made
from edgebench.peers import PEERS, Peer
from lab import herd

STARTS = 3
TURNS = 7  # at least; of each server, who take turns
TURN = 400
WARM = 2000
CHANGES = 3
PARALLEL = 8
PATIENCE_S = 1800
START_MOST_S = 900
CHANGE_MOST_S = 30  # and one for every hundred names
COLUMNS = (("start_s", "start, s"), ("memory_start_mib", "memory, MiB"),
           ("memory_load_mib", "under load"), ("memory_reload_mib", "after reloads"),
           ("cpu_us", "µs CPU/handshake"), ("change_s", "changed cert., s"), ("failed_handshakes", "failed meanwhile"),
           ("how", "by"))


class Certherd(Peer):
    """The replica is filled; a change goes through the store."""

    title = "certherd"
    reload = "none: through store and agent"
    cache = "256m"

    def configure(self):
        self.nginx = edge.Nginx(self.made.folder, "herd", self.names, self.cache, "warn",
                                self.folder / "nginx", self.made.replica)
        self.port = self.nginx.port

    def argv(self):
        return [herd.nginx(), "-p", self.nginx.folder, "-c", self.nginx.folder / "nginx.conf"]


def pss_mib(peer):
    """Of all its processes."""
    total = 0
    for pid in peer.pids():
        try:
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total / 1024


def cpu_s(peer):
    total = 0
    for pid in peer.pids():
        try:
            total += measure.cpu_s(pid)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def hsload(bench, peer, **options):
    found = json.loads(bench.tool("hsload", *peer.load_arguments(**options), timeout=PATIENCE_S)[-1])
    peer.process.check_alive()
    return found


def knock(bench, peer, number, begin):
    """hsload's answer; "" when its handshake failed.  begin() when it is ready."""
    argv = [bench.tools / "hsload", *peer.load_arguments(seed=number, wait=START_MOST_S)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True) as client:
        if client.stdout.readline() != "ready\n":
            raise RuntimeError("hsload did not get ready")
        begin()
        while not select.select([client.stdout], [], [], 0.5)[0]:
            if not peer.process.is_alive():
                client.kill()
        return client.stdout.readline()


def start_s(bench, peer, number):
    """Some listen before they can serve: they are asked again."""
    begun_ns = []

    def begin():
        if not begun_ns:
            begun_ns.append(time.monotonic_ns())
            peer.spawn()

    answer = knock(bench, peer, number, begin)
    while not answer:
        peer.process.check_alive()
        if time.monotonic_ns() - begun_ns[0] > START_MOST_S * 1e9:
            raise RuntimeError("no handshake")
        answer = knock(bench, peer, number, begin)
    return (json.loads(answer)["first_ns"] - begun_ns[0]) / 1e9


def measure_start(bench, peer, found):
    times = []
    for number in range(STARTS):
        peer.stop()
        times.append(start_s(bench, peer, number))
    found["start_s"] = measure.median(times)
    found["start_spread"] = measure.spread(times)
    found["memory_start_mib"] = pss_mib(peer)
    hsload(bench, peer, count=WARM, seed=5, parallel=PARALLEL)


def measure_turns(bench, running):
    """CPU of each per handshake, names at random, all of them running."""
    costs = {peer: [] for peer in running}
    for turn in range(TURNS):
        for peer in running if turn % 2 == 0 else reversed(running):
            before = cpu_s(peer)
            done = hsload(bench, peer, count=TURN, seed=100 + turn, parallel=PARALLEL)
            costs[peer].append((cpu_s(peer) - before) / done["handshakes"] * 1e6)
    return costs


def changed_file_s(bench, peer, number):
    """From the file's replacement to the first handshake with it."""
    name = peer.name(number)
    new = peer.folder / "new.pem"
    peer.made.apply(peer.folder / "unused", f"pem:{name}:{new}")
    leaf = ssl.PEM_cert_to_DER_cert(new.read_text().split("-----END CERTIFICATE-----")[0] +
                                    "-----END CERTIFICATE-----\n")
    watch = live.Watch(bench, peer.port, str(CHANGE_MOST_S + peer.names // 100))
    watch.begin(name, hashlib.sha256(leaf).hexdigest())
    begun_ns = time.monotonic_ns()
    new.chmod(0o644)
    new.replace(peer.pems / f"{name}.pem")
    peer.changed()
    return (watch.seen_ns() - begun_ns) / 1e9, watch.failed


def change_through_store_s(bench, made):
    with live.running(bench, made, Certherd.cache) as site:
        issuer = live.Issuer(site)
        names = issuer.prepare(CHANGES)
        orders, records = issuer.renew(names)
        watch = live.Watch(bench, site.nginx.port)
        return [live.Changes.one(site, issuer, orders[name], records[name], watch) / 1e3
                for name in names]


def measure_changes(bench, peer, made, found):
    if isinstance(peer, Certherd):
        times = change_through_store_s(bench, made)
        found["failed_handshakes"] = 0  # it would not have come so far
    elif peer.changed is None:
        return
    else:
        times, failed = zip(*(changed_file_s(bench, peer, number) for number in range(CHANGES)))
        found["failed_handshakes"] = sum(failed)
    found["change_s"] = measure.median(times)
    found["change_spread"] = measure.spread(times)
    found["memory_reload_mib"] = pss_mib(peer)


def make_pems(bench, made, folder):
    pems = folder / "pems"
    pems.mkdir()
    print(f"writing {made.names:,} certificates as files", flush=True)
    bench.tool("peerfiles", made.folder / "recipient.key", made.replica, pems, timeout=7200)
    for path in pems.iterdir():
        path.chmod(0o644)
    return pems


def measure_all(bench, made, folder):
    pems = make_pems(bench, made, folder)
    rows, running = [], []
    try:
        for number, kind in enumerate((Certherd, *PEERS)):
            if not (kind is Certherd or kind.is_there()):
                print(f"{kind.title}: {kind.program} is not installed", flush=True)
                continue
            print(f"measuring: {kind.title}", flush=True)
            peer = kind(made, pems, folder / f"peer{number}")
            found = {"server": peer.title, "names": made.names, "how": peer.reload}
            try:
                measure_start(bench, peer, found)
            except Exception as error:
                print(f"{peer.title}: {error}", flush=True)
                peer.stop()
                continue
            rows.append(found)
            running.append(peer)
        for peer, costs in measure_turns(bench, running).items():
            found = rows[running.index(peer)]
            found["cpu_us"], found["cpu_spread"] = measure.median(costs), measure.spread(costs)
            found["memory_load_mib"] = pss_mib(peer)
        for peer, found in zip(running, rows):
            try:
                measure_changes(bench, peer, made, found)
            except Exception as error:
                print(f"{peer.title}: {error}", flush=True)
    finally:
        for peer in running:
            peer.stop()
    return rows


def show(rows):
    lines = [("server", *(text for _, text in COLUMNS))]
    for row in rows:
        lines.append((row["server"], *(value if isinstance(value := row.get(key, "–"), str)
                                       else reports.number(value) for key, _ in COLUMNS)))
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  " + "  ".join(cell.ljust(width) if at in (0, len(line) - 1) else cell.rjust(width)
                               for at, (cell, width) in enumerate(zip(line, widths))).rstrip())


def run(bench, options):
    made = Made(bench, options.names)
    with tempfile.TemporaryDirectory(prefix="certherd-peers-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        rows = measure_all(bench, made, folder)
    reports.RESULTS.mkdir(parents=True, exist_ok=True)
    path = reports.path_of(f"edge-peers-{options.names}")
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    plot.write(path.with_suffix(".svg"), rows, f"{options.names:,} certificates")
    print(f"\nedge-peers-{options.names}   ({TURNS} turns of {TURN} handshakes each, taking turns; "
          f"load {measure.loaded():.1f})")
    show(rows)
    return 0 if rows else 1

