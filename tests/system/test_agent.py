"""The agent with a real store: removals, restarts, kills, a damaged replica."""

import os
import pathlib
import signal

import pytest

from lab import herd as lab_herd
from lab import wait


def edges(herd):
    return {edge["id"]: edge for edge in herd.look("/v1/edges").json["edges"]}


def wait_edge(herd, condition, what):
    """Waits until the one edge's acknowledgement meets the condition."""
    last = {}

    def seen():
        herd.check()
        last.update(edges(herd).get("edge/default/e1", {}))
        return last and condition(last)

    return wait.until(seen, lambda: f"{what}: {last}\n" + "\n".join(c.log_tail(20) for c in herd.running), 30)


def add_names(herd, names):
    items = [{"name": name} for name in names]
    answer = herd.api().post("/v1/domains", {"domains": items})
    assert answer.status == 200 and answer.json["created"] == len(items), answer


@pytest.fixture
def herd(scratch):
    made = lab_herd.Herd(scratch / "certherd").init()
    made.set("agent", poll_wait="2s", replica_group="")
    made.start("store")
    try:
        yield made
    finally:
        made.stop()


def test_names_without_a_certificate_go_without_a_question(herd):
    names = [f"n{i}.example.com" for i in range(200)]
    herd.start("agent")
    add_names(herd, names)
    wait_edge(herd, lambda edge: edge["names"] == 200, "all names on the edge")
    herd.cli("domain", "rm", *names[:60])
    wait_edge(herd, lambda edge: edge["names"] == 140 and edge["error"] is None, "the names are gone")


def test_the_agent_starts_without_a_store_and_catches_up(herd):
    add_names(herd, ["a.example.com", "b.example.com"])
    herd.stop()
    agent = herd.start("agent")
    wait.until(lambda: agent.check_alive() and "ready" in agent.log(), "the agent is ready")
    assert not (herd.folder / "edge/replica/current").exists(), "nothing whole is there yet"
    herd.start("store")
    wait_edge(herd, lambda edge: edge["names"] == 2, "both names on the edge")


def test_a_killed_agent_goes_on_where_it_was(herd):
    for round_ in range(3):
        agent = herd.start("agent")
        add_names(herd, [f"r{round_}-{i}.example.com" for i in range(300)])
        wait_edge(herd, lambda edge: edge["names"] > 300 * round_, "some names came")
        herd.running.remove(agent)
        agent.kill()
    herd.start("agent")
    wait_edge(herd, lambda edge: edge["names"] == 900 and edge["lag"] == 0, "all names on the edge")


def test_a_cut_replica_is_fetched_anew(herd):
    agent = herd.start("agent")
    add_names(herd, [f"n{i}.example.com" for i in range(50)])
    wait_edge(herd, lambda edge: edge["names"] == 50, "all names on the edge")
    herd.running.remove(agent)
    agent.stop()
    folder = herd.folder / "edge/replica"
    live = folder / (folder / "current").read_text().strip()
    os.truncate(live / "data.mdb", 5000)
    agent = herd.start("agent")
    wait.until(lambda: agent.check_alive() and (folder / "current").read_text().strip() != live.name,
               "a new generation is live", 30)
    wait_edge(herd, lambda edge: edge["names"] == 50 and edge["lag"] == 0, "all names on the edge again")


def test_only_one_agent_writes(herd):
    herd.start("agent")
    add_names(herd, ["a.example.com"])
    wait_edge(herd, lambda edge: edge["names"] == 1, "the name is on the edge")
    done = herd.cli("agent", check=False, timeout=20)
    assert done.returncode == 1 and "another process writes" in done.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly(herd, how):
    agent = herd.start("agent")
    add_names(herd, ["a.example.com"])
    wait_edge(herd, lambda edge: edge["names"] == 1, "the name is on the edge")
    herd.running.remove(agent)
    assert agent.stop(timeout=5, first=how) == 0


@pytest.mark.parametrize("key,value", [
    ("removal_limit_percent", "101"), ("poll_wait", "soon"), ("wanted", "perhaps"), ("store", "http://127.0.0.1:1"),
    ("replica_group", "no-such-group-here"), ("nonsense", "1")])
def test_a_wrong_configuration_is_told_with_its_line(scratch, key, value):
    made = lab_herd.Herd(scratch / "certherd").init()
    made.set("agent", **{key: value})
    done = made.cli("agent", check=False, timeout=20)
    assert done.returncode == 2 and key in done.stderr and "certherd.conf:" in done.stderr, done
