"""The recipes of HACKING.md, cooked: an endpoint and a subcommand are added to a copy of the tree,
built, used, and taken away again.

A patch that no longer applies after a change elsewhere: apply it to a scratch copy with `patch -p1`,
mend what was rejected, and write `diff -ruN` of the two trees back to the .patch file.
"""

import filecmp
import fnmatch
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PATCHES = {"an endpoint": HERE / "endpoint.patch", "a subcommand": HERE / "subcommand.patch"}
TARGETS = ("certherd", "test_stored_input")

pytestmark = pytest.mark.timeout(600)  # they build


def run(*command, cwd=None, env=None, check=True):
    # The tests run under make too, which must not pass on its own options.
    given = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    done = subprocess.run([str(word) for word in command], cwd=cwd, env={**given, **(env or {})},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
    if check and done.returncode:
        pytest.fail(f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}", pytrace=False)
    return done


class Tree:
    """A copy of the sources, and its build."""

    def __init__(self, folder):
        self.folder = folder / "certherd"
        self.build = folder / "build"
        ignored = shutil.ignore_patterns(".git", "build*", "__pycache__", "results", "*.pyc")
        shutil.copytree(ROOT, self.folder, ignore=ignored)
        self.binary = self.build / "src/certherd"

    def patch(self, path, *options):
        run("patch", "-p1", "--no-backup-if-mismatch", *options, "-i", path, cwd=self.folder)

    def make(self):
        meson = os.environ.get("MESON", "meson")
        if not self.build.exists():
            # Without the module, and quickly: compilers judge best when they optimize, so
            # warnings are left to the other builds.
            run(meson, "setup", self.build, self.folder, "--buildtype=plain",
                f"-Dnginx_src={self.folder / 'none'}")
        run(meson, "compile", "-C", self.build, *TARGETS)

    def certherd(self, *words):
        return run(self.binary, *words, check=False)

    def pytest(self, *words, check=True):
        module = os.environ.get("CERTHERD_MODULE",
                                ROOT / "build/nginx/ngx_http_certherd_module.so")
        return run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words,
                   cwd=self.folder, check=check,
                   env={"CERTHERD_BIN": str(self.binary), "CERTHERD_MODULE": str(module)})

    def unit(self):
        run(self.build / "tests/unit/stored/test_stored_input")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipes")
    yield Tree(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def added(tree):
    for path in PATCHES.values():
        tree.patch(path)
    tree.make()
    return tree


@pytest.fixture(scope="module")
def removed(added):
    """What was added comes out again in the other order."""
    for path in reversed(PATCHES.values()):
        added.patch(path, "-R")
    added.make()
    return added


def touched(patch):
    return set(re.findall(r"^\+\+\+ b/(\S+)", patch.read_text(), re.M))


@pytest.mark.parametrize("what", PATCHES)
def test_the_recipe_names_what_is_touched(what):
    row = re.search(rf"^\| {what} \| (.*) \|$", (ROOT / "HACKING.md").read_text(), re.M)[1]
    named = [re.sub(r"<\w+>", "*", path) for path in re.findall(r"`([\w./<>*-]*/[\w./<>*-]*)`", row)]
    named = [path + "*" if path.endswith("/") else path for path in named]
    for path in touched(PATCHES[what]):
        assert any(fnmatch.fnmatch(path, pattern) for pattern in named), path
    for pattern in named:
        assert fnmatch.filter(touched(PATCHES[what]), pattern), pattern


def test_what_is_added_passes_the_checks_of_style(added):
    for script in ("layering.py", "style.py"):
        run(sys.executable, added.folder / "tests" / script)


def test_the_endpoint_is_served_and_documented(added):
    assert "/v1/whoami" in added.certherd("store", "--describe").stdout
    added.unit()
    added.pytest("tests/system/test_openapi.py", "-k", "whoami")
    added.pytest("tests/system/test_openapi_document.py")
    added.pytest("tests/system/test_authentication.py", "-k", "each_role")


def test_an_endpoint_without_a_document_is_refused(added):
    document = added.folder / "doc/openapi.yaml"
    text = document.read_text()
    shutil.copy(ROOT / "doc/openapi.yaml", document)
    try:
        done = added.pytest("tests/system/test_openapi_document.py", "-k", "servers_routes", check=False)
    finally:
        document.write_text(text)
    assert done.returncode == 1 and "/v1/whoami" in done.stdout, done.stdout


def test_the_subcommand_works_and_is_everywhere(added):
    assert "as what the store sees you" in added.certherd("--help").stdout
    assert added.certherd("whoami", "--nonsense").returncode == 2
    added.pytest("tests/system/test_cli.py", "-k", "whoami")
    for page, text in (("certherd.1", '.SS "certherd whoami"'), ("completion", '" whoami"')):
        made = run(sys.executable, added.folder / "tools/pages.py", page, added.binary,
                   added.folder / "doc").stdout
        assert text in made


def test_both_can_be_removed(removed):
    assert "whoami" not in removed.certherd("store", "--describe").stdout
    assert "whoami" not in removed.certherd("--help").stdout
    assert removed.certherd("whoami").returncode == 2
    removed.unit()
    removed.pytest("tests/system/test_openapi_document.py")
    for path in set().union(*map(touched, PATCHES.values())):
        same = (ROOT / path).exists() == (removed.folder / path).exists()
        assert same and (not (ROOT / path).exists()
                         or filecmp.cmp(ROOT / path, removed.folder / path, shallow=False)), path
