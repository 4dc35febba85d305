"""A replica held in memory: some kernels and hypervisors take pages away from the page cache that
nobody has touched for a minute, however much memory is free, and then "warm" would mean nothing."""

import contextlib
import ctypes
import mmap
import os

_FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                       ctypes.c_long]
_libc.munmap.argtypes = _libc.mlock.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


@contextlib.contextmanager
def held(made):
    """Yields whether it is: who has not CAP_IPC_LOCK may lock a little only."""
    path, = made.replica.glob("f*/data.mdb")
    size = path.stat().st_size
    fd = os.open(path, os.O_RDONLY)
    try:
        at = _libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
    finally:
        os.close(fd)
    if at == _FAILED:
        raise OSError(ctypes.get_errno(), f"mmap: {os.strerror(ctypes.get_errno())}")
    try:
        yield _libc.mlock(at, size) == 0
    finally:
        _libc.munmap(at, size)
