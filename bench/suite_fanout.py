"""One change to 500 edges that wait for it at one store, on SQLite: the time from the acknowledgement
of the change to the answer of each one's long poll.  The edges are connections of one process, all on this machine."""

import asyncio
import pathlib
import ssl
import tempfile
import time

import measure
from lab import herd
from report import Report

EDGES = 500
CHANGES = 15
LIMIT_MS = 1000
WAIT_MS = 60_000
CURSOR = "epoch={}&after={}&base={}"


class Edge:
    """A long poll after the other over one connection, as an agent makes them."""

    def __init__(self, port, context):
        self.port, self.context = port, context
        self.reader = self.writer = None

    async def connect(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port,
                                                                 ssl=self.context)

    async def ask(self, query):
        self.writer.write(f"GET /v1/feed?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        await self.writer.drain()

    async def answer(self):
        """When its head had come."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        at = time.monotonic()
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.split(b"\r\n")[0].decode())
        length = next(line for line in head.lower().split(b"\r\n")
                      if line.startswith(b"content-length:"))
        await self.reader.readexactly(int(length.split(b":")[1]))
        return at


class Scene:
    def __init__(self, folder):
        self.herd = herd.Herd(folder / "herd").init()
        self.store = self.herd.start("store")
        self.number = 0
        print(f"making {EDGES} identities", flush=True)
        self.contexts = [self._identity(number) for number in range(EDGES)]

    def _identity(self, number):
        self.herd.cli("identity", "new", "edge", "--id", f"fan{number}")
        context = ssl.create_default_context(cafile=str(self.herd.pki("ca.pem")))
        stem = f"edge-fan{number}"
        context.load_cert_chain(str(self.herd.pki(f"{stem}.pem")), str(self.herd.pki(f"{stem}.key")))
        return context

    def put(self):
        """Adds a name; when that was acknowledged."""
        self.number += 1
        answer = self.herd.api().put(f"/v1/domains/n{self.number}.fan.example.com")
        assert answer.status == 201, answer
        return time.monotonic()

    def cursor(self):
        feed = self.herd.api().get("/v1/status").json["feed"]
        return CURSOR.format(feed["epoch"], feed["head"], feed["head"])

    async def connect(self):
        edges = [Edge(self.herd.store_port, context) for context in self.contexts]
        for at in range(0, EDGES, 50):
            await asyncio.gather(*(edge.connect() for edge in edges[at:at + 50]))
        return edges

    async def change(self, edges):
        """Milliseconds until the median edge, and until the last one, has it."""
        query = f"{self.cursor()}&wait_ms={WAIT_MS}"
        for edge in edges:
            await edge.ask(query)
        answers = [asyncio.ensure_future(edge.answer()) for edge in edges]
        await asyncio.sleep(0.5)  # they lie in the store now, and none was answered
        if any(answer.done() for answer in answers):
            raise RuntimeError("an edge was answered before there was a change")
        put_s = await asyncio.to_thread(self.put)
        times = sorted((at - put_s) * 1e3 for at in await asyncio.gather(*answers))
        return times[len(times) // 2], times[-1]


async def measure_all(scene):
    edges = await scene.connect()
    cpu_s = measure.cpu_s(scene.store.pid)
    times = [await scene.change(edges) for _ in range(CHANGES)]
    return times, (measure.cpu_s(scene.store.pid) - cpu_s) / CHANGES / EDGES


def run(bench):
    with tempfile.TemporaryDirectory(prefix="certherd-bench-") as name:
        scene = Scene(pathlib.Path(name))
        try:
            times, cpu_s = asyncio.run(measure_all(scene))
        finally:
            scene.herd.stop()
    report = Report("fanout")
    how = f"{EDGES} edges, {CHANGES} changes; load {measure.loaded():.1f}"
    last = [one[1] for one in times]
    report.at_most("a change has reached the last edge", measure.median(last), "ms", LIMIT_MS,
                   f"{measure.spread(last)}; {how}")
    report.tell("a change has reached the median edge", measure.median([one[0] for one in times]), "ms",
                measure.spread([one[0] for one in times]))
    report.tell("store, for each edge and change", cpu_s * 1e6, "µs CPU")
    return report
