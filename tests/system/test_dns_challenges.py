"""dns-01: through RFC 2136 against a real BIND, through a hook, through a delegated CNAME."""

import contextlib
import os
import pathlib
import shutil
import signal

import pytest

from lab import bind, site as site_module, tls, wait

DELEGATE = "acme.platform.example"


def zones(ns="127.0.0.1", others=()):
    """ns, others: addresses of the name servers of example.com."""
    more = [f"@ IN NS ns{i}.platform.example." for i in range(len(others))]
    return {
        "": ["*.shop.test. IN A 127.0.0.1", f"ns.platform.example. IN A {ns}"],
        "example.com": ["* IN A 127.0.0.1", "*.direct IN A 127.0.0.1", *more],
        "platform.example": [f"ns IN A {ns}", "acme IN NS ns.platform.example.",
                             *(f"ns{i} IN A {address}" for i, address in enumerate(others))],
        DELEGATE: [],
    }


def own_address(n):
    """On loopback, this process's: its port 53 is nobody else's."""
    pid = os.getpid()
    return f"127.{100 + pid % 100}.{pid // 100 % 250}.{n + 1}"


pytestmark = pytest.mark.skipif(not bind.is_there(), reason="no BIND (packages bind9, bind9-dnsutils)")


class Platform:
    """A site whose names are in a BIND of its own."""

    def __init__(self, dns=None, issuer=None, bind_options=None, served=None):
        folder = site_module.make_scratch("certherd-dns-")
        self.bind = bind.Bind(folder / "bind", served or zones(), ["example.com", DELEGATE],
                              **(bind_options or {}))
        self.site = site_module.Site(folder, pebble_options={"resolver": self.bind.address})
        self.key = folder / "tsig.key"
        self.key.write_text(self.bind.secret + "\n")
        os.chmod(self.key, 0o600)
        self.state = folder / "certherd/issuer/state/dns"
        settings = {"method": "rfc2136", "servers": self.bind.address, "tsig_name": "certherd",
                    "tsig_algorithm": self.bind.algorithm, "tsig_key_file": self.key,
                    "zones": "example.com", "delegate": DELEGATE, "check": self.bind.address,
                    "check_limit": "3s", "leftovers": "4s", **(dns or {})}
        self.site.settings = {
            "store": {"wildcards": "yes"}, "dns": settings,
            "issuer": {"resolvers": self.bind.address, "preflight": "on", "self_check": "off",
                       "preflight_ladder": "1s,2s,4s", **(issuer or {})}}

    def start(self):
        self.bind.start()
        self.site.start()
        return self

    def hook(self, *lines):
        """The shell script that a site of method "hook" runs: $1 verb, $2 name, $3 value; `dns`
        changes the DNS as its standard input says, `said` is where it may leave a note."""
        path = self.state.parents[3] / "hook"
        tool = f"nsupdate -v -y hmac-sha256:admin:{self.bind.admin}"
        path.write_text("\n".join((
            "#!/bin/sh", f'said={path}.said; {{ echo "$@"; env; }} >> $said',
            f"dns() {{ {{ echo server 127.0.0.1 {self.bind.port}; echo \"$@\"; echo send; }} | {tool}; }}",
            *lines, "")))
        path.chmod(0o755)
        return path

    def stop(self):
        try:
            self.site.stop()
        finally:
            self.bind.stop()
            self.site.remove()

    def delegate(self, name):
        """What a customer does once."""
        shown = self.site.herd.domain(name)["delegation"]
        self.bind.nsupdate(f"add {shown['name']}. 1 CNAME {shown['cname']}.")
        return shown["cname"]

    def left(self, name):
        return self.bind.ask(name)

    def wait_clean(self, name):
        wait.until(lambda: not self.left(name) and not list(self.state.iterdir()),
                   lambda: f"nothing is left at {name}: {self.left(name)}, {list(self.state.iterdir())}")


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
            return made

        yield make


@pytest.fixture
def elsewhere():
    """A DNS server that never has the records."""
    folder = site_module.make_scratch("certherd-dns-")
    made = bind.Bind(folder / "bind", {"": [], "example.com": []}, [])
    try:
        yield made.start()
    finally:
        made.stop()
        shutil.rmtree(folder)


def failed(platform, name, code, actor="platform"):
    domain = platform.site.herd.wait_state(name, "failed")
    assert (domain["reason"]["code"], domain["reason"]["actor"]) == (code, actor), domain["reason"]
    return domain["reason"]["detail"]


def test_a_wildcard_goes_live_and_serves_what_is_below_it(platform):
    site = platform.site
    domain = site.go_live("*.direct.example.com")
    assert domain["certificate"]["names"] == ["*.direct.example.com"]
    with site.connect("a.direct.example.com") as visit:
        assert visit.names == ["*.direct.example.com"]
        assert visit.echo("a.direct.example.com")["headers"]["x-certherd-name"] == "*.direct.example.com"
    for sni in ("direct.example.com", "a.b.direct.example.com"):
        with pytest.raises(tls.Refused):
            site.connect(sni)
    platform.wait_clean("_acme-challenge.direct.example.com")
    assert "approved" in platform.bind.log() or "adding an RR" in platform.bind.log()


def test_an_exact_name_comes_before_its_wildcard(platform):
    site = platform.site
    site.go_live("*.both.example.com")
    platform.bind.nsupdate("add x.both.example.com. 1 A 127.0.0.1")
    site.go_live("x.both.example.com")
    with site.connect("x.both.example.com") as visit:
        assert visit.names == ["x.both.example.com"]
    with site.connect("y.both.example.com") as visit:
        assert visit.names == ["*.both.example.com"]


def test_a_delegated_wildcard_is_written_at_the_end_of_its_alias(platform):
    site, name = platform.site, "*.deleg.shop.test"
    site.add(name)
    detail = failed(platform, name, "dns-target-outside", "customer")
    assert DELEGATE in detail
    target = platform.delegate(name)
    assert target.endswith("." + DELEGATE)
    site.herd.wait_state(name, "active")
    shown = site.herd.cli("domain", "show", name).stdout
    assert f"_acme-challenge.deleg.shop.test CNAME {target}" in shown
    with site.connect("a.deleg.shop.test") as visit:
        assert visit.names == [name]
    platform.wait_clean(target)


@pytest.mark.parametrize("target", ["www.platform.example", "_acme-challenge.platform.example",
                                    DELEGATE, "_acme-challenge.elsewhere.example", "example.com"])
def test_an_alias_that_leads_elsewhere_is_refused(platform, target):
    name = f"out-{target.strip('_').replace('.', '-')}.shop.test"
    platform.bind.nsupdate(f"add _acme-challenge.{name}. 1 CNAME {target}.")
    platform.site.add("*." + name)
    assert target in failed(platform, "*." + name, "dns-target-outside", "customer")
    assert not platform.left(target)


def test_aliases_in_a_circle_are_refused(platform):
    platform.bind.nsupdate("add _acme-challenge.round.shop.test. 1 CNAME _acme-challenge.trip.shop.test.",
                           "add _acme-challenge.trip.shop.test. 1 CNAME _acme-challenge.round.shop.test.")
    platform.site.add("*.round.shop.test")
    assert "aliases" in failed(platform, "*.round.shop.test", "dns-delegation-failed", "customer")


def test_all_names_may_be_validated_so(make_platform):
    """With challenge = dns-01 a name has its certificate before it leads here."""
    platform = make_platform(issuer={"challenge": "dns-01", "addresses": "192.0.2.1"},
                             bind_options={"algorithm": "hmac-sha512"}).start()
    platform.site.go_live("early.example.com")
    platform.wait_clean("_acme-challenge.early.example.com")
    assert "acme-challenge" not in (platform.site.folder / "nginx/access.log").read_text()


def test_a_key_that_the_server_does_not_know(make_platform):
    platform = make_platform()
    platform.key.write_text("A" * 43 + "=\n")
    platform.start()
    platform.site.add("*.nokey.example.com")
    detail = failed(platform, "*.nokey.example.com", "dns-update-key")
    assert "tsig_key_file" in detail
    assert not platform.left("_acme-challenge.nokey.example.com")


def test_a_name_that_the_key_may_not_change(make_platform):
    platform = make_platform(dns={"zones": "example.com, platform.example"}).start()
    platform.site.add("*.x.platform.example")
    failed(platform, "*.x.platform.example", "dns-update-refused")


def test_a_server_that_is_not_there(make_platform):
    platform = make_platform(dns={"servers": "127.0.0.1:1"}).start()
    platform.site.add("*.away.example.com")
    failed(platform, "*.away.example.com", "dns-update-unreachable")


def test_a_record_that_is_not_seen_is_not_told_to_the_ca(make_platform, elsewhere):
    platform = make_platform(dns={"check": elsewhere.address}).start()
    platform.site.add("*.unseen.example.com")
    failed(platform, "*.unseen.example.com", "dns-not-visible")
    platform.wait_clean("_acme-challenge.unseen.example.com")
    for order in platform.site.herd.look("/v1/orders").json["orders"]:
        assert order["state"] not in ("validating", "valid"), order


@pytest.mark.skipif(os.geteuid() != 0, reason="port 53 is root's")
def test_all_name_servers_of_the_zone_are_looked_at(make_platform, elsewhere):
    """Those that answer: one that lags is waited for, one that is down is not."""
    ns, lags, down = own_address(0), own_address(1), own_address(2)
    platform = make_platform(dns={"check": "authoritative"}, served=zones(ns, [lags, down]))
    platform.start()
    relays = [bind.Port53(ns, platform.bind), bind.Port53(lags, elsewhere)]
    try:
        platform.site.add("*.lags.example.com")
        assert lags in failed(platform, "*.lags.example.com", "dns-not-visible")
        relays.pop().stop()
        platform.site.herd.cli("domain", "retry", "*.lags.example.com")
        platform.site.herd.wait_state("*.lags.example.com", "active")
        platform.wait_clean("_acme-challenge.lags.example.com")
        # In a zone of its own, whose name servers are others.
        platform.site.add("*.at53.shop.test")
        platform.delegate("*.at53.shop.test")
        platform.site.herd.wait_state("*.at53.shop.test", "active")
    finally:
        for relay in relays:
            relay.stop()


def test_a_hook_writes_and_cleans_up(make_platform):
    platform = make_platform(dns={"method": "hook"})
    platform.site.settings["dns"]["hook"] = platform.hook(
        "case $1 in",
        'present) dns update add "$2. 1 TXT $3" ;;',
        'cleanup) dns update delete "$2. TXT $3" ;;',
        "*) exit 1 ;;", "esac")
    platform.start().site.go_live("*.hook.example.com")
    platform.wait_clean("_acme-challenge.hook.example.com")
    said = platform.hook().with_suffix(".said").read_text().splitlines()
    verbs = [line.split()[:2] for line in said if "_acme-challenge" in line]
    assert verbs[0] == ["present", "_acme-challenge.hook.example.com"]
    assert verbs[-1] == ["cleanup", "_acme-challenge.hook.example.com"]
    variables = {line.split("=")[0] for line in said if "=" in line and "_acme" not in line}
    assert variables <= {"PATH", "PWD", "OLDPWD", "SHLVL", "_"}, variables


def test_what_a_failing_hook_says_is_shown(make_platform):
    platform = make_platform(dns={"method": "hook"})
    platform.site.settings["dns"]["hook"] = platform.hook("echo 'no quota left' >&2", "exit 7")
    platform.start().site.add("*.fails.example.com")
    detail = failed(platform, "*.fails.example.com", "dns-hook-failed")
    assert "status 7" in detail and "no quota left" in detail


def test_a_hook_that_hangs_is_killed_with_its_children(make_platform):
    platform = make_platform(dns={"method": "hook", "hook_timeout": "1s"})
    platform.site.settings["dns"]["hook"] = platform.hook("sleep 987 & echo $! >> $0.children",
                                                          "wait")
    platform.start().site.add("*.hangs.example.com")
    failed(platform, "*.hangs.example.com", "dns-hook-timeout")
    children = platform.hook().with_suffix(".children").read_text().split()
    assert children and not any(pathlib.Path(f"/proc/{pid}/cmdline").exists()
                                and "987" in pathlib.Path(f"/proc/{pid}/cmdline").read_text()
                                for pid in children[:1])


def test_a_killed_issuer_leaves_nothing_in_the_dns(make_platform, elsewhere):
    """It dies while the record is there; the name is removed meanwhile, so that no order asks."""
    platform = make_platform(dns={"check": elsewhere.address, "check_limit": "1m"}).start()
    record = "_acme-challenge.dies.example.com"
    platform.site.add("*.dies.example.com")
    wait.until(lambda: platform.left(record), "the record is there")
    os.kill(platform.site.herd.pid_of("issuer"), signal.SIGKILL)
    platform.site.herd.cli("domain", "rm", "*.dies.example.com")
    platform.wait_clean(record)
