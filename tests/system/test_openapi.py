"""The store and doc/openapi.yaml say the same: routes, roles, fields, statuses, codes."""

import re
import resource
import sqlite3
import time
import urllib.parse

import pytest

import forge
import openapi
from api_fixture import Later, b64u, chain_block, record, running_store, time_text, until
from bad_names import BAD_NAMES
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from openapi_taken_over import (test_certificates_of_others_are_adopted,  # noqa: F401
                                test_what_a_restored_store_forgot_is_handed_back)  # noqa: F401
from openapi import ROLES, SERVER, Judged, changed, objects, places, wrong_values
from test_api_orders import BEGIN, END, lease, new_order, publication, publish, sealed_order, step
from test_openapi_document import name_codes, names_that_handlers_ask_for

# Happen only when something breaks; each is provoked once, not on every route.
RARE = {"internal", "store-busy", "store-full", "stopping", "too-many-connections"}
ABSENT_ORDER = 2**53 - 1

DOCUMENT = openapi.Document()
each_operation = pytest.mark.parametrize("operation", DOCUMENT.operations, ids=str)


@pytest.fixture(scope="module")
def store():
    with running_store({"dns": {"delegate": "acme.platform.test"}}, edge_timeout="1h") as made:
        yield made


@pytest.fixture(scope="module")
def clients(store):
    """role -> a client whose answers are judged; None: without a certificate"""
    made = {role: Judged(DOCUMENT, store, store.identity(role)) for role in (*ROLES, SERVER)}
    made[None] = Judged(DOCUMENT, store, None)
    yield made
    for client in made.values():
        client.close()


@pytest.fixture
def operator(clients):
    return clients["operator"]


@pytest.fixture
def issuer(clients):
    return clients["issuer"]


def path_of(operation, **values):
    known = {"name": "walk.example.com", "id": ABSENT_ORDER, "pool": "default", **values}
    return operation.path.format(**known)


def one_of(clients, operation):
    """A client that may call the operation."""
    return clients[operation.roles[0] if operation.roles else None]


def call(client, operation, body=None, query="", **values):
    if body is None and operation.body:
        body = operation.example()
    return client.request(operation.method, path_of(operation, **values) + query, body=body)


def test_the_versions_agree(operator):
    assert operator.get("/v1/status").json["version"] == DOCUMENT.yaml["info"]["version"]


# ---- every route, every role


@each_operation
def test_who_may(clients, operation):
    for role, client in clients.items():
        answer = call(client, operation)
        if not operation.roles:
            assert answer.status == 200, role
        elif role in (None, SERVER):
            assert (answer.status, answer.code) == (401, "not-authenticated"), role
            assert role is None or f'"{role}" is not the role of a client' in answer.json["detail"]
        elif role in operation.roles:
            assert answer.status not in (401, 403), (role, answer.body)
        else:
            assert (answer.status, answer.code) == (403, "not-allowed"), role


@each_operation
def test_what_is_wrong_with_any_request(clients, operation):
    client = one_of(clients, operation)
    path = path_of(operation)
    assert client.request(operation.method, path + "?" + "x" * 7000).code == "uri-too-long"
    assert call(client, operation, query="?nonsense=1").code == "bad-query"
    if "{" in operation.path:
        broken = re.sub(r"\{\w+\}", "%zz", operation.path)
        assert client.request(operation.method, broken).code == "bad-path"
    if not operation.body:
        assert client.request(operation.method, path, body={}).code == "body-too-large"
        return
    most = operation.content["x-certherd-body-max"]

    def send(raw, **more):
        return client.request(operation.method, path, raw=raw, **more).code

    assert send(b" " * (most + 1)) == "body-too-large"
    assert send(b"{}", headers={"Content-Type": "text/plain"}) == "content-type"
    assert send(b"{") == send(b"[]") == send(b'{"a":1,"a":2}') == "body-not-json"
    assert send(b'{"a":' * 17 + b"1" + b"}" * 17) == "json-too-deep"
    if operation.body["required"]:
        assert client.request(operation.method, path).code == "body-not-json"


@each_operation
def test_what_is_wrong_with_a_parameter(clients, operation):
    for name, parameter in operation.query().items():
        schema = DOCUMENT.resolve(parameter["schema"])
        for value in wrong_values(DOCUMENT, schema):
            if isinstance(value, (int, float)) and "type" in schema and schema["type"] == "string":
                continue  # a query has only text
            answer = call(one_of(clients, operation), operation, query=f"?{name}={value}")
            assert answer.status == 400, (name, value, answer.body)


def test_a_cursor_is_one_of_this_list(operator):
    for path in ("/v1/domains", "/v1/orders", "/v1/audit"):
        answer = operator.get(path + "?cursor=nonsense")
        assert (answer.code, answer.json["field"]) == ("bad-query", "cursor")


def test_what_is_no_route(clients, operator):
    assert operator.get("/v1/nothing").code == "no-such-route"
    assert operator.get("/").code == "no-such-route"
    assert clients[None].get("/v1/nothing").code == "not-authenticated"
    for path in DOCUMENT.yaml["paths"]:
        known = {op.method for op in DOCUMENT.operations if op.path == path}
        answer = operator.request("OPTIONS", path.format(name="a.example.com", id=1, pool="p"))
        assert answer.code == "method-not-allowed"
        assert set(answer.headers["Allow"].split(", ")) == known


# ---- what request bodies may be


bodied = pytest.mark.parametrize(
    "operation", [operation for operation in DOCUMENT.operations if operation.body], ids=str)


def complaint(client, operation, body):
    """(code, field) of what the store says about a body; None when the fields are good."""
    answer = call(client, operation, body)
    if operation.path == "/v1/domains" and answer.status == 200 and body["domains"]:
        return answer.json["results"][0].get("code"), None
    if answer.status == 400 and answer.code != "bad-record":
        return answer.code, answer.json.get("field")
    return None, None


def field_name(operation, path):
    if operation.path == "/v1/domains" and len(path) > 1:
        return None  # an item's own result names no field
    return ".".join(str(part) for part in path if part != 0)


@bodied
def test_fields_are_what_the_document_says(clients, operation):
    client = one_of(clients, operation)
    schema, good = operation.body_schema(), operation.example()
    assert complaint(client, operation, good) == (None, None)
    for path, part, required in places(DOCUMENT, schema, good):
        name = field_name(operation, path)
        for wrong in wrong_values(DOCUMENT, part):
            told = complaint(client, operation, changed(good, path, wrong))
            assert told == ("bad-field", name), (path, wrong)
        for empty in (changed(good, path, remove=True), changed(good, path, None)):
            told = complaint(client, operation, empty)
            assert told == (("missing-field", name) if required else (None, None)), path


@bodied
def test_no_other_field_is_taken(clients, operation):
    """Above all none that is known elsewhere."""
    client = one_of(clients, operation)
    schema, good = operation.body_schema(), operation.example()
    for path, known in objects(DOCUMENT, schema, good):
        for name in (names_that_handlers_ask_for() | {"x-unknown"}) - set(known):
            inner = path + (name,)
            told = complaint(client, operation, changed(good, inner, 1))
            assert told == ("unknown-field", field_name(operation, inner)), inner


def test_a_batch_has_a_size(operator):
    too_many = [{"name": f"n{n}.example.com"} for n in range(10001)]
    assert operator.post("/v1/domains", {"domains": too_many}).code == "batch-too-large"


def test_a_bad_name_is_told_everywhere(clients, operator, issuer):
    named = [op for op in DOCUMENT.operations if "{name}" in op.path]
    spellings = {code: name for name, code in BAD_NAMES if code and name not in ("", ".")}
    # In Unicode it is short enough for every limit of a field.
    spellings.update({"name-reserved": "a.localhost", "name-idna": "xn--0.example.com",
                      "name-too-long": ".".join(["\u00fc"] * 60) + ".com"})
    assert set(spellings) >= name_codes() - {"name-empty", "name-not-utf8"}
    assert spellings.pop("name-wildcard") == "*.example.com"
    for code, name in spellings.items():
        quoted = urllib.parse.quote(name, safe="")
        for operation in named:
            assert call(one_of(clients, operation), operation, name=quoted).code == code
        assert operator.get(f"/v1/orders?name={quoted}").code == code
    for operation in named:
        assert call(one_of(clients, operation), operation, name="%ff").code == "name-not-utf8"
    assert operator.get("/v1/orders?name=%ff").code == "name-not-utf8"
    assert operator.get("/v1/orders?name=").code == "name-empty"
    for code, name in {**spellings, "name-empty": ""}.items():
        body = {"fence": 1, "names": [{"name": name}]}
        assert issuer.patch(f"/v1/orders/{ABSENT_ORDER}", body).code == code
        batch = operator.post("/v1/domains", {"domains": [{"name": name}]}).json
        assert batch["results"][0]["code"] == code
    # It may have been registered before; anew it is not.
    wildcard = "/v1/domains/%2A.example.com"
    assert operator.get(wildcard).code == "domain-not-found"
    assert operator.put(wildcard, {}).code == "name-wildcard"
    batch = operator.post("/v1/domains", {"domains": [{"name": "*.example.com"}]}).json
    assert batch["results"][0]["code"] == "name-wildcard"
    mixed = [{"name": 1}, {}, {"name": "a.example.com", "x": 1}, {"name": "mix.example.com"},
             {"name": "mix.example.com"}]
    batch = operator.post("/v1/domains", {"domains": mixed}).json
    assert (batch["created"], batch["exists"], batch["rejected"]) == (1, 1, 3)


# ---- the life of domains and orders, so that every field and word of an answer is seen


def test_what_is_not_there(clients):
    for operation in DOCUMENT.operations:
        missing = {"domain-not-found", "order-not-found", "edge-not-found", "pool-not-found",
                   "ca-not-found"}
        if 404 in operation.answers():
            answer = call(one_of(clients, operation), operation, name="absent.example.com",
                          pool="absent")
            if answer.code == "bad-record":  # judged before the order is looked for
                body = publication({"fence": 1, "id": ABSENT_ORDER, "names": ["a.example.com"]})
                answer = call(one_of(clients, operation), operation, body=body)
            assert answer.code in missing, operation


def test_an_order_from_new_to_renewed(store, clients, operator, issuer):
    edge = clients["edge"]
    epoch = operator.get("/v1/status").json["feed"]["epoch"]
    ack = {"epoch": epoch, "seq": 0, "names": 0, "software": "certherd 0", "error": "disk full"}
    assert edge.put("/v1/edges/self", ack).status == 204
    order = new_order(operator, issuer, "life.example.com", www=True)
    assert order["edges"]["behind"] == ["edge/default/t1"]
    for state in ("ordered", "validating", "valid"):
        assert step(issuer, order, state=state, acme={"url": "https://ca/1"}).status == 200
        operator.get("/v1/domains/life.example.com")
    sealed = {"csr": b64u(b"csr"), "sealed": b64u(b"sealed")}
    answer = issuer.patch(f"/v1/orders/{order['id']}",
                          {"fence": order["fence"], "state": "sealed", **sealed})
    assert answer.status == 200
    operator.get("/v1/domains/life.example.com")
    again = lease(issuer, "life.example.com")
    assert again["csr"] and again["acme"]
    assert step(issuer, again, state="finalizing").status == 200
    assert operator.get(f"/v1/orders/{order['id']}").json["lease"]["issuer"]
    leaf = store.identity("viewer").cert.public_bytes(Encoding.DER)
    chain = chain_block(store.ca.cert.public_bytes(Encoding.DER))
    body = publication(again, leaf=leaf, chain=chain, renew_at=time_text(time.time() - 60))
    assert publish(issuer, again, body).json["state"] == "confirming"
    confirming = lease(issuer, "life.example.com")
    assert confirming["leaf_sha256"]
    done = issuer.patch(f"/v1/orders/{order['id']}", {"fence": confirming["fence"], "state": "done"})
    assert done.status == 200
    shown = operator.get("/v1/domains/www.life.example.com").json
    assert shown["www_of"] == "life.example.com"
    listed = operator.get("/v1/domains?prefix=www.life.").json["domains"]
    assert [domain["www_of"] for domain in listed] == ["life.example.com"]
    assert operator.get("/v1/status").json["next_expiry"]["name"]
    renewal = lease(issuer, "life.example.com")
    assert renewal["renewal"]
    assert step(issuer, renewal, state="ordered").status == 200
    assert operator.get("/v1/domains/life.example.com").json["state"] == "renewing"
    assert step(issuer, renewal, state="sealed", **sealed).status == 200
    leaf = store.identity("viewer", ident="t2").cert.public_bytes(Encoding.DER)
    assert publish(issuer, renewal, leaf=leaf, chain=chain).status == 200
    both = operator.get("/v1/certificates/life.example.com").json
    assert both["current"]["recipients"] and both["previous"]["pem"]
    assert operator.get("/v1/edges").json["edges"][0]["error"] == "disk full"
    assert edge.get("/v1/feed").status == 200


def test_alerts_are_reported_told_and_closed(operator, issuer):
    trouble = {"kind": "ca-out-of-order", "subject": "second", "severity": "warning",
               "detail": "cannot connect"}
    report = {"troubles": [trouble], "tells": True}
    tell = [a for a in issuer.post("/v1/alerts", report).json["tell"] if a["subject"] == "second"]
    assert [(a["kind"], a["severity"], a["closed_at"]) for a in tell] == [
        ("ca-out-of-order", "warning", None)]
    again = issuer.post("/v1/alerts", report).json["tell"]
    assert tell[0]["id"] not in [a["id"] for a in again], "it is leased"
    report["troubles"][0]["severity"] = "critical"
    worse = issuer.post("/v1/alerts", report).json["tell"]
    assert [a["severity"] for a in worse if a["id"] == tell[0]["id"]] == ["critical"]
    told = {"troubles": [trouble], "told": [{"id": tell[0]["id"]}]}
    assert issuer.post("/v1/alerts", told).json["tell"] == []
    listed = operator.get("/v1/alerts?state=all").json["alerts"]
    assert tell[0]["id"] in [a["id"] for a in listed]
    assert operator.get("/v1/alerts?state=closed").code == "bad-query"


# Those of certificates come here, in the order of a life.
from openapi_certificates import (  # noqa: E402,F401
    test_when_a_certificate_is_to_be_renewed,
    test_when_those_who_wait_have_their_turn,
    test_a_domain_with_two_certificates,
    test_a_domain_with_p384,
    test_a_domain_with_its_own_cas,
    test_a_ca_that_no_issuer_has,
    test_a_standby_certificate,
    test_the_standbys_of_two_certificates)


def test_an_order_that_fails(operator, issuer):
    order = new_order(operator, issuer, "fails.example.com", www=True)
    reason = {"code": "wrong-answer", "detail": "Elsewhere.", "actor": "customer"}
    later = time_text(time.time() + 3600)
    names = [{"name": order["names"][0], "next_at": later, "reason": reason},
             {"name": order["names"][1], "failed": False, "next_at": later, "reason": reason}]
    assert step(issuer, order, state="failed", names=names, reason=reason).status == 200
    failed = operator.get("/v1/domains/fails.example.com").json
    assert (failed["state"], failed["reason"]["actor"]) == ("failed", "customer")
    assert {e["event"] for e in failed["history"]} >= {"failed", "order"}
    other = operator.get("/v1/domains/www.fails.example.com").json
    assert "set-back" in {e["event"] for e in other["history"]}
    new = lease(issuer, "www.fails.example.com")
    for code, actor in (("no-edge", "platform"), ("ca-down", "ca")):
        blame = {"code": code, "detail": "It waits.", "actor": actor}
        assert step(issuer, new, reason=blame).status == 200
        assert operator.get("/v1/domains/www.fails.example.com").json["reason"]["actor"] == actor
    assert "failed" in {o["state"] for o in operator.get("/v1/orders").json["orders"]}


def test_a_name_of_another_tenant(clients):
    platform = clients["platform"]
    assert platform.put("/v1/domains/theirs.example.com", {"tenant": "t1"}).status == 201
    answer = platform.put("/v1/domains/theirs.example.com", {"tenant": "t2"})
    assert (answer.status, answer.code) == (409, "claim-needed")


def test_an_order_takes_of_every_limit(operator, issuer):
    assert operator.put("/v1/domains/limited.example.com").status == 201
    pace = {"account": "limits.test/1", "orders": "300/3h", "domain": "50/7d", "set": "5/7d"}
    lease(issuer, "limited.example.com", pace=pace)
    assert {limit["limit"] for limit in operator.get("/v1/limits").json["limits"]} == {"account", "domain", "set"}


def test_a_name_that_has_left(operator, issuer):
    order = new_order(operator, issuer, "left.example.com")
    away = {"name": order["names"][0], "check": True, "away": True,
            "reason": {"code": "dns-points-elsewhere", "detail": "Elsewhere.", "actor": "customer"}}
    assert step(issuer, order, state="failed", names=[away]).status == 200
    order = lease(issuer, "left.example.com")
    assert order["checks"]["left.example.com"]["failed"] == 1
    assert order["checks"]["left.example.com"]["away_since"]
    away |= {"state": "moved", "next_at": time_text(time.time() + 3600)}
    assert step(issuer, order, state="failed", names=[away]).status == 200
    shown = operator.get("/v1/domains/left.example.com").json
    assert (shown["state"], shown["checks_failed"], shown["history"][0]["event"]) == ("moved", 2, "moved-away")
    assert shown["away_since"] and operator.get("/v1/domains?state=moved").json["domains"]


def test_what_people_do_to_a_domain(operator, issuer):
    path = "/v1/domains/people.example.com"
    assert operator.put(path).status == 201
    assert operator.put(path, {"tenant": "t2"}).status == 200
    assert operator.put(path, {"pool": "other"}).json["pool"] == "other"
    assert operator.post(path + "/retry").json["state"] == "pending"
    paused = operator.post(path + "/pause").json
    assert (paused["state"], paused["reason"]["actor"]) == ("paused", "nobody")
    assert operator.post(path + "/retry").code == "domain-paused"
    assert operator.post(path + "/resume").json["state"] == "pending"
    assert operator.delete(path).status == 204
    assert operator.put(path).status == 201
    events = [event["event"] for event in operator.get(path).json["history"]]
    assert {"created", "changed", "moved", "retry", "paused", "resumed", "deleted"} <= set(events)
    assert operator.put("/v1/domains/www.people.example.com", {"www": True}).code == "bad-field"
    first = operator.get("/v1/domains?limit=1").json
    assert operator.get("/v1/domains?limit=1&cursor=" + first["next_cursor"]).status == 200
    for each in ("orders", "audit"):
        cursor = operator.get(f"/v1/{each}?limit=1").json["next_cursor"]
        assert operator.get(f"/v1/{each}?limit=1&cursor={cursor}").status == 200


def test_what_an_order_refuses(operator, issuer):
    order = new_order(operator, issuer, "refused.example.com")
    path = f"/v1/orders/{order['id']}"
    assert step(issuer, order, state="done").code == "order-state"
    assert issuer.patch(path, {"fence": order["fence"] + 1}).code == "fence-lost"
    assert publish(issuer, order).code == "order-state"
    assert publish(issuer, {**order, "fence": order["fence"] + 1}).code == "fence-lost"
    sealed = sealed_order(operator, issuer, "refused2.example.com")
    assert publish(issuer, sealed, names=["refused3.example.com"]).code == "bad-record"


def test_what_an_edge_is_refused(clients):
    edge = clients["edge"]
    assert edge.get("/v1/feed?epoch=zz").code == "bad-cursor"
    assert edge.get("/v1/feed/snapshot?epoch=zz").code == "bad-cursor"
    assert edge.get("/v1/feed/snapshot?after=a.example").code == "bad-cursor"
    assert edge.get("/v1/feed/snapshot?after=%20a").code == "bad-query"
    epoch = clients["operator"].get("/v1/status").json["feed"]["epoch"]
    ahead = {"epoch": epoch, "seq": 2**40, "names": 0, "software": "x"}
    assert edge.put("/v1/edges/self", ahead).code == "bad-cursor"


def test_what_visitors_ask_for(clients, operator, issuer):
    edge = clients["edge"]
    assert operator.put("/v1/domains/wanted.example.com").status == 201
    assert operator.put("/v1/domains/elsewhere.example.com", {"pool": "other"}).status == 201
    ask = {"names": ["absent.example.com", "elsewhere.example.com", "wanted.example.com"]}
    assert edge.post("/v1/wanted", ask).json == {"taken": 1}
    shown = operator.get("/v1/domains/wanted.example.com").json
    assert shown["wanted_at"] and shown["state"] == "pending"
    assert operator.get("/v1/domains/elsewhere.example.com").json["wanted_at"] is None
    assert edge.post("/v1/wanted", ask).json == {"taken": 1}
    assert operator.get("/v1/domains/wanted.example.com").json["wanted_at"] == shown["wanted_at"]
    lease(issuer, "wanted.example.com")
    assert operator.get("/v1/domains/wanted.example.com").json["wanted_at"] is None
    assert edge.post("/v1/wanted", ask).json == {"taken": 0}
    for bad in ([], [""], ["a" * 254], [1], ["a.example"] * 101):
        assert edge.post("/v1/wanted", {"names": bad}).code == "bad-field", bad


def test_what_a_replica_is_compared_with(clients, operator):
    for name in ("sum1.example.com", "sum2.example.com"):
        assert operator.put(f"/v1/domains/{name}").status == 201
    first = operator.get("/v1/feed/checksum?limit=1&list=1").json
    assert first["count"] == len(first["records"]) and first["last"]
    edge = clients["edge"]
    assert edge.get(f"/v1/feed/checksum?after={first['last']}").json["count"] >= 1
    assert edge.get("/v1/feed/checksum?pool=other").code == "not-allowed"


def test_ticket_keys_are_replaced_by_one_issuer_at_a_time(issuer):
    def put(version, replaces, pool="default", path="default"):
        record = forge.ticket_record(pool, version, [(b"i" * 16, 1000, 2**40, bytes(64))],
                                     b"\x09" + bytes(31), ec.generate_private_key(ec.SECP256R1()))
        return issuer.put(f"/v1/tickets/{path}", {"replaces": replaces, "record": b64u(record)})

    assert put(5, 0).status == 204
    assert put(6, 4).code == "tickets-changed"
    assert put(4, 5).code == "bad-record"
    assert put(6, 5, pool="other").code == "bad-record"
    assert put(6, 5, path="a%20b").code == "bad-path"
    (kept,) = [pool for pool in issuer.get("/v1/tickets").json["pools"] if pool["record"]]
    assert (kept["pool"], kept["version"]) == ("default", 5)


def test_an_edge_is_forgotten(store, operator):
    gone = Judged(DOCUMENT, store, store.identity("edge", ident="gone"))
    body = {"epoch": "00" * 16, "seq": 0, "names": 0, "software": "certherd 0"}
    assert gone.put("/v1/edges/self", body).status == 204
    assert operator.delete("/v1/edges/default/gone").status == 204
    assert operator.get("/v1/audit").json["entries"][0]["action"] == "edge.forget"


def test_a_pool_is_frozen_and_has_a_canary(store, operator, issuer):
    canary = Judged(DOCUMENT, store, store.identity("edge", ident="canary"))

    def report(error=None):
        feed = operator.get("/v1/status").json["feed"]
        body = {"epoch": feed["epoch"], "seq": feed["head"], "names": 0, "software": "t",
                "error": error}
        assert canary.put("/v1/edges/self", body).status == 204

    def state():
        return operator.get("/v1/pools").json["pools"][0]["canary"]["state"]

    report()
    told = operator.put("/v1/pools/default/canary", {"edge": "canary", "soak_ms": 600000})
    assert told.status == 200 and told.json["canary"]["state"] == "idle"
    assert operator.put("/v1/pools/default/canary",
                        {"edge": "nobody", "soak_ms": 0}).code == "edge-not-found"
    operator.put("/v1/domains/soak.example.com", {"hsts": "max-age=1"})
    assert state() == "behind"
    report()
    assert state() == "soaking"
    report("disk full")
    assert state() == "trouble"
    assert operator.get("/v1/status").json["pools"][0]["canary"]["trouble"] == "disk full"
    operator.delete("/v1/edges/default/canary")
    assert state() == "silent"
    assert operator.post("/v1/pools/default/release").status == 200
    frozen = operator.post("/v1/pools/default/freeze", {"reason": "a bad day"}).json["frozen"]
    assert frozen["reason"] == "a bad day" and frozen["who"].startswith("operator/")
    assert new_order(operator, issuer, "cold.example.com")["edges"]["held"]["code"] == "feed-frozen"
    assert operator.post("/v1/pools/default/thaw").json["frozen"] is None
    assert operator.delete("/v1/pools/default/canary").json["canary"] is None
    assert operator.delete("/v1/domains/soak.example.com").status == 204
    actions = {entry["action"] for entry in operator.get("/v1/audit").json["entries"]}
    assert actions >= {"feed.canary", "feed.canary-off", "feed.release", "feed.freeze",
                       "feed.thaw"}


def test_a_certificate_is_rolled_back(store, operator, issuer):
    name = "undo.example.com"
    path = f"/v1/certificates/{name}/rollback"
    chain = chain_block(store.ca.cert.public_bytes(Encoding.DER))

    def leaf(ident):
        return store.identity("viewer", ident=ident).cert.public_bytes(Encoding.DER)

    def renew(ident, **changes):
        operator.post(f"/v1/domains/{name}/retry")
        order = lease(issuer, name)
        step(issuer, order, state="sealed", csr=b64u(b"csr"), sealed=b64u(b"sealed"))
        body = publication(order, leaf=leaf(ident), chain=chain)
        assert publish(issuer, order, {**body, **changes}).status == 200
        finish(order)
        return order["id"]

    def finish(order):
        confirming = lease(issuer, name)
        assert issuer.patch(f"/v1/orders/{order['id']}", {
            "fence": confirming["fence"], "state": "done"}).status == 200

    assert operator.post(path).code == "domain-not-found"
    operator.put(f"/v1/domains/{name}")
    assert operator.post(path).code == "nothing-to-roll-back"
    first, second = renew("undo1"), renew("undo2")
    assert operator.post(path, {"to": second + 1000}).code == "version-not-found"
    operator.post(f"/v1/domains/{name}/pause")
    assert operator.post(path).code == "domain-paused"
    operator.post(f"/v1/domains/{name}/resume")
    assert operator.post(path, {"to": first}).json["order"]
    assert operator.post(path).code == "order-open"
    order = lease(issuer, name)
    assert order["rollback"]["version"] == first
    body = publication(order, leaf=leaf("undo1"), chain=chain)
    assert publish(issuer, order, body).code == "bad-record", "another key version"
    body["records"] = [b64u(record(name, order["id"], leaf("undo1"), chain, BEGIN, END,
                                   key_version=first))]
    assert publish(issuer, order, body).status == 200
    finish(order)
    assert operator.post(path).code == "rolled-back"
    assert operator.post(path, {"to": first}).json["order"] is None
    shown = operator.get(f"/v1/certificates/{name}").json
    assert shown["current"]["rolled_back_to"] == first
    assert (shown["previous"]["version"], shown["previous"]["rolled_back_to"]) == (second, None)
    domain = operator.get(f"/v1/domains/{name}").json
    assert domain["certificate"]["rolled_back_to"] == first
    assert [e["event"] for e in domain["history"]].count("rolled-back") == 1
    ended = time.time() - 60
    order_id = renew("undo3")
    operator.post(f"/v1/domains/{name}/retry")
    order = lease(issuer, name)
    step(issuer, order, state="sealed", csr=b64u(b"csr"), sealed=b64u(b"sealed"))
    late = publication(order, leaf=leaf("undo4"), chain=chain)
    late["records"] = [b64u(record(name, order["id"], leaf("undo4"), chain, int(ended) - 60,
                                   int(ended)))]
    late.update(not_before=time_text(int(ended) - 60), not_after=time_text(int(ended)))
    assert publish(issuer, order, late).status == 200 and order["id"] > order_id
    finish(order)
    renew("undo5")
    assert operator.post(path).code == "cert-expired"
    assert "cert.rollback" in {e["action"] for e in operator.get("/v1/audit").json["entries"]}
    assert operator.delete(f"/v1/domains/{name}").status == 204


# ---- what happens when it is too much, or something breaks


def judged(later, method, path):
    answer = later.result()
    DOCUMENT.judge(method, path, answer)
    return answer


@pytest.fixture
def frail():
    """A store that a test may break."""
    with running_store() as made:
        yield made


POLLS_MAX = 16  # of one identity
LEASE = {"max": 1, "lease_ms": 1000, "wait_ms": 60000}


def test_too_many_wait_and_all_are_told_when_the_store_stops(frail):
    all_waiting = []
    feed = ("GET", "/v1/feed?wait_ms=60000")
    lease = ("POST", "/v1/leases", LEASE)
    for identity, call in ((frail.identity("edge"), feed), (frail.identity("issuer"), lease)):
        waiting = [(Later(frail, identity, *call), *call[:2]) for _ in range(POLLS_MAX + 3)]
        until(lambda: sum(not each[0].waits() for each in waiting) == 3, "the last are refused")
        refused = [each for each in waiting if not each[0].waits()]
        assert {judged(*each).code for each in refused} == {"too-many-polls"}
        all_waiting += [each for each in waiting if each not in refused]
    assert frail.stop() == 0
    frail.start()
    assert {judged(*each).code for each in all_waiting} == {"stopping"}


def test_too_many_connections_of_one_identity():
    with running_store(connections_per_identity="16") as made:
        edge = made.identity("edge")
        clients = [Judged(DOCUMENT, made, edge) for _ in range(17)]
        assert [client.get("/v1/feed").status for client in clients] == [200] * 16 + [429]
        for path in ("/v1/status", "/v1/nothing"):
            assert clients[16].get(path).code == "too-many-connections"
        for client in clients:
            client.close()


def test_a_database_that_is_held_by_another_program(frail):
    other = sqlite3.connect(frail.dir / "store/certherd.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    operator = Judged(DOCUMENT, frail, frail.identity("operator"))
    assert operator.put("/v1/domains/busy.example.com").code == "store-busy"
    other.execute("ROLLBACK")
    other.close()
    assert operator.put("/v1/domains/busy.example.com").status == 201


def test_a_database_that_has_no_room(frail):
    """A limit on the size of files stands in for a full disk."""
    operator = Judged(DOCUMENT, frail, frail.identity("operator"))
    before = resource.prlimit(frail.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(frail.process.pid, resource.RLIMIT_FSIZE, (4096, before[1]))
    assert operator.put("/v1/domains/full.example.com").code == "store-full"
    items = {"domains": [{"name": "batch.example.com"}]}
    assert operator.post("/v1/domains", items).code == "store-full"
    resource.prlimit(frail.process.pid, resource.RLIMIT_FSIZE, before)
    assert operator.put("/v1/domains/full.example.com").status == 201


def test_a_database_that_is_broken(frail):
    other = sqlite3.connect(frail.dir / "store/certherd.db", isolation_level=None)
    other.execute("DROP TABLE audit")
    other.close()
    answer = Judged(DOCUMENT, frail, frail.identity("operator")).get("/v1/audit")
    assert answer.code == "internal"
    assert "audit" not in answer.json["detail"], "what is inside stays inside"


# ---- and the other way round


def test_everything_that_is_documented_was_seen(request):
    mine = [item for item in request.session.items if item.fspath == request.node.fspath]
    if len({item.originalname for item in mine}) < len(
            [name for name in globals() if name.startswith("test_")]):
        pytest.skip("needs the other tests of this file")
    missing = []
    for operation in DOCUMENT.operations:
        for status in operation.answers():
            for code in operation.codes(status) or [None]:
                if code not in RARE and (str(operation), status, code) not in DOCUMENT.answers:
                    missing.append(f"{operation}: {status} {code}")
    missing += sorted(RARE - {code for _, _, code in DOCUMENT.answers})
    for place, schema in DOCUMENT.schemas_of_answers().items():
        missing += [f"{place}: {name}" for name in schema.get("properties", {})
                    if (place, name) not in DOCUMENT.properties]
        missing += [f"{place}: {word}" for word in schema.get("enum", [])
                    if (place, word) not in DOCUMENT.values and word not in RARE]
    assert not missing, "\n".join(missing)
