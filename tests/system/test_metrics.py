"""GET /v1/metrics: what it says, that it names nobody, and the example rules that go by it."""

import datetime
import re
import shutil
import sqlite3
import subprocess
import time

import pytest
import yaml

from api_fixture import ROOT, Client, Later, running_store, until
from openapi import described
from test_api_orders import lease, publish, sealed_order

RULES = ROOT / "doc/examples/prometheus-rules.yml"
SCRAPE = ROOT / "doc/examples/prometheus.yml"
KIND = "text/plain; version=0.0.4; charset=utf-8"
SAMPLE = re.compile(r'certherd_store_([a-z_]+)((?:[{,][a-z]+="[a-z0-9._-]+")*}?) (\d+(?:\.\d{3})?)')
STATES = set(described()["words"]["domain_state"])
OPTIONAL = {"next_due_timestamp_seconds", "next_expiry_timestamp_seconds"}


@pytest.fixture
def store():
    with running_store(edge_timeout="30s") as made:
        yield made


def parse(text):
    """({"name{labels}": value}, names); every sample stands below its own HELP and TYPE."""
    found, names = {}, []
    lines = text.splitlines()
    assert text.endswith("\n")
    for number, line in enumerate(lines):
        if line.startswith("# HELP "):
            names.append(line.split()[2].removeprefix("certherd_store_"))
            assert line.split(" ", 3)[3].endswith("."), line
            assert lines[number + 1] == f"# TYPE certherd_store_{names[-1]} gauge"
        elif not line.startswith("# TYPE "):
            match = SAMPLE.fullmatch(line)
            assert match and match[1] == names[-1], line
            assert match[1] + match[2] not in found, line
            found[match[1] + match[2]] = float(match[3])
    assert len(names) == len(set(names))
    return found, names


def read(store):
    answer = store.client("viewer").get("/v1/metrics")
    assert answer.status == 200 and answer.headers["Content-Type"] == KIND
    return parse(answer.body.decode("ascii"))[0]


def report(store, ident, scope="default", error=None):
    feed = store.client("viewer").get("/v1/status").json["feed"]
    body = {"epoch": feed["epoch"], "seq": feed["head"], "names": 0, "software": "t",
            "error": error}
    edge = Client(store, store.identity("edge", scope=scope, ident=ident))
    assert edge.put("/v1/edges/self", body).status == 204
    edge.close()


def test_an_empty_store(store):
    found = read(store)
    assert {key for key in found if key.startswith("names{")} == {
        f'names{{state="{state}"}}' for state in STATES}
    assert not any(found[f'names{{state="{state}"}}'] for state in STATES)
    assert found["orders_open"] == found["feed_head"] == 0
    assert not OPTIONAL & found.keys(), "there is no such time yet"


def test_names_and_orders(store):
    operator, issuer = store.client("operator"), store.client("issuer")
    operator.put("/v1/domains/waits.example.com")
    operator.put("/v1/domains/sleeps.example.com")
    operator.post("/v1/domains/sleeps.example.com/pause")
    found = read(store)
    assert (found['names{state="pending"}'], found['names{state="paused"}']) == (1, 1)
    assert found['names_to_act_on{actor="platform"}'] == 0
    assert found["next_due_timestamp_seconds"] > 1.7e9
    assert "next_expiry_timestamp_seconds" not in found
    lease(issuer, "waits.example.com")
    found = read(store)
    assert found["orders_open"] == 1
    status = operator.get("/v1/status").json
    assert found["feed_head"] == status["feed"]["head"] > 0
    assert found["schema"] == status["schema"]
    assert found[f'info{{version="{status["version"]}"}}'] == 1


def test_names_that_visitors_ask_for(store):
    edge = Client(store, store.identity("edge"))
    assert store.client("operator").put("/v1/domains/wanted.example.com").status == 201
    before = read(store)["wanted_names"]
    for _ in range(2):
        ask = {"names": ["wanted.example.com", "absent.example.com"]}
        assert edge.post("/v1/wanted", ask).json == {"taken": 1}
    edge.close()
    assert read(store)["wanted_names"] == before + 1


def test_the_next_expiry_is_the_first_certificates(store):
    operator, issuer = store.client("operator"), store.client("issuer")
    order = sealed_order(operator, issuer, "live.example.com")
    assert publish(issuer, order).status == 200
    status = operator.get("/v1/status").json
    assert status["next_expiry"]["name"] == "live.example.com"
    told = datetime.datetime.fromisoformat(
        status["next_expiry"]["not_after"].replace("Z", "+00:00")).timestamp()
    assert abs(read(store)["next_expiry_timestamp_seconds"] - told) < 0.002


def test_requests_that_wait(store):
    def waiting():
        found = read(store)
        return [found[f'polls_waiting{{kind="{kind}"}}'] for kind in ("feed", "leases")]

    assert waiting() == [0, 0]
    later = Later(store, store.identity("issuer"), "POST", "/v1/leases",
                  {"max": 1, "lease_ms": 60000, "wait_ms": 60000})
    until(lambda: waiting() == [0, 1], "it waits")
    store.client("operator").put("/v1/domains/due.example.com")
    assert later.result().status == 200
    assert waiting() == [0, 0]


def test_what_was_pruned():
    with running_store(history_keep="2h", history_least="1", audit_keep="3d") as store:
        store.client("operator").put("/v1/domains/old.example.com")
        store.client("operator").put("/v1/domains/other.example.com")
        found = read(store)
        assert [found[f'pruned_rows{{kind="{kind}"}}'] for kind in ("history", "orders", "audit")] == [0, 0, 0]
        assert store.client("viewer").get("/v1/status").json["pruned"] == {
            "history": 0, "orders": 0, "audit": 0, "at": None}
        store.stop()
        database = sqlite3.connect(store.dir / "store/certherd.db")
        for age_h, event in ((100, "one"), (90, "two"), (1, "three")):
            database.execute("INSERT INTO history (name, at, event, detail, actor) VALUES ('old.example.com', ?, ?, "
                             "'', 'nobody')", (int((time.time() - age_h * 3600) * 1000), event))
        # In the order of time, as they would have come.
        database.execute("UPDATE history SET id = id + 100 WHERE event IN ('created', 'three')")
        database.execute("UPDATE audit SET at = ? WHERE target = 'old.example.com'",
                         (int((time.time() - 4 * 86400) * 1000),))
        database.commit()
        database.close()
        store.start()
        until(lambda: read(store)['pruned_rows{kind="audit"}'] == 1, "pruning")
        assert read(store)['pruned_rows{kind="history"}'] == 2
        history = store.client("operator").get("/v1/domains/old.example.com").json["history"]
        assert {entry["event"] for entry in history} == {"created", "three"}
        pruned = store.client("viewer").get("/v1/status").json["pruned"]
        assert (pruned["history"], pruned["orders"], pruned["audit"]) == (2, 0, 1) and pruned["at"]


def test_what_ends_soon_and_who_must_act(store):
    operator, issuer = store.client("operator"), store.client("issuer")
    for name in ("soon", "late", "over", "moved", "stopped", "good"):
        order = sealed_order(operator, issuer, f"{name}.example.com")
        assert publish(issuer, order, leaf=b"0" + name.encode() * 50).status == 200
    days = {"soon": 0.5, "late": 5, "over": -1, "moved": 0.5, "stopped": 0.5, "good": 60}
    states = {"moved": "moved", "stopped": "paused"}
    store.stop()
    other = sqlite3.connect(store.dir / "store/certherd.db")
    for name, left in days.items():
        other.execute("UPDATE name SET not_after = ?, state = ?, actor = ? WHERE name = ?",
                      (int((time.time() + left * 86400) * 1000), states.get(name, "active"),
                       "ca" if name == "soon" else "nobody", f"{name}.example.com"))
    other.execute("UPDATE name SET actor = 'customer' WHERE name >= 'moved' AND name < 't' AND actor = 'nobody'")
    other.commit()
    other.close()
    store.start()
    found = read(store)
    assert [found[f'certificates_ending{{within="{n}d"}}'] for n in (1, 3, 7)] == [2, 2, 3]
    assert found['names_to_act_on{actor="ca"}'] == 1
    assert found['names_to_act_on{actor="customer"}'] == 3
    assert found['names_to_act_on{actor="platform"}'] == found['names_to_act_on{actor="operator"}'] == 0
    assert 'names_to_act_on{actor="nobody"}' not in found


def test_edges_are_counted_by_pool(store):
    operator = store.client("operator")
    for ident, error in (("e1", None), ("e2", "disk full"), ("e3", None)):
        report(store, ident, error=error)
    report(store, "x1", scope="other")
    found = read(store)
    assert found['edges{pool="default",state="live"}'] == 3
    assert found['edges{pool="default",state="silent"}'] == 0
    assert found['edges_in_trouble{pool="default"}'] == 1
    assert found['edge_lag_records{pool="default"}'] == 0
    assert found['edges{pool="other",state="live"}'] == 1
    assert found['edges_in_trouble{pool="other"}'] == 0
    for n in range(3):
        operator.put(f"/v1/domains/n{n}.example.com")
    report(store, "e1")
    found = read(store)
    assert found['edge_lag_records{pool="default"}'] == 3, "that of the slowest"
    assert found['edge_lag_records{pool="other"}'] == 0, "nothing of its pool"


def test_an_edge_that_was_not_seen_is_silent(store):
    report(store, "e1", error="disk full")
    report(store, "e2")
    age(store, "e1")
    found = read(store)
    assert found['edges{pool="default",state="live"}'] == 1
    assert found['edges{pool="default",state="silent"}'] == 1
    assert found['edges_in_trouble{pool="default"}'] == 0, "of live ones"


def age(store, ident):
    """As if the edge had last been seen long ago."""
    store.stop()
    other = sqlite3.connect(store.dir / "store/certherd.db")
    other.execute("UPDATE edge SET seen_at = 1 WHERE id = ?", (ident,))
    other.commit()
    other.close()
    store.start()


def test_brakes(store):
    operator = store.client("operator")
    report(store, "e1")
    frozen, stuck = 'pool_frozen{pool="default"}', 'pool_canary_stuck{pool="default"}'
    assert (read(store)[frozen], read(store)[stuck]) == (0, 0)
    assert operator.post("/v1/pools/default/freeze", {"reason": "r"}).status == 200
    operator.put("/v1/domains/cold.example.com")
    found = read(store)
    assert (found[frozen], found['pool_held_records{pool="default"}']) == (1, 1)
    assert operator.post("/v1/pools/default/thaw").status == 200
    assert operator.put("/v1/pools/default/canary", {"edge": "e1", "soak_ms": 600000}).status == 200
    operator.put("/v1/domains/cold.example.com", {"hsts": "max-age=1"})
    report(store, "e1", error="disk full")
    assert read(store)[stuck] == 1


def test_nobody_is_named(store):
    operator, issuer = store.client("operator"), store.client("issuer")
    order = sealed_order(operator, issuer, "secret.example.com", tenant="tenant-7")
    assert publish(issuer, order).status == 200
    report(store, "edge-7", error="trouble with secret.example.com")
    text = store.client("viewer").get("/v1/metrics").body.decode()
    assert not re.search(r"secret|example|tenant|edge-7|trouble with", text)


# ---- the document and the example


def test_the_document_has_every_figure(store):
    text = store.client("viewer").get("/v1/metrics").body.decode("ascii")
    table = (ROOT / "doc/metrics.md").read_text().partition("## The store's")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z_]+)` \|", table, re.M)) == set(parse(text)[1])


def test_the_rules_go_by_what_there_is(store):
    text = store.client("viewer").get("/v1/metrics").body.decode("ascii")
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    named = (ROOT / "doc/metrics.md").read_text().partition("## Alert rules")[2]
    assert set(re.findall(r"^\| `(\w+)` \|", named, re.M)) == {r["alert"] for r in group["rules"]}
    for rule in group["rules"]:
        used = set(re.findall(r"certherd_store_([a-z_]+)", rule["expr"]))
        assert used <= set(parse(text)[1]), rule
        assert used or 'up{job="certherd-store"}' in rule["expr"], rule
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert re.fullmatch(r"\d+[mhd]", rule["for"]) and rule["annotations"]["summary"], rule


def test_the_example_asks_for_the_right_path():
    (job,) = yaml.safe_load(SCRAPE.read_text())["scrape_configs"]
    assert (job["job_name"], job["scheme"], job["metrics_path"]) == (
        "certherd-store", "https", "/v1/metrics")
    assert yaml.safe_load(SCRAPE.read_text())["rule_files"] == [RULES.name]


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool")
@pytest.mark.parametrize("what", [["rules", RULES], ["config", "--syntax-only", SCRAPE]], ids=str)
def test_promtool_takes_it(what):
    subprocess.run(["promtool", "check", *map(str, what)], check=True, timeout=60)


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool")
def test_promtool_takes_the_figures(store):
    body = store.client("viewer").get("/v1/metrics").body
    done = subprocess.run(["promtool", "check", "metrics"], input=body, timeout=60,
                          capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
