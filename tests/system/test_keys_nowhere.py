"""Leaf keys and keys of session tickets are in the memory of nginx and nowhere else: not in the
store, the agent or (once it is done) the issuer, in no file, in no log.

The keys are learnt the legitimate way: from the sealed copies, with the recipient's key.  The
search must find them in an nginx worker that has opened them, or it would prove nothing.
"""

import base64
import os
import pathlib
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from lab import herd, process, wait

NAMES = [f"n{number:02}.keys.example.com" for number in range(60)]
ALL_PARTS = {("le", str(part)) for part in range(4)}

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root may look into the memory of other processes")


def tool(name):
    return herd.binary().parents[1] / "tests/tools" / name


def keys_now(site):
    """"NAME SCALAR" lines."""
    done = process.run([tool("leafkeys"), site.herd.folder / "edge/recipient.key",
                        site.herd.folder / "edge/replica"])
    return done.stdout


def ticket_keys_now(site):
    """The same for the halves of the ticket keys."""
    done = process.run([tool("leafkeys"), site.herd.folder / "edge/recipient.key",
                        site.herd.folder / "edge/replica", "tickets"])
    return done.stdout


class Found:
    """What keysearch found: (label, form, part, place) each, and how much it has looked at."""

    def __init__(self, keys, places):
        done = subprocess.run([tool("keysearch"), *map(str, places)], input=keys,
                              capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        self.hits, self.searched = [], {}
        for line in done.stdout.splitlines():
            words = line.split()
            if words[0] == "searched":
                self.searched[words[1]] = int(words[2])
            else:
                self.hits.append(tuple(words[:4]))
        assert self.searched.keys() == {str(place) for place in places}

    def forms(self, label):
        return {(form, part) for name, form, part, _ in self.hits if name == label}


def files_of(site):
    return [path for path in sorted(site.folder.rglob("*"))
            if path.is_file() and path.stat().st_size]


def open_all(site, names, workers):
    """Visits until every worker has served every name; returns the keys' names by worker."""
    missing = {(pid, name) for pid in workers for name in names}

    def visit_all():
        for name in names:
            with site.connect(name) as visit:
                _, headers, _ = visit.get(name)
                missing.discard((int(headers["X-Worker"]), name))
        return not missing

    wait.until(visit_all, lambda: f"workers have not served {sorted(missing)[:5]}", 60)


@pytest.fixture(scope="module")
def site():
    from conftest import _end_site, _new_site
    made = _new_site(nginx_options={"https_extra": "\t\t\tadd_header X-Worker $pid;"})
    try:
        yield made.start()
    finally:
        _end_site(made)


@pytest.fixture(scope="module")
def keys(site):
    """All keys that there ever were: of the first certificates, and of their successors."""
    answer = site.herd.api().post("/v1/domains", {"domains": [{"name": name} for name in NAMES]})
    assert answer.json["created"] == len(NAMES)
    first = {name: site.herd.wait_state(name, "active", 60)["certificate"]["serial"]
             for name in NAMES}
    old = keys_now(site)
    renewed = NAMES[::2]
    site.herd.cli("domain", "retry", *renewed)
    for name in renewed:
        site.herd.wait_state(name, "active", 60, also=lambda domain: domain["certificate"][
            "serial"] != first[domain["name"]])
    new = keys_now(site)
    assert len(old.splitlines()) == len(new.splitlines()) == len(NAMES)
    assert len(set(old.splitlines()) | set(new.splitlines())) == len(NAMES) + len(renewed)
    return old + "".join(line + "\n" for line in new.splitlines() if line not in old)


@pytest.fixture(scope="module")
def ticket_keys(site, keys):
    found = []

    def are_there():
        try:
            found[:] = [ticket_keys_now(site)]
        except AssertionError:
            return False  # not made yet
        return found[0]

    wait.until(are_there, "the replica has ticket keys", 30)
    assert len(found[0].splitlines()) == 2
    return found[0]


SCALAR = bytes(range(0x81, 0x81 + 32))
URL_SCALAR = bytes([0xfb, 0xef, 0xbe] * 10 + [0xff, 0xff])  # full of - and _
OTHER_SCALAR = bytes(range(32))


def key_files_of(scalar):
    """What programs write a key into, in all the ways that they do."""
    key = ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())
    layouts = {"SEC 1": PrivateFormat.TraditionalOpenSSL, "PKCS #8": PrivateFormat.PKCS8}
    files = {f"{layout} {encoding.value}": key.private_bytes(encoding, form, NoEncryption())
             for layout, form in layouts.items() for encoding in (Encoding.DER, Encoding.PEM)}
    pem = files["PKCS #8 PEM"]
    text = subprocess.run(["openssl", "pkey", "-text", "-noout"], input=pem, check=True,
                          capture_output=True).stdout
    return {**files, "PEM with CRLF": pem.replace(b"\n", b"\r\n"),
            "PEM in JSON": pem.replace(b"\n", b"\\n"), "what openssl pkey prints": text}


def forms_of(scalar):
    return {
        **key_files_of(scalar),
        "big-endian": scalar, "limbs": scalar[::-1], "hex": scalar.hex().encode(),
        "HEX": scalar.hex().upper().encode(),
        **{f"base64 {before}": base64.b64encode(b"\0" * before + scalar + b"\xff")
           for before in range(3)},
        **{f"base64url {before}": base64.urlsafe_b64encode(b"\xff" * before + scalar + b"\0")
           for before in range(3)},
        # At each place where a line may end, were the lines of another length.
        **{f"base64 broken after {at}": base64.b64encode(scalar)[:at] + b"\n" +
           base64.b64encode(scalar)[at:] for at in (13, 14, 15, 28, 41)},
        "hex with colons": scalar.hex(":").encode(), "HEX with blanks": scalar.hex(" ").upper().encode(),
        "half of it": scalar[16:], "half of the limbs": scalar[::-1][8:24],
    }


@pytest.mark.parametrize("scalar", [SCALAR, URL_SCALAR], ids=["plain", "url"])
@pytest.mark.parametrize("form", forms_of(SCALAR))
def test_the_search_finds_each_form(scratch, form, scalar):
    paths = []
    for before in (0, 1, 7, 2**20 - 5):  # the last across two of the search's reads
        paths.append(scratch / f"at{before}")
        paths[-1].write_bytes(bytes(before) + forms_of(scalar)[form] + bytes(100))
    found = Found(f"it {scalar.hex()}\nother {OTHER_SCALAR.hex()}\n", paths)
    assert {hit[0] for hit in found.hits} == {"it"}
    for path in paths:
        assert str(path) in {hit[3] for hit in found.hits}
        assert found.searched[str(path)] == path.stat().st_size


@pytest.mark.parametrize("form", forms_of(SCALAR))
def test_another_key_in_the_same_form_is_not_it(scratch, form):
    path = scratch / "another"
    path.write_bytes(bytes(7) + forms_of(OTHER_SCALAR)[form] + bytes(100))
    asked = "".join(f"it {scalar.hex()}\n" for scalar in (SCALAR, URL_SCALAR))
    assert Found(asked, [path]).hits == []
    assert Found(f"other {OTHER_SCALAR.hex()}\n", [path]).hits


def test_the_search_finds_nothing_where_nothing_is(scratch):
    path = scratch / "haystack"
    path.write_bytes(os.urandom(2**22 + 100) + SCALAR[:7] + SCALAR[::-1][:7])
    assert Found(f"it {SCALAR.hex()}\n", [path]).hits == []


# The shadow memory of a sanitizer is larger than anybody can read.
searchable = pytest.mark.skipif(
    any(b"__asan_init" in program.read_bytes() for program in (herd.binary(), herd.nginx())),
    reason="certherd or nginx was built with a sanitizer")


@searchable
def test_a_worker_of_nginx_that_opened_a_key_has_it(site, keys):
    """The positive control: the same search for the same kind of keys."""
    workers = process.children_of(site.nginx.process.pid)
    open_all(site, NAMES, workers)
    live = keys_now(site)
    for pid in workers:
        found = Found(live, [f"pid:{pid}"])
        for name in NAMES:
            assert ALL_PARTS <= found.forms(name), (pid, name)


@searchable
def test_a_worker_of_nginx_has_the_ticket_keys(site, ticket_keys):
    """The positive control."""
    for pid in process.children_of(site.nginx.process.pid):
        wait.until(lambda: {("be", str(part)) for part in range(4)} <=
                   Found(ticket_keys, [f"pid:{pid}"]).forms("aes0"), "the worker has opened them")
        assert {("be", str(part)) for part in range(4)} <= Found(
            ticket_keys, [f"pid:{pid}"]).forms("hmac0")


@searchable
@pytest.mark.parametrize("role", ["store", "issuer", "agent"])
def test_no_role_has_a_ticket_key_in_memory(site, ticket_keys, role):
    pid = site.herd.pid_of(role)
    found = Found(ticket_keys, [f"pid:{pid}"])
    assert found.searched[f"pid:{pid}"] > 2**20
    assert found.hits == []


@searchable
@pytest.mark.parametrize("role", ["store", "issuer", "agent"])
def test_no_role_has_a_key_in_memory(site, keys, role):
    found = Found(keys, [f"pid:{site.herd.pid_of(role)}"])
    assert found.searched[f"pid:{site.herd.pid_of(role)}"] > 2**20
    assert found.hits == []


@searchable
def test_not_even_while_the_issuer_makes_others(site, keys):
    """What is published is out of its memory already."""
    pid = site.herd.pid_of("issuer")
    before = set(keys_now(site).splitlines())
    site.herd.cli("domain", "retry", *NAMES)

    def all_made():
        now = keys_now(site)
        found = Found(now, [f"pid:{pid}"])
        assert found.hits == []
        return not before & set(now.splitlines())

    wait.until(all_made, "every name has another key", 60)


@searchable
def test_neither_the_supervisor_nor_the_master_of_nginx_has_one(site, keys, ticket_keys):
    pids = [site.herd.running[0].pid, site.nginx.process.pid]
    for asked in (keys, ticket_keys):
        assert Found(asked, [f"pid:{pid}" for pid in pids]).hits == []


def test_no_file_has_one(site, keys, ticket_keys):
    """Database with its write-ahead log, replica, logs, and everything else there is."""
    files = files_of(site)
    names = {path.name for path in files}
    assert {"certherd.db", "certherd.db-wal", "data.mdb", "up.log", "error.log",
            "access.log", "pebble.log"} <= names, names
    found = Found(keys + ticket_keys, files)
    assert found.hits == []
    assert sum(found.searched.values()) > 2**20


def test_the_control_for_files(site, keys):
    """What is in the files is looked at: the sealed copies' neighbours are found."""
    database = (site.herd.folder / "store/certherd.db").read_bytes()
    wal = pathlib.Path(f"{site.herd.folder}/store/certherd.db-wal").read_bytes()
    assert NAMES[0].encode() in database + wal
