"""Free ports on loopback, below the range that the kernel hands out for outgoing connections."""

import random
import socket

_given = {}  # port -> what keeps it from other processes


def _claim(port):
    """False: another run was given this port and is still there.  A name that goes with its
    process; nothing listens yet when a port is given out."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0certherd-port-{port}")
    except OSError:
        claim.close()
        return False
    _given[port] = claim
    return True


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
        port = random.randrange(10240, 32000)
        if port not in _given and _claim(port) and _is_free(port):
            return port
    raise RuntimeError("no free port found on 127.0.0.1")
