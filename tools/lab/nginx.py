"""Real nginx with the module, as a platform would run it in front of its web servers."""

import os
import re
import signal

from . import herd, ports, process, sanitizer, wait

_TEMPLATE = """\
daemon off;
%(user)s
worker_processes %(workers)d;
worker_shutdown_timeout 5s;
error_log %(folder)s/error.log info;
pid %(folder)s/nginx.pid;
load_module %(module)s;
events { worker_connections 512; }
http {
	access_log %(folder)s/access.log;
	client_body_temp_path %(folder)s/tmp-body;
	proxy_temp_path %(folder)s/tmp-proxy;
	fastcgi_temp_path %(folder)s/tmp-fastcgi;
	uwsgi_temp_path %(folder)s/tmp-uwsgi;
	scgi_temp_path %(folder)s/tmp-scgi;
	ssl_protocols TLSv1.2 TLSv1.3;
	ssl_session_tickets off;
	ssl_session_cache shared:tls:1m;

	# Folder of the agent, key that opens the sealed keys, pinned thumbprint: made by init.
	include %(snippet)s;
%(http_extra)s

	server {
		listen 127.0.0.1:%(http_port)d;
		location /.well-known/acme-challenge/ {
			certherd_challenge;
		}
		location / {
			# A name whose certificate is not there yet is served as it is.
			if ($certherd_redirect) {
				return 308 $certherd_redirect$request_uri;
			}
			proxy_pass http://127.0.0.1:%(upstream_port)d;
			proxy_set_header Host $host;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
			proxy_set_header X-Forwarded-Proto http;
		}
	}

	server {
		listen 127.0.0.1:%(https_port)d ssl%(http2_flag)s;
%(listen_ipv6)s
		listen 127.0.0.1:%(proxy_port)d ssl%(http2_flag)s proxy_protocol;
%(http2_line)s
		set_real_ip_from 127.0.0.1;
		real_ip_header proxy_protocol;
		certherd on;
		# nginx wants one; the module never lets it be served.
		ssl_certificate %(folder)s/placeholder.pem;
		ssl_certificate_key %(folder)s/placeholder.key;
		location / {
			proxy_pass http://127.0.0.1:%(upstream_port)d;
			proxy_set_header Host $host;
			proxy_set_header X-Real-IP $remote_addr;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
			proxy_set_header X-Forwarded-Proto https;
			proxy_set_header X-Certherd-Name $certherd_name;
			proxy_set_header X-Certherd-Not-After $certherd_not_after;
			proxy_set_header X-Certherd-Tenant $certherd_tenant;
			proxy_set_header X-Certherd-Upstream $certherd_upstream;
			add_header Strict-Transport-Security $certherd_hsts always;
%(https_extra)s
		}
	}
}
"""


def version():
    done = process.run([herd.nginx(), "-v"])
    return tuple(int(part) for part in re.search(r"/(\d+)\.(\d+)\.(\d+)", done.stderr).groups())


class Nginx:
    def __init__(self, folder, snippet, upstream_port, http_port=None, workers=2, user="root",
                 http_extra="", https_extra=""):
        self.folder = folder
        self.snippet = snippet
        self.upstream_port = upstream_port
        self.http_port = http_port or ports.free_port()
        self.https_port, self.proxy_port = ports.free_port(), ports.free_port()
        self.workers = workers
        self.user = user
        self.http_extra = http_extra
        self.https_extra = https_extra  # in the location of port 443
        self.process = None

    @property
    def config(self):
        return self.folder / "nginx.conf"

    def write_config(self):
        new = version() >= (1, 25, 1)
        http2 = "" if new else " http2"
        self.config.write_text(_TEMPLATE % {
            "folder": self.folder, "module": herd.module(), "snippet": self.snippet,
            "user": f"user {self.user};" if os.geteuid() == 0 else "",
            "workers": self.workers, "http_extra": self.http_extra,
            "https_extra": self.https_extra,
            "http_port": self.http_port, "https_port": self.https_port,
            "proxy_port": self.proxy_port, "upstream_port": self.upstream_port,
            "http2_flag": http2, "http2_line": "\t\thttp2 on;" if new else "",
            "listen_ipv6": f"\t\tlisten [::1]:{self.https_port} ssl{http2};"
            if ports.has_ipv6() else ""})

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        process.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                     "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650", "-subj",
                     "/CN=placeholder", "-addext", "subjectAltName=DNS:placeholder.invalid",
                     "-keyout", self.folder / "placeholder.key",
                     "-out", self.folder / "placeholder.pem"])
        self.write_config()
        self.process = process.Process(
            "nginx", [herd.nginx(), "-p", self.folder, "-c", self.config],
            self.folder / "stderr.log", env=sanitizer.environment(herd.nginx())).start()
        for port in (self.http_port, self.https_port, self.proxy_port):
            process.wait_listening(self.process, port)
        return self

    def check(self):
        return self.process.check_alive()

    def reload(self):
        """SIGHUP, and waits for the new workers."""
        before = set(process.children_of(self.process.pid))
        os.kill(self.process.pid, signal.SIGHUP)
        wait.until(lambda: len(set(process.children_of(self.process.pid)) - before) >= self.workers,
                   lambda: f"nginx has new workers\n{self.error_log()[-2000:]}")

    def workers_now(self):
        return set(process.children_of(self.process.pid))

    def wait_open(self, replica):
        """Waits until only workers run that have the live generation open, as they do a second
        after it was published."""
        def is_open(pid):
            try:
                with open(f"/proc/{pid}/maps") as maps:
                    return f"{replica}/{(replica / 'current').read_text().strip()}/" in maps.read()
            except (FileNotFoundError, ProcessLookupError):
                return False

        def all_open():
            workers = self.workers_now()
            return len(workers) == self.workers and all(map(is_open, workers))

        wait.until(all_open, lambda: f"workers have {replica} open\n{self.error_log()[-2000:]}")

    def error_log(self):
        try:
            return (self.folder / "error.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def stop(self):
        if not self.process:
            return
        if not sanitizer.watches(herd.nginx()):
            self.process.stop(timeout=5, first=signal.SIGTERM)
            return
        # Asked to be quick, nginx would kill workers that still look for leaks.
        self.process.stop(timeout=30, first=signal.SIGQUIT)
        found = sanitizer.findings(self.error_log()) or sanitizer.findings(self.process.log())
        assert not found, found
