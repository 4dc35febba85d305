"""A store that is in the attacker's hands, and the records it may try to pass on.

Also an implementation of the sealing (RFC 9180) and of the record and feed formats that is
independent of certherd's: what it makes rightly must be served, what it makes wrongly must not.
"""

import base64
import calendar
import hashlib
import http.server
import json
import os
import ssl
import struct
import threading
import urllib.parse

from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NAME, CERT, TOMBSTONE, POLICY, TICKETS, CHALLENGE = 1, 2, 3, 4, 5, 7
TENANT, UPSTREAM, HSTS, REDIRECT = 1, 2, 3, 4


def _hmac(key, data):
    mac = hmac.HMAC(key, hashes.SHA256())
    mac.update(data)
    return mac.finalize()


def _labeled_extract(suite, salt, label, ikm):
    return _hmac(salt or b"\0" * 32, b"HPKE-v1" + suite + label + ikm)


def _labeled_expand(suite, prk, label, info, length):
    info = struct.pack(">H", length) + b"HPKE-v1" + suite + label + info
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = _hmac(prk, block + info + bytes([counter]))
        out += block
        counter += 1
    return out[:length]


def hpke_seal_x25519(public, info, aad, plain):
    """(enc, ct): RFC 9180 base mode, X25519, HKDF-SHA256, AES-256-GCM, single shot."""
    raw = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    ephemeral = x25519.X25519PrivateKey.generate()
    enc = ephemeral.public_key().public_bytes(*raw)
    shared = ephemeral.exchange(x25519.X25519PublicKey.from_public_bytes(public))
    kem = b"KEM" + struct.pack(">H", 0x0020)
    secret = _labeled_expand(kem, _labeled_extract(kem, b"", b"eae_prk", shared),
                             b"shared_secret", enc + public, 32)
    suite = b"HPKE" + struct.pack(">HHH", 0x0020, 1, 2)
    context = (b"\0" + _labeled_extract(suite, b"", b"psk_id_hash", b"") +
               _labeled_extract(suite, b"", b"info_hash", info))
    prk = _labeled_extract(suite, secret, b"secret", b"")
    key = _labeled_expand(suite, prk, b"key", context, 32)
    nonce = _labeled_expand(suite, prk, b"base_nonce", context, 12)
    return enc, AESGCM(key).encrypt(nonce, plain, aad)


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def recipient_of(herd):
    """The public key in the issuer's recipients file (32 bytes)."""
    for line in (herd.folder / "issuer/recipients").read_text().splitlines():
        if line.startswith("certherd-pub-x25519-"):
            return unpadded(line.split("-", 3)[3].split()[0])[:32]
    raise AssertionError("no X25519 recipient")


def signing_key_of(herd):
    return serialization.load_pem_private_key((herd.folder / "issuer/signing.key").read_bytes(), None)


def spki(key):
    return key.public_key().public_bytes(serialization.Encoding.DER,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)


def point(key):
    return key.public_key().public_bytes(serialization.Encoding.X962,
                                         serialization.PublicFormat.UncompressedPoint)


def _head(kind, version, name, hint=0):
    return struct.pack(">BBHQQB", 1, kind, 0, version, hint, len(name)) + name.encode()


def name_record(version, name, hint=0):
    return _head(NAME, version, name, hint)


def tombstone(version, name):
    return _head(TOMBSTONE, version, name)


def policy(version, name, texts):
    """texts: {tag: text}."""
    body = _head(POLICY, version, name) + bytes([len(texts)])
    for tag, text in sorted(texts.items()):
        body += bytes([tag, len(text)]) + text.encode()
    return body


def challenge(version, name, hint, token=b"", until=0, signing_key=None, spoil=None):
    """With a token it is signed, from the hint on; spoil: changes what was signed."""
    head = _head(CHALLENGE, version, name, hint)
    if not token:
        return head + b"\0"
    body = head[12:] + bytes([len(token)]) + token + struct.pack(">q", until)
    body += hashlib.sha256(point(signing_key)).digest()[:8]
    signature = sign(signing_key, body, b"certherd token v1")
    return head[:12] + (spoil(body) if spoil else body) + signature


def key_block(key):
    return b"\1" + key.private_numbers().private_value.to_bytes(32, "big")


def sign(signing_key, body, label=b"certherd record v1"):
    der = signing_key.sign(label + b"\0" + body, ec.ECDSA(hashes.SHA256()))
    r, s = utils.decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def validity(certificate):
    """Unix seconds of both ends; the names with _utc are those of newer releases."""
    if hasattr(certificate, "not_valid_before_utc"):
        return [int(at.timestamp()) for at in (certificate.not_valid_before_utc,
                                               certificate.not_valid_after_utc)]
    return [calendar.timegm(at.timetuple()) for at in (certificate.not_valid_before,
                                                       certificate.not_valid_after)]


def cert_record(version, name, certificate, key, recipient, signing_key, bound_name=None,
                claimed_signer=None, spoil=None):
    """A CERT record without intermediates.

    bound_name: what the sealed key is bound to, if not name; claimed_signer: whose key id is
    written, if not signing_key's; spoil: changes the body after it was signed.
    """
    leaf = certificate.public_bytes(serialization.Encoding.DER)
    bound = (bound_name or name).encode()
    aad = (b"certherd key v1" + bytes([len(bound)]) + bound + struct.pack(">Q", version) +
           hashlib.sha256(spki(key)).digest())
    enc, ct = hpke_seal_x25519(recipient, b"certherd seal v1", aad, key_block(key))
    body = _head(CERT, version, name) + struct.pack(">Qqq", version, *validity(certificate)) + b"\0" * 32
    body += struct.pack(">H", len(leaf)) + leaf + b"\1" + hashlib.sha256(recipient).digest()[:8]
    body += struct.pack(">HB", 0x0020, len(enc)) + enc + struct.pack(">H", len(ct)) + ct
    body += hashlib.sha256(point(claimed_signer or signing_key)).digest()[:8]
    signature = sign(signing_key, body)
    return (spoil(body) if spoil else body) + signature


def ticket_record(pool, version, keys, recipient, signing_key, claimed_signer=None,
                  bound_pool=None):
    """keys: (id, from, until, secret of 64 bytes) each, in the order of their times."""
    body = _head(TICKETS, version, pool) + bytes([len(keys)])
    bound = (bound_pool or pool).encode()
    for ident, begin, until, secret in keys:
        head = ident + struct.pack(">qq", begin, until)
        enc, ct = hpke_seal_x25519(recipient, b"certherd seal v1", b"certherd ticket v1" +
                                   bytes([len(bound)]) + bound + head, b"\1" + secret)
        body += head + b"\1" + hashlib.sha256(recipient).digest()[:8]
        body += struct.pack(">HB", 0x0020, len(enc)) + enc + struct.pack(">H", len(ct)) + ct
    body += hashlib.sha256(point(claimed_signer or signing_key)).digest()[:8]
    return body + sign(signing_key, body)


class HostileStore:
    """Speaks the edge's part of the API with the real store's certificate."""

    def __init__(self, herd):
        self.records = []
        self.acknowledged = -1
        self.error = None
        self.reads = 0
        self.raw = None
        self.wanted = []  # names that visitors wait for, as they came
        self.wanted_status = 200
        self.wanted_wait_s = 0
        self.epoch = os.urandom(16)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(herd.pki("store.pem"), herd.pki("store.key"))
        context.load_verify_locations(herd.pki("ca.pem"))
        context.load_verify_locations(herd.pki("edge-ca.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", herd.store_port), self._handler())
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False)

    def start(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02},
                         daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def feed(self, *records):
        """Adds records to what the edges are told."""
        self.records += records

    def answer(self, after):
        if self.raw is not None:
            return self.raw
        head = len(self.records)
        body = b"CHF1" + struct.pack(">I", 0) + self.epoch + struct.pack(">QQ", head, head)
        for seq, record in enumerate(self.records, 1):
            if seq > after:
                body += struct.pack(">IBQ", len(record), 1, seq) + record
        return body

    def _handler(store):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
                store.reads += 1
                known = query.get("epoch") == store.epoch.hex()
                body = store.answer(int(query.get("after", 0)) if known else 0)
                if len(body) == 40:
                    threading.Event().wait(0.1)  # a short long poll
                self.send_response(200)
                self.send_header("Content-Type", "application/vnd.certherd.feed")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_PUT(self):
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                store.acknowledged = told.get("seq", -1)
                store.error = told.get("error")
                self.send_response(204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self):
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/v1/wanted" and list(told) == ["names"], (self.path, told)
                store.wanted.append(told["names"])
                threading.Event().wait(store.wanted_wait_s)
                body = json.dumps({"taken": len(told["names"])}).encode()
                self.send_response(store.wanted_status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        return Handler
