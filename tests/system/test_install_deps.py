"""tools/install-deps.sh beside a dpkg, an apt and an id that only write down what they are asked."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
# Lists of the stubs: installed, known (to apt), and known-later (after `apt-get update`).
STUBS = {
    "dpkg-query": """
for name; do :; done
grep -qx "$name removed" "$STATE/installed" && { printf config-files; exit 0; }
grep -qx "$name" "$STATE/installed" || { echo "no packages found matching $name" >&2; exit 1; }
printf installed
""",
    "apt-cache": """
for name; do :; done
[ "$1" = show ] && grep -qx "$name" "$STATE/known"
""",
    "apt-get": """
printf '%s\\n' "apt-get $*" >>"$STATE/log"
case " $* " in
*" update "*) cat "$STATE/known-later" >>"$STATE/known" ;;
*" install "*)
	echo "$DEBIAN_FRONTEND" >"$STATE/frontend"
	cat "$POLICY_RC_D" >"$STATE/policy"
	[ ! -e "$STATE/broken" ] || { echo "E: Unable to fetch some archives" >&2; exit 100; }
	;;
esac
""",
    "id": """
[ "$*" = -u ] && cat "$STATE/uid"
""",
}
PACKAGES = """# A list like the real one.
build: make
build: newer | older
build: libone-dev
demo: server
demo: make
check: runner
"""


class Machine:
    def __init__(self, folder):
        self.state = folder / "state"
        self.bin = folder / "bin"
        self.tools = folder / "tools"
        self.policy = folder / "policy-rc.d"
        for made in (self.state, self.bin, self.tools, folder / "tmp"):
            made.mkdir()
        for name, text in STUBS.items():
            (self.bin / name).write_text("#!/bin/sh\n" + text)
            (self.bin / name).chmod(0o755)
        shutil.copy(TOOLS / "install-deps.sh", self.tools)
        self.list(PACKAGES)
        self.has("installed")
        self.has("known", "make", "newer", "older", "libone-dev", "server", "runner")
        self.has("known-later")
        self.uid(0)
        self.tmp = folder / "tmp"
        self.env = {**os.environ, "LC_ALL": "C", "STATE": str(self.state), "POLICY_RC_D": str(self.policy),
                    "TMPDIR": str(self.tmp), "PATH": f"{self.bin}:{os.environ['PATH']}"}

    def list(self, text):
        (self.tools / "packages.txt").write_text(text)

    def has(self, what, *names):
        (self.state / what).write_text("".join(f"{name}\n" for name in names))

    def uid(self, number):
        (self.state / "uid").write_text(f"{number}\n")

    def run(self, *sections, **env):
        return subprocess.run([self.tools / "install-deps.sh", *sections], capture_output=True,
                              text=True, timeout=60, env={**self.env, **env})

    def asked(self):
        """What apt-get was asked, each as words."""
        log = self.state / "log"
        return [line.split()[1:] for line in log.read_text().splitlines()] if log.exists() else []

    def installed_now(self):
        """The packages of the one installation; it was after an update."""
        update, install = self.asked()
        assert update == ["-q", "update"]
        assert "-y" in install and "--no-install-recommends" in install
        return install[install.index("install") + 1:]


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def command_said(done):
    """The command that a person is told to run."""
    [line] = re.findall(r"^    (\S.*)$", done.stderr, re.M)
    return line


def test_without_root_the_command_is_said_and_nothing_is_done(machine):
    machine.uid(1000)
    machine.has("installed", "make")
    done = machine.run("build")
    assert (done.returncode, done.stdout, machine.asked()) == (1, "", [])
    assert command_said(done) == ("sudo apt-get update && sudo apt-get install -y "
                                  "--no-install-recommends libone-dev newer")
    assert "needs root" in done.stderr


def test_without_root_and_with_all_there_nothing_is_said(machine):
    machine.uid(1000)
    machine.has("installed", "make", "older", "libone-dev")
    done = machine.run("build")
    assert (done.returncode, done.stdout, done.stderr, machine.asked()) == (0, "", "", [])


def test_root_installs_what_is_missing_of_the_sections_asked_for(machine):
    machine.has("installed", "libone-dev")
    done = machine.run("build", "demo")
    assert done.returncode == 0, done.stderr
    # make is in both sections, runner in neither.
    assert machine.installed_now() == ["make", "newer", "server"]
    assert (machine.state / "frontend").read_text() == "noninteractive\n"
    assert "make newer server" in done.stderr and done.stderr.endswith("install-deps: done\n")
    assert list(machine.tmp.iterdir()) == []


def test_root_with_all_there_does_nothing(machine):
    machine.has("installed", "make", "newer", "libone-dev", "server", "runner")
    for sections in ([], ["build"], ["build", "demo"]):
        machine.list(PACKAGES.replace("check: runner\n", "check: runner\nci: make\n"))
        done = machine.run(*sections)
        assert (done.returncode, done.stdout, done.stderr, machine.asked()) == (0, "", "", [])
    assert not machine.policy.exists()


def test_all_sections_are_meant_when_none_is_named(machine):
    machine.list(PACKAGES + "ci: other-compiler\n")
    assert machine.run().returncode == 0
    assert machine.installed_now() == ["libone-dev", "make", "newer", "other-compiler", "runner",
                                       "server"]


def test_the_first_alternative_that_the_release_has_is_taken(machine):
    machine.has("installed", "make", "libone-dev")
    machine.has("known", "older")
    assert machine.run("build").returncode == 0
    assert machine.installed_now() == ["older"]


def test_which_alternative_there_is_may_be_known_only_after_the_update(machine):
    machine.has("installed", "make", "libone-dev")
    machine.has("known")
    machine.has("known-later", "older")
    assert machine.run("build").returncode == 0
    assert machine.installed_now() == ["older"]


def test_a_package_of_which_only_the_configuration_is_left_is_missing(machine):
    machine.has("installed", "make", "newer", "libone-dev removed")
    assert machine.run("build").returncode == 0
    assert machine.installed_now() == ["libone-dev"]


def test_services_are_not_started_meanwhile(machine):
    assert machine.run("demo").returncode == 0
    assert (machine.state / "policy").read_text() == "#!/bin/sh\nexit 101\n"
    assert not machine.policy.exists()


def test_a_policy_of_the_operator_stays(machine):
    machine.policy.write_text("#!/bin/sh\nexit 0\n")
    assert machine.run("demo").returncode == 0
    assert machine.policy.read_text() == "#!/bin/sh\nexit 0\n"


def test_when_apt_fails_its_words_are_shown(machine):
    (machine.state / "broken").touch()
    done = machine.run("demo")
    assert done.returncode == 1
    assert "E: Unable to fetch some archives" in done.stderr and "done" not in done.stderr
    assert not machine.policy.exists() and list(machine.tmp.iterdir()) == []


def test_a_section_that_is_not_there_is_refused(machine):
    for sections in (["demos"], ["build", "demos"], ["de"]):
        done = machine.run(*sections)
        assert (done.returncode, machine.asked()) == (2, []), sections
        assert f"no section '{sections[-1]}'" in done.stderr


def test_elsewhere_than_on_debian_the_list_is_said(machine, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for name in ("dirname", "grep", "sed"):
        (few / name).symlink_to(shutil.which(name))
    done = machine.run("build", PATH=str(few))
    assert done.returncode == 1
    assert done.stderr == ("install-deps: this is not Debian; install these yourself:\n"
                           "make\nnewer | older\nlibone-dev\n")


def test_the_real_list_can_be_read(machine):
    text = (TOOLS / "packages.txt").read_text()
    machine.list(text)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    for line in lines:
        assert re.fullmatch(r"(build|demo|check|ci|peers): [a-z0-9.+-]+( \| [a-z0-9.+-]+)*", line), line
    # Other web servers are installed for their benchmark only.
    first = {line.split(": ")[1].split(" | ")[0] for line in lines
             if not line.startswith("peers:")}
    machine.has("known", *first)
    assert machine.run().returncode == 0
    assert machine.installed_now() == sorted(first)
