"""What `make install` leaves behind: all of it there, true, and without a warning."""

import os
import re
import shutil
import stat
import subprocess

import pytest

from lab import herd, process

ROOT = herd.ROOT
ROLES = ("store", "issuer", "agent")
FILES = {
    "bin/certherd",
    "lib/nginx/modules/ngx_http_certherd_module.so",
    "lib/systemd/system/certherd-agent.service",
    "lib/systemd/system/certherd-issuer.service",
    "lib/systemd/system/certherd-store.service",
    "lib/sysusers.d/certherd.conf",
    "share/bash-completion/completions/certherd",
    "share/doc/certherd/ARCHITECTURE.md",
    "share/doc/certherd/CHANGELOG.md",
    "share/doc/certherd/LICENSE",
    "share/doc/certherd/README.md",
    "share/doc/certherd/alerts.md",
    "share/doc/certherd/api.md",
    "share/doc/certherd/cas.md",
    "share/doc/certherd/cli.md",
    "share/doc/certherd/configuration.md",
    "share/doc/certherd/dns.md",
    "share/doc/certherd/metrics.md",
    "share/doc/certherd/nginx.md",
    "share/doc/certherd/openapi.yaml",
    "share/doc/certherd/adopt.md",
    "share/doc/certherd/backup.md",
    "share/doc/certherd/postgres.md",
    "share/doc/certherd/renewals.md",
    "share/doc/certherd/replica.md",
    "share/doc/certherd/simulate.md",
    "share/doc/certherd/trial.md",
    "share/doc/certherd/troubleshooting.md",
    "share/doc/certherd/ui.md",
    "share/doc/certherd/upgrade.md",
    "share/doc/certherd/scenarios/onboarding.conf",
    "share/doc/certherd/scenarios/year.conf",
    "share/doc/certherd/examples/certherd.conf",
    "share/doc/certherd/examples/nginx.conf",
    "share/doc/certherd/examples/prometheus-rules.yml",
    "share/doc/certherd/examples/prometheus.yml",
    "share/man/man1/certherd.1",
    "share/man/man5/certherd.conf.5",
    "share/nginx/modules-available/mod-http-certherd.conf",
}
PREFIX = "/usr/local"


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=60, **options)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """<DESTDIR><PREFIX>, from the build that has the module."""
    destination = tmp_path_factory.mktemp("destination")
    build = herd.module().parent.parent
    # These tests run under make too, which must not pass on its own options.
    env = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    process.run(["make", "-C", ROOT, "install", f"BUILD={build}", f"PREFIX={PREFIX}",
                 f"DESTDIR={destination}"], env=env, timeout=600)
    assert [path.name for path in destination.iterdir()] == ["usr"]
    return destination / PREFIX[1:]


@pytest.fixture(scope="module")
def binary(installed):
    return installed / "bin/certherd"


def test_the_files_are_these(installed):
    found = [path for path in installed.rglob("*") if not path.is_dir()]
    assert {str(path.relative_to(installed)) for path in found} == FILES
    for path in found:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o777 == (0o755 if path.suffix in ("", ".so") and mode & 0o111 else 0o644), path
        assert path.stat().st_size > 0, path
    assert os.access(installed / "bin/certherd", os.X_OK)


def test_the_binary_runs_from_there(binary):
    assert re.fullmatch(r"certherd \d+\.\d+\.\d+\n", run(binary, "version").stdout)
    dynamic = run("readelf", "-d", binary).stdout
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic


def test_nothing_tells_where_it_was_built(installed):
    for name in FILES - {"bin/certherd", "lib/nginx/modules/ngx_http_certherd_module.so"}:
        text = (installed / name).read_text()
        assert str(ROOT) not in text and str(installed) not in text, name


def test_nginx_is_told_where_the_module_is(installed):
    snippet = (installed / "share/nginx/modules-available/mod-http-certherd.conf").read_text()
    path = re.fullmatch(r"load_module (/\S+);\n", snippet)[1]
    assert path == PREFIX + "/lib/nginx/modules/ngx_http_certherd_module.so"


# ---- the command line, as its own help has it


def help_of(binary, *path):
    done = run(binary, *path, "--help")
    assert done.returncode == 0 and not done.stderr, (path, done)
    return done.stdout


@pytest.fixture(scope="module")
def commands(binary):
    """command -> its options as the help writes them: "--tenant TEXT" """
    found = {}

    def visit(path):
        text = help_of(binary, *path)
        head, _, listed = text.partition("\nCommands:\n")
        if listed:
            names = re.findall(r"^  ([a-z]+)", listed, re.M)
            assert names, path
        else:
            names = []
            _, _, options = head.partition("\nOptions:\n")
            found[path] = re.findall(r"^  (--[a-z-]+(?: \S+)?)", options, re.M)
        for name in names:
            if name in ("help", "version"):
                found[path + (name,)] = []
            else:
                visit(path + (name,))

    visit(())
    assert len(found) > 20 and sum(map(len, found.values())) > 80
    return found


def pages(installed):
    return sorted((installed / "share/man").rglob("certherd.*"))


def plain(path):
    """A page's source without its markup."""
    text = re.sub(r"\\f[BIPR]", "", path.read_text())
    text = re.sub(r"\\\[u([0-9A-F]{4,6})\]", lambda found: chr(int(found[1], 16)), text)
    return text.replace("\\-", "-").replace("\\&", "").replace("\\e", "\\")


def test_the_manual_has_every_command_and_option(installed, commands):
    text = plain(installed / "share/man/man1/certherd.1")
    for path, options in commands.items():
        _, found, rest = text.partition(f'.SS "{" ".join(("certherd",) + path)}"\n')
        assert found, path
        mine = re.split(r"^\.S[SH] ", rest, flags=re.M)[0].splitlines()
        for option in options:
            assert option in mine or option == "--help", (path, option)
    for code in range(5):
        assert f".TP\n{code}\n" in text


def test_the_manual_has_every_key_and_directive(installed, binary):
    text = plain(installed / "share/man/man5/certherd.conf.5")
    example = (installed / "share/doc/certherd/examples/certherd.conf").read_text()
    sections = re.split(r"^\[(\w+)\]\n", example, flags=re.M)[1:]
    assert sections[::2] == ["store", "issuer", "dns", "alerts", "agent", "cli", "up"]
    for section, body in zip(sections[::2], sections[1::2]):
        mine = re.split(r"^\.S[SH] ", text.partition(f'.SS "[{section}]"\n')[2], flags=re.M)[0]
        heads = " ".join(re.findall(r"^\.TP\n(.*)", mine, re.M))
        for key in re.findall(r"^(?:# )?(\w+) =", body, re.M):
            assert re.search(rf"\b{key}\b", heads), (section, key)
    source = "".join(path.read_text() for path in (ROOT / "nginx").glob("*.c"))
    directives = set(re.findall(r'ngx_string\("(certherd\w*)"\),\s*NGX', source))
    assert len(directives) > 4
    for directive in directives:
        assert re.search(rf"^\.TP\n{directive} ", text, re.M), directive


def checkers():
    """Commands that print what is wrong with a page; each says nothing about a good one."""
    if shutil.which("mandoc"):
        yield ["mandoc", "-Tlint", "-Wwarning"]
    if shutil.which("groff"):
        yield ["groff", "-man", "-ww", "-Tutf8", "-z"]


def test_the_manual_is_without_a_warning(installed):
    known = re.compile(r"\.(TH|SH|SS|PP|TP|B|BR|nf|fi|nh|ad)( .*)?$|[^.']")
    for page in pages(installed):
        assert "](" not in page.read_text(), "a link that is left as it was"
        for line in page.read_text().splitlines():
            assert known.match(line), (page.name, line)
            assert line.isascii()
        for checker in checkers():
            done = run(*checker, page)
            assert done.stdout + done.stderr == "", (checker, done)
    assert [page.name for page in pages(installed)] == ["certherd.1", "certherd.conf.5"]


def test_a_broken_page_is_noticed(installed, tmp_path):
    broken = tmp_path / "certherd.1"
    text = (installed / "share/man/man1/certherd.1").read_text()
    broken.write_text(text.replace(".SH", ".SHH", 1) + ".TP\n\\fBx\n")
    for checker in checkers():
        done = run(*checker, broken)
        assert done.stdout + done.stderr != "", checker


def test_what_help_says_fits_100_columns():
    waiting, wide = [()], []
    while waiting:
        path = waiting.pop()
        text = help_of(herd.binary(), *path)
        wide += [line for line in text.splitlines() if len(line) > 100 and not line.startswith("  --")]
        below = re.findall(r"^  ([a-z]+)", text.partition("\nCommands:\n")[2], re.M)
        waiting += [(*path, name) for name in below if name not in ("help", "version")]
    assert not wide


def test_the_reference_has_every_command():
    """doc/cli.md, which people read; the manual page is made from the help."""
    text = (ROOT / "doc/cli.md").read_text()
    rows = "\n".join(re.findall(r"^\| `certherd (.*)", text, re.M))
    listed = help_of(herd.binary()).partition("\nCommands:\n")[2]
    for name in re.findall(r"^  ([a-z]+)", listed, re.M):
        mine = re.findall(rf"^{name}\b.*", rows, re.M)
        assert mine, name
        if name in ("help", "version"):
            continue
        for verb in re.findall(r"^  ([a-z]+)",
                               help_of(herd.binary(), name).partition("\nCommands:\n")[2], re.M):
            assert any(re.search(rf"\b{verb}\b", row) for row in mine), (name, verb)


# ---- completion


@pytest.fixture(scope="module")
def complete(installed, tmp_path_factory):
    """A function: what bash offers for the last of these words."""
    folder = tmp_path_factory.mktemp("completion")
    (folder / "a file.csv").touch()
    (folder / "folder").mkdir()
    script = installed / "share/bash-completion/completions/certherd"
    program = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _certherd; '
               'printf "%s\\n" "${COMPREPLY[@]}"')

    def offered(*words, config=None):
        environment = {**os.environ, "PATH": f"{installed / 'bin'}:{os.environ['PATH']}",
                       "CERTHERD_CONFIG": str(config or folder / "none.conf")}
        done = run("bash", "--norc", "-uc", program, "bash", script, "certherd", *words,
                   cwd=folder, env=environment)
        assert (done.returncode, done.stderr) == (0, ""), (words, done)
        return done.stdout.split("\n")[:-1]

    return offered


def test_bash_registers_the_completion(installed):
    script = installed / "share/bash-completion/completions/certherd"
    done = run("bash", "--norc", "-euc", f'source "{script}"; complete -p certherd')
    assert done.stdout == "complete -F _certherd certherd\n"


def test_every_command_and_option_is_completed(complete, commands):
    for path, options in commands.items():
        for at in range(len(path)):
            assert path[at] in complete(*path[:at], ""), path
            assert path[at] in complete(*path[:at], path[at][:2]), path
        expected = {option.split()[0] for option in options} or {"--help"}
        assert set(complete(*path, "--")) == expected, path
        assert set(complete(*path, "x", "--")) == expected, path


def test_only_what_begins_so_is_completed(complete):
    assert complete("do") == ["domain"]
    assert complete("domain", "re") == ["retry", "resume"]
    assert complete("domain", "add", "--te") == ["--tenant"]
    assert complete("nonsense", "") == complete("")
    assert complete("domain", "show", "example") == [""]


def test_values_are_completed(complete):
    assert complete("domain", "list", "--state", "p") == ["pending", "paused"]
    assert complete("domain", "list", "--state", "=", "p") == ["pending", "paused"]
    assert complete("domain", "list", "--actor", "=") == ["nobody", "customer", "platform",
                                                          "operator", "ca"]
    assert complete("key", "new", "--type", "") == ["x25519", "p256"]
    assert complete("init", "--roots", "") == ["system", "any", "a file.csv", "folder"]
    assert complete("domain", "add", "--tenant", "") == [""]
    assert complete("domain", "import", "a") == ["a file.csv"]
    assert complete("init", "") == ["folder"]
    assert complete("store", "--config", "a") == ["a file.csv"]
    for command in (("key", "recipients"), ("simulate",), ("forecast",)):
        assert complete(*command, "") == ["a file.csv", "folder"], command
        assert complete(*command, "a") == ["a file.csv"], command
    assert complete("domain", "list", "") == [""]
    for command in (("domain", "add"), ("adopt",)):
        assert complete(*command, "--keys", "") == ["ecdsa", "rsa", "ecdsa+rsa", "p384", "p384+rsa"]
    assert complete("domain", "add", "--keys", "=", "p") == ["p384", "p384+rsa"]
    assert complete("revoke", "x.pem", "--reason", "key") == ["keyCompromise"]
    assert complete("identity", "new", "") == ["store", "issuer", "edge", "operator", "platform", "viewer"]
    assert complete("identity", "new", "op") == ["operator"]
    assert complete("domain", "add", "--timeout", "") == [""]


def test_commands_are_completed_for_their_help(complete, commands):
    assert complete("help", "vers") == ["version"]
    assert complete("help", "") == complete("")
    assert complete("help", "domain", "") == complete("domain", "")
    assert complete("help", "domain", "im") == ["import"]
    for words in (("domain", "import"), ("status",), ("version",), ("domain", "nonsense", "x")):
        assert complete("help", *words, "x") == [""], words
    assert complete("help", "domain", "import", "") == complete("help", "status", "") == [""]


def test_lists_are_completed_after_each_comma(complete, tmp_path):
    config = tmp_path / "certherd.conf"
    config.write_text("[issuer]\nfallback = backup, bigger\n")
    for command in (("domain", "add", "--cas"), ("domain", "add", "--cas", "=")):
        assert complete(*command, "backup,", config=config) == ["backup,main", "backup,bigger"]
        assert complete(*command, "backup,bi", config=config) == ["backup,bigger"]
        assert complete(*command, "backup,main,b", config=config) == ["backup,main,bigger"]
        assert complete(*command, "backup,back", config=config) == [""]
        assert complete(*command, ",m", config=config) == [",main"]
    # What takes one value has no list.
    assert complete("domain", "add", "--standby", "backup,", config=config) == [""]
    assert complete("adopt", "--ca", "backup,", config=config) == [""]


def test_names_of_cas_are_completed_from_the_configuration(complete, tmp_path):
    config = tmp_path / "certherd.conf"
    config.write_text("[issuer]\nfallback = backup, bigger\n")
    for command in (("cert", "standby"), ("adopt",), ("account",), ("revoke",)):
        assert complete(*command, "--ca", "", config=config) == ["main", "backup", "bigger"], command
    assert complete("domain", "add", "--standby", "", config=config) == ["main", "none", "backup", "bigger"]
    assert complete("domain", "add", "--cas", "b", config=config) == ["backup", "bigger"]
    # As the command itself would read it.
    assert complete("adopt", "--config", config, "--ca", "b") == ["backup", "bigger"]
    assert complete("adopt", "--config", "=", config, "--ca", "=", "b") == ["backup", "bigger"]
    # One that is not there, or is none, has no more than there is always.
    assert complete("adopt", "--ca", "") == ["main"]
    config.write_text("[issuer\n")
    assert complete("adopt", "--ca", "", config=config) == ["main"]


def test_a_configuration_cannot_have_completion_run_anything(complete, tmp_path):
    config = tmp_path / "certherd.conf"
    for hostile in ("$(touch${IFS}ran)", "`touch${IFS}ran`", "x;touch", "*", "a b", "$HOME"):
        config.write_text(f"[issuer]\nfallback = {hostile}, good\n")
        assert complete("adopt", "--config", config, "--ca", "") == ["main", "good"], hostile
    assert not list(tmp_path.rglob("ran"))


def test_what_is_completed_is_what_is_taken(commands, installed):
    """Of every option that has a closed set of values the help names each, and no other is taken."""
    closed = 0
    for path, options in commands.items():
        for option, _, value in (given.partition(" ") for given in options if " " in given):
            words = run(installed / "bin/certherd", *path, f"--help={option[2:]}",
                        env={"CERTHERD_CONFIG": "/nonexistent"}).stdout.split()
            other = run(installed / "bin/certherd", *path, option, "no-such-value", "--help")
            if not words or other.returncode == 0:
                continue
            closed += 1
            assert other.returncode == 2 and f"{option} must be {words[0]}" in other.stderr, other
            for word in words:
                assert word in other.stderr and re.search(rf"(?<![a-z+]){re.escape(word)}(?![a-z+])",
                    help_of(installed / "bin/certherd", *path)), (path, option, word)
                done = run(installed / "bin/certherd", *path, option, word, "--help")
                assert done.returncode == 0, (path, option, word)
    assert closed >= 5


# ---- units and configuration


def units(installed):
    return {role: installed / f"lib/systemd/system/certherd-{role}.service" for role in ROLES}


def settings(path):
    return [line for line in path.read_text().splitlines()
            if line and line[0] not in "#["]


def test_the_units_are_hardened(installed):
    for role, path in units(installed).items():
        found = settings(path)
        assert f"ExecStart={PREFIX}/bin/certherd {role}" in found
        assert f"User=certherd-{role}" in found
        for setting in ("NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes",
                        "MemoryDenyWriteExecute=yes", "LimitCORE=0", "LimitMEMLOCK=64M",
                        "CapabilityBoundingSet=", "SystemCallFilter=@system-service"):
            assert setting in found, (role, setting)
        keys = [line.partition("=")[0] for line in found]
        assert len(keys) == len(set(keys)), "nothing is said twice"


def test_a_unit_may_write_where_its_role_writes_and_nowhere_else(installed):
    example = (installed / "share/doc/certherd/examples/certherd.conf").read_text()

    def default(key):
        return re.search(rf"^# {key} = (?:sqlite:)?(\S+)$", example, re.M)[1]

    writes = {"store": os.path.dirname(default("database")),
              "issuer": os.path.dirname(default("account_state")),
              "agent": default("replica")}
    for role, path in units(installed).items():
        found = [line for line in settings(path) if line.startswith("ReadWritePaths=")]
        assert found == [f"ReadWritePaths=-/etc/certherd/{writes[role]}"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_understands_the_units(installed, tmp_path):
    for role, path in units(installed).items():
        copy = tmp_path / path.name
        copy.write_text(path.read_text().replace(PREFIX + "/bin", str(installed / "bin")))
    done = run("systemd-analyze", "verify", "--man=no", *sorted(tmp_path.iterdir()))
    assert (done.returncode, done.stderr) == (0, "")
    for copy in tmp_path.iterdir():
        done = run("systemd-analyze", "security", "--offline=true", "--threshold=25", copy)
        assert done.returncode == 0, done.stdout


@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="no systemd here")
def test_systemd_understands_the_users(installed):
    done = run("systemd-sysusers", "--dry-run", installed / "lib/sysusers.d/certherd.conf")
    assert done.returncode == 0 and "ailed" not in done.stderr, done
    for role in ROLES:
        assert f"certherd-{role}" in (installed / "lib/sysusers.d/certherd.conf").read_text()


def test_the_example_is_what_init_writes(installed, binary, scratch):
    assert run(binary, "init", "--nginx-group", "www-data", scratch / "made").returncode == 0
    example = installed / "share/doc/certherd/examples/certherd.conf"
    assert example.read_text() == (scratch / "made/certherd.conf").read_text()
