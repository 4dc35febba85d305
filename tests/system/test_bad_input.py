"""Bad input at the API: a clear error each, and nothing lost."""

import http.client
import json
import socket
import ssl
import urllib.parse
import zlib

import pytest

from bad_names import BAD_NAMES, GOOD_NAMES, short
from lab import herd


@pytest.fixture(scope="module")
def store():
    """A store alone."""
    import shutil
    from lab import site
    folder = site.make_scratch("certherd-test-")
    made = herd.Herd(folder / "certherd")
    try:
        made.init()
        made.start("store")
        made.api().put("/v1/domains/witness.example.com")
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def nothing_is_lost(store):
    yield
    store.check()
    assert store.api().get("/v1/domains/witness.example.com").status == 200


def is_problem(answer, status, code=None):
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json
    assert problem["status"] == status
    assert problem["type"] == "urn:certherd:error:" + problem["code"]
    assert problem["title"] and problem["detail"]
    if code:
        assert problem["code"] == code, answer
    return problem


def test_the_table_is_long_enough():
    assert len(BAD_NAMES) >= 40


@pytest.mark.parametrize("name,code", BAD_NAMES, ids=short)
def test_a_bad_name_is_refused_by_put(store, name, code):
    if name in ("", "."):
        return  # a path without a name, or one that clients normalize away
    problem = is_problem(store.api().put("/v1/domains/" + urllib.parse.quote(name, safe="")), 400)
    assert problem["code"].startswith(("name-", "label-", "bad-")), problem
    if code:
        assert problem["code"] == code, problem


@pytest.mark.parametrize("name,expected", GOOD_NAMES, ids=short)
def test_a_good_name_is_taken_in_any_spelling(store, name, expected):
    answer = store.api().put("/v1/domains/" + urllib.parse.quote(name, safe=""))
    assert answer.status in (200, 201), answer
    assert answer.json["name"] == expected
    assert store.api().get("/v1/domains/" + urllib.parse.quote(name, safe="")).json["name"] == expected


def test_a_batch_has_one_result_for_each_line_in_order(store):
    sent = [name for name, _ in BAD_NAMES if "\u0000" not in name]
    sent = [name for pair in zip(sent, (f"ok{n}.example.com" for n in range(999))) for name in pair]
    answer = store.api().post("/v1/domains", {"domains": [{"name": name} for name in sent]})
    assert answer.status == 200, answer
    results = answer.json["results"]
    assert [result["name"] for result in results] == sent
    for at, result in enumerate(results):
        assert result["status"] == ("created" if at % 2 else "rejected"), result
        if at % 2 == 0:
            assert result["code"] and result["detail"]
    assert answer.json["created"] == answer.json["rejected"] == len(sent) // 2


def test_putting_a_name_again_changes_nothing(store):
    first = store.api().put("/v1/domains/again.example.com")
    second = store.api().put("/v1/domains/again.example.com")
    assert (first.status, second.status) == (201, 200)
    assert first.json["created_at"] == second.json["created_at"]
    assert first.json["version"] == second.json["version"]


def test_a_batch_over_ten_thousand_is_refused_whole(store):
    domains = [{"name": f"n{n}.toomany.example.com"} for n in range(10001)]
    is_problem(store.api().post("/v1/domains", {"domains": domains}), 400, "batch-too-large")
    assert store.api().get("/v1/domains/n0.toomany.example.com").status == 404


def test_a_batch_of_ten_thousand_is_taken(store):
    domains = [{"name": f"n{n}.batch.example.com"} for n in range(10000)]
    answer = store.api().post("/v1/domains", {"domains": domains}, timeout=60)
    assert answer.status == 200 and answer.json["created"] == 10000, answer


@pytest.mark.parametrize("text,code", [
    (b"{", "body-not-json"), (b"{}x", "body-not-json"),
    (b"nonsense", "body-not-json"), (b"{\"www\":tru}", "body-not-json"),
    (b"\xff\xfe", "body-not-json"), (b"{\"www\":true,\"www\":false}", None),
    (b"[]", None), (b"null", None), (b"1", None), (b"\"text\"", None),
    (b"{\"tenant\":\"a\\u0000b\"}", None),
    (b"[" * 100000, None), (b"{\"a\":" * 17 + b"1" + b"}" * 17, "json-too-deep"),
    (b"{\"unknown\":1}", "unknown-field"), (b"{\"www\":\"yes\"}", "bad-field"),
    (b"{\"www\":1}", "bad-field"), (b"{\"tenant\":\"\"}", "bad-field"),
    (b"{\"tenant\":\"A\"}", "bad-field"), (b"{\"tenant\":\"" + b"a" * 64 + b"\"}", "bad-field"),
    (b"{\"upstream\":\"http://10.0.0.1\"}", "bad-field"), (b"{\"redirect\":\"localhost\"}", "bad-field"),
    (b"{\"hsts\":\"max-age=1\\r\\nA: b\"}", "bad-field"),
    (b"{\"pool\":\"../../etc\"}", "bad-field"), (b"{\"tenant\":1e400}", None),
    (b"{\"tenant\":99999999999999999999999}", None)],
    ids=short)
def test_a_bad_body_is_refused(store, text, code):
    path = f"/v1/domains/body{zlib.crc32(text)}.example.com"
    answer = store.api().call("PUT", path, raw=text)
    problem = is_problem(answer, 413 if len(text) > 65536 else 400, code if len(text) <= 65536 else None)
    assert problem["code"] in ("body-not-json", "json-too-deep", "unknown-field", "bad-field",
                               "missing-field", "body-too-large")
    assert store.api().get(path).status == 404


def test_an_oversized_body_is_refused(store):
    big = json.dumps({"tenant": "a" * 70000}).encode()
    try:
        is_problem(store.api().call("PUT", "/v1/domains/big.example.com", raw=big), 413, "body-too-large")
    except (ConnectionError, ssl.SSLError):
        pass  # it may hang up on somebody who goes on sending
    huge = b"{\"domains\":[" + b" " * (5 * 1024 * 1024) + b"]}"
    try:
        is_problem(store.api().call("POST", "/v1/domains", raw=huge), 413, "body-too-large")
    except (ConnectionError, ssl.SSLError):
        pass


def test_another_content_type_is_refused(store):
    answer = store.api().call("PUT", "/v1/domains/type.example.com", raw=b"www=1",
                              headers={"Content-Type": "application/x-www-form-urlencoded"})
    is_problem(answer, 415, "content-type")


@pytest.mark.parametrize("query", [
    "cursor=nonsense", "cursor=" + "A" * 3000, "cursor=%00", "limit=0", "limit=1001", "limit=-1",
    "limit=abc", "limit=1e3", "limit=99999999999999999999", "limit=", "state=nonsense",
    "unknown=1", "limit=1&limit=2", "actor=somebody", "tenant=%FF", "tenant=A", "tenant=",
    "pool=%C3", "pool=" + "a" * 64, "prefix=%FF"], ids=short)
def test_absurd_queries_are_refused(store, query):
    is_problem(store.api().get("/v1/domains?" + query), 400, "bad-query")


@pytest.mark.parametrize("query", [
    "epoch=zz&after=0&base=0", "epoch=00&after=0&base=0", "epoch=" + "0" * 32 + "&after=-1&base=0",
    "epoch=" + "0" * 32 + "&after=99999999999999999999999&base=0",
    "epoch=" + "0" * 32 + "&after=x&base=0", "epoch=" + "0" * 32 + "&after=1&base=%00",
    "wait_ms=-1", "wait_ms=60001", "wait_ms=x"])
def test_absurd_cursors_of_the_feed_are_refused(store, query):
    problem = is_problem(store.api("edge").get("/v1/feed?" + query), 400)
    assert problem["code"] in ("bad-cursor", "bad-query")


def test_a_cursor_of_another_epoch_begins_again(store):
    body = store.api("edge").get("/v1/feed?epoch=" + "a" * 32 + "&after=5&base=5").body
    assert body[:4] == b"CHF1"
    assert int.from_bytes(body[4:8], "big") & 1


def test_the_list_pages_through_everything_once(store):
    for n in range(25):
        store.api().put(f"/v1/domains/page{n:02}.pages.example.com", {"tenant": "pages"})
    seen, cursor = [], ""
    while True:
        page = store.api().get(f"/v1/domains?tenant=pages&limit=10{cursor}").json
        seen += [domain["name"] for domain in page["domains"]]
        if page["next_cursor"] is None:
            break
        cursor = "&cursor=" + urllib.parse.quote(page["next_cursor"])
    assert seen == [f"page{n:02}.pages.example.com" for n in range(25)]


def test_unknown_routes_and_methods(store):
    is_problem(store.api().get("/v1/nothing"), 404, "no-such-route")
    is_problem(store.api().get("/"), 404, "no-such-route")
    is_problem(store.api().get("/v1/domains/../../etc/passwd"), 404)
    answer = store.api().call("PATCH", "/v1/domains/witness.example.com", {})
    is_problem(answer, 405, "method-not-allowed")
    assert "GET" in answer.headers["Allow"]


def test_what_is_not_there_is_not_found(store):
    is_problem(store.api().get("/v1/domains/absent.example.com"), 404, "domain-not-found")
    is_problem(store.api().delete("/v1/domains/absent.example.com"), 404, "domain-not-found")
    is_problem(store.api().post("/v1/domains/absent.example.com/retry", {}), 404, "domain-not-found")
    is_problem(store.api().get("/v1/orders/999999"), 404, "order-not-found")


@pytest.mark.parametrize("number", ["0", "-1", "x", "9007199254740993", "1e3", "0x1", "1/"])
def test_absurd_order_numbers(store, number):
    assert store.api().get("/v1/orders/" + number).status in (400, 404)


def test_a_request_that_is_no_http(store):
    """Closed or answered with an error; the store goes on."""
    context = store.api().context
    for junk in (b"\0" * 1000, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                 b"GET /v1/status HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                 b"GET /v1/status HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
                 b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", store.store_port), timeout=10) as raw:
            with context.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
                try:
                    connection.sendall(junk)
                    connection.shutdown(socket.SHUT_WR)
                    answer = connection.recv(1000)
                except OSError:
                    continue
                assert b" 200 " not in answer.split(b"\r\n")[0], junk[:40]


def test_a_body_cut_short_changes_nothing(store):
    connection = http.client.HTTPSConnection("127.0.0.1", store.store_port, timeout=10,
                                             context=store.api().context)
    connection.putrequest("PUT", "/v1/domains/cut.example.com")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", "100")
    connection.endheaders(b"{\"www\":")
    connection.close()
    assert store.api().get("/v1/domains/cut.example.com").status == 404
