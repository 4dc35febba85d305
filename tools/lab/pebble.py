"""Pebble (an ACME server for tests) and its DNS server, on free loopback ports.

Pebble can lock up under concurrency; GOMAXPROCS=1 avoids it, and a watchdog tells when it
happens all the same, so that a test fails with that sentence and not with a timeout.
"""

import contextlib
import http.client
import json
import os
import re
import ssl
import threading
import urllib.error
import urllib.request

from . import ports, process


class Lockup(AssertionError):
    pass


def make_api_certificate(folder):
    """A small CA and a certificate for Pebble's own HTTPS endpoint."""
    def make(name, subject, *words):
        process.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                     "-nodes", "-days", "3650", "-subj", f"/CN={subject}", "-keyout", folder / f"{name}.key",
                     "-out", folder / f"{name}.pem", *words])

    make("minica", "pebble-minica", "-addext", "basicConstraints=critical,CA:TRUE",
         "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    make("api", "localhost", "-CA", folder / "minica.pem", "-CAkey", folder / "minica.key",
         "-addext", "basicConstraints=CA:FALSE", "-addext", "extendedKeyUsage=serverAuth",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")


class Pebble:
    """folder: scratch; http_port, tls_port: where it looks for http-01 and tls-alpn-01 answers."""

    def __init__(self, folder, http_port, validity_s=7776000, nonce_reject=5, eab=None, env=None,
                 resolver=None, tls_port=None):
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.http_port = http_port
        self.tls_port = tls_port or ports.free_port()
        self.dns_port, self.dns_manage_port = ports.free_port(), ports.free_port()
        self.port, self.manage_port = ports.free_port(), ports.free_port()
        self.validity_s = validity_s
        self.eab = eab or {}
        self.resolver = resolver  # "ADDRESS:PORT" of a DNS server in place of Pebble's own
        self.env = {"GOMAXPROCS": "1", "PEBBLE_VA_NOSLEEP": "1",
                    "PEBBLE_WFE_NONCEREJECT": str(nonce_reject), **(env or {})}
        self.dns = self.server = None
        self._lockup = None
        self._ended = threading.Event()

    @property
    def directory(self):
        return f"https://127.0.0.1:{self.port}/dir"

    @property
    def api_ca(self):
        return self.folder / "minica.pem"

    def start(self):
        make_api_certificate(self.folder)
        config = {"pebble": {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.manage_port}",
            "certificate": str(self.folder / "api.pem"),
            "privateKey": str(self.folder / "api.key"),
            "httpPort": self.http_port, "tlsPort": self.tls_port, "ocspResponderURL": "",
            "certificateValidityPeriod": self.validity_s,
            "externalAccountBindingRequired": bool(self.eab),
            "externalAccountMACKeys": self.eab}}
        (self.folder / "pebble.json").write_text(json.dumps(config, indent=1))
        self.dns = process.Process("pebble-challtestsrv", [
            "/usr/bin/pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
            "-dns01", f"127.0.0.1:{self.dns_port}", "-http01", "", "-https01", "",
            "-tlsalpn01", "", "-management", f"127.0.0.1:{self.dns_manage_port}"],
            self.folder / "dns.log").start()
        process.wait_listening(self.dns, self.dns_manage_port)
        self.server = process.Process("pebble", [
            "/usr/bin/pebble", "-config", self.folder / "pebble.json",
            "-dnsserver", self.resolver or f"127.0.0.1:{self.dns_port}", "-strict"],
            self.folder / "pebble.log", env=self.env).start()
        process.wait_listening(self.server, self.port)
        process.wait_listening(self.server, self.manage_port)
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def stop(self):
        self._ended.set()
        for child in (self.server, self.dns):
            if child:
                child.stop(timeout=5)

    def check(self):
        """Raises when the watchdog found Pebble locked up or gone."""
        if self._lockup:
            raise Lockup(self._lockup)
        self.server.check_alive()
        self.dns.check_alive()
        return True

    def _watch(self):
        misses = 0
        while not self._ended.wait(2):
            try:
                # Takes the lock of Pebble's database, which is the one that gets stuck.
                self._get(self.manage_port, "/cert-status-by-serial/1", timeout=10)
                misses = 0
            except urllib.error.HTTPError:
                misses = 0
            except OSError as error:
                misses += 1
                if misses == 2:
                    self._lockup = f"Pebble no longer answers (its known lock-up): {error}; run again"
                    return

    def _get(self, port, path, timeout=10):
        context = ssl.create_default_context(cafile=str(self.api_ca))
        with urllib.request.urlopen(f"https://127.0.0.1:{port}{path}", timeout=timeout,
                                    context=context) as answer:
            return answer.read()

    def save_root(self, path):
        """Writes the root that issued certificates chain to."""
        path.write_bytes(self._get(self.manage_port, "/roots/0"))
        os.chmod(path, 0o644)
        return path

    def issued(self):
        """Serial numbers of all certificates that it has issued, as lower-case hex without leading
        zeros, in the order of its log."""
        return [serial.lstrip("0") for serial in
                re.findall(r"Issued certificate serial ([0-9a-f]+)", self.server.log())]

    def certificates(self, serials):
        """PEM of each of these, over one connection."""
        connection = http.client.HTTPSConnection(
            "localhost", self.manage_port, timeout=10,
            context=ssl.create_default_context(cafile=str(self.api_ca)))
        with contextlib.closing(connection):
            for serial in serials:
                connection.request("GET", f"/cert-status-by-serial/{serial}")
                yield json.loads(connection.getresponse().read())["Certificate"].encode()

    def dns_set(self, what, **body):
        """challtestsrv's management: dns_set("set-servfail", host="x.example.com.")."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.dns_manage_port}/{what}",
                                         data=json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    def break_name(self, name):
        self.dns_set("set-servfail", host=name + ".")

    def mend_name(self, name):
        self.dns_set("clear-servfail", host=name + ".")
