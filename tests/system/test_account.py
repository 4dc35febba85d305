"""The issuer's account: another chain, another profile, a new key while names are live, revocation."""

import datetime
import json
import os
import re
import time

import pytest

from lab import casim, process


@pytest.fixture
def with_casim(make_site):
    started = []

    def make(settings=None, **issuer):
        site = make_site()
        ca = casim.Casim(site.folder / "casim", site.pebble.http_port, **(settings or {}))
        started.append(ca.start())
        site.settings = {"issuer": {"directory": ca.directory, "directory_ca": ca.api_ca,
                                    "roots": "any", **issuer}}
        return site.start(), ca

    yield make
    for ca in started:
        ca.stop()


def revoke(site, name, *options, **more):
    pem = site.herd.cli("cert", "show", name, "--pem").stdout
    path = site.folder / "leaf.pem"
    path.write_text(pem)
    return site.herd.cli("revoke", path, *options, **more)


def issuers(site, pem):
    texts = []
    for block in re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", pem, re.S):
        path = site.folder / "one.pem"
        path.write_text(block)
        texts.append(process.run(["openssl", "x509", "-in", path, "-noout", "-issuer"]).stdout)
    return "".join(texts)


def test_the_account_is_shown_and_a_certificate_revoked(with_casim):
    site, ca = with_casim()
    site.go_live("bad.acct.example")
    shown = site.herd.cli("account").stdout
    assert re.search(r"account +https://127.0.0.1", shown)
    serial = site.herd.domain("bad.acct.example")["certificate"]["serial"]
    assert serial in revoke(site, "bad.acct.example", "--reason", "keyCompromise").stdout
    again = revoke(site, "bad.acct.example")
    assert "before" in again.stdout
    wrong = revoke(site, "bad.acct.example", "--reason", "because", check=False)
    assert wrong.returncode == 2 and "keyCompromise" in wrong.stderr
    (site.folder / "leaf.pem").write_text("no certificate")
    broken = site.herd.cli("revoke", site.folder / "leaf.pem", check=False)
    assert broken.returncode == 2
    told = json.loads(site.herd.cli("account", "--json").stdout)
    assert told["account"] in shown and told["thumbprint"] in shown and told["directory"] == ca.directory
    assert (told["ca"], told["error"]) == ("main", None) and told["key"].endswith("account.key")
    other = site.herd.cli("account", "--ca", "other", check=False)
    assert other.returncode == 2 and "fallback" in other.stderr


def test_an_account_key_is_replaced_under_live_names(with_casim):
    """Names renew under the new key: edges that answered under the old one are told."""
    site, ca = with_casim()
    before = site.go_live("live.acct.example")["certificate"]["serial"]
    site.herd.stop()
    fresh = site.herd.folder / "issuer/account-new.key"
    print_new = site.herd.cli("key", "account", fresh).stdout.strip()
    snippet = site.herd.folder / "edge/nginx-certherd.conf"
    snippet.write_text(re.sub(r"(certherd_account_thumbprint \S+?);", rf"\1 {print_new};",
                              snippet.read_text()))
    site.nginx.reload()
    unsure = site.herd.cli("account", "--rollover", fresh, check=False)
    assert unsure.returncode == 2 and "--yes" in unsure.stderr
    assert print_new in site.herd.cli("account", "--rollover", fresh, "--yes").stdout
    assert not fresh.exists()
    assert (site.herd.folder / "issuer/account.key.old").exists()
    assert print_new in site.herd.cli("account").stdout
    left = site.herd.folder / "issuer/state/account.json.tmp.0123456789abcdef"
    others = site.herd.folder / "issuer/state/other.json.tmp.0123456789abcdef"
    for path in (left, others):
        path.write_text("half")
        os.utime(path, (time.time() - 7200,) * 2)
    if os.geteuid() == 0:
        site.herd.cli("init", "--own", site.herd.folder)
    site.herd.start("up")
    site.herd.cli("domain", "retry", "live.acct.example")
    site.herd.wait_state("live.acct.example", "active", timeout=60,
                         also=lambda domain: domain["certificate"]["serial"] != before)
    assert not left.exists() and others.exists(), "what a killed issuer had half written goes, and nothing else"
    # The key of before is no way back, and a second change asks to be sure of the first.
    again = site.herd.cli("account", "--rollover", site.herd.folder / "issuer/account.key.old",
                          "--yes", check=False)
    assert again.returncode == 2 and "remove it first" in again.stderr


def accounts(ca):
    return ca.tell("/state")["accounts"]


def test_an_issuer_that_runs_on_with_the_old_key_makes_no_account(with_casim):
    site, ca = with_casim()
    site.go_live("live.acct.example")
    fresh = site.herd.folder / "issuer/account-new.key"
    print_new = site.herd.cli("key", "account", fresh).stdout.strip()
    snippet = site.herd.folder / "edge/nginx-certherd.conf"
    # First, so that names of which the edges were told nothing are answered under it.
    snippet.write_text(re.sub(r"(certherd_account_thumbprint) (\S+?);", rf"\1 {print_new} \2;",
                              snippet.read_text()))
    site.nginx.reload()
    done = json.loads(site.herd.cli("account", "--rollover", fresh, "--yes", "--json").stdout)
    assert (done["ca"], done["thumbprint"]) == ("main", print_new) and done["old_key"] == done["key"] + ".old"
    if os.geteuid() == 0:
        site.herd.cli("init", "--own", site.herd.folder)
    site.add("late.acct.example")
    waits = site.herd.wait_state(
        "late.acct.example", "pending",
        also=lambda domain: domain["reason"]["code"] == "account-key-replaced")
    assert "Start it again" in waits["reason"]["detail"]
    assert waits["reason"]["actor"] == "platform"
    assert accounts(ca) == 1
    site.herd.stop()
    site.herd.start("up")
    site.go_live("next.acct.example")
    assert accounts(ca) == 1


def test_an_account_is_closed(with_casim):
    site, ca = with_casim()
    site.go_live("last.acct.example")
    assert site.herd.cli("account", "--deactivate", check=False).returncode == 2
    account = json.loads(site.herd.cli("account", "--json").stdout)["account"]
    told = json.loads(site.herd.cli("account", "--deactivate", "--yes", "--json").stdout)
    assert told == {"ca": "main", "account": account, "deactivated": True}
    assert site.herd.cli("account", check=False).returncode == 1
    gone = site.herd.cli("account", "--json", check=False)
    told = json.loads(gone.stdout)
    assert gone.returncode == 1 and told["account"] is None and set(told["error"]) == {"code", "detail"}


@pytest.mark.parametrize("wanted, number", [("", 0), ("Casim Root X2", 1), ("nobody", 0)])
def test_the_preferred_chain_is_served(with_casim, wanted, number):
    site, ca = with_casim(**({"preferred_chain": wanted} if wanted else {}))
    site.go_live("chain.acct.example")
    pem = site.herd.cli("cert", "show", "chain.acct.example", "--pem").stdout
    assert ("Casim Root X2" in issuers(site, pem)) == bool(number)


def test_a_profile_is_asked_for(with_casim):
    site, ca = with_casim(profile="shortlived")
    site.go_live("short.acct.example")
    certificate = site.herd.domain("short.acct.example")["certificate"]
    begin, end = (datetime.datetime.fromisoformat(certificate[key].replace("Z", "+00:00"))
                  for key in ("not_before", "not_after"))
    assert (end - begin).days < 8


def test_a_profile_that_the_ca_does_not_have(with_casim):
    site, ca = with_casim(profile="nosuch")
    site.add("none.acct.example")
    failed = site.herd.wait_state("none.acct.example", "failed")
    assert "profile" in failed["reason"]["detail"]
    assert failed["reason"]["actor"] == "platform"
