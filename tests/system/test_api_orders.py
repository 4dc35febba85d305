"""Leases, steps and publication: what the issuer writes, and what is refused of it."""

import hashlib
import time

import pytest

from api_fixture import (Client, Feed, b64u, chain_block, record, running_store,
                         time_text)
from cryptography.hazmat.primitives.serialization import Encoding

NOW = int(time.time())
BEGIN, END = NOW - 3600, NOW + 90 * 86400


@pytest.fixture(scope="module")
def store():
    with running_store() as made:
        yield made


@pytest.fixture
def issuer(store):
    return store.client("issuer")


@pytest.fixture
def operator(store):
    return store.client("operator")


def short(value):
    """For the ids of tests."""
    return "change" if callable(value) else ascii(value)[:30]


def lease(issuer, name, lease_ms=600000, **fields):
    """The order of a name, leased; earlier tests may have left others."""
    for _ in range(20):
        answer = issuer.post("/v1/leases",
                             {"max": 256, "lease_ms": lease_ms, "wait_ms": 1000, **fields})
        assert answer.status == 200, answer.body
        for order in answer.json["orders"]:
            if name in order["names"]:
                return order
    raise AssertionError(f"no order for {name}")


def new_order(operator, issuer, name, **fields):
    assert operator.put(f"/v1/domains/{name}", fields).status == 201
    return lease(issuer, name)


def step(issuer, order, **fields):
    """One PATCH that keeps the lease."""
    body = {"fence": order["fence"], "keep_lease": True, **fields}
    return issuer.patch(f"/v1/orders/{order['id']}", body)


def sealed_order(operator, issuer, name, **fields):
    order = new_order(operator, issuer, name, **fields)
    answer = step(issuer, order, state="sealed", csr=b64u(b"csr"), sealed=b64u(b"sealed"))
    assert answer.status == 200, answer.body
    return order


LEAF = b"0" + b"leaf" * 100
CHAIN = chain_block(b"0intermediate", b"0root")


def publication(order, leaf=LEAF, chain=CHAIN, names=None, **changes):
    names = order["names"] if names is None else names
    body = {
        "fence": order["fence"],
        "leaf": b64u(leaf),
        "chain": b64u(chain),
        "records": [b64u(record(n, order["id"], leaf, chain, BEGIN, END,
                                kind=6 if order.get("second") else 2)) for n in names],
        "renew_at": time_text(NOW + 60 * 86400),
        "serial": "0a1b",
        "issuer": "CN=Test CA",
        "not_before": time_text(BEGIN),
        "not_after": time_text(END),
        "spki_sha256": "ab" * 32,
    }
    body.update(changes)
    return body


def publish(issuer, order, body=None, **more):
    return issuer.post(f"/v1/orders/{order['id']}/publish", body or publication(order, **more))


def steps(issuer, patches=(), publications=()):
    """Each: (order's id, body)."""
    answer = issuer.post("/v1/steps", {
        "patches": [{"id": order_id, "patch": body} for order_id, body in patches],
        "publications": [{"id": order_id, "publication": body} for order_id, body in publications]})
    assert answer.status == 200, answer.body
    assert (len(answer.json["patches"]), len(answer.json["publications"])) == (len(patches), len(publications))
    return answer.json["patches"], answer.json["publications"]


def test_steps_of_several_orders_in_one_request(operator, issuer):
    """Each as if it had come alone."""
    one, two = (new_order(operator, issuer, f"steps{i}.example.com") for i in range(2))
    sealed = {"state": "sealed", "keep_lease": True, "csr": b64u(b"csr"), "sealed": b64u(b"sealed")}
    answers, _ = steps(issuer, [(o["id"], {"fence": o["fence"], **sealed}) for o in (one, two)])
    assert [(a["id"], a["fence"], a["state"]) for a in answers] == \
        [(o["id"], o["fence"], "sealed") for o in (one, two)]
    assert answers[0]["edges"]["known"] == 0
    patched, published = steps(issuer, [(two["id"], {"fence": two["fence"], "next_at": time_text(NOW + 60)})],
                               [(one["id"], publication(one))])
    assert [a["state"] for a in patched + published] == ["sealed", "confirming"]
    confirming = lease(issuer, "steps0.example.com")
    assert confirming["leaf_sha256"] == hashlib.sha256(LEAF).hexdigest()
    done, _ = steps(issuer, [(one["id"], {"fence": confirming["fence"], "state": "done"})])
    assert done[0]["state"] == "done"
    assert operator.get("/v1/domains/steps0.example.com").json["state"] == "active"
    assert steps(issuer) == ([], [])


def test_a_step_that_is_refused_harms_no_other(operator, issuer):
    good = sealed_order(operator, issuer, "refused-steps.example.com")
    body = publication(good)
    patched, published = steps(
        issuer, [(good["id"], {"fence": good["fence"] + 1}), (2**53 - 1, {"fence": 1}),
                 (good["id"], {"fence": good["fence"], "attempts": 3, "keep_lease": True})],
        [(good["id"], {**body, "records": [b64u(b"no record")]}), (good["id"], body)])
    assert [answer["problem"]["code"] for answer in patched[:2]] == ["fence-lost", "order-not-found"]
    assert (patched[0]["problem"]["status"], patched[2]["state"]) == (409, "sealed")
    assert published[0]["problem"]["code"] == "bad-record"
    assert published[1]["state"] == "confirming"


@pytest.mark.parametrize("change", [
    {"odd": 1}, {"patches": {}}, {"patches": [7]}, {"patches": [{"id": 1}]}, {"publications": [{"id": 1}]},
    {"patches": [{"id": 1, "patch": {"fence": 1}}] * 65}, {"patches": [{"id": "1", "patch": {"fence": 1}}]},
    {"publications": [{"id": 1, "publication": {"fence": 1}}]},
    {"patches": [{"id": 1, "patch": {"fence": 1, "odd": 1}}]}], ids=short)
def test_what_is_no_step_refuses_all(operator, issuer, change):
    name = f"no-step-{hashlib.sha256(repr(change).encode()).hexdigest()[:8]}.example.com"
    order = new_order(operator, issuer, name)
    good = {"id": order["id"], "patch": {"fence": order["fence"], "state": "ordered"}}
    body = {"patches": [good], **change}
    if isinstance(change.get("patches"), list):
        body["patches"] = [good] + change["patches"]
    assert issuer.post("/v1/steps", body).status == 400
    assert operator.get(f"/v1/orders/{order['id']}").json["state"] == "new"


def test_the_whole_way_of_one_order(store, operator, issuer):
    order = new_order(operator, issuer, "way.example.com", www=True)
    assert order["names"] == ["way.example.com", "www.way.example.com"]
    assert (order["state"], order["acme"], order["renewal"]) == ("new", None, False)
    notes = {"url": "https://ca/1", "deep": [{"a": [1, 2, {"b": None}]}]}
    assert step(issuer, order, state="ordered", acme=notes, attempts=2).json["state"] == "ordered"
    assert step(issuer, order, state="validating").status == 200
    assert operator.get("/v1/domains/way.example.com").json["state"] == "validating"
    assert step(issuer, order, state="valid").status == 200
    answer = issuer.patch(f"/v1/orders/{order['id']}",
                          {"fence": order["fence"], "state": "sealed", "csr": b64u(b"csr"),
                           "sealed": b64u(b"sealed")})
    assert answer.status == 200, answer.body
    again = lease(issuer, "way.example.com")
    assert again["fence"] > order["fence"] and again["acme"] == notes
    assert (again["csr"], again["sealed"]) == (b64u(b"csr"), b64u(b"sealed"))
    assert again["attempts"] == 2
    answer = publish(issuer, again)
    assert answer.status == 200, answer.body
    assert answer.json["state"] == "confirming"

    feed = Feed(Client(store, store.identity("edge")).get("/v1/feed").body)
    kinds = feed.names()
    assert kinds["way.example.com"] == kinds["www.way.example.com"] == 2
    chains = [p for kind, _, p in feed.frames if kind == 2]
    assert chains == [hashlib.sha256(CHAIN).digest() + CHAIN], "each chain once"
    kinds_of_frames = [kind for kind, _, _ in feed.frames]
    first_need = next(at for at, (kind, _, p) in enumerate(feed.frames)
                      if kind == 1 and p[1] == 2)
    assert kinds_of_frames.index(2) < first_need, "before its first use"

    confirming = lease(issuer, "way.example.com")
    assert confirming["leaf_sha256"] == hashlib.sha256(LEAF).hexdigest()
    done = issuer.patch(f"/v1/orders/{order['id']}",
                        {"fence": confirming["fence"], "state": "done",
                         "reason": {"code": "ok", "detail": "Served.", "actor": "nobody"}})
    assert done.status == 200, done.body
    shown = operator.get("/v1/domains/www.way.example.com").json
    assert (shown["state"], shown["www_of"]) == ("active", "way.example.com")
    assert shown["certificate"]["serial"] == "0a1b"
    assert shown["reason"]["detail"] == "Served."


def test_a_new_default_of_standbys_reaches_a_store_where_nothing_is_due():
    with running_store() as idle:
        operator, issuer = idle.client("operator"), idle.client("issuer")
        accounts = {"pace": {"account": "one.test/1", "ca": "main"},
                    "fallback": [{"account": "two.test/1", "ca": "backup"}]}
        assert operator.put("/v1/domains/idle.example.com").status == 201
        order = lease(issuer, "idle.example.com", **accounts)
        step(issuer, order, state="sealed", csr=b64u(b"csr"), sealed=b64u(b"sealed"))
        assert publish(issuer, order).status == 200
        done = {"fence": order["fence"], "state": "done"}
        assert issuer.patch(f"/v1/orders/{order['id']}", done).status == 200
        ask = {"max": 5, "lease_ms": 60000, **accounts}
        assert issuer.post("/v1/leases", ask).json["orders"] == []
        assert operator.get("/v1/domains/idle.example.com").json["standby"] is None
        told = issuer.post("/v1/leases", {**ask, "standby": "backup"}).json["orders"]
        assert [(o["names"], o["standby"]) for o in told] == [(["idle.example.com"], True)]
        assert operator.get("/v1/domains/idle.example.com").json["standby"]["wanted"] == "backup"


def test_a_certificate_is_shown_as_pem_and_no_key_is(store, operator, issuer):
    leaf = store.identity("viewer", ident="leaf").cert.public_bytes(Encoding.DER)
    parent = store.ca.cert.public_bytes(Encoding.DER)
    order = sealed_order(operator, issuer, "pem.example.com")
    chain = chain_block(parent)
    assert publish(issuer, order, leaf=leaf, chain=chain).status == 200
    answer = store.client("viewer").get("/v1/certificates/pem.example.com")
    current = answer.json["current"]
    pem = store.identity("viewer", ident="leaf").cert.public_bytes(Encoding.PEM)
    assert current["pem"].encode() == pem + store.ca.cert.public_bytes(Encoding.PEM)
    assert current["recipients"] == [(b"R" * 8).hex()]
    assert current["spki_sha256"] == "ab" * 32
    assert answer.json["previous"] is None
    for secret in (b"sealed", b64u(b"sealed").encode(), b64u(b"C" * 30).encode()):
        assert secret not in answer.body


def test_publishing_again_is_answered_as_the_first_time(operator, issuer):
    order = sealed_order(operator, issuer, "twice.example.com")
    first = publish(issuer, order)
    second = publish(issuer, order)
    assert (first.status, second.status) == (200, 200)
    assert first.json["state"] == second.json["state"] == "confirming"


def test_an_old_fence_is_lost(operator, issuer):
    order = sealed_order(operator, issuer, "fence.example.com")
    old = dict(order, fence=order["fence"] - 1)
    for _ in range(50):
        answer = step(issuer, old, attempts=1)
        assert (answer.status, answer.code) == (409, "fence-lost")
    answer = publish(issuer, old)
    assert (answer.status, answer.code) == (409, "fence-lost")
    assert publish(issuer, order).status == 200


@pytest.mark.parametrize("state,code", [("ordered", "order-state"), ("nonsense", "bad-field"),
                                        ("done", "order-state")])
def test_states_that_cannot_follow(operator, issuer, state, code):
    order = sealed_order(operator, issuer, f"state-{state}.example.com")
    assert step(issuer, order, state=state).code == code


def bad_publications():
    leaf2 = b"0other" * 50

    def records(**changes):
        return lambda o: {"records": [b64u(record(n, o["id"], LEAF, CHAIN, BEGIN, END, **changes))
                                      for n in o["names"]]}

    def made(*args):
        return lambda o: {"records": [b64u(record(o["names"][0], *[
            a(o) if callable(a) else a for a in args]))]}

    good = lambda o: o["id"]
    yield "no records", lambda o: {"records": []}
    yield "rubbish", lambda o: {"records": [b64u(b"rubbish")]}
    yield "empty record", lambda o: {"records": [""]}
    yield "cut", lambda o: {"records": [b64u(
        record(o["names"][0], o["id"], LEAF, CHAIN, BEGIN, END)[:-1])]}
    yield "trailing bytes", lambda o: {"records": [b64u(
        record(o["names"][0], o["id"], LEAF, CHAIN, BEGIN, END) + b"x")]}
    yield "another format", records(format=9)
    yield "a tombstone", lambda o: {"records": [b64u(
        bytes([1, 3, 0, 0]) + o["id"].to_bytes(8, "big") + bytes(8) +
        bytes([len(o["names"][0])]) + o["names"][0].encode())]}
    yield "a higher version", made(lambda o: o["id"] + 1, LEAF, CHAIN, BEGIN, END)
    yield "an older version", made(lambda o: o["id"] - 1, LEAF, CHAIN, BEGIN, END)
    yield "another key version", lambda o: {"records": [b64u(record(
        o["names"][0], o["id"], LEAF, CHAIN, BEGIN, END, key_version=o["id"] + 1))]}
    yield "another leaf", made(good, leaf2, CHAIN, BEGIN, END)
    yield "another chain", made(good, LEAF, chain_block(b"0x"), BEGIN, END)
    yield "no chain in the record", made(good, LEAF, b"", BEGIN, END)
    yield "a chain only in the record", lambda o: {"chain": ""}
    yield "a broken chain", lambda o: {"chain": b64u(CHAIN[:-1])}
    yield "other dates", made(good, LEAF, CHAIN, BEGIN, END + 86400)
    yield "ends before it begins", lambda o: {"not_after": time_text(BEGIN - 1)}
    yield "a name of nobody", lambda o: {"records": [b64u(record(
        "foreign.example.com", o["id"], LEAF, CHAIN, BEGIN, END))]}
    yield "a name too many", lambda o: {"records": publication(o)["records"] + [b64u(record(
        "foreign.example.com", o["id"], LEAF, CHAIN, BEGIN, END))]}
    yield "the same name twice", lambda o: {"records": publication(o)["records"] * 2}


@pytest.mark.parametrize("label,change", list(bad_publications()), ids=short)
def test_a_record_that_does_not_fit_is_not_published(store, operator, issuer, label, change):
    name = "bad-" + label.replace(" ", "-") + ".example.com"
    order = sealed_order(operator, issuer, name)
    answer = publish(issuer, order, dict(publication(order), **change(order)))
    assert (answer.status, answer.code) == (400, "bad-record"), label
    feed = Feed(Client(store, store.identity("edge")).get("/v1/feed").body)
    assert feed.names()[name] == 1, "nothing went live"
    assert publish(issuer, order).status == 200, "and the order is as good as before"


@pytest.mark.parametrize("field,value,code", [
    ("leaf", "", "bad-field"), ("leaf", "===", "bad-field"), ("leaf", 7, "bad-field"),
    ("leaf", b64u(b"x" * 8193), "bad-field"), ("leaf", None, "missing-field"),
    ("chain", None, "missing-field"), ("chain", b64u(b"x" * 65537), "bad-field"),
    ("records", "x", "bad-field"), ("records", [1], "bad-field"), ("records", ["x"] * 3, "bad-field"),
    ("renew_at", "tomorrow", "bad-field"), ("renew_at", 5, "bad-field"),
    ("not_after", None, "missing-field"), ("spki_sha256", "ab", "bad-field"),
    ("spki_sha256", "zz" * 32, "bad-field"), ("serial", "x" * 81, "bad-field"),
    ("fence", "1", "bad-field"), ("fence", -1, "bad-field"), ("fence", 2**53, "bad-field"),
    ("fence", 1.5, "bad-field"), ("extra", 1, "unknown-field")], ids=short)
def test_a_publication_with_a_bad_field(operator, issuer, field, value, code):
    order = {"id": 1, "fence": 1, "names": ["x.example.com"]}
    answer = publish(issuer, order, dict(publication(order), **{field: value}))
    assert (answer.status, answer.code) == (400, code)
    assert answer.json["field"] == field


@pytest.mark.parametrize("fields,code,field", [
    ({"state": "sealed"}, "order-state", None),
    ({"csr": "AAAA"}, "order-state", None),
    ({"acme": "text"}, "bad-field", "acme"), ({"acme": []}, "bad-field", "acme"),
    ({"acme": {"a": "b" * 33000}}, "bad-field", "acme"),
    ({"csr": b64u(b"c" * 9000)}, "bad-field", "csr"),
    ({"sealed": b64u(b"s" * 17000)}, "bad-field", "sealed"),
    ({"attempts": -1}, "bad-field", "attempts"), ({"attempts": True}, "bad-field", "attempts"),
    ({"next_at": "2026-13-01T00:00:00Z"}, "bad-field", "next_at"),
    ({"reason": "text"}, "bad-field", "reason"),
    ({"reason": {"code": "x", "detail": "y"}}, "missing-field", "reason.actor"),
    ({"reason": {"code": "x", "detail": "y", "actor": "me"}}, "bad-field", "reason.actor"),
    ({"reason": {"code": "x", "detail": "y", "actor": "ca", "z": 1}}, "unknown-field", "reason.z"),
    ({"names": [{"name": "a b"}]}, None, "names.name"),
    ({"names": [{}]}, "missing-field", "names.name"),
    ({"names": [1]}, "bad-field", "names"),
    ({"names": [{"name": "p.example.com", "state": "active"}]}, "bad-field", "names.state"),
    ({"names": [{"name": "p.example.com"}] * 3}, "bad-field", "names"),
    ({"keep_lease": 1}, "bad-field", "keep_lease"),
    ({"unknown": 1}, "unknown-field", "unknown")], ids=short)
def test_a_step_with_a_bad_field(operator, issuer, fields, code, field):
    operator.put("/v1/domains/p.example.com")
    if not getattr(test_a_step_with_a_bad_field, "order", None):
        test_a_step_with_a_bad_field.order = lease(issuer, "p.example.com")
    answer = step(issuer, test_a_step_with_a_bad_field.order, **fields)
    assert answer.status in (400, 409)
    if code:
        assert answer.code == code
    assert answer.json.get("field") == field


def test_a_failed_step_says_what_becomes_of_each_name(operator, issuer):
    order = new_order(operator, issuer, "fails.example.com", www=True)
    at = time_text(NOW + 3600)
    reason = {"code": "wrong-answer", "detail": "It points elsewhere.", "actor": "customer"}
    answer = issuer.patch(f"/v1/orders/{order['id']}", {
        "fence": order["fence"], "state": "failed", "reason": reason,
        "names": [{"name": "www.fails.example.com", "next_at": at, "failed": True,
                   "state": "failed", "reason": reason},
                  {"name": "fails.example.com", "next_at": at, "failed": False,
                   "state": "failed", "reason": reason}]})
    assert answer.status == 200, answer.body
    www = operator.get("/v1/domains/www.fails.example.com").json
    assert (www["state"], www["failures"], www["next_at"]) == ("failed", 1, at)
    assert www["reason"]["actor"] == "customer"
    other = lease(issuer, "fails.example.com")
    assert other["names"] == ["fails.example.com"] and other["failures"] == {"fails.example.com": 0}


def test_a_name_that_is_removed_meanwhile_is_left_out(store, operator, issuer):
    order = sealed_order(operator, issuer, "left.example.com", www=True)
    assert step(issuer, order, state="finalizing").status == 200
    assert operator.delete("/v1/domains/www.left.example.com").status == 204
    answer = publish(issuer, order)
    assert answer.status == 200, answer.body
    names = Feed(Client(store, store.identity("edge")).get("/v1/feed").body).names()
    assert (names["left.example.com"], names["www.left.example.com"]) == (2, 3)


def test_orders_are_listed_newest_first_in_pages(store, operator, issuer):
    for n in range(5):
        new_order(operator, issuer, f"list{n}.example.com")
    viewer = store.client("viewer")
    ids, cursor = [], ""
    while True:
        page = viewer.get("/v1/orders?limit=2" + cursor).json
        ids += [order["id"] for order in page["orders"]]
        if not page["next_cursor"]:
            break
        cursor = "&cursor=" + page["next_cursor"]
    assert ids == sorted(ids, reverse=True) and len(set(ids)) == len(ids) >= 5
    mine = viewer.get("/v1/orders?name=List3.Example.com").json["orders"]
    assert [order["names"] for order in mine] == [["list3.example.com"]]
    assert mine[0]["lease"]["issuer"] == "issuer/default/t1"
    assert viewer.get(f"/v1/orders/{mine[0]['id']}").json == mine[0]
    for query in ("cursor=0", "cursor=x", "cursor=-1", "state=open", "limit=0", "cursor=1e9",
                  "cursor=99999999999999999999"):
        assert viewer.get("/v1/orders?" + query).code == "bad-query", query


@pytest.mark.parametrize("body,code", [
    ({}, "missing-field"), ({"max": 0, "lease_ms": 1000}, "bad-field"),
    ({"max": 257, "lease_ms": 1000}, "bad-field"), ({"max": 1, "lease_ms": 999}, "bad-field"),
    ({"max": 1, "lease_ms": 3600001}, "bad-field"),
    ({"max": 1, "lease_ms": 1000, "wait_ms": 60001}, "bad-field"),
    ({"max": "1", "lease_ms": 1000}, "bad-field"),
    ({"max": 1, "lease_ms": 1000, "who": "me"}, "unknown-field")])
def test_leases_asked_wrongly(issuer, body, code):
    answer = issuer.post("/v1/leases", body)
    assert (answer.status, answer.code) == (400, code)


LOOK = {"max": 256, "lease_ms": 60000, "looks": 1000}
WHY = {"code": "dns-no-address", "detail": "It has none.", "actor": "customer"}


def look_at(issuer, name, **fields):
    """What is handed out with the name; earlier tests may have left others."""
    answer = issuer.post("/v1/leases", {**LOOK, **fields})
    assert answer.status == 200, answer.body
    return next(look for look in answer.json["looks"] if look["name"] == name)


def test_names_are_looked_at_before_they_get_an_order(operator, issuer):
    names = ["alive.look.example.com", "dead.look.example.com", "retried.look.example.com"]
    for name in names:
        assert operator.put(f"/v1/domains/{name}").status == 201
    handed = {look["name"]: look for look in issuer.post("/v1/leases", {**LOOK, "max": 0}).json["looks"]}
    assert handed[names[0]] == {"name": names[0], "look": handed[names[0]]["look"], "failures": 0,
                                "checks_failed": 0, "away_since": None, "needed_by": None}
    keys = [{"name": name, "look": handed[name]["look"]} for name in names]
    again = issuer.post("/v1/leases", {**LOOK, "max": 0}).json
    assert not set(names) & {look["name"] for look in again["looks"]} and again["looked"] == 0
    assert operator.post(f"/v1/domains/{names[2]}/retry", {}).status == 200
    dead = {**keys[1], "away": True, "next_at": "2036-01-01T00:00:00Z", "reason": WHY}
    answer = issuer.post("/v1/leases", {**LOOK, "looked": [keys[0], keys[2]], "dead": [dead]}).json
    assert answer["looked"] == 2
    orders = [name for order in answer["orders"] for name in order["names"]]
    assert names[0] in orders and names[2] not in orders
    domain = operator.get(f"/v1/domains/{names[1]}").json
    assert (domain["state"], domain["failures"], domain["checks_failed"]) == ("failed", 1, 1)
    assert domain["reason"] == WHY and domain["next_at"].startswith("2036-") and domain["away_since"]
    assert operator.get(f"/v1/orders?name={names[1]}").json["orders"] == []
    # What is told twice, or too late, or of nobody, changes nothing.
    stale = [dead, {**dead, **keys[2]}, {**dead, "name": "nobody.look.example.com"}]
    assert issuer.post("/v1/leases", {**LOOK, "looks": 0, "dead": stale}).status == 200
    assert operator.get(f"/v1/domains/{names[1]}").json["failures"] == 1
    assert operator.get(f"/v1/domains/{names[2]}").json["state"] == "pending"


@pytest.mark.parametrize("fields", [
    {"looks": 1001}, {"looks": -1}, {"looks": None, "max": 0},
    {"looked": [{"name": "a.example.com"}]}, {"looked": [{"name": "a.example.com", "look": 0}]},
    {"looked": [{"name": "a.example.com", "look": 1, "reason": WHY}]},
    {"looked": [{"name": "a.example.com", "look": 1}] * 257},
    {"looked": [{"name": "a.example.com", "look": 1}], "wait_ms": 1},
    {"dead": [{"name": "a.example.com", "look": 1}]},
    {"dead": [{"name": "a.example.com", "look": 1, "reason": WHY, "state": "paused"}]},
    {"dead": [{"name": "a.example.com", "look": 1, "reason": {**WHY, "actor": "me"}}]}], ids=short)
def test_looks_that_are_told_wrongly(issuer, fields):
    answer = issuer.post("/v1/leases", {**LOOK, **fields})
    assert answer.status == 400 and answer.code in ("bad-field", "missing-field", "unknown-field"), answer.body


def test_a_failure_has_a_reason(operator, issuer):
    order = new_order(operator, issuer, "reasonless.example.com")
    refused = step(issuer, order, state="failed", names=[{"name": order["names"][0]}])
    assert (refused.status, refused.code) == (400, "missing-field")


def test_what_people_and_the_platform_do_is_audited(store, operator, issuer):
    platform = store.client("platform")
    platform.put("/v1/domains/audit.example.com")
    operator.post("/v1/domains/audit.example.com/pause")
    operator.delete("/v1/domains/audit.example.com")
    entries = store.client("viewer").get("/v1/audit?limit=3").json["entries"]
    assert [(e["who"], e["action"], e["target"]) for e in entries] == [
        ("operator/default/t1", "domain.delete", "audit.example.com"),
        ("operator/default/t1", "domain.pause", "audit.example.com"),
        ("platform/default/t1", "domain.create", "audit.example.com")]
    everybody = store.client("viewer").get("/v1/audit?limit=1000").json["entries"]
    assert not [e for e in everybody if e["who"].startswith(("issuer/", "edge/"))]
