"""Programs of two versions beside each other: upgrades roll forward, and back.

The newer version is certherd-next, this certherd with one migration more (tests/next).  With
CERTHERD_OLD=/path/to/certherd of a version before, this one is the newer: `test_roles_...` then tries
what that one's issuer and agent make of this one's store and the other way round."""

import contextlib
import os
import pathlib
import signal

import pytest

from lab import herd, process, site as site_module, wait
from test_postgres import Pair, served

THIS = herd.binary()
NEXT = THIS.parents[1] / "tests/next/certherd-next"
OLD = os.environ.get("CERTHERD_OLD")

needs_next = pytest.mark.skipif(not NEXT.exists(), reason=f"{NEXT} is not there: no build folder")


class Mixed(Pair):
    """The second store is of the next version, and started by hand."""

    def start_second(self):
        pass

    def start_newer(self):
        env = {"CERTHERD_CONFIG": str(self.site.herd.folder / "second.conf")}
        self.second = process.Process("newer store", [NEXT, "store"],
                                      self.site.herd.folder / "second.log", env=env).start()
        process.wait_listening(self.second, self.second_port)

    @property
    def log(self):
        return self.site.herd.running[0].log

    def schema(self):
        version, oldest = self.server.run("SELECT version, compatible_from FROM certherd_schema",
                                          "certherd").split("|")
        return int(version), int(oldest)

    def restart_older(self):
        pid = self.site.herd.pid_of("store")
        os.kill(pid, signal.SIGTERM)
        wait.until(lambda: self.site.herd.pid_of("store") not in (None, pid) and
                   self.site.herd.is_healthy(), "the older store is not back", 30)

    def bring(self, name, port):
        self.put(name, port)
        self.wait_active([name], port)
        assert served(self, name)


@pytest.fixture
def mixed():
    two = Mixed(site_module.make_scratch("certherd-up-"))
    try:
        yield two.start()
    finally:
        two.stop()


@needs_next
def test_a_store_works_on_beside_a_newer_one_that_brought_its_schema(mixed):
    older, newer = mixed.site.herd.store_port, mixed.second_port
    mixed.bring("a.up.example.com", older)
    version, _ = mixed.schema()
    mixed.start_newer()
    assert mixed.schema()[0] == version + 1 and mixed.schema()[1] <= version
    mixed.bring("b.up.example.com", older)
    mixed.bring("c.up.example.com", newer)
    # It starts again as well, and works alone: the way back.
    mixed.restart_older()
    mixed.bring("d.up.example.com", older)
    mixed.second.stop()
    mixed.bring("e.up.example.com", older)
    assert mixed.schema()[0] == version + 1
    # And forward again, with what came meanwhile.
    mixed.start_newer()
    assert all(mixed.is_known(f"{letter}.up.example.com", newer) for letter in "abcde")
    mixed.bring("f.up.example.com", newer)
    assert "not for this program" not in mixed.log()


def test_a_store_whose_schema_is_not_for_it_any_more_ends_and_says_so(mixed):
    port = mixed.site.herd.store_port
    mixed.bring("a.up.example.com", port)
    version, oldest = mixed.schema()
    mixed.server.run(f"UPDATE certherd_schema SET version = {version + 1}, "
                     f"compatible_from = {version + 1}", "certherd")
    try:
        answer = mixed.api(port).put("/v1/domains/b.up.example.com")
        assert (answer.status, answer.code) == (503, "store-busy"), answer
    except OSError:
        pass  # it has ended by itself: its housekeeping or the agent came first
    wait.until(lambda: "start the newer program" in mixed.log(), mixed.log)
    assert "is not for this program, which ends" in mixed.log()
    assert served(mixed, "a.up.example.com")
    found = mixed.server.run("SELECT count(*) FROM name WHERE name = 'b.up.example.com'", "certherd")
    assert found.strip() == "0"
    mixed.server.run(f"UPDATE certherd_schema SET version = {version}, compatible_from = {oldest}",
                     "certherd")
    mixed.bring("b.up.example.com", port)


class Roles:
    """A site whose store (on SQLite), issuer and agent are changed one by one."""

    ORDER = ("store", "issuer", "agent")

    def __init__(self, site, program):
        self.site, self.running, self.count = site, {}, 0
        with self.of(program):
            site.prepare()
            for role in self.ORDER:
                self.running[role] = site.herd.start(role)
        site.nginx.start()

    @staticmethod
    @contextlib.contextmanager
    def of(program):
        before = os.environ.get("CERTHERD_BIN")
        os.environ["CERTHERD_BIN"] = str(program)
        try:
            yield
        finally:
            if before is None:
                del os.environ["CERTHERD_BIN"]
            else:
                os.environ["CERTHERD_BIN"] = before

    def change(self, role, program):
        child = self.running[role]
        self.site.herd.running.remove(child)
        child.stop()
        with self.of(program):
            self.running[role] = self.site.herd.start(role)

    def check(self):
        """A name goes live, one is renewed, and all are served."""
        self.count += 1
        self.site.go_live(f"n{self.count}.up.example.com")
        first = self.site.herd.domain("n1.up.example.com")["certificate"]["serial"]
        assert self.site.herd.api().post("/v1/domains/n1.up.example.com/retry").status == 200
        self.site.herd.wait_state("n1.up.example.com", "active",
                                  also=lambda domain: domain["certificate"]["serial"] != first)
        for number in range(1, self.count + 1):
            with self.site.connect(f"n{number}.up.example.com") as visit:
                assert visit.names == [f"n{number}.up.example.com"]
        done = self.site.herd.cli("verify", "--names", check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@needs_next
def test_roles_are_upgraded_one_by_one_and_go_back(make_site):
    older, newer = (pathlib.Path(OLD), THIS) if OLD else (THIS, NEXT)
    roles = Roles(make_site(), older)
    roles.check()
    for role in Roles.ORDER:
        roles.change(role, newer)
        roles.check()
    for role in reversed(Roles.ORDER):
        if OLD and role == "store":
            continue  # its schema may be from before it was told who may go on
        roles.change(role, older)
        roles.check()
    log = roles.site.nginx.error_log()
    assert "[emerg]" not in log and "[alert]" not in log, log[-3000:]
