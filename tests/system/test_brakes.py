"""What holds changes back from edges, with real agents: a frozen feed, a canary."""

import json
import os
import re
import signal

import pytest

from lab import conffile, herd as lab_herd, process, wait

WAITING = {"pending", "validating", "renewing", "issuing"}


def second_agent(herd):
    """The agent of another edge of the pool; it writes where nobody reads."""
    herd.cli("identity", "new", "edge", "--id", "e2")
    text = herd.config.read_text()
    for key, value in {"identity_cert": "pki/edge-e2.pem", "identity_key": "pki/edge-e2.key",
                       "replica": "edge2/replica", "replica_group": ""}.items():
        text = conffile.set_key(text, "agent", key, value)
    config = herd.folder / "second.conf"
    config.write_text(text)
    (herd.folder / "edge2").mkdir()
    child = process.Process("second agent", [lab_herd.binary(), "agent"],
                            herd.folder / "second.log",
                            env={"CERTHERD_CONFIG": str(config)}).start()
    herd.running.append(child)
    wait.until(lambda: child.check_alive() and edge(herd, "e2"), child.log_tail)
    return child


def edge(herd, name):
    listed = herd.look("/v1/edges").json["edges"]
    return next((one for one in listed if one["id"] == f"edge/default/{name}"), None)


def pool(herd):
    return herd.look("/v1/pools").json["pools"][0]


def status(herd):
    return herd.cli("status").stdout


def order_of(herd, name):
    return herd.look(f"/v1/orders/{herd.domain(name)['order']}").json


def wait_reason(herd, name, code):
    def there():
        herd.check()
        return herd.domain(name)["reason"]["code"] == code and herd.domain(name)
    return wait.until(there, lambda: herd.domain(name), 30)


@pytest.fixture
def platform(make_site):
    """A platform whose edges stay known between two heartbeats."""
    return make_site(settings={"store": {"edge_timeout": "60s"}}).start()


# ---- a frozen feed


def test_a_frozen_feed_stands_still_and_goes_on(platform):
    herd = platform.herd
    served = platform.go_live("shop.example.com")["certificate"]["serial"]
    frozen = herd.cli("feed", "freeze", "--reason", "a bad day").stdout
    assert "FROZEN   pool default" in frozen and "by operator/default/" in frozen
    platform.add("new.example.com")
    herd.cli("domain", "retry", "shop.example.com")
    for name in ("new.example.com", "shop.example.com"):
        domain = wait_reason(herd, name, "feed-frozen")
        assert domain["state"] in WAITING and domain["reason"]["actor"] == "operator"
        looked = order_of(herd, name)["next_at"]
        wait.until(lambda: order_of(herd, name)["next_at"] > looked, "it is looked at again", 30)
    shown = herd.cli("domain", "show", "new.example.com").stdout
    assert "a bad day" in shown and "certherd feed thaw" in shown
    assert "Must act     operator" in shown
    assert "a bad day" in status(herd) and "To go on: certherd feed thaw\n" in status(herd)
    # The certificate is made and published, and no edge has it.
    renewed = herd.domain("shop.example.com")["certificate"]["serial"]
    assert renewed != served
    with platform.connect("shop.example.com") as visit:
        assert visit.serial.lstrip("0") == served.lstrip("0")
    assert pool(herd)["held"] == 2
    assert "the same" in herd.cli("verify").stdout.lower()
    # It survives the store, and an edge that begins now has what the others have.
    child = herd.pid_of("store")
    os.kill(child, signal.SIGKILL)
    wait.until(lambda: herd.pid_of("store") not in (None, child) and herd.is_healthy(),
               "the store is back", 30)
    second_agent(herd)
    wait.until(lambda: edge(herd, "e2")["names"] == 1, lambda: edge(herd, "e2"), 30)
    herd.cli("feed", "thaw")
    herd.wait_state("new.example.com", "active")
    herd.wait_state("shop.example.com", "active")
    with platform.connect("shop.example.com") as visit:
        assert visit.serial.lstrip("0") == renewed.lstrip("0")
    assert "FROZEN" not in status(herd)
    # However often they were looked at, the log has one line of each that waited.
    log = herd.running[0].log()
    for name in ("new.example.com", "shop.example.com"):
        assert len(re.findall(rf"name={name} .* reason=feed-frozen", log)) == 1
    actions = [entry["action"] for entry in herd.look("/v1/audit").json["entries"]]
    assert actions.count("feed.freeze") == 1 and actions.count("feed.thaw") == 1


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = lab_herd.Herd(tmp_path_factory.mktemp("brakes") / "certherd").init()
    made.set("agent", replica_group="")
    made.start("store")
    try:
        yield made
    finally:
        made.stop()


def cli(store, *words, code=0):
    done = store.cli(*words, check=False)
    assert done.returncode == code, done
    return done.stdout + done.stderr


def test_freezing_twice_keeps_the_first_reason(store):
    cli(store, "feed", "freeze", "--reason", "first")
    told = json.loads(cli(store, "feed", "freeze", "--reason", "second", "--json"))
    assert told["frozen"]["reason"] == "first"
    assert "first" in cli(store, "feed", "show")
    for _ in range(2):
        assert "Flows    pool default" in cli(store, "feed", "thaw")
    assert json.loads(cli(store, "feed", "show", "--json"))[0]["frozen"] is None


@pytest.mark.parametrize("words,code,text", [
    (("freeze",), 2, "say why"),
    (("freeze", "--reason", " "), 2, "must say why"),
    (("freeze", "--reason", "x" * 256), 2, "reason"),
    (("freeze", "--reason", "x", "--pool", "defualt"), 1, "pool-not-found"),
    (("thaw", "--pool", "no-such"), 1, "pool-not-found"),
    (("thaw", "--pool", "no/such"), 2, "--pool takes 1 to 63"),
    (("freeze", "--reason", "x", "--pool", "Bad Pool"), 2, "--pool takes"),
    (("canary", "--off", "--pool", ""), 2, "--pool takes"),
    (("canary", "--release", "--pool", "x" * 64), 2, "--pool takes"),
    (("thaw", "now"), 2, "thaw"),
    (("canary",), 2, "give an edge"),
    (("canary", "e1"), 2, "--soak"),
    (("canary", "--soak", "10m"), 2, "give an edge"),
    (("canary", "e1", "--soak", "10m", "--off"), 2, "give an edge"),
    (("canary", "e1", "--soak", "soon"), 2, "span"),
    (("canary", "e1", "--soak", "8d"), 2, "7d at most"),
    (("canary", "ghost", "--soak", "10m"), 1, "edge-not-found"),
    (("canary", "edge/default/e1", "--soak", "10m"), 2, "edge"),
    (("frieze",), 2, "freeze"),
])
def test_wrong_use_is_told(store, words, code, text):
    assert text in cli(store, "feed", *words, code=code)


@pytest.mark.parametrize("role", ["viewer", "platform"])
def test_only_an_operator_holds_the_brake(store, role):
    if role == "viewer":
        store.cli("identity", "new", "viewer", "--id", role)
        store.set("cli", identity_cert="pki/viewer-viewer.pem", identity_key="pki/viewer-viewer.key")
    else:
        store.set("cli", identity_cert="pki/platform.pem", identity_key="pki/platform.key")
    try:
        for words in (("freeze", "--reason", "x"), ("thaw",), ("canary", "--off"),
                      ("canary", "--release"), ("canary", "e1", "--soak", "1m")):
            assert "not-allowed" in cli(store, "feed", *words, code=4)
    finally:
        store.set("cli", identity_cert="pki/operator.pem", identity_key="pki/operator.key")


# ---- a canary


def test_certificates_go_to_the_canary_first(platform):
    herd = platform.herd
    first = platform.go_live("shop.example.com")["certificate"]["serial"]
    second_agent(herd)
    assert "canary" in herd.cli("feed", "canary", "e2", "--soak", "2s").stdout.lower()
    herd.cli("domain", "retry", "shop.example.com")
    domain = wait_reason(herd, "shop.example.com", "canary-soak")
    assert domain["reason"]["actor"] == "nobody"
    with platform.connect("shop.example.com") as visit:
        assert visit.serial.lstrip("0") == first.lstrip("0")
    # The canary's next heartbeat after the soak lets it through.
    done = herd.wait_state("shop.example.com", "active", 45,
                           also=lambda d: d["reason"]["code"] == "ok")
    assert done["certificate"]["serial"] != first
    with platform.connect("shop.example.com") as visit:
        assert visit.serial.lstrip("0") == done["certificate"]["serial"].lstrip("0")


def test_a_dead_canary_is_told_and_let_through_by_command(make_site):
    site = make_site()
    site.settings = {"store": {"edge_timeout": "30s"}}
    herd = site.start().herd
    canary = second_agent(herd)
    herd.cli("feed", "canary", "e2", "--soak", "1h")
    # A new name is validated all the same: only its certificate waits.
    site.add("shop.example.com")
    wait_reason(herd, "shop.example.com", "canary-soak")
    herd.running.remove(canary)
    canary.kill()
    wait.until(lambda: pool(herd)["canary"]["state"] == "silent", lambda: pool(herd), 60)
    text = status(herd)
    assert "STUCK    canary edge/default/e2" in text and "it does not report" in text
    assert "certherd feed canary --release" in text
    # A release lets nothing through while the pool is frozen, and is not suggested.
    frozen = herd.cli("feed", "freeze", "--reason", "a test").stdout
    assert "gets nothing either before the thaw" in frozen and "--release" not in frozen
    herd.cli("feed", "thaw")
    herd.cli("feed", "canary", "--release")
    herd.wait_state("shop.example.com", "active")
    herd.cli("feed", "canary", "--off")
    site.go_live("next.example.com")
    assert "STUCK" not in status(herd)


# ---- roll-back


def serial_served(site, name):
    with site.connect(name) as visit:
        return visit.serial.lstrip("0")


def test_a_certificate_is_rolled_back_with_its_key(platform):
    herd = platform.herd
    name = "shop.example.com"
    platform.go_live(name, www=True)
    herd.wait_state(f"www.{name}", "active")
    first = herd.domain(name)["certificate"]
    herd.cli("domain", "retry", name)
    herd.wait_state(name, "active", also=lambda d: d["certificate"]["version"] > first["version"])
    second = herd.domain(name)["certificate"]
    assert "being put back" in herd.cli("cert", "rollback", name).stdout
    back = herd.wait_state(name, "active", also=lambda d: d["certificate"]["rolled_back_to"])
    for each in (name, f"www.{name}"):
        wait.until(lambda: serial_served(platform, each) == first["serial"].lstrip("0"),
                   f"{each} is served as before", 20)
    cert = back["certificate"]
    assert (cert["rolled_back_to"], cert["serial"]) == (first["version"], first["serial"])
    assert cert["version"] > second["version"]
    assert f", of version {first['version']}, put live by a command" in herd.cli("domain", "show", name).stdout
    shown = herd.cli("cert", "show", name).stdout
    assert f"version {cert['version']} (the certificate of version {first['version']}, put live by a command)" in shown
    assert f"previous: version {second['version']}" in shown
    # Not renewed at once, and a replica that is whole.
    assert herd.domain(name)["next_at"] > first["not_before"]
    assert "the same" in herd.cli("verify").stdout.lower()
    # Again only if it is meant; what is live already is no error.
    again = herd.cli("cert", "rollback", name, check=False)
    assert again.returncode == 1 and f"version {second['version']}" in again.stderr
    assert "is live" in herd.cli("cert", "rollback", name, "--to", str(first["version"])).stdout
    herd.cli("cert", "rollback", name, "--to", str(second["version"]))
    wait.until(lambda: serial_served(platform, name) == second["serial"].lstrip("0"),
               "the second is served again", 20)
    actions = [entry["action"] for entry in herd.look("/v1/audit").json["entries"]]
    assert actions.count("cert.rollback") == 2


def test_a_bad_certificate_is_stopped_at_the_canary(platform):
    herd = platform.herd
    name = "shop.example.com"
    platform.go_live(name)
    first = herd.domain(name)["certificate"]
    second_agent(herd)
    herd.cli("feed", "canary", "e2", "--soak", "1h")
    herd.cli("domain", "retry", name)
    wait_reason(herd, name, "canary-soak")
    assert herd.domain(name)["certificate"]["serial"] != first["serial"]
    herd.cli("cert", "rollback", name)
    wait.until(lambda: herd.domain(name)["certificate"]["rolled_back_to"] == first["version"],
               lambda: herd.domain(name), 20)
    assert serial_served(platform, name) == first["serial"].lstrip("0")
    herd.cli("feed", "canary", "--off")
    herd.wait_state(name, "active")
    assert serial_served(platform, name) == first["serial"].lstrip("0")


def set_recipients(herd, text):
    path = herd.folder / "up.log"
    seen = path.read_text().count("recipients read again")
    (herd.folder / "issuer/recipients").write_text(text)
    os.kill(herd.pid_of("issuer"), signal.SIGHUP)
    wait.until(lambda: path.read_text().count("recipients read again") > seen, "the issuer has read them")


def test_a_roll_back_that_cannot_be_is_refused_at_once(platform, tmp_path):
    herd = platform.herd
    names = ("here.example.com", "far.example.com")
    first = {name: platform.go_live(name)["certificate"]["version"] for name in names}
    kept = (herd.folder / "issuer/recipients").read_text()
    set_recipients(herd, kept + "# edge e2\n" + herd.cli("key", "new", tmp_path / "e2.key").stdout)
    id_added = herd.cli("key", "pub", "--id", tmp_path / "e2.key").stdout.strip()
    for name in names:
        herd.cli("domain", "retry", name)
        herd.wait_state(name, "active", also=lambda d: d["certificate"]["version"] > first[d["name"]])
    # Where the issuer's file is.
    refused = herd.cli("cert", "rollback", names[0], check=False)
    number = kept.count("\n") + 2
    assert refused.returncode == 1 and f"{id_added} (line {number}) cannot open its key" in refused.stderr, refused
    assert "Nothing was asked for" in refused.stderr and refused.stdout == ""
    assert "rollback" not in [event["event"] for event in herd.domain(names[0])["history"]]
    # Where it is not nobody can be sure.
    config = herd.folder / "far.conf"
    config.write_text(conffile.set_key(herd.config.read_text(), "issuer", "recipients", "absent"))
    asked = herd.cli("cert", "rollback", names[1], "--config", config)
    assert "being put back" in asked.stdout and f"is not sealed to {id_added}, as that of the live one is" in asked.stderr
    wait_reason(herd, names[1], "rollback-refused")
    # Once it is no recipient any more.
    set_recipients(herd, kept)
    done = herd.cli("cert", "rollback", names[0])
    assert "being put back" in done.stdout and done.stderr == ""
    herd.wait_state(names[0], "active", also=lambda d: d["certificate"]["rolled_back_to"] == first[names[0]])


@pytest.mark.parametrize("words,code,text", [
    (("none.example.com",), 1, "domain-not-found"),
    (("bad..name",), 2, "bad..name"),
    (("new.example.com",), 1, "nothing-to-roll-back"),
    (("new.example.com", "--to", "x"), 2, "--to takes a version"),
    (("new.example.com", "--to", "12x"), 2, "--to takes a version"),
    ((), 2, "rollback"),
])
def test_what_cannot_be_rolled_back_is_told(store, words, code, text):
    store.cli("domain", "add", "new.example.com")
    assert text in cli(store, "cert", "rollback", *words, code=code)


# ---- an agent's own brake


def test_a_refused_removal_is_told_from_afar_and_confirmed_on_the_edge(make_site):
    site = make_site(settings={"store": {"edge_timeout": "60s"},
                               "agent": {"removal_limit_count": "1"}})
    herd = site.start().herd
    names = [f"shop{i}.example.com" for i in range(4)]
    for name in names:
        site.add(name)
    for name in names:
        herd.wait_state(name, "active")
    # A freeze brings them to the agent at once.
    herd.cli("feed", "freeze", "--reason", "to remove them together")
    herd.cli("domain", "rm", *names[:3])
    herd.cli("feed", "thaw")
    told = wait.until(lambda: (edge(herd, "e1") or {}).get("error"), lambda: edge(herd, "e1"), 30)
    assert "Removing 3 of 4 live names" in told and "certherd agent --confirm-removal" in told
    assert told in status(herd)
    with site.connect(names[0]):
        pass  # still served
    done = herd.cli("agent", "--confirm-removal")
    assert "removing 3 of 4" in done.stdout
    wait.until(lambda: edge(herd, "e1")["error"] is None, lambda: edge(herd, "e1"), 30)
    assert "confirm-removal" not in status(herd)
    again = herd.cli("agent", "--confirm-removal", check=False)
    assert again.returncode == 1 and "nothing to confirm" in again.stderr
