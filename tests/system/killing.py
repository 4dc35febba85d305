"""SIGKILL for any of a platform's processes, and visitors who look at what is served meanwhile."""

import os
import random
import signal
import threading

from lab import process, tls, wait

VICTIMS = ("store", "issuer", "agent", "supervisor", "worker")


class Killer:
    """Kills one process of a running site (all roles under `certherd up`) at a time."""

    def __init__(self, site, rng):
        self.site = site
        self.rng = rng
        self.killed = dict.fromkeys(VICTIMS, 0)
        self._next = []

    @property
    def supervisor(self):
        return self.site.herd.running[0]

    def _pid_of(self, victim):
        """None while it is not running."""
        if victim == "supervisor":
            return self.supervisor.pid
        if victim == "worker":
            workers = process.children_of(self.site.nginx.process.pid)
            return self.rng.choice(sorted(workers)) if workers else None
        return self.site.herd.pid_of(victim)

    def _choose(self):
        """Each kind once in random order, then again."""
        if not self._next:
            self._next = self.rng.sample(VICTIMS, len(VICTIMS))
        return self._next.pop()

    def kill_one(self):
        victim = self._choose()
        pid = self._pid_of(victim)
        if pid is None:
            return
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.killed[victim] += 1
        if victim == "supervisor":
            # Its children are dying of the same blow; nobody waits for that.
            self.site.herd.running.pop(0).popen.wait()
            self.site.herd.start("up")

    def along(self, progress, kills, timeout):
        """Kills at random points of the way until progress() is 1; it is 0 at the beginning."""
        points = sorted(self.rng.random() for _ in range(kills))

        def is_there():
            self.site.pebble.check()
            reached = progress()
            while points and reached < 1 and points[0] <= reached:
                self.kill_one()
                points.pop(0)
            return reached >= 1

        wait.until(is_there, lambda: f"{progress():.0%} of the way", timeout, interval=0.01)

    def wait_whole(self, timeout=20.0):
        """Until nobody is missing."""
        wait.until(lambda: None not in map(self._pid_of, VICTIMS), "a role or worker did not come back", timeout)


class Visitors:
    """A thread that visits random names all the time and writes down what it saw."""

    def __init__(self, site, seed):
        self.site = site
        self.rng = random.Random(seed)
        self.names = []
        self.served = {}  # name -> serials
        self.wrong = []
        self.alerts = {}  # alert -> how often
        self.broken = 0  # connections that a killed worker took along
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        self._thread.join(20)

    def _visit(self, name):
        try:
            with self.site.connect(name) as visit:
                if visit.names != [name]:
                    self.wrong.append((name, visit.names))
                self.served.setdefault(name, set()).add(visit.serial.lstrip("0"))
        except tls.Refused as refusal:
            if refusal.alert.startswith(("TLSV1_", "SSLV3_")):
                self.alerts[refusal.alert] = self.alerts.get(refusal.alert, 0) + 1
            else:
                self.broken += 1
        except OSError:
            self.broken += 1

    def _run(self):
        while not self._stop.wait(0.01):
            if self.names:
                self._visit(self.rng.choice(self.names))
