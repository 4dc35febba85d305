"""The web interface: what it shows, to whom, and what hostile texts in it cannot do."""

import contextlib
import os
import pathlib
import re
import signal
import socket

import pytest

import ui_fixture
from lab import browser, herd as lab_herd, ports, process, wait

EVIL = "<script>window.evil = 1</script>\"><img src=x onerror=\"window.evil = 1\">\u202e"
BROKEN = "broken.example.com"
# What has failed stays so while it is looked at.
SITE_SETTINGS = {"issuer": {"retry_ladder": "1d"}}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
                               "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@pytest.fixture(scope="module")
def platform(site):
    """A site with a name that is live, one that fails, and an edge that says something evil."""
    site.pebble.break_name(BROKEN)
    site.add(BROKEN, tenant="t-broken")
    site.go_live("live.example.com")
    site.herd.wait_state(BROKEN, "failed")
    site.herd.cli("feed", "freeze", "--reason", EVIL)
    yield site
    site.herd.cli("feed", "thaw")


@pytest.fixture(scope="module")
def ui(platform):
    with ui_fixture.running(platform.herd, platform.folder / "ui.log") as made:
        yield made


@pytest.fixture(scope="module")
def chromium():
    if not browser.find():
        pytest.skip("there is no Chromium here (Debian: chromium)")
    with browser.Browser() as made:
        yield made


# ---- what is shown


def test_the_overview(ui):
    page = ui.get("/")
    assert page.status == 200 and page.headers["Content-Type"] == "text/html; charset=utf-8"
    # While it is tried again the name that fails has not failed.
    page = wait.until(lambda: (found := ui.get("/")) and "customer’s DNS" in found.text and found, "a name has failed")
    for text in ("Overview", "edge/default/e1", "certherd feed thaw", "customer’s DNS", "Limits of the CAs",
                 "Renewals", "Backlog", "&lt;script&gt;window.evil"):
        assert text in page.text, text
    assert "<script" not in page.text and "<img" not in page.text and "\u202e" not in page.text


def test_the_list_and_its_filters(ui):
    page = ui.get("/names")
    assert "live.example.com" in page.text and BROKEN in page.text
    page = ui.get("/names?state=failed&actor=customer&tenant=t-broken&pool=default&prefix=bro")
    assert page.status == 200 and BROKEN in page.text and "live.example.com" not in page.text
    assert "There is no such name" in ui.get("/names?prefix=nothing").text
    # As people write names, with the dots of other scripts.
    page = ui.get("/names?prefix=LIVE%E3%80%82exa")
    assert "live.example.com" in page.text and 'value="LIVE。exa"' in page.text
    assert "There is no such name" in ui.get("/names?prefix=b%C3%BCcher.").text
    page = ui.get("/names?prefix=b%C3%BC")
    assert page.status == 400 and "give the label whole, with its dot" in page.text
    assert ui.get("/names?state=nonsense").status == 400  # the store's answer, with its words
    assert "nonsense" not in ui.get("/names?state=failed").text


def test_the_list_goes_on(platform, ui):
    names = [f"n{at:03}.page.example.com" for at in range(120)]
    answer = platform.herd.api().post("/v1/domains", {"domains": [{"name": name, "tenant": "paged"}
                                                                 for name in names]})
    assert answer.status == 200
    path, seen = "/names?tenant=paged", []
    for _ in range(3):
        page = ui.get(path)
        seen += re.findall(r'class="name" href="[^"]*">([^<]+)</a>', page.text)
        more = re.search(r'href="([^"]+)">More', page.text)
        path = more and more[1].replace("&amp;", "&").removeprefix(ui.root)
    assert seen == names and path is None
    assert page.text.count("To the beginning") == 1
    for name in names:
        platform.herd.api().delete(f"/v1/domains/{name}")


def test_a_name_is_as_domain_show_has_it(platform, ui):
    page = ui.get(f"/names/{BROKEN}")
    shown = platform.herd.domain(BROKEN)
    assert page.status == 200
    assert shown["reason"]["code"] in page.text and "customer’s DNS" in page.text
    assert "What to do" in page.text and "Orders" in page.text and "History" in page.text
    page = ui.get("/names/live.example.com")
    assert platform.herd.domain("live.example.com")["certificate"]["serial"] in page.text
    assert ui.get("/names/LIVE.example.com.").status == 200


def test_a_code_is_explained(ui):
    link = re.search(r'href="([^"]*/help/reason/[^"]*)"', ui.get(f"/names/{BROKEN}").text)[1]
    page = ui.get(link.removeprefix(ui.root))
    assert page.status == 200 and "what to do" in page.text
    assert ui.get("/help/reason/nonsense").status == 404


def test_what_is_wrong_has_a_page(ui):
    page = ui.get("/names/nobody.example.com")
    assert page.status == 404 and "domain-not-found" in page.text and "certherd domain add" in page.text
    assert ui.get("/names/no_name.example").status == 400
    assert ui.get("/names/%zz").status == 400
    assert ui.get("/names?unknown=1").status == 400
    assert ui.get("/nowhere").status == 404
    page = ui.get("/names/" + "a" * 5000)
    assert page.status == 414 and "4096" in page.text
    assert ui.get("/names?prefix=" + "a" * 3000).status == 400


def test_a_viewer_sees_it_too_and_the_platform_most_of_it(platform, scratch):
    herd = platform.herd
    herd.cli("identity", "new", "viewer", "--id", "v1")
    for role, status in (("viewer", 200), ("platform", 200)):
        config = herd.folder / f"as-{role}.conf"
        name = "viewer-v1" if (herd.folder / "pki/viewer-v1.pem").exists() and role == "viewer" else role
        config.write_text(f"[cli]\nstore = https://127.0.0.1:{herd.store_port}\n"
                          f"identity_cert = pki/{name}.pem\nidentity_key = pki/{name}.key\n")
        with ui_fixture.running(herd, scratch / f"{role}.log", "--config", config) as ui:
            page = ui.get("/")
            assert page.status == status and "edge/default/e1" in page.text, page
            assert ("may not see it" in page.text) == (role == "platform")
            assert ui.get("/names/live.example.com").status == status


# ---- who may see it


def test_every_answer_has_the_headers(ui):
    answers = [ui.get("/"), ui.get("/names"), ui.get("/nowhere"), ui.raw("GET", "/style.css"),
               ui.raw("GET", "/"), ui.raw("GET", f"/?token={ui.token}"), ui.raw("POST", "/"),
               ui.raw("GET", "/", host="evil.example")]
    assert [answer.status for answer in answers] == [200, 200, 404, 200, 403, 303, 405, 400]
    for answer in answers:
        for name, value in HEADERS.items():
            assert answer.headers.get_all(name) == [value], (answer, name)
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_token_becomes_a_cookie_and_leaves_the_address(ui):
    page = ui.raw("GET", f"/?token={ui.token}")
    assert page.status == 303 and not page.text and ui.token not in page.headers["Location"]
    assert re.fullmatch(rf"{ui_fixture.COOKIE}=[\w-]{{43}}; Path={re.escape(ui.root)}/; HttpOnly; SameSite=Strict",
                        page.headers["Set-Cookie"])
    assert ui.token not in page.headers["Set-Cookie"]
    for wrong in ("", "x", ui.token[:-1], ui.token + "x", ui.token.swapcase()):
        page = ui.raw("GET", f"/?token={wrong}")
        assert page.status == 403 and "Set-Cookie" not in page.headers and ui.root not in page.text


def test_without_the_cookie_there_is_nothing(ui):
    for path in ("/", "/names", "/names/live.example.com", "/help/reason/ok", "/nowhere"):
        for headers in ({}, {"Cookie": "x=y"}, {"Cookie": ui.cookie[:-1]}, {"Cookie": f"{ui_fixture.COOKIE}={ui.token}"}):
            page = ui.raw("GET", ui.root + path, **headers)
            assert page.status == 403 and "example.com" not in page.text
    # Nor with it at an address that others know.
    for path in ("/", "/names", "/names/live.example.com"):
        assert ui.raw("GET", path, Cookie=ui.cookie).status == 403


def test_a_name_that_was_made_to_point_here_is_refused(ui):
    for host in ("evil.example", f"evil.example:{ui.port}", "127.0.0.1", f"127.0.0.1:{ui.port + 1}"):
        page = ui.get("/", host=host)
        assert page.status == 400 and "edge/default" not in page.text
    assert ui.get("/", host=False).status == 400
    for host in (f"localhost:{ui.port}", f"[::1]:{ui.port}"):
        assert ui.get("/", host=host).status == 200


def test_other_sites_cannot_have_it_asked(ui):
    for site in ("cross-site", "same-site"):
        assert ui.get("/", Sec_Fetch_Site=site).status == 403
    assert ui.get("/", Sec_Fetch_Site="same-origin").status == 200


def test_nothing_can_be_changed(ui):
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        page = ui.get("/names/live.example.com", method=method)
        assert page.status == 405 and page.headers["Allow"] == "GET, HEAD", page
    assert ui.get("/", method="POST", body=b"x" * 100000).status == 405
    head = ui.get("/names", method="HEAD")
    assert head.status == 200 and head.text == "" and int(head.headers["Content-Length"]) > 1000


def test_garbage_does_not_end_it(ui):
    for data in (b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 100000,
                 b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 100000, b"GET %00 HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.create_connection((ui.host, ui.port), timeout=1) as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
            except OSError:
                pass
    assert ui.get("/").status == 200


def test_secrets_are_only_where_they_belong(platform, ui):
    pid = ui.child.pid
    assert ui.token.encode() not in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    log = ui.child.log()
    assert log.count(ui.token) == 1 and ui.root not in log and ui.cookie.split("=", 1)[1] not in log
    for path in platform.herd.folder.rglob("*.log"):
        assert ui.token not in path.read_text(errors="replace"), path


# ---- how it begins and ends


@pytest.mark.parametrize("address", ["0.0.0.0:0", "192.0.2.1:80", "[::]:0", "localhost:0", "127.0.0.1", ":0", "x"])
def test_it_serves_this_machine_only(platform, address):
    done = platform.herd.cli("ui", "--listen", address, check=False)
    assert done.returncode == 2 and "loopback" in done.stderr and not done.stdout


def test_a_port_that_is_taken_is_said(platform, ui):
    done = platform.herd.cli("ui", "--listen", f"127.0.0.1:{ui.port}", check=False)
    assert done.returncode == 1 and f"127.0.0.1:{ui.port}" in done.stderr and not done.stdout


def test_wrong_use_exits_with_2(platform, scratch):
    assert platform.herd.cli("ui", "--nonsense", check=False).returncode == 2
    assert platform.herd.cli("ui", "--config", scratch / "absent", check=False).returncode == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_cleanly(platform, scratch, number):
    port = ports.free_port()
    ui = ui_fixture.Ui(platform.herd, scratch / "ui.log", "--listen", f"127.0.0.1:{port}")
    try:
        assert ui.port == port
        assert ui.sign_in().get("/names").status == 200
    finally:
        code = ui.stop(first=number)
    assert code == 0


@pytest.mark.skipif(not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"), reason="no IPv6 here")
def test_over_ipv6(platform, scratch):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no ::1 here")
    with ui_fixture.running(platform.herd, scratch / "ui.log", "--listen", "[::1]:0") as ui:
        assert ui.host == "[::1]" and ui.get("/names").status == 200


# ---- a store that is away, or lies


@pytest.fixture
def alone(make_site):
    """A herd of which nothing runs."""
    site = make_site()
    site.herd.init()
    return site.herd


def test_a_store_that_is_away(alone, scratch):
    with ui_fixture.running(alone, scratch / "ui.log") as ui:
        for path in ("/", "/names", "/names/a.example.com"):
            page = ui.get(path)
            assert page.status == 502 and "The store cannot be reached" in page.text, page
            assert "<code>certherd up</code>" in page.text and 'http-equiv="refresh"' in page.text
        assert ui.get("/help/reason/ok").status == 200
        alone.start("store")
        assert ui.get("/").status == 200
        assert "There is no such name" in ui.get("/names").text


@pytest.mark.parametrize("first", ["away", "hanging"])
def test_another_store_is_asked_when_one_does_not_answer(alone, scratch, first):
    port = ports.free_port()
    alone.set("cli", store=f"https://127.0.0.1:{port}, https://127.0.0.1:{alone.store_port}")
    alone.start("store")
    with contextlib.ExitStack() as stack:
        if first == "hanging":
            stack.enter_context(ui_fixture.LyingStore(alone, lambda path: None, port))
        ui = stack.enter_context(ui_fixture.running(alone, scratch / "ui.log"))
        assert ui.get("/").status == 200


def test_an_identity_that_is_refused(alone, scratch):
    alone.start("store")
    with ui_fixture.running(alone, scratch / "ui.log") as ui:
        assert ui.get("/").status == 200
        alone.cli("identity", "revoke", alone.pki("operator.pem"))
        page = ui.get("/")
        assert page.status == 502 and "The store refuses us" in page.text, page


LIES = {
    "no JSON": b"<html>",
    "an array": [],
    "deep": b'{"a":' * 100 + b"1" + b"}" * 100,
    "huge": b'{"a":"' + b"x" * (3 << 20) + b'"}',
}


@pytest.mark.parametrize("lie", LIES)
def test_answers_that_are_of_no_use(alone, scratch, lie):
    with ui_fixture.LyingStore(alone, lambda path: LIES[lie]), \
            ui_fixture.running(alone, scratch / "ui.log") as ui:
        for path in ("/", "/names", "/names/a.example.com"):
            page = ui.get(path)
            assert page.status == 502 and "of no use" in page.text, page
        assert ui.child.is_alive()


def test_a_store_that_does_not_answer_is_given_up_and_holds_nobody_up_at_the_end(alone, scratch):
    with ui_fixture.LyingStore(alone, lambda path: None), \
            ui_fixture.running(alone, scratch / "ui.log") as ui:
        page = ui.get("/names")
        assert page.status == 502 and "The store cannot be reached" in page.text
        # In the middle of a page.
        asking = socket.create_connection((ui.host, ui.port))
        asking.sendall(f"GET {ui.root}/names HTTP/1.1\r\nHost: {ui.host}:{ui.port}\r\n"
                       f"Cookie: {ui.cookie}\r\n\r\n".encode())
        with asking:
            assert ui.stop(timeout=10) == 0


# ---- a real browser


def lying(path):
    """Every text is evil."""
    reason = {"code": EVIL, "detail": EVIL, "actor": EVIL}
    certificate = {"serial": EVIL, "issuer": EVIL, "ca": EVIL, "names": [EVIL], "not_after": EVIL,
                   "renewal_info": {"explanation": "javascript:window.evil = 1"}}
    domain = {"name": "javascript:window.evil=1", "display": EVIL, "state": EVIL, "reason": reason, "tenant": EVIL,
              "pool": EVIL, "keys": EVIL, "cas": [EVIL], "certificate": certificate, "www_of": EVIL,
              "second": {"reason": reason, "certificate": certificate, "standby": {"reason": reason}},
              "standby": {"reason": reason, "wanted": EVIL, "ca": EVIL}, "caa": [EVIL],
              "persist": [{"name": EVIL, "txt": EVIL}], "delegation": {"name": EVIL, "cname": EVIL},
              "history": [{"event": EVIL, "detail": EVIL, "actor": EVIL}]}
    return {"/v1/status": {"edges": [{"id": EVIL, "software": EVIL, "error": EVIL}], "version": EVIL,
                           "next_expiry": {"name": EVIL}, "pools": [{"pool": EVIL, "frozen": {"reason": EVIL}}]},
            "/v1/alerts": {"alerts": [{"severity": EVIL, "kind": EVIL, "subject": EVIL, "detail": EVIL}]},
            "/v1/limits": {"limits": [{"limit": EVIL, "of": EVIL, "allowed": EVIL}]},
            "/v1/domains": {"domains": [domain], "next_cursor": EVIL},
            "/v1/orders": {"orders": [{"key": EVIL, "state": EVIL, "reason": reason}]},
            }.get(path.partition("?")[0], domain if path.startswith("/v1/domains/") else {})


def harmless(chromium):
    """That the page has neither scripts nor pictures, and nobody's script has run."""
    assert chromium.run("document.scripts.length + document.images.length + document.forms.length") <= 1
    assert chromium.run("typeof window.evil") == "undefined"
    assert not chromium.run("[...document.links].some(a => !a.href.startsWith(location.origin))")
    assert not chromium.run("[...document.querySelectorAll('*')].some("
                            "e => [...e.attributes].some(a => a.name.startsWith('on') || a.name == 'style'))")


def test_a_browser_finds_its_way(ui, chromium):
    chromium.open(ui.url)
    assert chromium.run("location.pathname") == ui.root + "/"
    assert chromium.run("document.title") == "Overview – certherd"
    assert chromium.run("document.cookie") == ""  # no script can read it
    assert chromium.run("getComputedStyle(document.querySelector('.tile')).borderRadius") == "8px"
    assert EVIL.split('"')[0] in chromium.text()
    harmless(chromium)
    chromium.click("nav a[href$='/names']")
    chromium.run("document.querySelector('[name=prefix]').value = 'broken'")
    chromium.click("form button")
    assert BROKEN in chromium.text() and "live.example.com" not in chromium.text()
    chromium.click("a.name")
    assert chromium.run("document.querySelector('h1').textContent") == BROKEN
    assert "What to do" in chromium.text()
    chromium.click("a[href*='/help/reason/']")
    assert "what to do" in chromium.text()
    harmless(chromium)


def test_a_script_that_got_in_would_not_run(ui, chromium):
    chromium.open(ui.url)
    chromium.forget("Log.entryAdded")
    chromium.run("(s => { s.textContent = 'window.evil = 1'; document.body.append(s) })"
                 "(document.createElement('script'))")
    assert chromium.run("typeof window.evil") == "undefined"
    assert "Content Security Policy" in str(chromium.wait("Log.entryAdded"))


def test_hostile_texts_run_nothing(alone, scratch, chromium):
    with ui_fixture.LyingStore(alone, lying), ui_fixture.running(alone, scratch / "ui.log") as ui:
        chromium.open(ui.url)
        root = f"http://127.0.0.1:{ui.port}{ui.root}"
        for path in ("/", "/names", "/names/a.example.com", "/names?prefix=%22%3E%3Cscript%3Ewindow.evil=1%3C/script%3E",
                     "/names/%3Cscript%3Ewindow.evil=1%3C%2Fscript%3E", "/%3Cscript%3E"):
            chromium.open(root + path)
            assert "certherd" in chromium.text()
            harmless(chromium)
        chromium.open(root + "/names")
        assert "window.evil = 1" in chromium.text()
        chromium.click("a.name")
        assert chromium.run("location.origin") == f"http://127.0.0.1:{ui.port}"
        harmless(chromium)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_pages_fit_the_window_and_can_be_read(ui, chromium, width, dark):
    chromium.look(width, dark)
    chromium.open(ui.url)
    root = chromium.run("location.href")
    for path in ("", "names", f"names/{BROKEN}", "names/live.example.com", "help/reason/dns-failed"):
        chromium.open(root + path)
        assert chromium.run("document.documentElement.scrollWidth <= innerWidth"), path
        assert chromium.run(CONTRASTS) == [], path


# Texts whose contrast with what is behind them is below 4.5 (WCAG 2.2, 1.4.3).
CONTRASTS = """(() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number)
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0)
  const behind = e => { for (; e; e = e.parentElement) {
    const color = rgb(getComputedStyle(e).backgroundColor)
    if (color.length < 4 || color[3] == 1) return color } return [255, 255, 255] }
  return [...document.querySelectorAll('body *')].filter(e => e.checkVisibility() &&
      [...e.childNodes].some(n => n.nodeType == 3 && n.textContent.trim())).filter(e => {
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x)
    return (a + 0.05) / (b + 0.05) < 4.5 }).map(e => e.outerHTML.slice(0, 200))
})()"""


def test_help_is_of_this_program():
    done = process.run([lab_herd.binary(), "ui", "--help"])
    assert "--listen" in done.stdout and "127.0.0.1" in done.stdout
