"""A store of its own for the tests of the API: PKI, process, client.

Needs nothing but python3-cryptography.  The binary is $CERTHERD_BIN, else the one in build/."""

import base64
import contextlib
import datetime
import hashlib
import http.client
import ipaddress
import json
import os
import pathlib
import shutil
import signal
import ssl
import struct
import subprocess
import tempfile
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab import wait

DAY = datetime.timedelta(days=1)


ROOT = pathlib.Path(__file__).resolve().parents[2]
SLOWNESS = float(os.environ.get("CERTHERD_TEST_SLOWNESS", "1"))


def binary():
    return os.environ.get("CERTHERD_BIN", str(ROOT / "build/src/certherd"))


def name(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def write_key(path, key):
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as f:
        f.write(pem)


def write_cert(path, cert):
    pathlib.Path(path).write_bytes(cert.public_bytes(serialization.Encoding.PEM))


class CA:
    def __init__(self, common_name, path):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name(common_name)
        self.path = pathlib.Path(path)
        now = datetime.datetime.now(datetime.timezone.utc)
        ski = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        self.cert = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(self.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 10 * DAY)
            .not_valid_after(now + 3650 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage(cert_sign=True), critical=True)
            .add_extension(ski, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        write_cert(self.path, self.cert)


def usage(digital_signature=False, cert_sign=False, key_agreement=False):
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=key_agreement,
        key_cert_sign=cert_sign,
        crl_sign=cert_sign,
        encipher_only=False,
        decipher_only=False,
    )


CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER = ExtendedKeyUsageOID.SERVER_AUTH
ANY = x509.ObjectIdentifier("2.5.29.37.0")


class Identity:
    """A key and a certificate in files.  ca None: self-signed."""

    def __init__(
        self,
        directory,
        label,
        uris,
        ca,
        purposes=(CLIENT,),
        begins=-1,
        ends=30,
        key_usage=usage(digital_signature=True),
        is_ca=False,
        sans=(),
    ):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.cert_path = str(pathlib.Path(directory) / f"{label}.pem")
        self.key_path = str(pathlib.Path(directory) / f"{label}.key")
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(label))
            .issuer_name(ca.name if ca else name(label))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins * DAY)
            .not_valid_after(now + ends * DAY)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if key_usage:
            builder = builder.add_extension(key_usage, critical=True)
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        names = [x509.UniformResourceIdentifier(uri) for uri in uris] + list(sans)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(names), critical=False
            )
        self.cert = builder.sign(ca.key if ca else self.key, hashes.SHA256())
        self.sha256 = self.cert.fingerprint(hashes.SHA256()).hex()
        write_key(self.key_path, self.key)
        write_cert(self.cert_path, self.cert)


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The problem's code, after a check that it is a proper problem document."""
        assert self.headers["Content-Type"] == "application/problem+json", self.body
        problem = self.json
        assert problem["status"] == self.status
        assert problem["type"] == "urn:certherd:error:" + problem["code"]
        assert problem["title"] and problem["detail"]
        return problem["code"]


class Client:
    """Connections with one identity (None: without a certificate)."""

    def __init__(self, store, identity, tls=None):
        self.store = store
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.load_verify_locations(store.ca.path)
        if tls:
            self.context.maximum_version = tls
        if identity:
            self.context.load_cert_chain(identity.cert_path, identity.key_path)
        self.conn = None

    def connect(self, timeout=30 * SLOWNESS):
        return http.client.HTTPSConnection(
            "127.0.0.1", self.store.port, context=self.context, timeout=timeout
        )

    def request(self, method, path, body=None, raw=None, headers=None, keep=True):
        head = dict(headers or {})
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            head.setdefault("Content-Type", "application/json")
        for attempt in (1, 2):
            conn = self.conn or self.connect()
            fresh = self.conn is None
            try:
                conn.request(method, path, body=data, headers=head)
                response = conn.getresponse()
                answer = Answer(response.status, response.headers, response.read())
                break
            except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError):
                conn.close()
                self.conn = None
                if fresh or attempt == 2:
                    raise
        if keep and not response.will_close:
            self.conn = conn
        else:
            conn.close()
            self.conn = None
        return answer

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def put(self, path, body=None, **more):
        if body is None and "raw" not in more:
            body = {}
        return self.request("PUT", path, body=body, **more)

    def post(self, path, body=None, **more):
        return self.request("POST", path, body=body, **more)

    def patch(self, path, body=None, **more):
        return self.request("PATCH", path, body=body, **more)

    def delete(self, path, **more):
        return self.request("DELETE", path, **more)

    def close(self):
        if self.conn:
            self.conn.close()
            self.conn = None


class Store:
    """`certherd store` in a directory of its own."""

    def __init__(self, directory, settings=None, sections=None):
        self.dir = pathlib.Path(directory)
        (self.dir / "store").mkdir()
        self.ca = CA("identities", self.dir / "ca.pem")
        self.edge_ca = CA("edges", self.dir / "edge-ca.pem")
        self.revoked = self.dir / "revoked"
        self.revoked.write_text("# nothing yet\n")
        self.server_identity = Identity(
            self.dir,
            "store",
            ["certherd://store/default/s1"],
            self.ca,
            purposes=(SERVER,),
            sans=[x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")],
        )
        self.settings = {
            "listen": "127.0.0.1:0",
            "resolvers": "127.0.0.1:1",  # nobody there
            "port_file": "port",
            "cert": "store.pem",
            "key": "store.key",
            "identity_ca": "ca.pem",
            "edge_ca": "edge-ca.pem",
            "revoked": "revoked",
            "threads": "2",
            "log_level": "debug",
        }
        self.settings.update(settings or {})
        self.sections = {"store": self.settings, **(sections or {})}
        self.process = None
        self.clients = {}
        self.identities = {}

    def identity(self, role, scope="default", ident="t1", ca=None):
        key = f"{role}-{scope}-{ident}"
        if key not in self.identities:
            self.identities[key] = Identity(
                self.dir,
                key,
                [f"certherd://{role}/{scope}/{ident}"],
                ca or self.ca,
            )
        return self.identities[key]

    def client(self, role, **more):
        key = (role, tuple(sorted(more.items())))
        if key not in self.clients:
            self.clients[key] = Client(self, self.identity(role, **more))
        return self.clients[key]

    def start(self):
        config = self.dir / "certherd.conf"
        lines = [line for section, keys in self.sections.items()
                 for line in (f"[{section}]", *(f"{k} = {v}" for k, v in keys.items()))]
        config.write_text("\n".join(lines) + "\n")
        port_file = self.dir / "port"
        port_file.unlink(missing_ok=True)
        self.log = open(self.dir / "store.log", "ab")
        self.process = subprocess.Popen(
            [binary(), "store", "--config", str(config)], stderr=self.log
        )
        wait.until(lambda: self.process.poll() is not None or (port_file.exists() and port_file.read_text().strip()),
                   lambda: "the store did not start: " + self.log_text(), 30, interval=0.02)
        if self.process.poll() is not None:
            raise RuntimeError("the store did not start: " + self.log_text())
        self.port = int(port_file.read_text())
        return self

    def log_text(self):
        return (self.dir / "store.log").read_text(errors="replace")

    def stop(self):
        for client in self.clients.values():
            client.close()
        if not self.process:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process = None
        self.log.close()
        return status


@contextlib.contextmanager
def running_store(sections=None, **settings):
    directory = tempfile.mkdtemp(prefix="certherd-api-")
    store = Store(directory, settings, sections)
    try:
        yield store.start()
        assert store.process.poll() is None, store.log_text()
    finally:
        status = store.stop()
        log = store.log_text()
        shutil.rmtree(directory, ignore_errors=True)
    assert status == 0, log


class Later:
    """A request that waits, on a connection of its own, in a thread."""

    def __init__(self, store, identity, method, path, body=None):
        self.client = Client(store, identity)
        self.answer = None
        self.error = None
        self.args = (method, path, body)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            self.answer = self.client.request(*self.args, keep=False)
        except (OSError, http.client.HTTPException) as error:
            self.error = error

    def waits(self):
        return self.thread.is_alive()

    def result(self, timeout=30):
        self.thread.join(timeout * SLOWNESS)
        assert not self.thread.is_alive(), "no answer"
        if self.error:
            raise self.error
        return self.answer


def until(condition, what, seconds=15):
    wait.until(condition, what, seconds * SLOWNESS, interval=0.01)


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def time_text(at_s):
    at = datetime.datetime.fromtimestamp(at_s, datetime.timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def chain_block(*ders):
    return bytes([len(ders)]) + b"".join(struct.pack(">H", len(d)) + d for d in ders)


def record(name, version, leaf, chain, not_before, not_after, **changes):
    """An edge record of a certificate (src/wire/record.h); its signature is rubbish, since
    the store leaves signatures to the edges."""
    v = dict(kind=2, key_version=version, format=1)
    v.update(changes)
    chain_id = hashlib.sha256(chain).digest() if chain else bytes(32)
    out = struct.pack(">BBHQQB", v["format"], v["kind"], 0, version, 0, len(name))
    out += name.encode()
    if v["kind"] == 6:  # a second certificate: there
        out += b"\x01"
    out += struct.pack(">Qqq", v["key_version"], not_before, not_after) + chain_id
    out += struct.pack(">H", len(leaf)) + leaf
    out += b"\x01" + b"R" * 8 + struct.pack(">HB", 0x20, 32) + b"E" * 32
    out += struct.pack(">H", 114) + b"C" * 114
    return out + b"S" * 8 + b"s" * 64


class Feed:
    """A decoded answer of GET /v1/feed (src/wire/feed.h)."""

    RESET = 1
    MORE = 2
    PLACE = 3  # type of a frame

    def __init__(self, body):
        assert body[:4] == b"CHF1"
        self.flags, = struct.unpack_from(">I", body, 4)
        self.epoch = body[8:24].hex()
        self.head, self.base = struct.unpack_from(">QQ", body, 24)
        self.frames = []
        at = 40
        while at < len(body):
            length, kind, seq = struct.unpack_from(">IBQ", body, at)
            self.frames.append((kind, seq, body[at + 13 : at + 13 + length]))
            at += 13 + length
        assert at == len(body)

    @property
    def after(self):
        return self.frames[-1][1] if self.frames else 0

    def names(self):
        """name -> kind of record"""
        found = {}
        for kind, _, payload in self.frames:
            if kind == 1:
                length = payload[20]
                found[payload[21 : 21 + length].decode()] = payload[1]
        return found

    def cursor(self, after=None):
        at = self.after if after is None else after
        return f"epoch={self.epoch}&after={at}&base={self.base}"
