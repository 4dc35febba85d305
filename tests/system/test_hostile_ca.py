"""A CA that answers as none should: each name ends in a clear state, memory and time bounded; and
one that fails often, of which all names have their certificate in the end."""

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
    ("newOrder", "redirect", "ca-status"),
    ("authz", "deep", "ca-answer-too-deep"),
    ("authz", "mistyped", "ca-bad-authorization"),
    ("authz", "zeros", "ca-answer-not-json"),
    ("authz", "gigabyte", "http-too-big"),
    ("authz", "circle", "ca-status"),
    ("challenge", "empty", None),
    ("challenge", "other-type", None),
    ("finalize", "truncated", None),
    ("finalize", "cut", None),
    ("finalize", "reset", None),
    ("order", "other-type", None),
    ("certificate", "empty", "ca-no-certificate"),
    ("certificate", "html", "ca-no-certificate"),
    ("certificate", "zeros", "ca-no-certificate"),
    ("certificate", "truncated", "cert-parse"),
    ("certificate", "gigabyte", "http-too-big"),
    ("certificate", "redirect", "ca-status"),
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


# A registered domain for each, so that none waits for another's limit.
ANSWERS_OF = {pair: at for at, pair in enumerate([(r, a) for r, a, _ in ANSWERS] + SLOW)}


def name_of(route, answer):
    return f"{route}-{answer}.hostile{ANSWERS_OF[route, answer]}.example".lower()


def peak_kib(site):
    text = pathlib.Path(f"/proc/{site.herd.pid_of('issuer')}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1])


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
    assert re.search(rf"^## {code}$", (herd.ROOT / "doc/troubleshooting.md").read_text(), re.M)


@pytest.mark.skipif(sanitizer.watches(herd.binary()), reason="the sanitizer's memory counts too")
def test_memory_is_bounded(hostile):
    site, _, before = hostile
    assert peak_kib(site) - before < 24 * 1024


def test_names_go_live_once_the_ca_is_sane_again(hostile):
    site, ca, _ = hostile
    names = [name_of(route, answer) for route, answer, code in ANSWERS if code]
    ca.ask("/names", {name: None for name in names})
    site.herd.cli("domain", "retry", *names)
    for name in names:
        site.herd.wait_state(name, "active", timeout=60)


def test_slow_answers_of_some_hold_up_no_others():
    """Three of eight workers wait for what never comes; nobody takes their orders over meanwhile."""
    with casim_fixture.running({"step_tries": 1, "lease": "60s"}) as (site, ca):
        ca.ask("/names", {name_of(*pair): {"hostile": {pair[0]: pair[1]}} for pair in SLOW})
        for pair in SLOW:
            site.add(name_of(*pair))
        for number in range(10):
            site.go_live(f"good{number}.hostile.example", timeout=20)
        for pair in SLOW:
            domain = site.herd.wait_state(name_of(*pair), "failed", timeout=90)
            assert domain["reason"]["code"] == "http-timeout", domain["reason"]


def test_a_ca_that_fails_often_gets_everybody_certified():
    """Half of the nonces, and an eighth of the requests; none stalls for longer than we wait."""
    names = [f"often{number}.faults.example" for number in range(30)]
    with casim_fixture.running(faults={
            "bad_nonce_percent": 50, "error_500_percent": 5, "reset_percent": 5,
            "stall_percent": 2, "stall_ms": 1000}) as (site, ca):
        casim_fixture.add_all(site, names)
        wait.until(lambda: all(casim_fixture.states(site)[name] == "active" for name in names),
                   lambda: str(casim_fixture.states(site)), 300)
        state = ca.tell("/state")
        assert state["certificates"] <= 2 * len(names)
        assert state["counts"]["faults"]["bad_nonce"] > len(names)
