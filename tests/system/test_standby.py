"""Standby certificates: a second CA's, kept and not live, put live by one command when the first fails."""

import os
import subprocess

import pytest

from lab import casim, herd as lab_herd, site as site_module, wait

from test_cas import by_pebble, pin


@pytest.fixture(scope="module")
def two():
    """A platform whose first CA is casim, and whose second, for standbys, is Pebble."""
    site = site_module.Site(site_module.make_scratch("certherd-test-"))
    ca = casim.Casim(site.folder / "casim", site.pebble.http_port)
    ca.prepare()
    site.settings = {"issuer": {"directory": ca.directory, "directory_ca": ca.api_ca, "roots": "any",
                                "fallback": "pebble", "standby": "pebble"},
                     "ca pebble": {"directory": site.pebble.directory,
                                   "directory_ca": site.herd.folder.parent / "pebble/minica.pem",
                                   "roots": "any", "terms_agreed": "yes"}}
    try:
        site.prepare()
        thumbprint = site.herd.cli("key", "account", site.herd.folder / "issuer/account-pebble.key").stdout
        pin(site, thumbprint.strip())
        if os.geteuid() == 0:
            site.herd.cli("init", "--own", site.herd.folder)
        ca.start()
        site.herd.start("up")
        site.nginx.start()
        yield site, ca
    finally:
        try:
            site.stop()
        finally:
            ca.stop()
            site.remove()


RSA_ONLY = ["-sigalgs", "RSA-PSS+SHA256"]


def shown(site, name, *options):
    """Serial of what the edge serves."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{site.nginx.https_port}", "-servername", name, *options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    text = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=done.stdout,
                          capture_output=True, text=True, check=True).stdout
    return text.strip().partition("=")[2].lower().lstrip("0")


def serial(cert):
    return cert["serial"].lower().lstrip("0")


def ca_lines(text):
    """The CA of each certificate that is shown."""
    return [words[1] for words in map(str.split, text.splitlines()) if words[:1] == ["CA"] and len(words) == 2]


def times_begun(site, name):
    return [event["event"] for event in site.herd.domain(name)["history"]].count("standby")


def ready(site, name):
    return wait.until(lambda: (d := site.herd.domain(name))["standby"]["ready"] and d, "the standby is ready", 60)


def test_a_standby_is_kept_from_the_second_ca_and_put_live(two):
    site, _ = two
    name = "one.standby.example"
    site.go_live(name, timeout=60)
    domain = ready(site, name)
    assert domain["state"] == "active" and not by_pebble(site, name)
    standby = domain["standby"]
    assert standby["ca"] == "pebble" and "Pebble" in standby["certificate"]["issuer"]
    assert shown(site, name) == serial(domain["certificate"]), "it is not live"
    text = site.herd.cli("domain", "show", name).stdout
    assert "Standby certificate" in text and standby["certificate"]["serial"] in text
    assert ca_lines(text) == ["main", "pebble"]
    assert site.herd.cli("verify").stdout.startswith("The same: ")
    asked = site.herd.cli("cert", "standby", name, check=False)
    assert asked.returncode == 2 and "(live: main, standby: pebble)" in asked.stderr, asked
    assert times_begun(site, name) == 0, "who does not say what has failed only looks"
    done = site.herd.cli("cert", "standby", name, "--ca", "main")
    assert "being put live" in done.stdout
    wait.until(lambda: shown(site, name) == serial(standby["certificate"]), "the edge serves it", 30)
    site.herd.wait_state(name, "active", timeout=30)
    assert by_pebble(site, name)
    # The next one comes from the CA that failed, once that is back.
    domain = ready(site, name)
    assert domain["standby"]["ca"] == "main" and "Pebble" not in domain["standby"]["certificate"]["issuer"]
    live = shown(site, name)
    again = site.herd.cli("cert", "standby", name, "--ca", "main")
    assert again.stdout == (f"{name}: already so: nothing of it is from the CA main, "
                            "and what is live was put there by a command\n")
    again = site.herd.api().post(f"/v1/certificates/{name}/standby", {"ca": "main"})
    # The standby's order may have come to its end meanwhile.
    assert again.status == 200 and again.json["order"] in (None, domain["order"]), "nothing was begun"
    for again, code, why in ((["--swap"], 1, "ca-needed"), ([], 2, "(live: pebble, standby: main)")):
        done = site.herd.cli("cert", "standby", name, *again, check=False)
        assert done.returncode == code and why in done.stderr, done
    assert times_begun(site, name) == 1 and shown(site, name) == live, "nobody goes back by repeating it"
    text = site.herd.cli("cert", "show", name).stdout
    assert ca_lines(text) == ["pebble", "main", "main"] and "standby, not live: version" in text
    assert site.herd.cli("verify").stdout.startswith("The same: ")


def both_shown(site, name):
    """What clients are shown, and those that cannot use ECDSA."""
    return shown(site, name), shown(site, name, *RSA_ONLY)


def both_serials(domain, standby=False):
    pair = (domain, domain["second"])
    return tuple(serial((one["standby"] if standby else one)["certificate"]) for one in pair)


def test_two_certificates_have_two_and_go_together(two):
    site, _ = two
    name = "both.standby.example"
    site.go_live(name, timeout=60, keys="ecdsa+rsa")
    domain = wait.until(
        lambda: (d := site.herd.domain(name))["second"]["standby"]["ready"] and d["standby"]["ready"] and d,
        "both standbys are ready", 60)
    before, kept = both_serials(domain), both_serials(domain, standby=True)
    assert len({*before, *kept}) == 4
    assert both_shown(site, name) == before, "they are not live"
    assert domain["second"]["standby"]["ca"] == "pebble"
    text = site.herd.cli("domain", "show", name).stdout
    assert "Standby of the second certificate" in text and domain["second"]["standby"]["certificate"]["serial"] in text
    done = site.herd.cli("cert", "standby", name, "--ca", "pebble", check=False)
    assert done.returncode != 0 and "standby-not-ready" in done.stderr, done
    assert both_shown(site, name) == before, "nothing of it is from that CA"
    asked = site.herd.cli("cert", "standby", name, check=False)
    assert asked.returncode == 2 and "(live: main, second: main, standby: pebble)" in asked.stderr, asked
    assert "standby of the second, not live: version" in site.herd.cli("cert", "show", name).stdout
    # Of a CA that nobody knows it could not be said.
    site.herd.cli("cert", "standby", name, "--swap")
    wait.until(lambda: both_shown(site, name) == kept, "the edge serves both", 30)
    domain = site.herd.wait_state(name, "active", timeout=30)
    assert both_serials(domain) == kept
    # One order brought both, and takes both back.
    assert domain["second"]["certificate"]["version"] == domain["certificate"]["version"] + 1
    version = site.herd.look(f"/v1/certificates/{name}").json["previous"]["version"]
    site.herd.cli("cert", "rollback", name, "--to", str(version))
    wait.until(lambda: both_shown(site, name) == before, "the edge serves what was before", 30)
    site.herd.wait_state(name, "active", timeout=30)
    assert site.herd.cli("verify").stdout.startswith("The same: ")


def test_without_a_standby_it_says_so(two):
    site, _ = two
    name = "none.standby.example"
    site.herd.cli("domain", "add", name, "--standby", "none", "--wait")
    assert site.herd.domain(name)["standby"] is None
    before = shown(site, name)
    done = site.herd.cli("cert", "standby", name, check=False)
    assert done.returncode == 2 and "(live: main, standby: none)" in done.stderr, done
    assert "not live" not in site.herd.cli("cert", "show", name).stdout
    for which in (["--ca", "main"], ["--swap"]):
        done = site.herd.cli("cert", "standby", name, *which, check=False)
        assert done.returncode == 1 and "standby-not-ready" in done.stderr, done
    assert shown(site, name) == before
    for wrong in (["--all"], ["--ca", "main"], [name, "--all", "--ca", "main"], [name, "--dry-run"], ["--partly"], [],
                  ["--swap"], [name, "--swap", "--ca", "main"], ["--all", "--swap", "--ca", "main"]):
        assert site.herd.cli("cert", "standby", *wrong, check=False).returncode == 2, wrong
    done = site.herd.cli("cert", "standby", "--all", "--ca", "nonesuch", check=False)
    assert done.returncode != 0 and "nonesuch" in done.stderr, done


def test_all_of_a_ca_that_fails_go_over(two):
    site, ca = two
    names = [f"all{i}.standby.example" for i in range(5)]
    for name in names:
        site.add(name)
    site.add("plain.standby.example", standby="none")
    site.add("other.standby.example", cas=["pebble"], standby="main")
    for name in [*names, "plain.standby.example", "other.standby.example"]:
        site.herd.wait_state(name, "active", timeout=60)
    kept = {name: serial(ready(site, name)["standby"]["certificate"]) for name in names}
    ready(site, "other.standby.example")
    stay = {name: shown(site, name) for name in ("plain.standby.example", "other.standby.example")}
    assert by_pebble(site, "other.standby.example")
    ca.stop()
    told = site.herd.cli("cert", "standby", "--all", "--ca", "main", "--dry-run", check=False)
    assert "would be" in told.stdout
    assert shown(site, names[0]) != kept[names[0]]
    done = site.herd.cli("cert", "standby", "--all", "--ca", "main", check=False)
    assert done.returncode == 3 and "no standby that is ready" in done.stdout, done
    for name in names:
        wait.until(lambda name=name: shown(site, name) == kept[name], f"the edge serves {name}", 30)
    assert {name: shown(site, name) for name in stay} == stay
    for name in names:
        site.herd.wait_state(name, "active", timeout=30)
    again = site.herd.cli("cert", "standby", "--all", "--ca", "main", check=False)
    assert again.stdout.startswith("0 names"), again


@pytest.mark.parametrize("keys", [{"standby": "nonesuch"}, {"standby": "main"}])
def test_bad_settings_are_refused(scratch, keys):
    made = lab_herd.Herd(scratch / "certherd").init()
    made.set("issuer", directory="https://localhost/dir", **keys)
    done = made.cli("issuer", check=False, timeout=20)
    assert done.returncode != 0 and "standby" in done.stderr, done


@pytest.mark.parametrize("key", ["roots", "directory_ca"])
def test_a_file_of_trusted_certificates_that_is_none_is_named(scratch, key):
    made = lab_herd.Herd(scratch / "certherd").init()
    made.set("issuer", directory="https://localhost/dir", **{key: "absent.pem"})
    done = made.cli("issuer", check=False, timeout=20)
    assert done.returncode != 0 and f"{key} of the CA main: cannot read" in done.stderr, done


@pytest.mark.parametrize("standby", ["Main", "a b", "x" * 32, 5, ["main"]])
def test_what_is_no_ca_is_refused(two, standby):
    site, _ = two
    answer = site.herd.api().put("/v1/domains/bad.example.com", {"standby": standby})
    assert answer.status == 400 and answer.json["field"] == "standby", answer
