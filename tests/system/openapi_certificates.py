"""Tests of test_openapi.py: what becomes of a certificate: renewal, its turn, a second one, a standby."""

import time

from api_fixture import b64u, chain_block, record, time_text, until
from cryptography.hazmat.primitives.serialization import Encoding
from test_api_orders import BEGIN, END, lease, new_order, publication, publish, step


def heard_of(version, **more):
    return {"version": version, "next_at": time_text(time.time() + 3600), **more}


def test_when_a_certificate_is_to_be_renewed(store, operator, issuer):
    assert operator.put("/v1/domains/ari.example.com").status == 201
    caa = 'ca.test; accounturi=https://ca.test/1; validationmethods=http-01'
    order = lease(issuer, "ari.example.com", pace={"account": "ari.test/1"}, caa=[caa])
    assert operator.get("/v1/domains/ari.example.com").json["caa"] == [f'0 issue "{caa}"']
    for bad in ('a"b', "a\\b", "a\nb", "\u00e9", "", "x" * 401):
        for key in ("caa", "persist"):
            body = {"max": 1, "lease_ms": 1000, key: [bad]}
            assert issuer.post("/v1/leases", body).code == "bad-field"
    standing = {"max": 1, "lease_ms": 1000, "persist": ["ca.test; accounturi=https://ca.test/1"]}
    assert issuer.post("/v1/leases", standing).status == 200
    assert operator.get("/v1/domains/ari.example.com").json["persist"] == []
    assert issuer.post("/v1/leases", {**standing, "persist_all": True}).status == 200
    assert operator.get("/v1/domains/ari.example.com").json["persist"] == [
        {"name": "_validation-persist.ari.example.com", "txt": standing["persist"][0]}]
    assert issuer.post("/v1/leases", {**standing, "persist": []}).status == 200
    assert operator.get("/v1/domains/ari.example.com").json["persist"] == []
    sealed = {"csr": b64u(b"csr"), "sealed": b64u(b"sealed")}
    assert step(issuer, order, state="sealed", **sealed).status == 200
    leaf = store.identity("viewer", ident="ari").cert.public_bytes(Encoding.DER)
    late = time_text(BEGIN + 80 * 86400)
    chain = chain_block(store.ca.cert.public_bytes(Encoding.DER))
    body = publication(order, leaf=leaf, chain=chain, renew_from=time_text(BEGIN), renew_at=late,
                       ari_id="aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")
    assert publish(issuer, order, body).status == 200
    confirming = lease(issuer, "ari.example.com")
    assert step(issuer, confirming, state="done").status == 200
    leases = {"ca": "ari.test", "max": 1, "lease_ms": 600000}
    asked = issuer.post("/v1/renewal-info/leases", leases).json
    assert [ask["version"] for ask in asked["certificates"]] == [order["id"]]
    again = issuer.post("/v1/renewal-info/leases", leases).json
    assert not again["certificates"] and again["next_at"]
    none = issuer.post("/v1/renewal-info/leases", {**leases, "ca": "other.test"}).json
    assert not none["certificates"] and not none["next_at"]
    failed = issuer.post("/v1/renewal-info", {"certificates": [heard_of(order["id"], failed=True)]})
    assert failed.json["moved"] == 0
    assert operator.get("/v1/domains/ari.example.com").json["certificate"]["renewal_info"] is None
    begin = time.time() + 86400
    window = {"start": time_text(begin), "end": time_text(begin + 86400),
              "renew_from": time_text(begin), "renew_at": time_text(begin + 86400),
              "explanation": "https://ca.test/why"}
    for moved in (1, 0):
        answer = issuer.post("/v1/renewal-info",
                             {"certificates": [heard_of(order["id"], window=window)]})
        assert answer.json["moved"] == moved
    both = {"certificates": [heard_of(order["id"], window=window, failed=True)]}
    assert issuer.post("/v1/renewal-info", both).code == "bad-field"
    turned = {**window, "end": window["start"]}
    backwards = {"certificates": [heard_of(order["id"], window=turned)]}
    assert issuer.post("/v1/renewal-info", backwards).code == "bad-field"
    shown = operator.get("/v1/certificates/ari.example.com").json["current"]
    assert window["start"] <= shown["renew_at"] <= window["end"]
    assert shown["renewal_info"]["explanation"] == "https://ca.test/why"
    calendar = operator.get("/v1/calendar").json
    assert calendar["total"] >= 1
    assert shown["renew_at"][:13] in [hour["hour"][:13] for hour in calendar["busiest"]]
    assert shown["renew_at"][:10] in [day["day"][:10] for day in calendar["days"]]
    assert operator.post("/v1/domains/ari.example.com/retry").status == 200
    renewal = lease(issuer, "ari.example.com", pace={"account": "ari.test/1"})
    assert renewal["replaces"] == body["ari_id"]


def test_when_those_who_wait_have_their_turn(operator, issuer):
    """After the calendar has something."""
    pace = {"account": "turns.test/1", "orders": "20/100h", "domain": "1/7d"}
    lease_all = {"max": 256, "lease_ms": 600000, "pace": pace}
    names = [f"turn{number}.turns.example" for number in range(30)]
    assert operator.post("/v1/domains", {"domains": [{"name": name} for name in names]}).status == 200
    issuer.post("/v1/leases", lease_all)
    alone = [f"turn{number}.example" for number in range(30)]
    for name in alone:
        assert operator.put(f"/v1/domains/{name}").status == 201
    issuer.post("/v1/leases", lease_all)
    expected = [operator.get(f"/v1/domains/{name}").json["expected"] for name in names]
    assert {"at", "limit", "ahead"} <= set().union(*[one or {} for one in expected])
    until(lambda: operator.get(f"/v1/domains/{alone[-1]}").json["expected"], "it is foretold")
    assert operator.get(f"/v1/domains/{alone[-1]}").json["expected"]["limit"] == "account"
    until(lambda: operator.get("/v1/forecast").json["raise"] == "orders_per_account",
          "the limit to raise is named")
    forecast = operator.get("/v1/forecast").json
    assert forecast["limited"] and forecast["waiting"] and forecast["renewals"]
    assert forecast["classes"][0]["class"] == "new"
    assert [bucket["of"] for bucket in forecast["buckets"]][0] == "turns.test/1"
    assert forecast["raise_ca"] is None
    lease_all["fallback"] = [{"account": "second.test/1", "ca": "second", "orders": "2/2000h"}]
    assert issuer.post("/v1/leases", lease_all).status == 200
    until(lambda: operator.get("/v1/forecast").json["raise_ca"] == "turns.test", "its CA is named")
    listed = operator.get("/v1/domains?prefix=turn&limit=1000").json["domains"]
    assert {one["expected"]["limit"] for one in listed if "expected" in one} >= {"account"}


def test_a_domain_with_two_certificates(store, operator, issuer):
    assert operator.put("/v1/domains/rsa.example.com", {"keys": "rsa"}).status == 201
    assert operator.get("/v1/domains/rsa.example.com").json["keys"] == "rsa"
    order = new_order(operator, issuer, "two.example.com", keys="ecdsa+rsa")
    for second, key in ((False, "ecdsa"), (True, "rsa")):
        if second:
            order = lease(issuer, "two.example.com")
        assert (order["second"], order["key"]) == (second, key)
        sealed = {"csr": b64u(b"csr"), "sealed": b64u(b"sealed")}
        assert step(issuer, order, state="sealed", **sealed).status == 200
        leaf = store.identity("viewer", ident=key).cert.public_bytes(Encoding.DER)
        chain = chain_block(store.ca.cert.public_bytes(Encoding.DER))
        assert publish(issuer, order, leaf=leaf, chain=chain).status == 200
        done = {"fence": order["fence"], "state": "done"}
        assert issuer.patch(f"/v1/orders/{order['id']}", done).status == 200
    shown = operator.get("/v1/domains/two.example.com").json
    assert shown["state"] == "active" and shown["second"]["certificate"]
    assert operator.get("/v1/domains?prefix=two.").json["domains"][0]["second"]
    assert operator.get(f"/v1/orders/{order['id']}").json["second"]
    assert operator.get("/v1/certificates/two.example.com").json["second"]["pem"]
    assert operator.put("/v1/domains/two.example.com", {"keys": "ecdsa"}).json["second"] is None
    assert operator.get("/v1/domains/two.example.com").json["history"][0]["event"] == "changed"


def test_a_domain_with_p384(operator, issuer):
    order = new_order(operator, issuer, "p384.example.com", keys="p384+rsa")
    assert order["key"] == "p384"
    assert operator.get(f"/v1/orders/{order['id']}").json["key"] == "p384"
    assert operator.get("/v1/domains/p384.example.com").json["keys"] == "p384+rsa"
    assert operator.put("/v1/domains/p384.example.com", {"keys": "p384"}).json["keys"] == "p384"


def test_a_domain_with_its_own_cas(operator, issuer):
    assert operator.put("/v1/domains/cas.example.com", {"cas": ["backup", "main"]}).status == 201
    pace = {"account": "ca.test/1", "ca": "main", "out": False}
    order = lease(issuer, "cas.example.com", pace=pace,
                  fallback=[{"account": "two.test/1", "ca": "backup"}])
    assert order["cas"] == ["backup", "main"]
    assert operator.get("/v1/domains/cas.example.com").json["cas"] == ["backup", "main"]
    assert operator.put("/v1/domains/cas.example.com", {"cas": []}).json["cas"] is None


def test_a_ca_that_no_issuer_has(operator, issuer):
    issuer.post("/v1/leases", {"max": 1, "lease_ms": 1000, "pace": {"account": "ca.test/1", "ca": "main"},
                               "fallback": [{"account": "two.test/1", "ca": "backup"}]})
    for field, value in (("cas", ["main", "nonesuch"]), ("standby", "nonesuch")):
        for path in ("/v1/domains/cas.example.com", "/v1/domains/never.example.com"):
            answer = operator.put(path, {field: value})
            assert (answer.status, answer.code) == (409, "ca-unknown")
            assert '"nonesuch"' in answer.json["detail"] and "main,backup" in answer.json["detail"]
        item = {"names": ["never.example.com"], "key": "ecdsa", "not_after": "2099-01-01T00:00:00Z"}
        adopted = issuer.post("/v1/adoptions", {"items": [item], "dry_run": True, field: value})
        assert (adopted.status, adopted.code) == (409, "ca-unknown")
        lines = [{"name": "never.example.com", field: value}, {"name": "cas.example.com", "cas": ["main"]}]
        batch = operator.post("/v1/domains", {"domains": lines}).json
        assert [line.get("code") for line in batch["results"]] == ["ca-unknown", None]
    assert operator.get("/v1/domains/never.example.com").status == 404
    assert operator.put("/v1/domains/cas.example.com", {"cas": ["backup"], "standby": "main"}).status == 200
    assert operator.delete("/v1/domains/cas.example.com").status == 204


def test_a_standby_certificate(store, operator, issuer):
    name, path = "standby.example.com", "/v1/certificates/standby.example.com/standby"
    accounts = {"pace": {"account": "one.test/1", "ca": "main"}, "standby": "backup",
                "fallback": [{"account": "two.test/1", "ca": "backup"}]}
    chain = chain_block(store.ca.cert.public_bytes(Encoding.DER))

    def issue(order, ident):
        step(issuer, order, state="sealed", csr=b64u(b"csr"), sealed=b64u(b"sealed"))
        leaf = store.identity("viewer", ident=ident).cert.public_bytes(Encoding.DER)
        assert publish(issuer, order, leaf=leaf, chain=chain).status == 200
        done = {"fence": order["fence"], "state": "done"}
        assert issuer.patch(f"/v1/orders/{order['id']}", done).status == 200
        return leaf

    assert operator.post(path).code == "domain-not-found"
    operator.put(f"/v1/domains/{name}", {"standby": "backup"})
    assert operator.get(f"/v1/domains/{name}").json["standby"]["ready"] is False
    assert operator.post(path).code == "standby-not-ready"
    issue(lease(issuer, name, **accounts), "live")
    order = lease(issuer, name, **accounts)
    assert order["standby"] and order["account"] == "two.test/1"
    failed = {"fence": order["fence"], "state": "failed", "names": [{
        "name": name, "next_at": "2026-01-01T00:00:00Z", "failed": True, "state": "failed",
        "reason": {"code": "wrong-answer", "detail": "No.", "actor": "customer"}}]}
    assert issuer.patch(f"/v1/orders/{order['id']}", failed).status == 200
    assert operator.get(f"/v1/domains/{name}").json["standby"]["failures"] == 1
    order = lease(issuer, name, **accounts)
    assert operator.get(f"/v1/orders/{order['id']}").json["standby"]
    kept = issue(order, "kept")
    shown = operator.get(f"/v1/domains/{name}").json
    assert shown["state"] == "active" and shown["standby"]["ready"] and shown["standby"]["ca"] == "backup"
    assert shown["standby"]["certificate"]["version"] == order["id"]
    assert operator.get("/v1/domains?prefix=standby.").json["domains"][0]["standby"]["ready"]
    everything = {"ca": "main", "max": 1000, "dry_run": True}
    assert operator.post("/v1/standby", {**everything, "ca": "nonesuch"}).code == "ca-not-found"
    assert operator.post("/v1/standby", everything).json["begun"] == 1
    assert operator.post("/v1/standby", {**everything, "max": 1}).json["after"]
    operator.post(f"/v1/domains/{name}/pause")
    assert operator.post(path).code == "domain-paused"
    operator.post(f"/v1/domains/{name}/resume")
    assert operator.post("/v1/standby", {**everything, "dry_run": False}).json["begun"] == 1
    assert operator.post(path).json["order"], "it is on its way"
    back = lease(issuer, name, **accounts)
    body = publication(back, leaf=kept, chain=chain)
    body["records"] = [b64u(record(name, back["id"], kept, chain, BEGIN, END, key_version=order["id"]))]
    assert publish(issuer, back, body).status == 200
    done = {"fence": lease(issuer, name, **accounts)["fence"], "state": "done"}
    assert issuer.patch(f"/v1/orders/{back['id']}", done).status == 200
    # Back to what was live, meanwhile there is a standby from the other CA.
    issue(lease(issuer, name, **accounts), "another")
    assert operator.post(path).code == "ca-needed", "whoever repeats it does not go back"
    shown = operator.get(f"/v1/domains/{name}").json
    assert (shown["certificate"]["ca"], shown["standby"]["certificate"]["ca"]) == ("backup", "main")
    certificates = operator.get(f"/v1/certificates/{name}").json
    assert [certificates[which]["ca"] for which in ("current", "previous", "standby")] == ["backup", "main", "main"]
    assert certificates["second_standby"] is None
    before = operator.get(f"/v1/certificates/{name}").json["previous"]["version"]
    assert operator.post(f"/v1/certificates/{name}/rollback", {"to": before}).json["order"]
    assert operator.post(path, {"ca": "backup"}).code == "order-open"
    events = {event["event"] for event in operator.get(f"/v1/domains/{name}").json["history"]}
    assert {"standby", "standby-ready", "standby-failed", "standby-live"} <= events
    operator.put(f"/v1/domains/{name}", {"standby": "none"})
    assert operator.get(f"/v1/domains/{name}").json["standby"] is None


def test_the_standbys_of_two_certificates(store, operator, issuer):
    name, path = "standbys.example.com", "/v1/certificates/standbys.example.com/standby"
    accounts = {"pace": {"account": "one.test/1", "ca": "main"}, "second_standbys": True,
                "fallback": [{"account": "two.test/1", "ca": "backup"}]}
    chain = chain_block(store.ca.cert.public_bytes(Encoding.DER))
    leaves = {}

    def take(second, standby):
        order = lease(issuer, name, **accounts)
        assert (order["second"], order["standby"]) == (second, standby)
        return order

    def issue(second, standby):
        order = take(second, standby)
        step(issuer, order, state="sealed", csr=b64u(b"csr"), sealed=b64u(b"sealed"))
        leaf = store.identity("viewer", ident=f"standbys{len(leaves)}").cert.public_bytes(Encoding.DER)
        leaves[order["id"]] = leaf
        assert publish(issuer, order, leaf=leaf, chain=chain).status == 200
        done = {"fence": order["fence"], "state": "done"}
        assert issuer.patch(f"/v1/orders/{order['id']}", done).status == 200

    def put_back(order, version, new, kind):
        leaf = leaves[version]
        body = publication({**order, "id": new}, leaf=leaf, chain=chain)
        body["records"] = [b64u(record(name, new, leaf, chain, BEGIN, END, key_version=version, kind=kind))]
        return body

    operator.put(f"/v1/domains/{name}", {"standby": "backup", "keys": "ecdsa+rsa"})
    for second, standby in ((False, False), (True, False), (False, True)):
        issue(second, standby)
    assert operator.post(path).code == "standby-half-ready"
    everything = {"ca": "main", "max": 1000, "dry_run": True, "after": "standbys.example.co"}
    assert operator.post("/v1/standby", everything).json["half_ready"] == 1
    assert operator.post("/v1/standby", {**everything, "partly": True}).json["begun"] == 1
    failed = {"state": "failed", "names": [{
        "name": name, "next_at": "2026-01-01T00:00:00Z", "failed": True, "state": "failed",
        "reason": {"code": "wrong-answer", "detail": "No.", "actor": "customer"}}]}
    order = take(True, True)
    assert issuer.patch(f"/v1/orders/{order['id']}", {"fence": order["fence"], **failed}).status == 200
    assert operator.get(f"/v1/domains/{name}").json["second"]["standby"]["failures"] == 1
    issue(True, True)
    assert operator.get(f"/v1/domains/{name}").json["second"]["standby"]["ready"]
    certificates = operator.get(f"/v1/certificates/{name}").json
    assert certificates["second_standby"]["ca"] == "backup" and certificates["second_standby"]["pem"]
    assert certificates["second"]["ca"] == "main" and certificates["standby"]["ca"] == "backup"
    assert operator.post(path, {"ca": "nonesuch"}).code == "ca-not-found"
    assert operator.post(path, {"ca": 1}).code == "bad-field"
    assert operator.post(path, {"ca": "main", "partly": False}).json["order"]
    order = take(False, False)
    old = order["rollback"]
    body = put_back(order, old["version"], order["id"], 2)
    second = put_back(order, old["second"]["version"], order["id"] + 1, 6)
    del second["fence"]
    for wrong in ({**second, "records": body["records"]}, {**second, "not_after": second["not_before"]}):
        assert publish(issuer, order, {**body, "second": wrong}).code == "bad-record"
    assert publish(issuer, order, {**body, "second": {**second, "fence": 1}}).code == "unknown-field"
    assert publish(issuer, order, {**body, "second": second}).status == 200
    shown = operator.get(f"/v1/domains/{name}").json
    assert shown["certificate"]["rolled_back_to"] == old["version"]
    assert shown["second"]["certificate"]["rolled_back_to"] == old["second"]["version"]
    done = {"fence": lease(issuer, name, **accounts)["fence"], "state": "done"}
    assert issuer.patch(f"/v1/orders/{order['id']}", done).status == 200
    issue(False, True)
    # Of one half, and then the two are from different CAs.
    assert operator.post(path, {"partly": True}).code == "ca-needed"
    assert operator.post(path, {"ca": "backup", "partly": True}).json["order"]
    order = take(False, False)
    assert order["rollback"]["second"] is None
    assert publish(issuer, order, put_back(order, order["rollback"]["version"], order["id"], 2)).status == 200
    assert operator.post(path, {"partly": True}).code == "ca-needed"
    events = {event["event"] for event in operator.get(f"/v1/domains/{name}").json["history"]}
    assert {"second-standby-ready", "second-standby-failed", "second-standby-live"} <= events
    assert operator.delete(f"/v1/domains/{name}").status == 204
