"""`certherd domain list` when parts of the store's list have nothing for it."""

import json
import os
import subprocess

import pytest

import ui_fixture
from lab import herd as lab_herd


@pytest.fixture
def herd(make_site):
    """Of which nothing runs."""
    site = make_site()
    site.herd.init()
    return site.herd


PARTS = {None: ([], "a"), "a": (["one.example.com"], "b"), "b": ([], "c"), "c": (["two.example.com"], None)}


def parts(path):
    cursor = path.partition("&cursor=")[2] or None
    names, after = PARTS[cursor]
    return {"domains": [{"name": name, "state": "failed"} for name in names], "next_cursor": after}


def test_a_part_without_a_name_that_fits_is_not_the_end(herd):
    with ui_fixture.LyingStore(herd, parts):
        listed = herd.cli("domain", "list", "--all", "--state", "failed", "--tenant", "t").stdout
        assert "one.example.com" in listed and "two.example.com" in listed
        listed = json.loads(herd.cli("domain", "list", "--json", "--state", "failed", "--tenant", "t").stdout)
        assert [domain["name"] for domain in listed["domains"]] == ["one.example.com", "two.example.com"]
        assert listed["more"] is False


def test_as_many_as_asked_for_are_enough(herd):
    with ui_fixture.LyingStore(herd, parts):
        listed = json.loads(herd.cli("domain", "list", "--json", "--limit", "1").stdout)
        assert [domain["name"] for domain in listed["domains"]] == ["one.example.com"]
        assert listed["more"] is True


def broken_after(path):
    """The third part cannot be understood."""
    cursor = path.partition("&cursor=")[2] or None
    return b"no JSON" if cursor == "c" else parts(path)


def test_a_list_that_breaks_off_does_not_look_whole(herd):
    with ui_fixture.LyingStore(herd, broken_after):
        done = herd.cli("domain", "list", "--json", "--all", check=False)
        assert done.returncode == 4 and done.stderr.startswith("certherd domain list: "), done
        listed = json.loads(done.stdout)
        assert [domain["name"] for domain in listed["domains"]] == ["one.example.com"]
        assert listed["more"] is True and set(listed["error"]) == {"code", "detail"}
        assert f"({listed['error']['code']})" in done.stderr and listed["error"]["detail"] in done.stderr
        done = herd.cli("domain", "list", "--all", check=False)
        assert done.returncode == 4 and "one.example.com" in done.stdout and "error" not in done.stdout, done


def test_a_list_that_does_not_begin_is_no_list(herd):
    with ui_fixture.LyingStore(herd, lambda path: b"no JSON"):
        done = herd.cli("domain", "list", "--json", check=False)
        assert done.returncode == 4 and done.stdout == "" and done.stderr, done


def test_a_list_that_cannot_be_written_fails(herd):
    with ui_fixture.LyingStore(herd, parts), open("/dev/full", "w") as full:
        done = subprocess.run([lab_herd.binary(), "domain", "list", "--json", "--all"], stdout=full,
                              stderr=subprocess.PIPE, env={**os.environ, **herd.env}, timeout=60)
        assert done.returncode == 1, done


CIRCLES = {
    "it stays": lambda at: "a",
    "two": lambda at: "ab"[at % 2],
    "into it": lambda at: str(at) if at < 20 else "abcdefg"[at % 7],
    "never the same": str,
}


@pytest.mark.parametrize("circle", CIRCLES)
def test_a_store_whose_list_does_not_get_on_is_told(herd, circle):
    asked = []

    def answer(path):
        asked.append(path)
        return {"domains": [], "next_cursor": CIRCLES[circle](len(asked))}
    with ui_fixture.LyingStore(herd, answer):
        done = herd.cli("domain", "list", "--all", check=False)
    assert done.returncode == 4 and "does not get on" in done.stderr and "list-endless" in done.stderr, done
    assert len(asked) < 100 or circle == "never the same"


def test_a_circle_with_names_is_told_too(herd):
    with ui_fixture.LyingStore(herd, lambda path: {"domains": [{"name": "a.example.com", "state": "failed"}],
                                                   "next_cursor": "b" if path.endswith("=a") else "a"}):
        done = herd.cli("domain", "list", "--all", check=False)
    assert done.returncode == 4 and "list-endless" in done.stderr, done


def test_many_parts_with_nothing_are_no_circle(herd):
    def answer(path):
        at = int(path.partition("&cursor=")[2] or 0)
        return {"domains": [{"name": "last.example.com", "state": "failed"}] if at == 300 else [],
                "next_cursor": str(at + 1) if at < 300 else None}
    with ui_fixture.LyingStore(herd, answer):
        assert "last.example.com" in herd.cli("domain", "list", "--all", "--state", "failed").stdout


def test_a_limit_and_all_are_not_given_together(herd):
    for words in (("--limit", "3", "--all"), ("--all", "--limit", "100")):
        done = herd.cli("domain", "list", *words, check=False)
        assert done.returncode == 2 and "--limit or --all, not both" in done.stderr, done
