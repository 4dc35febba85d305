"""The disk of each role gets full: what is served is served on, nothing acknowledged is lost, each says
so, and works again when there is room.  The agent's is in test_edge_full_disk.py."""

import contextlib
import os
import pwd

import pytest

from lab import disk, postgres, wait


@contextlib.contextmanager
def full_disk(folder, size, **options):
    folder.mkdir(parents=True, exist_ok=True)
    try:
        made = disk.Tmpfs(folder, size, **options)
    except disk.NotPossible as why:
        pytest.skip(str(why))
    try:
        yield made
    finally:
        made.remove()


class Put:
    """Puts batches of names until the store has no room; remembers what was acknowledged."""

    def __init__(self, site):
        self.api, self.known, self.count = site.herd.api(), [], 0

    def batch(self):
        self.count += 1
        names = [f"n{number}.b{self.count}.example.com" for number in range(500)]
        return self.api.post("/v1/domains", {"domains": [{"name": name} for name in names]})

    def note(self, answer):
        if answer.status == 503:  # not even the first part of it
            return {answer.code}
        assert answer.status == 200, answer
        self.known += [one["domain"] for one in answer.json["results"]
                       if one["status"] == "created"]
        return {one.get("code") for one in answer.json["results"] if one["status"] == "rejected"}

    def until_full(self, batches=60):
        for _ in range(batches):
            codes = self.note(self.batch())
            if codes:
                assert codes <= {"store-full", "store-busy"}, codes
                return codes
        raise AssertionError("the disk did not get full")

    def refused(self):
        """What is answered when there is no room for one name either."""
        for number in range(5000):
            name = f"single{number}.example.com"
            answer = self.api.put(f"/v1/domains/{name}")
            if answer.status == 503:
                return name, answer
            assert answer.status == 201, answer
            self.known.append(name)
        raise AssertionError("the disk did not get full")

    def check_known(self):
        for name in self.known[:3] + self.known[-3:]:
            assert self.api.get(f"/v1/domains/{name}").status == 200, name
        answer = self.api.get("/v1/status")
        assert answer.status == 200, answer
        assert answer.json["names"]["total"] >= len(self.known)


def check_served(site, name):
    with site.connect(name) as visit:
        assert visit.names == [name]


def put_one(site, name):
    return site.herd.api().put(f"/v1/domains/{name}")


def stop_issuing(site, issuer):
    """What fills the disk is not to be issued."""
    site.herd.running.remove(issuer)
    issuer.stop()


def test_a_store_on_sqlite(make_site):
    site = make_site()
    site.prepare()
    with full_disk(site.herd.folder / "small", "8m") as small:
        site.herd.set("store", database=f"sqlite:{small.folder}/certherd.db")
        try:
            store = site.herd.start("store")
            issuer = site.herd.start("issuer")
            site.herd.start("agent")
            site.nginx.start()
            site.go_live("a.example.com")
            stop_issuing(site, issuer)
            put = Put(site)
            assert put.until_full() == {"store-full"}
            name, answer = put.refused()
            assert answer.code == "store-full", answer
            assert "disk is full" in answer.json["detail"]
            put.check_known()
            check_served(site, "a.example.com")
            small.grow("64m")
            assert put_one(site, name).status == 201
            put.check_known()
            store.check_alive()
        finally:
            site.herd.stop()


@pytest.mark.parametrize("part", ["tables", "log"])
def test_postgresql(make_site, part):
    """Without room for tables it refuses what would need it; without room for its log it panics."""
    site = make_site()
    site.prepare()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    owner = pwd.getpwnam("postgres").pw_uid
    folder = site.folder / "small"
    with full_disk(folder, "200m", mode="0700", owner=owner) as small:
        server = postgres.Postgres(
            folder / "pg" if part == "tables" else site.folder / "pg",
            settings={"max_wal_size": "2MB" if part == "tables" else "1GB", "min_wal_size": "2MB",
                      # Else each checkpoint writes a new file for them, and panics when it cannot.
                      "max_replication_slots": "0"})
        site.folder.chmod(0o755)
        server.make(log=site.folder / "pg_wal" if part == "tables" else folder / "pg_wal").start()
        try:
            server.create("certherd")
            site.herd.set("store", database=server.url("certherd"))
            site.herd.start("store")
            issuer = site.herd.start("issuer")
            site.herd.start("agent")
            site.nginx.start()
            site.go_live("a.example.com")
            stop_issuing(site, issuer)
            small.fill()
            put = Put(site)
            put.until_full()
            if part == "tables":
                with contextlib.suppress(AssertionError):  # it may say that it cannot
                    server.run("CHECKPOINT")
            name, answer = put.refused()
            assert answer.code in ("store-full", "store-busy"), answer
            if part == "tables":
                assert answer.code == "store-full"
                put.check_known()
            check_served(site, "a.example.com")
            small.make_room()

            def works():
                if not server.server.is_alive():
                    server.start()  # as its service manager does
                return put_one(site, name).status in (200, 201)

            wait.until(works, "the store works again", 30)
            put.check_known()
            site.herd.check()
        finally:
            site.herd.stop()
            server.stop()


def test_the_issuers_state_can_wait(make_site):
    site = make_site()
    site.prepare()
    with full_disk(site.herd.folder / "small", "64k") as small:
        small.fill()
        site.herd.set("issuer", account_state=small.folder / "account.json")
        try:
            site.herd.start("store")
            issuer = site.herd.start("issuer")
            site.herd.start("agent")
            site.nginx.start()
            site.go_live("a.example.com")
            assert "account state not saved" in issuer.log()
            assert not (small.folder / "account.json").exists()
            check_served(site, "a.example.com")
            small.make_room()
            stop_issuing(site, issuer)
            issuer = site.herd.start("issuer")
            site.go_live("b.example.com")
            assert (small.folder / "account.json").exists()
        finally:
            site.herd.stop()
