"""Several CAs: what one cannot give comes from the next, edges answer under the right account."""

import os
import re

import pytest

from lab import casim, wait


def pin(site, *more):
    """The first CA's account, and these."""
    snippet = site.herd.folder / "edge/nginx-certherd.conf"
    text = re.sub(r"(certherd_account_thumbprint \S+?)( .*)?;", " ".join((r"\1", *more)) + ";",
                  snippet.read_text())
    snippet.write_text(text)


@pytest.fixture
def two(make_site):
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
    site.herd.start("up")
    site.nginx.start()
    yield site, ca
    ca.stop()


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
