"""Against a CA of our own (tests/casim), which keeps limits, and makes trouble when told to."""

import contextlib
import datetime
import http.client
import json
import re

import pytest

from conftest import SLOWNESS
from lab import casim, wait


@pytest.fixture
def with_casim(make_site):
    """A platform whose CA it is; the settings of the CA, and of the issuer."""
    started = []

    def make(issuer=None, **settings):
        site = make_site()
        ca = casim.Casim(site.folder / "casim", site.pebble.http_port, **settings)
        started.append(ca.start())
        site.settings = {"issuer": {"directory": ca.directory, "directory_ca": ca.api_ca,
                                    "roots": ca.root, **(issuer or {})}}
        site.herd.companions.append(lambda: ca.server.check_alive() or True)
        return site.start(), ca

    yield make
    for ca in started:
        ca.stop()


def test_names_go_live(with_casim):
    site, ca = with_casim()
    for name in ("one.casim.example", "two.casim.example"):
        site.add(name)
        site.herd.wait_state(name, "active")
    assert ca.tell("/state")["certificates"] >= 2


def test_the_caa_record_that_is_recommended_names_ca_and_account(with_casim):
    site, ca = with_casim()
    site.go_live("caa.casim.example")
    record = (f'0 issue "casim.example; accounturi=https://localhost:{ca.port}/account/1; '
              'validationmethods=http-01"')
    wait.until(lambda: site.herd.domain("caa.casim.example")["caa"],
               "an issuer has told its account", 30)
    assert [text.replace("127.0.0.1", "localhost")
            for text in site.herd.domain("caa.casim.example")["caa"]] == [record]
    shown = site.herd.cli("domain", "show", "caa.casim.example").stdout
    assert "caa.casim.example CAA 0 issue" in shown


def test_a_limit_of_the_ca_is_learned_and_waited_for(with_casim):
    """The configuration knows of no limit; the CA says so."""
    site, ca = with_casim(limits={"enforced": True, "new_orders": {"size": 2, "refill_ms": 6000}})
    names = [f"limited{number}.example" for number in range(4)]
    for name in names:
        site.add(name)
    wait.until(lambda: any(limit["limit"] == "account"
                           for limit in site.herd.look("/v1/limits").json["limits"]),
               "the limit is learned", 30)
    for name in names:
        site.herd.wait_state(name, "active", timeout=60)


# ---- what is foretold of those who wait

# One order a second; with fewer tokens in the bucket than this nobody has to wait for it.
ONE_A_SECOND = {"enforced": True, "new_orders": {"size": 3, "refill_ms": 1000}}
# How far a turn may be from the one that was foretold: orders that are made in the same moment
# overtake one another on their way to the CA.
PLACES_OFF = 3
# The CA's time is in whole seconds; later by what the issuer and this machine take, never earlier.
EARLY_S, LATE_S = 2, 10


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def foretold(site, names):
    """{name: expected} of those that wait, ten at least, all of one look ahead."""
    api = site.herd.api()
    # A look lasts two seconds: with a handshake for each name a busy machine misses it.
    connection = http.client.HTTPSConnection("127.0.0.1", api.port, timeout=30, context=api.context)

    def get(path):
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())

    def look():
        before = get("/v1/forecast")
        domains = [get(f"/v1/domains/{name}") for name in names]
        after = get("/v1/forecast")
        found = {domain["name"]: domain["expected"] for domain in domains if domain["expected"]}
        if any(domain["reason"]["code"] in ("queued", "ca-limit-account") for domain in domains
               if domain["name"] not in found):
            return None  # it was not in line yet
        same = before["computed_at"] == after["computed_at"]
        return found if same and len(found) >= 10 else None
    with contextlib.closing(connection):
        return wait.until(look, "all who wait know their turn", 40 * SLOWNESS)


def test_turns_come_as_foretold(with_casim):
    """In the order of the CA, and by its clock."""
    site, ca = with_casim({"orders_per_account": "2/2s"}, limits=ONE_A_SECOND)
    many = [f"many{number}.foretold.example" for number in range(24)]
    alone = [f"alone{number}.example" for number in range(12)]
    site.herd.api().post("/v1/domains", {"domains": [{"name": name} for name in many]})
    for name in alone:
        site.add(name)
    expected = foretold(site, many + alone)
    assert {one["limit"] for one in expected.values()} <= {"account", None}
    # Since the look some may have gone, the first ones.
    gone = min(one["ahead"] for one in expected.values())
    assert sorted(one["ahead"] - gone for one in expected.values()) == list(range(len(expected)))
    shown = site.herd.cli("domain", "show", max(expected, key=lambda name: expected[name]["ahead"]))
    assert "for the limit of the account" in shown.stdout
    for name in expected:
        site.herd.wait_state(name, "active", timeout=90 * SLOWNESS)
    made = {cert["names"][0]: cert for cert in json.loads(ca.ask("/certificates"))}
    real = sorted(expected, key=lambda name: made[name]["order"])
    first = min(expected, key=lambda name: expected[name]["ahead"])
    for place, name in enumerate(real):
        assert abs(place + gone - expected[name]["ahead"]) <= PLACES_OFF, (place, name, expected[name])
        after = seconds(made[name]["not_before"]) - seconds(made[first]["not_before"])
        foreseen = seconds(expected[name]["at"]) - seconds(expected[first]["at"])
        assert -EARLY_S <= after - foreseen <= LATE_S * SLOWNESS, (name, after, foreseen)
    # Who waits no longer is foretold nothing.
    assert site.herd.domain(real[0])["expected"] is None
    assert "Turn" not in site.herd.cli("domain", "show", real[0]).stdout


def test_a_forecast_of_the_store_names_classes_buckets_and_the_limit_to_raise(with_casim):
    site, ca = with_casim({"orders_per_account": "2/14d", "certificates_per_domain": "50/7d"})
    names = [f"many{number}.forecast.example" for number in range(5)]
    site.herd.api().post("/v1/domains", {"domains": [{"name": name} for name in names]})

    def look():
        forecast = json.loads(site.herd.cli("forecast", "--json").stdout)
        return forecast if forecast["waiting"] == 4 and forecast["classes"] else None
    forecast = wait.until(look, "four wait", 30 * SLOWNESS)
    (backlog,) = forecast["classes"]
    assert (backlog["class"], backlog["waiting"], backlog["limit"]) == ("backlog", 4, "account")
    assert backlog["first_at"] < backlog["half_at"] < backlog["done_at"]
    assert 27 < (seconds(backlog["done_at"]) - seconds(forecast["computed_at"])) / 86400 < 29
    (account,) = forecast["buckets"]
    assert account["limit"] == "account" and account["short_until"] == backlog["done_at"]
    assert account["left"] == account["left_in_a_week"] == 0
    assert forecast["raise"] == "orders_per_account" and forecast["uncounted"] == 0
    assert site.herd.look("/v1/status").json["in_line"] == 4
    assert "In line  4 for a limit of a CA" in site.herd.cli("status").stdout
    text = site.herd.cli("forecast", "--live").stdout
    assert re.search(r"Figures of (now|\d+m?s.* ago)\.", text) and "not counted yet" not in text, text
    assert "backlog" in text and "Ask the CA to raise orders_per_account." in text
    assert site.herd.cli("forecast", "--live", "scenario.conf", check=False).returncode == 2


def test_a_ca_without_limits_has_nothing_to_wait_for(with_casim):
    site, ca = with_casim({"limits": "generic", "orders_per_account": "none",
                           "certificates_per_domain": "none", "certificates_per_set": "none"})
    site.go_live("free.casim.example")
    wait.until(lambda: site.herd.look("/v1/forecast").json["limited"] is False,
               "it is known that there is no limit", 30 * SLOWNESS)
    forecast = site.herd.look("/v1/forecast").json
    assert (forecast["waiting"], forecast["classes"], forecast["buckets"]) == (0, [], [])
    assert forecast["raise"] is None
    assert sum(part["renewals"] for part in forecast["renewals"]) == 1 and forecast["uncounted"] == 0
    assert "In line" not in site.herd.cli("status").stdout
    text = site.herd.cli("forecast").stdout
    assert "No name waits for its turn." in text and "There is no limit: " in text
    assert site.herd.domain("free.casim.example")["expected"] is None
