"""ClientHellos that no TLS library sends: RFC 8446 section 4.1.2, RFC 6066 section 3."""

import ssl
import struct

SERVER_NAME, SUPPORTED_GROUPS, SIGNATURE_ALGORITHMS, ALPN, KEY_SHARE = 0, 10, 13, 16, 51
P256, X25519 = 23, 29


def real(sni, ctx=None):
    """What Python sends first: one record."""
    ctx = ctx or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname = False
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ctx.wrap_bio(incoming, outgoing, server_hostname=sni)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def _split(record):
    """(everything before the extensions, [(type, body)])."""
    at = 5 + 4 + 2 + 32
    at += 1 + record[at]
    at += 2 + struct.unpack_from("!H", record, at)[0]
    at += 1 + record[at]
    head, extensions = record[9:at], []
    at += 2
    while at < len(record):
        kind, length = struct.unpack_from("!HH", record, at)
        extensions.append((kind, record[at + 4:at + 4 + length]))
        at += 4 + length
    return head, extensions


def _join(head, extensions):
    tail = b"".join(struct.pack("!HH", kind, len(body)) + body for kind, body in extensions)
    body = head + struct.pack("!H", len(tail)) + tail
    message = b"\x01" + struct.pack("!I", len(body))[1:] + body
    # A record holds 2^14 bytes at most.
    return b"".join(b"\x16\x03\x01" + struct.pack("!H", len(part)) + part
                    for part in (message[at:at + 16384] for at in range(0, len(message), 16384)))


def with_server_names(*bodies):
    """A good ClientHello, but for its server_name extensions: one for each body."""
    head, extensions = _split(real("x.test"))
    rest = [(kind, body) for kind, body in extensions if kind != SERVER_NAME]
    return _join(head, [(SERVER_NAME, body) for body in bodies] + rest)


def with_list(name, kind, items):
    """A ClientHello of TLS 1.2 for `name` (bytes), with this list of numbers as an extension."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.maximum_version = ssl.TLSVersion.TLSv1_2
    head, extensions = _split(real("x.test", ctx))
    rest = [(other, body) for other, body in extensions if other not in (SERVER_NAME, kind)]
    body = struct.pack(f"!H{len(items)}H", 2 * len(items), *items)
    return _join(head, [(SERVER_NAME, name_list(name)), (kind, body)] + rest)


def first_and_second(first, second, protocols=(None, None)):
    """Two ClientHellos of one TLS 1.3 handshake, for server names (bytes) of their own: the first
    brings no key share, so that it is answered by a HelloRetryRequest (section 4.1.4).
    protocols: the one (bytes) that each offers by ALPN."""
    head, extensions = _split(real("x.test"))
    rest = [(kind, body) for kind, body in extensions
            if kind not in (SERVER_NAME, SUPPORTED_GROUPS, KEY_SHARE)]
    alpns = [[(ALPN, struct.pack("!HB", len(one) + 1, len(one)) + one)] if one else [] for one in protocols]
    groups = (SUPPORTED_GROUPS, struct.pack("!HH", 2, X25519))
    # Any 32 bytes are a share to the server; what follows is not for us to read.
    share = struct.pack("!HHH", 36, X25519, 32) + b"\x09" + b"\0" * 31
    return [_join(head, [(SERVER_NAME, name_list(name)), groups, (KEY_SHARE, body)] + alpn + rest)
            for name, body, alpn in ((first, b"\0\0", alpns[0]), (second, share, alpns[1]))]


def name_list(*names, kind=0):
    inner = b"".join(struct.pack("!BH", kind, len(name)) + name for name in names)
    return struct.pack("!H", len(inner)) + inner


def odd(name):
    """Server names at every border; `name` (bytes) is one that is served."""
    good = name_list(name)
    return [with_server_names(*bodies) for bodies in (
        [], [b""], [b"\0"], [b"\0\0"], [b"\0\0\0"], [name_list(b"")], [good, good],
        [name_list(name, name)], [name_list(name, kind=1)], [good[:-1]], [good + b"\0"],
        [struct.pack("!H", 65535) + good[2:]], [good[:3] + b"\xff\xff" + good[5:]],
        [name_list(name + b"\0")], [name_list(b"\0" + name)], [name_list(name + b".")],
        [name_list(b".")], [name_list(b"." * 300)], [name_list(b"a" * 253)],
        [name_list(b"a" * 254)], [name_list(b"a" * 255)], [name_list(b"a" * 256)],
        [name_list(b"a" * 16000)], [name_list(b"*." + name)], [name_list(name.upper())],
        [name_list(b"\xff" * 40)], [name_list(b"[::1]")], [name_list(name + b":443")],
    )]


def damaged(rng, hello):
    """A few bytes changed, cut, doubled or inserted; the record's length is sometimes right."""
    data = bytearray(hello)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data))
        what = rng.randrange(4)
        if what == 0:
            data[at] = rng.randrange(256)
        elif what == 1:
            del data[at:at + rng.randint(1, 20)]
        elif what == 2:
            data[at:at] = data[at:at + rng.randint(1, 40)]
        else:
            data[at:at] = rng.randbytes(rng.randint(1, 20))
        data = data or bytearray(b"\x16")
    if rng.random() < 0.7 and len(data) > 9:
        struct.pack_into("!H", data, 3, (len(data) - 5) & 0x3fff)
        data[6:9] = struct.pack("!I", len(data) - 9)[1:]
    return bytes(data)
