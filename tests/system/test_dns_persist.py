"""dns-persist-01: the customer publishes one record, once, in a real BIND; the CA is casim, which looks
there itself."""

import contextlib
import time

import pytest

from lab import bind, casim, site as site_module, wait

ZONE = "persist.example"
METHODS = ["http-01", "dns-01", "dns-persist-01"]

pytestmark = pytest.mark.skipif(not bind.is_there(), reason="no BIND (packages bind9, bind9-dnsutils)")


class Platform:
    def __init__(self, issuer=None, offered=None):
        folder = site_module.make_scratch("certherd-persist-")
        self.bind = bind.Bind(folder / "bind", {
            "": ["ns.platform.example. IN A 127.0.0.1"], ZONE: [], "platform.example": ["ns IN A 127.0.0.1"]}, [])
        self.site = site_module.Site(folder)
        self.ca = casim.Casim(folder / "casim", self.site.pebble.http_port,
                              challenges={"offered": offered or METHODS, "issuer_domain": "casim.example"})
        self.ca.settings["validation"]["dns"] = self.bind.address
        self.site.settings = {
            "store": {"wildcards": "yes"},
            "issuer": {"directory": self.ca.directory, "directory_ca": self.ca.api_ca, "roots": self.ca.root,
                       "resolvers": self.bind.address, "challenge": "dns-persist-01",
                       "preflight_ladder": "1s", **(issuer or {})}}
        self.account = None

    def start(self):
        self.bind.start()
        self.ca.start()
        self.site.start()
        return self

    def stop(self):
        try:
            self.site.stop()
        finally:
            self.ca.stop()
            self.bind.stop()
            self.site.remove()

    def publish(self, name, text):
        self.bind.nsupdate(f'add _validation-persist.{name}. 1 TXT "{text}"')

    def advised(self, name):
        """The record that the API shows; there is an account when an issuer has told it."""
        wait.until(lambda: self.site.herd.domain(name)["persist"], "the record is advised", 30)
        shown = self.site.herd.domain(name)["persist"]
        assert len(shown) == 1
        return shown[0]

    def failed(self, name, code, actor="customer"):
        domain = self.site.herd.wait_state(
            name, "failed", also=lambda now: now["reason"]["code"] == code)
        assert domain["reason"]["actor"] == actor
        return domain["reason"]["detail"]

    def orders(self):
        return self.ca.tell("/state")["orders"]

    def go_live(self, name):
        self.site.herd.api().post(f"/v1/domains/{name}/retry", {})
        domain = self.site.herd.wait_state(name, "active", 60)
        assert domain["certificate"]["names"] == [name]


@pytest.fixture(scope="module")
def platform():
    made = Platform()
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def make_platform():
    with contextlib.ExitStack() as ends:
        def make(**options):
            made = Platform(**options)
            ends.callback(made.stop)
            return made.start()

        yield make


def test_a_name_goes_live_by_the_record_that_it_is_told_to_publish(platform):
    name = f"shop.{ZONE}"
    platform.site.add(name)
    record = platform.advised(name)
    assert record["name"] == f"_validation-persist.{name}"
    assert record["txt"].startswith("casim.example; accounturi=https://")
    detail = platform.failed(name, "persist-missing")
    assert record["name"] in detail and f'"{record["txt"]}"' in detail
    shown = platform.site.herd.cli("domain", "show", name).stdout
    assert f'{record["name"]} TXT "{record["txt"]}"' in shown
    platform.publish(name, record["txt"])
    platform.go_live(name)
    # And again, with nobody in the DNS.
    before = platform.site.herd.domain(name)["certificate"]["serial"]
    assert platform.site.herd.api().post(f"/v1/domains/{name}/retry", {}).status == 200
    platform.site.herd.wait_state(name, "active", 60,
                                  also=lambda now: now["certificate"]["serial"] != before)


def test_a_wildcard_takes_a_record_with_its_policy(platform):
    name = f"*.wild.{ZONE}"
    platform.site.add(name)
    record = platform.advised(name)
    assert record["name"] == f"_validation-persist.wild.{ZONE}"
    bare, policy = record["txt"].rsplit("; ", 1)
    assert policy == "policy=wildcard"
    platform.publish(f"wild.{ZONE}", bare)
    orders = platform.orders()
    assert "policy=wildcard" in platform.failed(name, "persist-wildcard")
    assert platform.orders() == orders, "the CA is not asked"
    platform.publish(f"wild.{ZONE}", f"{bare};future=x;  Policy=WILDCARD")
    platform.go_live(name)


def test_records_that_do_not_fit_cost_the_ca_nothing(platform):
    platform.site.add(f"any.{ZONE}")
    ours = platform.advised(f"any.{ZONE}")["txt"]
    orders = platform.orders()
    for label, text, code in (
            ("account", ours + "9", "persist-account"),
            ("issuer", ours.replace("casim.example", "other.example"), "persist-issuer"),
            ("expired", f"{ours}; persistUntil={int(time.time()) - 60}", "persist-expired"),
            ("twice", f"{ours}; policy=a; policy=b", "persist-malformed")):
        platform.publish(f"{label}.{ZONE}", text)
        platform.site.add(f"{label}.{ZONE}")
        assert ours in platform.failed(f"{label}.{ZONE}", code)
    assert platform.orders() == orders
    platform.publish(f"later.{ZONE}", f"{ours}; persistUntil={int(time.time()) + 3600}")
    platform.site.add(f"later.{ZONE}")
    platform.go_live(f"later.{ZONE}")


def test_a_ca_that_does_not_offer_it_is_the_platforms_problem(make_platform):
    platform = make_platform(offered=["http-01", "dns-01"])
    name = f"shop.{ZONE}"
    platform.site.add(name)
    platform.publish(name, platform.advised(name)["txt"])
    platform.site.herd.api().post(f"/v1/domains/{name}/retry", {})
    assert "but http-01, dns-01." in platform.failed(name, "no-persist-challenge", "platform")


def test_switched_off_nothing_is_advised_and_a_record_does_not_help(make_platform):
    platform = make_platform(issuer={"challenge": "http-01", "preflight": "off"})
    platform.site.go_live("plain.example.com")
    name = f"*.off.{ZONE}"
    platform.publish(f"off.{ZONE}", "casim.example; accounturi="
                     f"https://127.0.0.1:{platform.ca.port}/account/1; policy=wildcard")
    platform.site.add(name)
    platform.failed(name, "dns-challenge-off", "platform")
    assert platform.site.herd.domain(name)["persist"] == []


def test_wildcards_alone(make_platform):
    platform = make_platform(issuer={"challenge": "http-01", "wildcard_challenge": "dns-persist-01"})
    platform.site.go_live("plain.example.com")
    assert platform.site.herd.domain("plain.example.com")["persist"] == []
    name = f"*.alone.{ZONE}"
    platform.site.add(name)
    platform.publish(f"alone.{ZONE}", platform.advised(name)["txt"])
    platform.go_live(name)
