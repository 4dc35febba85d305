"""A CA that answers as none should: each name ends in a clear state, memory and time bounded; and
one that fails often, of which all names have their certificate in the end."""

import collections
import pathlib
import re

import pytest

import casim_fixture
from lab import herd, sanitizer, wait

# (route, answer, reason of the name, or None: it goes live all the same)
ANSWERS = [
    ("newOrder", "truncated", "ca-answer-not-json"),
    ("newOrder", "array", "ca-answer-not-json"),
    ("newOrder", "html", "ca-answer-not-json"),
    ("newOrder", "foreign-url", "ca-foreign-url"),
    ("newOrder", "redirect", "ca-redirect"),
    ("newOrder", "gigabyte", "http-too-big"),
    ("newOrder", "odd-status", "ca-bad-order"),
    ("newOrder", "other-type", None),
    ("authz", "deep", "ca-answer-too-deep"),
    ("authz", "mistyped", "ca-bad-authorization"),
    ("authz", "zeros", "ca-answer-not-json"),
    ("authz", "gigabyte", "http-too-big"),
    ("authz", "circle", "ca-redirect"),
    ("challenge", "empty", None),
    ("challenge", "other-type", None),
    ("finalize", "truncated", None),
    ("finalize", "cut", None),
    ("finalize", "reset", None),
    ("finalize", "redirect", None),
    ("order", "other-type", None),
    ("certificate", "other-type", None),
    ("certificate", "cut", "http-broken"),
    ("certificate", "empty", "ca-no-certificate"),
    ("certificate", "html", "ca-no-certificate"),
    ("certificate", "zeros", "ca-no-certificate"),
    ("certificate", "truncated", "cert-parse"),
    ("certificate", "gigabyte", "http-too-big"),
    ("certificate", "redirect", "ca-redirect"),
    ("certificate", "wrong-key", "cert-key"),
    ("certificate", "wrong-names", "cert-names"),
    ("certificate", "extra-name", "cert-names"),
    ("certificate", "expired", "cert-dates"),
    ("certificate", "not-yet", "cert-dates"),
    ("certificate", "is-ca", "cert-usage"),
    ("certificate", "no-usage", "cert-usage"),
    ("certificate", "huge", "cert-parse"),
]
SLOW = [("authz", "drip"), ("certificate", "drip"), ("newOrder", "silence")]
# (route that is about no name, answer, reason of the names that wait for it)
FOR_ALL = [
    ("directory", "html", "ca-answer-not-json"),
    ("directory", "mistyped", "ca-bad-url"),
    ("directory", "gigabyte", "http-too-big"),
    ("newNonce", "redirect", "ca-redirect"),
    ("newAccount", "cut", "http-broken"),
]
GROWTH_MOST_KIB = 24 * 1024

# A registered domain for each, so that none waits for another's limit.
ANSWERS_OF = {pair: at for at, pair in enumerate([(r, a) for r, a, _ in ANSWERS] + SLOW)}


def name_of(route, answer):
    return f"{route}-{answer}.hostile{ANSWERS_OF[route, answer]}.example".lower()


def is_explained(code):
    text = (herd.ROOT / "doc/troubleshooting.md").read_text()
    return re.search(rf"^## {code}$", text, re.M) is not None


def peak_kib(site):
    text = pathlib.Path(f"/proc/{site.herd.pid_of('issuer')}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1])


def assert_memory_is_bounded(site, before):
    """The sanitizer's memory counts too: nothing is known under it."""
    if not sanitizer.watches(herd.binary()):
        assert peak_kib(site) - before < GROWTH_MOST_KIB


def reasons(site):
    """{name: code of its reason}"""
    listing = site.herd.look("/v1/domains?limit=1000").json
    return {domain["name"]: (domain["reason"] or {}).get("code") for domain in listing["domains"]}


def wait_all_active(site, names, seconds):
    wait.until(lambda: all(casim_fixture.states(site)[name] == "active" for name in names),
               lambda: str(casim_fixture.states(site)), seconds)


def certificates(ca):
    """{name: how many of it}"""
    return collections.Counter(
        name for one in ca.tell("/certificates") for name in one["names"])


@pytest.fixture(scope="module")
def hostile():
    """Every name has been through its answer once."""
    with casim_fixture.running({"step_tries": 2, "retry_ladder": "1d"}) as (site, ca):
        site.go_live("first.hostile.example")
        before = peak_kib(site)
        pairs = [(route, answer) for route, answer, _ in ANSWERS]
        ca.ask("/names", {name_of(*pair): {"hostile": {pair[0]: pair[1]}} for pair in pairs})
        casim_fixture.add_all(site, [name_of(*pair) for pair in pairs])
        wait.until(lambda: {casim_fixture.states(site)[name_of(*pair)] for pair in pairs}
                   <= {"active", "failed"}, lambda: str(casim_fixture.states(site)), 100)
        yield site, ca, before


@pytest.mark.parametrize("route,answer,code", ANSWERS, ids=lambda value: str(value))
def test_each_answer_ends_in_a_clear_state(hostile, route, answer, code):
    site, ca, _ = hostile
    domain = site.herd.domain(name_of(route, answer))
    if code is None:
        assert domain["state"] == "active"
        return
    assert domain["state"] == "failed" and domain["certificate"] is None
    assert domain["reason"]["code"] == code, domain["reason"]
    assert domain["reason"]["actor"] in ("ca", "platform")
    assert "\x1b" not in domain["reason"]["detail"]
    assert is_explained(code)


def test_memory_is_bounded(hostile):
    site, _, before = hostile
    assert_memory_is_bounded(site, before)


def test_names_go_live_once_the_ca_is_sane_again(hostile):
    site, ca, _ = hostile
    names = [name_of(route, answer) for route, answer, code in ANSWERS if code]
    ca.ask("/names", {name: None for name in names})
    site.herd.cli("domain", "retry", *names)
    for name in names:
        site.herd.wait_state(name, "active", timeout=60)


def test_slow_answers_of_some_hold_up_no_others():
    """Three of eight workers wait for what never comes; nobody takes their orders over meanwhile."""
    good = [f"shop.good{number}.example" for number in range(10)]
    with casim_fixture.running(
            {"step_tries": 1, "lease": "60s", "ca_timeout": "10s"}) as (site, ca):
        site.go_live("first.hostile.example")
        before = peak_kib(site)
        ca.ask("/names", {name_of(*pair): {"hostile": {pair[0]: pair[1]}} for pair in SLOW})
        for pair in SLOW:
            site.add(name_of(*pair))
        casim_fixture.add_all(site, good)
        wait_all_active(site, good, 60)
        # Before any of the slow ones is over.
        assert not {casim_fixture.states(site)[name_of(*pair)] for pair in SLOW} & {"failed"}
        for pair in SLOW:
            domain = site.herd.wait_state(name_of(*pair), "failed", timeout=90)
            assert domain["reason"]["code"] == "http-timeout", domain["reason"]
        assert_memory_is_bounded(site, before)


@pytest.mark.timeout(300)
def test_answers_without_which_no_order_can_begin():
    """They are nobody's fault: the name waits and says for what, and goes live when they are good."""
    name = "waits.hostile.example"
    with casim_fixture.running(hostile={FOR_ALL[0][0]: FOR_ALL[0][1]}) as (site, ca):
        before = peak_kib(site)
        site.add(name)
        for route, answer, code in FOR_ALL:
            others = {other: None for other, _, _ in FOR_ALL if other != route}
            ca.ask("/settings", {"hostile": {**others, route: answer}})
            wait.until(lambda: reasons(site)[name] == code,
                       lambda: f"{route} {answer}: {site.herd.domain(name)}", 70)
            assert is_explained(code)
            assert site.herd.domain(name)["state"] == "pending"
        ca.ask("/settings", {"hostile": {route: None for route, _, _ in FOR_ALL}})
        site.herd.wait_state(name, "active", timeout=70)
        assert_memory_is_bounded(site, before)


@pytest.mark.timeout(400)
def test_a_ca_that_fails_often_gets_everybody_certified():
    """Half of the nonces, and an eighth of the requests, of which some are never answered."""
    names = [f"often{number}.faults.example" for number in range(20)]
    with casim_fixture.running({"ca_timeout": "3s"}, faults={
            "bad_nonce_percent": 50, "error_500_percent": 5, "reset_percent": 5,
            "stall_percent": 2}) as (site, ca):
        before = peak_kib(site)
        casim_fixture.add_all(site, names)
        wait_all_active(site, names, 360)
        faults = ca.tell("/state")["counts"]["faults"]
        assert faults["bad_nonce"] > len(names) and faults["error_500"] and faults["reset"]
        assert certificates(ca) == {name: 1 for name in names}
        assert_memory_is_bounded(site, before)


@pytest.mark.timeout(300)
def test_an_outage_is_met_by_few_and_over_for_all_when_it_ends():
    names = [f"shop.outage{number}.example" for number in range(150)]
    with casim_fixture.running() as (site, ca):
        site.go_live("first.outage.example")
        # Half of them strikes before anything is done: that is every request.
        ca.ask("/settings", {"faults": {"error_500_percent": 200}})
        casim_fixture.add_all(site, names)
        wait.until(lambda: list(reasons(site).values()).count("ca-internal") > 100,
                   lambda: str(reasons(site)), 60)
        # Within a minute the CA is tried seven times, by each of eight workers at most.
        assert 0 < ca.tell("/state")["counts"]["faults"]["error_500"] <= 7 * 8
        assert set(casim_fixture.states(site).values()) == {"active", "pending"}
        ca.ask("/settings", {"faults": {"error_500_percent": 0}})
        wait_all_active(site, names, 120)
        assert certificates(ca) == {name: 1 for name in [*names, "first.outage.example"]}
