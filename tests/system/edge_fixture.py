"""nginx with the module over a replica that a test tool has written: no store, no CA."""

import contextlib
import grp
import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import tempfile

import pytest

from lab import herd, ports, process, sanitizer, tls, upstream, wait

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
UNKNOWN_NAME = "TLSV1_UNRECOGNIZED_NAME"
INTERNAL_ERROR = "TLSV1_ALERT_INTERNAL_ERROR"
NO_PROTOCOL = "TLSV1_ALERT_NO_APPLICATION_PROTOCOL"
THUMBPRINTS = ("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE",
               "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI")
HINTS = ("01" * 8, "02" * 8)

_HTTP = """\
daemon off;
%(user)s
worker_processes %(workers)d;
worker_shutdown_timeout %(shutdown)s;
error_log %(folder)s/error.log %(log_level)s;
pid %(folder)s/nginx.pid;
load_module %(module)s;
events { worker_connections 512; }
http {
	access_log off;
	client_body_temp_path %(folder)s/tmp-body;
	proxy_temp_path %(folder)s/tmp-proxy;
	fastcgi_temp_path %(folder)s/tmp-fastcgi;
	uwsgi_temp_path %(folder)s/tmp-uwsgi;
	scgi_temp_path %(folder)s/tmp-scgi;
	ssl_protocols TLSv1.2 TLSv1.3;
	ssl_session_cache shared:tls:1m;
%(http)s
}
"""

_CERTHERD = """\
	certherd_replica %(folder)s/replica;
	certherd_recipient_key %(keys)s;
	certherd_account_thumbprint %(thumbprints)s;
%(http_extra)s
"""

_PROXY = """\
			proxy_pass http://127.0.0.1:%(upstream)d;
			proxy_set_header Host $host;
			proxy_set_header X-Real-IP $remote_addr;
			proxy_set_header X-Certherd-Name $certherd_name;
			proxy_set_header X-Certherd-Https $certherd_https;
			proxy_set_header X-Certherd-Not-After $certherd_not_after;
			proxy_set_header X-Certherd-Tenant $certherd_tenant;
			proxy_set_header X-Certherd-Upstream $certherd_upstream;
			proxy_set_header X-Certherd-Hsts $certherd_hsts;
			proxy_set_header X-Certherd-Redirect $certherd_redirect;
			proxy_set_header X-Reused $ssl_session_reused;
"""

_SERVERS = """\
	# Custom domains by default, the operator's own site by name.
	server {
		listen 127.0.0.1:%(https)d ssl%(http2)s;
		listen 127.0.0.1:%(proxied)d ssl%(http2)s proxy_protocol;
%(ipv6)s
		set_real_ip_from 127.0.0.1;
		real_ip_header proxy_protocol;
		certherd on;
		location / {
%(proxy)s
		}
	}
	server {
		listen 127.0.0.1:%(https)d ssl%(http2)s;
		server_name static.test *.static.test;
		ssl_certificate %(folder)s/static.pem;
		ssl_certificate_key %(folder)s/static.key;
		location / { return 200 static; }
	}

	# The other way round.
	server {
		listen 127.0.0.1:%(mixed)d ssl;
		server_name static.test;
		ssl_certificate %(folder)s/static.pem;
		ssl_certificate_key %(folder)s/static.key;
		location / { return 200 static; }
	}
	server {
		listen 127.0.0.1:%(mixed)d ssl;
		server_name *.shops.test ~^r[0-9]+\\.regex\\.test$;
		certherd on;
		location / {
%(proxy)s
		}
	}

	server {
		listen 127.0.0.1:%(http)d;
		location /.well-known/acme-challenge/ {
			certherd_challenge;
		}
		location / {
%(proxy)s
		}
	}
"""


def mkreplica_binary():
    default = herd.binary().parents[1] / "tests/tools/mkreplica"
    return pathlib.Path(os.environ.get("CERTHERD_MKREPLICA", default)).resolve()


def hsload_binary():
    return mkreplica_binary().parents[2] / "bench/hsload"


def nginx_version(nginx=None):
    done = subprocess.run([nginx or herd.nginx(), "-v"], capture_output=True, text=True)
    return tuple(int(part) for part in re.search(r"/(\d+)\.(\d+)\.(\d+)", done.stderr).groups())


class Edge:
    """A folder with keys, a replica and an nginx.  Nothing runs before start()."""

    shape = "small"  # of certificates: "public" is a public CA's

    def __init__(self, workers=2, user="www-data", log_level="info", http_extra="",
                 servers=_SERVERS, keys=("x25519",), certherd=_CERTHERD, nginx=None,
                 module=None, shutdown="5s"):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="certherd-edge-"))
        self.folder.chmod(0o755)
        self.workers, self.log_level, self.http_extra = workers, log_level, http_extra
        self.servers, self.certherd, self.shutdown = servers, certherd, shutdown
        self.nginx, self.module = nginx or herd.nginx(), module or herd.module()
        self.user = user if os.geteuid() == 0 else None
        self.port = {kind: ports.free_port() for kind in ("https", "proxied", "mixed", "http")}
        self.upstream = upstream.Upstream().start()
        self.process = None
        self.keys = []
        self._applied = set()
        for kind in keys:
            self.make_key(kind)
        self._make_static()

    # -- keys and replica ---------------------------------------------------------------

    def make_key(self, kind="x25519", configured=True):
        """A recipient; its public half goes to where mkreplica seals to."""
        name = f"recipient{len(list(self.folder.glob('recipient*')))}.key"
        self.run([mkreplica_binary(), "--make-key", kind, self.folder / name,
                   self.folder / "recipients"])
        if configured:
            self.keys.append(self.folder / name)

    def _make_static(self):
        self.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                   "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
                   "/CN=static", "-addext",
                   "subjectAltName=DNS:static.test,DNS:*.static.test,DNS:fallback.test",
                   "-keyout", self.folder / "static.key", "-out", self.folder / "static.pem"])

    @staticmethod
    def run(argv):
        done = subprocess.run([str(word) for word in argv], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, *operations, recipients=None, shape=None):
        """One transaction on the replica: see tests/tools/mkreplica.c."""
        group = ["--shape", shape or self.shape]
        if self.user:
            group += ["--group", grp.getgrnam(self.user).gr_gid]
        self.run([mkreplica_binary(), "--pki", self.folder / "pki", "--recipients",
                   recipients or self.folder / "recipients", *group,
                   self.folder / "replica", *operations])
        return self

    def apply_once(self, *operations):
        """For tests that are run many times over one edge."""
        if operations not in self._applied:
            self.apply(*operations)
            self._applied.add(operations)

    @property
    def root(self):
        return self.folder / "pki/ca.pem"

    # -- nginx --------------------------------------------------------------------------

    def write_config(self):
        new = nginx_version(self.nginx) >= (1, 25, 1)
        values = {
            "folder": self.folder, "module": self.module, "workers": self.workers,
            "log_level": self.log_level, "shutdown": self.shutdown,
            "user": f"user {self.user};" if self.user else "",
            "keys": " ".join(map(str, self.keys)), "thumbprints": " ".join(THUMBPRINTS),
            "upstream": self.upstream.port, "http2": "" if new else " http2", **self.port}
        values["ipv6"] = (f"\t\tlisten [::1]:{self.port['https']} ssl{values['http2']};"
                          if ports.has_ipv6() else "")
        if new:
            values["ipv6"] += "\n\t\thttp2 on;"
        values["proxy"] = _PROXY % values
        values["http_extra"] = self.http_extra % values
        values["http"] = self.port["http"]
        inner = (self.certherd + self.servers) % values
        (self.folder / "nginx.conf").write_text(_HTTP % {**values, "http": inner})
        return self.folder / "nginx.conf"

    def test_config(self):
        """nginx -t, which cleans nothing up: (exit status, what it says)."""
        done = subprocess.run(
            [self.nginx, "-t", "-p", self.folder, "-c", self.write_config()],
            capture_output=True, text=True,
            env={**os.environ, **sanitizer.environment(self.nginx, leaks=False)})
        return done.returncode, done.stderr

    def spawn(self, *wrapper):
        """Starts nginx, through a command that runs another if one is given."""
        argv = [*wrapper, self.nginx, "-p", self.folder, "-c", self.write_config()]
        self.process = process.Process("nginx", argv, self.folder / "stderr.log",
                                       env=sanitizer.environment(self.nginx)).start()
        process.wait_listening(self.process, self.port["https"])
        return self

    def start(self):
        self.spawn()
        for port in self.port.values():
            process.wait_listening(self.process, port)
        if (self.folder / "replica/current").exists() and self.log_level in ("info", "debug"):
            self.wait_log("opened the live generation", self.workers)
        return self

    def workers_now(self):
        return set(process.children_of(self.process.pid))

    def reload(self, old_stay=False):
        """Until the new workers are there and the old ones gone, unless these have work left."""
        before = self.workers_now()
        self.write_config()
        os.kill(self.process.pid, signal.SIGHUP)
        wait.until(lambda: len(self.workers_now() - before) >= self.workers, self.log)
        if not old_stay:
            wait.until(lambda: not self.workers_now() & before, self.log)

    def log(self):
        path = self.folder / "error.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_log(self, text, times=1):
        wait.until(lambda: self.log().count(text) >= times,
                   lambda: f"{times} x {text!r} in:\n{self.log()[-3000:]}")

    def stop(self):
        log = ""
        if self.process:
            # Asked to be quick, nginx would kill workers that still look for leaks.
            if sanitizer.watches(self.nginx):
                self.process.stop(timeout=30, first=signal.SIGQUIT)
            self.process.stop(timeout=5)
            log = sanitizer.findings(self.process.log())
        self.upstream.stop()
        log += self.log()
        shutil.rmtree(self.folder, ignore_errors=True)
        return log

    # -- many visitors ------------------------------------------------------------------

    def load(self, suffix, names, **options):
        """Full handshakes for n<number>.<suffix>: see bench/tools/hsload.c."""
        words = [f"--{word}={value}" for word, value in options.items()]
        return json.loads(self.run([hsload_binary(), f"--port={self.port['https']}",
                                    f"--suffix={suffix}", f"--names={names}", *words]))

    # -- visitors -----------------------------------------------------------------------

    def connect(self, sni, port="https", ctx=None, version=None, **options):
        root = self.root if self.root.exists() else None
        return tls.Connection(self.port[port], sni, ctx or tls.context(root, version), **options)

    def refused(self, sni, port="https", **options):
        """The alert of a handshake that must fail."""
        with pytest.raises(tls.Refused) as caught:
            self.connect(sni, port, **options).__exit__()
        return caught.value.alert

    def s_client(self, *words, port="https"):
        """What openssl s_client says: for names that Python does not send."""
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{self.port[port]}", "-showcerts",
             "-CAfile", str(self.root), *words], input="", capture_output=True, text=True,
            timeout=20)
        # OpenSSL 3.0 writes "CN = leaf", 3.5 "CN=leaf".
        return (done.stdout + done.stderr).replace(" = ", "=")

    def curl(self, host, *words, path="/", port="https", sni=None):
        """(status, protocol, body) by curl, which speaks HTTP/2."""
        sni = sni or host
        done = subprocess.run(
            ["curl", "-s", "--cacert", str(self.root), "--resolve",
             f"{sni}:{self.port[port]}:127.0.0.1", "-H", f"Host: {host}", "-w",
             "\n%{http_code} %{http_version}", *words,
             f"https://{sni}:{self.port[port]}{path}"],
            capture_output=True, text=True, timeout=20)
        body, _, last = done.stdout.rpartition("\n")
        return (*last.split(), body)


@pytest.fixture(scope="module")
def shared_edge(request):
    """One edge for the tests of a module that only add names of their own."""
    made = Edge()
    made.apply("name:nothing.test:1").start()
    yield made
    check_no_crash(made.stop())


@pytest.fixture
def new_edge():
    """Makes edges of a test's own: new_edge(workers=1, …)."""
    with contextlib.ExitStack() as ends:
        def make(**options):
            made = Edge(**options)
            ends.callback(lambda: check_no_crash(made.stop()))
            return made

        yield make


def memory_b(pid):
    """What the process alone has: not the replica's pages, which are the page cache's, nor what is
    shared between workers, though one of them may be the only one to have touched it yet."""
    total, counts = 0, False
    with open(f"/proc/{pid}/smaps") as maps:
        for line in maps:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                counts = not line.rstrip().endswith(("data.mdb", "lock.mdb", "/dev/zero (deleted)"))
            elif counts and line.startswith("Private_Dirty:"):
                total += 1024 * int(line.split()[1])
    return total


def check_no_crash(log):
    assert not sanitizer.findings(log), sanitizer.findings(log)
    killed = set(re.findall(r"process (\d+) exited on signal 9", log))
    for sign in ("exited on signal", "[alert]", "[emerg]"):
        lines = [line for line in log.splitlines() if sign in line and "signal 9" not in line]
        # nginx frees the locks that a worker held when a test killed it.
        lines = [line for line in lines
                 if not ((held := re.search(r"was locked by (\d+)", line)) and held[1] in killed)]
        assert not lines, lines[:5]
