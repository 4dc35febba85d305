"""A replica for which the disk has no more room: nginx serves on, the agent says so and recovers."""

import os
import re
import resource

import pytest

from lab import disk, tls, wait

NAME = "shop.example.com"
BATCH = 1000


class TmpfsDisk:
    """A real file system that gets full: mounted over the replica's folder."""

    def __init__(self, folder):
        try:
            self.disk = disk.Tmpfs(folder, "2m")
        except disk.NotPossible as why:
            pytest.skip(str(why))

    def fill(self, agent):
        """All but a few pages: what is written next is written in part."""
        self.disk.fill()
        filler = self.disk.filler
        os.truncate(filler, filler.stat().st_size - 10 * 4096)

    def make_room(self, agent):
        self.disk.make_room()
        self.disk.grow("64m")

    def remove(self):
        self.disk.remove()


class FileSizeLimit:
    """What comes next to a full disk without root: the agent may not write beyond a few pages."""

    LIMIT_B = 16384  # room for its log

    def __init__(self, folder):
        self.before = None

    def fill(self, agent):
        self.before = resource.prlimit(agent.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (self.LIMIT_B, self.before[1]))

    def make_room(self, agent):
        resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, self.before)

    def remove(self):
        pass


@pytest.fixture(params=[TmpfsDisk, FileSizeLimit], ids=["tmpfs", "RLIMIT_FSIZE"])
def small(request, make_site):
    """The disk, and a site without an agent on it."""
    site = make_site(settings={"agent": {"poll_wait": "1s"}})
    site.prepare()
    made = request.param(site.herd.folder / "edge/replica")
    made.site = site
    try:
        yield made
    finally:
        made.remove()


def edge_of(site):
    (edge,) = site.herd.look("/v1/edges").json["edges"]
    return edge


def wait_edge(site, condition, what):
    last = {}

    def seen():
        site.herd.check()
        last.update(edge_of(site))
        return condition(last)

    wait.until(seen, lambda: f"{what}: {last}\n" + "\n".join(c.log_tail(20) for c in site.herd.running), 40)


def check_served(site):
    with site.connect(NAME) as visit:
        assert visit.names == [NAME]


def add_names(site, batch):
    items = [{"name": f"n{number}.b{batch}.example.com"} for number in range(BATCH)]
    answer = site.herd.api().post("/v1/domains", {"domains": items})
    assert answer.status == 200 and answer.json["created"] == BATCH, answer


def check_nginx_serves_on(site):
    """A worker that starts now enters itself into the lock file, for which there is room."""
    check_served(site)
    site.nginx.reload()
    check_served(site)
    site.nginx.stop()
    site.nginx.start()
    check_served(site)


def test_a_full_disk_is_told_nginx_serves_on_and_the_agent_recovers(small):
    site = small.site
    site.herd.start("store")
    issuer = site.herd.start("issuer")
    agent = site.herd.start("agent")
    site.nginx.start()
    site.go_live(NAME)
    site.herd.running.remove(issuer)
    issuer.stop()
    small.fill(agent)
    for batch in range(3):
        add_names(site, batch)
    wait_edge(site, lambda edge: "Replica not written" in (edge["error"] or ""), "the full disk is reported")
    assert re.search("no space left|file too large", agent.log(), re.IGNORECASE), agent.log()
    assert "Input/output error" not in agent.log(), agent.log()
    check_nginx_serves_on(site)
    assert edge_of(site)["names"] < 3 * BATCH
    small.make_room(agent)
    wait_edge(site, lambda edge: edge["names"] == 3 * BATCH + 1 and edge["error"] is None,
              "all names are on the edge")
    check_nginx_serves_on(site)
    agent.check_alive()
    log = site.nginx.error_log()
    assert "exited on signal" not in log and "[alert]" not in log and "[emerg]" not in log, log[-3000:]


def test_what_is_damaged_on_a_full_disk_is_made_anew_when_there_is_room(small):
    site = small.site
    site.herd.start("store")
    site.herd.start("issuer")
    agent = site.herd.start("agent")
    site.nginx.start()
    site.go_live(NAME)
    folder = site.herd.folder / "edge/replica"
    site.nginx.wait_open(folder)
    small.fill(agent)
    before = (folder / "current").read_text().strip()
    data = folder / before / "data.mdb"
    data.chmod(0o666)
    wait.until(lambda: "tried again" in agent.log(), agent.log)
    # The workers that have it open read on.
    check_served(site)
    small.make_room(agent)
    wait.until(lambda: (folder / "current").read_text().strip() != before, agent.log)

    def is_served():
        try:
            check_served(site)
            return True
        except tls.Refused:
            return False

    wait.until(is_served, agent.log)
    assert "a new generation of the replica is live" in agent.log()
