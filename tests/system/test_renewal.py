"""Renewal, with certificates that live for seconds."""

import pytest

from lab import tls, wait


@pytest.fixture(scope="module")
def site(request):
    from conftest import _end_site, _new_site
    made = _new_site(pebble_options={"validity_s": 30, "nonce_reject": 50},
                     settings={"issuer": {"renew_left_percent": "80", "renew_jitter_percent": "1"}})
    try:
        yield made.start()
    finally:
        _end_site(made)


def test_a_certificate_is_renewed_before_it_ends_and_served_at_the_next_handshake(site):
    first = site.go_live("renew.example.com")
    later = site.herd.wait_state(
        "renew.example.com", ("active", "renewing"), 30,
        also=lambda domain: domain["certificate"]["version"] > first["certificate"]["version"])
    assert later["certificate"]["serial"] != first["certificate"]["serial"]

    def served():
        with site.connect("renew.example.com") as visit:
            return visit.serial.lstrip("0") != first["certificate"]["serial"].lstrip("0")

    assert wait.until(served, "the new certificate is served", 10)


def test_visitors_never_notice_a_renewal(site):
    first = site.go_live("steady.example.com")
    seen = set()

    def renewed_twice():
        with site.connect("steady.example.com") as visit:
            seen.add(visit.serial)
            assert visit.echo("steady.example.com")["headers"]["host"] == "steady.example.com"
        return len(seen) >= 3

    wait.until(renewed_twice, lambda: f"two renewals are seen: {seen}", 60)
    assert first["failures"] == 0


def test_the_previous_version_is_kept(site):
    first = site.go_live("kept.example.com")
    site.herd.wait_state(
        "kept.example.com", ("active", "renewing"), 30,
        also=lambda domain: domain["certificate"]["version"] > first["certificate"]["version"])
    both = site.herd.look("/v1/certificates/kept.example.com").json
    assert both["current"]["version"] > both["previous"]["version"]
    assert both["current"]["spki_sha256"] != both["previous"]["spki_sha256"]


def test_a_paused_name_is_served_but_not_renewed(site):
    site.go_live("paused.example.com")
    assert site.herd.api().post("/v1/domains/paused.example.com/pause", {}).status == 200
    domain = site.herd.wait_state("paused.example.com", "paused")
    served = domain["certificate"]["serial"]
    with site.connect("paused.example.com") as visit:
        assert visit.serial.lstrip("0") == served.lstrip("0")
    # Another name that comes later is renewed meanwhile: the clock has passed the paused one's.
    other = site.go_live("awake.example.com")
    site.herd.wait_state(
        "awake.example.com", ("active", "renewing"), 30,
        also=lambda now: now["certificate"]["version"] > other["certificate"]["version"])
    assert site.herd.domain("paused.example.com")["certificate"]["serial"] == served
    assert site.herd.api().post("/v1/domains/paused.example.com/resume", {}).status == 200
    site.herd.wait_state(
        "paused.example.com", ("active", "renewing"), 30,
        also=lambda now: now["certificate"]["serial"] != served)


def test_an_expired_session_context_is_no_matter(site):
    """A session begun under the old certificate may go on under the new one."""
    first = site.go_live("session.example.com")
    ctx = tls.context(site.root)
    with site.connect("session.example.com", ctx) as visit:
        visit.get("session.example.com")
        session = visit.sock.session
    site.herd.wait_state(
        "session.example.com", ("active", "renewing"), 30,
        also=lambda domain: domain["certificate"]["version"] > first["certificate"]["version"])
    with site.connect("session.example.com", ctx, session=session) as visit:
        assert visit.echo("session.example.com")["headers"]["host"] == "session.example.com"
