"""What nginx does with N names in the replica, beside an nginx with one static certificate."""

import contextlib
import os
import pathlib
import tempfile

import edge
import measure
import suite_handshake
import suite_start
from edgebench import resident
from suite_handshake import Cost

PAIRS = 9
COLD_MOST = 100_000  # names of the pairs for "every name cold"; for memory all are visited
WARM_ALL = 20_000  # of more names those come first that are popular
WARM = 200_000
UNKNOWN_TURN = 600
PARALLEL = 8
LIMIT_WARM, LIMIT_COLD, LIMIT_UNKNOWN = 1.10, 1.6, 0.25
LIMIT_IDLE_MIB = 2
CACHE_MORE = 1.10


@contextlib.contextmanager
def turns(bench, made, cache):
    """Neither is started yet."""
    with tempfile.TemporaryDirectory(prefix="certherd-bench-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        pair = edge.Turns(bench, *(
            edge.Nginx(made.folder, kind, made.names, cache, "warn", folder / kind, made.replica)
            for kind in ("herd", "plain")))
        try:
            yield pair
        finally:
            pair.stop()


def private_b(pid):
    """What a process has alone: pages of mapped files are the page cache's."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup:
            if line.startswith("Private_Dirty:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("no Private_Dirty in /proc/PID/smaps_rollup")


def mib_of(cache):
    """Of a size as nginx writes it."""
    return int(cache[:-1]) * {"k": 1 / 1024, "m": 1}[cache[-1].lower()]


def evict(made):
    """Out of the page cache; nobody may have it mapped."""
    for path in made.replica.glob("f*/data.mdb"):
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def warm(made):
    """Into the page cache, all of it: each start asks for another name."""
    for path in made.replica.glob("f*/data.mdb"):
        with open(path, "rb", buffering=0) as data:
            while data.read(1 << 20):
                pass


def start(bench, made, cache, report):
    warm(made)
    with turns(bench, made, cache) as pair:
        times = [suite_start.both_ms(pair, number)
                 for number in range(suite_start.PAIRS + 2)][2:]
        cold = []
        for number in range(PAIRS):
            evict(made)
            cold.append(suite_start.first_handshake_ms(pair, pair.herd, number))
    suite_start.tell(report, made.names, times)
    report.tell("the same by the module, replica not in the page cache", measure.median(cold), "ms",
                f"{measure.spread(cold)}; {PAIRS} times")


def handshakes(bench, made, cache, report):
    with resident.held(made) as is_held, turns(bench, made, cache) as pair:
        pair.start()
        if made.names > WARM_ALL:
            pair.load(pair.herd, timeout=3600, count=WARM, seed=77, zipf=True, parallel=PARALLEL)
            tell_young(report, pair, cache)
        pair.load(pair.herd, timeout=7200, count=made.names, parallel=PARALLEL, **{"from": 0})
        if made.names > WARM_ALL:
            # Each once was a sweep: the popular ones come back.
            pair.load(pair.herd, timeout=3600, count=WARM, seed=78, zipf=True, parallel=PARALLEL)
        before = measure.faults(pair.herd.worker)
        warm = suite_handshake.serving(pair, zipf=True)
        faults = [now - then for now, then in zip(measure.faults(pair.herd.worker), before)]
        unknown = unknown_names(pair)
    ratios = [herd / plain for herd, plain in warm]
    each = suite_handshake.TURNS * suite_handshake.TURN
    report.at_most(f"full handshake, {made.names:,} names, against one static certificate",
                   measure.median(ratios), "×", LIMIT_WARM,
                   f"{measure.spread(ratios)}; {len(warm)} pairs of {each}; names by Zipf's law, "
                   f"each visited before; certherd_cache {cache}; load {measure.loaded():.1f}")
    suite_handshake.tell_times(report, warm, "full handshake", "TLS 1.3, X25519, P-256, no tickets")
    report.tell("page faults of the module's worker meanwhile", sum(faults) / (len(warm) * each), "a handshake",
                f"{faults[1]:,} of them read the disk; the replica was "
                f"{'held in memory' if is_held else 'not held in memory: only root may'}")
    ratios = [herd / plain for herd, plain in unknown]
    report.at_most("handshake for an unknown name, against a full one", measure.median(ratios), "×",
                   LIMIT_UNKNOWN, f"{measure.spread(ratios)}; {len(unknown)} pairs of {UNKNOWN_TURN}")


def tell_young(report, pair, cache):
    """Some of the names are still to come for the first time."""
    young = suite_handshake.serving(pair, zipf=True)
    ratios = [herd / plain for herd, plain in young]
    report.tell(f"the same after the first {WARM:,} visits", measure.median(ratios), "×",
                f"{measure.spread(ratios)}; {len(young)} pairs; certherd_cache {cache}")


def unknown_names(pair):
    found = []
    for number in range(PAIRS):
        costs = Cost(pair, pair.herd), Cost(pair, pair.plain)
        costs[0].turn(seed=number, count=UNKNOWN_TURN, unknown=True)
        costs[1].turn(seed=number, count=UNKNOWN_TURN)
        found.append(tuple(cost.each_us for cost in costs))
    return found


def idle_mib(pair):
    more = []
    for _ in range(PAIRS):
        for nginx in (pair.herd, pair.plain):
            nginx.start()
        more.append((private_b(pair.herd.worker) - private_b(pair.plain.worker)) / 2**20)
        pair.stop()
    return more


def visits(bench, made, _, report):
    """Every name once, with the cache that is the default."""
    cold_names = min(made.names, COLD_MOST)
    with turns(bench, made, edge.CACHE_DEFAULT) as pair:
        idle = idle_mib(pair)
        pair.start()
        cold = suite_handshake.opening(pair, cold_names)
        if made.names > cold_names:
            pair.load(pair.herd, timeout=7200, count=made.names - cold_names, parallel=PARALLEL,
                      **{"from": cold_names})
        grown = (private_b(pair.herd.worker) - private_b(pair.plain.worker)) / 2**20
    ratios = [herd / plain for herd, plain in cold]
    report.at_most("handshake when every name is cold, against one static certificate",
                   measure.median(ratios), "×", LIMIT_COLD,
                   f"{measure.spread(ratios)}; {len(cold)} pairs of {cold_names // 10:,}")
    suite_handshake.tell_times(report, cold, "first handshake of a name", "its key is opened")
    report.at_most("private memory of a worker beyond one static certificate's, no traffic",
                   measure.median(idle), "MiB", LIMIT_IDLE_MIB,
                   f"{measure.spread(idle)}; {len(idle)} pairs; Private_Dirty of smaps_rollup")
    report.at_most(f"the same after {made.names:,} names were visited", grown, "MiB",
                   round(mib_of(edge.CACHE_DEFAULT) * CACHE_MORE, 1), f"certherd_cache {edge.CACHE_DEFAULT}")
