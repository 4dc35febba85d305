"""Free ports on loopback, below the range that the kernel hands out for outgoing connections."""

import random
import socket

LEAST, END, BLOCK = 10240, 32000, 64

# Names that keep blocks of ports from other processes, and go with this one: nothing listens yet
# when a port is given out.  One descriptor for each block: a process has as many ports as all its
# tests need, and must not run out of descriptors.
_claims = []
_left = []  # ports of these blocks that were not given out


def _claim_block():
    """Another one, unless the one that was drawn is another process's, or ours already."""
    first = random.randrange(LEAST, END, BLOCK)
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0certherd-ports-{first}")
    except OSError:
        claim.close()
        return
    _claims.append(claim)
    _left.extend(random.sample(range(first, first + BLOCK), BLOCK))


def _is_free(port):
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            try:
                with socket.socket(family, kind) as probe:
                    probe.bind((address, port))
            except OSError as error:
                if family == socket.AF_INET6 and not has_ipv6():
                    continue
                del error
                return False
    return True


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def free_port():
    """A port that is free for TCP and UDP now and was not handed out before."""
    for _ in range(1000):
        if not _left:
            _claim_block()
        elif _is_free(port := _left.pop()):
            return port
    raise RuntimeError("no free port found on 127.0.0.1")
