"""`certherd init` and `certherd up`."""

import fcntl
import os
import pathlib
import pty
import signal
import stat
import subprocess
import termios
import threading

import pytest

from lab import herd, process, wait


def test_init_makes_a_folder_with_private_keys_kept_private(scratch):
    made = herd.Herd(scratch / "certherd").init()
    for path in ("certherd.conf", "pki/ca.pem", "pki/edge-ca.pem", "offline/ca.key", "pki/store.pem",
                 "pki/issuer.pem", "pki/edge.pem", "pki/operator.pem", "pki/platform.pem",
                 "issuer/account.key", "issuer/signing.key", "issuer/recipients",
                 "edge/recipient.key", "edge/signers", "edge/nginx-certherd.conf"):
        assert (made.folder / path).is_file(), path
    for path in made.folder.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert not mode & 0o002, f"{path} may be written by everybody"
        if path.suffix == ".key":
            assert mode & 0o077 == 0, f"{path}: {mode:o}"


def test_init_refuses_to_overwrite(scratch):
    made = herd.Herd(scratch / "certherd").init()
    before = {path: path.read_bytes() for path in made.folder.rglob("*") if path.is_file()}
    done = process.run([herd.binary(), "init", made.folder], check=False)
    assert done.returncode in (1, 2) and done.stderr
    assert {path: path.read_bytes() for path in made.folder.rglob("*") if path.is_file()} == before


def test_init_refuses_a_folder_with_anything_in_it(scratch):
    (scratch / "mine").mkdir()
    (scratch / "mine/notes").write_text("keep")
    done = process.run([herd.binary(), "init", scratch / "mine"], check=False)
    assert done.returncode in (1, 2) and done.stderr
    assert os.listdir(scratch / "mine") == ["notes"]


def test_a_key_pair_is_made_and_shown(scratch):
    path = scratch / "recipient.key"
    made = process.run([herd.binary(), "key", "new", path])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    shown = process.run([herd.binary(), "key", "pub", path]).stdout.strip()
    assert shown.splitlines()[-1].startswith("certherd-pub-")
    assert "SECRET" not in made.stdout + made.stderr + shown
    again = process.run([herd.binary(), "key", "new", path], check=False)
    assert again.returncode != 0


def roles_of(up):
    found = {}
    for pid in process.children_of(up.pid):
        words = process.command_line(pid).split()
        for role in ("store", "issuer", "agent"):
            if role in words:
                found[role] = pid
    return found


@pytest.mark.parametrize("role", ["store", "issuer", "agent"])
def test_up_restarts_a_killed_child(make_site, role):
    made = make_site()
    made.start()
    up = made.herd.running[0]
    made.go_live("before.example.com")
    before = wait.until(lambda: len(roles_of(up)) == 3 and roles_of(up), "three children run")
    os.kill(before[role], signal.SIGKILL)
    after = wait.until(lambda: roles_of(up).get(role, before[role]) != before[role] and roles_of(up),
                       lambda: f"the {role} is back\n{up.log_tail()}", 20)
    assert {name: pid for name, pid in after.items() if name != role} == \
        {name: pid for name, pid in before.items() if name != role}
    wait.until(made.herd.is_healthy, "the store is healthy", 20)
    made.go_live("after.example.com", 40)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_up_stops_cleanly_and_leaves_nothing(make_site, how):
    made = make_site()
    made.start()
    up = made.herd.running.pop()
    children = wait.until(lambda: len(roles_of(up)) == 3 and roles_of(up), "three children run")
    os.kill(up.pid, how)
    assert up.wait_exit(20) == 0, up.log_tail()
    assert not [pid for pid in children.values() if process.exists(pid)]


def test_a_hangup_without_a_terminal_is_for_the_issuer(make_site):
    made = make_site()
    made.start()
    up = made.herd.running[0]
    children = wait.until(lambda: len(roles_of(up)) == 3 and roles_of(up), "three children run")
    wait.until(lambda: "issuer  ready" in up.log(), up.log_tail)
    os.kill(up.pid, signal.SIGHUP)
    wait.until(lambda: "recipients read again: 1" in up.log(), up.log_tail)
    assert roles_of(up) == children
    made.go_live("after.example.com")


def test_children_end_with_a_killed_up(make_site):
    made = make_site()
    made.start()
    up = made.herd.running.pop()
    children = wait.until(lambda: len(roles_of(up)) == 3 and roles_of(up), "three children run")
    os.kill(up.pid, signal.SIGKILL)
    up.wait_exit(5)
    wait.until(lambda: not [pid for pid in children.values() if process.exists(pid)],
               "the children have ended", 20)


def test_up_begins_again_where_it_stopped(make_site):
    made = make_site()
    made.start()
    first = made.go_live("again.example.com")
    assert set(made.herd.stop().values()) == {0}
    made.herd.start("up")
    second = made.herd.domain("again.example.com")
    assert second["certificate"] == first["certificate"]
    made.go_live("later.example.com")


def test_without_users_of_their_own_up_warns(make_site):
    made = make_site()
    made.start()
    why = "no role has a user of its own" if os.geteuid() == 0 else "not started as root"
    assert f"separation is off: {why}, so whoever breaks into one role" in made.herd.running[0].log()


@pytest.mark.skipif(os.geteuid() != 0, reason="separation needs root")
def test_as_root_each_role_has_its_own_user(make_site):
    made = make_site(nginx_options={"user": "www-data"},
                     settings={"up": {"store_user": "64101", "issuer_user": "64102", "agent_user": "64103"},
                               "agent": {"replica_group": "www-data"}})
    made.start()
    up = made.herd.running[0]
    children = wait.until(lambda: len(roles_of(up)) == 3 and roles_of(up), "three children run")

    def user(pid):
        with open(f"/proc/{pid}/status") as status:
            line = next(line for line in status if line.startswith("Uid:"))
        return set(line.split()[1:])

    assert {role: user(pid) for role, pid in children.items()} == {
        "store": {"64101"}, "issuer": {"64102"}, "agent": {"64103"}}
    assert "separation is off" not in up.log()
    made.go_live("separate.example.com")
    with made.connect("separate.example.com") as visit:
        assert visit.names == ["separate.example.com"]

    def may_read(uid, path):
        code = f"import os; os.setgroups([]); os.setgid({uid}); os.setuid({uid}); open({str(path)!r}, 'rb')"
        return subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True).returncode == 0

    folder = made.herd.folder
    secrets = {"store": ["pki/store.key", "store/certherd.db"],
               "issuer": ["pki/issuer.key", "issuer/account.key", "issuer/signing.key"],
               "agent": ["pki/edge.key"], None: ["offline/ca.key", "pki/edge-ca.key", "edge/recipient.key",
                                                 "pki/operator.key"]}
    users = {"store": 64101, "issuer": 64102, "agent": 64103, "nobody else": 64999}
    for owner, paths in secrets.items():
        for path in paths:
            readers = {role for role, uid in users.items() if may_read(uid, folder / path)}
            assert readers == ({owner} if owner else set()), path


class Terminal:
    """`certherd up` as the foreground of a terminal, as an administrator starts it by hand."""

    def __init__(self, made, hangup=signal.SIG_DFL):
        self.master, slave = pty.openpty()
        self.path = os.ttyname(slave)
        self.said = b""
        self.up = subprocess.Popen(
            [str(herd.binary()), "up"], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, **made.herd.env}, pass_fds=[slave],
            preexec_fn=lambda: (fcntl.ioctl(0, termios.TIOCSCTTY, 0), signal.signal(signal.SIGHUP, hangup)))
        os.close(slave)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    @property
    def pid(self):
        return self.up.pid

    def _read(self):
        try:
            while part := os.read(self.master, 4096):
                self.said += part
        except OSError:
            pass  # nobody has it open any more

    def roles(self):
        assert self.up.poll() is None, self.said
        # Until exec a child still has its parent's command line.
        return len(roles_of(self)) == 3 and roles_of(self)

    def close(self):
        if self.up.poll() is None:
            self.up.kill()
        self.up.wait()
        self.reader.join()
        os.close(self.master)


def access_to(pid, path):
    """What a process may do with a file that it has open: {"r", "w", "rw"}."""
    modes = set()
    for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(link)
        except FileNotFoundError:  # closed meanwhile
            continue
        if target == path:
            info = pathlib.Path(f"/proc/{pid}/fdinfo/{link.name}").read_text()
            flags = next(line.split()[1] for line in info.splitlines() if line.startswith("flags:"))
            modes.add(("r", "w", "rw")[int(flags, 8) & os.O_ACCMODE])
    return modes


@pytest.mark.parametrize("separate", [False, pytest.param(True, marks=pytest.mark.skipif(
    os.geteuid() != 0, reason="separation needs root"))])
def test_a_role_has_nothing_of_the_terminal_but_to_write_to_it(make_site, separate):
    users = {"store_user": "64101", "issuer_user": "64102", "agent_user": "64103"}
    made = make_site(settings={"up": users} if separate else {})
    made.prepare()
    terminal = Terminal(made)
    try:
        children = wait.until(terminal.roles, lambda: f"three children run\n{terminal.said}")
        assert access_to(terminal.pid, terminal.path) == {"rw"}, "the control: up itself has it"
        for role, pid in children.items():
            state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            group, session, tty = map(int, state[2:5])
            assert (group, session, tty) == (pid, pid, 0), role
            assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null", role
            assert access_to(pid, terminal.path) == {"w"}, role
        wait.until(lambda: terminal.roles() and terminal.said.count(b" ready ") >= 2,
                   lambda: f"the roles are heard\n{terminal.said}")
        os.write(terminal.master, b"\x03")  # Ctrl-C
        assert terminal.up.wait(20) == 0, terminal.said
        assert not [pid for pid in children.values() if process.exists(pid)]
    finally:
        terminal.close()


def test_the_end_of_a_terminal_ends_up(make_site):
    made = make_site()
    made.prepare()
    terminal = Terminal(made)
    try:
        wait.until(terminal.roles, lambda: f"three children run\n{terminal.said}")
        os.kill(terminal.pid, signal.SIGHUP)
        assert terminal.up.wait(20) == 0, terminal.said
    finally:
        terminal.close()


def test_under_nohup_up_outlives_its_terminal(make_site):
    made = make_site()
    made.prepare()
    terminal = Terminal(made, hangup=signal.SIG_IGN)
    try:
        children = wait.until(terminal.roles, lambda: f"three children run\n{terminal.said}")
        wait.until(lambda: b"issuer  ready" in terminal.said, lambda: terminal.said)
        os.kill(terminal.pid, signal.SIGHUP)
        wait.until(lambda: b"recipients read again: 1" in terminal.said, lambda: terminal.said)
        assert terminal.roles() == children
    finally:
        terminal.close()


def alone(scratch):
    """A folder of its own, whose roles run as who starts them."""
    made = herd.Herd(scratch / "certherd").init()
    if os.geteuid() == 0:
        made.set("up", store_user="-", issuer_user="-", agent_user="-")
    return made


def test_a_wrong_issuer_keeps_nobody_else_from_running(scratch):
    made = alone(scratch)
    made.set("issuer", lissten="127.0.0.1:1")
    up = made.start("up")
    try:
        wait.until(lambda: "issuer ended: exit code 2" in up.log(), up.log_tail)
        assert "lissten" in up.log() and "the others run on" in up.log()
        wait.until(lambda: made.look("/v1/edges").json["edges"], "the agent has reported", 20)
        assert made.pid_of("store") and not made.pid_of("issuer")
    finally:
        made.stop()


@pytest.mark.parametrize("roles, wrong", [("store,issuer,agent", "store"), ("issuer", "issuer")])
def test_where_nothing_works_with_a_wrong_configuration_up_ends(scratch, roles, wrong):
    made = alone(scratch)
    made.set("up", roles=roles)
    made.set(wrong, lissten="127.0.0.1:1")
    done = process.run([herd.binary(), "up"], check=False, timeout=20, env={**os.environ, **made.env})
    assert done.returncode == 2, done
    assert "lissten" in done.stderr and "wrong configuration" in done.stderr


@pytest.mark.parametrize("absent", ["rights", "folder"])
def test_a_database_that_may_not_be_opened_ends_up_with_2(scratch, absent):
    """Rights do not come by themselves; a folder may, when it is mounted."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to somebody else and drop its own rights")
    made = alone(scratch)
    folder = made.folder / "database"
    made.set("store", database=f"sqlite:{folder}/certherd.db")
    if absent == "rights":
        folder.mkdir(mode=0o700)
        os.chown(folder, 65534, 65534)
    words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", herd.binary()]
    if absent == "rights":
        done = process.run([*words, "up"], check=False, timeout=20, env={**os.environ, **made.env})
        assert done.returncode == 2 and "Permission denied" in done.stderr, done
    else:
        done = process.run([*words, "store"], check=False, timeout=20, env={**os.environ, **made.env})
        assert done.returncode == 1 and "No such file" in done.stderr, done


def test_a_misspelt_key_is_an_error(scratch):
    made = herd.Herd(scratch / "certherd").init()
    made.set("store", lissten="127.0.0.1:1")
    done = process.run([herd.binary(), "store"], check=False, timeout=20, env={**os.environ, **made.env})
    assert done.returncode == 2
    assert "lissten" in done.stderr
