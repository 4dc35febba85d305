"""Who is refused by the store, on each kind of route."""

import ssl

import pytest

import identities
from identities import SERVER
from lab import herd, wait

OPERATOR = "certherd://operator/default/mallory"

# (method, path, body, roles that may)
ROUTES = [
    ("PUT", "/v1/domains/auth.example.com", {}, {"operator", "platform"}),
    ("GET", "/v1/domains/auth.example.com", None, {"operator", "platform", "viewer", "issuer"}),
    ("DELETE", "/v1/domains/auth.example.com", None, {"operator", "platform"}),
    ("GET", "/v1/domains", None, {"operator", "platform", "viewer"}),
    ("POST", "/v1/domains", {"domains": []}, {"operator", "platform"}),
    ("POST", "/v1/domains/auth.example.com/retry", {}, {"operator", "platform"}),
    ("POST", "/v1/domains/auth.example.com/pause", {}, {"operator", "platform"}),
    ("POST", "/v1/domains/auth.example.com/resume", {}, {"operator", "platform"}),
    ("GET", "/v1/certificates/auth.example.com", None, {"operator", "platform", "viewer"}),
    ("POST", "/v1/certificates/auth.example.com/rollback", {}, {"operator"}),
    ("POST", "/v1/certificates/auth.example.com/standby", {}, {"operator"}),
    ("POST", "/v1/standby", {"ca": "main", "max": 1, "dry_run": True}, {"operator"}),
    ("GET", "/v1/orders", None, {"operator", "viewer", "issuer"}),
    ("GET", "/v1/orders/1", None, {"operator", "viewer", "issuer"}),
    ("POST", "/v1/leases", {"max": 1, "lease_ms": 1000, "wait_ms": 0}, {"issuer"}),
    ("PATCH", "/v1/orders/1", {"fence": 1}, {"issuer"}),
    ("POST", "/v1/orders/1/publish", {"fence": 1}, {"issuer"}),
    ("POST", "/v1/steps", {}, {"issuer"}),
    ("POST", "/v1/adoptions", {"items": []}, {"issuer"}),
    ("GET", "/v1/limits", None, {"operator", "viewer"}),
    ("GET", "/v1/forecast", None, {"operator", "viewer"}),
    ("POST", "/v1/rekey", {"max": 1, "dry_run": True}, {"operator"}),
    ("GET", "/v1/rekey", None, {"operator", "viewer"}),
    ("GET", "/v1/alerts", None, {"operator", "viewer"}),
    ("POST", "/v1/alerts", {"troubles": []}, {"issuer"}),
    ("GET", "/v1/calendar", None, {"operator", "viewer"}),
    ("POST", "/v1/renewal-info/leases", {"ca": "ca.test", "max": 1, "lease_ms": 1000}, {"issuer"}),
    ("POST", "/v1/renewal-info", {"certificates": [
        {"version": 1, "next_at": "2027-01-15T08:00:00Z", "failed": True}]}, {"issuer"}),
    ("GET", "/v1/tickets", None, {"issuer"}),
    ("PUT", "/v1/tickets/default", {"replaces": 0, "record": "AQU"}, {"issuer"}),
    ("GET", "/v1/feed", None, {"edge"}),
    ("GET", "/v1/feed/snapshot", None, {"edge"}),
    ("GET", "/v1/feed/checksum", None, {"operator", "viewer", "edge"}),
    ("POST", "/v1/wanted", {"names": ["auth.example.com"]}, {"edge"}),
    ("POST", "/v1/handback", {"records": []}, {"edge"}),
    ("PUT", "/v1/edges/self", {"epoch": "00" * 16, "seq": 0, "names": 0, "software": "t",
                               "error": None}, {"edge"}),
    ("GET", "/v1/edges", None, {"operator", "viewer"}),
    ("DELETE", "/v1/edges/default/nobody", None, {"operator"}),
    ("GET", "/v1/pools", None, {"operator", "viewer"}),
    ("POST", "/v1/pools/default/freeze", {"reason": "r"}, {"operator"}),
    ("POST", "/v1/pools/default/thaw", {}, {"operator"}),
    ("PUT", "/v1/pools/default/canary", {"edge": "nobody", "soak_ms": 0}, {"operator"}),
    ("DELETE", "/v1/pools/default/canary", None, {"operator"}),
    ("POST", "/v1/pools/default/release", {}, {"operator"}),
    ("GET", "/v1/metrics", None, {"operator", "viewer"}),
    ("GET", "/v1/status", None, {"operator", "platform", "viewer"}),
    ("GET", "/v1/audit", None, {"operator", "viewer"}),
]
ROLES = ("operator", "platform", "viewer", "issuer", "edge")


@pytest.fixture(scope="module")
def store(scratch_module):
    """A store alone, and the CAs to make identities with."""
    made = herd.Herd(scratch_module / "certherd")
    made.init()
    made.ca = identities.Ca(made.pki("ca.pem"), made.folder / "offline/ca.key")
    made.edge_ca = identities.Ca(made.pki("edge-ca.pem"), made.pki("edge-ca.key"))
    made.identities = scratch_module / "identities"
    made.identities.mkdir()
    try:
        made.start("store")
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def scratch_module():
    import shutil
    from lab import site
    folder = site.make_scratch("certherd-test-")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def client(store, label, *uris, **options):
    paths = identities.make(store.identities, label, uris, **options)
    return herd.Api(store.store_port, store.pki("ca.pem"), *paths)


def attempt(api, route):
    """The status of the answer, or 'refused' when the TLS handshake was."""
    method, path, body, _ = route
    try:
        answer = api.call(method, path, body)
    except (ssl.SSLError, ConnectionError):
        return "refused", None
    return answer.status, answer.code


def refused_everywhere(api, statuses=(401,)):
    for route in ROUTES:
        status, _ = attempt(api, route)
        assert status == "refused" or status in statuses, (route[:2], status)


def test_the_control_a_good_operator_is_let_in(store):
    api = client(store, "good", "certherd://operator/default/good", ca=store.ca)
    assert api.get("/v1/status").status == 200


def test_without_a_certificate(store):
    refused_everywhere(herd.Api(store.store_port, store.pki("ca.pem")))


def test_self_signed_with_an_operators_name(store):
    refused_everywhere(client(store, "selfsigned", OPERATOR))


def test_signed_by_a_ca_of_the_same_name(store, tmp_path):
    paths = identities.make(tmp_path, "fake-ca", ())
    fake = identities.Ca(*paths)
    fake.certificate = store.ca.certificate  # the real subject, another key
    refused_everywhere(client(store, "fakeca", OPERATOR, ca=fake))


def test_server_certificates_are_no_clients(store):
    refused_everywhere(client(store, "serveronly", OPERATOR, ca=store.ca, usages=(SERVER,)))


def test_the_stores_own_certificate_is_no_client(store):
    refused_everywhere(store.api("store"))


def test_without_any_usage(store):
    refused_everywhere(client(store, "nousage", OPERATOR, ca=store.ca, usages=()))


def test_expired(store):
    refused_everywhere(client(store, "expired", OPERATOR, ca=store.ca, days=(-30, -1)))


def test_not_valid_yet(store):
    refused_everywhere(client(store, "future", OPERATOR, ca=store.ca, days=(2, 30)))


def test_two_names_in_one_certificate(store):
    refused_everywhere(client(store, "two", OPERATOR, "certherd://viewer/default/v", ca=store.ca))


def test_no_name_at_all(store):
    refused_everywhere(client(store, "none", ca=store.ca))


@pytest.mark.parametrize("uri", [
    "certherd://operator/default", "certherd://operator/default/a/b", "https://operator/default/a",
    "certherd://operator//a", "certherd://Operator/default/a", "certherd://root/default/a",
    "certherd:///default/a", "certherd://operator/default/a b"])
def test_names_that_are_no_identity(store, uri):
    label = "odd" + "".join(c if c.isalnum() else "_" for c in uri)
    refused_everywhere(client(store, label, uri, ca=store.ca), statuses=(401, 403))


@pytest.mark.parametrize("role", ["operator", "platform", "viewer", "issuer", "store"])
def test_the_edge_ca_signs_edges_only(store, role):
    refused_everywhere(
        client(store, f"edgeca-{role}", f"certherd://{role}/default/x", ca=store.edge_ca),
        statuses=(401, 403))


def test_the_edge_ca_may_sign_edges(store):
    api = client(store, "edge-good", "certherd://edge/default/e7", ca=store.edge_ca)
    assert api.get("/v1/feed").status == 200


@pytest.mark.parametrize("form", ["sha256", "uri"])
def test_revoked_while_the_store_runs(store, form):
    uri = f"certherd://operator/default/revoked-{form}"
    api = client(store, f"revoked-{form}", uri, ca=store.ca)
    assert api.get("/v1/status").status == 200
    line = {"sha256": "sha256:" + identities.fingerprint(store.identities / f"revoked-{form}.pem"),
            "uri": "uri:" + uri}[form]
    with open(store.pki("revoked"), "a") as revoked:
        revoked.write(line + "\n")
    wait.until(lambda: attempt(api, ROUTES[3])[0] in (401, "refused"), "the list is read again", 10)
    refused_everywhere(api)
    assert store.api().get("/v1/status").status == 200


@pytest.mark.parametrize("role", ROLES)
def test_each_role_reaches_its_own_routes_and_no_others(store, role):
    api = client(store, f"role-{role}", f"certherd://{role}/default/r", ca=store.ca)
    for route in ROUTES:
        status, code = attempt(api, route)
        if role in route[3]:
            assert status not in (401, 403, "refused"), (role, route[:2], status, code)
        else:
            assert (status, code) == (403, "not-allowed"), (role, route[:2])


def test_an_edge_sees_its_own_pool_only(store):
    store.api().put("/v1/domains/pool-a.example.com", {"pool": "a"})
    store.api().put("/v1/domains/pool-b.example.com", {"pool": "b"})
    feed = client(store, "edge-a", "certherd://edge/a/e1", ca=store.ca).get("/v1/feed").body
    assert b"pool-a.example.com" in feed
    assert b"pool-b.example.com" not in feed


def test_only_the_liveness_probe_is_open(store):
    api = herd.Api(store.store_port, store.pki("ca.pem"))
    answer = api.get("/v1/health")
    assert answer.status == 200 and answer.json == {"status": "ok"}


def test_a_client_refuses_a_store_of_another_ca(store, scratch_module):
    """The CLI must not talk to whoever listens there."""
    other = herd.Herd(scratch_module / "other")
    other.init()
    other.set("cli", store=f"https://127.0.0.1:{store.store_port}")
    done = other.cli("status", check=False)
    assert done.returncode == 4, done
