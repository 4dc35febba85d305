"""Long polls: they wake when there is something, and only for who may still ask."""

import contextlib
import http.client
import re
import time

import pytest

from api_fixture import Client, Feed, Later, running_store, until


@pytest.fixture(scope="module")
def store():
    with running_store(tombstone_keep="1h") as made:
        yield made


def feed(client, query=""):
    answer = client.get("/v1/feed" + query)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/vnd.certherd.feed"
    return Feed(answer.body)


def feed_snapshot(client, query=""):
    answer = client.get("/v1/feed/snapshot" + query)
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/vnd.certherd.feed"
    return Feed(answer.body)


def test_a_snapshot_of_another_epoch_begins_again(store):
    edge = Client(store, store.identity("edge", scope="epochs"))
    store.client("operator").put("/v1/domains/epochs.example.com", {"pool": "epochs"})
    reset = feed_snapshot(edge, f"?epoch={'0' * 32}&after=a.example.com")
    assert reset.flags == Feed.RESET and reset.frames == []
    whole = feed_snapshot(edge)
    assert whole.flags == 0 and list(whole.names()) == ["epochs.example.com"]


def feed_later(store, identity, cursor, wait_ms=60000):
    return Later(store, identity, "GET", f"/v1/feed?{cursor}&wait_ms={wait_ms}")


def polls_waiting(store, kind):
    figures = store.client("viewer").get("/v1/metrics").body.decode()
    return int(re.search(rf'^certherd_store_polls_waiting{{kind="{kind}"}} (\d+)$', figures, re.MULTILINE)[1])


def wait_parked(store, kind="feed", count=1):
    """Until so many requests have found nothing, and wait at the store to be woken."""
    until(lambda: polls_waiting(store, kind) == count,
          lambda: f"{count} requests wait, not {polls_waiting(store, kind)}")


def test_a_feed_poll_is_woken_by_a_new_name(store):
    edge = store.identity("edge", scope="wake")
    first = feed(Client(store, edge))
    later = feed_later(store, edge, first.cursor(0))
    wait_parked(store)
    store.client("operator").put("/v1/domains/woken.example.com", {"pool": "wake"})
    answer = Feed(later.result().body)
    assert answer.names() == {"woken.example.com": 1}
    assert answer.base == answer.head


def test_a_feed_poll_sleeps_through_changes_of_other_pools(store):
    edge = store.identity("edge", scope="quiet")
    client, operator = Client(store, edge), store.client("operator")
    cursor = feed(client).cursor(0)
    later = feed_later(store, edge, cursor)
    wait_parked(store)
    for n in range(5):
        operator.put(f"/v1/domains/noise{n}.example.com", {"pool": "loud"})
    operator.put("/v1/domains/own.example.com", {"pool": "quiet"})
    answer = Feed(later.result().body)
    assert answer.names() == {"own.example.com": 1}
    # One whose time is over has missed no removal of its pool, so it stands at the head.
    operator.put("/v1/domains/noise5.example.com", {"pool": "loud"})
    answer = feed(client, f"?{answer.cursor()}&wait_ms=300")
    assert answer.frames == [] and answer.flags == 0
    assert answer.base == answer.head >= 7


def test_a_feed_poll_with_something_to_tell_does_not_wait(store):
    store.client("operator").put("/v1/domains/there.example.com", {"pool": "there"})
    edge = Client(store, store.identity("edge", scope="there"))
    began = time.monotonic()
    assert feed(edge, "?wait_ms=60000").names() == {"there.example.com": 1}
    assert time.monotonic() - began < 30


def test_removals_reach_the_feed(store):
    operator = store.client("operator")
    edge = store.identity("edge", scope="gone")
    operator.put("/v1/domains/gone.example.com", {"pool": "gone"})
    first = feed(Client(store, edge))
    later = feed_later(store, edge, first.cursor())
    assert operator.delete("/v1/domains/gone.example.com").status == 204
    assert Feed(later.result().body).names() == {"gone.example.com": 3}


def test_many_polls_are_all_woken(store):
    edges = [store.identity("edge", scope="many", ident=f"e{n}") for n in range(20)]
    cursor = feed(Client(store, edges[0])).cursor(0)
    polls = [feed_later(store, edge, cursor) for edge in edges]
    wait_parked(store, count=len(polls))
    store.client("operator").put("/v1/domains/many.example.com", {"pool": "many"})
    for poll in polls:
        assert Feed(poll.result().body).names() == {"many.example.com": 1}


def test_an_edge_follows_every_change_while_they_happen(store):
    """No lost wake-up: each poll begins while the next change is under way."""
    edge = Client(store, store.identity("edge", scope="chase"))
    answer = feed(edge)
    cursor, seen = answer.cursor(0), set()
    puts = [Later(store, store.identity("operator", ident=f"chase{n}"), "PUT",
                  f"/v1/domains/chase{n}.example.com", {"pool": "chase"}) for n in range(30)]
    while len(seen) < 30:
        answer = feed(edge, f"?{cursor}&wait_ms=20000")
        assert answer.frames, "woken or timed out with nothing"
        seen |= set(answer.names())
        cursor = answer.cursor()
    assert all(put.result().status == 201 for put in puts)


def test_reading_in_pages_is_the_same_as_reading_at_once(store):
    """Each answer is at most 4 MiB; the base holds until the snapshot is through."""
    operator = store.client("operator")
    wide = "w" * 60 + "." + "x" * 60 + "." + "y" * 60
    names = [f"n{n}.{wide}.example.com" for n in range(20000)]
    for at in (0, 10000):
        batch = [{"name": n, "pool": "pages"} for n in names[at : at + 10000]]
        assert operator.post("/v1/domains", {"domains": batch}).json["created"] == 10000
    edge = Client(store, store.identity("edge", scope="pages"))
    answer = feed(edge)
    assert answer.flags == Feed.MORE and answer.base == answer.head
    seen, pages = set(answer.names()), 1
    base = answer.base
    while answer.flags & Feed.MORE:
        answer = feed(edge, "?" + answer.cursor())
        assert not answer.flags & Feed.RESET
        assert answer.base >= base
        seen |= set(answer.names())
        pages += 1
    assert pages >= 2 and seen == set(names)
    snapshot, after, seen = feed_snapshot(edge), None, []
    head = snapshot.head
    while True:
        seen += snapshot.names()
        if not snapshot.flags & Feed.MORE:
            break
        kind, _, after = snapshot.frames[-1]
        assert kind == Feed.PLACE and after.decode() == seen[-1]
        snapshot = feed_snapshot(edge, f"?epoch={snapshot.epoch}&after={after.decode()}")
    assert after and seen == sorted(names)
    assert snapshot.head == head, "the feed goes on from there"


def test_a_poll_for_leases_is_woken_by_a_name_that_is_due():
    with running_store() as store:
        issuer = store.identity("issuer")
        body = {"max": 5, "lease_ms": 60000, "wait_ms": 60000}
        later = Later(store, issuer, "POST", "/v1/leases", body)
        wait_parked(store, "leases")
        store.client("operator").put("/v1/domains/due.example.com")
        orders = later.result().json["orders"]
        assert [order["names"] for order in orders] == [["due.example.com"]]


def test_a_poll_for_leases_is_woken_when_an_orders_time_has_come():
    with running_store() as store:
        issuer = store.client("issuer")
        store.client("operator").put("/v1/domains/clock.example.com")
        taken = issuer.post("/v1/leases", {"max": 1, "lease_ms": 60000}).json
        order = taken["orders"][0]
        # Given back, due in about a second: nobody writes anything meanwhile.
        at = time.time() + 1.2
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + ".%03dZ" % (at % 1 * 1000)
        answer = issuer.patch(f"/v1/orders/{order['id']}",
                              {"fence": order["fence"], "next_at": text})
        assert answer.status == 200, answer.body
        again = issuer.post("/v1/leases", {"max": 1, "lease_ms": 60000, "wait_ms": 60000}).json
        assert [o["id"] for o in again["orders"]] == [order["id"]]
        assert again["orders"][0]["fence"] > order["fence"]
        assert again["now"] >= text


def test_a_poll_for_leases_without_work_ends_with_none():
    with running_store() as store:
        body = {"max": 1, "lease_ms": 1000, "wait_ms": 300}
        answer = store.client("issuer").post("/v1/leases", body)
        assert answer.status == 200 and answer.json["orders"] == []


def test_a_client_that_died_while_it_waited_gets_no_lease():
    with running_store() as store:
        issuer = Client(store, store.identity("issuer"))
        connection = issuer.connect()
        connection.request("POST", "/v1/leases",
                           body=b'{"max":9,"lease_ms":3600000,"wait_ms":60000}',
                           headers={"Content-Type": "application/json"})
        wait_parked(store, "leases")
        connection.sock.close()
        connection.close()
        store.client("operator").put("/v1/domains/orphan.example.com")
        wait_parked(store, "leases", 0)
        answer = issuer.post("/v1/leases", {"max": 9, "lease_ms": 60000, "wait_ms": 10000})
        assert [order["names"] for order in answer.json["orders"]] == [["orphan.example.com"]]


def revoke(store, identity):
    with open(store.revoked, "a") as file:
        file.write(f"sha256:{identity.sha256}  # by a test\n")


def test_who_is_revoked_during_a_feed_poll_gets_nothing(store):
    edge = store.identity("edge", scope="bad", ident="mallory")
    later = feed_later(store, edge, feed(Client(store, edge)).cursor(0))
    wait_parked(store)
    revoke(store, edge)
    store.client("operator").put("/v1/domains/secret.example.com", {"pool": "bad"})
    answer = later.result()
    assert answer.status == 401 and answer.code == "not-authenticated"
    assert b"secret" not in answer.body


def test_who_is_revoked_during_a_poll_for_leases_gets_none():
    with running_store() as store:
        issuer = store.identity("issuer", ident="mallory")
        later = Later(store, issuer, "POST", "/v1/leases",
                      {"max": 5, "lease_ms": 60000, "wait_ms": 60000})
        wait_parked(store, "leases")
        revoke(store, issuer)
        store.client("operator").put("/v1/domains/kept.example.com")
        answer = later.result()
        assert answer.status == 401 and answer.code == "not-authenticated"
        other = store.client("issuer", ident="honest")
        taken = other.post("/v1/leases", {"max": 5, "lease_ms": 60000}).json["orders"]
        assert [order["names"] for order in taken] == [["kept.example.com"]]


def test_one_identity_cannot_take_all_the_places(store):
    edge = store.identity("edge", scope="greedy")
    cursor = feed(Client(store, edge)).cursor(0)
    polls = [feed_later(store, edge, cursor) for _ in range(24)]
    until(lambda: sum(not poll.waits() for poll in polls) == 8, "the last are refused")
    wait_parked(store, count=16)
    store.client("operator").put("/v1/domains/greedy.example.com", {"pool": "greedy"})
    answers = [poll.result() for poll in polls]
    refused = [answer for answer in answers if answer.status != 200]
    assert len(refused) == 8
    for answer in refused:
        assert answer.status == 429 and answer.code == "too-many-polls"
        assert int(answer.headers["Retry-After"]) >= 1


def test_the_store_stops_at_once_with_requests_waiting():
    with running_store() as store:
        edge = store.identity("edge")
        polls = [feed_later(store, edge, feed(Client(store, edge)).cursor(0)) for _ in range(4)]
        polls.append(Later(store, store.identity("issuer"), "POST", "/v1/leases",
                           {"max": 1, "lease_ms": 1000, "wait_ms": 60000}))
        wait_parked(store, "feed", 4)
        wait_parked(store, "leases")
        process = store.process
        process.terminate()
        assert process.wait(timeout=15) == 0
        for poll in polls:
            answer = poll.result()
            assert answer.status == 503 and answer.code == "stopping"
        store.start()


def test_who_comes_while_the_store_stops_is_turned_away_at_once():
    with running_store() as store, contextlib.closing(Client(store, store.identity("operator")).connect()) as slow:
        slow.putrequest("POST", "/v1/domains")
        slow.putheader("Content-Type", "application/json")
        slow.putheader("Content-Length", "100")
        slow.endheaders(b"{")
        # It was heard of: others after it are answered.
        assert store.client("viewer").get("/v1/status").status == 200
        store.process.terminate()

        def turned_away():
            with contextlib.closing(Client(store, store.identity("viewer")).connect()) as late:
                try:
                    late.request("GET", "/v1/status")
                    late.getresponse().read()
                except TimeoutError:
                    raise
                except (OSError, http.client.HTTPException):
                    return True
            return False

        until(turned_away, "it is turned away")
        assert store.process.poll() is None
        assert store.process.wait(timeout=15) == 0
        store.start()


def test_a_cursor_older_than_the_remembered_removals_begins_again():
    with running_store(tombstone_keep="1s") as store:
        operator = store.client("operator")
        for n in range(3):
            operator.put(f"/v1/domains/short{n}.example.com")
        edge = store.client("edge")
        old = feed(edge)
        operator.delete("/v1/domains/short1.example.com")
        until(lambda: feed(edge, "?" + old.cursor()).flags & Feed.RESET, "removal forgotten")
        reset = feed(edge, "?" + old.cursor())
        assert reset.frames == [] and reset.base == reset.head
        fresh = feed(edge, f"?epoch={reset.epoch}&after=0&base={reset.base}")
        assert fresh.flags == 0
        assert fresh.names() == {"short0.example.com": 1, "short2.example.com": 1}


def test_cursors_that_are_ahead_or_incomplete_are_refused(store):
    edge = store.client("edge")
    epoch = feed(edge).epoch
    for query in (f"epoch={epoch}&after=999999999&base=0", f"epoch={epoch}&after=0&base=999999999",
                  "after=1", "base=1", f"epoch={epoch}&after=9007199254740992"):
        answer = edge.get("/v1/feed?" + query)
        assert (answer.status, answer.code) == (400, "bad-cursor"), query


def test_an_acknowledgement_shows_in_the_list_of_edges(store):
    edge = store.client("edge", scope="acks")
    operator = store.client("operator")
    operator.put("/v1/domains/acks.example.com", {"pool": "acks"})
    answer = feed(edge)
    body = {"epoch": answer.epoch, "seq": answer.after, "names": 1, "software": "test 1",
            "error": None}
    assert edge.put("/v1/edges/self", body).status == 204
    listed = {e["id"]: e for e in operator.get("/v1/edges").json["edges"]}["edge/acks/t1"]
    assert (listed["seq"], listed["lag"], listed["live"]) == (answer.after, 0, True)
    assert edge.put("/v1/edges/self", dict(body, seq=answer.head + 1000)).code == "bad-cursor"
    assert edge.put("/v1/edges/self", dict(body, epoch="00")).code == "bad-field"
    assert operator.delete("/v1/edges/acks/t1").status == 204
    assert operator.delete("/v1/edges/acks/t1").code == "edge-not-found"
    assert "edge/acks/t1" not in {e["id"] for e in operator.get("/v1/edges").json["edges"]}
