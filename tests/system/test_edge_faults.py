"""A replica that is deleted, damaged, newer or somebody else's, and a store that is down: what
nginx and the agent make of it, for real.  Nothing here may make a worker of nginx crash."""

import contextlib
import os
import re
import shutil
import signal
import struct
import typing

import pytest

from lab import tls, wait

NAME = "shop.example.com"
NOBODY = 65534
UNKNOWN_NAME = "TLSV1_UNRECOGNIZED_NAME"
NO_REPLICA = "all names are unknown as long as there is no replica: "


class Platform:
    """Store, agent and nginx, each to be stopped and started; one name with a certificate."""

    def __init__(self, site):
        self.site, self.herd, self.nginx = site, site.herd, site.nginx
        self.folder = site.herd.folder / "edge/replica"
        site.prepare()
        self.programs = {}
        for program in ("store", "issuer", "agent"):
            self.start(program)
        self.nginx.start()
        site.go_live(NAME)
        self.stop("issuer")

    def start(self, program):
        self.programs[program] = self.herd.start(program)

    def stop(self, program):
        child = self.programs.pop(program)
        self.herd.running.remove(child)
        child.stop()

    @contextlib.contextmanager
    def agent_suspended(self):
        os.kill(self.programs["agent"].pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.programs["agent"].pid, signal.SIGCONT)

    def current(self):
        try:
            return (self.folder / "current").read_text().strip()
        except FileNotFoundError:
            return None

    def agent_log(self):
        return (self.herd.folder / "agent.log").read_text(errors="replace")

    def alert(self):
        """None: the name is served."""
        try:
            with self.site.connect(NAME) as visit:
                assert visit.names == [NAME]
                return None
        except tls.Refused as refused:
            return refused.alert

    def wait_served(self):
        wait.until(lambda: self.herd.check() and self.alert() is None,
                   lambda: f"{NAME} is served\n{self.nginx.error_log()[-2000:]}\n"
                           f"{self.agent_log()[-2000:]}", 40)


class Since:
    """What nginx and the agent have logged since."""

    def __init__(self, platform):
        self.platform = platform
        self.at = len(platform.nginx.error_log()), len(platform.agent_log())

    @property
    def nginx(self):
        return self.platform.nginx.error_log()[self.at[0]:]

    @property
    def agent(self):
        return self.platform.agent_log()[self.at[1]:]

    def wait_nginx(self, pattern):
        wait.until(lambda: re.search(pattern, self.nginx), lambda: f"{pattern} in\n{self.nginx}")

    def wait_agent(self, pattern):
        wait.until(lambda: re.search(pattern, self.agent), lambda: f"{pattern} in\n{self.agent}")

    def check_no_crash(self, but="signal 9"):
        """Except for workers that the test itself has killed."""
        for line in self.nginx.splitlines():
            assert "exited on signal" not in line or but in line, line
            assert "[alert]" not in line or but in line, line
            assert "[emerg]" not in line, line


@pytest.fixture(scope="module")
def made():
    from conftest import _end_site, _new_site
    site = _new_site(settings={"agent": {"poll_wait": "1s"}})
    try:
        yield Platform(site)
    finally:
        _end_site(site)


@pytest.fixture
def platform(made):
    """Everything runs and the name is served, whatever the test before has left behind."""
    for program in ("store", "agent"):
        if program not in made.programs:
            made.start(program)
    if not made.nginx.process.is_alive():
        made.nginx.start()
    made.wait_served()
    made.nginx.wait_open(made.folder)
    return made


# -- what readers refuse ----------------------------------------------------------------------


def delete_all(folder, live):
    shutil.rmtree(folder)


def delete_generation(folder, live):
    shutil.rmtree(live)


def delete_data(folder, live):
    (live / "data.mdb").unlink()


def cut(folder, live):
    os.truncate(live / "data.mdb", 8192)


def cut_to_nothing(folder, live):
    os.truncate(live / "data.mdb", 0)


def spoil_header(folder, live):
    with open(live / "data.mdb", "r+b") as data:
        data.write(os.urandom(8192))


def spoil_pointer(folder, live):
    (folder / "current").write_bytes(os.urandom(64))


def name_newer_format(folder, live):
    (folder / "current").write_text("f9-0123456789abcdef\n")


def give_to_stranger(folder, live):
    os.chown(live / "data.mdb", NOBODY, NOBODY)


def give_folder_to_stranger(folder, live):
    os.chown(live, NOBODY, NOBODY)


def open_to_all(folder, live):
    (live / "data.mdb").chmod(0o666)


class Fault(typing.NamedTuple):
    inflict: typing.Callable
    nginx: str     # what it says when it starts then
    running: str   # what an agent says that finds it
    starting: str  # what an agent says that starts then

    def __str__(self):
        return self.inflict.__name__


FAULTS = [
    Fault(delete_all, "current: No such file.*is certherd agent running",
          "writer.lock was removed", "no whole replica is there yet"),
    Fault(delete_generation, "/f1-[0-9a-f]+: No such file.*agent makes a new one",
          "was removed or replaced", "cannot open .*: No such file"),
    Fault(delete_data, "data.mdb: No such file",
          "data.mdb was removed or replaced", "cannot open .*data.mdb: No such file"),
    Fault(cut, *["data.mdb was cut: it has 8192 bytes and should have"] * 3),
    Fault(cut_to_nothing, *["first pages are damaged"] * 3),
    Fault(spoil_header, *["data.mdb is not an LMDB database or its first pages are damaged"] * 3),
    Fault(spoil_pointer, *["current does not name a generation"] * 3),
    Fault(name_newer_format, "names only formats that this version cannot read.*same version",
          *["names only formats that this version cannot read"] * 2),
    Fault(give_to_stranger, *["data.mdb does not belong to the owner of the replica's folder"] * 3),
    Fault(give_folder_to_stranger, *["does not belong to the owner of the replica's folder"] * 3),
    Fault(open_to_all, *["data.mdb may be written by others than its owner"] * 3),
]
# A running agent has the generation itself open and puts the pointer right.
POINTER_FAULTS = (spoil_pointer, name_newer_format)


def inflict(platform, fault):
    """Returns the name of the generation that it was done to."""
    before = platform.current()
    fault(platform.folder, platform.folder / before)
    return before


def visit_during(platform, since, nginx_says):
    """nginx starts, refuses, reloads and refuses."""
    platform.nginx.start()
    since.wait_nginx(NO_REPLICA + ".*" + nginx_says)
    assert platform.alert() == UNKNOWN_NAME
    platform.nginx.reload()
    assert platform.alert() == UNKNOWN_NAME


def needs_root(what):
    if what in (give_to_stranger, give_folder_to_stranger) and os.geteuid() != 0:
        pytest.skip("only root can give files away")


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_nginx_refuses_and_the_running_agent_mends(platform, fault):
    needs_root(fault.inflict)
    since = Since(platform)
    platform.nginx.stop()
    with platform.agent_suspended():
        before = inflict(platform, fault.inflict)
        visit_during(platform, since, fault.nginx)
    platform.wait_served()
    since.wait_agent(fault.running)
    assert (platform.current() == before) == (fault.inflict in POINTER_FAULTS)
    since.check_no_crash()


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_nginx_refuses_and_an_agent_that_starts_mends(platform, fault):
    needs_root(fault.inflict)
    since = Since(platform)
    platform.stop("agent")
    platform.nginx.stop()
    before = inflict(platform, fault.inflict)
    visit_during(platform, since, fault.nginx)
    platform.start("agent")
    platform.wait_served()
    since.wait_agent(fault.starting)
    assert platform.current() != before
    since.check_no_crash()


# -- damaged pages, which only the agent can find ----------------------------------------------


PAGES = range(8192, 64 * 4096, 4096)  # all but the first two; what lies behind is a hole


def spoil_pages(make_page):
    def spoil(folder, live):
        with open(live / "data.mdb", "r+b") as data:
            for at in PAGES:
                data.seek(at)
                data.write(make_page(4096))
    return spoil


def has_name(page):
    """Whether the page is a leaf of LMDB's with the name for its first key: flags at 10, then
    pointers to nodes from 16 on, each with the length of its key at 6 and the key at 8."""
    flags, at = struct.unpack_from("<H", page, 10)[0], struct.unpack_from("<H", page, 16)[0]
    return flags & 2 and page[at + 8:at + 8 + len(NAME)] == NAME.encode()


def write_into_names(folder, live, rubbish):
    """At the beginning of those pages that neither nginx nor the agent looks at before somebody
    asks for the name."""
    spoiled = 0
    with open(live / "data.mdb", "r+b") as data:
        for at in PAGES:
            data.seek(at)
            if has_name(data.read(4096)):
                data.seek(at)
                data.write(rubbish)
                spoiled += 1
    assert spoiled


def spoil_names(folder, live):
    write_into_names(folder, live, b"\xff" * 64)


def set_trap(folder, live):
    """A branch with one key, over which LMDB aborts: who looks for a name crashes."""
    write_into_names(folder, live, struct.pack("<QHHHH", 0, 0, 1, 18, 18))


PAGE_FAULTS = {"zeroes": spoil_pages(bytes), "ones": spoil_pages(lambda size: b"\xff" * size),
               "random": spoil_pages(os.urandom), "names": spoil_names, "trap": set_trap}


def start_over_damaged_pages(platform, fault):
    """The agent starts, and comes before nginx; returns the name of the generation."""
    platform.stop("agent")
    platform.nginx.stop()
    before = inflict(platform, PAGE_FAULTS[fault])
    since = Since(platform)
    platform.start("agent")
    since.wait_agent("damaged: the replica is fetched anew")
    return before


@pytest.mark.parametrize("fault", PAGE_FAULTS)
def test_damaged_pages_are_made_anew(platform, fault):
    since = Since(platform)
    before = start_over_damaged_pages(platform, fault)
    platform.nginx.start()
    platform.wait_served()
    assert platform.current() != before
    since.check_no_crash()


@pytest.mark.parametrize("fault", PAGE_FAULTS)
def test_without_a_store_damaged_pages_make_no_worker_crash(platform, fault):
    since = Since(platform)
    platform.stop("store")
    before = start_over_damaged_pages(platform, fault)
    visit_during(platform, since, "")
    # Those that were there before the reload may take a moment to go.
    wait.until(lambda: len(platform.nginx.workers_now()) == platform.nginx.workers, lambda: since.nginx)
    workers = platform.nginx.workers_now()
    for _ in range(20):
        assert platform.alert() == UNKNOWN_NAME
    assert platform.nginx.workers_now() == workers
    platform.start("store")
    platform.wait_served()
    assert platform.current() != before
    since.check_no_crash()


@pytest.mark.parametrize("has_store", [True, False], ids=["store", "no store"])
def test_a_worker_that_dies_makes_the_agent_look(platform, has_store):
    """One that is killed, so that all that nginx logs of it is known."""
    since = Since(platform)
    if not has_store:
        platform.stop("store")
    before = inflict(platform, spoil_names)
    victim = min(platform.nginx.workers_now())
    os.kill(victim, signal.SIGKILL)
    since.wait_agent(f"pages of replica {before} are damaged: the replica is fetched anew")
    if not has_store:
        assert platform.current() is None
        platform.nginx.stop()
        visit_during(platform, since, "current: No such file")
        platform.start("store")
    platform.wait_served()
    assert platform.current() != before
    since.check_no_crash()


@pytest.mark.parametrize("has_store", [True, False], ids=["store", "no store"])
def test_workers_that_damaged_pages_crash_do_not_do_so_for_ever(platform, has_store):
    since = Since(platform)
    if not has_store:
        platform.stop("store")
    before = inflict(platform, set_trap)
    assert platform.alert() is not None
    since.wait_nginx("exited on signal")
    since.wait_agent(f"pages of replica {before} are damaged: the replica is fetched anew")
    if not has_store:
        # Each worker that still has it open may crash once; those that come after do not.
        wait.until(lambda: platform.alert() == UNKNOWN_NAME, lambda: since.nginx)
        platform.nginx.stop()
        after = Since(platform)
        visit_during(platform, after, "current: No such file")
        after.check_no_crash()
        platform.start("store")
    platform.wait_served()
    assert platform.current() != before
    platform.nginx.wait_open(platform.folder)
    calm = Since(platform)
    for _ in range(20):
        assert platform.alert() is None
    calm.check_no_crash()


# -- a store that is down -----------------------------------------------------------------------


def test_without_a_store_the_edge_serves_on_over_restart_and_reload(platform):
    since = Since(platform)
    before = platform.current()
    platform.stop("store")
    assert platform.alert() is None
    platform.nginx.reload()
    assert platform.alert() is None
    platform.nginx.stop()
    platform.nginx.start()
    assert platform.alert() is None
    # Nor does it matter whether there is an agent, or one that has never seen the store.
    platform.stop("agent")
    platform.nginx.reload()
    assert platform.alert() is None
    platform.start("agent")
    since.wait_agent("ready replica=")
    platform.nginx.stop()
    platform.nginx.start()
    assert platform.alert() is None
    assert platform.current() == before
    since.check_no_crash()
