"""Alerts: raised by what really goes wrong, told by a hook and a signed webhook."""

import hashlib
import hmac
import http.server
import json
import os
import re
import ssl
import threading

import pytest

from lab import casim, herd, pebble, ports, tls, wait

SECRET = "a secret of some length\n"


class Receiver:
    """Takes alerts over https; answers with `status`."""

    def __init__(self, folder):
        folder.mkdir(parents=True)
        pebble.make_api_certificate(folder)
        self.got, self.status = [], 200
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.headers["Certherd-Signature"], body))
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", ports.free_port()), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "api.pem", folder / "api.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.ca = folder / "minica.pem"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02},
                         daemon=True).start()

    @property
    def url(self):
        return f"https://127.0.0.1:{self.server.server_address[1]}/hook"

    def alerts(self, kind):
        return [alert for alert in (json.loads(body) for _, body in self.got) if alert["kind"] == kind]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def told(make_site, tmp_path):
    """(site, receiver, lines of the hook)"""
    receivers = []

    def make(**settings):
        site = make_site()
        receiver = Receiver(tmp_path / f"receiver{len(receivers)}")
        receivers.append(receiver)
        secret = tmp_path / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        hook, said = tmp_path / "hook", tmp_path / "said"
        hook.write_text(f'#!/bin/sh\n{{ echo "$@"; cat; echo; }} >> {said}\n')
        hook.chmod(0o755)
        site.settings = {"alerts": {"webhook": receiver.url, "webhook_ca": receiver.ca,
                                    "webhook_secret": secret, "hook": hook,
                                    "look_every": "1s"},
                         "store": {"edge_timeout": "5s"}, **settings}
        return site.start(), receiver, said

    yield make
    for receiver in receivers:
        receiver.close()


def test_every_kind_has_a_section():
    listed = (herd.ROOT / "src/stored/alerts.h").read_text()
    kinds = set(re.findall(r'X\("([a-z-]+)"\)', listed))
    assert len(kinds) > 10
    assert kinds == set(re.findall(r"^## ([a-z]+-[a-z-]+)$", (herd.ROOT / "doc/alerts.md").read_text(), re.M))
    used = "".join((herd.ROOT / path).read_text() for path in ("src/stored/alerts.c", "src/issuerd/alerts.c"))
    assert not [kind for kind in kinds if f'"{kind}"' not in used]


def test_a_silent_edge_is_told_once_and_signed(told):
    site, receiver, said = told()
    # A name that is there before the first edge is told of, too.
    wait.until(lambda: site.herd.look("/v1/edges").json["edges"], "the edge is known")
    site.go_live("alert.example.com")
    assert "Nothing is wrong" in site.herd.cli("alerts").stdout
    with site.herd.suspended("agent"):
        wait.until(lambda: receiver.alerts("edge-silent"), "the webhook is told", 60)
        shown = site.herd.cli("alerts", check=False)
        assert shown.returncode == 1 and "edge-silent" in shown.stdout
    signature, body = receiver.got[0]
    parts = dict(part.split("=") for part in signature.split(","))
    wanted = hmac.new(SECRET.strip().encode(), f"{parts['t']}.".encode() + body, hashlib.sha256)
    assert hmac.compare_digest(parts["v1"], wanted.hexdigest())
    other = hmac.new(b"another secret", f"{parts['t']}.".encode() + body, hashlib.sha256)
    assert parts["v1"] != other.hexdigest()
    alert = receiver.alerts("edge-silent")[0]
    assert (alert["severity"], alert["state"], alert["subject"]) == ("critical", "open", "edge/default/e1")
    lines = said.read_text().splitlines()
    assert lines[0] == "alert" and json.loads(lines[1])["id"] == alert["id"]
    assert len({a["id"] for a in receiver.alerts("edge-silent")}) == 1


def test_an_edge_whose_nginx_cannot_open_keys_is_told(make_site):
    port = ports.free_port()
    site = make_site(nginx_options={"http_extra":
        "server { listen 127.0.0.1:%d; location = /metrics { certherd_status; } }" % port})
    site.settings = {"alerts": {"look_every": "1s"},
                     "agent": {"nginx_status": f"http://127.0.0.1:{port}/metrics"}}
    site.start().go_live("opened.example.com")
    assert site.herd.look("/v1/edges").json["edges"][0]["error"] is None
    # The key is another one than the issuer seals to.
    site.nginx.stop()
    key = site.herd.folder / "edge/recipient.key"
    key.unlink()
    site.herd.cli("key", "new", key)
    site.nginx.start()

    def told():
        with pytest.raises(tls.Refused):
            site.connect("opened.example.com").close()
        return [alert["detail"] for alert in site.herd.look("/v1/alerts").json["alerts"]
                if alert["kind"] == "edge-in-trouble"]

    assert "nginx cannot open keys" in wait.until(told, "it is an alert", 60)[0]
    assert "nginx cannot open keys" in site.herd.cli("status").stdout


def test_a_webhook_that_fails_is_tried_again(told):
    site, receiver, _ = told()
    receiver.status = 500
    site.go_live("again.example.com")
    with site.herd.suspended("agent"):
        wait.until(lambda: receiver.alerts("edge-silent"), "it was tried", 60)
        wait.until(lambda: site.herd.look("/v1/alerts").json["alerts"][0]["tries"] >= 1, "it failed", 30)
        assert "HTTP status 500" in (site.herd.folder / "up.log").read_text()
        assert "edge-silent" in site.herd.cli("alerts", check=False).stdout


def test_the_path_of_a_webhook_is_in_no_log(told):
    """It may hold a token."""
    site, receiver, _ = told()
    receiver.close()
    site.go_live("token.example.com")
    with site.herd.suspended("agent"):
        wait.until(lambda: any(alert["tries"] for alert in site.herd.look("/v1/alerts").json["alerts"]),
                   "it failed", 60)
    log = (site.herd.folder / "up.log").read_text()
    origin, _, path = receiver.url.partition("://")[2].partition("/")
    assert f"https://{origin}: cannot connect" in log
    assert path and f"{origin}/" not in log


def test_a_secret_that_others_can_read_is_refused(make_site, tmp_path):
    site = make_site()
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    os.chmod(secret, 0o644)
    site.settings = {"alerts": {"webhook": "https://alerts.example/x", "webhook_secret": secret}}
    site.prepare()
    issuer = site.herd.start("issuer")
    wait.until(lambda: not issuer.is_alive(), "the issuer refuses to start", 20)
    assert "secret" in issuer.log()


@pytest.mark.parametrize("program", ["store", "issuer"])
def test_troubles_must_be_looked_for_often(tmp_path, program):
    """An alert is closed when it was not seen for two minutes."""
    made = herd.Herd(tmp_path / "certherd").init()
    made.set("alerts", look_every="2m")
    done = made.cli(program, check=False)
    assert done.returncode != 0 and "look_every" in done.stderr


@pytest.fixture
def told_by_casim(told, make_site):
    """make(): (site, receiver, the CA), whose answers can be chosen."""
    cas = []

    def make():
        folder = make_site().folder
        ca = casim.Casim(folder / "casim", ports.free_port(), validation={"always_valid": True})
        cas.append(ca.start())
        site, receiver, _ = told(issuer={"directory": ca.directory, "directory_ca": ca.api_ca,
                                         "roots": ca.root})
        return site, receiver, ca

    yield make
    for ca in cas:
        ca.stop()


def test_a_name_that_the_ca_has_paused_is_told_with_the_page_to_visit(told_by_casim):
    site, receiver, ca = told_by_casim()
    ca.ask("/names", {"paused.example.com": {"paused": True}})
    site.go_live("good.example.com")
    site.add("paused.example.com")
    site.herd.wait_state("paused.example.com", "paused")
    wait.until(lambda: receiver.alerts("account-paused"), "somebody is told", 60)
    alert = receiver.alerts("account-paused")[0]
    assert alert["severity"] == "warning"
    assert "paused.example.com" in alert["detail"]
    assert re.search(r"Visit https://casim\.example/sfe/v1/unpause\?jwt=\S+", alert["detail"])
    assert not receiver.alerts("account-refused")


def test_that_a_person_must_act_for_the_account_is_told_with_the_page(told_by_casim):
    site, receiver, ca = told_by_casim()
    site.go_live("before.example.com")
    ca.ask("/settings", {"account": {"must_act": True}})
    site.add("terms.example.com")
    wait.until(lambda: receiver.alerts("account-paused"), "somebody is told", 60)
    alert = receiver.alerts("account-paused")[0]
    assert alert["severity"] == "critical" and "https://casim.example/terms" in alert["detail"]
    assert not receiver.alerts("account-refused")
    assert site.herd.domain("terms.example.com")["state"] != "failed"


def test_whom_names_wait_for_is_told_without_those_that_wait_for_a_freeze(told_by_casim):
    site, receiver, ca = told_by_casim()
    ca.ask("/names", {"paused.example.com": {"paused": True}})
    site.go_live("good.example.com")
    site.add("paused.example.com")
    site.herd.wait_state("paused.example.com", "paused")
    wait.until(lambda: receiver.alerts("platform-must-act"), "the webhook is told", 60)
    detail = "1 name waits for the platform: `certherd domain list --actor platform` says why."
    assert receiver.alerts("platform-must-act")[0]["detail"] == detail
    site.herd.cli("feed", "freeze", "--reason", "a test")
    site.add("frozen.example.com")
    reason = wait.until(lambda: (lambda found: found["code"] == "feed-frozen" and found)(
        site.herd.domain("frozen.example.com")["reason"]), "it waits for the freeze", 30)
    assert reason["actor"] == "operator"
    since = site.herd.look("/v1/status").json["now"]

    def looked_again():
        return [alert for alert in site.herd.look("/v1/alerts").json["alerts"]
                if alert["kind"] == "platform-must-act" and alert["seen_at"] > since]

    found = wait.until(looked_again, "the store has looked since", 30)
    assert [alert["detail"] for alert in found] == [detail]
    assert "a test" in site.herd.cli("status").stdout, "the freeze has a line of its own"


def test_an_edge_that_takes_nothing_is_critical(told, tmp_path):
    site, receiver, _ = told()
    site.go_live("before.example.com")
    signers = site.herd.folder / "edge/signers"
    kept = signers.read_text()
    # Of another installation: nothing that this issuer signs is taken.
    other = herd.Herd(tmp_path / "other").init()
    signers.write_text((other.folder / "edge/signers").read_text())
    site.herd.stop()
    site.herd.start("up")
    for n in range(3):
        site.add(f"refused{n}.example.com")
    wait.until(lambda: [a for a in receiver.alerts("edge-in-trouble") if a["severity"] == "critical"],
               "somebody is told", 90)
    alert = [a for a in receiver.alerts("edge-in-trouble") if a["severity"] == "critical"][0]
    assert "takes none of the certificates" in alert["detail"] and "signers" in alert["detail"]
    assert "Critical: " in site.herd.cli("status").stdout
    signers.write_text(kept)
    site.herd.stop()
    site.herd.start("up")
    site.go_live("after.example.com")
    wait.until(lambda: site.herd.look("/v1/edges").json["edges"][0]["error"] is None, "it is well again", 30)
