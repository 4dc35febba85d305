"""Renewals when the CA wants them (RFC 9773), against the CA simulator (tests/casim)."""

import contextlib

import pytest

from lab import casim, wait

# Half of ten minutes would be waited otherwise; a certificate may be renewed after six seconds.
SHORT = {"profiles": {"list": {"classic": {"lifetime_s": 600}}}, "certificate": {"backdate_s": 0}}
NOW = {"ari": {"start_percent": 0}}


@pytest.fixture
def with_casim(make_site):
    with contextlib.ExitStack() as stack:
        def make(issuer=None, **settings):
            site = make_site()
            ca = casim.Casim(site.folder / "casim", site.pebble.http_port, **SHORT, **settings)
            stack.callback(ca.stop)
            ca.start()
            site.settings = {"issuer": {"directory": ca.directory, "directory_ca": ca.api_ca,
                                        "roots": ca.root, **(issuer or {})}}
            site.herd.companions.append(lambda: ca.server.check_alive() or True)
            return site.start(), ca

        yield make


def certificates(ca, count):
    wait.until(lambda: len(ca.tell("/certificates")) >= count, f"the CA has issued {count}", 60)
    return ca.tell("/certificates")


def was_asked(ca):
    return any("renewal" in what for what in ca.tell("/state")["counts"])


def shown(site, name):
    return site.herd.domain(name)["certificate"]


def test_a_window_that_has_begun_brings_the_renewal(with_casim):
    site, ca = with_casim(**NOW)
    site.go_live("now.ari.example")
    first, second = certificates(ca, 2)[:2]
    assert first["replaces"] is None
    assert (second["replaces"], second["exempt"]) == (first["serial"], True)
    wait.until(lambda: shown(site, "now.ari.example")["serial"].lower().lstrip("0")
               == second["serial"].lower().lstrip("0"), "it is live", 30)
    wait.until(lambda: (shown(site, "now.ari.example")["renewal_info"] or {}).get("start")
               is not None, "the CA was asked about the new one", 30)
    assert "CA's window" in site.herd.cli("domain", "show", "now.ari.example").stdout


def test_a_window_to_come_is_shown_and_planned_for(with_casim):
    site, ca = with_casim(ari={"start_percent": 20})
    site.go_live("later.ari.example")
    wait.until(lambda: shown(site, "later.ari.example")["renewal_info"], "the CA was asked", 30)
    certificate = shown(site, "later.ari.example")
    assert certificate["renew_at"] < certificate["renewal_info"]["end"]
    assert site.herd.look("/v1/calendar").json["total"] == 1
    assert "Renewals planned: 1" in site.herd.cli("calendar").stdout
    assert len(ca.tell("/certificates")) == 1


def test_it_is_not_asked_where_that_is_switched_off(with_casim):
    site, ca = with_casim({"ari": "no"}, **NOW)
    site.go_live("off.ari.example")
    site.herd.cli("domain", "retry", "off.ari.example")
    second = certificates(ca, 2)[1]
    assert second["replaces"] is None
    assert not was_asked(ca)
    assert shown(site, "off.ari.example")["renewal_info"] is None


def test_a_ca_that_knows_nothing_of_it_gets_plain_orders(with_casim):
    site, ca = with_casim(ari={"offered": False})
    site.go_live("plain.ari.example")
    site.herd.cli("domain", "retry", "plain.ari.example")
    assert certificates(ca, 2)[1]["replaces"] is None
    assert not was_asked(ca)


def test_a_ca_that_wants_to_be_asked_less_issues_all_the_same(with_casim):
    site, ca = with_casim(limits={"rates": True,
                                  "rate_renewal_info": {"per_second": 0.001, "burst": 1}})
    for number in range(3):
        site.go_live(f"some{number}.ari.example")
    assert len(ca.tell("/certificates")) == 3


def test_an_order_whose_replacement_is_refused_goes_on_without_it(with_casim):
    """Behind our back the certificate was replaced already."""
    site, ca = with_casim()
    site.go_live("twice.ari.example")
    first = ca.tell("/certificates")[0]
    ca.ask("/replaced", {"serials": [first["serial"]]})
    site.herd.cli("domain", "retry", "twice.ari.example")
    assert certificates(ca, 2)[1]["replaces"] is None
    site.herd.wait_state("twice.ari.example", "active")
