"""Visitors of an edge and changes of its replica, many at once, each for a number of rounds."""

import errno
import os
import random
import signal
import socket
import ssl
import threading

import hello
from lab import tls, wait
from edge_fixture import INTERNAL_ERROR, NO_PROTOCOL, TLS12, TLS13, UNKNOWN_NAME


class Worker(threading.Thread):
    """Runs step(number) `rounds` times; what fails is kept for join_all."""

    def __init__(self, step, rounds):
        super().__init__(daemon=True)
        self.step, self.rounds, self.failure = step, rounds, None

    def run(self):
        try:
            for number in range(self.rounds):
                self.step(number)
        except BaseException as failure:
            self.failure = failure


def run_all(*workers):
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for worker in workers:
        if worker.failure:
            raise worker.failure


class Visitor:
    """One visitor after the other, of every kind.  `steady` names are always there; `moving` ones
    come and go; `lossy`: nginx's workers are killed meanwhile, and then connections may break."""

    # What is no answer of a server but the lack of one.
    BROKEN = {"ConnectionResetError", "ConnectionRefusedError", "ConnectionAbortedError",
              "BrokenPipeError", "RemoteDisconnected", "SSLEOFError", "SSLZeroReturnError",
              "UNEXPECTED_EOF_WHILE_READING"}

    def __init__(self, edge, steady, moving=(), lossy=False, seed=0):
        self.edge, self.steady, self.moving, self.lossy = edge, steady, moving, lossy
        self.rng = random.Random(seed)
        self.contexts = {version: tls.context(edge.root, version) for version in (TLS12, TLS13)}
        self.validating = tls.context(alpn=["acme-tls/1"])
        self.sessions = {}
        self.odd = hello.odd(steady[0].encode())
        self.made = 0
        self.resumed = 0

    def step(self, number):
        kinds = [self.validate, self.full, self.full, self.again, self.again, self.across, self.stranger,
                 self.rubbish, self.rubbish, self.challenge]
        if self.moving:
            kinds += [self.mover, self.mover]
        try:
            self.rng.choice(kinds)()
        except (tls.Refused, ConnectionError, ssl.SSLError, TimeoutError, socket.timeout) as error:
            kind = getattr(error, "alert", type(error).__name__)
            if not (self.lossy and kind in self.BROKEN):
                raise AssertionError(f"round {number}: {kind}: {error}") from error

    def _version(self):
        return self.rng.choice((TLS12, TLS13))

    def full(self):
        name, version = self.rng.choice(self.steady), self._version()
        with self.edge.connect(name, ctx=self.contexts[version]) as visit:
            assert visit.names == [name], (name, visit.names)
            if self.rng.random() < 0.5:
                assert visit.get(name)[0] == 200
                self.sessions[name] = (version, visit.sock.session)
        self.made += 1

    def again(self):
        if not self.sessions:
            return
        name, (version, session) = self.rng.choice(sorted(self.sessions.items()))
        with self.edge.connect(name, ctx=self.contexts[version], session=session) as visit:
            assert visit.names == [name], (name, visit.names)
            self.resumed += visit.sock.session_reused
        self.made += 1

    def across(self):
        """A session of one name, brought to another."""
        if not self.sessions:
            return
        owner, (version, session) = self.rng.choice(sorted(self.sessions.items()))
        name = self.rng.choice([name for name in self.steady if name != owner])
        with self.edge.connect(name, ctx=self.contexts[version], session=session) as visit:
            assert visit.names == [name] and not visit.sock.session_reused, (owner, name)

    def mover(self):
        name = self.rng.choice(self.moving)
        try:
            with self.edge.connect(name, ctx=self.contexts[self._version()]) as visit:
                assert visit.names == [name], (name, visit.names)
        except tls.Refused as error:
            # Removed between two callbacks of one handshake: too late for the right alert.
            if error.alert != UNKNOWN_NAME and not (
                    error.alert == INTERNAL_ERROR
                    and f'"{name}": it was removed during the handshake' in self.edge.log()):
                raise

    def stranger(self):
        name = f"stranger{self.rng.randrange(1000)}.test"
        try:
            self.edge.connect(name, ctx=self.contexts[self._version()]).__exit__()
        except tls.Refused as error:
            if error.alert != UNKNOWN_NAME:
                raise
        else:
            raise AssertionError(f"{name} was served")

    def rubbish(self):
        """Bytes that are no ClientHello, or nearly one; now and then the visitor just leaves."""
        choice = self.rng.random()
        if choice < 0.4:
            data = self.rng.choice(self.odd)
        elif choice < 0.9:
            data = hello.damaged(self.rng, hello.real(self.rng.choice(self.steady)))
        else:
            data = self.rng.randbytes(self.rng.randint(1, 600))
        with socket.create_connection(("127.0.0.1", self.edge.port["https"]), timeout=10) as raw:
            try:
                raw.sendall(data)
                if self.rng.random() < 0.7:
                    raw.shutdown(socket.SHUT_WR)
                    while raw.recv(65536):
                        pass
            except OSError as error:
                # The server has had enough before the end.
                if not (isinstance(error, ConnectionError) or error.errno == errno.ENOTCONN):
                    raise

    def validate(self):
        """As a CA does for tls-alpn-01, at a name whose tokens come and go."""
        try:
            with self.edge.connect(self.rng.choice(self.steady), ctx=self.validating) as visit:
                assert visit.sock.selected_alpn_protocol() == "acme-tls/1"
                assert visit.sock.recv(1) == b""
        except tls.Refused as refusal:
            if refusal.alert != NO_PROTOCOL:
                raise

    def challenge(self):
        name = self.rng.choice([*self.steady, *self.moving, "stranger.test", "bad..name", "x" * 300])
        token = self.rng.choice(["abc", "a" * 128, "a" * 600, "%00", "..", "%2e%2e/x", ""])
        tls.plain_get(self.edge.port["http"], name, "/.well-known/acme-challenge/" + token)


class Churn:
    """The replica's writer: new versions, removals, and whole new generations."""

    def __init__(self, edge, steady, moving, seed=0):
        self.edge, self.steady, self.moving = edge, steady, moving
        self.rng = random.Random(seed)
        self.version = 1000

    def _next(self):
        self.version += 1
        return self.version

    def step(self, number):
        if number % 5 == 4:
            self.edge.apply("rebuild", *self._all(), "publish")
            return
        token = self.rng.choice(("", f":token=t{number}"))
        operations = [f"cert:{self.rng.choice(self.steady)}:{self._next()}",
                      f"challenge:{self.rng.choice(self.steady)}:{self._next()}{token}"]
        for name in self.rng.sample(self.moving, min(2, len(self.moving))):
            kind = self.rng.choice(("cert", "gone", "name"))
            operations.append(f"{kind}:{name}:{self._next()}")
        self.edge.apply(*operations)

    def _all(self):
        keep = self.rng.sample(self.moving, len(self.moving) // 2)
        return [f"cert:{name}:{self._next()}" for name in [*self.steady, *keep]]


class Trouble:
    """nginx's master is told to reload, and its workers are killed."""

    def __init__(self, edge, kill=True, pause_s=0.5):
        self.edge, self.kill, self.pause_s = edge, kill, pause_s

    def step(self, number):
        if self.kill and number % 2:
            before = self.edge.workers_now()
            os.kill(min(before), signal.SIGKILL)
            wait.until(lambda: self.edge.workers_now() - before, self.edge.log)
        else:
            self.edge.reload()
        threading.Event().wait(self.pause_s)
