"""tls-alpn-01 from the API to a visitor: real Pebble, real nginx, real certherd."""

import os
import re
import signal

import pytest

import casim_fixture
import identities
from lab import herd, tls, wait
from edge_fixture import NO_PROTOCOL, UNKNOWN_NAME
from test_edge_alpn import IDENTIFIER, ca, extensions

SETTINGS = {"issuer": {"challenge": "tls-alpn-01"}}


@pytest.fixture
def start(make_site):
    def make(**options):
        return make_site(settings=SETTINGS, **options).start()

    return make


def shown(site, name):
    """Whether the edge shows an answer to a CA; else the alert that it sends."""
    try:
        with site.connect(name, ca()) as visit:
            assert visit.sock.selected_alpn_protocol() == "acme-tls/1"
            return IDENTIFIER in extensions(visit.der)
    except tls.Refused as refusal:
        return refusal.alert


def wait_shown(site, name, what):
    wait.until(lambda: shown(site, name) == what, lambda: f"{name}: {shown(site, name)}", 20)


class Straggler:
    """An edge that reports and does not get on: orders wait for it, with open challenges."""

    def __init__(self, site, folder):
        issuer = identities.Ca(site.herd.pki("edge-ca.pem"), site.herd.pki("edge-ca.key"))
        paths = identities.make(folder, "stuck", ["certherd://edge/default/stuck"], ca=issuer)
        self.site = site
        self.api = herd.Api(site.herd.store_port, site.herd.pki("ca.pem"), *paths)
        self.report()

    def report(self):
        body = {"epoch": "00" * 16, "seq": 0, "names": 0, "software": "t", "error": None}
        assert self.api.put("/v1/edges/self", body).status == 204

    def wait_open(self, name, unless=lambda domain: False):
        """Until the order of the name waits for nothing but this edge; False: unless came first."""
        seen = {}

        def is_open():
            self.report()
            domain = self.site.herd.domain(name)
            seen.update(domain=domain, shown=shown(self.site, name))
            return domain["reason"]["code"] in ("in-progress", "edges-behind") and seen["shown"] is True

        wait.until(lambda: is_open() or unless(seen["domain"]), lambda: str(seen), 30)
        return seen["shown"] is True

    def forget(self):
        assert self.site.herd.api().delete("/v1/edges/default/stuck").status == 204


def test_a_name_and_its_www_name_go_live(start):
    site = start()
    domain = site.go_live("shop.example.com", www=True)
    names = ["shop.example.com", "www.shop.example.com"]
    assert domain["certificate"]["names"] == names
    for name in names:
        with site.connect(name) as visit:
            assert visit.names == names
            assert visit.echo(name)["headers"]["x-certherd-name"] == name
        wait_shown(site, name, NO_PROTOCOL)
    # That it was the CA's way, and the only one.
    assert "acme-challenge" not in (site.folder / "nginx/access.log").read_text()
    assert shown(site, "unregistered.example.com") == UNKNOWN_NAME
    assert site.herd.cli("verify").stdout.startswith("The same: ")


def test_a_ca_that_does_not_offer_it_is_the_platforms_problem():
    with casim_fixture.running(issuer=SETTINGS["issuer"], challenges={"offered": ["http-01"]}) as (site, _):
        site.add("unoffered.example.com")
        reason = site.herd.wait_state("unoffered.example.com", "failed")["reason"]
        assert (reason["code"], reason["actor"]) == ("no-tls-challenge", "platform"), reason
        assert "but http-01." in reason["detail"]


def test_a_wildcard_needs_the_dns_all_the_same(make_site):
    site = make_site(settings={**SETTINGS, "store": {"wildcards": "yes"}}).start()
    site.add("*.wild.example.com")
    domain = site.herd.wait_state("*.wild.example.com", "failed")
    assert domain["reason"]["code"] == "dns-challenge-off", domain["reason"]


def test_a_name_that_leads_elsewhere_fails_and_leaves_no_token(start):
    site = start()
    site.pebble.dns_set("add-a", host="elsewhere.example.com.", addresses=["127.0.0.9"])
    site.add("elsewhere.example.com")
    domain = site.herd.wait_state("elsewhere.example.com", "failed")
    assert domain["reason"]["code"] == "wrong-answer", domain["reason"]
    assert domain["reason"]["actor"] == "customer"
    site.herd.api().post("/v1/domains/elsewhere.example.com/pause", {})
    wait_shown(site, "elsewhere.example.com", NO_PROTOCOL)


def test_a_thumbprint_that_is_not_pinned_is_not_answered_for(make_site):
    site = make_site(settings=SETTINGS).prepare()
    snippet = site.herd.folder / "edge/nginx-certherd.conf"
    text, n = re.subn(r"(certherd_account_thumbprint )\S+;", rf"\g<1>{'A' * 43};", snippet.read_text())
    assert n == 1
    snippet.write_text(text)
    site.herd.start("up")
    site.nginx.start()
    site.add("foreign.example.com")
    domain = site.herd.wait_state("foreign.example.com", "failed")
    assert domain["reason"]["code"] == "wrong-answer", domain["reason"]
    assert 'the order of "foreign.example.com" is under an account' in site.nginx.error_log()


def test_an_open_challenge_is_the_cas_alone_and_ends_with_the_order(start, scratch):
    site = start()
    straggler = Straggler(site, scratch)
    name = "new.example.com"
    site.add(name)
    straggler.wait_open(name)
    with pytest.raises(tls.Refused) as refused:
        site.connect(name)
    assert refused.value.alert == UNKNOWN_NAME
    # Paused: the order is canceled by the store, whatever the issuer thinks.
    with site.herd.suspended("issuer"):
        assert site.herd.api().post(f"/v1/domains/{name}/pause", {}).status == 200
        wait_shown(site, name, NO_PROTOCOL)
    assert site.herd.api().post(f"/v1/domains/{name}/resume", {}).status == 200
    straggler.wait_open(name)
    # The issuer dies: the next one goes on with what is noted.
    os.kill(site.herd.pid_of("issuer"), signal.SIGKILL)
    straggler.wait_open(name)
    straggler.forget()
    site.herd.wait_state(name, "active", 60)
    wait_shown(site, name, NO_PROTOCOL)
    # Removed.
    straggler.report()
    site.add("removed.example.com")
    straggler.wait_open("removed.example.com")
    assert site.herd.api().delete("/v1/domains/removed.example.com").status == 204
    wait_shown(site, "removed.example.com", UNKNOWN_NAME)
    straggler.forget()
    wait.until(lambda: site.herd.cli("verify", check=False).stdout.startswith("The same: "),
               "replica and store are the same", 20)


def test_a_renewal_waits_for_its_token_while_the_certificate_is_served(start, scratch):
    site = start(pebble_options={"env": {"PEBBLE_AUTHZREUSE": "0"}})
    name = "renewed.example.com"
    before = site.go_live(name)["certificate"]["serial"]
    straggler = Straggler(site, scratch)

    def is_new(domain):
        return domain["certificate"]["serial"] != before

    def renew():
        assert site.herd.api().post(f"/v1/domains/{name}/retry", {}).status == 200
        return straggler.wait_open(name, unless=is_new)

    # Pebble goes on with an authorization of before in one order of a hundred all the same: that
    # one has no token.
    while not renew():
        straggler.forget()
        before = site.herd.wait_state(name, "active", 60, also=is_new)["certificate"]["serial"]
        straggler.report()
    for alpn in (None, ["h2", "http/1.1"]):
        with site.connect(name, tls.context(site.root, alpn=alpn)) as visit:
            assert visit.serial.lstrip("0") == before.lstrip("0")
    straggler.forget()
    domain = site.herd.wait_state(name, "active", 60, also=is_new)
    with site.connect(name) as visit:
        assert visit.serial.lstrip("0") == domain["certificate"]["serial"].lstrip("0")
    wait_shown(site, name, NO_PROTOCOL)
