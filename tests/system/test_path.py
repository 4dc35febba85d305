"""The path of one name, from the API to a visitor's handshake."""

import json
import ssl
import subprocess

import pytest

from lab import ports, tls, wait

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
UNRECOGNIZED = "TLSV1_UNRECOGNIZED_NAME"


@pytest.fixture(scope="module")
def shop(site):
    site.go_live("shop.example.com")
    return "shop.example.com"


def test_a_name_becomes_active_and_is_served(site, shop):
    domain = site.herd.domain(shop)
    assert domain["state"] == "active"
    assert domain["reason"]["code"] == "ok"
    with site.connect(shop) as visit:
        assert visit.names == [shop]
        assert visit.serial.lstrip("0") == domain["certificate"]["serial"].lstrip("0")
        seen = visit.echo(shop, "/a?b=c")
    assert seen["path"] == "/a?b=c"
    assert seen["headers"]["host"] == shop
    assert seen["headers"]["x-forwarded-proto"] == "https"
    assert seen["headers"]["x-certherd-name"] == shop
    assert int(seen["headers"]["x-certherd-not-after"]) > 0


def test_curl_trusts_the_chain_that_nginx_sends(site, shop):
    done = subprocess.run(
        ["curl", "-sS", "--cacert", site.root, "--connect-to",
         f"{shop}:443:127.0.0.1:{site.nginx.https_port}", f"https://{shop}/"],
        capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["headers"]["host"] == shop


def test_the_history_tells_how_it_went(site, shop):
    events = site.herd.domain(shop)["history"]
    assert len(events) >= 2
    assert all({"at", "event", "detail", "actor"} <= set(event) for event in events)


def test_the_store_never_shows_a_key(site, shop):
    text = site.herd.api().get(f"/v1/certificates/{shop}").body.decode()
    assert "BEGIN CERTIFICATE" in text
    assert "PRIVATE" not in text and "sealed" not in text


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_both_tls_versions_are_served(site, shop, version):
    with site.connect(shop, tls.context(site.root, version)) as visit:
        assert visit.sock.version() == {TLS12: "TLSv1.2", TLS13: "TLSv1.3"}[version]
        assert visit.echo(shop)["headers"]["host"] == shop


@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize("spelling", ["SHOP.example.com", "Shop.Example.COM"])
def test_the_case_of_the_server_name_does_not_matter(site, shop, spelling, version):
    with site.connect(spelling, tls.context(site.root, version)) as visit:
        assert visit.names == [shop]


@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize("sni", [
    "unknown.example.com", "x.shop.example.com", "example.com", "placeholder.invalid", "localhost"])
def test_an_unknown_server_name_gets_alert_112(site, shop, sni, version):
    with pytest.raises(tls.Refused) as refusal:
        site.connect(sni, tls.context(version=version))
    assert refusal.value.alert == UNRECOGNIZED


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_client_without_server_name_is_refused(site, shop, version):
    with pytest.raises(tls.Refused):
        site.connect(None, tls.context(version=version))


def test_a_registered_name_without_certificate_is_refused(site):
    site.pebble.break_name("notyet.example.com")
    site.add("notyet.example.com")
    site.herd.wait_state("notyet.example.com", "failed")
    with pytest.raises(tls.Refused):
        site.connect("notyet.example.com", tls.context())


def test_the_placeholder_is_never_served(site, shop):
    pem = (site.nginx.folder / "placeholder.pem").read_text()
    placeholder = ssl.PEM_cert_to_DER_cert(pem)
    for sni in (shop, "placeholder.invalid", "placeholder", "unknown.example.com", "a", None):
        for version in (TLS12, TLS13):
            try:
                with site.connect(sni, tls.context(version=version)) as visit:
                    assert visit.der != placeholder, (sni, version)
            except tls.Refused:
                pass


def test_http2_is_negotiated(site, shop):
    done = subprocess.run(
        ["curl", "-sS", "--http2", "--cacert", site.root, "--connect-to",
         f"{shop}:443:127.0.0.1:{site.nginx.https_port}", "-o", "/dev/null",
         "-w", "%{http_version} %{http_code}", f"https://{shop}/"],
        capture_output=True, text=True, timeout=30)
    assert done.stdout == "2 200", done.stderr


@pytest.mark.skipif(not ports.has_ipv6(), reason="no IPv6 loopback")
def test_ipv6_is_served(site, shop):
    with site.connect(shop, address="::1") as visit:
        assert visit.names == [shop]


@pytest.mark.parametrize("line,address", [
    ("PROXY TCP4 203.0.113.7 192.0.2.1 40000 443", "203.0.113.7"),
    ("PROXY TCP6 2001:db8::7 2001:db8::1 40000 443", "2001:db8::7")])
def test_the_visitors_address_reaches_the_upstream_through_proxy_protocol(site, shop, line, address):
    with site.connect(shop, port=site.nginx.proxy_port, proxy_line=line) as visit:
        headers = visit.echo(shop)["headers"]
    assert headers["x-real-ip"] == address
    assert headers["x-forwarded-for"] == address


def test_a_host_that_the_certificate_does_not_cover_gets_421(site, shop):
    site.go_live("other.example.com")
    with site.connect(shop) as visit:
        assert visit.get("other.example.com")[0] == 421
    with site.connect(shop) as visit:
        assert visit.get("unknown.example.com")[0] == 421
    with site.connect(shop) as visit:
        assert visit.get(shop)[0] == 200


def test_plain_http_redirects_names_that_are_live_and_only_those(site, shop):
    status, headers, _ = tls.plain_get(site.nginx.http_port, shop, "/path?q=1")
    assert status == 308
    assert headers["Location"] == f"https://{shop}/path?q=1"
    status, _, body = tls.plain_get(site.nginx.http_port, "unknown.example.com", "/path")
    assert status == 200
    assert json.loads(body)["path"] == "/path"


def test_a_policy_set_by_the_platform_is_the_edges_within_a_moment(site, shop):
    def served():
        with site.connect(shop) as visit:
            _, headers, body = visit.get(shop)
        told = json.loads(body)["headers"]
        return (told.get("x-certherd-tenant"), told.get("x-certherd-upstream"),
                headers.get("Strict-Transport-Security"))

    assert served() == ("default", None, None)
    site.herd.cli("domain", "add", shop, "--tenant", "t1", "--upstream", "eu-1",
                  "--hsts", "max-age=300")
    wait.until(lambda: served() == ("t1", "eu-1", "max-age=300"), "the policy is there")
    site.herd.cli("domain", "add", shop, "--tenant", "default", "--upstream", "", "--hsts", "")
    wait.until(lambda: served() == ("default", None, None), "the policy is gone")


def test_challenges_are_answered_for_registered_names_only(site, shop):
    path = "/.well-known/acme-challenge/"
    status, headers, body = tls.plain_get(site.nginx.http_port, shop, path + "tok_en-1")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    token, _, thumbprint = body.decode().partition(".")
    assert token == "tok_en-1" and len(thumbprint) == 43
    snippet = (site.herd.folder / "edge/nginx-certherd.conf").read_text()
    assert thumbprint in snippet
    assert tls.plain_get(site.nginx.http_port, "unknown.example.com", path + "abc")[0] != 200
    for bad in ("", "a.b", "a%2fb", "a" * 129, "%00", "a=b"):
        assert tls.plain_get(site.nginx.http_port, shop, path + bad)[0] != 200, bad


def test_names_from_all_over_the_world_work(site):
    site.add("bücher.example.com".encode("idna").decode())
    domain = site.herd.wait_state("xn--bcher-kva.example.com", "active")
    assert domain["display"] == "bücher.example.com"
    with site.connect("xn--bcher-kva.example.com") as visit:
        assert visit.names == ["xn--bcher-kva.example.com"]


def test_a_removed_name_is_refused_at_the_next_handshake(site):
    site.go_live("leaving.example.com")
    with site.connect("leaving.example.com"):
        pass
    assert site.herd.api().delete("/v1/domains/leaving.example.com").status == 204

    def refused():
        try:
            site.connect("leaving.example.com").sock.close()
            return False
        except tls.Refused as refusal:
            return refusal.alert

    assert wait.until(refused, "the name is refused", 10) == UNRECOGNIZED
    assert site.herd.api().get("/v1/domains/leaving.example.com").status == 404
    assert tls.plain_get(site.nginx.http_port, "leaving.example.com",
                         "/.well-known/acme-challenge/abc")[0] != 200


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_removed_name_is_refused_on_resumption_too(site, version):
    name = f"resume{version.value}.example.com"
    site.go_live(name)
    ctx = tls.context(site.root, version)
    with site.connect(name, ctx) as visit:
        visit.get(name)  # TLS 1.3: tickets come after the handshake
        session = visit.sock.session
    with site.connect(name, ctx, session=session) as visit:
        assert visit.sock.session_reused, "the test needs sessions that can be resumed"
        visit.get(name)
        session = visit.sock.session
    site.herd.api().delete(f"/v1/domains/{name}")

    def refused():
        try:
            with site.connect(name, ctx, session=session):
                return False
        except tls.Refused as refusal:
            return refusal.alert

    assert wait.until(refused, "the resumed session is refused", 10) == UNRECOGNIZED


def test_a_removed_name_can_come_back(site):
    site.go_live("back.example.com")
    assert site.herd.api().delete("/v1/domains/back.example.com").status == 204
    site.go_live("back.example.com")
    with site.connect("back.example.com") as visit:
        assert visit.names == ["back.example.com"]


def test_a_session_of_one_name_does_not_resume_under_another(site, shop):
    site.go_live("second.example.com")
    for version in (TLS12, TLS13):
        ctx = tls.context(site.root, version)
        with site.connect(shop, ctx) as visit:
            visit.get(shop)
            session = visit.sock.session
        with site.connect("second.example.com", ctx, session=session) as visit:
            assert not visit.sock.session_reused
            assert visit.names == ["second.example.com"]


def test_an_nginx_reload_keeps_everything(site, shop):
    site.nginx.reload()
    with site.connect(shop) as visit:
        assert visit.names == [shop]


def test_many_names_at_once(site):
    names = [f"n{number}.many.example.com" for number in range(40)]
    answer = site.herd.api().post("/v1/domains", {"domains": [{"name": name} for name in names]})
    assert answer.json["created"] == 40
    for name in names:
        site.herd.wait_state(name, "active", 60)
        with site.connect(name) as visit:
            assert visit.names == [name]
