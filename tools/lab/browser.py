"""A real browser, Chromium without a window, steered over a pair of pipes."""

import base64
import fcntl
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import time

from . import process

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ANSWER_S = 30


def find():
    """Its program, or None where there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """One page.  A context manager."""

    def __init__(self, program=None):
        self.profile = tempfile.mkdtemp(prefix="certherd-browser-")
        self.last = 0
        self.unread = b""
        self.events = []
        from_us, self.to = os.pipe()
        self.out, to_us = os.pipe()
        self.ready = select.poll()
        self.ready.register(self.out, select.POLLIN)
        words = [program or find(), "--headless", "--no-sandbox", "--remote-debugging-pipe",
                 "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
                 "--disable-background-networking", "--disable-component-update",
                 "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                 f"--user-data-dir={self.profile}", "about:blank"]

        def arrange():
            """The browser reads from 3 and writes to 4, whatever these are here."""
            process.die_with_parent()
            pair = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (from_us, to_us)]
            os.dup2(pair[0], 3)
            os.dup2(pair[1], 4)

        self.process = subprocess.Popen(
            words, pass_fds=(3, 4), preexec_fn=arrange, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(from_us)
        os.close(to_us)
        try:
            self._attach()
        except BaseException:
            self.close()
            raise

    def _attach(self):
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        for fd in (self.to, self.out):
            os.close(fd)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def _read(self, deadline):
        """The next message."""
        while b"\0" not in self.unread:
            left = deadline - time.monotonic()
            if left <= 0 or not self.ready.poll(left * 1000):
                raise AssertionError("the browser does not answer")
            piece = os.read(self.out, 1 << 16)
            if not piece:
                raise AssertionError("the browser is gone")
            self.unread += piece
        text, self.unread = self.unread.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **parameters):
        """One command of the DevTools protocol; what happens meanwhile is kept in events."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + ANSWER_S
        while True:
            answer = self._read(deadline)
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, event):
        deadline = time.monotonic() + ANSWER_S
        while True:
            for at, seen in enumerate(self.events):
                if seen.get("method") == event:
                    return self.events.pop(at)
            self.events.append(self._read(deadline))

    def forget(self, event):
        self.events = [seen for seen in self.events if seen.get("method") != event]

    def open(self, url):
        self.forget("Page.loadEventFired")
        self.call("Page.navigate", url=url)
        self.wait("Page.loadEventFired")

    def click(self, selector):
        """Follows a link, or sends a form."""
        self.forget("Page.loadEventFired")
        assert self.run(f"!!document.querySelector({json.dumps(selector)})"), selector
        self.run(f"document.querySelector({json.dumps(selector)}).click()")
        self.wait("Page.loadEventFired")

    def run(self, expression):
        """What the expression of JavaScript is in the page.  A debugger's is not stopped by a policy."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def text(self):
        return self.run("document.body.innerText")

    def look(self, width, dark=False, height=900):
        """From now on the window is so wide, and its colours are these."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def screenshot(self, path):
        """The whole page."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))
