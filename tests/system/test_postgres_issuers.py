"""Two stores on one PostgreSQL database, and an issuer that asks only one of them for work: what it says
of itself the other one knows as well."""

import os
import signal

import pytest

from lab import site as site_module, wait
from test_postgres import Pair


class OneSided(Pair):
    def configure(self):
        """One name may be ordered in a month, so that the next ones wait."""
        place = self.site.herd
        place.set("issuer", store=f"https://127.0.0.1:{place.store_port}", caa_identities="pebble.test",
                  orders_per_account="2/60d")

    def second_api(self):
        return self.api(self.second_port)

    def first_api(self):
        return self.api(self.site.herd.store_port)

    def row(self):
        """What is written of the issuer, and by which transaction."""
        return self.server.run("SELECT id, xmin, says FROM issuer", "certherd").splitlines()


@pytest.fixture(scope="module")
def pair():
    two = OneSided(site_module.make_scratch("certherd-pg-"))
    try:
        yield two.start()
    finally:
        two.stop()


def forecast(api, waiting):
    """Asking has the store look again."""
    def look():
        found = api.get("/v1/forecast").json
        return found if found["limited"] and found["waiting"] == waiting and found["classes"] else None
    return wait.until(look, f"{waiting} are foretold their turn", 90)


def test_each_store_foretells_the_turns(pair):
    names = [f"w{number}.pg.example.com" for number in range(5)]
    for name in names:
        pair.put(name, pair.second_port)
    far, near = forecast(pair.second_api(), 4), forecast(pair.first_api(), 4)
    assert far["raise"] == near["raise"] == "orders_per_account"
    assert [bucket["of"] for bucket in far["buckets"]] == [bucket["of"] for bucket in near["buckets"]]
    assert far["buckets"] and far["classes"][0]["waiting"] == 4

    def turns(api):
        domains = [api.get(f"/v1/domains/{name}").json for name in names]
        found = {domain["name"]: (domain["expected"]["limit"], domain["expected"]["ahead"])
                 for domain in domains if domain["expected"]}
        return found if len(found) == 4 else None
    seen = [wait.until(lambda api=api: turns(api), "all know their turn", 90)
            for api in (pair.second_api(), pair.first_api())]
    assert seen[0] == seen[1] and {limit for limit, _ in seen[0].values()} == {"account"}


def test_each_store_advises_the_same_records(pair):
    pair.put("caa.pg.example.com", pair.second_port)
    far, near = [wait.until(lambda api=api: api.get("/v1/domains/caa.pg.example.com").json["caa"],
                            "the record is advised", 30)
                 for api in (pair.second_api(), pair.first_api())]
    assert far == near and "pebble.test" in far[0]


def test_each_store_knows_which_cas_there_are(pair):
    api = pair.second_api()
    forecast(api, 5)
    answer = api.put("/v1/domains/typo.pg.example.com", {"cas": ["mian"]})
    assert (answer.status, answer.code) == (409, "ca-unknown") and "main" in answer.json["detail"]
    assert api.put("/v1/domains/typo.pg.example.com", {"cas": ["main"]}).status == 201
    assert api.delete("/v1/domains/typo.pg.example.com").status == 204


def test_what_is_no_news_is_not_written(pair):
    """Nor when the issuer begins anew: it says the same."""
    before = pair.row()
    assert len(before) == 1 and before[0].startswith("issuer/default/")
    pid = pair.site.herd.pid_of("issuer")
    os.kill(pid, signal.SIGTERM)
    wait.until(lambda: pair.site.herd.pid_of("issuer") not in (None, pid), "the issuer is back", 30)
    name = "again.pg.example.com"
    pair.put(name, pair.site.herd.store_port)
    # It has asked for work since then: the new name is in line.
    wait.until(lambda: pair.first_api().get(f"/v1/domains/{name}").json["reason"]["code"] == "ca-limit-account",
               "the issuer has looked at the name", 60)
    assert pair.row() == before


def test_a_store_that_has_just_started_knows_it_at_once(pair):
    """While no issuer says anything."""
    with pair.site.herd.suspended("issuer"):
        pair.second.stop()
        pair.start_second()
        forecast(pair.second_api(), 6)
        assert pair.second_api().get("/v1/domains/caa.pg.example.com").json["caa"]
