"""The edges of HTTP: sizes, encodings, methods, certificates of odd kinds, many at once."""

import json
import os
import socket
import ssl
import threading
import time
import warnings

import pytest
from cryptography import x509

from lab import wait
from api_fixture import (ANY, CLIENT, SERVER, SLOWNESS, Client, Identity, running_store, usage)


@pytest.fixture(scope="module")
def store():
    with running_store() as made:
        yield made


def raw_exchange(client, data):
    """Bytes as they are, and all that comes back until the connection ends."""
    with socket.create_connection(("127.0.0.1", client.store.port), timeout=30) as plain:
        with client.context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
            tls.sendall(data)
            answer = b""
            try:
                while True:
                    more = tls.recv(65536)
                    if not more:
                        return answer
                    answer += more
                    if b"\r\n\r\n" in answer and b"Connection: close" not in data:
                        return answer
            except OSError:
                return answer


def chunked(path, method, chunks):
    yield (f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
           "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n").encode()
    for chunk in chunks:
        yield b"%x\r\n%s\r\n" % (len(chunk), chunk)
    yield b"0\r\n\r\n"


def test_a_chunked_body_is_taken(store):
    data = b"".join(chunked("/v1/domains/chunks.example.com", "PUT",
                            [b'{"ten', b'ant":', b'"c"}']))
    answer = raw_exchange(store.client("operator"), data)
    assert answer.startswith(b"HTTP/1.1 201") and b'"tenant":"c"' in answer


@pytest.mark.parametrize("size", [65537, 300000])
def test_a_chunked_body_over_the_cap_is_refused_though_its_length_is_not_told(store, size):
    data = b"".join(chunked("/v1/domains/big.example.com", "PUT",
                            [b'{"a":"'] + [b"x" * 1000] * (size // 1000 + 1) + [b'"}']))
    answer = raw_exchange(store.client("operator"), data)
    assert answer.startswith(b"HTTP/1.1 413"), answer[:200]
    assert b"body-too-large" in answer


@pytest.mark.parametrize("size,status", [(65536, 200), (65537, 413)])
def test_the_cap_is_exact(store, size, status):
    body = b'{"tenant":"cap"}'
    body = body[:-1] + b" " * (size - len(body)) + b"}"
    operator = store.client("operator")
    operator.put("/v1/domains/cap.example.com")
    assert operator.put("/v1/domains/cap.example.com", raw=body).status == status
    # The connection is in order afterwards.
    assert operator.get("/v1/status").status == 200


def test_a_large_body_is_refused_before_it_is_sent_to_who_asks_first(store):
    head = ("POST /v1/domains HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {10**9}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
    answer = raw_exchange(store.client("operator"), head.encode())
    assert answer.startswith(b"HTTP/1.1 413")


def test_no_memory_is_held_for_what_is_refused(store):
    def resident_kb():
        status = open(f"/proc/{store.process.pid}/status").read()
        return int(status.split("VmRSS:")[1].split()[0])

    before = resident_kb()
    head = ("PUT /v1/domains/flood.example.com HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {15 * 2**20}\r\n\r\n").encode()
    answer = raw_exchange(store.client("operator"), head + b" " * (15 * 2**20))
    assert answer.startswith(b"HTTP/1.1 413")
    if "asan" not in os.environ.get("CERTHERD_BIN", ""):
        assert resident_kb() - before < 8192


@pytest.mark.parametrize("method,path", [
    ("GET", "/v1/status"), ("GET", "/v1/domains"), ("DELETE", "/v1/domains/x.example.com"),
    ("GET", "/v1/audit")])
def test_a_body_where_none_belongs_is_refused(store, method, path):
    answer = store.client("operator").request(method, path, body={})
    assert (answer.status, answer.code) == (413, "body-too-large")


@pytest.mark.parametrize("method,path,allow", [
    ("POST", "/v1/domains/x.example.com", {"PUT", "GET", "DELETE"}),
    ("PUT", "/v1/domains", {"GET", "POST"}), ("HEAD", "/v1/status", {"GET"}),
    ("OPTIONS", "/v1/domains", {"GET", "POST"}), ("GET", "/v1/leases", {"POST"}),
    ("GET", "/v1/edges/self", {"PUT"}), ("PROPFIND", "/v1/feed", {"GET"}),
    ("GET", "/v1/edges/a/b", {"DELETE"}), ("DELETE", "/v1/orders/1", {"GET", "PATCH"})])
def test_a_method_that_is_not_there(store, method, path, allow):
    answer = store.client("operator").request(method, path)
    assert answer.status == 405
    assert set(answer.headers["Allow"].split(", ")) == allow
    if method != "HEAD":
        assert answer.code == "method-not-allowed"


@pytest.mark.parametrize("path,code", [
    ("/v1/domains/%", "bad-path"), ("/v1/domains/%zz", "bad-path"),
    ("/v1/domains/%00", "bad-path"), ("/v1/domains/a%00b.example.com", "bad-path"),
    ("/v1/domains/" + "a" * 1100, "bad-path"), ("/v1/domains/" + "a" * 7000, "uri-too-long"),
    ("/v1/domains/%ff.example.com", "name-not-utf8"),
    ("/v1/domains/a%2Fb.example.com", "name-character"),
    ("/v1/domains//", "no-such-route"), ("/v1/domains/x/y/z", "no-such-route"),
    ("/v2/domains", "no-such-route"), ("/v1/domains?a=%", "bad-query"),
    ("/v1/status?x", "bad-query"), ("/v1/health?x=1", "bad-query")])
def test_odd_paths(store, path, code):
    assert store.client("operator").get(path).code == code


def test_a_name_may_come_in_any_form(store):
    operator = store.client("operator")
    for path in ("B%C3%BCcher.Example.com", "xn--bcher-kva.example.com.", "b%c3%bccher.example.com"):
        answer = operator.put("/v1/domains/" + path)
        assert answer.json["name"] == "xn--bcher-kva.example.com", path
        assert answer.json["display"] == "bücher.example.com"


@pytest.mark.parametrize("headers,status", [
    ({"Content-Type": "application/json; charset=utf-8"}, 200),
    ({"Content-Type": "Application/JSON"}, 200),
    ({"Content-Type": "application/jsonx"}, 415), ({"Content-Type": "text/json"}, 415),
    ({"Content-Type": ""}, 415),
    ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415)])
def test_content_types(store, headers, status):
    operator = store.client("operator")
    operator.put("/v1/domains/types.example.com")
    answer = operator.put("/v1/domains/types.example.com", raw=b"{}", headers=headers)
    assert answer.status == status


def test_answers_are_not_to_be_kept_by_caches(store):
    for answer in (store.client("operator").get("/v1/status"), Client(store, None).get("/v1/x")):
        assert answer.headers["Cache-Control"] == "no-store"


def batch(store, items):
    return store.client("platform").post("/v1/domains", {"domains": items})


def test_a_batch_tells_of_each_item_what_became_of_it(store):
    batch(store, [{"name": "there.example.com"}])
    items = [
        ({"name": "New.Example.com"}, "created", None),
        ({"name": "there.example.com"}, "exists", False),
        ({"name": "new.example.com"}, "exists", False),
        ({"name": "there.example.com", "hsts": "max-age=60"}, "exists", True),
        ({"name": "there.example.com", "hsts": "max-age=60"}, "exists", False),
        ({"name": "there.example.com", "www": True}, "exists", True),
        ({"name": "www.there.example.com", "tenant": "other"}, "rejected", "bad-field"),
        ({"name": "*.example.com"}, "rejected", "name-wildcard"),
        ({"name": "com"}, "rejected", None),
        ({"name": ""}, "rejected", "name-empty"),
        ({}, "rejected", "missing-field"), ("text", "rejected", "bad-field"),
        (None, "rejected", "bad-field"), ({"name": 7}, "rejected", "bad-field"),
        ({"name": "x.example.com", "www": "yes"}, "rejected", "bad-field"),
        ({"name": "x.example.com", "pool": "A B"}, "rejected", "bad-field"),
        ({"name": "x.example.com", "colour": "red"}, "rejected", "unknown-field"),
        ({"name": "www.pair.example.com", "www": True}, "rejected", "bad-field"),
        ({"name": "pair.example.com", "www": True, "tenant": "t", "pool": "p"}, "created", None),
    ]
    answer = batch(store, [item for item, _, _ in items])
    assert answer.status == 200, answer.body
    results = answer.json["results"]
    for (item, status, code), result in zip(items, results, strict=True):
        assert result["status"] == status, (item, result)
        if status == "exists":
            assert result["changed"] is code, (item, result)
        else:
            assert "changed" not in result, (item, result)
        if status == "rejected" and code:
            assert result["code"] == code and result["detail"], (item, result)
        assert result["name"] == (item.get("name") if isinstance(item, dict) and
                                  isinstance(item.get("name"), str) else None)
    assert results[0]["domain"] == "new.example.com"
    counts = {s: sum(r["status"] == s for r in results) for s in ("created", "exists", "rejected")}
    assert {k: answer.json[k] for k in counts} == counts
    assert answer.json["changed"] == 2
    operator = store.client("operator")
    assert operator.get("/v1/domains/x.example.com").status == 404
    pair = operator.get("/v1/domains/www.pair.example.com").json
    assert (pair["www_of"], pair["tenant"], pair["pool"]) == ("pair.example.com", "t", "p")


def test_an_empty_batch_is_fine_and_a_wrong_one_is_refused_whole(store):
    assert batch(store, []).json == {"results": [], "created": 0, "exists": 0, "changed": 0, "rejected": 0}
    platform = store.client("platform")
    for body, code in (({"domains": {}}, "bad-field"), ({}, "missing-field"),
                       ({"domains": [], "x": 1}, "unknown-field"),
                       ({"domains": [{"name": "a.example.com"}] * 10001}, "batch-too-large"),
                       ({"domains": [{}] * 25000}, "body-too-large")):
        assert platform.post("/v1/domains", body).code == code
    assert platform.post("/v1/domains", raw=b"").code == "body-not-json"


def test_a_domains_fields_change_only_when_they_are_given(store):
    operator = store.client("operator")
    first = operator.put("/v1/domains/keep.example.com", {"tenant": "a", "pool": "b"}).json
    assert (first["tenant"], first["pool"], first["www"]) == ("a", "b", False)
    second = operator.put("/v1/domains/keep.example.com", {"tenant": "c"})
    assert second.status == 200
    assert (second.json["tenant"], second.json["pool"]) == ("c", "b")
    third = operator.put("/v1/domains/keep.example.com")
    assert third.json == second.json
    assert operator.put("/v1/domains/keep.example.com", raw=b"", headers={}).status == 200


def test_pause_resume_and_retry(store):
    operator = store.client("operator")
    operator.put("/v1/domains/rest.example.com")
    assert operator.post("/v1/domains/rest.example.com/pause").json["state"] == "paused"
    answer = operator.post("/v1/domains/rest.example.com/retry", {})
    assert (answer.status, answer.code) == (409, "domain-paused")
    assert operator.post("/v1/domains/rest.example.com/resume", {}).json["state"] == "pending"
    assert operator.post("/v1/domains/rest.example.com/retry").json["failures"] == 0
    assert operator.post("/v1/domains/rest.example.com/retry", {"x": 1}).code == "unknown-field"
    events = operator.get("/v1/domains/rest.example.com").json["history"]
    assert len(events) >= 3 and events[-1]["event"] == "created"
    for action in ("retry", "pause", "resume"):
        assert operator.post(f"/v1/domains/none.example.com/{action}").code == "domain-not-found"


ROUTES = ["/v1/status", "/v1/domains", "/v1/feed", "/v1/orders", "/v1/nothing"]


def refused(store, identity, reason):
    client = Client(store, identity)
    for path in ROUTES:
        answer = client.get(path)
        assert (answer.status, answer.code) == (401, "not-authenticated"), path
        assert reason in answer.json["detail"], answer.json["detail"]
    assert client.get("/v1/health").status == 200


def odd(store, label, uris=("certherd://operator/default/odd",), **more):
    return Identity(store.dir, label, uris, more.pop("ca", store.ca), **more)


def test_certificates_that_are_not_good_enough(store):
    refused(store, None, "No client certificate")
    refused(store, odd(store, "selfsigned", ca=None), "not signed by")
    refused(store, odd(store, "server", purposes=(SERVER,)), "clientAuth")
    refused(store, odd(store, "anything", purposes=(ANY,)), "clientAuth")
    refused(store, odd(store, "nothing", purposes=()), "clientAuth")
    refused(store, odd(store, "nousage", key_usage=None), "digitalSignature")
    # GnuTLS itself ends this handshake.
    with pytest.raises((ssl.SSLError, ConnectionError)):
        agree = odd(store, "agree", key_usage=usage(key_agreement=True))
        refused(store, agree, "digitalSignature")
    refused(store, odd(store, "expired", begins=-9, ends=-1), "expired")
    refused(store, odd(store, "early", begins=1, ends=9), "not valid yet")
    refused(store, odd(store, "nouri", uris=(), sans=[x509.DNSName("operator")]), "no URI")
    refused(store, odd(store, "two", uris=["certherd://operator/default/a"] * 2), "several URIs")
    refused(store, odd(store, "storerole", uris=["certherd://store/default/s1"]), "role")
    refused(store, odd(store, "long", uris=["certherd://operator/default/" + "a" * 64]), "form")
    refused(store, odd(store, "nul", uris=["certherd://operator/default/a\0b"]), "form")


def test_a_ca_is_no_client_and_its_children_are_nothing(store):
    signs = usage(digital_signature=True, cert_sign=True)
    child = odd(store, "childca", is_ca=True, key_usage=signs)
    refused(store, child, "")

    class Sub:
        key, name = child.key, child.cert.subject

    grandchild = odd(store, "grandchild", ca=Sub)
    with open(grandchild.cert_path, "ab") as chain:
        chain.write(open(child.cert_path, "rb").read())
    refused(store, grandchild, "")


def test_both_purposes_are_fine(store):
    both = odd(store, "both", purposes=(SERVER, CLIENT), sans=[x509.DNSName("x")])
    assert Client(store, both).get("/v1/status").status == 200


def test_the_edge_ca_signs_edges_and_nothing_else(store):
    for role in ("operator", "platform", "viewer", "issuer"):
        identity = odd(store, f"e-{role}", [f"certherd://{role}/default/x"], ca=store.edge_ca)
        refused(store, identity, "edge CA may not")
    edge = odd(store, "e-edge", ["certherd://edge/default/x"], ca=store.edge_ca)
    assert Client(store, edge).get("/v1/feed").status == 200


def test_revocation_takes_effect_on_open_connections_and_can_be_taken_back(store):
    identity = store.identity("viewer", ident="revocable")
    client = Client(store, identity)
    assert client.get("/v1/status").status == 200
    before = store.revoked.read_text()
    store.revoked.write_text(before + "uri:certherd://viewer/default/revocable\n")
    assert client.get("/v1/status").code == "not-authenticated"
    assert store.client("viewer").get("/v1/status").status == 200
    store.revoked.write_text(before)
    assert client.get("/v1/status").status == 200


def test_without_a_readable_revocation_list_nobody_gets_in(store):
    operator = store.client("operator")
    away = store.revoked.with_suffix(".away")
    store.revoked.rename(away)
    assert operator.get("/v1/status").code == "not-authenticated"
    assert Client(store, None).get("/v1/health").status == 200
    away.rename(store.revoked)
    assert operator.get("/v1/status").status == 200
    assert "everybody is refused" in store.log_text()


def test_old_protocols_are_refused(store):
    identity = store.identity("operator")
    assert Client(store, identity, tls=ssl.TLSVersion.TLSv1_2).get("/v1/status").status == 200
    old = Client(store, identity)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.context.minimum_version = ssl.TLSVersion.TLSv1
        old.context.maximum_version = ssl.TLSVersion.TLSv1_1
    old.context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        old.get("/v1/status")


def test_refusals_are_logged_but_do_not_flood(store):
    client = Client(store, None)
    before = store.log_text().count(" warn ")
    for _ in range(200):
        client.get("/v1/status")
    lines = store.log_text().count(" warn ") - before
    assert lines <= 30


def test_log_lines_cannot_be_forged(store):
    raw_exchange(Client(store, None), b"GET /v1/\x1b[31m\x07evil HTTP/1.1\r\nHost: x\r\n"
                 b"Connection: close\r\n\r\n")
    assert "\x1b" not in store.log_text()


def test_what_is_no_http_does_no_harm(store):
    operator = store.client("operator")
    for junk in (b"\r\n" * 1000, b"GET\r\n\r\n", os.urandom(5000),
                 b"GET /v1/status HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 9000 + b"\r\n",
                 b"POST /v1/domains HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                 b"POST /v1/domains HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999"
                 b"\r\n\r\n",
                 b"PUT /v1/domains/a.example.com HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"
                 b"\r\nContent-Type: application/json\r\n\r\nzz\r\n",
                 b"GET /v1/status HTTP/1.1\r\nHost"):
        with socket.create_connection(("127.0.0.1", store.port), timeout=30) as plain:
            with operator.context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                try:
                    tls.sendall(junk)
                    tls.settimeout(0.2)
                    tls.recv(1000)
                except OSError:
                    pass
        assert operator.get("/v1/status").status == 200
    with socket.create_connection(("127.0.0.1", store.port)) as plain:
        plain.sendall(b"GET /v1/health HTTP/1.1\r\n\r\n")  # not TLS
    assert operator.get("/v1/status").status == 200


def send_until_refused(connection):
    try:
        while True:
            connection.sendall(b"G")
            time.sleep(0.1)  # nothing is waited for: it is how slowly the stranger sends
    except OSError:
        pass


def test_a_stranger_who_sends_slowly_does_not_keep_the_place():
    """One byte now and then is not silence."""
    with running_store(identify_within="1s") as store:
        known, unknown = store.client("operator"), Client(store, None)
        assert known.get("/v1/status").status == 200
        for tls_first in (True, False):
            connection = socket.create_connection(("127.0.0.1", store.port), timeout=30)
            if tls_first:
                connection = unknown.context.wrap_socket(connection, server_hostname="127.0.0.1")
            # In a thread of its own: with Python 3.13 the failed write of one TLS connection
            # spoils the next read of another in the same thread.
            sender = threading.Thread(target=send_until_refused, args=(connection,))
            sender.start()
            sender.join(30)
            assert not sender.is_alive(), "still open"
            connection.close()
        kept = known.conn
        assert known.get("/v1/status").status == 200
        assert known.conn is kept, "the known one keeps its connection"


STATUS, HEALTH = (f"GET /v1/{what} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for what in
                  ("status", "health"))


def tls_to(client):
    """A connection whose end is seen, or a timeout."""
    plain = socket.create_connection(("127.0.0.1", client.store.port), timeout=30 * SLOWNESS)
    return client.context.wrap_socket(plain, server_hostname="127.0.0.1")


def read_to_end(tls):
    answer = b""
    try:
        while more := tls.recv(65536):
            answer += more
    except ConnectionError:
        pass
    return answer


def test_who_is_revoked_loses_the_connection(store):
    identity = store.identity("viewer", ident="cut-off")
    with tls_to(Client(store, identity)) as tls:
        tls.sendall(STATUS)
        assert tls.recv(65536).startswith(b"HTTP/1.1 200")
        before = store.revoked.read_text()
        store.revoked.write_text(before + "uri:certherd://viewer/default/cut-off\n")
        tls.sendall(STATUS)
        answer = read_to_end(tls)
    assert b"HTTP/1.1 401" in answer and b"Connection: close" in answer, answer
    store.revoked.write_text(before)


def test_a_stranger_is_told_and_the_connection_ends(store):
    with tls_to(Client(store, None)) as tls:
        tls.sendall(STATUS)
        assert read_to_end(tls).startswith(b"HTTP/1.1 401")


def test_asking_for_health_again_and_again_does_not_keep_the_place():
    with running_store(identify_within="1s") as store:
        with tls_to(Client(store, None)) as tls:
            answers = ended = 0
            while not ended:
                answer = b""
                try:
                    tls.sendall(HEALTH)
                    while not answer.endswith(b"}") and not ended:
                        more = tls.recv(65536)
                        answer += more
                        ended = not more
                except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
                    ended = True
                answers += answer.startswith(b"HTTP/1.1 200")
        assert answers
        assert store.client("operator").get("/v1/status").status == 200


def test_one_identity_does_not_take_all_connections():
    with running_store(connections_per_identity="16") as store:
        greedy = store.identity("viewer", ident="greedy")
        clients = [Client(store, greedy) for _ in range(16)]
        kept = []
        for client in clients:
            assert client.get("/v1/status").status == 200
            kept.append(client.conn)
        one_more = Client(store, greedy)
        answer = one_more.get("/v1/status")
        assert (answer.status, answer.code) == (429, "too-many-connections")
        assert answer.headers["Connection"] == "close" and int(answer.headers["Retry-After"]) > 0
        assert one_more.get("/v1/status").status == 429
        # Others are not concerned, and neither are the connections that it has.
        assert store.client("operator").get("/v1/status").status == 200
        assert [client.get("/v1/status").status for client in clients] == [200] * 16
        assert [client.conn for client in clients] == kept
        clients[3].close()
        wait.until(lambda: one_more.get("/v1/status").status == 200, "there is room again")
        for client in [*clients, one_more]:
            client.close()


def test_many_clients_at_once(store):
    operators = [store.identity("operator", ident=f"many{n}") for n in range(8)]
    failures = []

    def work(identity, n):
        client = Client(store, identity)
        for at in range(25):
            path = f"/v1/domains/m{n}-{at}.many.example.com"
            for answer, good in ((client.put(path), (201,)), (client.get(path), (200,)),
                                 (client.delete(path), (204,)), (client.get(path), (404,))):
                if answer.status not in good:
                    failures.append((path, answer.status, answer.body))
        client.close()

    threads = [threading.Thread(target=work, args=(o, n)) for n, o in enumerate(operators)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_connections_that_break_in_the_middle(store):
    operator = store.client("operator")
    body = json.dumps({"domains": [{"name": f"half{n}.example.com"} for n in range(2000)]})
    head = ("POST /v1/domains HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n")
    data = (head + body).encode()
    for cut in (10, len(head) - 5, len(head), len(head) + 100, len(data) - 1):
        with socket.create_connection(("127.0.0.1", store.port), timeout=30) as plain:
            with operator.context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                tls.sendall(data[:cut])
    assert operator.get("/v1/domains/half0.example.com").status == 404


def test_listening_on_several_addresses():
    with running_store(listen="127.0.0.1:0, 127.0.0.1:0") as store:
        # The port is known a moment before the line is written.
        wait.until(lambda: "ready on " in store.log_text(), "the store says where it listens")
        line = [l for l in store.log_text().splitlines() if "ready" in l][0]
        ports = [int(part.split(":")[-1]) for part in line.split("ready on ")[1].split(", ")]
        assert len(ports) == 2 and store.port == ports[0]
        for port in ports:
            store.port = port
            assert Client(store, store.identity("operator")).get("/v1/status").status == 200


@pytest.mark.parametrize("settings,word", [
    ({"listen": "nonsense"}, "nonsense"), ({"listen": ""}, "listen"),
    ({"threads": "0"}, "threads"),
    ({"connections_per_identity": "15"}, "connections_per_identity"),
    ({"edge_timeout": "soon"}, "edge_timeout"),
    ({"history_keep": "59m"}, "history_keep"),
    ({"history_keep": "for ever"}, "history_keep"),
    ({"history_least": "-1"}, "history_least"),
    ({"history_least": "1001"}, "history_least"),
    ({"orders_keep": "23h"}, "orders_keep"),
    ({"audit_keep": "0d"}, "audit_keep"),
    ({"database": "mysql:x"}, "database"), ({"cert": "absent.pem"}, "absent.pem"),
    ({"key": "ca.pem"}, "ca.pem"), ({"revoked": "absent"}, "absent"),
    ({"identity_ca": "revoked"}, "revoked"), ({"colour": "red"}, "colour"),
    ({"log_level": "loud"}, "log_level")])
def test_a_configuration_that_cannot_work_is_refused_in_words(settings, word):
    with pytest.raises(RuntimeError) as error:
        with running_store(**settings):
            pass
    assert word in str(error.value)
