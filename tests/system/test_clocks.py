"""A host whose clock is wrong by an hour or a day (certherd-shifted, tests/shifted): certificates stay and
names go live all the same, nothing is issued twice, and somebody is told."""

import pytest

from lab import herd, process, wait

SHIFTED = herd.binary().parents[1] / "tests/shifted/certherd-shifted"
HOUR, DAY = 3600, 86400
ROLES = ("store", "issuer", "agent")

pytestmark = pytest.mark.skipif(not SHIFTED.exists(), reason=f"{SHIFTED} is not there: no build folder")


class Site:
    def __init__(self, site):
        self.site, self.running = site, {}

    def start(self, role, shift_s=0):
        place = self.site.herd
        if role in self.running:
            place.running.remove(self.running[role])
            self.running[role].stop()
        child = process.Process(f"certherd {role}", [SHIFTED, role], place.folder / f"{role}.log",
                                env={**place.env, "CERTHERD_SHIFT_S": str(shift_s)}).start()
        place.running.append(child)
        self.running[role] = child
        if role == "store":
            wait.until(lambda: child.check_alive() and place.is_healthy(), child.log)
        return child


def serial(site, name):
    return site.herd.domain(name)["certificate"]["serial"]


def trouble(site, kind):
    return [one for one in site.herd.look("/v1/alerts").json["alerts"] if one["kind"] == kind]


# A certificate of the test's CA, which was made a moment ago, is not valid yet where the clock is behind.
@pytest.mark.parametrize("role, shift_s", [("issuer", HOUR), ("store", -HOUR), ("store", HOUR),
                                           ("agent", HOUR), ("agent", -HOUR), ("store", DAY), ("agent", DAY)])
def test_names_go_live_with_one_wrong_clock(make_site, role, shift_s):
    site = make_site(settings={"agent": {"poll_wait": "1s"}}).prepare()
    made = Site(site)
    for each in ROLES:
        made.start(each)
    site.nginx.start()
    site.go_live("a.clock.example.com")
    before = serial(site, "a.clock.example.com")
    made.start(role, shift_s)
    if role == "store":
        made.start("issuer")  # else it looks every twenty seconds
    site.go_live("b.clock.example.com")
    for name in ("a", "b"):
        with site.connect(f"{name}.clock.example.com") as visit:
            assert visit.names == [f"{name}.clock.example.com"]
    assert serial(site, "a.clock.example.com") == before
    if role == "agent":
        wait.until(lambda: trouble(site, "edge-in-trouble") or
                   "set both by NTP" in (site.herd.look("/v1/edges").json["edges"][0]["error"] or ""),
                   "the edge says so")
    else:
        wait.until(lambda: "set both by NTP" in made.running["issuer"].log(), "the issuer says so", 40)
        wait.until(lambda: trouble(site, "clock-wrong"), "an alert is open")


@pytest.mark.parametrize("role, shift_s", [("issuer", DAY), ("issuer", -DAY), ("agent", -DAY), ("store", -DAY)])
def test_what_cannot_work_changes_nothing_and_is_mended_by_the_clock(make_site, role, shift_s):
    """Identities that are not valid yet, a CA's orders that look expired."""
    site = make_site(settings={"agent": {"poll_wait": "1s"}}).prepare()
    made = Site(site)
    for each in ROLES:
        made.start(each)
    site.nginx.start()
    site.go_live("a.clock.example.com")
    before = serial(site, "a.clock.example.com")
    log = made.start(role, shift_s).log
    wait.until(lambda: any(word in made.running[each].log() for each in ROLES for word in
                           ("not valid yet", "not yet valid", "set both by NTP")), log, 40)
    with site.connect("a.clock.example.com") as visit:
        assert visit.names == ["a.clock.example.com"]
    made.start(role)
    assert serial(site, "a.clock.example.com") == before
    site.go_live("b.clock.example.com")
