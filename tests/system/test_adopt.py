"""certherd adopt: certificates of others go live, once, and are renewed when it is time."""

import base64
import contextlib
import json
import os
import signal
import sqlite3
import subprocess

import pytest

from adopt_ca import Ca, caddy, certbot, new_key, pem
from lab import herd as lab_herd, wait


@pytest.fixture(scope="module")
def ca(site):
    made = Ca()
    (site.folder / "adopt-root.pem").write_bytes(pem(made.root))
    return made


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "from").mkdir()
    return tmp_path / "from"


def adopt(site, *arguments, code=0):
    done = site.herd.cli("adopt", "--json", "--roots", site.folder / "adopt-root.pem", *arguments, check=False)
    assert done.returncode == code, done
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines[-1], {line["subject"]: line["code"] for line in lines[:-1]}


def served(site, name, *options):
    """Serial of what the edge serves."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{site.nginx.https_port}",
                           "-servername", name, *options],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    text = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=done.stdout,
                          capture_output=True, text=True, check=False).stdout
    return text.strip().partition("=")[2].lower().lstrip("0")


def wait_served(site, name):
    serial = site.herd.domain(name)["certificate"]["serial"].lower().lstrip("0")
    wait.until(lambda: served(site, name) == serial, f"the edge serves {name}", 20)


def test_certbot_with_a_www_name(site, ca, folder):
    certbot(folder, "a.certbot.example", *ca.pair("a.certbot.example", "www.a.certbot.example"))
    certbot(folder, "b.certbot.example", *ca.pair("b.certbot.example", "*.b.certbot.example", kind="rsa"))
    (folder / "live/README").write_text("about this folder\n")
    # Wildcards are not registered here, unless the store's configuration says so.
    told, why = adopt(site, "--certbot", folder, "--dry-run", code=1)
    assert told["adopted"] == 3 and told["dry_run"] and why == {"*.b.certbot.example": "name-wildcard"}
    assert site.herd.api().get("/v1/domains/a.certbot.example").status == 404
    told, _ = adopt(site, "--certbot", folder, code=1)
    assert told["adopted"] == 3 and told["refused"] == 1
    domain = site.herd.domain("a.certbot.example")
    assert domain["state"] == "active" and domain["www"], domain
    assert site.herd.domain("www.a.certbot.example")["state"] == "active"
    for name in ("a.certbot.example", "www.a.certbot.example", "b.certbot.example"):
        wait_served(site, name)
    assert site.herd.cli("verify").stdout.startswith("The same: ")
    # RSA, and `ecdsa` is wanted: served as it is, and nothing is under way before its renewal.
    domain = site.herd.domain("b.certbot.example")
    assert (domain["keys"], domain["state"], domain["reason"]["code"]) == ("ecdsa", "active", "ok"), domain
    assert "its next renewal brings the key" in domain["reason"]["detail"]
    assert domain["next_at"] > site.herd.api().get("/v1/status").json["now"]
    # Again: nothing changes.
    before = [site.herd.domain(name) for name in ("a.certbot.example", "b.certbot.example")]
    told, _ = adopt(site, "--certbot", folder, code=1)
    assert told["adopted"] == 0 and told["kept"] == 3
    assert [site.herd.domain(name) for name in ("a.certbot.example", "b.certbot.example")] == before
    audit = site.herd.api().get("/v1/audit?limit=100").json
    assert "domain.adopt" in json.dumps(audit)


def test_caddy(site, ca, folder):
    caddy(folder, "a.caddy.example", *ca.pair("a.caddy.example"))
    (folder / "certificates/acme-v02.api.letsencrypt.org-directory/empty.example").mkdir()
    told, why = adopt(site, "--caddy", folder, code=1)
    assert told["adopted"] == 1 and told["refused"] == 1 and list(why.values()) == ["file-missing"]
    wait_served(site, "a.caddy.example")
    site.herd.cli("adopt", "--caddy", folder / "certificates", check=False)


def test_nginx_takes_the_names_of_its_servers(site, ca, folder):
    chain, key = ca.pair("a.nginx.example", "unused.nginx.example", "*.w.nginx.example")
    (folder / "a.pem").write_bytes(chain)
    (folder / "a.key").write_bytes(key)
    (folder / "sites").mkdir()
    (folder / "nginx.conf").write_text("http { include sites/*.conf; upstream u { server 127.0.0.1:1; } }\n")
    (folder / "sites/a.conf").write_text(
        'server { listen 443 ssl; # }\n  server_name "a.nginx.example" x.w.nginx.example ~^re$ _;\n'
        "  ssl_certificate a.pem; ssl_certificate_key a.key;\n  location / { return 200 '}'; }\n}\n"
        "server { server_name var.nginx.example; ssl_certificate $ssl_server_name.pem;"
        " ssl_certificate_key $ssl_server_name.key; }\n")
    told, why = adopt(site, "--nginx", folder / "nginx.conf", code=1)
    assert told["adopted"] == 2 and set(why.values()) == {"conf-path"}, (told, why)
    wait_served(site, "a.nginx.example")
    wait_served(site, "x.w.nginx.example")
    for name in ("unused.nginx.example", "var.nginx.example"):
        assert site.herd.api().get(f"/v1/domains/{name}").status == 404


def test_apache_with_a_chain_of_its_own(site, ca, folder):
    key = new_key()
    (folder / "a.crt").write_bytes(pem(ca.leaf("a.apache.example", "b.apache.example", key=key)))
    (folder / "a.key").write_bytes(pem(key))
    (folder / "chain.pem").write_bytes(pem(ca.intermediate))
    (folder / "apache2.conf").write_text("Define DIR .\nIncludeOptional ${DIR}/sites/*.conf\n")
    (folder / "sites").mkdir()
    (folder / "sites/a.conf").write_text(
        "<VirtualHost *:443>\n ServerName https://a.apache.example:443\n ServerAlias \\\n  b.apache.example\n"
        " SSLCertificateFile a.crt\n SSLCertificateKeyFile a.key\n SSLCertificateChainFile chain.pem\n"
        "</VirtualHost>\n")
    told, _ = adopt(site, "--apache", folder / "apache2.conf")
    assert told["adopted"] == 2
    wait_served(site, "b.apache.example")


def test_a_folder_and_what_is_refused(site, ca, folder):
    def put(name, *parts):
        (folder / name).write_bytes(b"".join(parts))

    deep = folder / "d/e"
    deep.mkdir(parents=True)
    put("haproxy.pem", *ca.pair("one.folder.example"))
    key = new_key("p384")
    put("leaf.crt", pem(ca.leaf("two.folder.example", key=key)))
    put("d/e/two.key", pem(key))
    put("ca.pem", pem(ca.intermediate))
    put("expired.pem", *ca.pair("old.folder.example", days=-1, ago=90))
    put("soon.pem", *ca.pair("soon.folder.example", days=3))
    put("nokey.pem", ca.pair("nokey.folder.example")[0])
    put("wrong.pem", ca.pair("wrong.folder.example")[0], pem(new_key()))
    key = new_key()
    put("encrypted.pem", pem(ca.leaf("secret.folder.example", key=key)), pem(key, b"hush-hush"))
    key = new_key("p521")
    other = new_key("ed25519")
    put("ed25519.pem", pem(ca.leaf("ed25519.folder.example", key=other)), pem(ca.intermediate), pem(other))
    put("p521.pem", pem(ca.leaf("p521.folder.example", key=key)), pem(ca.intermediate), pem(key))
    key = new_key()
    put("self.pem", pem(ca.self_signed("self.folder.example", key)), pem(key))
    stranger = Ca()
    put("stranger.pem", *stranger.pair("stranger.folder.example"))
    put("broken.pem", ca.pair("broken.folder.example")[0][:300])
    put("large.pem", b"#" * 300000)
    put("bad.pem", *ca.pair("localhost", "under.localhost"))
    os.symlink("loop.pem", folder / "loop.pem")
    os.symlink("gone", folder / "dangling.pem")
    os.mkfifo(folder / "pipe.pem")
    told, why = adopt(site, "--folder", folder, "--min-days", "7", code=1)
    short = {path.rpartition("/")[2]: code for path, code in why.items()}
    assert short == {
        "expired.pem": "expired", "soon.pem": "ends-soon", "nokey.pem": "key-missing",
        "wrong.pem": "key-mismatch", "encrypted.pem": "key-encrypted", "p521.pem": "key-type",
        "ed25519.pem": "key-type",
        "self.pem": "self-signed", "stranger.pem": "cert-chain", "broken.pem": "pem-malformed",
        "large.pem": "file-size", "bad.pem": "no-name", "loop.pem": "file-loop",
        "dangling.pem": "file-missing", "pipe.pem": "file-type"}, short
    assert told["adopted"] == 2
    wait_served(site, "one.folder.example")
    wait_served(site, "two.folder.example")


def der(tag, content):
    length = len(content)
    size = bytes([length]) if length < 128 else bytes([0x82]) + length.to_bytes(2, "big")
    return bytes([tag]) + size + content


def patched_rsa(public, private):
    """The public half of one key with the private one of another."""
    one, other = public.private_numbers(), private.private_numbers()
    numbers = (0, one.public_numbers.n, 65537, other.d, other.p, other.q, other.dmp1, other.dmq1, other.iqmp)
    text = der(0x30, b"".join(der(2, n.to_bytes(n.bit_length() // 8 + 1, "big")) for n in numbers))
    return (b"-----BEGIN RSA PRIVATE KEY-----\n" + base64.encodebytes(text) + b"-----END RSA PRIVATE KEY-----\n")


def test_a_key_whose_halves_do_not_belong_together(site, ca, folder):
    good, other = new_key("rsa"), new_key("rsa")
    chain = pem(ca.leaf("halves.example", key=good)) + pem(ca.intermediate)
    (folder / "bad.pem").write_bytes(chain + patched_rsa(good, other))
    told, why = adopt(site, "--folder", folder, code=1)
    assert list(why.values()) == ["key-mismatch"] and told["adopted"] == 0
    (folder / "bad.pem").write_bytes(chain + patched_rsa(good, good))
    told, why = adopt(site, "--folder", folder)
    assert told["adopted"] == 1
    wait_served(site, "halves.example")


def test_links_stay_in_the_folder(site, ca, folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "out.pem").write_bytes(b"".join(ca.pair("out.link.example")))
    (folder / "sub").mkdir()
    (folder / "sub/in.data").write_bytes(b"".join(ca.pair("in.link.example")))
    os.symlink("sub/in.data", folder / "in.pem")
    os.symlink(outside / "out.pem", folder / "out.pem")
    os.symlink("../outside/out.pem", folder / "relative.pem")
    told, why = adopt(site, "--folder", folder, code=1)
    assert {path.rpartition("/")[2]: code for path, code in why.items()} == {
        "out.pem": "link-outside", "relative.pem": "link-outside"}
    assert told["adopted"] == 1
    assert site.herd.api().get("/v1/domains/out.link.example").status == 404
    # certbot's, as it is.
    certbot(tmp_path / "le", "c.link.example", *ca.pair("c.link.example"))
    told, _ = adopt(site, "--folder", tmp_path / "le/live")
    assert told["adopted"] == 1
    # But not from a live/ to anywhere.
    os.symlink(outside / "out.pem", tmp_path / "le/live/c.link.example/out.pem")
    _, why = adopt(site, "--folder", tmp_path / "le/live", code=1)
    assert list(why.values()) == ["link-outside"]
    # And from one name's not to another's.
    certbot(tmp_path / "le", "d.link.example", *ca.pair("d.link.example"))
    (tmp_path / "le/live/c.link.example/out.pem").unlink()
    os.symlink("../../archive/d.link.example/fullchain1.pem", tmp_path / "le/live/c.link.example/d.pem")
    told, why = adopt(site, "--folder", tmp_path / "le/live/c.link.example", code=1)
    assert told["kept"] == 1 and list(why.values()) == ["link-outside"]


def test_one_thread_says_the_same_as_many(site, ca, folder):
    for i in range(40):
        chain, key = ca.pair(f"t{i:02}.thread.example")
        (folder / f"t{i:02}.pem").write_bytes(chain if i % 5 == 0 else chain + key)
    reports = [site.herd.cli("adopt", "--json", "--verbose", "--dry-run", "--roots", site.folder / "adopt-root.pem",
                             "--folder", folder, "--threads", n, check=False) for n in ("1", "7", "64")]
    assert [done.returncode for done in reports] == [1, 1, 1]
    assert reports[0].stdout == reports[1].stdout == reports[2].stdout
    assert reports[0].stdout.count("key-missing") == 9  # 8, and the sum
    told, _ = adopt(site, "--folder", folder, "--threads", "7", code=1)
    assert told["adopted"] == 32
    for name in ("t01", "t39"):
        wait_served(site, f"{name}.thread.example")


def test_of_which_ca_they_are(site, ca, folder):
    put = folder / "ari.pem"
    put.write_bytes(b"".join(ca.pair("ari.folder.example")))
    done = site.herd.cli("adopt", "--ca", "nobody", "--folder", folder, check=False)
    assert done.returncode == 2 and "no such CA, but main" in done.stderr, done
    told, _ = adopt(site, "--ca", "main", "--folder", folder)
    assert told["adopted"] == 1
    path = site.herd.folder / "store/certherd.db"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        (asked,), = db.execute("SELECT ari_ca FROM cert c JOIN cert_name n ON n.version = c.version "
                               "WHERE n.name = 'ari.folder.example' AND c.ari_id LIKE '%.%'")
    assert asked == f"127.0.0.1:{site.pebble.port}", "the host by which the issuer asks for what is due"
    # Which CA has that host the store hears from an issuer that asks for work.
    wait.until(lambda: site.herd.domain("ari.folder.example")["certificate"]["ca"] == "main", "the CA is known")
    (folder / "unsaid").mkdir()
    (folder / "unsaid/one.pem").write_bytes(b"".join(ca.pair("unsaid.folder.example")))
    adopt(site, "--folder", folder / "unsaid")
    assert site.herd.domain("unsaid.folder.example")["certificate"]["ca"] is None
    done = site.herd.cli("cert", "standby", "unsaid.folder.example", check=False)
    assert done.returncode == 2 and "live: unknown" in done.stderr and "--swap" in done.stderr, done


def test_a_source_without_certificates(site, folder):
    for kind in ("--folder", "--certbot", "--caddy"):
        where = folder / kind.strip("-")
        (where / {"--certbot": "live", "--caddy": "certificates"}.get(kind, "")).mkdir(parents=True)
        done = site.herd.cli("adopt", kind, where, check=False)
        assert done.returncode == 2 and "no certificate was found" in done.stderr, done
    (folder / "nginx.conf").write_text("http { server { server_name a.example; } }\n")
    assert site.herd.cli("adopt", "--nginx", folder / "nginx.conf", check=False).returncode == 2


def test_what_stands_behind_an_nginx_server(site, ca, folder):
    chain, key = ca.pair("a.behind.example", "b.behind.example")
    (folder / "a.pem").write_bytes(chain)
    (folder / "a.key").write_bytes(key)
    (folder / "nginx.conf").write_text(
        "http {\n server { listen 443 ssl; server_name a.behind.example; }\n include more.conf;\n}\n")
    (folder / "more.conf").write_text("ssl_certificate a.pem;\nssl_certificate_key a.key;\n")
    told, _ = adopt(site, "--nginx", folder / "nginx.conf")
    assert told["adopted"] == 1
    wait_served(site, "a.behind.example")
    assert site.herd.api().get("/v1/domains/b.behind.example").status == 404


def test_two_certificates_and_the_better_one(site, ca, folder):
    for kind, days in (("ecdsa", 50), ("rsa", 55)):
        (folder / f"both-{kind}.pem").write_bytes(b"".join(ca.pair("both.two.example", kind=kind, days=days)))
    told, _ = adopt(site, "--folder", folder, "--keys", "ecdsa+rsa")
    assert told["adopted"] == 2
    domain = site.herd.domain("both.two.example")
    assert domain["state"] == "active", domain
    wait_served(site, "both.two.example")
    wait.until(lambda: served(site, "both.two.example", "-sigalgs", "RSA-PSS+SHA256", "-tls1_2",
                              "-cipher", "ECDHE-RSA-AES128-GCM-SHA256") not in
               ("", domain["certificate"]["serial"].lower().lstrip("0")), "RSA is served", 20)
    for kind, days in (("ecdsa", 50), ("rsa", 55)):
        (folder / f"one-{kind}.pem").write_bytes(b"".join(ca.pair("one.two.example", kind=kind, days=days)))
    (folder / "only").write_text("one.two.example\n")
    adopt(site, "--folder", folder, "--only", folder / "only")
    domain = site.herd.domain("one.two.example")
    assert domain["certificate"]["not_after"] > site.herd.domain("both.two.example")["certificate"]["not_after"]


def test_one_that_cannot_be_used_does_not_hide_one_that_can(site, ca, folder):
    good, later = ca.pair("hidden.example", days=50), ca.pair("hidden.example", days=60)
    certbot(folder, "good", *good)
    certbot(folder, "bad", later[0], ca.pair("other.hidden.example")[1])
    told, why = adopt(site, "--certbot", folder, code=1)
    assert told["adopted"] == 1 and "key-mismatch" in why.values()
    wait_served(site, "hidden.example")


def test_another_tenants_name_is_refused(site, ca, folder):
    site.add("a.tenant.example", tenant="t1")
    (folder / "a.pem").write_bytes(b"".join(ca.pair("a.tenant.example")))
    _, why = adopt(site, "--folder", folder, "--tenant", "t2", code=1)
    assert why == {"a.tenant.example": "tenant"}


def test_bad_calls(site, folder):
    for wrong in ([], ["--certbot", folder], ["--caddy", folder], ["--folder", folder / "none"],
                  ["--nginx", folder / "none.conf"], ["--folder", folder, "--keys", "dsa"],
                  ["--folder", folder, "--min-days", "x"], ["--folder", folder, "--threads", "0"],
                  ["--folder", folder, "--threads", "65"], ["--folder", folder, "--threads", "two"], ["--folder", folder, "--only", folder / "none"],
                  ["--folder", folder, "--tenant", "A B"], ["--folder", folder, "--tenant", ""],
                  ["--folder", folder, "--pool", "p" * 64]):
        assert site.herd.cli("adopt", *wrong, check=False).returncode == 2, wrong


def test_killed_midway_it_is_just_run_again(site, ca, folder):
    names = [f"n{i}.killed.example" for i in range(400)]
    for name in names:
        (folder / f"{name}.pem").write_bytes(b"".join(ca.pair(name)))
    argv = [lab_herd.binary(), "adopt", "--roots", site.folder / "adopt-root.pem", "--folder", folder]
    there = lambda: site.herd.api().get("/v1/domains?prefix=n&limit=1000").json["domains"]
    some = lambda: sum(d["name"].endswith(".killed.example") for d in there())
    with subprocess.Popen(argv, env=site.herd.env, stdout=subprocess.DEVNULL) as running:
        wait.until(lambda: some() or running.poll() is not None, "it has begun", 30)
        running.send_signal(signal.SIGKILL)
    told, _ = adopt(site, "--folder", folder)
    assert told["adopted"] + told["kept"] == len(names) and some() == len(names)
    assert {d["state"] for d in there() if d["name"].endswith(".killed.example")} == {"active"}
    wait_served(site, names[0])
    wait_served(site, names[-1])
    assert site.herd.cli("verify").stdout.startswith("The same: ")


def test_what_ends_soon_is_renewed_at_once(site, ca, folder):
    """By the CA that is configured: from then on it is a name like any other."""
    (folder / "a.pem").write_bytes(b"".join(ca.pair("due.renewed.example", days=1, ago=89)))
    adopt(site, "--folder", folder)
    site.herd.wait_state("due.renewed.example", "active", 60,
                         also=lambda domain: "Pebble" in domain["certificate"]["issuer"])


def test_no_key_is_in_what_it_prints(site, ca, folder):
    chain, key = ca.pair("a.printed.example")
    (folder / "a.pem").write_bytes(chain + key)
    done = site.herd.cli("adopt", "--verbose", "--roots", site.folder / "adopt-root.pem", "--folder", folder)
    text = key.decode().splitlines()[1]
    assert "adopted" in done.stdout and text not in done.stdout + done.stderr
