"""Lines that are cut so that nobody is told: what is served is served on, who asks is answered in
bounded time, nothing is lost, and all comes back by itself."""

import pytest

from lab import netns, postgres, proxy, wait

SETTINGS = {
    "store": {"edge_timeout": "3s"},
    "issuer": {"poll_interval": "100ms", "ca_timeout": "1s"},
    "agent": {"poll_wait": "1s"},
}


def check_served(site, name):
    with site.connect(name) as visit:
        assert visit.names == [name]


@pytest.fixture
def far():
    try:
        host = netns.Host()
    except netns.NotPossible as why:
        pytest.skip(str(why))
    try:
        yield host
    finally:
        host.remove()


def test_between_store_and_postgresql(make_site, far):
    """Packets are lost: the store finds out by itself, and answers meanwhile."""
    site = make_site(settings=SETTINGS).prepare()
    site.folder.chmod(0o755)
    server = postgres.Postgres(site.folder / "pg", durable=True, host=far).make().start()
    try:
        server.create("certherd")
        site.herd.set("store", database=f"postgresql://{postgres.USER}@{far.address}/certherd")
        site.herd.start("up")
        site.nginx.start()
        site.go_live("a.cut.example.com")
        far.cut()
        # Each within what a client waits for; the first has to find out.
        for method, path in (("PUT", "/v1/domains/b.cut.example.com"), ("GET", "/v1/status"),
                             ("PUT", "/v1/domains/c.cut.example.com")):
            answer = site.herd.api().call(method, path, {} if method == "PUT" else None, timeout=30)
            assert (answer.status, answer.code) == (503, "store-busy"), answer
        check_served(site, "a.cut.example.com")
        far.mend()
        wait.until(lambda: site.herd.api().put("/v1/domains/b.cut.example.com").status in (200, 201),
                   "the store works again", 30)
        site.herd.wait_state("b.cut.example.com", "active", 60)
        check_served(site, "b.cut.example.com")
        assert site.herd.domain("a.cut.example.com")["state"] == "active"
    finally:
        site.herd.stop()
        server.stop()


@pytest.fixture
def lines():
    made = []
    yield made
    for line in made:
        line.stop()


def test_between_agent_and_store(make_site, lines):
    site = make_site(settings=SETTINGS).prepare()
    lines.append(proxy.Line(site.herd.store_port))
    site.herd.set("agent", store=f"https://127.0.0.1:{lines[0].port}")
    site.herd.start("up")
    site.nginx.start()
    site.go_live("a.cut.example.com")
    lines[0].cut()
    site.add("b.cut.example.com")

    def is_silent():
        (edge,) = site.herd.look("/v1/edges").json["edges"]
        return not edge["live"]

    wait.until(is_silent, "the edge is told to be silent")
    check_served(site, "a.cut.example.com")
    assert site.herd.domain("b.cut.example.com")["state"] != "active"
    lines[0].mend()
    site.herd.wait_state("b.cut.example.com", "active", 60)
    check_served(site, "b.cut.example.com")
    wait.until(lambda: not is_silent(), "the edge is there again")


def test_between_issuer_and_ca(make_site, lines):
    site = make_site(settings=SETTINGS).prepare()
    port = int(site.pebble.directory.split(":")[2].split("/")[0])
    lines.append(proxy.Line(port))
    site.herd.set("issuer", directory=site.pebble.directory.replace(f":{port}/", f":{lines[0].port}/"))
    site.herd.start("up")
    site.nginx.start()
    site.go_live("a.cut.example.com")
    lines[0].cut()
    site.add("b.cut.example.com")
    log = site.herd.running[0].log
    wait.until(lambda: "http-timeout" in log(), log)
    check_served(site, "a.cut.example.com")
    lines[0].mend()
    domain = site.herd.wait_state("b.cut.example.com", "active", 90)
    check_served(site, "b.cut.example.com")
    assert domain["certificate"] and site.herd.domain("a.cut.example.com")["state"] == "active"
