"""Fixtures of the system tests: real nginx, real Pebble, the real binary, all on loopback.

CERTHERD_BIN and CERTHERD_MODULE say what is tested (default: what is in build/).  Each test has
a time limit (marker `timeout`, seconds); a failure shows the logs of everything that ran.
"""

import contextlib
import os
import pathlib
import random
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))

import pytest

from lab import herd, site as site_module

TEST_SECONDS = 120
# A sanitized build on a busy machine is several times slower.
SLOWNESS = float(os.environ.get("CERTHERD_TEST_SLOWNESS", "1"))
# By what they take; the rest need less than half a minute each.
LONGEST = ("test_hostile_ca", "test_adopt", "test_recipes", "test_failures", "test_testssl",
           "test_brakes", "test_casim", "test_hostile_store", "test_edge_warm_up", "test_ari",
           "test_edge_status", "test_edge_unknown", "test_dns_challenges",
           "test_tickets_across_edges", "test_kills", "test_kills_shared", "test_migrate",
           "test_edge_faults", "test_clocks", "test_edge_tickets", "test_restore", "test_account",
           "test_postgres", "test_cas", "test_cut_lines", "test_upgrade", "test_preflight",
           "test_alerts", "test_ui")

_sites = []


def pytest_configure(config):
    # Drawn once, for all processes that share the tests: they must agree on which there are.
    os.environ.setdefault("CERTHERD_KILL_SEED", str(random.SystemRandom().randrange(10**6)))
    config.addinivalue_line("markers", "timeout(seconds): the test's time limit")


def pytest_sessionstart(session):
    for path in (herd.binary(), herd.module()):
        if not path.exists():
            pytest.exit(f"{path} is not there: build first (`make`)", returncode=2)


def pytest_collection_modifyitems(items):
    """Files are given out in the order of their tests: the longest first, so that none of them is
    left for the end, when the other processes have nothing to do any more."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONGEST)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item, nextitem):
    """The time limit covers fixtures too."""
    marker = item.get_closest_marker("timeout")
    seconds = (marker.args[0] if marker else TEST_SECONDS) * SLOWNESS

    def expired(signum, frame):
        raise AssertionError(f"the test took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for site in _sites:
            for path in sorted(site.folder.rglob("*.log")):
                lines = path.read_text(errors="replace").splitlines()[-60:]
                report.sections.append((f"{path}", "\n".join(lines)))


@pytest.fixture
def scratch():
    """A folder for one test, gone afterwards."""
    import shutil
    folder = site_module.make_scratch("certherd-test-")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _new_site(**options):
    made = site_module.Site(site_module.make_scratch("certherd-test-"), **options)
    _sites.append(made)
    return made


def _end_site(made):
    try:
        made.stop()
    finally:
        _sites.remove(made)
        made.remove()


@pytest.fixture(scope="module")
def site(request):
    """A whole platform shared by the tests of a file: everything runs.  The file's SITE_SETTINGS
    are set besides lab.site.QUICK."""
    made = _new_site(pebble_options={"nonce_reject": 50},
                     settings=getattr(request.module, "SITE_SETTINGS", None))
    try:
        yield made.start()
    finally:
        _end_site(made)


@pytest.fixture
def make_site():
    """A function that makes a platform of its own for one test; nothing is started yet."""
    with contextlib.ExitStack() as ends:
        def make(**options):
            made = _new_site(**options)
            ends.callback(_end_site, made)
            return made

        yield make


@pytest.fixture(autouse=True)
def nothing_died(request):
    """After each test on a shared platform: Pebble still answers, nothing has ended."""
    yield
    if "site" in request.fixturenames:
        request.getfixturevalue("site").check()
