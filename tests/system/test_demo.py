"""The demo, as a person runs it: what it shows, what it exits with, what it leaves behind."""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys

import pytest

from conftest import SLOWNESS
from lab import herd, process, wait

sys.path.insert(0, str(herd.ROOT / "tools"))
import demo

PR_SET_CHILD_SUBREAPER = 36
# The demo's own limit is for a person who waits; here other work may run beside it.
DEADLINE_S = 120 * SLOWNESS
GOOD = "bakery.example.com"


@contextlib.contextmanager
def nothing_stays_running():
    """What outlives the demo becomes a child of this process, whatever session it is in."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    before = set(process.children_of(os.getpid()))
    assert prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0

    def left():
        return [pid for pid in process.children_of(os.getpid()) if pid not in before]

    try:
        yield
        wait.until(lambda: not any(process.exists(pid) for pid in left()),
                   lambda: f"nothing stays: {[process.command_line(pid) for pid in left()]}")
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        for pid in left():
            if process.exists(pid):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


class Demo:
    """One run with a scratch folder of its own; used as a context, nothing may outlive it."""

    def __init__(self, folder, *options, path=""):
        self.tmp = folder / "tmp"
        self.tmp.mkdir()
        self.env = {**os.environ, "TMPDIR": str(self.tmp), "CERTHERD_MODULE": str(herd.module()),
                    "PATH": path + os.environ["PATH"], "PYTHONIOENCODING": "utf-8"}
        build = herd.binary().parents[1]
        if build / "src/certherd" == herd.binary():
            self.env.pop("CERTHERD_BIN", None)  # it follows from --build
        self.command = ["/usr/bin/python3", herd.ROOT / "tools/demo.py", "--build", build,
                        "--deadline", str(DEADLINE_S), *options]

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(nothing_stays_running())
        self.popen = subprocess.Popen([str(word) for word in self.command], env=self.env,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, encoding="utf-8")
        return self

    def __exit__(self, *why):
        if self.popen.poll() is None:
            self.popen.terminate()
        self.popen.wait()
        self.popen.stdout.close()
        self.stack.__exit__(*why)

    def end(self):
        """Its output and its exit status."""
        return self.popen.stdout.read(), self.popen.wait()


def table(text):
    """The rows below the head, as name -> (state, HTTPS, reason)."""
    lines = text.splitlines()
    [head] = [at for at, line in enumerate(lines) if re.match(r"  NAME +STATE ", line)]
    found = {}
    for line in lines[head + 2:]:
        if not line.strip():
            break
        name, state, _, _, https, *reason = re.split(r" {2,}", line.strip())
        assert name not in found, line
        found[name] = (state, https, *reason)
    return found


@pytest.mark.timeout(240)
def test_every_good_name_goes_live_and_nothing_is_left(scratch):
    with Demo(scratch, "--once") as run:
        text, code = run.end()
        assert code == 0, text
    assert list(run.tmp.iterdir()) == []
    good = [name for name in [*demo.NAMES, f"www.{demo.WWW}"] if name != demo.BROKEN]
    expected = {name: ("active", "200") for name in good}
    expected[demo.BROKEN] = ("failed", "refused", "connection-failed (customer must act)")
    assert table(text) == expected
    # 25 lines: one name is there twice, in other letters, and one is no name.
    assert re.search(rf'^  line 16: "{demo.INVALID},no" rejected: .*\(name-character\)$', text, re.M)
    assert "\n  23 registered, 0 changed, 1 unchanged, 1 rejected\n" in text
    assert re.search(rf"^  {demo.BROKEN}: The CA could not reach .* Next try: \S+Z\.$",
                     re.sub(r"\n    ", " ", text), re.M), text
    assert "Every good name is live and verified" in text


def write_doubting_curl(folder):
    """A curl that trusts another CA when it is asked for one of the good names."""
    folder.mkdir()
    real = subprocess.run(["which", "curl"], capture_output=True, text=True, check=True).stdout.strip()
    other = folder / "other-ca.pem"
    process.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                 "-nodes", "-keyout", folder / "other-ca.key", "-subj", "/CN=other", "-out", other])
    curl = folder / "curl"
    curl.write_text(f"""#!/bin/sh
case "$*" in
*https://{GOOD}/*) exec {real} "$@" --cacert {other} ;;
esac
exec {real} "$@"
""")
    curl.chmod(0o755)


@pytest.mark.timeout(240)
def test_a_good_name_that_does_not_verify_fails_the_demo(scratch):
    write_doubting_curl(scratch / "bin")
    with Demo(scratch, "--once", path=f"{scratch / 'bin'}:") as run:
        text, code = run.end()
        assert code == 1, text
    assert list(run.tmp.iterdir()) == []
    found = table(text)
    assert found[GOOD] == ("active", "curl: 60")
    assert [name for name in found if found[name][1] == "200"] == [
        name for name in found if name not in (GOOD, demo.BROKEN)]
    assert "NOT every good name is live" in text and "Every good name" not in text


@pytest.mark.timeout(240)
def test_a_demo_that_is_interrupted_leaves_nothing_either(scratch):
    """Without --once it runs until a signal; that is no failure."""
    with Demo(scratch) as run:
        lines = iter(run.popen.stdout.readline, "")
        assert any("Running until Ctrl-C" in line for line in lines)
        [folder] = run.tmp.iterdir()
        assert (folder / "certherd/certherd.conf").exists()
        run.popen.send_signal(signal.SIGTERM)
        text, code = run.end()
        assert code == 0, text
    assert list(run.tmp.iterdir()) == []


# ---- its verdict, without running anything


def domain(name, state="active"):
    code = "ok" if state == "active" else "connection-failed"
    return {"name": name, "display": name, "state": state, "certificate": None, "next_at": "never",
            "reason": {"code": code, "actor": "nobody", "detail": ""}}


class Shown:
    """What the store lists and what a visitor gets, good unless it is changed."""

    def __init__(self):
        names = [*demo.NAMES, f"www.{demo.WWW}"]
        self.domains = {name: domain(name, "failed" if name == demo.BROKEN else "active")
                        for name in names}
        self.https = {name: "refused" if name == demo.BROKEN else "200" for name in names}


def good_is_failed(shown):
    shown.domains[GOOD] = domain(GOOD, "failed")


def good_is_on_its_way(shown):
    shown.domains[GOOD] = domain(GOOD, "issuing")


def good_is_refused(shown):
    shown.https[GOOD] = "refused"


def good_answers_something_else(shown):
    shown.https[GOOD] = "421"


def good_is_gone(shown):
    del shown.domains[GOOD]


def broken_is_live(shown):
    shown.https[demo.BROKEN] = "200"


def broken_is_still_tried(shown):
    shown.domains[demo.BROKEN] = domain(demo.BROKEN, "validating")


def verdict(shown, monkeypatch):
    monkeypatch.setattr(demo, "fetch", lambda site, name: shown.https[name])
    return demo.report(None, list(shown.domains.values()))


def test_the_verdict_is_good_when_all_is_as_it_should_be(monkeypatch):
    assert verdict(Shown(), monkeypatch) is True


@pytest.mark.parametrize("change", [
    good_is_failed, good_is_on_its_way, good_is_refused, good_answers_something_else, good_is_gone,
    broken_is_live, broken_is_still_tried])
def test_the_verdict_is_bad_when(change, monkeypatch):
    shown = Shown()
    change(shown)
    assert verdict(shown, monkeypatch) is False
