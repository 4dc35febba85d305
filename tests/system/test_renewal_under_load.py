"""Certificates are renewed while visitors shake hands all the time, with every worker of nginx:
none fails, nothing is reloaded, and what is renewed is what everybody gets from then on."""

import random
import ssl
import threading
import time

import pytest

from lab import process, tls, wait

NAMES = [f"n{number:02}.load.example.com" for number in range(16)]
RENEWALS = 3
CLIENTS, STAYERS, WORKERS = 6, 2, 3
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
RESUMED_SHARE = 0.2


class Crowd:
    """Threads of visitors.  Whatever goes wrong for one is in .failed."""

    def __init__(self, site):
        self.site = site
        self.failed = []
        self.full = []  # (begun, name, serial, worker) of full handshakes
        self.resumed = 0
        self.requests_of_stayers = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._guarded, args=(self._come_and_go, seed), daemon=True)
                         for seed in range(CLIENTS)]
        self._threads += [threading.Thread(target=self._guarded, args=(self._stay, seed), daemon=True)
                          for seed in range(STAYERS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def _guarded(self, visits, seed):
        rng = random.Random(seed)
        while not self._stop.is_set():
            try:
                visits(rng)
            except Exception as error:
                self.failed.append((time.monotonic(), repr(error)))

    def _ask(self, visit, name):
        status, headers, _ = visit.get(name)
        assert status == 200 and visit.names == [name], (status, name, visit.names)
        return int(headers["X-Worker"])

    def _come_and_go(self, rng):
        """One full handshake, and sometimes another visit with its session."""
        name = rng.choice(NAMES)
        ctx = tls.context(self.site.root, rng.choice(VERSIONS))
        begun = time.monotonic()
        with self.site.connect(name, ctx) as visit:
            worker = self._ask(visit, name)
            self.full.append((begun, name, visit.serial.lstrip("0"), worker))
            session = visit.sock.session
        if rng.random() < RESUMED_SHARE:
            with self.site.connect(name, ctx, session=session) as visit:
                self._ask(visit, name)
                self.resumed += visit.sock.session_reused

    def _stay(self, rng):
        """A connection that lives through the renewals."""
        name = rng.choice(NAMES)
        with self.site.connect(name) as visit:
            while not self._stop.wait(0.05):
                self._ask(visit, name)
                self.requests_of_stayers += 1


@pytest.fixture(scope="module")
def site():
    from conftest import _end_site, _new_site
    made = _new_site(nginx_options={
        "workers": WORKERS, "http_extra": "\tkeepalive_requests 100000;",
        "https_extra": "\t\t\tadd_header X-Worker $pid;"})
    try:
        yield made.start()
    finally:
        _end_site(made)


def serials(site):
    return {domain["name"]: domain["certificate"]["serial"].lstrip("0")
            for domain in site.herd.look("/v1/domains?limit=1000").json["domains"]
            if domain["state"] == "active"}


def renew_all(site):
    """Returns when each name was seen to be active with which new serial."""
    before, seen = serials(site), {}
    assert before.keys() == set(NAMES)
    site.herd.cli("domain", "retry", *NAMES)

    def all_renewed():
        for name, serial in serials(site).items():
            if serial != before[name] and name not in seen:
                seen[name] = (time.monotonic(), serial)
        return len(seen) == len(NAMES)

    wait.until(all_renewed, lambda: f"renewed: {sorted(seen)}", 60, interval=0.2)
    return seen


def check_nothing_old_came(crowd, seen):
    """Whoever came after the name was active with its new certificate got that one."""
    for begun, name, serial, worker in list(crowd.full):
        since, new = seen[name]
        assert begun < since or serial == new, f"worker {worker} served {name} as it was before"


def wait_all_workers(crowd, workers, seen):
    """Every worker serves every new certificate."""
    wanted = {(worker, name, serial) for worker in workers for name, (_, serial) in seen.items()}

    def missing():
        return wanted - {(worker, name, serial) for _, name, serial, worker in list(crowd.full)}

    wait.until(lambda: not missing(), lambda: f"not served yet: {sorted(missing())[:5]}", 60)


@pytest.mark.timeout(240)
def test_no_visitor_fails_while_certificates_are_renewed(site):
    answer = site.herd.api().post("/v1/domains", {"domains": [{"name": name} for name in NAMES]})
    assert answer.json["created"] == len(NAMES)
    for name in NAMES:
        site.herd.wait_state(name, "active", 60)
    workers = set(process.children_of(site.nginx.process.pid))
    assert len(workers) == WORKERS
    with Crowd(site) as crowd:
        for _ in range(RENEWALS):
            seen = renew_all(site)
            wait_all_workers(crowd, workers, seen)
            check_nothing_old_came(crowd, seen)
            assert not crowd.failed, crowd.failed[:5]
    assert not crowd.failed, crowd.failed[:5]
    assert set(process.children_of(site.nginx.process.pid)) == workers, "no worker was replaced"
    assert "reconfiguring" not in site.nginx.error_log()
    assert {worker for _, _, _, worker in crowd.full} == workers
    assert crowd.resumed and crowd.requests_of_stayers
    print(f"{len(crowd.full)} full and {crowd.resumed} resumed handshakes, "
          f"{crowd.requests_of_stayers} requests on standing connections, none failed")
