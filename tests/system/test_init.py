"""`certherd init`, `key`, `identity` and the supervisor, without any server: only CERTHERD_BIN."""

import json
import os
import pathlib
import re
import signal
import ssl
import stat
import subprocess
import tempfile
import time

import pytest

from lab import wait

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("CERTHERD_BIN", str(ROOT / "build/src/certherd"))


def run(*words, code=0, **options):
    done = subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == code, done.stderr + done.stdout
    return done


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def made(tmp_path):
    run("init", tmp_path / "herd", "--agree-terms")
    return tmp_path / "herd"


# What init writes


def documented():
    """(section, key) -> default, from the tables of doc/configuration.md."""
    keys, section = {}, None
    for line in (ROOT / "doc/configuration.md").read_text().splitlines():
        head = re.fullmatch(r"## \[(.+)\]", line)
        if head or line.startswith("# nginx"):
            # [ca NAME] is for operators to add.
            section = head[1] if head and head[1].isalpha() else None
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not section or not line.startswith("|") or cells[0] in ("key", "---"):
            continue
        names = [name.strip() for name in cells[0].split(",")]
        values = [value.strip() for value in cells[1].split(",")] if len(names) > 1 else [cells[1]]
        if len(values) != len(names):
            values = values * len(names)
        for name, value in zip(names, values):
            keys[section, name] = "" if value in ("(empty)", "") else value
    return keys


def written(text):
    """(section, key) -> (value, whether it is live), from a certherd.conf."""
    keys, section = {}, None
    for line in text.splitlines():
        head = re.fullmatch(r"\[(\w+)\]", line)
        if head:
            section = head[1]
        key = re.fullmatch(r"(# )?(\w+) =(?: (.*))?", line)
        if key:
            assert (section, key[2]) not in keys
            keys[section, key[2]] = (key[3] or "", not key[1])
    return keys


def test_the_configuration_has_every_documented_key_with_its_default(made):
    expected, found = documented(), written((made / "certherd.conf").read_text())
    assert len(expected) > 50
    assert set(found) == set(expected)
    for key, (value, live) in found.items():
        if not live:
            assert value == expected[key], key
    assert {key for key, (_, live) in found.items() if live} <= {
        ("issuer", "directory"), ("issuer", "terms_agreed"), ("agent", "replica_group")}


def test_options_become_live_keys(tmp_path):
    (tmp_path / "hmac").write_text("c2VjcmV0LXNlY3JldC1zZWNyZXQ\n")
    os.chmod(tmp_path / "hmac", 0o600)
    run("init", tmp_path / "h", "--directory", "https://ca.example/dir", "--roots", "any", "--contact",
        "mailto:ops@example.com", "--agree-terms", "--eab-kid", "kid-1", "--eab-hmac-file", tmp_path / "hmac",
        "--store-listen", "127.0.0.1:9443", "--probe", "127.0.0.1:443", "--store-user", "-",
        "--issuer-user", "-", "--agent-user", "-", "--nginx-group", str(os.getgid()))
    found = {key: value for key, (value, live) in written((tmp_path / "h/certherd.conf").read_text()).items()
             if live}
    assert found == {
        ("store", "listen"): "127.0.0.1:9443",
        **{(section, "store"): "https://127.0.0.1:9443" for section in ("issuer", "agent", "cli")},
        ("issuer", "directory"): "https://ca.example/dir", ("issuer", "roots"): "any",
        ("issuer", "contact"): "mailto:ops@example.com", ("issuer", "terms_agreed"): "yes",
        ("issuer", "eab_kid"): "kid-1", ("issuer", "eab_hmac_file"): "issuer/eab.key",
        ("issuer", "probe"): "127.0.0.1:443", ("agent", "replica_group"): str(os.getgid()),
        ("up", "store_user"): "-", ("up", "issuer_user"): "-", ("up", "agent_user"): "-"}
    assert (tmp_path / "h/issuer/eab.key").read_text() == (tmp_path / "hmac").read_text()
    assert mode(tmp_path / "h/issuer/eab.key") == 0o600


def test_trust_files_are_written_as_absolute_paths(made, tmp_path):
    run("init", "second", "--directory-ca", "herd/pki/ca.pem", "--roots", "herd/pki/edge-ca.pem", cwd=tmp_path)
    found = written((tmp_path / "second/certherd.conf").read_text())
    assert found["issuer", "directory_ca"] == (str(made / "pki/ca.pem"), True)
    assert found["issuer", "roots"] == (str(made / "pki/edge-ca.pem"), True)


def test_secrets_are_private_and_the_rest_can_be_read(made):
    for path in made.rglob("*"):
        if path.is_dir():
            continue
        assert mode(path) == (0o600 if path.suffix == ".key" else 0o644), path
    assert [mode(made / name) for name in (".", "pki", "offline", "store", "issuer", "issuer/state", "edge",
                                              "edge/replica")] == [
        0o755, 0o755, 0o700, 0o700, 0o755, 0o700, 0o755, 0o750]


def test_a_tight_umask_changes_nothing(tmp_path):
    run("init", tmp_path / "h", preexec_fn=lambda: os.umask(0o077))
    assert mode(tmp_path / "h/certherd.conf") == 0o644
    assert mode(tmp_path / "h/pki") == 0o755


def test_identities_are_signed_by_the_ca_that_may(made):
    def issuer(name):
        text = subprocess.run(["openssl", "x509", "-in", made / f"pki/{name}.pem", "-noout", "-issuer", "-ext",
                               "subjectAltName,extendedKeyUsage"], capture_output=True, text=True).stdout
        return ("edge CA" in text, re.search(r"URI:(\S+?)(,|$)", text, re.M)[1],
                "TLS Web Server Authentication" in text, "TLS Web Client Authentication" in text)

    assert issuer("store") == (False, "certherd://store/default/s1", True, False)
    assert issuer("issuer") == (False, "certherd://issuer/default/i1", False, True)
    assert issuer("operator") == (False, "certherd://operator/default/admin", False, True)
    assert issuer("platform") == (False, "certherd://platform/default/backend", False, True)
    assert issuer("edge") == (True, "certherd://edge/default/e1", False, True)
    for name in ("store", "issuer", "operator", "platform", "edge"):
        ssl.create_default_context().load_cert_chain(made / f"pki/{name}.pem", made / f"pki/{name}.key")


def test_the_nginx_snippet_fits_the_rest(made):
    snippet = (made / "edge/nginx-certherd.conf").read_text()
    assert f'certherd_replica "{made}/edge/replica";' in snippet
    assert f'certherd_recipient_key "{made}/edge/recipient.key";' in snippet
    assert re.search(r"^certherd_account_thumbprint [A-Za-z0-9_-]{43};$", snippet, re.M)
    public = run("key", "pub", made / "edge/recipient.key").stdout.strip()
    assert public in (made / "issuer/recipients").read_text().splitlines()


def test_the_message_says_what_next(tmp_path):
    said = run("init", tmp_path / "h").stdout
    for words in ("offline/ca.key", "terms_agreed", "nginx-certherd.conf", "certherd up --config"):
        assert words in said
    assert "SECRET" not in said and "PRIVATE" not in said


# What init refuses


@pytest.mark.parametrize("words", [
    [], ["a", "b"], ["--directory", "http://ca.example/dir", "h"], ["--directory", "", "h"],
    ["--directory", "https://a\nb", "h"], ["--directory", "https://a ; b", "h"], ["--contact", "ops@example.com", "h"],
    ["--eab-kid", "x", "h"], ["--eab-hmac-file", "/dev/null", "h"], ["--store-listen", "8443", "h"],
    ["--store-listen", "localhost:8443", "h"], ["--store-listen", "127.0.0.1:99999", "h"],
    ["--probe", "maybe", "h"], ["--roots", "/nonexistent", "h"], ["--roots", "/dev/null", "h"],
    ["--directory-ca", "any", "h"], ["--edge", "E1", "h"], ["--pool", "", "h"], ["--pool", "a/b", "h"],
    ["--store-san", "DNS:a b", "h"], ["--store-user", "nobody-has-this-name", "h"], ["--store-user", "root", "h"],
    ["--nginx-group", "nobody-has-this-name", "h"], ["--colour", "h"], ["no/such/parent/h"], [".."]])
def test_bad_input_makes_nothing(tmp_path, words):
    done = run("init", *words, cwd=tmp_path, code=2)
    assert "certherd init" in done.stderr
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_never_touched(made, tmp_path):
    before = tree(tmp_path)
    run("init", made, code=2)
    (tmp_path / "file").write_text("mine")
    run("init", tmp_path / "file", code=2)
    run("init", tmp_path, code=2)
    assert tree(tmp_path) == {**before, "file": b"mine"}


def test_an_empty_folder_will_do(tmp_path):
    (tmp_path / "empty").mkdir()
    run("init", "empty/", cwd=tmp_path)
    (tmp_path / "here").mkdir()
    run("init", ".", cwd=tmp_path / "here")
    assert (tmp_path / "empty/certherd.conf").exists() and (tmp_path / "here/certherd.conf").exists()
    assert sorted(os.listdir(tmp_path)) == ["empty", "here"]


def test_a_failure_leaves_nothing_behind(tmp_path):
    os.chmod(tmp_path, 0o755)
    (tmp_path / "hmac").write_text("x")
    os.chmod(tmp_path / "hmac", 0o644)  # refused late: when the folder is being built
    done = run("init", tmp_path / "h", "--eab-kid", "k", "--eab-hmac-file", tmp_path / "hmac", code=1)
    assert "chmod 600" in done.stderr
    assert os.listdir(tmp_path) == ["hmac"]


# Ownership


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_as_root_each_role_gets_its_files_and_no_others(tmp_path):
    run("init", tmp_path / "h", "--store-user", "64101", "--issuer-user", "64102:64112", "--agent-user", "64103",
        "--nginx-group", "64104")
    owners = {str(path.relative_to(tmp_path / "h")): (path.stat().st_uid, path.stat().st_gid)
              for path in (tmp_path / "h").rglob("*")}
    assert {name: owner for name, owner in owners.items() if owner != (0, 0)} == {
        "pki/store.key": (64101, 64101), "store": (64101, 64101), "store/signers": (64101, 64101), "pki/issuer.key": (64102, 64112),
        "issuer/state": (64102, 64112), "issuer/account.key": (64102, 64112),
        "issuer/signing.key": (64102, 64112), "pki/edge.key": (64103, 64103), "edge/replica": (64103, 64104)}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_issuers_user_cannot_add_a_recipient():
    with tempfile.TemporaryDirectory() as top:  # pytest's own folders let nobody else in
        os.chmod(top, 0o755)
        run("init", f"{top}/h", "--issuer-user", "64102", "--store-user", "-", "--agent-user", "-")
        check_recipients_as_issuer(pathlib.Path(top, "h/issuer/recipients"))


def check_recipients_as_issuer(recipients):
    for script in (f"echo x >> {recipients}", f"mv {recipients} {recipients}.old", f"rm -f {recipients}"):
        done = subprocess.run(["sh", "-c", script], user=64102, group=64102, extra_groups=[], capture_output=True)
        assert done.returncode != 0, script
    subprocess.run(["sh", "-c", f"cat {recipients} && touch {recipients.parent}/state/account.json"], user=64102,
                   group=64102, extra_groups=[], check=True, capture_output=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_own_follows_the_configuration_and_no_links(tmp_path):
    run("init", tmp_path / "h", "--store-user", "-", "--issuer-user", "-", "--agent-user", "-")
    (tmp_path / "outside").write_text("mine")
    (tmp_path / "hard").write_text("mine")
    os.symlink(tmp_path / "outside", tmp_path / "h/store/soft")
    os.link(tmp_path / "hard", tmp_path / "h/store/hard")
    (tmp_path / "h/store/certherd.db").write_text("")
    conf = tmp_path / "h/certherd.conf"
    conf.write_text(conf.read_text().replace("store_user = -", "store_user = 64101"))
    run("init", "--own", tmp_path / "h")
    assert (tmp_path / "h/store/certherd.db").stat().st_uid == 64101
    assert (tmp_path / "h/pki/store.key").stat().st_uid == 64101
    assert (tmp_path / "outside").stat().st_uid == 0 and (tmp_path / "hard").stat().st_uid == 0
    assert (tmp_path / "h/offline/ca.key").stat().st_uid == 0


# Keys


@pytest.mark.parametrize("kind", ["x25519", "p256"])
def test_a_recipient_key_is_made(tmp_path, kind):
    public = run("key", "new", "--type", kind, "-o", tmp_path / "k").stdout
    assert re.fullmatch(rf"certherd-pub-{kind}-[A-Za-z0-9_-]+\n", public)
    assert run("key", "pub", tmp_path / "k").stdout == public
    assert mode(tmp_path / "k") == 0o600
    before = (tmp_path / "k").read_bytes()
    run("key", "new", tmp_path / "k", code=1)
    assert (tmp_path / "k").read_bytes() == before
    # The file that the issuer reads, where the key was meant: nobody is told to hide it.
    (tmp_path / "recipients").write_text(public)
    for permissions in (0o644, 0o600):
        os.chmod(tmp_path / "recipients", permissions)
        for more in ([], ["--id"]):
            said = run("key", "pub", tmp_path / "recipients", *more, code=2).stderr
            assert "certherd key recipients" in said and "chmod" not in said, said


def test_an_account_key_is_made(tmp_path):
    thumbprint = run("key", "account", tmp_path / "k").stdout
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}\n", thumbprint)
    assert run("key", "thumbprint", tmp_path / "k").stdout == thumbprint
    assert mode(tmp_path / "k") == 0o600
    before = (tmp_path / "k").read_bytes()
    run("key", "account", tmp_path / "k", code=1)
    assert (tmp_path / "k").read_bytes() == before
    (tmp_path / "other").write_text("no key\n")
    os.chmod(tmp_path / "other", 0o600)
    run("key", "thumbprint", tmp_path / "other", code=2)


def test_bad_key_commands_are_refused(tmp_path):
    for words in (["new"], ["new", "a", "-o", "b"], ["new", "--type", "rsa", "a"], ["pub"], ["show"], []):
        run("key", *words, code=2, cwd=tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "junk").write_text("hello\n")
    os.chmod(tmp_path / "junk", 0o600)
    run("key", "pub", tmp_path / "junk", code=2)
    os.chmod(tmp_path / "junk", 0o644)
    assert "chmod 600" in run("key", "pub", tmp_path / "junk", code=1).stderr
    assert "Usage" in run("key", "--help").stdout
    assert "Usage" in run("key", "new", "--help").stdout


# Identities


def identity(made, *words, code=0):
    return run("identity", *words, "--config", made / "certherd.conf", code=code)


def test_identities_are_made_listed_and_revoked(made):
    identity(made, "new", "viewer", "--id", "bob")
    identity(made, "new", "edge", "--id", "e2", "--scope", "fra", "--days", "30")
    identity(made, "new", "store", "--id", "s2", "--san", "DNS:store.example,IP:192.0.2.1")
    assert mode(made / "pki/viewer-bob.key") == 0o600
    listed = identity(made, "list").stdout
    for uri in ("certherd://viewer/default/bob", "certherd://edge/fra/e2", "certherd://store/default/s2",
                "certherd://operator/default/admin"):
        assert re.search(rf"^{uri} .* valid ", listed, re.M), listed
    identity(made, "revoke", made / "pki/viewer-bob.pem")
    identity(made, "revoke", "certherd://edge/fra/e2")
    before = (made / "pki/revoked").read_text()
    assert re.search(r"^sha256:[0-9a-f]{64}$", before, re.M)
    assert re.search(r"^uri:certherd://edge/fra/e2$", before, re.M)
    identity(made, "revoke", "certherd://edge/fra/e2")
    assert (made / "pki/revoked").read_text() == before
    listed = identity(made, "list").stdout
    assert len(re.findall(" revoked ", listed)) == 2


def test_the_list_of_identities_is_there_for_programs_too(made):
    identity(made, "new", "viewer", "--id", "bob")
    identity(made, "revoke", made / "pki/viewer-bob.pem")
    os.rename(made / "pki/viewer-bob.pem", os.fsencode(made / "pki") + b"/b\xff.pem")
    listed = json.loads(identity(made, "list", "--json").stdout)
    rows = [line.split() for line in identity(made, "list").stdout.splitlines()[1:]]
    assert len(listed) == len(rows) > 3
    for one, row in zip(listed, rows):
        assert set(one) == {"identity", "not_after", "state", "file"}
        assert [one["identity"], one["not_after"][:10], one["state"]] == row[:3]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", one["not_after"])
    files = {one["identity"]: (one["file"], one["state"]) for one in listed}
    assert files["certherd://operator/default/admin"] == ("operator.pem", "valid")
    # A name that is not UTF-8 cannot be said in JSON.
    assert files["certherd://viewer/default/bob"] == (None, "revoked")


def test_nothing_but_the_error_is_said_when_there_is_nothing_to_list(tmp_path):
    done = run("identity", "list", "--json", "--config", tmp_path / "certherd.conf", code=1)
    assert done.stdout == "" and "certherd.conf" in done.stderr


def test_an_edge_does_not_need_the_offline_key_but_others_do(made, tmp_path):
    os.rename(made / "offline/ca.key", tmp_path / "ca.key")
    identity(made, "new", "edge", "--id", "e3")
    done = identity(made, "new", "operator", "--id", "eve", code=1)
    assert "--ca-key" in done.stderr
    identity(made, "new", "operator", "--id", "eve", "--ca-key", tmp_path / "ca.key")
    assert (made / "pki/operator-eve.pem").exists()


def test_bad_identities_are_refused(made):
    before = tree(made)
    for words in (["new", "king", "--id", "x"], ["new", "viewer"], ["new", "viewer", "--id", "X"],
                  ["new", "viewer", "--id", "a/b"], ["new", "viewer", "--id", "x" * 64],
                  ["new", "viewer", "--id", "x", "--days", "0"], ["new", "viewer", "--id", "x", "--days", "9x"],
                  ["new", "viewer", "--id", "x", "--san", "DNS:a"], ["new", "store", "--id", "x"],
                  ["new", "store", "--id", "x", "--san", "a.example"], ["revoke", "certherd://viewer"],
                  ["revoke", made / "pki/ca.pem"], ["revoke", made / "certherd.conf"]):
        identity(made, *words, code=2)
    identity(made, "new", "edge", "--id", "e1", "--out", made / "pki/edge", code=1)  # is there
    identity(made, "new", "viewer", "--id", "x", "--ca-key", made / "pki/edge-ca.key", code=2)
    identity(made, "revoke", made / "no-such.pem", code=2)
    assert tree(made) == before


# The supervisor


def set_up(made, **keys):
    conf = made / "certherd.conf"
    text = conf.read_text()
    for key, value in keys.items():
        text = re.sub(rf"^(# )?{key} =.*$", f"{key} = {value}", text, flags=re.M)
    conf.write_text(text)


def test_up_refuses_what_it_cannot_run(made):
    for keys in ({"roles": "store,store"}, {"roles": "king"}, {"roles": ","}, {"roles": "store", "log_level": "loud"}):
        set_up(made, roles="store", log_level="info")
        set_up(made, **keys)
        run("up", "--config", made / "certherd.conf", code=2)
    run("up", "--config", made / "none.conf", code=2)
    run("up", "surplus", code=2)


@pytest.mark.skipif(os.geteuid() != 0, reason="without root there are no other users")
def test_up_as_root_names_the_missing_user(made):
    set_up(made, store_user="nobody-has-this-name")
    said = run("up", "--config", made / "certherd.conf", code=2).stderr
    assert "useradd --system --no-create-home --shell /usr/sbin/nologin nobody-has-this-name" in said
    assert "store_user = -" in said


def test_up_ends_when_a_role_calls_its_configuration_wrong(made):
    set_up(made, roles="agent", store_user="-", issuer_user="-", agent_user="-")
    with open(made / "certherd.conf", "a") as conf:
        conf.write("\n[agent]\nno_such_key = 1\n")
    began = time.monotonic()
    done = run("up", "--config", made / "certherd.conf", code=2)
    assert "no_such_key" in done.stderr and time.monotonic() - began < 20


def wait_said(up, log, text, times=1):
    wait.until(lambda: up.poll() is not None or log.read_text().count(text) >= times, log.read_text, 30)
    assert up.poll() is None, log.read_text()


@pytest.fixture
def stuck_up(made, tmp_path):
    """A supervisor whose store cannot react."""
    set_up(made, roles="store", listen="127.0.0.1:0", store_user="-")
    with open(tmp_path / "log", "w") as log:
        up = subprocess.Popen([BINARY, "up", "--config", made / "certherd.conf"], stderr=log)
    try:
        wait_said(up, tmp_path / "log", "store  ready")
        store = int(re.search(r"store started pid=(\d+)", (tmp_path / "log").read_text())[1])
        os.kill(store, signal.SIGSTOP)
        yield up, store, tmp_path / "log"
    finally:
        up.kill()
        up.wait()


def is_running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_up_kills_a_role_that_does_not_stop(stuck_up):
    up, store, log = stuck_up
    up.send_signal(signal.SIGTERM)
    assert up.wait(30) == 0
    assert "store did not stop in time" in log.read_text()
    assert not is_running(store)


def test_a_second_signal_after_a_while_ends_the_wait(stuck_up):
    """Those that come within PATIENCE_MS of src/up/supervisor.c are one: the first after that ends it."""
    up, store, log = stuck_up
    began = time.monotonic()

    def ended():
        up.send_signal(signal.SIGTERM)
        return up.poll() is not None

    wait.until(ended, "the wait is ended", 30, interval=0.05)
    assert time.monotonic() - began >= 2
    assert up.returncode == 0
    assert "did not stop in time" not in log.read_text()
    assert not is_running(store)


def test_a_stopped_role_dies_with_a_killed_supervisor(stuck_up):
    up, store, _ = stuck_up
    up.kill()
    up.wait()
    wait.until(lambda: not is_running(store), "the store is gone")


def test_up_starts_a_role_again_that_keeps_ending(made, tmp_path):
    """The store cannot listen where another does: it ends, and waits longer each time."""
    import socket
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        set_up(made, roles="store", listen=f"127.0.0.1:{taken.getsockname()[1]}", store_user="-")
        with open(tmp_path / "log", "w+") as log:
            up = subprocess.Popen([BINARY, "up", "--config", made / "certherd.conf"], stderr=log)
            try:
                wait_said(up, tmp_path / "log", "store started", 3)
            finally:
                up.send_signal(signal.SIGTERM)
                assert up.wait(20) == 0
    text = (tmp_path / "log").read_text()
    assert "started again in 250 ms" in text and "started again in 500 ms" in text
    assert "separation is off" in text
