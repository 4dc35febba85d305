"""A whole platform in a scratch folder: Pebble, upstream, certherd, nginx."""

import contextlib
import os
import pathlib
import shutil
import tempfile

from . import herd, nginx, pebble, ports, tls, upstream

# Waits that suit a CA on the same machine.  More workers would have Pebble lock up more often.
QUICK = {
    "store": {"edge_timeout": "10s"},
    "issuer": {"terms_agreed": "yes", "poll_interval": "100ms", "retry_ladder": "1s,2s,4s",
               "retry_jitter_percent": "0", "lease": "5s", "workers": "8"},
    "agent": {"poll_wait": "5s"},
}


def make_scratch(prefix):
    """A new folder that other users may pass through, as the roles' users must."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
    os.chmod(folder, 0o755)
    return folder


class Site:
    """Parts are started one by one, or all by start(); stop() stops whatever was started."""

    def __init__(self, folder, pebble_options=None, nginx_options=None, settings=None):
        self.folder = pathlib.Path(folder)
        self.upstream = upstream.Upstream()
        self.pebble = pebble.Pebble(self.folder / "pebble", ports.free_port(), **(pebble_options or {}))
        self.herd = herd.Herd(self.folder / "certherd")
        self.nginx = nginx.Nginx(self.folder / "nginx", self.herd.folder / "edge/nginx-certherd.conf",
                                 self.upstream.port, http_port=self.pebble.http_port,
                                 **(nginx_options or {}))
        self.pebble.tls_port = self.nginx.https_port
        self.settings = settings or {}
        self.root = self.folder / "root.pem"

    def prepare(self, *init_arguments):
        """Starts what certherd depends on, and writes its folder and configuration."""
        self.start_ca()
        return self.prepare_without_ca(*init_arguments)

    def start_ca(self):
        self.pebble.start()
        self.herd.companions.append(self.pebble.check)
        self.pebble.save_root(self.root)

    def prepare_without_ca(self, *init_arguments):
        self.upstream.start()
        self.herd.init(*init_arguments)
        self.herd.set("issuer", directory=self.pebble.directory, directory_ca=self.pebble.api_ca,
                      roots=self.root, probe=f"127.0.0.1:{self.nginx.https_port}")
        if os.geteuid() == 0:
            self.herd.set("up", store_user="-", issuer_user="-", agent_user="-")
        for settings in (QUICK, self.settings):
            for section, keys in settings.items():
                self.herd.set(section, **keys)
        if os.geteuid() == 0:
            self.herd.cli("init", "--own", self.herd.folder)
        return self

    def start(self, *init_arguments):
        self.prepare(*init_arguments)
        self.herd.start("up")
        self.nginx.start()
        return self

    def check(self):
        """Fails with a clear message when Pebble, nginx or certherd is gone."""
        self.herd.check()
        self.nginx.check()

    def stop(self):
        """All of it, also when one of them has not ended as it should, which is raised then."""
        codes = {}
        with contextlib.ExitStack() as rest:
            rest.callback(self.upstream.stop)
            rest.callback(self.pebble.stop)
            rest.callback(lambda: codes.update(self.herd.stop()))
            self.nginx.stop()
        return codes

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def add(self, name, **fields):
        answer = self.herd.api().put(f"/v1/domains/{name}", fields)
        assert answer.status in (200, 201), answer
        return answer.json

    def go_live(self, name, timeout=30, **fields):
        """Adds the name and waits until it is active; returns the domain."""
        self.add(name, **fields)
        return self.herd.wait_state(name, "active", timeout)

    def connect(self, sni, ctx=None, port=None, **options):
        return tls.Connection(port or self.nginx.https_port, sni, ctx or tls.context(self.root), **options)
