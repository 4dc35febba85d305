"""Tests of test_openapi.py: certificates that come without an order, by adoption or handed back."""

import datetime
import hashlib
import sqlite3
import time

import forge
from api_fixture import b64u, chain_block, record, time_text
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from lab import herd as lab_herd

DAYS = 86400
BEGIN = int(time.time()) - DAYS
END = BEGIN + 90 * DAYS
CHAIN = chain_block(b"intermediate")


def leaf_of(name):
    """A real certificate, in DER: what is handed back is read."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    begin, end = (datetime.datetime.fromtimestamp(at, datetime.timezone.utc) for at in (BEGIN, END))
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(begin).not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256()).public_bytes(Encoding.DER))


def adoption(names, version=None, **changes):
    item = {"names": names, "key": "ecdsa", "not_after": time_text(END), **changes}
    if version is None:
        return item
    leaf = b"leaf of " + names[0].encode()
    return {**item, "version": version, "leaf": b64u(leaf), "chain": b64u(CHAIN),
            "records": [b64u(record(name, version, leaf, CHAIN, BEGIN, END)) for name in names],
            "renew_at": time_text(END - 30 * DAYS), "serial": "0a", "issuer": "CN=Test",
            "not_before": time_text(BEGIN), "spki_sha256": "00" * 32, **changes}


def test_certificates_of_others_are_adopted(issuer, operator):
    def adopt(*items, **settings):
        answer = issuer.post("/v1/adoptions", {"items": list(items), **settings})
        assert answer.status == 200, answer
        return answer.json["results"]

    def ask(*names):
        return adopt(*[adoption([name]) for name in names])

    fresh, = ask("z-taken.example.com")
    assert (fresh["result"], fresh["place"]) == ("ready", "fresh")
    bad = adoption(["z-taken.example.com"], fresh["version"], ca="A CA")
    answer = issuer.post("/v1/adoptions", {"items": [bad]})
    assert (answer.status, answer.code) == (400, "bad-field")
    done, = adopt(adoption(["z-taken.example.com"], fresh["version"], ca="ca.test", ari_id="a2V5.c2VyaWFs"))
    assert done == {"result": "adopted"}
    domain = operator.get("/v1/domains/z-taken.example.com").json
    assert domain["state"] == "active" and "adopted" in [e["event"] for e in domain["history"]]
    kept, = ask("z-taken.example.com")
    assert (kept["result"], kept["code"]) == ("kept", "live-already")
    assert operator.put("/v1/domains/z-pair.example.com", {"www": True, "tenant": "t1"}).status == 201
    assert operator.put("/v1/domains/z-alone.example.com").status == 201
    assert [r["place"] for r in ask("z-pair.example.com", "www.z-pair.example.com", "z-alone.example.com")] == \
        ["www", "www", "alone"]
    refused, = adopt(adoption(["z-pair.example.com"]), tenant="t2")
    assert (refused["result"], refused["code"]) == ("refused", "tenant")
    bad, = ask("no_name")
    assert bad["result"] == "refused" and bad["detail"]
    again, = ask("z-other.example.com")
    wrong = adoption(["z-other.example.com"], again["version"], leaf=b64u(b"another"))
    answer = issuer.post("/v1/adoptions", {"items": [wrong]})
    assert (answer.status, answer.code) == (400, "bad-record")
    for name in ("taken", "pair", "alone"):
        assert operator.delete(f"/v1/domains/z-{name}.example.com").status == 204


class Signer:
    """The key of an issuer that `certherd init` has made, and which the store is told of."""

    def __init__(self, store):
        herd = lab_herd.Herd(store.dir / "issuer")
        herd.init()
        (store.dir / "store/signers").write_text((herd.folder / "edge/signers").read_text())
        self.key = forge.signing_key_of(herd)
        self.id = hashlib.sha256(forge.point(self.key)).digest()[:8]

    def handed(self, name, version, tenant="t1", leaf=None):
        unsigned = record(name, version, leaf or leaf_of(name), CHAIN, BEGIN, END)[:-72] + self.id
        return {"record": b64u(unsigned + forge.sign(self.key, unsigned)), "chain": 0, "tenant": tenant}

    def tickets(self, version, pool="default", key=None):
        return {"record": b64u(forge.ticket_record(
            pool, version, [(b"i" * 16, 1000, 2**40, bytes(64))], b"\x09" + bytes(31), key or self.key))}


def test_what_a_restored_store_forgot_is_handed_back(store, clients, operator):
    unsigned = {"record": b64u(record("z-back.example.com", 1, leaf_of("z-back.example.com"), CHAIN,
                                      BEGIN, END)), "chain": 0}
    assert clients["edge"].post("/v1/handback", {"records": [unsigned], "chains": [b64u(CHAIN)]}
                                ).code == "no-signers"
    signer = Signer(store)
    handed = signer.handed

    def hand(*records):
        return clients["edge"].post("/v1/handback", {"records": list(records), "chains": [b64u(CHAIN)]})

    assert hand(handed("z-back.example.com", 1)).code == "not-restored"
    # As `certherd restore` leaves it.
    with sqlite3.connect(store.dir / "store/certherd.db") as database:
        (version,), = database.execute("SELECT last_id FROM meta")
        database.execute("UPDATE meta SET last_id = last_id + 1000")
        database.execute("INSERT INTO counter (key, n) VALUES ('handback-until', ?)",
                         (int(time.time() + 3600) * 1000,))
        database.execute("INSERT INTO audit (at, who, action, target) VALUES (?, ?, 'store.restore', 'b')",
                         (int(time.time()) * 1000, "operator/restore"))
    database.close()
    version += 10
    back = handed("z-back.example.com", version)
    assert hand(back).json["results"] == [{"result": "taken", "code": None}]
    assert hand(back).json["results"] == [{"result": "old", "code": None}]
    domain = operator.get("/v1/domains/z-back.example.com").json
    assert (domain["state"], domain["tenant"]) == ("active", "t1")
    assert domain["certificate"]["serial"]
    assert operator.put("/v1/domains/z-again.example.com").status == 201
    assert hand(handed("z-again.example.com", version + 1)).json["results"] == [
        {"result": "soon", "code": None}]
    assert hand(handed("z-far.example.com", 2**52)).json["results"] == [
        {"result": "refused", "code": "bad-record"}]
    assert hand(signer.tickets(2**50), signer.tickets(2**50, pool="other")).json["results"] == [
        {"result": "taken", "code": None}, {"result": "refused", "code": "pool"}]
    assert hand(signer.tickets(2**50)).json["results"] == [{"result": "old", "code": None}]
    assert [(p["pool"], p["version"]) for p in clients["issuer"].get("/v1/tickets").json["pools"]
            if p["record"]] == [("default", 2**50)]
    assert {"store.restore", "domain.adopt"} <= {
        e["action"] for e in operator.get("/v1/audit").json["entries"]}
    for wrong in (handed("z-a.example.com", version, leaf=leaf_of("z-b.example.com")),
                  handed("z-a.example.com", version, leaf=b"no certificate"),
                  signer.tickets(2**51, key=ec.generate_private_key(ec.SECP256R1())),
                  unsigned, {"record": "AQI"}, {"record": "not base64url!"},
                  {**handed("z-a.example.com", version), "chain": 1}):
        assert hand(wrong).code == "bad-record"
    assert clients["edge"].post("/v1/handback", {"records": []}).json == {"results": []}
    with sqlite3.connect(store.dir / "store/certherd.db") as database:
        database.execute("DELETE FROM ticket_set")  # for other tests
    database.close()
    for name in ("back", "again"):
        assert operator.delete(f"/v1/domains/z-{name}.example.com").status == 204
