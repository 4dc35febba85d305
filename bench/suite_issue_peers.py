"""Certificates by certherd and by other ACME clients, from Pebble over http-01 on loopback.

Each client has a Pebble of its own, set alike.  certherd is measured alone.  The others wait for
most of the time (for a pause between polls, or a limit of their own): they run beside each other.
lego, uacme and certbot are started once for each certificate, as their manuals have it.
"""

import concurrent.futures
import http.server
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import threading
import time

import measure
import suite_issue
from lab import pebble, ports, process, site
from report import RESULTS, Report, number

COUNTS = (50, 500)
MOST_S = int(os.environ.get("BENCH_MOST_S", "600"))  # of what takes longer only the smaller count is measured
IDLE_S = 60  # without a certificate: no more is awaited
DOMAIN = "peer.example.com"
SYSTEM_CAS = "/etc/ssl/certs/ca-certificates.crt"


class Client:
    """One of the others, with its Pebble, in a folder of its own."""

    how = "a process for each, one after another"

    def __init__(self, folder):
        if not shutil.which(self.name):
            raise RuntimeError(f"{self.name} is not installed: tools/install-deps.sh peers")
        self.folder = folder
        self.pebble = pebble.Pebble(folder / "pebble", ports.free_port(), nonce_reject=0)

    def names(self, count):
        return [f"{self.name}-{count}-{i}.{DOMAIN}" for i in range(count)]

    def measure(self, count):
        """Wall time and CPU seconds; what is not on disk afterwards has failed."""
        home = self.folder / str(count)
        home.mkdir()
        self.prepare(home)
        began = time.monotonic()
        cpu_s = self.issue(home, self.names(count))
        wall_s = time.monotonic() - began
        return {"client": self.name, "count": count, "wall_s": wall_s, "cpu_s": cpu_s,
                "failures": count - len(self.found(home)), "how": self.how}

    def prepare(self, home):
        """What is not measured."""

    def found(self, home):
        return list(home.glob(self.certificates))

    def run(self, argv, home, env=None):
        """CPU seconds of a command with all that it has waited for."""
        with open(home / "out.log", "ab") as out:
            child = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL,
                                     stdout=out, stderr=out, env={**os.environ, **(env or {})})
            _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_utime + usage.ru_stime

    def issue(self, home, names):
        return sum(self.run(self.command(home, name), home, self.env) for name in names)


class Lego(Client):
    name, certificates = "lego", "certificates/*.com.crt"

    @property
    def env(self):
        return {"LEGO_CA_CERTIFICATES": str(self.pebble.api_ca)}

    def command(self, home, name):
        return ["lego", "--server", self.pebble.directory, "--path", home, "--accept-tos",
                "--email", "peer@example.com", "--key-type", "ec256", "--http", "--http.port",
                f"127.0.0.1:{self.pebble.http_port}", "--domains", name, "run"]


class Certbot(Client):
    name, certificates = "certbot", "live/*/cert.pem"

    @property
    def env(self):
        return {"REQUESTS_CA_BUNDLE": str(self.pebble.api_ca)}

    def command(self, home, name):
        return ["certbot", "certonly", "--non-interactive", "--agree-tos",
                "--register-unsafely-without-email", "--standalone", "--http-01-address",
                "127.0.0.1", "--http-01-port", self.pebble.http_port, "--server",
                self.pebble.directory, "--config-dir", home, "--work-dir", home / "work",
                "--logs-dir", home / "logs", "--key-type", "ecdsa", "--domain", name]


class Uacme(Client):
    """Trusts the system's CAs only, so it gets another file of them, in a mount namespace."""

    name, certificates = "uacme", "*.com/cert.pem"
    how = Client.how + ", a shell script as hook"

    HOOK = """#!/bin/sh
[ "$2" = http-01 ] || exit 1
case $1 in
begin) printf %s "$5" >"$TOKENS/$4" ;;
done | failed) rm -f "$TOKENS/$4" ;;
esac
"""
    LOOP = """mount --bind "$CA" "$SYSTEM_CAS" || exit 1
$UACME -a "$SERVER" new
for name in $NAMES; do $UACME -a "$SERVER" -t EC -h "$HOOK" issue "$name"; done
"""

    def issue(self, home, names):
        tokens, hook = home / "tokens", home / "hook"
        tokens.mkdir()
        hook.write_text(self.HOOK)
        hook.chmod(0o755)
        env = {"CA": str(self.pebble.api_ca), "SYSTEM_CAS": SYSTEM_CAS, "TOKENS": str(tokens),
               "HOOK": str(hook), "SERVER": self.pebble.directory, "NAMES": " ".join(names),
               "UACME": f"uacme -y -c {shlex.quote(str(home))}"}
        space = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
        with Tokens(tokens, self.pebble.http_port):
            return self.run([*space, "sh", "-c", self.LOOP], home, env)


class Tokens:
    """Serves what uacme's hook has written; its CPU time is not the client's."""

    def __init__(self, folder, port):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                try:
                    body = (folder / pathlib.Path(self.path).name).read_bytes()
                except OSError:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Caddy(Client):
    name, certificates = "caddy", "store/certificates/*/*/*.crt"
    how = "one process; begins ten certificates in ten seconds at the most, which is fixed"

    def config(self, home, names):
        issuer = {"module": "acme", "ca": self.pebble.directory,
                  "trusted_roots_pem_files": [str(self.pebble.api_ca)],
                  "challenges": {"tls-alpn": {"disabled": True},
                                 "http": {"alternate_port": self.pebble.http_port}}}
        return {"admin": {"disabled": True},
                "storage": {"module": "file_system", "root": str(home / "store")},
                "apps": {"tls": {"certificates": {"automate": names},
                                 "automation": {"policies": [{"issuers": [issuer]}]}}}}

    def prepare(self, home):
        """The account: made by several certificates at once, it can come out damaged."""
        self.until_found(home, [f"first.{DOMAIN}"])
        shutil.rmtree(home / "store/certificates")

    def issue(self, home, names):
        return self.until_found(home, names)

    def until_found(self, home, names):
        """CPU seconds until all are there, or none has come for long."""
        (home / "caddy.json").write_text(json.dumps(self.config(home, names)))
        caddy = process.Process("caddy", ["caddy", "run", "--config", home / "caddy.json"],
                                home / "out.log", env={"HOME": str(home)}).start()
        last = (0, time.monotonic())
        try:
            while last[0] < len(names) and time.monotonic() - last[1] < IDLE_S:
                caddy.check_alive()
                n = len(self.found(home))
                last = (n, time.monotonic()) if n > last[0] else last
                time.sleep(0.1)
            return measure.cpu_ended_s(caddy.pid)
        finally:
            caddy.stop()


def measure_certherd(bench, folder):
    herd = suite_issue.Herd(bench, folder)
    found = []
    try:
        herd.start()
        for count in COUNTS:
            before = herd.cpu_s()
            live, _ = herd.issue(f"certherd-{count}", count)
            spent = herd.cpu_s()
            found.append({"client": "certherd", "count": count, "wall_s": count / live,
                          "cpu_s": sum(spent[name] - before[name] for name in spent
                                       if name != "Pebble"), "failures": 0,
                          "how": "until it is in the edge's replica; CPU of store, issuer, agent "
                                 "and nginx, with the confirming handshake"})
    finally:
        herd.site.stop()
    return found


def measure_client(client):
    found = []
    for count in COUNTS:
        if found and found[0]["wall_s"] * count / COUNTS[0] > MOST_S:
            break
        found.append(client.measure(count))
    client.pebble.check()
    return found


def measure_others(folder):
    clients = [kind(folder / kind.name) for kind in (Caddy, Lego, Uacme, Certbot)]
    try:
        for client in clients:
            client.pebble.start()
        with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
            return sum(pool.map(measure_client, clients), [])
    finally:
        for client in clients:
            client.pebble.stop()


def write_table(found):
    """For doc/issue-figures.md."""
    lines = ["| client | certificates | failed | wall time, s | certificates/s | "
             "CPU of the client, ms a certificate | how |", "|---|---|---|---|---|---|---|"]
    for one in found:
        got = one["count"] - one["failures"]
        lines.append(f"| {one['client']} | {one['count']} | {one['failures']} | "
                     f"{number(one['wall_s'])} | {number(got / one['wall_s'])} | "
                     f"{number(1000 * one['cpu_s'] / one['count'])} | {one['how']} |")
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "issue_peers.md").write_text("\n".join(lines) + "\n")


def run(bench):
    folder = site.make_scratch("certherd-bench-")
    found = measure_certherd(bench, folder / "certherd") + measure_others(folder)
    shutil.rmtree(folder, ignore_errors=True)
    write_table(found)
    return tell(found)


def tell(found):
    report = Report("issue_peers")
    rates = {}
    for one in found:
        figure = f"{one['client']}, {one['count']} certificates"
        got = one["count"] - one["failures"]
        rates.setdefault(one["client"], {})[one["count"]] = got / one["wall_s"]
        report.tell(f"{figure}: wall time", one["wall_s"], "s", one["how"])
        report.tell(f"{figure}: rate", got / one["wall_s"], "/s")
        report.tell(f"{figure}: CPU", 1000 * one["cpu_s"] / one["count"], "ms/certificate")
        report.at_most(f"{figure}: failures", one["failures"], "", 0)
    best = max(rate for client, of in rates.items() if client != "certherd" for rate in of.values())
    report.at_least("certherd's rate, of the fastest other's", min(rates["certherd"].values()) / best,
                    "×", 1)
    return report
