"""Strangers who ask for names that are not served: cheap, and nothing of it stays."""

import socket

import pytest

import hello
from lab import herd, sanitizer
from edge_fixture import memory_b, new_edge  # noqa: F401

ALERT, UNRECOGNIZED_NAME = 21, 112
FLAT_B = 1 << 19


class Strangers:
    """ClientHellos that differ in the name only, without what a client of TLS costs."""

    def __init__(self, edge, pattern):
        self.address = ("127.0.0.1", edge.port["https"])
        self.pattern = pattern
        self.mark = pattern % 0
        self.hello = hello.with_server_names(hello.name_list(self.mark.encode()))

    def ask(self, number):
        """(content type, alert) of what is answered first."""
        name = self.pattern % number
        assert len(name) == len(self.mark)
        with socket.create_connection(self.address, timeout=20) as visitor:
            visitor.sendall(self.hello.replace(self.mark.encode(), name.encode()))
            head = visitor.recv(7, socket.MSG_WAITALL)
            return head[0], head[6]

    def ask_all(self, numbers):
        for number in numbers:
            assert self.ask(number) == (ALERT, UNRECOGNIZED_NAME)


@pytest.fixture
def edge(new_edge):  # noqa: F811
    made = new_edge(workers=1, log_level="warn")
    made.apply("cert:served.test:1", *(f"name:p{i:06}.pending.test:1" for i in range(500)))
    made.start()
    with made.connect("served.test"):
        pass
    return made


@pytest.mark.skipif(sanitizer.watches(herd.nginx()), reason="the sanitizer's memory would count too")
@pytest.mark.parametrize("pattern,names", [("s%06d.strangers.test", 30_000),
                                           ("p%06d.pending.test", 5_000)])
def test_unknown_names_leave_nothing_in_memory_nor_in_the_log(edge, pattern, names):
    """pending.test: registered, some of them, and without a certificate."""
    (worker,) = edge.workers_now()
    strangers = Strangers(edge, pattern)
    strangers.ask_all(range(500))
    before, log = memory_b(worker), edge.log()
    strangers.ask_all(range(500, names))
    assert memory_b(worker) - before < FLAT_B
    assert edge.log() == log
    with edge.connect("served.test") as visitor:
        assert visitor.names == ["served.test"]


def test_names_that_are_served_do_take_memory(new_edge):  # noqa: F811
    """So that the test above would see it."""
    edge = new_edge(workers=1, log_level="warn")
    edge.apply("many:kept.test:150:1").start()
    with edge.connect("n0.kept.test"):
        pass
    (worker,) = edge.workers_now()
    before = memory_b(worker)
    edge.load("kept.test", 150, **{"from": 0, "count": 150})
    assert memory_b(worker) - before > FLAT_B
