"""New orders keep to the limits that the configuration says the CA has."""

import json

import pytest

import identities
from lab import herd, wait


@pytest.fixture
def paced(make_site):
    return make_site(settings={"issuer": {"orders_per_account": "3/1h",
                                         "certificates_per_domain": "1/7d"}}).start()


def limits(site):
    return site.herd.look("/v1/limits").json


def test_an_account_gets_no_more_orders_than_it_may(paced):
    assert limits(paced) == {"limits": [], "more": False, "waiting": 0}
    names = [f"shop.paced{number}.example" for number in range(4)]
    for name in names:
        paced.add(name)
    # One of the three is kept back as a margin.
    wait.until(lambda: limits(paced)["waiting"] == 2, "two names wait")
    wait.until(lambda: sum(paced.herd.domain(name)["state"] == "active" for name in names) == 2,
               "two are active")
    waiting = [name for name in names if paced.herd.domain(name)["state"] != "active"]
    for name in waiting:
        domain = paced.herd.domain(name)
        assert domain["reason"]["code"] == "ca-limit-account", domain
        assert domain["reason"]["actor"] == "nobody"
        assert domain["next_at"] and domain["state"] == "pending" and domain["failures"] == 0
    bucket = [one for one in limits(paced)["limits"] if one["limit"] == "account"]
    assert len(bucket) == 1 and bucket[0]["left"] == 0
    table = paced.herd.cli("limits").stdout
    assert "account" in table and "2 names wait" in table
    assert json.loads(paced.herd.cli("limits", "--json").stdout)["waiting"] == 2
    assert_turns_are_listed(paced, names, waiting)


def assert_turns_are_listed(paced, names, waiting):
    def listed():
        return {one["name"]: one for one in paced.herd.api().get("/v1/domains").json["domains"]}

    wait.until(lambda: all("expected" in listed()[name] for name in waiting), "turns are foreseen")
    for name, one in listed().items():
        assert ("expected" in one) == (name in waiting), one
    turn = min(listed()[name]["expected"]["at"] for name in waiting)
    assert turn == min(paced.herd.domain(name)["expected"]["at"] for name in waiting)
    rows = [line.split() for line in paced.herd.cli("domain", "list").stdout.splitlines()]
    assert {row[0] for row in rows if row[1:3] == ["pending", "in"]} == set(waiting), rows


def test_limits_are_those_that_issuers_keep_to_now(paced):
    def of_account():
        return [one for one in limits(paced)["limits"] if one["limit"] == "account"]

    def restart(limit):
        paced.herd.stop()
        paced.herd.set("issuer", orders_per_account=limit)
        paced.herd.start("up")

    # One with the margin, which is not to be taken for what a CA has taught.
    restart("2/1h")
    paced.go_live("shop.changed.example")
    before, = of_account()
    assert before["left"] == 0
    restart("100/1h")
    wait.until(lambda: of_account() and of_account()[0]["allowed"] != before["allowed"], of_account)
    assert of_account()[0]["left"] > before["left"]
    restart("none")
    wait.until(lambda: not of_account(), of_account)


def test_a_name_that_a_visitor_asks_for_goes_before_an_import(paced, scratch):
    ca = identities.Ca(paced.herd.pki("edge-ca.pem"), paced.herd.pki("edge-ca.key"))
    paths = identities.make(scratch, "asking", ["certherd://edge/default/asking"], ca=ca)
    edge = herd.Api(paced.herd.store_port, paced.herd.pki("ca.pem"), *paths)
    names = [f"shop.import{number}.example" for number in range(6)]
    for name in names:
        paced.add(name)
    wait.until(lambda: limits(paced)["waiting"] == 4, "four names wait")
    waiting = [name for name in names if not paced.herd.domain(name)["order"]
               and paced.herd.domain(name)["state"] == "pending"]
    last = waiting[-1]
    assert "Wanted" not in paced.herd.cli("domain", "show", last).stdout
    assert edge.post("/v1/wanted", {"names": [last, "absent.example"]}).json == {"taken": 1}
    assert "Wanted       a visitor asked for it " in paced.herd.cli("domain", "show", last).stdout
    wait.until(lambda: any(one["class"] == "visitor" for one in
                           paced.herd.api().get("/v1/forecast").json["classes"]), "it is foreseen", 90)
    assert paced.herd.domain(last)["expected"]["ahead"] == 0


def test_a_busy_domain_holds_no_other_up(paced):
    paced.add("one.busy.example")
    paced.herd.wait_state("one.busy.example", "active")
    paced.add("two.busy.example")
    wait.until(lambda: paced.herd.domain("two.busy.example")["reason"]["code"] == "ca-limit-domain",
               "the second name of the domain waits")
    paced.add("one.calm.example")
    paced.herd.wait_state("one.calm.example", "active")
    assert "busy.example" in paced.herd.cli("limits").stdout


def test_a_limit_that_is_none_is_refused(paced):
    paced.herd.set("issuer", orders_per_account="300 in 3 hours")
    told = paced.herd.cli("issuer", check=False)
    assert told.returncode != 0
    assert "orders_per_account" in told.stderr and "300/3h" in told.stderr
