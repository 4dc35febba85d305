"""`certherd domain list` when parts of the store's list have nothing for it."""

import json

import pytest

import ui_fixture


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


def test_a_store_that_goes_in_circles_ends_it(herd):
    with ui_fixture.LyingStore(herd, lambda path: {"domains": [], "next_cursor": "a"}):
        assert json.loads(herd.cli("domain", "list", "--all", "--json").stdout) == {"domains": [], "more": False}
