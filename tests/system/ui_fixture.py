"""`certherd ui` as its tests use it: the program, a client of it, and a store that lies."""

import contextlib
import http.client
import http.server
import json
import re
import ssl
import threading

from lab import herd as lab_herd, process, wait

COOKIE = "certherd-ui"


class Page:
    def __init__(self, answer):
        self.status = answer.status
        self.headers = answer.headers
        self.text = answer.read().decode()

    def __repr__(self):
        return f"<{self.status} {self.text[:1000]}>"


class Ui:
    """The program, and an operator who has opened its address."""

    def __init__(self, herd, log, *options):
        self.child = process.Process("certherd ui", [lab_herd.binary(), "ui", *options], log, env=herd.env).start()
        try:
            found = wait.until(lambda: self.child.check_alive() and
                               re.search(r"http://(\S+):(\d+)/\?token=([\w-]+)\n", self.child.log()),
                               "its address is printed")
        except BaseException:
            self.child.stop()
            raise
        self.host, self.port, self.token = found[1], int(found[2]), found[3]
        self.url = found[0].strip()
        self.root = self.cookie = None

    def sign_in(self):
        page = self.raw("GET", f"/?token={self.token}")
        assert page.status == 303, page
        self.root = page.headers["Location"].rstrip("/")
        self.cookie = page.headers["Set-Cookie"].split(";")[0]
        return self

    def raw(self, method, path, host=None, body=None, **headers):
        """One request as it is given; headers with _ for -; None: without Host."""
        connection = http.client.HTTPConnection(self.host.strip("[]"), self.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            if host is not False:
                connection.putheader("Host", host or f"{self.host}:{self.port}")
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            if body:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            return Page(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, method="GET", **headers):
        return self.raw(method, self.root + path, Cookie=self.cookie, **headers)

    def stop(self, **options):
        return self.child.stop(**options)


@contextlib.contextmanager
def running(herd, log, *options):
    """It must end without a complaint, of a sanitizer neither."""
    ui = Ui(herd, log, *options)
    try:
        yield ui.sign_in()
    except BaseException:
        ui.stop()
        raise
    assert ui.stop() == 0, ui.child.log_tail()


class LyingStore:
    """Answers every path with what answer(path) says: bytes, or something for JSON; or waits until it
    is stopped."""

    def __init__(self, herd, answer, port=None, post=None):
        """post(path, body): the status and the JSON of what is posted."""
        self.answer, self.post = answer, post
        self.stopping = threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(herd.pki("store.pem"), herd.pki("store.key"))
        context.load_verify_locations(herd.pki("ca.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", herd.store_port if port is None else port), self._handler())
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()

    def _handler(store):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = store.answer(self.path)
                if body is None:
                    store.stopping.wait()
                    return
                if not isinstance(body, bytes):
                    body = json.dumps(body).encode()
                with contextlib.suppress(OSError):  # who asks may have had enough
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = store.post(self.path, body)
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if status == 200 else "application/problem+json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *args):
                pass

        return Handler
