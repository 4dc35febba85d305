"""A platform whose CA is the simulator of tests/casim, with the programs apart, for suites that watch
names go live."""

import time

from lab import casim, site, wait

ROUND_S = 300


class Scene:
    """ca: settings of the simulator; issuer, more: of [issuer], and of Site."""

    def __init__(self, folder, ca=None, issuer=None, **more):
        self.site = site.Site(folder, **more)
        self.ca = casim.Casim(folder / "casim", self.site.pebble.http_port, **(ca or {}))
        self.site.settings = {
            "issuer": {"directory": self.ca.directory, "directory_ca": self.ca.api_ca, "roots": "any",
                       "poll_interval": "500ms", "lease": "60s", **(issuer or {})},
            "store": {"edge_timeout": "60s"}, "agent": {"poll_wait": "30s"}}
        self.running = {}

    def start(self):
        self.ca.start()
        self.site.prepare()
        self.start_programs()
        self.site.nginx.start()

    def start_programs(self):
        for program in ("store", "issuer", "agent"):
            self.running[program] = self.site.herd.start(program)

    def stop(self):
        self.site.stop()
        self.ca.stop()

    def pid(self, program):
        return self.running[program].pid

    def add(self, names):
        api = self.site.herd.api()
        for at in range(0, len(names), 5000):
            body = {"domains": [{"name": name} for name in names[at:at + 5000]]}
            answer = api.post("/v1/domains", body)
            if answer.status != 200 or answer.json["rejected"]:
                raise RuntimeError(f"{answer}")

    def count(self, state):
        return self.site.herd.api().get("/v1/status").json["names"][state]

    def round(self, names):
        """Names a second, from registration to all being active."""
        active = self.count("active")
        began = time.monotonic()
        self.add(names)
        wait.until(lambda: self.count("active") == active + len(names), "all names of the round are active",
                   timeout=ROUND_S, interval=0.05)
        self.site.check()
        return len(names) / (time.monotonic() - began)
