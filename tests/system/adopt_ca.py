"""A CA for the tests of adoption: certificates of any kind, in the layouts of others."""

import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def new_key(kind="ecdsa"):
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP384R1() if kind == "p384" else ec.SECP256R1()
                                   if kind == "ecdsa" else ec.SECP521R1())


def pem(thing, password=None):
    if hasattr(thing, "public_bytes"):
        return thing.public_bytes(serialization.Encoding.PEM)
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return thing.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Ca:
    def __init__(self):
        self.root_key, self.key = new_key(), new_key()
        self.root = self._make("Root", "Root", self.root_key, self.root_key, ca=True)
        self.intermediate = self._make("Intermediate", "Root", self.key, self.root_key, ca=True)

    def _make(self, subject, issuer, key, by, ca=False, names=(), days=60, ago=1):
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        made = (x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(issuer))
                .public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(days=ago))
                .not_valid_after(now + datetime.timedelta(days=days))
                .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True))
        if names:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
            made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
            made = made.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), False)
        return made.sign(by, hashes.SHA256())

    def leaf(self, *names, key=None, days=60, ago=1):
        return self._make(names[0], "Intermediate", key, self.key, names=names, days=days, ago=ago)

    def self_signed(self, name, key):
        return self._make(name, name, key, key, names=[name])

    def pair(self, *names, kind="ecdsa", days=60, ago=1):
        """Full chain and key, as text."""
        key = new_key(kind)
        return pem(self.leaf(*names, key=key, days=days, ago=ago)) + pem(self.intermediate), pem(key)


def certbot(folder, name, chain, key):
    live, archive = folder / "live" / name, folder / "archive" / name
    live.mkdir(parents=True)
    archive.mkdir(parents=True)
    for what, text in (("fullchain", chain), ("privkey", key)):
        (archive / f"{what}1.pem").write_bytes(text)
        os.symlink(f"../../archive/{name}/{what}1.pem", live / f"{what}.pem")


def caddy(folder, name, chain, key):
    where = folder / "certificates/acme-v02.api.letsencrypt.org-directory" / name
    where.mkdir(parents=True)
    (where / f"{name}.crt").write_bytes(chain)
    (where / f"{name}.key").write_bytes(key)
    (where / f"{name}.json").write_text('{"sans": []}')
