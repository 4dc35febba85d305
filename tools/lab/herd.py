"""certherd itself: a folder made by `certherd init`, its programs, its API."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import ssl
import threading

from . import conffile, ports, process, wait

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def binary():
    return pathlib.Path(os.environ.get("CERTHERD_BIN", ROOT / "build/src/certherd")).resolve()


def module():
    default = ROOT / "build/nginx/ngx_http_certherd_module.so"
    return pathlib.Path(os.environ.get("CERTHERD_MODULE", default)).resolve()


def nginx():
    """Its program: Debian's, or one that a sanitizer watches (tools/sanitized-nginx.sh)."""
    return pathlib.Path(os.environ.get("CERTHERD_NGINX", "/usr/sbin/nginx"))


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The problem's code, or None."""
        try:
            return self.json.get("code")
        except (ValueError, AttributeError):
            return None

    def __repr__(self):
        return f"<{self.status} {self.body[:500]!r}>"


class Api:
    """A client of the store with one identity; cert None: without a certificate."""

    def __init__(self, port, ca, cert=None, key=None, verify=True):
        self.port = port
        self.kept = None  # a connection for the next GET, of whoever asks again and again
        self.context = ssl.create_default_context(cafile=str(ca))
        if not verify:
            self.context.check_hostname = False
            self.context.verify_mode = ssl.CERT_NONE
        if cert:
            self.context.load_cert_chain(str(cert), str(key))

    def call(self, method, path, body=None, raw=None, headers=None, timeout=30):
        """body: sent as JSON; raw: bytes sent as they are."""
        headers = dict(headers or {})
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            headers.setdefault("Content-Type", "application/json")
        connection = self._connect(timeout)
        try:
            return self._ask(connection, method, path, data, headers)
        finally:
            connection.close()

    def _connect(self, timeout):
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.context)

    @staticmethod
    def _ask(connection, method, path, data=None, headers=None):
        connection.request(method, path, body=data, headers=headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def get_again(self, path, timeout=30):
        """Over the connection of the last time, if it is still one: handshakes are most of what
        asking costs, here and in the store."""
        if self.kept:
            try:
                return self._ask(self.kept, "GET", path)
            except (OSError, http.client.HTTPException):
                self.kept.close()
        self.kept = self._connect(timeout)
        return self._ask(self.kept, "GET", path)

    def put(self, path, body=None, **options):
        return self.call("PUT", path, {} if body is None else body, **options)

    def post(self, path, body=None, **options):
        return self.call("POST", path, body, **options)

    def delete(self, path, **options):
        return self.call("DELETE", path, **options)


class Herd:
    """folder: does not exist yet; its parent does."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.config = self.folder / "certherd.conf"
        self.store_port = ports.free_port()
        self.running = []
        self.looking = threading.local()
        self.companions = []  # checks of what certherd cannot do without, such as the CA

    def init(self, *arguments):
        process.run([binary(), "init", *arguments, self.folder])
        url = f"https://127.0.0.1:{self.store_port}"
        self.set("store", listen=f"127.0.0.1:{self.store_port}")
        for section in ("issuer", "agent", "cli"):
            self.set(section, store=url)
        return self

    def set(self, section, **keys):
        text = self.config.read_text()
        for key, value in keys.items():
            text = conffile.set_key(text, section, key, value)
        self.config.write_text(text)

    @property
    def env(self):
        return {"CERTHERD_CONFIG": str(self.config)}

    def start(self, program):
        """program: up, store, issuer or agent.  Its log is <folder>/<program>.log."""
        child = process.Process(f"certherd {program}", [binary(), program],
                                self.folder / f"{program}.log", env=self.env).start()
        self.running.append(child)
        if program in ("up", "store"):
            process.wait_listening(child, self.store_port)
            wait.until(lambda: child.check_alive() and self.is_healthy(),
                       lambda: f"the store is healthy\n{child.log_tail()}")
        return child

    def is_healthy(self):
        try:
            return Api(self.store_port, self.pki("ca.pem")).get("/v1/health").status == 200
        except OSError:
            return False

    def pid_of(self, role):
        """The supervisor's child, None while it is not running."""
        for pid in process.children_of(self.running[0].pid):
            if process.command_line(pid).split()[1:2] == [role]:
                return pid
        return None

    @contextlib.contextmanager
    def suspended(self, role):
        """The supervisor's child does nothing meanwhile."""
        pid = self.pid_of(role)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def stop(self):
        """Stops what runs; returns the exit codes by name.  Raises when a sanitizer had
        something to say: `certherd up` restarts what died of it."""
        codes = {}
        for child in reversed(self.running):
            codes[child.name] = child.stop()
        self.running.clear()
        self.check_sanitizers()
        return codes

    def check_sanitizers(self):
        for path in self.folder.glob("*.log"):
            text = path.read_text(errors="replace")
            found = re.search(r"(ERROR: \w+Sanitizer|SUMMARY: \w+Sanitizer|runtime error:)", text)
            if found:
                raise AssertionError(f"{path}: {text[found.start():found.start() + 6000]}")

    def check(self):
        """Fails with a clear message when something that should run does not."""
        for companion in self.companions:
            companion()
        return all(child.check_alive() for child in self.running)

    def cli(self, *arguments, check=True, **options):
        return process.run([binary(), *arguments], check=check,
                           env={**os.environ, **self.env}, **options)

    def pki(self, name):
        return self.folder / "pki" / name

    def api(self, identity="operator"):
        return Api(self.store_port, self.pki("ca.pem"), self.pki(f"{identity}.pem"),
                   self.pki(f"{identity}.key"))

    def look(self, path):
        """What the store answers an operator who asks again and again, of one thread each."""
        files = [self.pki(name) for name in ("ca.pem", "operator.pem", "operator.key")]
        of = (self.store_port, *(file.stat().st_mtime_ns for file in files))
        if getattr(self.looking, "of", None) != of:
            self.looking.of, self.looking.api = of, self.api()
        return self.looking.api.get_again(path)

    def domain(self, name):
        return self.look(f"/v1/domains/{name}").json

    def wait_state(self, name, state, timeout=30, also=lambda domain: True):
        """Waits until the name has the state (one, or several), and returns the domain."""
        states = {state} if isinstance(state, str) else set(state)
        last = {}

        def reached():
            self.check()
            last.clear()
            last.update(self.domain(name))
            return last if last.get("state") in states and also(last) else None

        return dict(wait.until(reached, lambda: f"{name} is {state}: {json.dumps(last)}\n" +
                               "\n".join(c.log_tail(25) for c in self.running), timeout))
