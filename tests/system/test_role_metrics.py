"""/metrics of issuer and agent: plain HTTP on loopback, aggregates only, documented."""

import re
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

from lab import herd, ports, wait

SAMPLE = re.compile(r'(certherd_(?:issuer|agent)_[a-z_]+)((?:[{,][a-z]+="[a-z0-9._-]+")*}?) (\d+(?:\.\d{3})?)')
DOC = (herd.ROOT / "doc/metrics.md").read_text()


def ask(port, path="/metrics", method="GET"):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def read(port):
    status, headers, text = ask(port)
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found, current = {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split()[2]
            assert line.endswith("."), line
        elif not line.startswith("# TYPE "):
            match = SAMPLE.fullmatch(line)
            assert match and match[1] == current, line
            found[match[1] + match[2]] = float(match[3])
    return found, text


@pytest.fixture(scope="module")
def scraped():
    from lab import site as site_module
    site = site_module.Site(site_module.make_scratch("certherd-test-"))
    site.issuer_port, site.agent_port = ports.free_port(), ports.free_port()
    site.settings = {"issuer": {"metrics": f"127.0.0.1:{site.issuer_port}"},
                     "agent": {"metrics": f"127.0.0.1:{site.agent_port}"}}
    try:
        yield site.start()
    finally:
        site.stop()
        site.remove()


def test_a_certificate_is_counted_by_both(scraped):
    scraped.go_live("count.metrics.example")
    issuer, text = read(scraped.issuer_port)
    assert "count.metrics" not in text
    assert issuer["certherd_issuer_published_total"] == 1
    assert issuer['certherd_issuer_ca_answers_total{ca="main",result="ok"}'] >= 5
    assert issuer['certherd_issuer_ca_answers_total{ca="main",result="outage"}'] == 0
    assert issuer['certherd_issuer_ca_out_of_order{ca="main"}'] == 0
    assert issuer["certherd_issuer_published_timestamp_seconds"] > 1.7e9
    wait.until(lambda: read(scraped.issuer_port)[0]['certherd_issuer_orders_ended_total{result="done"}'] == 1,
               "the order has ended")
    wait.until(lambda: read(scraped.agent_port)[0]["certherd_agent_names"] == 1, "the agent has it")
    agent, text = read(scraped.agent_port)
    assert "count.metrics" not in text
    assert agent['certherd_agent_records_total{result="changed"}'] >= 1
    assert agent["certherd_agent_in_trouble"] == 0
    assert agent["certherd_agent_sequence"] >= 2


def test_a_ca_that_is_away_is_seen(scraped):
    scraped.pebble.server.stop(timeout=5)
    scraped.herd.companions.clear()
    scraped.add("away.metrics.example")
    wait.until(lambda: read(scraped.issuer_port)[0]['certherd_issuer_ca_out_of_order{ca="main"}'] == 1,
               "the gate is closed")
    assert read(scraped.issuer_port)[0]['certherd_issuer_ca_answers_total{ca="main",result="outage"}'] >= 3


def test_there_is_nothing_else(scraped):
    for port in (scraped.issuer_port, scraped.agent_port):
        assert ask(port, "/")[0] == 404
        assert ask(port, "/metrics/..")[0] == 404
        assert ask(port, method="POST")[0] == 405
        assert ask(port, "/" + "x" * 20000)[0] in (400, 413, 414, 431)
        assert ask(port)[0] == 200


def test_somebody_who_says_nothing_holds_nobody_up(scraped):
    held = [socket.create_connection(("127.0.0.1", scraped.issuer_port)) for _ in range(8)]
    try:
        assert ask(scraped.issuer_port)[0] == 200
    finally:
        for one in held:
            one.close()


def test_every_figure_is_documented(scraped):
    for port in (scraped.issuer_port, scraped.agent_port):
        for name in {re.sub(r"\{.*", "", key) for key in read(port)[0]}:
            assert f"`{name.split('_', 2)[2]}`" in DOC, name


@pytest.mark.parametrize("role", ["issuer", "agent"])
@pytest.mark.parametrize("listen", ["0.0.0.0:9101", "192.0.2.1:9101", "127.0.0.1", "[::]:9101", "localhost:9101"])
def test_other_addresses_are_refused(tmp_path, role, listen):
    conf = tmp_path / "certherd.conf"
    needed = "directory = https://ca.example/dir\n" if role == "issuer" else ""
    conf.write_text(f"[{role}]\n{needed}metrics = {listen}\n")
    done = subprocess.run([herd.binary(), role, "--config", conf], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "loopback" in done.stderr
