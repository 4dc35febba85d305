"""The other servers, from Debian's packages, each with one worker and the same certificates: how they
are configured, started, and told of a changed certificate."""

import http.client
import json
import os
import pathlib
import shutil
import signal

import edge
from lab import herd, ports, process

TICKETS_OFF = "ssl_session_tickets off;\n\tssl_session_cache off;\n\tssl_conf_command NumTickets 0;"
APACHE_MODULES = pathlib.Path("/usr/lib/apache2/modules")

_NGINX = """\
daemon off;
%(user)s
worker_processes 1;
error_log %(folder)s/error.log warn;
pid %(folder)s/nginx.pid;
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
	%(tickets)s
	server_names_hash_max_size 4194304;
	server_names_hash_bucket_size 128;
%(servers)s
}
"""

_HAPROXY = """\
global
	nbthread 1
	maxconn 1000
	ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
	tune.ssl.cachesize 0
defaults
	mode http
	option http-ignore-probes
	timeout client 30s
	timeout server 30s
	timeout connect 5s
frontend visitors
	bind 127.0.0.1:%(port)d ssl crt %(pems)s/ curves X25519 strict-sni
	http-request return status 200
"""

_HITCH = """\
frontend = { host = "127.0.0.1" port = "%(port)d" }
backend = "[127.0.0.1]:%(backend)d"
pem-dir = "%(pems)s"
workers = 1
daemon = off
%(user)s
tls-protos = TLSv1.3
ecdh-curve = "X25519"
sni-nomatch-abort = on
"""

_APACHE = """\
ServerRoot %(folder)s
PidFile %(folder)s/httpd.pid
ErrorLog %(folder)s/error.log
LogLevel error
ServerName localhost
%(modules)s
%(user)s
Listen 127.0.0.1:%(port)d
ServerLimit 1
StartServers 1
ThreadsPerChild 64
MaxRequestWorkers 64
SSLSessionCache none
SSLSessionTickets off
SSLProtocol TLSv1.3
SSLOpenSSLConfCmd Curves X25519
"""


class Peer:
    """made: of edgebench.made; pems: a folder with NAME.pem, which may be changed."""

    title = program = ""
    reload = "reload"  # what a changed certificate takes

    def __init__(self, made, pems, folder):
        self.made, self.pems, self.folder = made, pems, folder
        folder.mkdir()
        self.port = ports.free_port()
        self.names, self.kind = made.names, "peer"
        self.process = None
        self.log = folder / "output.log"
        self.configure()

    @classmethod
    def is_there(cls):
        return shutil.which(cls.program) is not None

    def configure(self):
        """Writes what argv needs."""

    def argv(self):
        raise NotImplementedError

    env = {}

    def spawn(self):
        self.process = process.Process(self.title, self.argv(), self.log, env=self.env).start()
        return self

    def stop(self):
        if self.process:
            self.process.stop(first=signal.SIGTERM)
            self.process = None

    def load_arguments(self, **options):
        words = [f"--{word}" if value is True else f"--{word}={value}"
                 for word, value in options.items()]
        return [f"--port={self.port}", f"--suffix={edge.SUFFIX}", f"--names={self.names}", *words]

    def changed(self):
        """The file of a certificate is another one: makes the server serve it."""
        os.kill(self.process.pid, signal.SIGHUP)

    def pids(self):
        """All of its processes."""
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += process.children_of(pid)
        return found

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def name(self, number):
        return f"n{number}.{edge.SUFFIX}"


class NginxPeer(Peer):
    program = "/usr/sbin/nginx"

    def servers(self):
        raise NotImplementedError

    def configure(self):
        self.write("nginx.conf", _NGINX % {
            "folder": self.folder, "tickets": TICKETS_OFF, "servers": self.servers(),
            "user": f"user {edge.USER};" if os.geteuid() == 0 else ""})

    def argv(self):
        return [herd.nginx(), "-p", self.folder, "-c", self.folder / "nginx.conf"]


class NginxStatic(NginxPeer):
    """The ceiling."""

    title = "nginx, 1 certificate"
    reload = "–"

    def servers(self):
        pem = self.made.folder / "plain.pem"
        return (f"server {{ listen 127.0.0.1:{self.port} ssl; ssl_certificate {pem}; "
                f"ssl_certificate_key {pem}; return 204; }}")

    def load_arguments(self, **options):
        return super().load_arguments(expect=self.name(self.names), **options)

    changed = None


class NginxBlocks(NginxPeer):
    title = "nginx, server blocks"

    def servers(self):
        blocks = []
        for number in range(self.names):
            pem = self.pems / f"{self.name(number)}.pem"
            blocks.append(f"server {{ listen 127.0.0.1:{self.port} ssl; server_name "
                          f"{self.name(number)}; ssl_certificate {pem}; ssl_certificate_key {pem}; "
                          "return 204; }")
        return "\n".join(blocks)


class NginxVariables(NginxPeer):
    title = "nginx, $ssl_server_name"
    reload = "none: reads files each time"

    def servers(self):
        pem = self.pems / "$ssl_server_name.pem"
        return (f"server {{ listen 127.0.0.1:{self.port} ssl; ssl_certificate {pem}; "
                f"ssl_certificate_key {pem}; return 204; }}")

    def changed(self):
        pass


class HAProxy(Peer):
    title, program = "HAProxy, crt directory", "haproxy"

    def configure(self):
        self.write("haproxy.cfg", _HAPROXY % {"port": self.port, "pems": self.pems})

    def argv(self):
        return [shutil.which(self.program), "-W", "-db", "-q", "-f", self.folder / "haproxy.cfg"]

    def changed(self):
        os.kill(self.process.pid, signal.SIGUSR2)


class Hitch(Peer):
    """Only ends TLS: what is behind it is not counted."""

    title, program = "hitch, pem-dir", "hitch"

    def configure(self):
        self.backend = NginxBackend(self.made, self.pems, self.folder / "backend")
        user = f'user = "{edge.USER}"' if os.geteuid() == 0 else ""
        self.write("hitch.conf", _HITCH % {"port": self.port, "pems": self.pems, "user": user,
                                           "backend": self.backend.port})

    def argv(self):
        return [shutil.which(self.program), f"--config={self.folder / 'hitch.conf'}"]

    def spawn(self):
        self.backend.spawn()
        process.wait_listening(self.backend.process, self.backend.port)
        return super().spawn()

    def stop(self):
        super().stop()
        self.backend.stop()


class NginxBackend(NginxPeer):
    title = "what is behind hitch"

    def servers(self):
        return f"server {{ listen 127.0.0.1:{self.port}; return 204; }}"


class Caddy(Peer):
    title, program = "Caddy, loaded folder", "caddy"
    reload = "reload (API)"

    def configure(self):
        self.admin = ports.free_port()
        self.env = {"GOMAXPROCS": "1", "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder),
                    "XDG_CONFIG_HOME": str(self.folder)}
        server = {"listen": [f"127.0.0.1:{self.port}"], "protocols": ["h1"],
                  "automatic_https": {"disable": True},
                  "tls_connection_policies": [{"curves": ["x25519"], "protocol_min": "tls1.3"}],
                  "routes": [{"handle": [{"handler": "static_response", "status_code": 204}]}]}
        self.config = json.dumps({
            "admin": {"listen": f"127.0.0.1:{self.admin}", "config": {"persist": False}},
            "logging": {"logs": {"default": {"level": "ERROR"}}},
            "apps": {"http": {"servers": {"visitors": server}},
                     "tls": {"certificates": {"load_folders": [str(self.pems)]},
                             "cache": {"capacity": self.names + 1000},
                             "session_tickets": {"disabled": True}}}})
        self.write("caddy.json", self.config)

    def argv(self):
        return [shutil.which(self.program), "run", "--config", self.folder / "caddy.json"]

    def changed(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=600)
        connection.request("POST", "/load", self.config, {"Content-Type": "application/json",
                                                          "Cache-Control": "must-revalidate"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"caddy: {answer.status} {answer.read()[:300]!r}")
        connection.close()


class Apache(Peer):
    title, program = "Apache, virtual hosts", "apache2"
    reload = "graceful restart"

    def configure(self):
        modules = "\n".join(f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so"
                            for name in ("mpm_event", "authz_core", "ssl"))
        text = [_APACHE % {"folder": self.folder, "port": self.port, "modules": modules,
                           "user": f"User {edge.USER}\nGroup {edge.USER}"
                           if os.geteuid() == 0 else ""}]
        for number in range(self.names):
            pem = self.pems / f"{self.name(number)}.pem"
            text.append(f"<VirtualHost 127.0.0.1:{self.port}>\nServerName {self.name(number)}\n"
                        f"SSLEngine on\nSSLCertificateFile {pem}\nSSLCertificateKeyFile {pem}\n"
                        "</VirtualHost>")
        self.write("httpd.conf", "\n".join(text) + "\n")

    def argv(self):
        return [shutil.which(self.program), "-DFOREGROUND", "-f", self.folder / "httpd.conf"]

    def changed(self):
        os.kill(self.process.pid, signal.SIGUSR1)


PEERS = (NginxStatic, NginxVariables, NginxBlocks, HAProxy, Hitch, Caddy, Apache)
