"""Against a CA of our own (tests/casim), which keeps limits, and makes trouble when told to."""

import pytest

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
                           for limit in site.herd.api().get("/v1/limits").json["limits"]),
               "the limit is learned", 30)
    for name in names:
        site.herd.wait_state(name, "active", timeout=60)
