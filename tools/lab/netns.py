"""A host of its own, as a network namespace behind a pair of virtual interfaces: its line can be cut so
that packets are lost and nobody is told.  Only root may make one."""

import itertools
import os
import shutil
import subprocess

_numbers = itertools.count()


class NotPossible(Exception):
    """Says why."""


def _ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotPossible(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Host:
    """address: where it is reached from here; the addresses are those for tests of networks (RFC 2544)."""

    def __init__(self):
        if os.geteuid() != 0 or not shutil.which("ip"):
            raise NotPossible("network namespaces take root and ip (iproute2)")
        tag = f"{os.getpid() % 16384:04x}{next(_numbers)}"
        net = os.getpid() % 16384 * 4
        self.name, self.line = f"certherd-{tag}", f"chl{tag}"
        self.address = f"198.18.{net >> 8}.{(net & 255) + 2}"
        here = f"198.18.{net >> 8}.{(net & 255) + 1}"
        _ip("netns", "add", self.name)
        try:
            _ip("link", "add", self.line, "type", "veth", "peer", "name", "line", "netns", self.name)
            _ip("addr", "add", f"{here}/30", "dev", self.line)
            _ip("link", "set", self.line, "up")
            for words in (("addr", "add", f"{self.address}/30", "dev", "line"),
                          ("link", "set", "line", "up"), ("link", "set", "lo", "up")):
                _ip("-n", self.name, *words)
        except NotPossible:
            self.remove()
            raise

    @property
    def enter(self):
        """In front of a command that is to run there."""
        return ["ip", "netns", "exec", self.name]

    def cut(self):
        _ip("-n", self.name, "link", "set", "line", "down")

    def mend(self):
        _ip("-n", self.name, "link", "set", "line", "up")

    def remove(self):
        _ip("netns", "del", self.name)
