"""`certherd migrate` while the platform writes as fast as it can: what was acknowledged before the store
stopped, however it stopped, is in PostgreSQL, and nothing else."""

import collections
import http.client
import json
import os
import random
import signal
import sqlite3
import subprocess
import threading

import pytest

from casim_fixture import add_all
from lab import casim, herd, postgres, process, site as site_module, wait

FIRST = [f"first{number:04}.move.example" for number in range(1500)]
WRITERS = 6
# Written between the snapshot and the stop: far more than one commit carries.
CHANGES_LEAST = 400
ACTIVE_LEAST = 30


class Writer:
    """Puts, changes and removes names of its own, and writes down what each of them must be.

    known: {name: its upstream, None: it is not there}.  doubtful: those whose last request got no
    answer; they are as before it, or as it wanted: {name: (before, wanted)}."""

    def __init__(self, api, number):
        self.api, self.number = api, number
        self.rng = random.Random(number)
        self.known, self.doubtful = {}, {}
        self.acknowledged = 0
        self.surprises = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self):
        count = 0
        while not self._stop.is_set():
            count += 1
            try:
                self._write(count)
            except Exception as surprise:  # pylint: disable=broad-except
                self.surprises.append(repr(surprise))
                return

    def _write(self, count):
        there = [name for name, upstream in self.known.items() if upstream]
        kind = self.rng.choice(("put", "put", "change", "remove", "batch")) if there else "put"
        if kind == "batch":
            wanted = {f"w{self.number}b{count}x{at}.move.example": f"u{count}" for at in range(15)}
            self._send(wanted, lambda: self.api.post("/v1/domains", {"domains": [
                {"name": name, "upstream": upstream} for name, upstream in wanted.items()]}))
            return
        name = f"w{self.number}n{count}.move.example" if kind == "put" else self.rng.choice(there)
        if kind == "remove":
            self._send({name: None}, lambda: self.api.delete(f"/v1/domains/{name}"))
        else:
            self._send({name: f"u{count}"},
                       lambda: self.api.put(f"/v1/domains/{name}", {"upstream": f"u{count}"}))

    def _send(self, wanted, request):
        """Until it is acknowledged, or the test is over."""
        first = True
        while True:
            try:
                answer = request()
            except (OSError, http.client.IncompleteRead):
                answer = None
            # A removal that was made, and whose answer was lost.
            gone = answer and answer.status == 404 and not first and None in wanted.values()
            if answer and (gone or self._is_done(answer)):
                self.known.update(wanted)
                for name in wanted:
                    self.doubtful.pop(name, None)
                self.acknowledged += len(wanted)
                return
            first = False
            self.doubtful.update({name: (self.known.get(name), upstream) for name, upstream in wanted.items()})
            if self._stop.wait(0.05):
                return

    def _is_done(self, answer):
        if answer.status == 503:
            return False
        assert answer.status in (200, 201, 204), answer
        results = answer.json.get("results", []) if answer.body else []
        codes = {result["code"] for result in results if result["status"] == "rejected"}
        assert codes <= {"store-busy"}, codes
        return not codes


class Move:
    """Store, issuer and agent, each started by itself, over SQLite, and an empty PostgreSQL."""

    def __init__(self, folder):
        self.server = postgres.Postgres(folder / "pg", durable=True).make().start()
        self.site = site_module.Site(folder)
        self.herd = self.site.herd
        self.ca = casim.Casim(folder / "casim", self.site.pebble.http_port)
        self.site.settings = {"issuer": {"directory": self.ca.directory, "directory_ca": self.ca.api_ca,
                                         "roots": self.ca.root, "probe": "off"}}
        self.url = None
        self.writers = []

    def start(self):
        self.ca.start()
        self.site.prepare()
        self.url = self.server.create("certherd")
        for program in ("store", "issuer", "agent"):
            self.herd.start(program)
        self.site.nginx.start()
        add_all(self.site, FIRST)
        return self

    @property
    def store(self):
        return next(child for child in self.herd.running if child.name == "certherd store")

    @property
    def sqlite(self):
        return self.herd.folder / "store/certherd.db"

    def write(self):
        self.writers = [Writer(self.herd.api(), number) for number in range(WRITERS)]
        for writer in self.writers:
            writer.start()

    @property
    def acknowledged(self):
        for writer in self.writers:
            assert not writer.surprises, writer.surprises
        return sum(writer.acknowledged for writer in self.writers)

    def stop_writing(self):
        for writer in self.writers:
            writer.stop()
            assert not writer.surprises, writer.surprises

    def migrate(self):
        """The command, which asks for the store to be stopped."""
        command = process.Process("migrate", [herd.binary(), "migrate", self.url],
                                  self.herd.folder / "migrate.log", env=self.herd.env).start()
        wait.until(lambda: command.check_alive() and "stop the store now" in command.log(),
                   lambda: command.log(), 60)
        return command

    def go_on(self):
        self.herd.set("store", database=self.url)
        self.herd.running.remove(self.store)
        self.herd.start("store")

    def stop(self):
        for writer in self.writers:
            writer.stop()
        try:
            self.site.stop()
        finally:
            self.ca.stop()
            self.server.stop()
            self.site.remove()


@pytest.fixture
def move():
    it = Move(site_module.make_scratch("certherd-move-"))
    try:
        yield it.start()
    finally:
        it.stop()


def rows_of_sqlite(path):
    """{table: its rows, as sorted text}"""
    found = {}
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        tables = [row[0] for row in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
            "AND name NOT IN ('certherd_move', 'certherd_schema', 'ticket_set')")]
        for table in tables:
            columns = sorted(row[1] for row in db.execute(f"PRAGMA table_info({table})"))
            found[table] = columns, sorted(
                "|".join("" if value is None else value.hex() if isinstance(value, bytes) else str(value)
                         for value in row)
                for row in db.execute(f"SELECT {', '.join(columns)} FROM {table}"))
    return found


def rows_of_postgres(server, table, columns):
    types = dict(line.split("|") for line in server.run(
        f"SELECT column_name, data_type FROM information_schema.columns WHERE table_name = '{table}'",
        "certherd").splitlines())
    assert set(columns) <= set(types), (table, types)
    texts = ["encode(%s, 'hex')" % column if types[column] == "bytea" else
             "%s::integer" % column if types[column] == "boolean" else column for column in columns]
    texts = [f"coalesce(({text})::text, '')" for text in texts]
    separated = " || '|' || ".join(texts)
    return sorted(json.loads(line) for line in server.run(
        f"SELECT to_json({separated}) FROM {table}", "certherd").splitlines())


def assert_the_same(move):
    """Each row of each table: before a store has changed any."""
    for table, (columns, here) in rows_of_sqlite(move.sqlite).items():
        there = rows_of_postgres(move.server, table, columns)
        assert collections.Counter(here) == collections.Counter(there), table


def assert_tickets_moved(move):
    """They are in PostgreSQL alone: nobody would prune the old file."""
    with sqlite3.connect(f"file:{move.sqlite}?mode=ro", uri=True) as db:
        assert db.execute("SELECT length(record) FROM ticket_set").fetchall() == [(0,)]
    assert int(move.server.run("SELECT length(record) FROM ticket_set", "certherd")) > 0


def listed(move):
    """{name: (upstream, serial)}"""
    found, cursor = {}, ""
    while cursor is not None:
        page = move.herd.look(f"/v1/domains?limit=1000{cursor and '&cursor=' + cursor}").json
        found.update({one["name"]: (one["upstream"], (one["certificate"] or {}).get("serial"))
                      for one in page["domains"]})
        cursor = page["next_cursor"]
    return found


def assert_nothing_is_lost(move):
    found = listed(move)
    for writer in move.writers:
        for name, upstream in writer.known.items():
            now = found.get(name, (None,))[0]
            assert now in writer.doubtful.get(name, (upstream,)), name
    known = set(FIRST).union(*({*writer.known, *writer.doubtful} for writer in move.writers))
    assert set(found) <= known
    assert set(FIRST) <= set(found)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_nothing_acknowledged_is_lost(move, how):
    active = lambda: move.herd.look("/v1/status").json["names"]["active"]
    move.write()
    wait.until(lambda: move.acknowledged and active() >= ACTIVE_LEAST, lambda: move.acknowledged, 60)
    command = move.migrate()
    at_the_snapshot = move.acknowledged
    wait.until(lambda: move.acknowledged >= at_the_snapshot + CHANGES_LEAST, lambda: move.acknowledged, 60)
    before = listed(move)
    os.kill(move.store.pid, how)
    move.store.wait_exit()
    assert command.wait_exit(60) == 0, command.log()
    assert_the_same(move)
    assert_tickets_moved(move)
    refused = subprocess.run([herd.binary(), "store"], env={**os.environ, **move.herd.env},
                             capture_output=True, text=True, timeout=20, check=False)
    assert refused.returncode != 0 and "PostgreSQL" in refused.stderr
    at_the_stop = move.acknowledged
    move.go_on()
    wait.until(lambda: move.acknowledged >= at_the_stop + CHANGES_LEAST, "writers go on", 60)
    move.stop_writing()
    assert_nothing_is_lost(move)
    now = listed(move)
    # What edges were given goes on to be there, and the CA was asked once for each.
    for name, (_, serial) in before.items():
        assert not serial or name not in now or now[name][1], name
    issued = collections.Counter(name for one in move.ca.tell("/certificates") for name in one["names"])
    assert {name: count for name, count in issued.items() if count > 1 and name in FIRST} == {}
    assert len([name for name in FIRST if now[name][1]]) >= ACTIVE_LEAST
    assert move.herd.cli("verify", "--wait", "60s").stdout.startswith("The same: ")
