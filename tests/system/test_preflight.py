"""What is found before an attempt is spent at the CA: with the real resolver, nginx and CA."""

import os
import pathlib
import re
import signal

import pytest

from lab import site as site_module, wait

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def looked_at():
    site = site_module.Site(site_module.make_scratch("certherd-preflight-"))
    site.settings = {"issuer": {
        "preflight": "on", "lease": "10s", "addresses": "127.0.0.1", "targets": "edge.platform.test",
        "preflight_port": site.pebble.http_port, "caa_identities": "pebble.test",
        "resolvers": f"127.0.0.1:{site.pebble.dns_port}", "preflight_ladder": "1s,2s,4s",
        "moved_after": "6s"}}
    site.settings["store"] = {"resolvers": f"127.0.0.1:{site.pebble.dns_port}"}
    site.start()
    yield site
    site.stop()
    site.remove()


def orders_at_the_ca(site, name):
    """How often the CA was asked about the name: Pebble logs every authorization."""
    return site.pebble.server.log().count(name)


def check_failed(site, name, code, actor):
    domain = site.herd.wait_state(name, ("failed", "moved"))
    assert (domain["reason"]["code"], domain["reason"]["actor"]) == (code, actor), domain["reason"]
    assert name.split(".", 1)[1] in domain["reason"]["detail"]
    assert domain["next_at"]
    assert orders_at_the_ca(site, name) == 0
    return domain


def test_a_name_that_leads_here_goes_live(looked_at):
    looked_at.go_live("good.example.com", www=True)
    assert looked_at.herd.domain("www.good.example.com")["state"] == "active"


def test_what_points_elsewhere_costs_the_ca_nothing_and_comes_back(looked_at):
    name = "elsewhere.example.com"
    looked_at.pebble.dns_set("add-a", host=name + ".", addresses=["127.0.0.9"])
    looked_at.add(name)
    check_failed(looked_at, name, "dns-points-elsewhere", "customer")
    looked_at.herd.wait_state(name, ("failed", "moved", "pending"), also=lambda now: now["failures"] >= 2)
    assert orders_at_the_ca(looked_at, name) == 0
    looked_at.pebble.dns_set("clear-a", host=name + ".")
    looked_at.herd.wait_state(name, "active")


def test_an_aaaa_record_that_leads_elsewhere_is_told_apart(looked_at):
    name = "six.example.com"
    looked_at.pebble.dns_set("add-aaaa", host=name + ".", addresses=["2001:db8::9"])
    looked_at.add(name)
    check_failed(looked_at, name, "dns-ipv6-elsewhere", "customer")


def test_broken_dns_is_found_first(looked_at):
    name = "broken.example.com"
    looked_at.pebble.break_name(name)
    looked_at.add(name)
    check_failed(looked_at, name, "dns-failed", "customer")


def test_caa_is_obeyed(looked_at):
    for name, value, code in (
            ("no.caa.test", "other.test", "caa-forbids"),
            ("account.caa.test", "pebble.test; accounturi=https://other.test/1", "caa-account"),
            ("method.caa.test", "pebble.test; validationmethods=dns-01", "caa-method")):
        looked_at.pebble.dns_set("add-caa", host=name + ".", policies=[{"tag": "issue", "value": value}])
        looked_at.add(name)
        # The account is known only once there is one.
        check_failed(looked_at, name, code, "customer")
    looked_at.pebble.dns_set("add-caa", host="yes.caa.test.",
                             policies=[{"tag": "issue", "value": "pebble.test"}])
    looked_at.go_live("yes.caa.test")


def test_one_name_of_two_does_not_take_the_other_along(looked_at):
    looked_at.pebble.dns_set("add-a", host="www.half.example.com.", addresses=["127.0.0.9"])
    looked_at.add("half.example.com", www=True)
    looked_at.herd.wait_state("half.example.com", "active")
    domain = looked_at.herd.domain("www.half.example.com")
    assert domain["reason"]["code"] == "dns-points-elsewhere", domain


def test_dead_names_do_not_hold_up_good_ones(looked_at):
    looked_at.herd.check()
    for number in range(30):
        looked_at.pebble.dns_set("set-servfail", host=f"dead{number}.example.net.")
    batch = [{"name": f"dead{number}.example.net"} for number in range(30)]
    batch += [{"name": f"live{number}.example.net"} for number in range(5)]
    assert looked_at.herd.api().post("/v1/domains", {"domains": batch}).json["created"] == 35
    for number in range(5):
        looked_at.herd.wait_state(f"live{number}.example.net", "active")
    wait.until(lambda: all(
        looked_at.herd.domain(f"dead{number}.example.net")["state"] in ("failed", "moved") for number in range(30)),
        lambda: "the dead names have failed")
    assert sum(orders_at_the_ca(looked_at, f"dead{number}.example.net") for number in range(30)) == 0
    # They were looked at first: none of them has an order, and the others do.
    api = looked_at.herd.api()
    assert not any(api.get(f"/v1/orders?name=dead{number}.example.net").json["orders"] for number in range(30))
    assert len(api.get("/v1/orders?name=live0.example.net").json["orders"]) == 1
    # Each is in the log, by its name or counted.
    log = looked_at.herd.running[0].log()
    more = re.findall(r"and (\d+) more names looked at, no order", log)
    assert len(re.findall(r"name=dead\d+\.example\.net looked at, no order", log)) + sum(map(int, more)) >= 30
    assert "takes no looks at names" not in log


def test_what_a_dead_issuer_was_to_look_at_is_looked_at_again(looked_at):
    herd, name = looked_at.herd, "orphan.example.com"
    issuer = herd.pid_of("issuer")
    os.kill(issuer, signal.SIGSTOP)
    # It may be handed out to the one that hangs, or to us; neither says anything of it.
    looked_at.add(name)
    herd.api("issuer").post("/v1/leases", {"max": 0, "lease_ms": 2000, "looks": 1000})
    domain = herd.domain(name)
    assert domain["state"] == "pending" and domain["next_at"] > domain["created_at"]
    os.kill(issuer, signal.SIGKILL)
    herd.wait_state(name, "active")


def test_an_edge_that_does_not_answer_is_the_platforms_to_mend(looked_at):
    looked_at.nginx.stop()
    looked_at.add("later.example.com")
    try:
        check_failed(looked_at, "later.example.com", "self-check-unreachable", "platform")
    finally:
        looked_at.nginx.start()
    looked_at.herd.wait_state("later.example.com", "active")


def test_a_name_that_left_is_moved_and_comes_back_by_itself(looked_at):
    name = "left.example.com"
    live = looked_at.go_live(name)
    looked_at.pebble.dns_set("add-a", host=name + ".", addresses=["127.0.0.9"])
    asked = orders_at_the_ca(looked_at, name)
    # Renewals begin with a look: this one is not due for months.
    assert looked_at.herd.api().post(f"/v1/domains/{name}/retry", {}).status == 200
    domain = looked_at.herd.wait_state(name, "moved")
    assert domain["reason"]["code"] == "dns-points-elsewhere" and domain["away_since"]
    assert domain["checks_failed"] == domain["failures"] > 1
    assert "comes back by itself" in domain["reason"]["detail"]
    assert domain["certificate"]["serial"] == live["certificate"]["serial"]
    assert orders_at_the_ca(looked_at, name) == asked
    assert name in looked_at.herd.cli("domain", "list", "--state", "moved").stdout
    assert "Away since" in looked_at.herd.cli("domain", "show", name).stdout
    assert looked_at.herd.look("/v1/status").json["names"]["moved"] >= 1
    looked_at.pebble.dns_set("clear-a", host=name + ".")
    back = looked_at.herd.wait_state(name, "active")
    assert back["certificate"]["serial"] != live["certificate"]["serial"]
    assert (back["failures"], back["checks_failed"], back["away_since"]) == (0, 0, None)


def test_a_tenants_name_is_taken_over_with_proof_only(looked_at):
    platform, path = looked_at.herd.api("platform"), "/v1/domains/taken.example.com"
    assert platform.put(path, {"tenant": "t1"}).status == 201
    assert platform.put(path, {"tenant": "t1", "upstream": "eu"}).status == 200
    refused = platform.put(path, {"tenant": "t2"})
    assert (refused.status, refused.code) == (409, "claim-needed")
    record = re.search(r'_certherd\.taken\.example\.com "(certherd-claim=[A-Za-z0-9_-]{43})"',
                       refused.json["detail"])[1]
    host = "_certherd.taken.example.com."
    looked_at.pebble.dns_set("set-txt", host=host, value="certherd-claim=" + "x" * 43)
    assert platform.put(path, {"tenant": "t2"}).code == "claim-needed"
    looked_at.pebble.dns_set("set-txt", host=host, value=record)
    assert platform.put(path, {"tenant": "t3"}).code == "claim-needed"  # it is another tenant's
    assert platform.put(path, {"tenant": "t2"}).json["tenant"] == "t2"
    looked_at.pebble.dns_set("clear-txt", host=host)
    # It is remembered whose it was; and a www name is not taken in either.
    assert platform.delete(path).status == 204
    assert platform.put(path).code == "claim-needed"
    batch = {"domains": [{"name": "taken.example.com", "tenant": "t1"}]}
    assert platform.post("/v1/domains", batch).json["results"][0]["code"] == "claim-needed"
    assert platform.put(path, {"tenant": "t2"}).status == 201
    assert platform.put("/v1/domains/www.mine.example.com", {"tenant": "t1"}).status == 201
    taken = platform.put("/v1/domains/mine.example.com", {"tenant": "t2", "www": True})
    assert taken.code == "claim-needed"
    assert looked_at.herd.api().put(path, {"tenant": "t3"}).json["tenant"] == "t3"  # an operator


def test_every_code_has_a_section():
    sections = set(re.findall(r"^## ([a-z0-9-]+)$", (ROOT / "doc/troubleshooting.md").read_text(), re.M))
    codes = set(re.findall(r'X\("([a-z0-9-]+)"\)', (ROOT / "src/issuerd/preflight.h").read_text()))
    assert len(codes) > 10
    source = "".join((ROOT / f"src/issuerd/{name}.c").read_text() for name in ("caa", "persist", "sites", "preflight"))
    used = set(re.findall(r'"((?:dns|caa|self-check|persist)-[a-z0-9-]+)"', source))
    assert used - {"dns-01"} == codes
    table = (ROOT / "doc/api.md").read_text().split("| code | actor | |", 1)[1].split("\n\n", 1)[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    told = {code for row in rows for code in re.findall(r"`([a-z0-9-]+)`", row.split("|")[1])}
    assert codes <= told and told <= sections
    used = set(re.findall(r'"((?:no-persist|persist)-[a-z0-9-]+)"', "".join(
        (ROOT / f"src/issuerd/{name}.c").read_text() for name in ("step_authz", "step_dns", "step_preflight"))))
    assert len(used) == 3 and used <= told and used <= sections
    # Those of DNS challenges.
    codes = set(re.findall(r'X\("([a-z0-9-]+)"\)', (ROOT / "src/issuerd/dns_desk.h").read_text()))
    sources = [*(ROOT / "src/issuerd").glob("*dns*.c"), ROOT / "src/net/dns_update.c",
               ROOT / "src/issuerd/step_authz.c"]
    source = "".join(path.read_text() for path in sources)
    used = set(re.findall(r'"((?:no-)?dns-[a-z0-9-]+)"', source))
    assert used - {"dns-01", "dns-hook"} == codes and codes <= told
