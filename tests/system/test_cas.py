"""Several CAs: what one cannot give comes from the next, edges answer under the right account."""

import os
import re

import pytest

from lab import casim, herd as lab_herd, wait


def pin(site, *more):
    """The first CA's account, and these."""
    snippet = site.herd.folder / "edge/nginx-certherd.conf"
    text = re.sub(r"(certherd_account_thumbprint \S+?)( .*)?;", " ".join((r"\1", *more)) + ";",
                  snippet.read_text())
    snippet.write_text(text)


@pytest.fixture
def two_to_start(make_site):
    """A platform whose first CA is casim, not started yet, and whose second is Pebble."""
    site = make_site()
    ca = casim.Casim(site.folder / "casim", site.pebble.http_port)
    ca.prepare()
    site.settings = {"issuer": {"directory": ca.directory, "directory_ca": ca.api_ca, "roots": "any",
                                "fallback": "pebble"},
                     "ca pebble": {"directory": site.pebble.directory,
                                   "directory_ca": site.herd.folder.parent / "pebble/minica.pem",
                                   "roots": "any", "terms_agreed": "yes"}}
    site.prepare()
    thumbprint = site.herd.cli("key", "account", site.herd.folder / "issuer/account-pebble.key").stdout
    pin(site, thumbprint.strip())
    if os.geteuid() == 0:
        site.herd.cli("init", "--own", site.herd.folder)
    yield site, ca
    ca.stop()


@pytest.fixture
def two(two_to_start):
    site, ca = two_to_start
    site.herd.start("up")
    site.nginx.start()
    return site, ca


@pytest.fixture
def store_only(scratch):
    made = lab_herd.Herd(scratch / "certherd").init()
    made.start("store")
    yield made
    made.stop()


def by_pebble(site, name):
    return "Pebble" in site.herd.domain(name)["certificate"]["issuer"]


def test_an_outage_moves_names_to_the_next_ca_and_back(two):
    site, ca = two
    site.go_live("away.cas.example", timeout=60)
    assert by_pebble(site, "away.cas.example")
    ca.start()
    wait.until(lambda: ca.server.is_alive(), "casim runs", 10)
    number = 0

    def came_back():
        """Its gate opens after a while: until then names still go to the second."""
        nonlocal number
        number += 1
        site.go_live(f"back{number}.cas.example", timeout=60)
        return not by_pebble(site, f"back{number}.cas.example")

    wait.until(came_back, "a name comes from the first CA again", 60)
    # What the second one issued is renewed at the first: edges must answer under another account.
    before = site.herd.domain("away.cas.example")["certificate"]["serial"]
    site.herd.cli("domain", "retry", "away.cas.example")
    site.herd.wait_state("away.cas.example", "active", timeout=60,
                         also=lambda domain: domain["certificate"]["serial"] != before)
    assert not by_pebble(site, "away.cas.example")


def asked_for_orders(ca):
    return ca.tell("/state")["counts"]["requests"].get("newOrder", 0)


def test_a_limit_in_no_words_moves_names_to_the_next_ca(two_to_start):
    site, ca = two_to_start
    ca.start()
    site.herd.start("up")
    site.nginx.start()
    site.go_live("first.limit.example", timeout=60)
    assert not by_pebble(site, "first.limit.example")
    ca.ask("/settings", {"hostile": {"newOrder": "busy"}})
    before = asked_for_orders(ca)
    for number in range(3):
        site.go_live(f"next{number}.limit.example", timeout=60)
        assert by_pebble(site, f"next{number}.limit.example")
    # Whoever comes within the minute does not meet it.
    assert asked_for_orders(ca) == before + 1
    taught = [limit for limit in site.herd.look("/v1/limits").json["limits"]
              if limit["limit"] == "account"]
    assert len(taught) == 1 and taught[0]["left"] == 0
    ca.ask("/settings", {"hostile": {"newOrder": None}})


def test_a_name_has_its_own_order_of_cas(two):
    """casim is down: the first for all who say nothing, and not for a name that may use it alone."""
    site, ca = two
    site.herd.cli("domain", "add", "own.cas.example", "--cas", "pebble, main", "--wait")
    assert by_pebble(site, "own.cas.example")
    assert site.herd.domain("own.cas.example")["cas"] == ["pebble", "main"]
    assert "pebble, main" in site.herd.cli("domain", "show", "own.cas.example").stdout
    site.add("faithful.cas.example", cas=["main"])
    wait.until(lambda: site.herd.domain("faithful.cas.example")["reason"]["code"] not in ("queued", "ok"),
               "it has met the outage", 30)
    assert site.herd.domain("faithful.cas.example")["certificate"] is None
    ca.start()
    site.herd.wait_state("faithful.cas.example", "active", timeout=90)
    assert not by_pebble(site, "faithful.cas.example")
    # Both are up: a name goes where its list begins, and moves with the list.
    site.go_live("moves.cas.example", timeout=60, cas=["pebble"])
    assert by_pebble(site, "moves.cas.example")
    before = site.herd.domain("moves.cas.example")["certificate"]["serial"]
    site.herd.cli("domain", "add", "moves.cas.example", "--cas", "main")
    site.herd.cli("domain", "retry", "moves.cas.example")
    site.herd.wait_state("moves.cas.example", "active", timeout=60,
                         also=lambda domain: domain["certificate"]["serial"] != before)
    assert not by_pebble(site, "moves.cas.example")


def test_a_ca_that_no_issuer_has_is_refused(two):
    site, _ = two
    wait.until(lambda: site.herd.look("/v1/forecast").json["limited"] is not None,
               "the issuer has said what it has", 30)
    done = site.herd.cli("domain", "add", "typo.cas.example", "--cas", "pebbel,main", check=False)
    assert done.returncode == 1 and '"pebbel"' in done.stderr and "main,pebble" in done.stderr, done
    assert site.herd.look("/v1/domains/typo.cas.example").status == 404
    done = site.herd.cli("domain", "add", "typo.cas.example", "--standby", "pebbel", check=False)
    assert done.returncode == 1 and "main,pebble" in done.stderr, done
    site.herd.cli("domain", "add", "typo.cas.example", "--cas", "pebble,main", "--wait")
    assert by_pebble(site, "typo.cas.example")


def test_a_ca_that_is_not_configured_is_told(two_to_start):
    """It was asked for before there was an issuer to say what there is."""
    site, _ = two_to_start
    site.herd.start("store")
    site.add("odd.cas.example", cas=["nonesuch"])
    site.herd.start("issuer")
    site.herd.start("agent")
    site.nginx.start()
    domain = wait.until(lambda: (d := site.herd.domain("odd.cas.example"))["reason"]["code"] == "ca-unknown" and d,
                        "the name says why it waits", 30)
    assert domain["reason"]["actor"] == "operator" and "nonesuch" in domain["reason"]["detail"]
    assert domain["certificate"] is None
    # With another one beside it, that one is used, and the name still says so.  What it had already
    # is not refused now.
    site.add("odd.cas.example", cas=["nonesuch", "pebble"])
    domain = site.herd.wait_state("odd.cas.example", "active", timeout=60)
    assert by_pebble(site, "odd.cas.example")
    assert domain["reason"]["code"] == "ca-unknown" and domain["reason"]["actor"] == "operator"
    names = site.folder / "names.csv"
    names.write_text('name,cas\nimported.cas.example,"pebble,main"\nplain.cas.example,\nbad.cas.example,Main\n')
    done = site.herd.cli("domain", "import", names, check=False)
    assert done.returncode == 3 and "bad.cas.example" in done.stdout, done
    assert site.herd.domain("imported.cas.example")["cas"] == ["pebble", "main"]
    assert site.herd.domain("plain.cas.example")["cas"] is None


@pytest.mark.parametrize("cas", [["Main"], ["a b"], [""], ["x" * 32], ["main", "main"], ["a,b"], [5], "main", ["a"] * 9])
def test_what_is_no_list_of_cas_is_refused(store_only, cas):
    answer = store_only.api().put("/v1/domains/bad.example.com", {"cas": cas})
    assert answer.status == 400 and answer.json["field"] == "cas", answer


def test_an_account_that_edges_do_not_pin_gets_nothing(two):
    site, _ = two
    pin(site)
    site.nginx.reload()
    site.add("unpinned.cas.example")
    # Its first order fails too, when the name moves on to the second CA.
    wait.until(lambda: "no certherd_account_thumbprint" in site.nginx.error_log(),
               "an edge was asked for the account that it does not have", 60)
    site.herd.wait_state("unpinned.cas.example", "failed", timeout=60)
    assert site.herd.domain("unpinned.cas.example")["certificate"] is None
