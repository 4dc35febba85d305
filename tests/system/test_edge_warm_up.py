"""certherd_warm_up: keys opened in advance, by a list that may be anything."""

import os
import pwd

import pytest

import status_page
from lab import wait
from edge_fixture import new_edge  # noqa: F401
from test_edge_status import SERVERS

WARM_UP = "\tcertherd_warm_up %%(folder)s/warm/names %d 1s;\n%s"
IGNORED = "is ignored"


def make(new_edge, names=100, more="", **options):  # noqa: F811
    edge = new_edge(**{"workers": 1, "servers": SERVERS, "http_extra": WARM_UP % (names, more),
                       **options})
    folder = edge.folder / "warm"
    folder.mkdir()
    if edge.user:
        os.chown(folder, pwd.getpwnam(edge.user).pw_uid, -1)
    folder.chmod(0o700)
    edge.names = folder / "names"
    return edge


def list_of(*names, end=None):
    count = len(names) if end is None else end
    return "".join(["certherd names 1\n", *(f"{name}\n" for name in names), f"end {count}\n"])


def put(edge, text, mode=0o600, owner=None):
    edge.names.write_bytes(text if isinstance(text, bytes) else text.encode())
    edge.names.chmod(mode)
    if edge.user:
        os.chown(edge.names, pwd.getpwnam(owner or edge.user).pw_uid, -1)


def listed(edge):
    if not edge.names.exists():
        return []
    lines = edge.names.read_text().splitlines()
    assert lines[0] == "certherd names 1" and lines[-1] == f"end {len(lines) - 2}"
    return lines[1:-1]


def wait_listed(edge, names):
    wait.until(lambda: set(names) <= set(listed(edge)), lambda: f"{listed(edge)}\n{edge.log()}")


def wait_warm(edge, opened, times=1):
    edge.wait_log(f"certherd: {opened} keys were opened in advance", times)


def restart(edge):
    edge.process.stop()
    edge.start()


def test_a_restart_and_a_reload_find_the_keys_open(new_edge):  # noqa: F811
    edge = make(new_edge)
    edge.apply("many:warm.test:20:1", "cert:*.wild.test:2", "many:idle.test:20:3").start()
    edge.load("warm.test", 20, **{"from": 0, "count": 20})
    with edge.connect("any.wild.test"):
        pass
    names = {f"n{i}.warm.test" for i in range(20)} | {"*.wild.test"}
    wait_listed(edge, names)
    assert set(listed(edge)) == names
    assert os.stat(edge.names).st_mode & 0o777 == 0o600
    for number, again in enumerate((restart, reload), 1):
        again(edge)
        wait_warm(edge, 21, number)
        before = status_page.read(edge)
        assert before["cache_entries"] == 21
        assert before["warm_up_opens_total"] == 21 * number
        assert before["cache_misses_total"] == 0
        edge.load("warm.test", 20, **{"from": 0, "count": 20})
        gained = status_page.gained(before, status_page.read(edge))
        assert gained["cache_hits_total"] == 20 == gained["handshakes_total{served}"]
        assert "key_open_seconds_count" not in gained
    assert os.listdir(edge.names.parent) == ["names"]


def reload(edge):
    edge.reload()


def test_every_worker_opens_them(new_edge):  # noqa: F811
    edge = make(new_edge, workers=3)
    edge.apply("many:warm.test:10:1")
    put(edge, list_of(*(f"n{i}.warm.test" for i in range(10))))
    edge.start()
    wait_warm(edge, 10, 3)
    found = status_page.read(edge)
    assert found["cache_entries"] == 30 == found["warm_up_opens_total"]
    assert found["handshakes_total{served}"] == 0


def test_without_the_directive_nothing_is_read_or_written(new_edge):  # noqa: F811
    edge = make(new_edge)
    edge.http_extra = ""
    edge.apply("many:warm.test:5:1")
    put(edge, list_of("n1.warm.test"))
    edge.start()
    edge.load("warm.test", 5, **{"from": 0, "count": 5})
    assert status_page.read(edge)["warm_up_opens_total"] == 0
    assert listed(edge) == ["n1.warm.test"]


def test_the_list_has_those_that_are_used_most(new_edge):  # noqa: F811
    edge = make(new_edge, names=10)
    edge.apply("many:warm.test:60:1").start()
    for _ in range(10):
        edge.load("warm.test", 8, **{"from": 0, "count": 8})
    edge.load("warm.test", 60, **{"from": 8, "count": 52})
    wait.until(lambda: len(listed(edge)) == 10, edge.log)
    wait_listed(edge, {f"n{i}.warm.test" for i in range(8)})
    restart(edge)
    wait_warm(edge, 10)


def test_names_that_are_gone_are_passed_over(new_edge):  # noqa: F811
    edge = make(new_edge)
    edge.apply("cert:here.test:1", "name:bare.test:2", "cert:bad.test:3:other-key",
               "cert:*.wild.test:4")
    put(edge, list_of("gone.test", "bare.test", "bad.test", "here.test", "here.test",
                      "a.wild.test", "*.wild.test"))
    edge.start()
    wait_warm(edge, 2)
    assert status_page.read(edge)["cache_entries"] == 2
    assert IGNORED not in edge.log()


def test_a_replica_that_comes_later_is_waited_for(new_edge):  # noqa: F811
    edge = make(new_edge)
    put(edge, list_of("late.test"))
    edge.start()
    edge.wait_log("all names are unknown")
    edge.apply("cert:late.test:1")
    wait_warm(edge, 1)


def test_what_fits_is_opened_and_nothing_is_thrown_away(new_edge):  # noqa: F811
    edge = make(new_edge, names=1000, more="\tcertherd_cache 512k;")
    edge.apply("many:warm.test:200:1")
    put(edge, list_of(*(f"n{i}.warm.test" for i in range(200))))
    edge.start()
    edge.wait_log("keys were opened in advance")
    found = status_page.read(edge)
    assert 30 < found["cache_entries"] < 120
    assert found["cache_evictions_total"] == 0
    assert found["cache_bytes"] <= found["cache_limit_bytes"]


GOOD = list_of("one.test", "two.test")
GARBAGE = {
    "empty": b"", "garbage": bytes(range(256)) * 100, "zeroes": bytes(5000),
    "cut": GOOD[:-3], "cut in a name": GOOD[:25], "another version": GOOD.replace("1\n", "2\n", 1),
    "too few": list_of("one.test", end=3), "one line": b"certherd names 1\n",
    "a name at first that is none": list_of("../../etc/passwd", "one.test"),
    "too long": list_of("a" * 300, "one.test"), "script": b"#!/bin/sh\nexit 0\n",
}


@pytest.mark.parametrize("what", GARBAGE)
def test_what_is_no_list_is_ignored_with_one_line(new_edge, what):  # noqa: F811
    edge = make(new_edge, workers=2)
    edge.apply("cert:one.test:1", "cert:two.test:2")
    put(edge, GARBAGE[what])
    edge.start()
    edge.wait_log(IGNORED)
    with edge.connect("two.test") as visitor:
        assert visitor.names == ["two.test"]
    if what != "too few":
        assert status_page.read(edge)["warm_up_opens_total"] == 0

    def is_replaced():
        """In due course, by a good one: by the first worker, and which of the two a visitor comes
        to is nobody's choice."""
        edge.connect("one.test").__exit__()
        edge.connect("two.test").__exit__()
        return edge.names.read_bytes().endswith((b"\nend 2\n", b"\nend 1\n"))

    wait.until(is_replaced, edge.log)
    assert edge.log().count(IGNORED) == 1


def huge(edge):
    put(edge, GOOD)
    with open(edge.names, "r+b") as file:
        file.truncate(1 << 40)


def group_writable(edge):
    put(edge, GOOD, mode=0o660)


def somebody_elses(edge):
    put(edge, GOOD, owner="nobody")


def link(edge):
    put(edge, GOOD)
    edge.names.rename(edge.folder / "elsewhere")
    edge.names.symlink_to(edge.folder / "elsewhere")


def pipe(edge):
    os.mkfifo(edge.names)


def folder(edge):
    edge.names.mkdir()


@pytest.mark.parametrize("make_it", [
    huge, group_writable, link, pipe, folder,
    pytest.param(somebody_elses, marks=pytest.mark.skipif(os.geteuid() != 0, reason="needs root"))])
def test_a_file_that_is_not_as_it_must_be_is_ignored(new_edge, make_it):  # noqa: F811
    edge = make(new_edge)
    edge.apply("cert:one.test:1", "cert:two.test:2")
    make_it(edge)
    edge.start()
    edge.wait_log(IGNORED)
    assert status_page.read(edge)["warm_up_opens_total"] == 0
    with edge.connect("one.test") as visitor:
        assert visitor.names == ["one.test"]
    assert edge.log().count(IGNORED) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_folder_that_cannot_be_written_is_told_once(new_edge):  # noqa: F811
    edge = make(new_edge, more="")
    edge.names.parent.chmod(0o500)
    edge.apply("cert:one.test:1").start()
    edge.connect("one.test").__exit__()
    edge.wait_log("cannot write the list of names")
    looks = status_page.read(edge)["replica_looks_total"]
    # One look a second, and so would be the lines.
    wait.until(lambda: status_page.read(edge)["replica_looks_total"] >= looks + 3, edge.log)
    assert edge.log().count("cannot write the list of names") == 1
    edge.names.parent.chmod(0o700)
    wait_listed(edge, ["one.test"])


@pytest.mark.parametrize("text,says", [
    ("certherd_warm_up;", "invalid number of arguments"),
    ('certherd_warm_up "";', "is empty"),
    ("certherd_warm_up a; certherd_warm_up b;", "is duplicate"),
    ("certherd_warm_up a 0;", "must name 1 to 100000 names"),
    ("certherd_warm_up a 100001;", "must name 1 to 100000 names"),
    ("certherd_warm_up a many;", "must name 1 to 100000 names"),
    ("certherd_warm_up a 10 never;", "must be written every 1s to 1d"),
    ("certherd_warm_up a 10 10ms;", "must be written every 1s to 1d"),
    ("certherd_warm_up a 10 1m more;", "invalid number of arguments"),
])
def test_a_bad_directive_is_refused(new_edge, text, says):  # noqa: F811
    status, said = new_edge(servers=SERVERS, http_extra=text).test_config()
    assert status != 0 and says in said, said
