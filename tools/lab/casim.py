"""The CA simulator (tests/casim) on free loopback ports: a CA that keeps limits and makes trouble."""

import json
import urllib.error
import urllib.request

from . import herd, pebble, ports, process


def binary():
    return herd.binary().parents[1] / "tests/casim/casim"


class Casim:
    """folder: scratch; http_port: where it looks for http-01 answers; settings: as in
    tests/casim/README.md, over the defaults."""

    def __init__(self, folder, http_port, **settings):
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self.manage_port = ports.free_port(), ports.free_port()
        self.settings = {"validation": {"http_port": http_port}, **settings}
        self.server = None

    @property
    def directory(self):
        return f"https://localhost:{self.port}/dir"

    @property
    def api_ca(self):
        return self.folder / "minica.pem"

    @property
    def root(self):
        return self.folder / "root.pem"

    def prepare(self):
        """What its clients need to have of it before it runs."""
        if not self.api_ca.exists():
            pebble.make_api_certificate(self.folder)
        return self

    def start(self):
        self.prepare()
        path = self.folder / "settings.json"
        path.write_text(json.dumps(self.settings))
        self.server = process.Process("casim", [
            binary(), f"127.0.0.1:{self.port}", self.folder / "api.pem", self.folder / "api.key",
            f"127.0.0.1:{self.manage_port}", path], self.folder / "casim.log").start()
        process.wait_listening(self.server, self.port)
        process.wait_listening(self.server, self.manage_port)
        self.root.write_bytes(self.ask("/roots/0"))
        return self

    def stop(self):
        if self.server:
            self.server.stop(timeout=5)

    def ask(self, path, body=None):
        """Of its management port."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.manage_port}{path}", data,
                                         {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.code} {error.read().decode()}") from error

    def tell(self, path):
        return json.loads(self.ask(path))
