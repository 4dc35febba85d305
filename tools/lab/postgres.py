"""A PostgreSQL server of its own, in a folder, behind a socket in that folder."""

import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import urllib.parse

from . import process, wait

USER = "certherd"


def binary(name):
    """The newest of Debian's versions."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"),
                   key=lambda path: int(path.parts[-3]))
    if not found:
        raise FileNotFoundError(f"{name} is missing: install postgresql")
    return found[-1]


def as_owner(argv):
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return argv
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--", *argv]


class Postgres:
    """durable: commits reach the disk, as they must where processes are killed or times taken.
    host: a lab.netns.Host that it runs on, and takes connections over TCP."""

    def __init__(self, folder, durable=False, settings=None, host=None):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.settings = {"listen_addresses": "", "unix_socket_directories": str(self.folder),
                         "max_connections": "200", "log_min_messages": "warning",
                         "fsync": "on" if durable else "off", **(settings or {})}
        self.host = host
        if host:
            self.settings["listen_addresses"] = host.address
        self.server = None

    def make(self, log=None):
        """log: a folder of its own for the write-ahead log, in small pieces."""
        apart = ["-X", log, "--wal-segsize=1"] if log else []
        for folder in filter(None, (self.folder, log)):
            folder.mkdir(parents=True, exist_ok=True)
            if os.geteuid() == 0:
                owner = pwd.getpwnam("postgres")
                os.chown(folder, owner.pw_uid, owner.pw_gid)
        process.run(as_owner([binary("initdb"), "-D", self.data, "-U", USER, "--auth=trust",
                              "--no-sync", "-E", "UTF8", "--locale=C", *apart]), cwd="/")
        return self

    def make_standby(self, folder):
        """A standby that confirms each commit before it is acknowledged; to be started, and
        then waited for with wait_synchronous."""
        standby = Postgres(folder, settings={**self.settings, "unix_socket_directories": str(folder)})
        standby.folder.mkdir(parents=True)
        if os.geteuid() == 0:
            shutil.chown(standby.folder, "postgres", "postgres")
        process.run(as_owner([binary("pg_basebackup"), "-h", self.folder, "-U", USER, "-D",
                              standby.data, "-R", "-X", "stream", "-c", "fast"]), cwd="/")
        return standby

    def wait_synchronous(self):
        self.run("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.run("SELECT pg_reload_conf()")
        wait.until(lambda: "sync" in self.run("SELECT sync_state FROM pg_stat_replication").split(),
                   "the standby is not synchronous")

    def promote(self):
        self.run("SELECT pg_promote(true, 30)")

    def start(self):
        options = [word for key, value in self.settings.items() for word in ("-c", f"{key}={value}")]
        argv = as_owner([binary("postgres"), "-D", self.data, *options])
        if self.host:
            with open(self.data / "pg_hba.conf", "a", encoding="ascii") as rules:
                rules.write("host all all 198.18.0.0/15 trust\n")
            argv = [*self.host.enter, *argv]
        log = self.folder.parent / f"{self.folder.name}.log"
        self.server = process.Process("postgres", argv, log, cwd="/")
        self.server.start()
        wait.until(lambda: self.server.check_alive() and self.is_ready(),
                   "PostgreSQL takes no connections", 30)
        return self

    def is_ready(self):
        return subprocess.run([binary("pg_isready"), "-q", "-h", self.folder],
                              check=False).returncode == 0

    def url(self, name=None, others=()):
        """Of a database; without a name of none.  others: servers to be tried as well."""
        hosts = ",".join(urllib.parse.quote(str(one.folder), safe="") for one in (self, *others))
        return f"postgresql://{USER}@{hosts}{'/' + name if name else ''}"

    def run(self, sql, database="postgres"):
        """The rows, as lines of text."""
        return process.run([binary("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.folder,
                            "-U", USER, "-c", sql, database], cwd="/").stdout

    def create(self, name):
        self.run(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def stop(self):
        """Fast: what is connected is cut off."""
        if self.server:
            self.server.stop(first=signal.SIGINT)
        self.server = None

    def kill(self):
        if self.server:
            self.server.kill()
        self.server = None

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
