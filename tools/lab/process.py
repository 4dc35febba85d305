"""Child processes: own process group, output in a file, stopped by id, dying with their parent."""

import ctypes
import os
import signal
import socket
import subprocess
import time

from . import wait

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Process:
    """One child.  Start it from the main thread: the death signal follows the thread."""

    def __init__(self, name, argv, log_path, env=None, cwd=None):
        self.name = name
        self.argv = [str(word) for word in argv]
        self.log_path = log_path
        self.env = env
        self.cwd = cwd
        self.popen = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.cwd,
                env={**os.environ, **(self.env or {})}, start_new_session=True,
                preexec_fn=die_with_parent)
        return self

    @property
    def pid(self):
        return self.popen.pid

    def is_alive(self):
        return self.popen is not None and self.popen.poll() is None

    def check_alive(self):
        if not self.is_alive():
            code = self.popen.returncode if self.popen else None
            raise AssertionError(f"{self.name} ended (exit {code}):\n{self.log_tail()}")
        return True

    def log(self):
        try:
            with open(self.log_path, errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=40):
        return "\n".join(self.log().splitlines()[-lines:])

    def wait_exit(self, timeout=15.0):
        return self.popen.wait(timeout)

    def stop(self, timeout=15.0, first=signal.SIGTERM):
        """Asks it to end, then kills what is left of its group.  Returns the exit code."""
        if self.popen is None:
            return None
        if self.popen.poll() is None:
            os.kill(self.popen.pid, first)
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                pass
        self.kill()
        return self.popen.returncode

    def kill(self):
        """SIGKILL to the whole group; nothing can be left of it."""
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self.popen.wait()


def children_of(pid):
    """Ids of the direct children of a process."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/children") as listing:
                found += [int(word) for word in listing.read().split()]
        except FileNotFoundError:
            pass
    return found


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as listing:
            return listing.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def exists(pid):
    """False for zombies too."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def listens(port, address="127.0.0.1"):
    try:
        with socket.create_connection((address, port), timeout=2):
            return True
    except OSError:
        return False


def wait_listening(process, port, timeout=20.0):
    wait.until(lambda: process.check_alive() and listens(port),
               lambda: f"{process.name} listens on port {port}\n{process.log_tail()}", timeout)


def run(argv, timeout=60, check=True, **options):
    """A command that ends by itself; its output as text."""
    started = time.monotonic()
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True,
                          timeout=timeout, **options)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, argv))} → exit {done.returncode} after "
                             f"{time.monotonic() - started:.1f} s\n{done.stdout}{done.stderr}")
    return done
