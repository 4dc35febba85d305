"""The store's database is lost and comes back from a backup that is older than what edges serve:
nothing that was issued meanwhile is lost, or issued again."""

import json
import os
import pathlib
import shutil

import pytest

from lab import postgres, site as site_module, wait

from test_standby import serial, shown


class Drill:
    """A platform whose edge goes on serving while everything behind it is away."""

    def __init__(self, folder, server=None):
        self.site = site_module.Site(folder)
        self.server = server
        self.backup = folder / "backup"

    def start(self):
        self.site.prepare()
        if self.server:
            self.server.create("certherd")
            self.site.herd.set("store", database=self.server.url("certherd"))
        self.site.herd.start("up")
        self.site.nginx.start()
        return self

    def lose_everything(self):
        """All roles stop and the database is gone; nginx serves on."""
        self.site.herd.stop()
        if self.server:
            self.server.create("certherd_again")
            self.site.herd.set("store", database=self.server.url("certherd_again"))
        else:
            for path in (self.site.herd.folder / "store").glob("certherd.db*"):
                path.unlink()

    def stop(self):
        try:
            self.site.stop()
        finally:
            if self.server:
                self.server.stop()
            self.site.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def drill(request):
    folder = site_module.make_scratch("certherd-restore-")
    server = None
    if request.param == "postgresql":
        server = postgres.Postgres(folder / "pg").make().start()
    it = Drill(folder, server)
    try:
        yield it.start()
    finally:
        it.stop()


def second(herd, name):
    """Serial of the name's second certificate; None: there is none yet."""
    certificate = (herd.domain(name)["second"] or {}).get("certificate")
    return certificate and serial(certificate)


def test_what_edges_hold_comes_back(drill):
    site, herd = drill.site, drill.site.herd
    site.go_live("kept.restore.example", timeout=60)
    site.go_live("renewed.restore.example", timeout=60)
    site.go_live("gone.restore.example", timeout=60)
    site.go_live("two.restore.example", timeout=60, keys="ecdsa+rsa")
    wait.until(lambda: second(herd, "two.restore.example"), "the second certificate is live", 60)
    old_second = second(herd, "two.restore.example")
    old = serial(herd.domain("renewed.restore.example")["certificate"])
    assert json.loads(herd.cli("status", "--json").stdout)["restore"] is None
    assert "Restored" not in herd.cli("status").stdout
    done = herd.cli("backup", drill.backup, "--json")
    told = json.loads(done.stdout)
    assert told["names"] == 4 and told["certificates"] == 5

    # What comes after it: a new name, a renewal, and a name that is removed.
    site.go_live("new.restore.example", timeout=60, tenant="acme")
    herd.cli("domain", "retry", "renewed.restore.example")
    wait.until(lambda: serial(herd.domain("renewed.restore.example")["certificate"]) != old,
               "it is renewed", 60)
    for name in ("new", "renewed"):
        herd.wait_state(f"{name}.restore.example", "active", timeout=60)
    herd.cli("domain", "retry", "two.restore.example")
    wait.until(lambda: second(herd, "two.restore.example") not in (None, old_second), "both are renewed", 60)
    herd.wait_state("two.restore.example", "active", timeout=60)
    new_second = second(herd, "two.restore.example")
    herd.cli("domain", "rm", "gone.restore.example")
    served = {name: shown(site, f"{name}.restore.example") for name in ("kept", "new", "renewed", "two")}
    issued = site.pebble.issued()

    drill.lose_everything()
    assert shown(site, "new.restore.example") == served["new"], "the edge needs none of them"
    assert herd.cli("restore", drill.backup, "--verify").stdout.strip().endswith("Nothing was changed.")
    done = herd.cli("restore", drill.backup)
    assert "Restored." in done.stdout
    assert not list(drill.backup.parent.glob("*.restoring")), "the backup's folder stays as it is"
    again = herd.cli("restore", drill.backup, check=False)
    assert again.returncode == 1 and ("exists" in again.stderr or "in use" in again.stderr)
    herd.start("up")

    restore = json.loads(herd.cli("status", "--json").stdout)["restore"]
    assert restore["ordering_from"] < restore["handback_until"]
    assert "Restored orders begin again in 1" in herd.cli("status").stdout
    back = herd.wait_state("new.restore.example", "active", timeout=60)
    assert back["tenant"] == "acme" and serial(back["certificate"]) == served["new"]
    back = herd.wait_state("renewed.restore.example", "active", timeout=60)
    wait.until(lambda: serial(herd.domain("renewed.restore.example")["certificate"]) == served["renewed"],
               "the newer certificate is back", 60)
    wait.until(lambda: second(herd, "two.restore.example") == new_second, "so is the newer second one", 60)
    assert herd.domain("two.restore.example")["second"]["reason"]["code"] == "ok"
    assert herd.cli("verify", "--wait", "60s").stdout.startswith("The same: ")
    for name, number in served.items():
        assert shown(site, f"{name}.restore.example") == number
    # What was removed after the backup is back: its removal has to be said again.
    assert herd.domain("gone.restore.example")["state"] == "active"
    assert site.pebble.issued() == issued, "nothing was issued again"
    # And the next certificate goes its usual way.
    herd.cli("domain", "retry", "kept.restore.example")
    wait.until(lambda: serial(herd.domain("kept.restore.example")["certificate"]) != served["kept"],
               "the next one is issued", 60)
    wait.until(lambda: shown(site, "kept.restore.example") != served["kept"], "and served", 30)


def test_the_copies_that_a_backup_needs_are_looked_for(drill):
    herd = drill.site.herd
    keep = drill.site.folder / "copies"
    keep.mkdir()
    done = herd.cli("backup", drill.backup, "--kept", keep, check=False)
    assert done.returncode == 3 and "NOT KEPT" in done.stdout and "have no copy" in done.stderr
    assert drill.backup.exists(), "the backup itself is there"
    for path in list(herd.folder.rglob("*.key")) + [herd.folder / "issuer/recipients"] + \
            list((herd.folder / "pki").iterdir()):
        target = keep / path.relative_to(herd.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    other = pathlib.Path(f"{drill.backup}-2")
    done = herd.cli("backup", other, "--kept", keep)
    assert "NOT KEPT" not in done.stdout and "kept" in done.stdout
    # A copy that differs is none.
    (keep / "issuer/signing.key").write_text("another\n")
    done = herd.cli("backup", pathlib.Path(f"{drill.backup}-3"), "--kept", keep, check=False)
    assert done.returncode == 3 and done.stdout.count("NOT KEPT") == 1
    text = done.stdout + done.stderr
    assert "PRIVATE KEY" not in text
    assert os.stat(other).st_mode & 0o777 == 0o600
