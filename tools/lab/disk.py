"""A small file system of its own, which gets full.  Only root may mount one."""

import errno
import os
import pathlib
import subprocess


class NotPossible(Exception):
    """Says why."""


class Tmpfs:
    """Mounted over the folder; what the folder has is hidden until it is removed."""

    def __init__(self, folder, size, mode="0750", owner=None):
        if os.geteuid() != 0:
            raise NotPossible("only root can mount a file system")
        self.folder = pathlib.Path(folder)
        self.filler = self.folder / "filler"
        options = f"size={size},mode={mode}" + (f",uid={owner}" if owner is not None else "")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotPossible(f"no tmpfs may be mounted here: {done.stderr.strip()}")

    def fill(self):
        with open(self.filler, "ab", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(4096))
            except OSError as error:
                assert error.errno == errno.ENOSPC, error

    def make_room(self):
        self.filler.unlink()

    def grow(self, size):
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.folder)], check=True)

    def remove(self):
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
