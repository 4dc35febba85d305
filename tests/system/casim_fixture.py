"""A platform whose CA is casim (tests/casim)."""

import contextlib

from lab import casim, site as site_module


@contextlib.contextmanager
def running(issuer=None, **settings):
    """(site, ca): everything runs; settings of the issuer, and of the CA.  For whoever shares it
    among the tests of a file."""
    site = site_module.Site(site_module.make_scratch("certherd-test-"))
    ca = casim.Casim(site.folder / "casim", site.pebble.http_port, **settings)
    site.settings = {"issuer": {"directory": ca.directory, "directory_ca": ca.api_ca,
                                "roots": ca.root, **(issuer or {})}}
    site.herd.companions.append(lambda: ca.server.check_alive() or True)
    try:
        ca.start()
        yield site.start(), ca
    finally:
        try:
            site.stop()
        finally:
            ca.stop()
            site.remove()


def add_all(site, names):
    answer = site.herd.api().post("/v1/domains", {"domains": [{"name": name} for name in names]})
    assert answer.status == 200, answer


def states(site):
    """{name: state} of all names."""
    found, path = {}, "/v1/domains?limit=1000"
    listing = site.herd.look(path).json
    for domain in listing["domains"]:
        found[domain["name"]] = domain["state"]
    return found
