"""`certherd verify`: a replica that is the store's, and replicas that are not."""

import json
import os
import sqlite3

import pytest

from lab import herd as lab_herd
from lab import wait

NAMES = [f"n{i:03}.example.com" for i in range(120)]


@pytest.fixture
def herd(scratch):
    made = lab_herd.Herd(scratch / "certherd").init()
    made.set("agent", poll_wait="2s")
    made.start("store")
    try:
        yield made
    finally:
        made.stop()


def add(herd, names):
    answer = herd.api().post("/v1/domains", {"domains": [{"name": name} for name in names]})
    assert answer.status == 200 and answer.json["created"] == len(names), answer


def verify(herd, *options):
    done = herd.cli("verify", "--json", *options, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def checksum(herd, query="", identity="operator"):
    return herd.api(identity).get(f"/v1/feed/checksum{query}")


def live_data(herd):
    folder = herd.folder / "edge/replica"
    return folder / (folder / "current").read_text().strip() / "data.mdb"


def test_a_replica_that_followed_is_the_same(herd):
    herd.start("agent")
    assert verify(herd)[0] == 0
    add(herd, NAMES)
    # It waits for the agent by itself.
    code, told = verify(herd)
    assert code == 0 and told["same"] and told["names"] == len(NAMES), told
    assert told["cursor"] >= told["head"] > 0 and told["pool"] == "default"
    herd.cli("domain", "rm", *NAMES[:5])
    code, told = verify(herd)
    assert code == 0 and told["names"] == len(NAMES) - 5, told
    assert herd.cli("verify").stdout.startswith("The same: 115 names")


def test_an_altered_replica_is_detected(herd):
    agent = herd.start("agent")
    add(herd, NAMES)
    assert verify(herd)[0] == 0
    herd.running.remove(agent)
    agent.stop()
    path = live_data(herd)
    data = path.read_bytes()
    # The record (in it the name follows its length) speaks of another name, its key does not;
    # LMDB keeps old pages, so wherever it is.
    name = bytes([len(NAMES[7])]) + NAMES[7].encode()
    path.write_bytes(data.replace(name, name[:1] + b"x" + name[2:]))
    code, told = verify(herd)
    assert code == 1 and not told["same"] and told["differing"] == 1, told
    assert told["differences"][0]["name"] == NAMES[7]
    assert told["differences"][0]["problem"] in ("damaged", "content")
    listed = herd.cli("verify", "--names", check=False)
    assert listed.returncode == 1 and NAMES[7] in listed.stdout and "NOT the same" in listed.stdout
    plain = herd.cli("verify", check=False)
    assert plain.returncode == 1 and NAMES[7] not in plain.stdout
    path.write_bytes(data)
    assert verify(herd)[0] == 0


def test_a_store_that_lost_or_altered_records_is_detected(herd):
    herd.start("agent")
    add(herd, NAMES)
    assert verify(herd)[0] == 0
    for child in list(herd.running):
        if child.name.endswith("store"):
            herd.running.remove(child)
            child.stop()
    with sqlite3.connect(herd.folder / "store/certherd.db") as db:
        db.execute("DELETE FROM edge_record WHERE name = ?", (NAMES[3],))
        # Byte 19 is the last of the account hint: the same version, another record.
        (record,) = db.execute("SELECT record FROM edge_record WHERE name = ?", (NAMES[5],)).fetchone()
        db.execute("UPDATE edge_record SET record = ? WHERE name = ?",
                   (record[:19] + bytes([record[19] ^ 1]) + record[20:], NAMES[5]))
    herd.start("store")
    code, told = verify(herd)
    found = {each["name"]: each["problem"] for each in told["differences"]}
    assert code == 1 and found == {NAMES[3]: "extra", NAMES[5]: "content"}, told


def test_a_replica_that_stays_behind_is_not_the_same(herd):
    agent = herd.start("agent")
    add(herd, NAMES[:3])
    assert verify(herd)[0] == 0
    herd.running.remove(agent)
    agent.stop()
    add(herd, NAMES[3:5])
    done = herd.cli("verify", "--wait", "1s", check=False)
    assert done.returncode == 1 and "replica-behind" in done.stderr, done
    herd.start("agent")
    assert verify(herd)[0] == 0


def test_without_a_replica_or_a_store_it_says_which(herd):
    done = herd.cli("verify", "--wait", "0s", check=False)
    assert done.returncode == 1 and "replica" in done.stderr, done
    herd.start("agent")
    wait.until(lambda: (herd.folder / "edge/replica/current").exists(), "the agent has begun")
    for child in list(herd.running):
        if child.name.endswith("store"):
            herd.running.remove(child)
            child.stop()
    done = herd.cli("verify", check=False)
    assert done.returncode == 4 and "store" in done.stderr, done


def test_bad_options_are_refused(herd):
    assert herd.cli("verify", "--wait", "soon", check=False).returncode == 2
    assert herd.cli("verify", "--nonsense", check=False).returncode == 2
    herd.set("agent", nonsense="1")
    assert herd.cli("verify", check=False).returncode == 2


def test_the_checksum_is_the_sum_of_its_ranges(herd):
    add(herd, NAMES)
    whole = checksum(herd, "?limit=5000").json
    assert whole["count"] == len(NAMES) and whole["last"] is None
    listed, after = [], ""
    while True:
        page = checksum(herd, f"?list=1&limit=50{after}").json
        assert page["count"] == len(page["records"]) <= 50 and page["head"] == whole["head"]
        listed += page["records"]
        if page["last"] is None:
            break
        after = "&after=" + page["last"]
    assert [each["name"] for each in listed] == NAMES
    half = checksum(herd, f"?after={NAMES[9]}&until={NAMES[19]}").json
    assert half["count"] == 10 and half["sha256"] != whole["sha256"]
    herd.cli("domain", "rm", NAMES[0])
    less = checksum(herd, "?limit=5000").json
    assert less["count"] == len(NAMES) - 1 and less["sha256"] != whole["sha256"]
    assert less["head"] > whole["head"]


@pytest.mark.parametrize("query,field", [
    ("?limit=0", "limit"), ("?limit=5001", "limit"), ("?list=1&limit=1001", "limit"),
    ("?list=2", "list"), ("?pool=", "pool"), ("?pool=A", "pool"), ("?after=", "after"),
    ("?after=UPPER.example.com", "after"), ("?until=a%20b", "until"), ("?until=" + "a" * 256, "until"),
    ("?nonsense=1", None)])
def test_bad_questions_are_refused(herd, query, field):
    answer = checksum(herd, query)
    assert answer.status == 400 and answer.code == "bad-query", answer
    assert field is None or answer.json["field"] == field


def test_an_edge_sees_its_own_pool_only(herd):
    add(herd, NAMES[:2])
    herd.api().put("/v1/domains/eu.example.com", {"pool": "eu"})
    assert checksum(herd, "?pool=eu").json["count"] == 1
    assert checksum(herd, "", "edge").json["count"] == 2
    assert checksum(herd, "?pool=default", "edge").json["count"] == 2
    answer = checksum(herd, "?pool=eu", "edge")
    assert answer.status == 403 and answer.code == "not-allowed"
    assert checksum(herd, "", "platform").status == 403
    assert checksum(herd, "?pool=nobody").json["count"] == 0
