"""Identities for mutual TLS, good and bad, made without certherd."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NO_OTHER_USE = dict.fromkeys(
    ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
     "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False)
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def write_key(key, path):
    path.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    path.chmod(0o600)


def write_certificate(certificate, path):
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


class Ca:
    def __init__(self, certificate_path, key_path):
        self.certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        self.key = serialization.load_pem_private_key(key_path.read_bytes(), None)


def make(folder, label, uris, ca=None, usages=(CLIENT,), days=(-1, 30), dns=(), addresses=()):
    """Writes <label>.pem and <label>.key; ca None: self-signed.  Returns the two paths."""
    key = new_key()
    now = datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, label)])
    names = [x509.UniformResourceIdentifier(uri) for uri in uris]
    names += [x509.DNSName(name) for name in dns]
    names += [x509.IPAddress(ipaddress.ip_address(text)) for text in addresses]
    builder = (x509.CertificateBuilder()
               .subject_name(subject)
               .issuer_name(ca.certificate.subject if ca else subject)
               .public_key(key.public_key())
               .serial_number(x509.random_serial_number())
               .not_valid_before(now + datetime.timedelta(days=days[0]))
               .not_valid_after(now + datetime.timedelta(days=days[1]))
               .add_extension(x509.BasicConstraints(False, None), critical=True)
               .add_extension(x509.KeyUsage(digital_signature=True, **NO_OTHER_USE), critical=True))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(usages)), critical=False)
    certificate = builder.sign(ca.key if ca else key, hashes.SHA256())
    paths = folder / f"{label}.pem", folder / f"{label}.key"
    write_certificate(certificate, paths[0])
    write_key(key, paths[1])
    return paths


def fingerprint(path):
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.fingerprint(hashes.SHA256()).hex()
