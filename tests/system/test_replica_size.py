"""Certificates for tests and benchmarks are shaped as a public CA's, and what that makes of a record's
size, which decides how many fit into a page of the replica (doc/replica.md)."""

import struct

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

from edge_fixture import mkreplica_binary
from lab import process

NAME = "n1234567.shops.customers.example.net"
ONE_MOST_B = 1250
PAGE_SHARE_B = 1360  # of a third of a page of LMDB: key, value and 10 bytes
ROUNDS = 20  # lengths of signatures differ


def make_records(folder, *kinds):
    tool = mkreplica_binary()
    for number, kind in enumerate(kinds):
        process.run([tool, "--make-key", kind, folder / f"key{number}", folder / "recipients"])
    operations = [f"record:{NAME}:{version}:{folder}/{version}" for version in range(1, ROUNDS)]
    process.run([tool, "--pki", folder / "pki", "--recipients", folder / "recipients", "--shape",
                 "public", folder / "replica", *operations])
    return [(folder / str(version)).read_bytes() for version in range(1, ROUNDS)]


def leaf_of(record):
    at = 21 + record[20] + 56
    length, = struct.unpack_from(">H", record, at)
    return x509.load_der_x509_certificate(record[at + 2:at + 2 + length])


def test_the_shape_of_a_public_ca(scratch):
    records = make_records(scratch, "x25519")
    serials = {leaf_of(record).serial_number for record in records}
    assert len(serials) == len(records)
    assert all(serial.bit_length() > 128 for serial in serials)
    extensions = leaf_of(records[0]).extensions
    get = lambda kind: extensions.get_extension_for_oid(kind).value
    assert len(get(ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS)) == 2
    aia, = get(ExtensionOID.AUTHORITY_INFORMATION_ACCESS)
    assert aia.access_method == AuthorityInformationAccessOID.CA_ISSUERS
    assert len(get(ExtensionOID.CRL_DISTRIBUTION_POINTS)) == 1
    assert get(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).get_values_for_type(x509.DNSName) == [NAME]


def test_a_record_with_one_recipient_fits_three_to_a_page(scratch):
    sizes = [len(record) for record in make_records(scratch, "x25519")]
    assert max(sizes) <= ONE_MOST_B, sizes
    assert max(sizes) + len(NAME) + 10 <= PAGE_SHARE_B


@pytest.mark.parametrize("kind,more", [("x25519", 94), ("p256", 127)])
def test_what_a_second_recipient_adds(scratch, kind, more):
    for record in make_records(scratch, "x25519", kind):
        leaf = leaf_of(record).public_bytes(Encoding.DER)
        assert len(record) == 246 + len(NAME) + len(leaf) + more
