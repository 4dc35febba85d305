"""A real DNS server (BIND) on loopback: zones that are changed by signed updates (RFC 2136)."""

import base64
import os
import pwd
import secrets
import socket
import socketserver
import subprocess
import threading

from . import ports, process, wait

HEAD = """$TTL 1
@ IN SOA ns.platform.example. hostmaster.platform.example. 1 3600 600 86400 1
@ IN NS ns.platform.example.
"""


def is_there():
    return os.path.exists("/usr/sbin/named") and os.path.exists("/usr/bin/nsupdate")


class Bind:
    """folder: scratch; zones: name -> lines of its zone file besides SOA and NS.  The TSIG key
    certherd may write TXT records in the zones of `writable`; nsupdate() may do anything."""

    def __init__(self, folder, zones, writable, algorithm="hmac-sha256", more=""):
        self.more = more  # configuration, as it is
        self.folder = folder
        self.port = ports.free_port()
        self.zones = zones
        self.writable = writable
        self.algorithm = algorithm
        self.secret = base64.b64encode(secrets.token_bytes(32)).decode()
        self.admin = base64.b64encode(secrets.token_bytes(32)).decode()
        self.process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def _zone(self, name):
        grant = "grant certherd subdomain " + name + ". TXT;" if name in self.writable else ""
        file = self.folder / f"{name or 'root'}.zone"
        file.write_text(HEAD + "\n".join(self.zones[name]) + "\n")
        return f"""zone "{name or '.'}" {{ type primary; file "{file}";
            update-policy {{ {grant} grant admin subdomain {name}. ANY; }}; }};\n"""

    def _config(self):
        return f"""options {{ directory "{self.folder}"; pid-file "{self.folder}/named.pid";
            session-keyfile "{self.folder}/session.key"; recursion yes; allow-query {{ any; }};
            listen-on port {self.port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
            dnssec-validation no; notify no; allow-transfer {{ none; }}; }};
            controls {{ }};
            key "certherd" {{ algorithm {self.algorithm}; secret "{self.secret}"; }};
            key "admin" {{ algorithm hmac-sha256; secret "{self.admin}"; }};
            """ + "".join(self._zone(name) for name in self.zones) + self.more

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "named.conf"
        config.write_text(self._config())
        if os.geteuid() == 0:
            # Debian's AppArmor profile aside: it needs no rights but to its folder.
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, pwd.getpwnam("bind").pw_uid, -1)
        self.process = process.Process(
            "named", ["/usr/sbin/named", "-g", "-n", "1", "-c", config,
                      *(["-u", "bind"] if os.geteuid() == 0 else [])],
            self.folder / "named.log").start()
        process.wait_listening(self.process, self.port)
        wait.until(lambda: "running" in self.process.log(), "named is running")
        return self

    def stop(self):
        if self.process:
            self.process.stop(timeout=5)

    def nsupdate(self, *lines):
        """Changes as nsupdate(1) takes them: "add NAME TTL TYPE DATA", "delete NAME TYPE"."""
        text = "\n".join([f"server 127.0.0.1 {self.port}", *lines, "send", ""])
        done = subprocess.run(["nsupdate", "-v", "-y", f"hmac-sha256:admin:{self.admin}"],
                              input=text, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr

    def ask(self, name, kind="TXT"):
        """The data of the records of the name, without quotes."""
        done = process.run(["dig", "@127.0.0.1", "-p", str(self.port), "+tcp", "+short", name, kind])
        return [line.strip('"') for line in done.stdout.split()]

    def log(self):
        return self.process.log()


class Port53:
    """A server of ours on port 53 of another address of the loopback, over TCP: named listens at
    addresses that an interface has, and is known by those.  Only root can."""

    def __init__(self, address, server):
        class Relay(socketserver.StreamRequestHandler):
            def handle(self):
                with socket.create_connection(("127.0.0.1", server.port), timeout=10) as other:
                    while head := self.rfile.read(2):
                        other.sendall(head + self.rfile.read(int.from_bytes(head, "big")))
                        with other.makefile("rb") as answer:
                            head = answer.read(2)
                            self.wfile.write(head + answer.read(int.from_bytes(head, "big")))

        socketserver.ThreadingTCPServer.allow_reuse_address = True
        self.server = socketserver.ThreadingTCPServer((address, 53), Relay)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02},
                                       daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
