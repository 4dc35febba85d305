"""Names with an ECDSA and an RSA certificate: who is served which one."""

import os
import re
import signal
import subprocess

import pytest

from lab import herd as lab_herd
from lab import wait

BOTH, ECDSA, RSA = "both.example.com", "ecdsa.example.com", "rsa.example.com"
P384 = "p384.example.com"

# What clients offer, and the kind of key that they are to be shown.
CAN_ECDSA = [
    [], ["-tls1_2"],
    ["-sigalgs", "RSA-PSS+SHA256:ECDSA+SHA256"],
    ["-tls1_2", "-sigalgs", "RSA+SHA256:ECDSA+SHA384"],
    ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256"],
    ["-tls1_3", "-groups", "X25519"],
]
RSA_ONLY = [
    ["-sigalgs", "RSA-PSS+SHA256"],
    ["-tls1_3", "-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"],
    # TLS 1.3 wants P-256 with SHA-256.
    ["-tls1_3", "-sigalgs", "RSA-PSS+SHA256:ECDSA+SHA384"],
    ["-tls1_2", "-sigalgs", "RSA+SHA256"],
    ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"],
    ["-tls1_2", "-groups", "X25519"],
]
NEITHER = [
    ["-tls1_3", "-sigalgs", "ed25519"],
    ["-tls1_2", "-sigalgs", "ed25519"],
]


# Whose first certificate has a key on P-384.
CAN_P384 = [
    [], ["-tls1_2"],
    ["-tls1_3", "-sigalgs", "RSA-PSS+SHA256:ECDSA+SHA384"],
    ["-tls1_2", "-sigalgs", "RSA+SHA256:ECDSA+SHA256"],
    ["-tls1_3", "-groups", "X25519"],
]
NOT_P384 = [
    ["-sigalgs", "RSA-PSS+SHA256"],
    ["-tls1_3", "-sigalgs", "RSA-PSS+SHA256:ECDSA+SHA256"],
    ["-tls1_2", "-groups", "P-256"],
]


class Shown:
    def __init__(self, output):
        self.alert = re.search(r"SSL alert number (\d+)", output)
        self.alert = int(self.alert.group(1)) if self.alert else None
        pem = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", output, re.S)
        self.key = self.serial = None
        if pem:
            text = subprocess.run(["openssl", "x509", "-noout", "-text", "-serial"],
                                  input=pem.group(0), capture_output=True, text=True, check=True).stdout
            self.key = "rsa" if "rsaEncryption" in text else "p384" if "secp384r1" in text else "ecdsa"
            self.serial = re.search(r"^serial=(\w+)", text, re.M).group(1).lower().lstrip("0")
        self.verified = "Verify return code: 0 (ok)" in output

    def __repr__(self):
        return f"key {self.key} serial {self.serial} alert {self.alert} verified {self.verified}"


def show(site, name, options):
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{site.nginx.https_port}", "-servername", name,
         "-CAfile", str(site.root), *options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    return Shown(done.stdout + done.stderr)


def serial_of(cert):
    return cert["serial"].lower().lstrip("0")


@pytest.fixture(scope="module")
def names(site):
    for name, keys in ((BOTH, "ecdsa+rsa"), (ECDSA, "ecdsa"), (RSA, "rsa"), (P384, "p384+rsa")):
        site.add(name, keys=keys)
    for name in (BOTH, ECDSA, RSA, P384):
        site.herd.wait_state(name, "active", 60)


@pytest.mark.parametrize("options", CAN_ECDSA, ids=" ".join)
def test_who_can_use_ecdsa_gets_it(site, names, options):
    shown = show(site, BOTH, options)
    assert shown.key == "ecdsa" and shown.verified, shown
    assert shown.serial == serial_of(site.herd.domain(BOTH)["certificate"])


@pytest.mark.parametrize("options", RSA_ONLY, ids=" ".join)
def test_who_cannot_gets_rsa(site, names, options):
    shown = show(site, BOTH, options)
    assert shown.key == "rsa" and shown.verified, shown
    assert shown.serial == serial_of(site.herd.domain(BOTH)["second"]["certificate"])


@pytest.mark.parametrize("options", CAN_P384, ids=" ".join)
def test_who_can_use_p384_gets_it(site, names, options):
    shown = show(site, P384, options)
    assert shown.key == "p384" and shown.verified, shown
    assert shown.serial == serial_of(site.herd.domain(P384)["certificate"])


@pytest.mark.parametrize("options", NOT_P384, ids=" ".join)
def test_who_cannot_use_p384_gets_rsa(site, names, options):
    shown = show(site, P384, options)
    assert shown.key == "rsa" and shown.verified, shown


def test_p384_alone_is_for_those_who_can(site, names):
    name = "alone384.example.com"
    site.herd.cli("domain", "add", name, "--keys", "p384", "--wait")
    assert site.herd.domain(name)["keys"] == "p384"
    # The second time from the cache.
    assert [show(site, name, []).key for _ in range(2)] == ["p384", "p384"]
    assert show(site, name, NOT_P384[1]).alert == 40


@pytest.mark.parametrize("name", [BOTH, ECDSA, RSA])
@pytest.mark.parametrize("options", NEITHER, ids=" ".join)
def test_who_can_use_neither_gets_an_alert(site, names, name, options):
    shown = show(site, name, options)
    assert shown.key is None and shown.alert == 40, shown


@pytest.mark.parametrize("options", RSA_ONLY, ids=" ".join)
def test_without_a_second_one_those_are_refused(site, names, options):
    shown = show(site, ECDSA, options)
    assert shown.key is None and shown.alert == 40, shown


@pytest.mark.parametrize("options", CAN_ECDSA[:2] + RSA_ONLY, ids=" ".join)
def test_a_name_with_rsa_alone_serves_it_to_all(site, names, options):
    shown = show(site, RSA, options)
    assert shown.key == "rsa" and shown.verified, shown


def test_who_can_use_ecdsa_alone_gets_nothing_from_a_name_with_rsa(site, names):
    assert show(site, RSA, ["-sigalgs", "ECDSA+SHA256"]).alert == 40


def test_the_name_tells_of_both(site, names):
    domain = site.herd.domain(BOTH)
    assert domain["keys"] == "ecdsa+rsa"
    second = domain["second"]
    assert second["reason"]["code"] == "ok" and second["failures"] == 0 and second["next_at"]
    assert site.herd.domain(ECDSA)["second"] is None
    told = site.herd.cli("domain", "show", BOTH).stdout
    assert "Second certificate" in told and second["certificate"]["serial"] in told
    told = site.herd.cli("cert", "show", BOTH).stdout
    assert "second: version" in told
    orders = site.herd.api().get(f"/v1/orders?name={BOTH}").json["orders"]
    assert [(order["key"], order["second"]) for order in orders] == [("rsa", True), ("ecdsa", False)]


def test_the_replica_is_the_stores(site, names):
    done = site.herd.cli("verify")
    assert done.stdout.startswith("The same: "), done.stdout


def test_the_second_is_added_and_withdrawn(site, names):
    name = "later.example.com"
    rsa = ["-sigalgs", "RSA-PSS+SHA256"]
    first = site.go_live(name)
    assert show(site, name, rsa).alert == 40
    site.herd.cli("domain", "add", name, "--keys", "ecdsa+rsa", "--wait")
    domain = site.herd.domain(name)
    assert domain["state"] == "active"
    assert domain["certificate"]["serial"] == first["certificate"]["serial"]
    assert show(site, name, rsa).key == "rsa"
    assert show(site, name, []).serial == serial_of(first["certificate"])
    site.add(name, keys="ecdsa")
    wait.until(lambda: show(site, name, rsa).alert == 40, "the second one is gone", 20)
    assert site.herd.domain(name)["state"] == "active"
    assert show(site, name, []).serial == serial_of(first["certificate"])
    assert site.herd.cli("verify").stdout.startswith("The same: ")


def test_an_issuer_that_is_killed_between_the_two_loses_nothing(site, names):
    name = "killed.example.com"
    site.add(name, keys="ecdsa+rsa")
    first = wait.until(lambda: site.herd.domain(name)["certificate"], "the first is live", 30)
    os.kill(site.herd.pid_of("issuer"), signal.SIGKILL)
    domain = site.herd.wait_state(name, "active", 60)
    assert domain["certificate"]["serial"] == first["serial"]
    assert show(site, name, []).serial == serial_of(first)
    assert show(site, name, ["-sigalgs", "RSA-PSS+SHA256"]).serial == serial_of(
        domain["second"]["certificate"])


def test_names_are_imported_with_their_keys(site, names):
    names_file = site.folder / "names.csv"
    names_file.write_text("name,keys\nimported.example.com,ecdsa+rsa\nplain.example.com,\nodd.example.com,dsa\n")
    done = site.herd.cli("domain", "import", names_file, check=False)
    assert done.returncode == 3 and "odd.example.com" in done.stdout, done
    assert site.herd.domain("imported.example.com")["keys"] == "ecdsa+rsa"
    assert site.herd.domain("plain.example.com")["keys"] == "ecdsa"


def test_a_removed_name_takes_both_along(site, names):
    name = "gone.example.com"
    site.go_live(name, keys="ecdsa+rsa")
    assert show(site, name, ["-sigalgs", "RSA-PSS+SHA256"]).key == "rsa"
    site.herd.cli("domain", "rm", name)
    for options in ([], ["-sigalgs", "RSA-PSS+SHA256"]):
        wait.until(lambda: show(site, name, options).alert == 112, "the name is unknown", 20)


def test_a_pair_has_both_for_each_name(site, names):
    site.go_live("pair.example.com", 60, www=True, keys="ecdsa+rsa")
    for name in ("pair.example.com", "www.pair.example.com"):
        assert show(site, name, []).key == "ecdsa"
        assert show(site, name, ["-sigalgs", "RSA-PSS+SHA256"]).key == "rsa"


@pytest.mark.parametrize("keys", ["", "dsa", "p521", "rsa+ecdsa", "rsa+p384", "ECDSA", "ecdsa+rsa+ecdsa", 5, ["rsa"]])
def test_other_keys_are_refused(site, keys):
    answer = site.herd.api().put("/v1/domains/bad.example.com", {"keys": keys})
    assert answer.status == 400 and answer.json["field"] == "keys", answer


def test_the_store_says_what_new_names_have(scratch):
    made = lab_herd.Herd(scratch / "certherd").init()
    made.set("store", keys="ecdsa+rsa")
    made.start("store")
    try:
        assert made.api().put("/v1/domains/a.example.com", {}).json["keys"] == "ecdsa+rsa"
        assert made.api().put("/v1/domains/b.example.com", {"keys": "rsa"}).json["keys"] == "rsa"
        batch = {"domains": [{"name": "c.example.com"}, {"name": "d.example.com", "keys": "ecdsa"}]}
        assert made.api().post("/v1/domains", batch).json["created"] == 2
        assert made.domain("c.example.com")["keys"] == "ecdsa+rsa"
        assert made.domain("d.example.com")["keys"] == "ecdsa"
        # What is there keeps what it has.
        assert made.api().put("/v1/domains/d.example.com", {}).json["keys"] == "ecdsa"
    finally:
        made.stop()


@pytest.mark.parametrize("program, section, key, value", [
    ("store", "store", "keys", "dsa"), ("issuer", "issuer", "key_type", "p521"),
    ("issuer", "issuer", "key_type", "rsa"), ("issuer", "issuer", "rsa_bits", "1024"),
    ("issuer", "issuer", "rsa_bits", "2500")])
def test_bad_settings_are_refused(scratch, program, section, key, value):
    made = lab_herd.Herd(scratch / "certherd").init()
    made.set("issuer", directory="https://localhost/dir")
    made.set(section, **{key: value})
    done = made.cli(program, check=False, timeout=20)
    assert done.returncode != 0 and key in done.stderr, done
