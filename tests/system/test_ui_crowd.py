"""The web interface when its store hangs, and when others take what connections they can."""

import contextlib
import select
import socket
import threading

import pytest

import ui_fixture
from lab import wait

PAGES_AT_ONCE = 4
STRANGERS = 384  # connections that have shown nothing, at most
CROWD = 500      # that others want


@pytest.fixture
def alone(make_site):
    """A herd of which nothing runs."""
    site = make_site()
    site.herd.init()
    return site.herd


class HalfStore(ui_fixture.LyingStore):
    """Answers everything but the list of names, for which it lets all wait."""

    def __init__(self, herd):
        self.asked = 0
        super().__init__(herd, self.reply)

    def reply(self, path):
        if not path.startswith("/v1/domains?"):
            return {}
        self.asked += 1
        return None


@contextlib.contextmanager
def asking(ui, path):
    """A browser that has asked for a page and waits for it."""
    with socket.create_connection((ui.host, ui.port)) as connection:
        connection.sendall(f"GET {ui.root}{path} HTTP/1.1\r\nHost: {ui.host}:{ui.port}\r\n"
                           f"Cookie: {ui.cookie}\r\n\r\n".encode())
        yield connection


# ---- a store that hangs


def test_pages_that_wait_hold_up_no_others(alone, scratch):
    with HalfStore(alone) as store, ui_fixture.running(alone, scratch / "ui.log") as ui, \
            contextlib.ExitStack() as waiting:
        for at in range(PAGES_AT_ONCE - 1):
            waiting.enter_context(asking(ui, "/names"))
            wait.until(lambda: store.asked == at + 1, "the store is asked")
        assert ui.get("/").status == 200
        # Nor does one more what needs no store.
        waiting.enter_context(asking(ui, "/names"))
        wait.until(lambda: store.asked == PAGES_AT_ONCE, "the store is asked")
        assert ui.raw("GET", "/style.css").status == 200
        assert ui.get("/help/reason/ok").status == 200
        assert ui.raw("GET", "/").status == 403
        assert ui.raw("GET", f"/?token={ui.token}").status == 303
        assert ui.get("/names", method="POST").status == 405
        assert store.asked == PAGES_AT_ONCE


def test_who_has_gone_is_not_waited_for(alone, scratch):
    with HalfStore(alone) as store, ui_fixture.running(alone, scratch / "ui.log") as ui:
        for round in range(3):
            with contextlib.ExitStack() as waiting:
                for _ in range(PAGES_AT_ONCE):
                    waiting.enter_context(asking(ui, "/names"))
                wait.until(lambda: store.asked == (round + 1) * PAGES_AT_ONCE, "the store is asked")
            # They are closed: nobody wants these pages any more.
            assert ui.get("/").status == 200


def test_those_that_wait_are_given_up_in_time_too(alone, scratch):
    with HalfStore(alone), ui_fixture.running(alone, scratch / "ui.log") as ui, \
            contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(asking(ui, "/names")) for _ in range(2 * PAGES_AT_ONCE)]
        for connection in waiting:
            connection.settimeout(60)
            assert connection.recv(100).startswith(b"HTTP/1.1 502 ")


def test_it_ends_at_once_with_pages_under_way_and_others_that_wait(alone, scratch):
    with HalfStore(alone) as store, ui_fixture.running(alone, scratch / "ui.log") as ui, \
            contextlib.ExitStack() as waiting:
        for _ in range(3 * PAGES_AT_ONCE):
            waiting.enter_context(asking(ui, "/names"))
        wait.until(lambda: store.asked == PAGES_AT_ONCE, "the store is asked")
        assert ui.stop(timeout=10) == 0


# ---- others on this machine


class Crowd:
    """Holds as many connections as it gets, and takes each that is closed anew: silent ones, some that
    send their request a byte at a time, and some that ask for what everybody may have."""

    def __init__(self, ui, n):
        self.ui, self.n = ui, n
        self.poll = select.poll()
        self.held, self.taken = {}, 0
        self.leaving = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.fill()
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.leaving.set()
        self.thread.join()
        for connection in self.held.values():
            connection.close()

    def fill(self):
        while len(self.held) < self.n:
            connection = socket.create_connection((self.ui.host, self.ui.port), timeout=30)
            kind = self.taken % 3
            self.taken += 1
            with contextlib.suppress(OSError):
                if kind == 1:
                    connection.sendall(b"GET / HTTP/1.1\r\nX: ")
                elif kind == 2:
                    connection.sendall(f"GET /style.css HTTP/1.1\r\nHost: {self.ui.host}:{self.ui.port}\r\n\r\n"
                                       .encode())
            self.held[connection.fileno()] = connection
            self.poll.register(connection, select.POLLRDHUP)

    def run(self):
        while not self.leaving.wait(0.05):
            for number, _ in self.poll.poll(0):
                self.poll.unregister(number)
                self.held.pop(number).close()
            for connection in self.held.values():
                with contextlib.suppress(OSError):
                    connection.send(b"y")
            self.fill()


def test_a_crowd_does_not_take_the_operators_place(alone, scratch):
    alone.start("store")
    with ui_fixture.running(alone, scratch / "ui.log") as ui, Crowd(ui, CROWD) as crowd:
        for _ in range(20):
            assert ui.get("/").status == 200
            assert ui.raw("GET", "/style.css").status == 200
        # Who comes for the first time gets in, too.
        assert ui.sign_in().get("/names").status == 200
        wait.until(lambda: crowd.taken > CROWD, "the crowd comes again")


def test_a_page_that_is_being_made_outlives_the_crowd(alone, scratch):
    answering = threading.Event()

    def late(path):
        answering.wait()
        return {}

    with ui_fixture.LyingStore(alone, late), ui_fixture.running(alone, scratch / "ui.log") as ui:
        try:
            with asking(ui, "/names") as mine, Crowd(ui, CROWD) as crowd:
                wait.until(lambda: crowd.taken > 2 * CROWD, "the crowd comes again")
                assert is_open(mine)
                answering.set()
                mine.settimeout(60)
                assert mine.recv(12) == b"HTTP/1.1 200"
        finally:
            answering.set()


def is_open(connection):
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return not poll.poll(0)


def test_who_shows_nothing_is_shown_out(alone, scratch):
    with ui_fixture.running(alone, scratch / "ui.log") as ui, \
            socket.create_connection((ui.host, ui.port)) as silent, \
            socket.create_connection((ui.host, ui.port)) as slow:

        def closed():
            # A byte now and then is no reason to stay.
            with contextlib.suppress(OSError):
                slow.send(b"G")
            return not is_open(silent) and not is_open(slow)

        assert is_open(silent) and is_open(slow)
        wait.until(closed, "they are closed", timeout=60)


def test_so_many_strangers_are_let_in(alone, scratch):
    with ui_fixture.running(alone, scratch / "ui.log") as ui, contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(socket.create_connection((ui.host, ui.port))) for _ in range(CROWD)]
        assert ui.get("/help/reason/ok").status == 200
        # The oldest had to go.
        wait.until(lambda: not is_open(crowd[0]), "the first is closed")
        assert sum(map(is_open, crowd)) <= STRANGERS
