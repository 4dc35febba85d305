"""Session tickets of TLS 1.3 with the pool's keys: resumed on any edge of it, for their own name
only, and as long as their key is there."""

import base64
import hashlib
import os
import shutil
import subprocess
import time

import pytest

from lab import tls, wait
from edge_fixture import TLS12, TLS13, UNKNOWN_NAME, new_edge  # noqa: F401

HOUR_KEYS = "tickets:default:1:a=-60..3600"


@pytest.fixture
def pool(new_edge):
    """Makes edges of one pool and one CA: pool(2, "tickets:…", "cert:…")."""
    def make(count, *operations, start=True, **options):
        edges = [new_edge(workers=1, **options) for _ in range(count)]
        for edge in edges:
            if edge is not edges[0]:
                shutil.copytree(edges[0].folder / "pki", edge.folder / "pki")
            edge.apply(*operations)
            if start:
                edge.start()
        return edges
    return make


def visit(edge, name, ctx, session=None, port="https", host=None):
    """(was resumed, session)"""
    with edge.connect(name, port, ctx=ctx, session=session) as visitor:
        assert visitor.get(host or name)[0] == 200
        return visitor.sock.session_reused, visitor.sock.session


def resumes(edge, name, ctx, session, port="https"):
    return visit(edge, name, ctx, session, port)[0]


def test_a_ticket_of_one_edge_resumes_on_another(pool):
    here, there = pool(2, HOUR_KEYS, "cert:a.test:2")
    ctx = tls.context(None, TLS13)
    resumed, session = visit(here, "a.test", ctx)
    assert not resumed
    resumed, session = visit(there, "a.test", ctx, session)
    assert resumed
    # Clients use a ticket once: the resumed connection has brought another one.
    resumed, session = visit(here, "a.test", ctx, session)
    assert resumed
    with there.connect("a.test", ctx=ctx, session=session) as visitor:
        assert visitor.echo("a.test")["headers"]["x-reused"] == "r"


def test_without_keys_sessions_stay_on_their_edge(pool):
    here, there = pool(2, "cert:a.test:2")
    ctx = tls.context(None, TLS13)
    session = visit(here, "a.test", ctx)[1]
    assert resumes(here, "a.test", ctx, session)
    assert not resumes(there, "a.test", ctx, session)


def test_keys_that_come_later_are_used_and_older_handles_fall_back(pool):
    here, there = pool(2, "cert:a.test:2")
    ctx = tls.context(None, TLS13)
    before = visit(here, "a.test", ctx)[1]
    for edge in (here, there):
        edge.apply(HOUR_KEYS)
    wait.until(lambda: resumes(there, "a.test", ctx, visit(here, "a.test", ctx)[1]),
               "the keys are used")
    assert not resumes(here, "a.test", ctx, before)


def test_no_ticket_is_made_for_tls12(pool):
    here, there = pool(2, HOUR_KEYS, "cert:a.test:2")
    ctx = tls.context(None, TLS12)
    with here.connect("a.test", ctx=ctx) as visitor:
        assert visitor.get("a.test")[0] == 200
        assert not visitor.sock.session.has_ticket
        session = visitor.sock.session
    assert resumes(here, "a.test", ctx, session)
    assert not resumes(there, "a.test", ctx, session)


def test_a_client_of_both_versions_at_a_server_of_tls12(pool):
    """The hello offers 1.3, so that it is not known yet that there will be no ticket."""
    here, there = pool(2, HOUR_KEYS, "cert:a.test:2",
                       servers="""
	server {
		listen 127.0.0.1:%(https)d ssl; listen 127.0.0.1:%(mixed)d ssl;
		listen 127.0.0.1:%(http)d; listen 127.0.0.1:%(proxied)d;
		ssl_protocols TLSv1.2;
		certherd on;
		return 200;
	}
""")
    ctx = tls.context()
    with here.connect("a.test", ctx=ctx) as visitor:
        assert visitor.sock.version() == "TLSv1.2"
        assert not visitor.sock.session.has_ticket
        session = visitor.sock.session
    assert resumes(here, "a.test", ctx, session)
    assert not resumes(there, "a.test", ctx, session)


@pytest.mark.parametrize("setting,tickets", [("", 1), ("\tcertherd_tickets 2;", 2),
                                             ("\tcertherd_tickets 0;", 2)])
def test_one_ticket_a_handshake_unless_more_are_asked_for(pool, setting, tickets):
    """0: as without keys, where OpenSSL sends two handles of the session cache."""
    here, there = pool(2, HOUR_KEYS, "cert:a.test:2", http_extra=setting)
    ctx = tls.context(None, TLS13)
    seen = []
    ctx._msg_callback = lambda *told: seen.append(told[4])
    with here.connect("a.test", ctx=ctx) as visitor:
        assert visitor.get("a.test")[0] == 200
    assert sum(getattr(kind, "name", "") == "NEWSESSION_TICKET" for kind in seen) == tickets
    ctx = tls.context(None, TLS13)
    session = visit(here, "a.test", ctx)[1]
    assert resumes(here, "a.test", ctx, session)
    assert resumes(there, "a.test", ctx, session) == (setting != "\tcertherd_tickets 0;")


def test_with_early_data_sessions_stay_on_their_edge(pool):
    here, there = pool(2, HOUR_KEYS, "cert:a.test:2", http_extra="\tssl_early_data on;")
    ctx = tls.context(None, TLS13)
    session = visit(here, "a.test", ctx)[1]
    resumed, session = visit(here, "a.test", ctx, session)
    assert resumed
    assert not resumes(there, "a.test", ctx, session)


# -- whose ticket it is ---------------------------------------------------------------------------

def test_a_ticket_resumes_under_no_other_name(pool):
    here, there = pool(2, HOUR_KEYS, "cert:a.test:2", "cert:b.test:3", "cert:*.w.test:4")
    ctx = tls.context(None, TLS13)
    for edge in (here, there):
        session = visit(here, "a.test", ctx)[1]
        with edge.connect("b.test", ctx=ctx, session=session) as visitor:
            assert not visitor.sock.session_reused
            assert visitor.get("a.test")[0] == 421
        session = visit(here, "x.w.test", ctx)[1]
        assert not resumes(edge, "y.w.test", ctx, session)
        session = visit(here, "a.test", ctx)[1]
        assert edge.refused(None, ctx=ctx, session=session) == UNKNOWN_NAME
        # The control: nothing but the name was in the way.
        assert resumes(edge, "A.test", ctx, visit(here, "a.test", ctx)[1])


def test_a_removed_name_is_refused_with_its_tickets(pool):
    here, there = pool(2, HOUR_KEYS, "cert:a.test:2")
    ctx = tls.context(None, TLS13)
    sessions = [visit(here, "a.test", ctx)[1] for _ in range(2)]
    there.apply("gone:a.test:3")
    assert there.refused("a.test", ctx=ctx, session=sessions[0]) == UNKNOWN_NAME
    there.apply("cert:a.test:4")
    assert resumes(there, "a.test", ctx, sessions[1])


def test_tickets_of_a_name_and_of_the_fallback_are_apart(pool):
    here, there = pool(2, HOUR_KEYS, "cert:a.test:2", "name:new.test:3",
                       http_extra="\tcertherd_fallback %(folder)s/static.pem "
                                  "%(folder)s/static.key;")
    ctx = tls.context(None, TLS13)
    session = visit(here, "a.test", ctx)[1]
    there.apply("gone:a.test:4")
    assert not resumes(there, "a.test", ctx, session)
    session = visit(here, "new.test", ctx)[1]
    assert resumes(there, "new.test", ctx, session)
    session = visit(here, "new.test", ctx)[1]
    there.apply("cert:new.test:5")
    assert not resumes(there, "new.test", ctx, session)


_TWO_SERVERS = """
	server {
		listen 127.0.0.1:%(https)d ssl;
		listen 127.0.0.1:%(http)d; listen 127.0.0.1:%(proxied)d;
		server_name open.test shared.test;
		certherd on;
		return 200;
	}
	server {
		listen 127.0.0.1:%(mixed)d ssl;
		server_name closed.test shared.test;
		ssl_verify_client optional_no_ca;
		ssl_client_certificate %(folder)s/clients.pem;
		certherd on;
		return 200 $ssl_client_verify;
	}
"""


@pytest.fixture
def guarded(pool):
    """Two edges; on each an open server and one that asks for client certificates, which serve
    one name on two ports."""
    here, there = pool(2, HOUR_KEYS, "cert:open.test:2", "cert:closed.test:3",
                       "cert:shared.test:4", servers=_TWO_SERVERS, start=False)
    for edge in (here, there):
        shutil.copy(here.folder / "static.pem", edge.folder / "clients.pem")
    return here, there


def test_no_ticket_gets_past_client_certificates(guarded):
    """As in CVE-2025-23419: a session of one server is carried on at another one, which would
    have asked for a certificate."""
    for edge in guarded:
        edge.start()
    here, there = guarded
    ctx = tls.context(None, TLS13)
    for edge in guarded:
        session = visit(here, "shared.test", ctx)[1]
        assert not resumes(edge, "shared.test", ctx, session, "mixed")
        assert not resumes(edge, "closed.test", ctx, visit(here, "open.test", ctx)[1], "mixed")
        session = visit(here, "shared.test", ctx, port="mixed")[1]
        assert not resumes(edge, "shared.test", ctx, session)
        # The control: where all is the same it is resumed, files of other folders or not.
        session = visit(here, "shared.test", ctx, port="mixed")[1]
        assert resumes(edge, "shared.test", ctx, session, "mixed")


def test_nor_where_other_certificates_are_asked_for(guarded):
    here, there = guarded
    shutil.copy(there.folder / "static.pem", there.folder / "clients.pem")
    for edge in guarded:
        edge.start()
    ctx = tls.context(None, TLS13)
    session = visit(here, "shared.test", ctx, port="mixed")[1]
    assert not resumes(there, "shared.test", ctx, session, "mixed")
    session = visit(here, "shared.test", ctx, port="mixed")[1]
    assert resumes(here, "shared.test", ctx, session, "mixed")


def test_nor_where_longer_chains_of_theirs_are_taken(guarded):
    here, there = guarded
    here.servers = _TWO_SERVERS.replace("optional_no_ca;", "optional_no_ca; ssl_verify_depth 3;")
    for edge in guarded:
        edge.start()
    ctx = tls.context(None, TLS13)
    for edge, resumed in ((there, False), (here, True)):
        session = visit(here, "shared.test", ctx, port="mixed")[1]
        assert resumes(edge, "shared.test", ctx, session, "mixed") == resumed


def test_certificates_that_no_client_is_asked_for_are_not_read(pool):
    """nginx does not look for them either; those that count must be there."""
    edge, = pool(1, HOUR_KEYS, "cert:open.test:2", start=False, servers=_TWO_SERVERS.replace(
        "ssl_verify_client optional_no_ca", "ssl_verify_client off"))
    assert edge.test_config()[0] == 0
    edge.servers = _TWO_SERVERS
    status, told = edge.test_config()
    assert status != 0 and "clients.pem" in told
    (edge.folder / "clients.pem").write_bytes((edge.folder / "static.pem").read_bytes())
    assert edge.test_config()[0] == 0


@pytest.mark.parametrize("port", ["https", "mixed"])
def test_servers_without_certherd_keep_their_own_tickets(pool, port):
    """On one listener with those that have it, in turn with them, on either side."""
    name = "t.shops.test"
    here, there = pool(2, HOUR_KEYS, f"cert:{name}:2")
    for version in (TLS12, TLS13):
        ctx = tls.context(None, version)
        static = visit(here, "static.test", ctx, port=port)[1]
        assert static.has_ticket
        ours = visit(here, name, ctx, port=port)[1]
        for _ in range(3):
            resumed, static = visit(here, "static.test", ctx, static, port)
            assert resumed
            resumed, ours = visit(here, name, ctx, ours, port)
            assert resumed
        assert not resumes(there, "static.test", ctx, static, port)
        assert not resumes(here, name, ctx, static, port)
        assert not resumes(here, "static.test", ctx, ours, port)


def test_a_file_of_ticket_keys_is_for_servers_without_certherd(pool):
    here, there = pool(2, HOUR_KEYS, "cert:t.shops.test:2", start=False,
                       http_extra="\tssl_session_ticket_key %(folder)s/file.key;")
    for edge in (here, there):
        (edge.folder / "file.key").write_bytes(os.urandom(80))
        edge.start()
    for port in ("https", "mixed"):
        ctx = tls.context(None, TLS13)
        ours, static = (visit(here, name, ctx, port=port)[1]
                        for name in ("t.shops.test", "static.test"))
        for _ in range(2):
            assert resumes(here, "t.shops.test", ctx, ours, port)
            assert resumes(here, "static.test", ctx, static, port)
        assert resumes(there, "t.shops.test", ctx, ours, port)
        # Each edge has a file of its own.
        assert not resumes(there, "static.test", ctx, static, port)


def client(edge, folder, *words):
    """What openssl s_client says of one request."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{edge.port['https']}", "-servername", "a.test",
         "-tls1_3", "-ign_eof", *map(str, words)], cwd=folder, capture_output=True, text=True,
        timeout=20, input="GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
    assert "HTTP/1.1 200" in done.stdout, done.stdout + done.stderr
    return done.stdout


def test_what_is_no_ticket_of_ours_costs_a_full_handshake_and_no_more(pool, scratch):
    """Bytes that a client made up, or altered: key name, IV, content and MAC of a good one."""
    here, there = pool(2, HOUR_KEYS, "cert:a.test:2")
    client(here, scratch, "-sess_out", "good")
    text = (scratch / "good").read_text()
    lines = text.splitlines()
    der = base64.b64decode("".join(lines[1:-1]))
    at = der.index(hashlib.sha256(b"a").digest()[:16])  # the key's id: mkreplica makes it so
    length = der[at - 1] if der[at - 2] == 0x81 else int.from_bytes(der[at - 2:at], "big")
    assert 100 < length < len(der) - at

    def told(changed):
        body = base64.encodebytes(changed).decode()
        (scratch / "changed").write_text(f"{lines[0]}\n{body}{lines[-1]}\n")
        said = client(there, scratch, "-sess_in", "changed")
        assert ("New, TLSv1.3" in said) != ("Reused, TLSv1.3" in said)
        return "Reused" in said

    assert told(der)
    for place in (0, 15, 16, 31, 32, length // 2, length - 33, length - 32, length - 1):
        broken = bytearray(der)
        broken[at + place] ^= 1
        assert not told(bytes(broken)), place
    assert not told(der[:at] + os.urandom(length) + der[at + length:])
    assert not told(der[:at + 16] + bytes(length - 16) + der[at + length:])
    assert told(der)  # nothing is out of order now


# -- keys that come and go ------------------------------------------------------------------------

def test_rotation(pool):
    """Edges do not hear of a set at the same time: nobody notices."""
    here, there = pool(2, "tickets:default:1:a=-60..3600", "cert:a.test:2")
    ctx = tls.context(None, TLS13)
    old = [visit(here, "a.test", ctx)[1] for _ in range(2)]
    both = "tickets:default:%d:a=-60..3600+b=%d..5400"
    for edge in (here, there):
        edge.apply(both % (3, 1800))  # b is on its way
    here.apply(both % (4, -1))  # its time has come, by the clock here
    there.apply("tickets:default:5:b=-1..5400")  # and there a is gone already
    wait.until(lambda: not resumes(there, "a.test", ctx, old[0]), "a is gone")
    wait.until(lambda: resumes(there, "a.test", ctx, visit(here, "a.test", ctx)[1]),
               "b makes tickets here and opens them there")
    # No failure: a full handshake, which brings a ticket of b.
    resumed, session = visit(there, "a.test", ctx, old[1])
    assert not resumed
    assert resumes(here, "a.test", ctx, session)


def test_a_key_whose_time_is_over_opens_nothing(pool):
    here, there = pool(2, "tickets:default:1:a=-60..4", "cert:a.test:2")
    ctx = tls.context(None, TLS13)
    sessions = [visit(here, "a.test", ctx)[1] for _ in range(2)]
    assert resumes(there, "a.test", ctx, sessions[0])
    until = time.time() + 4
    wait.until(lambda: time.time() > until + 1, "its time is over")
    assert not resumes(there, "a.test", ctx, sessions[1])
    # As before there were any keys.
    session = visit(there, "a.test", ctx)[1]
    assert resumes(there, "a.test", ctx, session)
    assert not resumes(here, "a.test", ctx, visit(there, "a.test", ctx)[1])


def test_keys_of_the_future_make_no_tickets_yet(pool):
    here, there = pool(2, "tickets:default:1:a=1800..3600", "cert:a.test:2")
    ctx = tls.context(None, TLS13)
    session = visit(here, "a.test", ctx)[1]
    assert resumes(here, "a.test", ctx, session)
    assert not resumes(there, "a.test", ctx, visit(here, "a.test", ctx)[1])


def test_other_keys_of_the_same_pool_open_nothing(pool):
    here, there = pool(2, "cert:a.test:2")
    here.apply("tickets:default:3:a=-60..3600")
    there.apply("tickets:default:3:z=-60..3600")
    ctx = tls.context(None, TLS13)
    for edge in (here, there):
        edge.reload()
        assert resumes(edge, "a.test", ctx, visit(edge, "a.test", ctx)[1])
    assert not resumes(there, "a.test", ctx, visit(here, "a.test", ctx)[1])


def test_keys_that_cannot_be_opened_are_told_and_harm_nobody(pool):
    here, = pool(1, "tickets:default:1:a=-60..3600:damaged", "cert:a.test:2")
    here.wait_log("keys of session tickets cannot be opened: they are damaged")
    ctx = tls.context(None, TLS13)
    assert resumes(here, "a.test", ctx, visit(here, "a.test", ctx)[1])


def test_keys_for_other_recipients(pool, new_edge):
    other = new_edge(workers=1)
    here, = pool(1, "cert:a.test:2")
    here.apply("tickets:default:3:a=-60..3600", recipients=other.folder / "recipients")
    here.wait_log("no certherd_recipient_key is among their recipients")
    ctx = tls.context(None, TLS13)
    assert resumes(here, "a.test", ctx, visit(here, "a.test", ctx)[1])


def test_a_reload_and_new_workers_go_on_with_the_keys(pool):
    here, there = pool(2, HOUR_KEYS, "cert:a.test:2")
    ctx = tls.context(None, TLS13)
    session = visit(here, "a.test", ctx)[1]
    for edge in (here, there):
        edge.reload()
    assert resumes(there, "a.test", ctx, session)
