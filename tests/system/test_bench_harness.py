"""bench/run.py with suites that measure nothing: what it prints, leaves behind and exits with."""

import json
import shutil
import subprocess
import sys

import pytest

from lab import herd

BENCH = herd.ROOT / "bench"
KEYS = {"figure", "value", "unit", "limit", "ok", "how"}
STALE = '[{"figure": "of an earlier run"}]'

# By the names of real suites, as run.py takes no others.
KEPT = """\
from report import Report


def run(bench):
    report = Report("seal")
    report.at_least("speed", 6.54321, "× faster", 6, "6.5 to 6.6; fake")
    report.at_most("time", 1.2, "×", 1.2)
    report.tell("told", 1234.5, "µs")
    return report
"""
MISSED = """\
from report import Report


def run(bench):
    report = Report("start")
    report.either("time", 1.3, "×", "≤ 1.2 or + 5 ms", False, "1.1 to 1.4; fake")
    report.tell("told", 7, "ms")
    return report
"""
RAISES = """\
def run(bench):
    raise RuntimeError("the yardstick broke")
"""
EMPTY = """\
from report import Report


def run(bench):
    return Report("handshake")
"""


class Harness:
    """The real run.py and report.py beside fake suites and a fake build folder."""

    def __init__(self, folder):
        self.folder = folder / "bench"
        self.results = self.folder / "results"
        self.build = folder / "build"
        self.results.mkdir(parents=True)
        for name in ("run.py", "report.py", "measure.py"):
            shutil.copy(BENCH / name, self.folder)
        for suite, text in (("seal", KEPT), ("start", MISSED), ("store", RAISES),
                            ("handshake", EMPTY)):
            (self.folder / f"suite_{suite}.py").write_text(text)
            self.path(suite).write_text(STALE)
        self.set_build(optimization="2", b_sanitize="none")

    def set_build(self, **options):
        told = self.build / "meson-info/intro-buildoptions.json"
        told.parent.mkdir(parents=True, exist_ok=True)
        told.write_text(json.dumps([{"name": name, "value": value}
                                    for name, value in options.items()]))

    def path(self, suite):
        return self.results / f"{suite}.json"

    def rows(self, suite):
        rows = json.loads(self.path(suite).read_text())
        assert isinstance(rows, list)
        assert all(set(row) == KEYS for row in rows), rows
        return rows

    def run(self, *suites):
        return subprocess.run([sys.executable, "-B", self.folder / "run.py", "--build", self.build,
                               *suites], capture_output=True, text=True, timeout=60)


@pytest.fixture
def harness(scratch):
    return Harness(scratch)


def test_limits_kept(harness):
    done = harness.run("seal")
    assert done.returncode == 0, done
    assert harness.rows("seal") == [
        {"figure": "speed", "value": 6.5432, "unit": "× faster", "limit": "≥ 6", "ok": True,
         "how": "6.5 to 6.6; fake"},
        {"figure": "time", "value": 1.2, "unit": "×", "limit": "≤ 1.2", "ok": True, "how": ""},
        {"figure": "told", "value": 1234.5, "unit": "µs", "limit": None, "ok": True, "how": ""}]
    assert "MISSED" not in done.stdout and "6.54" in done.stdout


def test_only_what_was_asked_for_runs(harness):
    assert harness.run("seal").returncode == 0
    assert harness.path("store").read_text() == STALE


def test_limit_missed(harness):
    done = harness.run("start")
    assert done.returncode == 1, done
    assert [(row["limit"], row["ok"]) for row in harness.rows("start")] == [
        ("≤ 1.2 or + 5 ms", False), (None, True)]
    assert "MISSED" in done.stdout
    assert "not within the limits: start" in done.stdout


def test_suite_raises(harness):
    done = harness.run("store")
    assert done.returncode == 1, done
    assert not harness.path("store").exists()
    assert "store: could not be measured" in done.stdout
    assert "the yardstick broke" in done.stderr


def test_the_others_run_after_one_that_raises(harness):
    done = harness.run("store", "seal")
    assert done.returncode == 1, done
    assert not harness.path("store").exists()
    assert all(row["ok"] for row in harness.rows("seal"))
    assert done.stdout.endswith("not within the limits: store\n")


def test_suite_that_found_nothing(harness):
    assert harness.run("handshake").returncode == 1
    assert harness.rows("handshake") == []


def test_unknown_suite(harness):
    done = harness.run("seal", "nonsense")
    assert done.returncode == 2, done
    assert "no such suite: nonsense; there are seal, " in done.stderr
    assert harness.path("seal").read_text() == STALE  # nothing ran
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("options", ({"optimization": "0", "b_sanitize": "none"},
                                     {"optimization": "2", "b_sanitize": "address,undefined"}))
def test_slow_build(harness, options):
    harness.set_build(**options)
    done = harness.run("seal")
    assert done.returncode == 1, done
    assert "figures need optimization 2 or 3 and no sanitizer" in done.stderr
    assert harness.path("seal").read_text() == STALE


def test_no_build(harness):
    shutil.rmtree(harness.build)
    done = harness.run("seal")
    assert done.returncode == 1, done
    assert "is not a build folder" in done.stderr


@pytest.mark.parametrize("words,complaint", [
    (("--names", "99"), "at least 100"),
    (("--part", "start", "--part", "nonsense"), "no such part: nonsense; there are start, "),
])
def test_bench_edge_refuses(harness, words, complaint):
    done = subprocess.run([sys.executable, "-B", BENCH / "bench_edge.py", "--build", harness.build,
                           *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_bench_edge_with_a_slow_build(harness):
    harness.set_build(optimization="0", b_sanitize="none")
    done = subprocess.run([sys.executable, "-B", BENCH / "bench_edge.py", "--build", harness.build],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done
    assert "figures need optimization 2 or 3 and no sanitizer" in done.stderr
