"""Names that cannot be issued, CAs that make trouble, and programs that die in mid-order."""

import base64
import os
import signal

import pytest

import identities
from lab import herd, process, tls, wait


def test_broken_dns_fails_and_says_who_must_act(site):
    name = "broken.example.com"
    site.pebble.break_name(name)
    site.add(name)
    domain = site.herd.wait_state(name, "failed")
    assert domain["reason"]["actor"] == "customer", domain["reason"]
    assert domain["reason"]["code"] not in ("", "ok") and domain["reason"]["detail"]
    assert domain["next_at"] and domain["failures"] >= 1
    shown = site.herd.cli("domain", "show", name).stdout
    assert "customer" in shown
    site.pebble.mend_name(name)
    assert site.herd.api().post(f"/v1/domains/{name}/retry", {}).status == 200
    site.herd.wait_state(name, "active")


def test_a_name_that_points_elsewhere_fails(site):
    name = "elsewhere.example.com"
    site.pebble.dns_set("add-a", host=name + ".", addresses=["127.0.0.9"])
    site.add(name)
    domain = site.herd.wait_state(name, "failed")
    assert domain["reason"]["actor"] == "customer", domain["reason"]


def test_failures_climb_the_ladder_by_themselves(site):
    name = "ladder.example.com"
    site.pebble.break_name(name)
    site.add(name)
    site.herd.wait_state(name, ("failed", "validating"), also=lambda now: now["failures"] >= 3)
    site.pebble.mend_name(name)
    site.herd.wait_state(name, "active")


def test_pause_stops_the_attempts_and_resume_begins_them_again(site):
    name = "pausing.example.com"
    site.pebble.break_name(name)
    site.add(name)
    site.herd.wait_state(name, "failed")
    assert site.herd.api().post(f"/v1/domains/{name}/pause", {}).json["state"] == "paused"
    answer = site.herd.api().post(f"/v1/domains/{name}/retry", {})
    assert (answer.status, answer.code) == (409, "domain-paused")
    site.pebble.mend_name(name)
    # Somebody else's whole path meanwhile: the paused name has had its chance to move.
    site.go_live("bystander.example.com")
    assert site.herd.domain(name)["state"] == "paused"
    assert site.herd.api().post(f"/v1/domains/{name}/resume", {}).status == 200
    site.herd.wait_state(name, "active")


def test_a_name_and_its_www_share_a_certificate(site):
    site.add("pair.example.com", www=True)
    both = [site.herd.wait_state(name, "active") for name in ("pair.example.com", "www.pair.example.com")]
    assert both[0]["certificate"]["serial"] == both[1]["certificate"]["serial"]
    assert sorted(both[0]["certificate"]["names"]) == ["pair.example.com", "www.pair.example.com"]
    assert both[1]["www_of"] == "pair.example.com"
    for name in ("pair.example.com", "www.pair.example.com"):
        with site.connect(name) as visit:
            assert visit.names == ["pair.example.com", "www.pair.example.com"]


@pytest.mark.parametrize("bad", ["www.half1.example.com", "half2.example.com"])
def test_when_one_of_a_pair_fails_the_other_gets_its_own(site, bad):
    name = bad.removeprefix("www.")
    good = name if bad != name else "www." + name
    site.pebble.break_name(bad)
    site.add(name, www=True)
    domain = site.herd.wait_state(good, "active", 60)
    assert domain["certificate"]["names"] == [good]
    with site.connect(good) as visit:
        assert visit.names == [good]
    # The good one has its certificate: from now on each order is for both again.
    failed = site.herd.wait_state(bad, "failed", 60, lambda domain: domain["order"] is None)
    assert failed["reason"]["actor"] == "customer"
    site.pebble.mend_name(bad)
    mended = site.herd.wait_state(bad, "active", 60)
    both = sorted([good, bad])
    assert sorted(mended["certificate"]["names"]) == both
    other = site.herd.wait_state(good, "active", 60)
    assert other["certificate"]["serial"] == mended["certificate"]["serial"]
    for each in both:
        with site.connect(each) as visit:
            assert sorted(visit.names) == both


def test_a_name_deleted_during_its_order_is_not_served(site):
    site.add("gone.example.com")
    assert site.herd.api().delete("/v1/domains/gone.example.com").status == 204
    site.go_live("follower.example.com")
    assert site.herd.look("/v1/domains/gone.example.com").status == 404


EAB = {"kid-1": base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")}


def with_eab(made, key):
    made.prepare()
    path = made.herd.folder / "issuer/eab"
    path.write_text(key + "\n")
    path.chmod(0o600)
    made.herd.set("issuer", eab_kid="kid-1", eab_hmac_file="issuer/eab")
    made.herd.start("up")
    made.nginx.start()


def test_external_account_binding(make_site):
    made = make_site(pebble_options={"eab": EAB})
    with_eab(made, EAB["kid-1"])
    made.go_live("eab.example.com")


@pytest.mark.parametrize("key", [None, base64.urlsafe_b64encode(b"x" * 32).decode().rstrip("=")],
                         ids=["no key", "a wrong key"])
def test_without_the_right_binding_names_say_that_the_platform_must_act(make_site, key):
    made = make_site(pebble_options={"eab": EAB})
    if key:
        with_eab(made, key)
    else:
        made.start()
    made.add("noeab.example.com")

    def told():
        domain = made.herd.domain("noeab.example.com")
        return domain if domain["reason"]["actor"] in ("platform", "ca") else None

    domain = wait.until(told, lambda: made.herd.domain("noeab.example.com"), 30)
    assert domain["reason"]["actor"] == "platform", domain


def roles_apart(made):
    made.prepare()
    made.herd.start("store")
    made.herd.start("agent")
    made.nginx.start()


@pytest.mark.parametrize("state", ["ordered", "validating", "valid", "sealed", "finalizing", "confirming"])
def test_an_issuer_killed_in_mid_order_is_carried_on(make_site, state):
    """Stopped as soon as an order is in the state (or past it), then killed."""
    made = make_site(pebble_options={"env": {"PEBBLE_VA_NOSLEEP": "0", "PEBBLE_VA_SLEEPTIME": "1"}},
                     settings={"issuer": {"lease": "2s"}})
    roles_apart(made)
    issuer = made.herd.start("issuer")
    states = ["new", "ordered", "validating", "valid", "sealed", "finalizing", "confirming", "done"]
    made.add("killed.example.com")

    def reached():
        orders = made.herd.look("/v1/orders?name=killed.example.com").json["orders"]
        return orders and states.index(orders[0]["state"]) >= states.index(state)

    wait.until(reached, f"the order is {state}", 30, interval=0.005)
    issuer.kill()
    made.herd.running.remove(issuer)
    made.herd.start("issuer")
    made.herd.wait_state("killed.example.com", "active", 40)
    with made.connect("killed.example.com") as visit:
        assert visit.names == ["killed.example.com"]
    orders = made.herd.look("/v1/orders?name=killed.example.com").json["orders"]
    assert len(orders) == 1, "the same order was carried on"


def test_an_issuer_killed_over_and_over_loses_nothing(make_site):
    made = make_site(settings={"issuer": {"lease": "2s"}}, pebble_options={"nonce_reject": 20})
    roles_apart(made)
    names = [f"k{number}.example.com" for number in range(12)]
    made.herd.api().post("/v1/domains", {"domains": [{"name": name} for name in names]})
    kills = 0

    def all_active():
        listing = made.herd.look("/v1/domains").json["domains"]
        return all(domain["state"] == "active" for domain in listing)

    while not all_active():
        assert kills < 40, "killed too often without an end"
        issuer = made.herd.start("issuer")
        try:
            wait.until(all_active, "all names are active", 0.7 + kills * 0.3)
        except wait.Timeout:
            kills += 1
        issuer.kill()
        made.herd.running.remove(issuer)
    for name in names:
        with made.connect(name) as visit:
            assert visit.names == [name]


def test_an_edge_that_reports_but_does_not_get_on_is_not_waited_for_without_end(make_site, scratch):
    made = make_site(settings={"issuer": {"edge_wait": "2s"}})
    made.start()
    made.go_live("before.example.com")
    ca = identities.Ca(made.herd.pki("edge-ca.pem"), made.herd.pki("edge-ca.key"))
    paths = identities.make(scratch, "stuck", ["certherd://edge/default/stuck"], ca=ca)
    stuck = herd.Api(made.herd.store_port, made.herd.pki("ca.pem"), *paths)

    def look():
        """The name, while the edge reports again and again that it has nothing."""
        report = {"epoch": "00" * 16, "seq": 0, "names": 0, "software": "t", "error": None}
        assert stuck.put("/v1/edges/self", report).status == 204
        return made.herd.domain("held.example.com")

    look()
    made.add("held.example.com")
    wait.until(lambda: look()["reason"]["code"] == "edges-behind", look, 30)
    wait.until(lambda: look()["state"] == "active", look, 60)
    reason = look()["reason"]
    assert (reason["code"], reason["actor"]) == ("edges-behind", "platform"), reason
    assert "edge/default/stuck" in reason["detail"] and "default/e1" not in reason["detail"]
    with made.connect("held.example.com") as visit:
        assert visit.names == ["held.example.com"]


def test_two_issuers_share_the_work(make_site):
    made = make_site()
    roles_apart(made)
    made.herd.start("issuer")
    second = process.Process("certherd issuer 2", [*made.herd.running[-1].argv],
                             made.folder / "issuer2.log", env=made.herd.env).start()
    made.herd.running.append(second)
    names = [f"s{number}.example.com" for number in range(20)]
    made.herd.api().post("/v1/domains", {"domains": [{"name": name} for name in names]})
    for name in names:
        made.herd.wait_state(name, "active", 60)


def test_programs_stop_at_sigterm_with_exit_0(make_site):
    made = make_site()
    roles_apart(made)
    made.herd.start("issuer")
    made.go_live("stop.example.com")
    codes = {child.name: child.stop(first=signal.SIGTERM) for child in reversed(made.herd.running)}
    made.herd.running.clear()
    assert set(codes.values()) == {0}, codes


def test_edges_keep_serving_when_everything_else_is_down(make_site):
    made = make_site()
    made.start()
    made.go_live("alone.example.com")
    pids = [made.herd.pid_of(role) for role in ("store", "issuer", "agent")]
    made.herd.stop()
    made.pebble.stop()
    assert all(pids) and not any(process.exists(pid) for pid in pids)
    assert not process.listens(made.herd.store_port) and not process.listens(made.pebble.port)
    with made.connect("alone.example.com") as visit:
        assert visit.echo("alone.example.com")["headers"]["host"] == "alone.example.com"
    made.nginx.reload()
    with made.connect("alone.example.com") as visit:
        assert visit.names == ["alone.example.com"]
    # A new nginx has nothing but the disk of its machine.
    before = made.nginx.process
    made.nginx.stop()
    assert not process.exists(before.pid) and not process.listens(made.nginx.https_port)
    made.nginx.start()
    with made.connect("alone.example.com") as visit:
        assert visit.names == ["alone.example.com"]
        assert visit.echo("alone.example.com")["headers"]["host"] == "alone.example.com"
    with pytest.raises(tls.Refused):
        made.connect("nobody.example.com").__exit__()
