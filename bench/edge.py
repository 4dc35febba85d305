"""Two nginx with the same settings and one worker each: "herd" serves NAMES names by the module,
"plain" one static certificate of the same shape.  What the suites handshake and start compare."""

import atexit
import grp
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from lab import herd, ports, process

NAMES = 10_000
SUFFIX = "shops.customers.example.net"
USER = "www-data"
CACHE = "256m"  # keeps all names, 9.5 KiB each, with room to spare
CACHE_DEFAULT = "128m"

_CONFIG = """\
daemon off;
%(user)s
worker_processes 1;
error_log %(folder)s/error.log %(log)s;
pid %(folder)s/nginx.pid;
%(load)s
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path %(folder)s/tmp-body;
	proxy_temp_path %(folder)s/tmp-proxy;
	fastcgi_temp_path %(folder)s/tmp-fastcgi;
	uwsgi_temp_path %(folder)s/tmp-uwsgi;
	scgi_temp_path %(folder)s/tmp-scgi;
	ssl_protocols TLSv1.3;
	ssl_ecdh_curve X25519;
	ssl_session_tickets off;
	ssl_session_cache off;
	ssl_conf_command NumTickets 0;
%(http)s
	server {
		listen 127.0.0.1:%(port)d ssl;
%(server)s
		location / { return 204; }
	}
}
"""

_HERD_HTTP = """\
	certherd_replica %(replica)s;
	certherd_recipient_key %(common)s/recipient.key;
	certherd_account_thumbprint AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE;
	certherd_cache %(cache)s;
"""

_PLAIN_SERVER = """\
		ssl_certificate %(common)s/plain.pem;
		ssl_certificate_key %(common)s/plain.pem;
"""


def make_replica(bench, folder, *operations):
    """With a recipient key and a CA of its own: see tests/tools/mkreplica.c."""
    def mkreplica(*words):
        subprocess.run([bench.mkreplica, *words], cwd=folder, check=True, timeout=600)

    group = ["--group", str(grp.getgrnam(USER).gr_gid)] if os.geteuid() == 0 else []
    mkreplica("--make-key", "x25519", "recipient.key", "recipients")
    mkreplica("--pki", "pki", "--recipients", "recipients", *group, "--map", str(64 << 30),
              "--shape", "public", "replica", *operations)


class Nginx:
    """common: where recipient.key and plain.pem are; folder: to be made, for what is its own."""

    def __init__(self, common, kind, names=NAMES, cache=CACHE, log="info", folder=None,
                 replica=None):
        self.folder = folder or common / kind
        self.folder.mkdir()
        self.port = ports.free_port()
        self.kind, self.names, self.cache = kind, names, cache
        self.process = None
        is_herd = kind == "herd"
        values = {"common": common, "cache": cache, "replica": replica or common / "replica"}
        (self.folder / "nginx.conf").write_text(_CONFIG % {
            "folder": self.folder, "port": self.port, "log": log,
            "user": f"user {USER};" if os.geteuid() == 0 else "",
            "load": f"load_module {herd.module()};" if is_herd else "",
            "http": _HERD_HTTP % values if is_herd else "",
            "server": "\t\tcertherd on;" if is_herd else _PLAIN_SERVER % values})

    def spawn(self):
        self.process = process.Process(
            "nginx", [herd.nginx(), "-p", self.folder, "-c", self.folder / "nginx.conf"],
            self.folder / "stderr.log").start()
        return self

    def start(self):
        self.spawn()
        process.wait_listening(self.process, self.port)
        return self

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None

    @property
    def worker(self):
        worker, = process.children_of(self.process.pid)
        return worker

    def load_arguments(self, **options):
        """Of bench/tools/hsload.c."""
        if self.kind == "plain":
            options["expect"] = f"n{self.names}.{SUFFIX}"
        words = [f"--{word}" if value is True else f"--{word}={value}"
                 for word, value in options.items()]
        return [f"--port={self.port}", f"--suffix={SUFFIX}", f"--names={self.names}", *words]


class Turns:
    """herd and plain, which take turns."""

    def __init__(self, bench, herd_nginx, plain_nginx):
        self.bench = bench
        self.herd, self.plain = herd_nginx, plain_nginx

    def start(self):
        for nginx in (self.herd, self.plain):
            nginx.start()
            self.load(nginx, count=20)
        return self

    def load(self, nginx, timeout=600, **options):
        """Handshakes with one of the two; what hsload says."""
        found = json.loads(self.bench.tool("hsload", *nginx.load_arguments(**options),
                                           timeout=timeout)[-1])
        nginx.process.check_alive()
        return found

    def stop(self):
        self.herd.stop()
        self.plain.stop()


class Pair(Turns):
    """Folder, replica and configurations, made once for all suites of a run."""

    def __init__(self, bench):
        super().__init__(bench, None, None)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="certherd-bench-"))
        atexit.register(self.remove)
        self.folder.chmod(0o755)
        print(f"making a replica of {NAMES:,} names", flush=True)
        make_replica(bench, self.folder, f"many:{SUFFIX}:{NAMES}:1",
                     f"pem:n{NAMES}.{SUFFIX}:plain.pem")
        self.herd, self.plain = Nginx(self.folder, "herd"), Nginx(self.folder, "plain")

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


_pair = None


def pair(bench):
    global _pair
    _pair = _pair or Pair(bench)
    return _pair
