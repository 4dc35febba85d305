"""Processes die at random moments while 100 names are issued and renewed, and nothing is lost.

CERTHERD_KILL_ROUNDS says how many rounds (3; `make soak` makes 20), CERTHERD_KILL_SEED which one
is the first: a round's seed is in its name, so that one can be run again by itself.  What the
seed cannot repeat is the machine's timing.
"""

import contextlib
import os
import random
import sqlite3
import time

import pytest
from cryptography import x509

from killing import Killer, Visitors
from lab import wait

ROUNDS = int(os.environ.get("CERTHERD_KILL_ROUNDS", "3"))
FIRST_SEED = int(os.environ["CERTHERD_KILL_SEED"])  # drawn by conftest.py unless given
NAMES = [f"n{number:02}.kill.example.com" for number in range(100)]
# Of each of the two phases, issuance and renewal.
KILLS = 10
PHASE_S = 60 * float(os.environ.get("CERTHERD_TEST_SLOWNESS", "1"))
STATES = ["new", "ordered", "validating", "valid", "sealed", "finalizing", "confirming", "done"]
SETTINGS = {
    "store": {"edge_timeout": "5s"},
    "issuer": {"lease": "1s", "retry_ladder": "500ms,1s,2s", "poll_interval": "100ms"},
    "agent": {"poll_wait": "2s"},
}


def domains(site):
    answer = site.herd.look("/v1/domains?limit=1000")
    assert answer.status == 200 and len(answer.json["domains"]) == len(NAMES), answer
    return answer.json["domains"]


def serials(site):
    return {domain["name"]: domain["certificate"]["serial"] for domain in domains(site)}


class Progress:
    """How far the orders of a phase are, 0 to 1, read past the store, which may be dead."""

    def __init__(self, site):
        self.path = site.herd.folder / "store/certherd.db"
        self.before = self._query("SELECT coalesce(max(id), 0) FROM orders")[0][0]

    def _query(self, sql, *values):
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as db:
            return db.execute(sql, values).fetchall()

    def __call__(self):
        try:
            states = self._query("SELECT state FROM orders WHERE id > ? AND state <> 'failed'",
                                 self.before)
        except sqlite3.OperationalError:  # it is being opened
            return 0
        return sum(STATES.index(state) for state, in states) / (len(NAMES) * (len(STATES) - 1))


def names_of(pem):
    certificate = x509.load_pem_x509_certificate(pem)
    sans = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return sans.get_values_for_type(x509.DNSName)


def issued_by_name(site):
    found = {name: [] for name in NAMES}
    serials_ = site.pebble.issued()
    for serial, pem in zip(serials_, site.pebble.certificates(serials_)):
        for name in names_of(pem):
            found[name].append(serial)
    return found


def check_orders(site):
    """None open, and every name's last one ended well.  Returns how often each name was begun
    again: within an order (`attempts`), or by a further one after one that failed."""
    orders, cursor = [], ""
    while cursor is not None:
        page = site.herd.look(f"/v1/orders?limit=1000&cursor={cursor}" if cursor
                                   else "/v1/orders?limit=1000").json
        orders += page["orders"]
        cursor = page["next_cursor"]
    assert {order["state"] for order in orders} <= {"done", "failed"}, orders[:3]
    newest = {}
    for order in orders:  # newest first
        newest.setdefault(order["names"][0], order)
    assert newest.keys() == set(NAMES)
    assert {order["state"] for order in newest.values()} == {"done"}
    retries = dict.fromkeys(NAMES, 0)
    for order in orders:
        for name in order["names"]:
            retries[name] += order["attempts"] + (order["state"] == "failed")
    return retries


def check_served(site):
    live = serials(site)
    for name in NAMES:
        with site.connect(name) as visit:
            assert visit.names == [name]
            assert visit.serial.lstrip("0") == live[name].lstrip("0"), name


def check_issued(site, times, retries):
    """Each name got one certificate for each time that it was asked for, and one more only if
    it was retried."""
    issued = issued_by_name(site)
    live = serials(site)
    for name in NAMES:
        most = times + min(1, retries[name])
        assert times <= len(issued[name]) <= most, (name, retries[name], issued[name])
        assert live[name].lstrip("0") in issued[name]
    return issued, sum(len(each) - times for each in issued.values())


def issue(site, killer):
    progress = Progress(site)
    answer = site.herd.api().post("/v1/domains", {"domains": [{"name": name} for name in NAMES]})
    assert answer.status == 200 and answer.json["created"] == len(NAMES), answer
    killer.along(progress, KILLS, PHASE_S)


def renew(site, killer):
    progress = Progress(site)
    site.herd.cli("domain", "retry", *NAMES)
    killer.along(progress, KILLS, PHASE_S)


def check_state(site, killer):
    """Every name active, no order open, nobody missing.  Returns the retries by name."""
    killer.wait_whole()
    wait.until(lambda: site.herd.look("/v1/status").json["orders"]["open"] == 0,
               "no order is open", 20)
    assert {domain["state"] for domain in domains(site)} == {"active"}
    return check_orders(site)


def check_replica(site):
    done = site.herd.cli("verify", "--names", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [FIRST_SEED + number for number in range(ROUNDS)],
                         ids=lambda seed: f"seed {seed}")
def test_kills_at_random_moments_lose_nothing(make_site, seed):
    began = time.monotonic()
    site = make_site(settings=SETTINGS, pebble_options={"nonce_reject": 10}).start()
    killer = Killer(site, random.Random(seed))
    with Visitors(site, seed) as visitors:
        visitors.names = NAMES
        issue(site, killer)
        check_state(site, killer)
        refused_at_first = dict(visitors.alerts)
        renew(site, killer)
        retries = check_state(site, killer)
    check_replica(site)
    check_served(site)
    issued, more = check_issued(site, 2, retries)
    assert all(killer.killed.values()), killer.killed
    assert not visitors.wrong
    assert visitors.alerts == refused_at_first, "a name that was live was refused"
    assert sum(map(len, visitors.served.values())) > 0
    for name, seen in visitors.served.items():
        assert seen <= set(issued[name]), name
    print(f"seed {seed}: {time.monotonic() - began:.0f} s, kills {killer.killed}, retries "
          f"{sum(retries.values())}, certificates beyond one an order {more}, visits that broke off "
          f"{visitors.broken}, refused before the first certificate {refused_at_first}")
