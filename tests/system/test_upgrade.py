"""Two stores of two versions on one PostgreSQL database: the newer one brings its schema while the
older one works, either may stop and start again, and so upgrades roll, forward and back.

certherd-next is this certherd with one migration more (tests/next).  CERTHERD_OLD names another
program, such as one of the version before: then its issuer, its agent and its command line work with
the stores of this one, and those of this one with its store."""

import os
import pathlib

import pytest

from lab import herd, process, wait
from test_postgres import Pair, served
from lab import site as site_module

NEXT = herd.binary().parents[1] / "tests/next/certherd-next"
MOST = "SELECT version, compatible_from FROM certherd_schema"


class Mixed(Pair):
    """The second store is of the version after."""

    def start_second(self, program=NEXT):
        env = {"CERTHERD_CONFIG": str(self.site.herd.folder / "second.conf")}
        self.second = process.Process("newer store", [program, "store"],
                                      self.site.herd.folder / "second.log", env=env).start()
        process.wait_listening(self.second, self.second_port)

    def schema(self, port):
        return self.api(port).get("/v1/status").json["store"]["schema"]

    def restart_first(self):
        """The supervisor starts it again, by the program that it is itself."""
        pid = self.site.herd.pid_of("store")
        os.kill(pid, 15)
        wait.until(lambda: self.site.herd.pid_of("store") not in (None, pid) and
                   self.site.herd.is_healthy(), "the older store is not back", 30)


@pytest.fixture
def mixed():
    if not NEXT.exists():
        pytest.skip(f"{NEXT} is not there: this is no build folder")
    two = Mixed(site_module.make_scratch("certherd-up-"))
    try:
        yield two
    finally:
        two.stop()
