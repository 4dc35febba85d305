"""A store in an attacker's hands gets no certificate and makes no edge serve a key of its own."""

import hashlib
import os
import re
import time

import pytest
from cryptography import x509

import forge
import identities
from edge_fixture import NO_PROTOCOL
from lab import tls, wait

PATH = "/.well-known/acme-challenge/"


class Edge:
    """An agent and nginx behind a store that the attacker runs."""

    def __init__(self, site):
        self.site = site
        self.herd = site.herd
        self.store = forge.HostileStore(site.herd).start()
        self.recipient = forge.recipient_of(site.herd)
        self.signing = forge.signing_key_of(site.herd)
        self.ca_key = identities.new_key()
        self.version = 0

    def certificate(self, *names):
        """A leaf for the names, self-signed: the edge serves what the issuer has signed for."""
        folder = self.site.folder / "leaves"
        folder.mkdir(exist_ok=True)
        self.version += 1
        paths = identities.make(folder, f"leaf{self.version}", (), usages=(identities.SERVER,), dns=names)
        certificate = x509.load_pem_x509_certificate(paths[0].read_bytes())
        key = forge.serialization.load_pem_private_key(paths[1].read_bytes(), None)
        return certificate, key

    def record(self, name, *names, version=None, **options):
        certificate, key = self.certificate(*(names or (name,)))
        options.setdefault("signing_key", self.signing)
        return forge.cert_record(version or self.version, name, certificate, key, self.recipient, **options)

    def feed(self, *records):
        """Feeds them and waits until the agent has read beyond them, or has stopped at them."""
        self.store.feed(*records)
        seq, reads = len(self.store.records), self.store.reads
        wait.until(lambda: self.herd.check() and
                   (self.store.acknowledged >= seq or self.store.reads >= reads + 3),
                   "the agent has seen the records", 20)

    def serves(self, sni):
        try:
            with self.site.connect(sni, tls.context()) as visit:
                return visit.der
        except tls.Refused:
            return None

    def answer(self, name, token="token"):
        status, _, body = tls.plain_get(self.site.nginx.http_port, name, PATH + token)
        return body.decode() if status == 200 else None


@pytest.fixture
def edge(make_site):
    site = make_site()
    site.prepare_without_ca()
    made = Edge(site)
    try:
        site.herd.set("agent", poll_wait="500ms")
        site.herd.start("agent")
        site.nginx.start()
        yield made
    finally:
        made.store.stop()


def test_the_control_a_rightly_made_record_is_served(edge):
    """Made by an implementation of the formats that shares no code with certherd's."""
    record = edge.record("control.example.com")
    edge.feed(record)
    assert wait.until(lambda: edge.serves("control.example.com"), "it is served", 10)


def test_wildcard_records_serve_the_names_below_them(edge):
    edge.feed(edge.record("*.wild.example.com"), edge.record("exact.wild.example.com"))
    wait.until(lambda: edge.serves("a.wild.example.com"), "the wildcard is served", 10)

    def names_of(sni):
        der = edge.serves(sni)
        if der is None:
            return None
        extension = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(
            x509.SubjectAlternativeName)
        return extension.value.get_values_for_type(x509.DNSName)

    assert names_of("b.wild.example.com") == ["*.wild.example.com"]
    assert names_of("B.WILD.example.com") == ["*.wild.example.com"]
    assert names_of("exact.wild.example.com") == ["exact.wild.example.com"]
    assert names_of("wild.example.com") is None
    assert names_of("a.b.wild.example.com") is None


FORGERIES = {
    "another signing key": lambda edge, name: edge.record(name, signing_key=identities.new_key()),
    "another key that claims the pinned one's id": lambda edge, name: edge.record(
        name, signing_key=identities.new_key(), claimed_signer=edge.signing),
    "a record altered after signing": lambda edge, name: edge.record(
        name, spoil=lambda body: body[:4] + b"\x7f" + body[5:]),
    "a leaf altered after signing": lambda edge, name: edge.record(
        name, spoil=lambda body: body[:200] + bytes([body[200] ^ 1]) + body[201:]),
    "a name put over another's": lambda edge, name: edge.record(
        "x" * len(name), spoil=lambda body: body.replace(b"x" * len(name), name.encode(), 1)),
    "no signature": lambda edge, name: edge.record(name)[:-64],
    "a signature of zeros": lambda edge, name: edge.record(name)[:-64] + b"\0" * 64,
    "random bytes": lambda edge, name: os.urandom(500),
    "a cut record": lambda edge, name: edge.record(name)[:300],
}


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda text: text.replace(" ", "-"))
def test_a_forged_record_is_never_served(edge, forgery):
    good = edge.record("good.example.com")
    edge.feed(good)
    serial = wait.until(lambda: edge.serves("good.example.com"), "the good one is served", 10)
    edge.feed(FORGERIES[forgery](edge, "victim.example.com"))
    edge.feed(FORGERIES[forgery](edge, "good.example.com"))
    assert edge.serves("victim.example.com") is None
    assert edge.serves("good.example.com") == serial


def test_a_mass_removal_waits_for_a_confirmation(edge):
    names = [f"n{number}.example.com" for number in range(30)]
    edge.feed(*[edge.record(name) for name in names])
    wait.until(lambda: edge.serves(names[-1]), "they are served", 10)
    done = edge.herd.cli("agent", "--confirm-removal", check=False)
    assert done.returncode == 1 and "nothing to confirm" in done.stderr
    edge.store.feed(*[forge.tombstone(1000, name) for name in names[:15]])
    wait.until(lambda: "confirm-removal" in (edge.store.error or ""), "the removal is refused", 20)
    assert all(edge.serves(name) for name in names)
    wait.until(lambda: edge.herd.cli("agent", "--confirm-removal", check=False).returncode == 0,
               "the removal is confirmed", 30)
    wait.until(lambda: edge.store.acknowledged == 45 and edge.store.error is None, "it is applied", 20)
    assert [name for name in names if edge.serves(name)] == names[15:]


def test_a_key_sealed_for_another_name_cannot_be_moved(edge):
    """Even signed rightly, as a broken issuer might: the binding is inside the sealing."""
    edge.feed(edge.record("moved.example.com", bound_name="origin.example.com"))
    assert edge.serves("moved.example.com") is None


def test_an_older_version_does_not_come_back(edge):
    edge.feed(edge.record("replay.example.com", version=10))
    wait.until(lambda: edge.serves("replay.example.com"), "it is served", 10)
    new = edge.record("replay.example.com", version=20)
    edge.feed(new)
    served = wait.until(lambda: edge.serves("replay.example.com"), "it is served", 10)
    edge.feed(edge.record("replay.example.com", version=15))
    assert edge.serves("replay.example.com") == served


def test_a_foreign_accounts_challenge_is_not_answered(edge):
    """All that a record can say of accounts is which of the pinned ones to use."""
    own = (edge.herd.folder / "edge/nginx-certherd.conf").read_text()
    edge.feed(forge.name_record(1, "victim.example.com"),
              forge.name_record(2, "hinted.example.com", hint=0x0123456789abcdef))
    answer = wait.until(lambda: edge.answer("victim.example.com"), "the challenge is answered", 10)
    assert answer.split(".")[0] == "token" and answer.split(".")[1] in own
    hinted = edge.answer("hinted.example.com")
    assert hinted is None or hinted.split(".")[1] in own


TOKEN = b"evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ"


def tls_answer(edge, name):
    """The digest that the edge shows to a CA that comes by tls-alpn-01, or the alert."""
    try:
        with edge.site.connect(name, tls.context(alpn=["acme-tls/1"])) as visit:
            found = x509.load_der_x509_certificate(visit.der).extensions
            return found.get_extension_for_oid(
                x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")).value.value[2:]
    except tls.Refused as refusal:
        return refusal.alert


def test_the_control_a_rightly_signed_token_is_answered_for(edge):
    """Under the account that is pinned, and not as long as the store may like."""
    own = re.search(r"certherd_account_thumbprint (\S+);",
                    (edge.herd.folder / "edge/nginx-certherd.conf").read_text())[1]
    hint = int.from_bytes(forge.unpadded(own)[:8], "big")
    later = int(time.time()) + 3600
    edge.feed(forge.name_record(1, "right.example.com"),
              forge.challenge(2, "right.example.com", hint, TOKEN, later, edge.signing),
              forge.name_record(1, "late.example.com"),
              forge.challenge(2, "late.example.com", hint, TOKEN, 1, edge.signing),
              forge.name_record(1, "foreign.example.com"),
              forge.challenge(2, "foreign.example.com", 0x0123456789abcdef, TOKEN, later, edge.signing))
    digest = hashlib.sha256(TOKEN + b"." + own.encode()).digest()
    wait.until(lambda: tls_answer(edge, "right.example.com") == digest, "the token is answered for", 10)
    assert tls_answer(edge, "late.example.com") == NO_PROTOCOL
    assert tls_answer(edge, "foreign.example.com") == NO_PROTOCOL


FORGED_TOKENS = {
    "another signing key": lambda edge, sign: sign(signing_key=identities.new_key()),
    "another token": lambda edge, sign: sign(spoil=lambda body: body.replace(TOKEN, TOKEN[::-1])),
    "another account": lambda edge, sign: sign(spoil=lambda body: b"\1" * 8 + body[8:]),
    "another name's": lambda edge, sign: sign(name="origin.example.com").replace(b"origin", b"victim"),
    "a later end": lambda edge, sign: sign(
        spoil=lambda body: body[:-16] + b"\0\0\0\x7f" + body[-12:]),
    "no signature": lambda edge, sign: sign()[:-72],
    "a signature of zeros": lambda edge, sign: sign()[:-64] + b"\0" * 64,
    "the label of other records": lambda edge, sign: sign()[:-64] + forge.sign(edge.signing, sign()[12:-64]),
}


@pytest.mark.parametrize("forgery", FORGED_TOKENS, ids=lambda text: text.replace(" ", "-"))
def test_a_forged_token_is_not_answered_for(edge, forgery):
    name = "victim.example.com"

    def sign(signing_key=None, name=name, spoil=None):
        return forge.challenge(2, name, 0, TOKEN, int(time.time()) + 3600, signing_key or edge.signing, spoil)

    edge.feed(edge.record(name, version=1), FORGED_TOKENS[forgery](edge, sign))
    wait.until(lambda: edge.serves(name), "the name is served", 10)
    assert tls_answer(edge, name) == NO_PROTOCOL


def test_an_attackers_own_issuer_gets_nothing_for_a_registered_name(edge, make_site):
    """The name is registered and answers challenges, but under the platform's account alone."""
    edge.feed(forge.name_record(1, "victim.example.com"))
    wait.until(lambda: edge.answer("victim.example.com"), "the challenge is answered", 10)
    edge.site.start_ca()
    attacker = make_site()
    attacker.herd.init()
    attacker.herd.set("issuer", directory=edge.site.pebble.directory, probe="off",
                      directory_ca=edge.site.pebble.api_ca, roots=edge.site.root, terms_agreed="yes",
                      retry_ladder="1s,2s,4s", poll_interval="100ms", lease="5s")
    for role in ("store", "issuer", "agent"):
        attacker.herd.start(role)
    attacker.herd.api().put("/v1/domains/victim.example.com")
    attacker.herd.wait_state("victim.example.com", "failed", 30, also=lambda now: now["failures"] >= 2)
    assert attacker.herd.domain("victim.example.com")["certificate"] is None


POLICIES = {
    "a path": {forge.REDIRECT: "evil.example/x?"},
    "an address": {forge.REDIRECT: "https://evil.example"},
    "a user": {forge.REDIRECT: "shop.example.com@evil.example"},
    "a foreign name": {forge.REDIRECT: "evil.example"},
    "a name that it made up": {forge.REDIRECT: "made-up.example.com"},
    "another header value": {forge.HSTS: "max-age=1; evil"},
    "an upstream that is none": {forge.UPSTREAM: "10.0.0.1:80"},
}


@pytest.mark.parametrize("texts", POLICIES, ids=lambda text: text.replace(" ", "-"))
def test_a_policy_sends_visitors_nowhere_else(edge, texts):
    name = "shop.example.com"

    def visited():
        """(status, Location, HSTS) over HTTP and over HTTPS."""
        answers = [tls.plain_get(edge.site.nginx.http_port, name, "/")]
        with edge.site.connect(name, tls.context()) as visit:
            answers.append(visit.get(name))
        return [(status, headers["Location"], headers["Strict-Transport-Security"])
                for status, headers, _ in answers]

    # The control: the certificate and a policy that a platform may set.
    edge.feed(edge.record(name), edge.record("www.example.com"), forge.name_record(2, "made-up.example.com"),
              forge.policy(2, name, {forge.HSTS: "max-age=300", forge.REDIRECT: "www.example.com"}))
    wait.until(lambda: edge.serves(name), "it is served", 10)
    to_www = [(308, "https://www.example.com/", None), (200, None, "max-age=300")]
    assert visited() == to_www
    edge.feed(forge.policy(3, name, POLICIES[texts]))
    if "name" in texts:  # which only nginx can tell from one of ours
        assert [answer[:2] for answer in visited()] == [(200, None), (200, None)]
    else:
        wait.until(lambda: "its policy is no policy" in (edge.store.error or ""), "the agent tells it", 20)
        assert visited() == to_www


@pytest.mark.parametrize("raw", [
    b"", b"CHF1", b"nonsense" * 100, b"CHF2" + b"\0" * 36, b"CHF1" + b"\0" * 36 + b"\xff" * 13,
    b"CHF1" + b"\0" * 36 + b"\0\0\0\1\1" + b"\0" * 8, b"CHF1" + b"\xff" * 36,
    b"CHF1" + b"\0" * 36 + b"\0" * (5 * 1024 * 1024)], ids=lambda raw: f"{len(raw)}-{raw[:5]!r}")
def test_a_feed_that_is_no_feed_changes_nothing(edge, raw):
    edge.feed(edge.record("steady.example.com"))
    served = wait.until(lambda: edge.serves("steady.example.com"), "it is served", 10)
    reads = edge.store.reads
    edge.store.raw = raw
    wait.until(lambda: edge.herd.check() and edge.store.reads > reads, "the agent has read it", 20)
    edge.store.raw = None
    edge.feed(edge.record("after.example.com"))
    wait.until(lambda: edge.herd.check() and edge.serves("after.example.com"), "the agent goes on", 30)
    assert edge.serves("steady.example.com") == served


def test_a_mass_removal_waits_for_an_operator(edge):
    names = [f"n{number}.example.com" for number in range(30)]
    edge.feed(*(edge.record(name) for name in names))
    wait.until(lambda: edge.serves(names[-1]), "they are served", 20)
    edge.store.feed(*(forge.tombstone(1000 + at, name) for at, name in enumerate(names)))
    wait.until(lambda: edge.store.error, "the agent tells the store why it waits", 20)
    alive = [name for name in names if edge.serves(name)]
    assert len(alive) >= 19, f"{len(alive)} of 30 are left"


# -- keys of session tickets

HOUR = 3600


class Tickets:
    """A visitor who holds a ticket, while nginx forgets every session that is not in one."""

    def __init__(self, edge):
        self.edge = edge
        self.ctx = tls.context(version=tls.ssl.TLSVersion.TLSv1_3)
        self.now = int(time.time())

    def record(self, version, *labels, pool="default", **options):
        """Keys that are current from now on for an hour, the last of them makes tickets."""
        keys = [(hashlib.sha256(label.encode()).digest()[:16], self.now - 60 + at, self.now + HOUR,
                 hashlib.sha512(label.encode()).digest()) for at, label in enumerate(labels)]
        options.setdefault("signing_key", self.edge.signing)
        return forge.ticket_record(pool, version, keys, self.edge.recipient, **options)

    def visit(self, session=None):
        with self.edge.site.connect("t.example.com", self.ctx, session=session) as visitor:
            assert visitor.get("t.example.com")[0] == 200
            return visitor.sock.session_reused, visitor.sock.session

    def survives(self):
        """Whether a ticket of before is good after nginx was started anew."""
        session = self.visit()[1]
        self.edge.site.nginx.stop()
        self.edge.site.nginx.start()
        self.edge.site.nginx.wait_open(self.edge.herd.folder / "edge/replica")
        return self.visit(session)[0]


@pytest.fixture
def tickets(edge):
    edge.feed(edge.record("t.example.com"))
    wait.until(lambda: edge.serves("t.example.com"), "it is served", 10)
    return Tickets(edge)


def test_the_control_rightly_made_ticket_keys_are_used(edge, tickets):
    assert not tickets.survives()
    edge.feed(tickets.record(10, "one"))
    wait.until(tickets.survives, "they are used", 20)
    assert edge.store.error is None


@pytest.mark.parametrize("what", ["unsigned", "other key", "other signer", "other pool", "older",
                                  "other pool's seal"])
def test_keys_of_the_attackers_choice_are_not_used(edge, tickets, what):
    """He may withhold; but his own keys, for which he could read visitors' sessions, and those of
    long ago, which he may have learnt by now, are not taken."""
    edge.feed(tickets.record(10, "one"))
    wait.until(tickets.survives, "they are used", 20)
    held = tickets.visit()[1]
    stranger = identities.new_key()
    edge.feed({
        "unsigned": lambda: tickets.record(11, "his")[:-64] + bytes(64),
        "other key": lambda: tickets.record(11, "his", signing_key=stranger),
        "other signer": lambda: tickets.record(11, "his", signing_key=stranger,
                                               claimed_signer=edge.signing),
        "other pool": lambda: tickets.record(11, "his", pool="other"),
        "older": lambda: tickets.record(9, "his"),
        "other pool's seal": lambda: tickets.record(11, "his", bound_pool="other"),
    }[what]())
    if what in ("unsigned", "other key", "other signer"):
        assert "ticket keys that are not signed by a pinned key" in edge.store.error
    if what == "other pool":
        assert "ticket keys of another pool" in edge.store.error
    if what == "older":
        assert edge.store.error is None
    if what == "other pool's seal":  # signed by the issuer, which has made a mistake
        wait.until(lambda: not tickets.survives(), "there are no keys any more", 20)
        return
    assert tickets.visit(held)[0]
    assert tickets.survives()
    # The name's own records are taken as ever.
    edge.feed(edge.record("later.example.com"))
    wait.until(lambda: edge.serves("later.example.com"), "it is served", 10)


def test_an_older_set_is_not_taken_in_another_epoch_either(edge, tickets):
    edge.feed(tickets.record(10, "one"))
    wait.until(tickets.survives, "they are used", 20)
    held = tickets.visit()[1]
    edge.store.epoch = os.urandom(16)
    edge.store.records = [record for record in edge.store.records if record[1] != forge.TICKETS]
    edge.feed(tickets.record(9, "his"))
    wait.until(lambda: edge.store.acknowledged == len(edge.store.records), "it has begun again", 20)
    edge.site.nginx.wait_open(edge.herd.folder / "edge/replica")
    assert tickets.visit(held)[0]
    assert tickets.survives()
