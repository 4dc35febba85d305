"""Many workers of nginx over one replica: each takes a place in its table of readers."""

import http.client
import subprocess

import pytest

from lab import herd, sanitizer, tls, wait
from edge_fixture import TLS12, mkreplica_binary, new_edge  # noqa: F401

WORKERS = 64
# What LMDB says when there is no place left.
FULL = "maxreaders"

# With reuseport the kernel spreads connections over the workers, whoever is quicker.
SERVERS = """
	client_body_timeout 300s;
	server {
		listen 127.0.0.1:%(https)d ssl reuseport;
		certherd on;
		add_header X-Worker $pid;
		location / {
			proxy_pass http://127.0.0.1:%(upstream)d;
			proxy_set_header X-Certherd-Name $certherd_name;
		}
		location = /worker { return 200 $certherd_name; }
	}
	server { listen 127.0.0.1:%(http)d; listen 127.0.0.1:%(mixed)d;
		listen 127.0.0.1:%(proxied)d; return 200 $certherd_https; }
"""


def places(edge):
    """Those that are taken in the table: process, and what it reads just now or "-"."""
    tool = mkreplica_binary().with_name("readers")
    done = subprocess.run([tool, edge.folder / "replica"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [(int(pid), txn) for pid, txn in map(str.split, done.stdout.splitlines())]


def readers(edge):
    return sorted(pid for pid, _ in places(edge))


def wait_opened(edge, times):
    wait.until(lambda: FULL in edge.log() or edge.log().count("opened the live generation") >= times,
               lambda: edge.log()[-3000:])
    check_log(edge)


def check_log(edge):
    bad = [line for line in edge.log().splitlines() if FULL in line or "cannot" in line]
    assert not bad, bad[:5]


class Upload:
    """A visitor whose request waits for its body: its worker stays until it is done."""

    def __init__(self, edge, name, ctx):
        self.name = name
        self.visit = edge.connect(name, ctx=ctx)
        assert self.visit.names == [name]
        status, headers, body = self.visit.get(name, "/worker")
        assert (status, body.decode()) == (200, name)
        self.worker = int(headers["X-Worker"])

    def begin(self):
        self.visit.sock.sendall(f"POST / HTTP/1.1\r\nHost: {self.name}\r\nContent-Length: 4\r\n"
                                "Expect: 100-continue\r\n\r\n".encode())
        said = b""
        while not said.endswith(b"\r\n\r\n"):
            said += self.visit.sock.recv(4096) or pytest.fail(f"closed after {said}")
        assert said.startswith(b"HTTP/1.1 100 "), said

    def finish(self):
        self.visit.sock.sendall(b"body")
        answer = http.client.HTTPResponse(self.visit.sock)
        answer.begin()
        assert answer.status == 200 and int(answer.headers["X-Worker"]) == self.worker
        assert f'"x-certherd-name": "{self.name}"' in answer.read().decode()
        self.close()

    def close(self):
        self.visit.__exit__()


def upload_to_each(edge, workers, name, ctx):
    """One that has begun for each of these workers."""
    begun = {}

    def one_more():
        upload = Upload(edge, name, ctx)
        if upload.worker in workers and upload.worker not in begun:
            upload.begin()
            begun[upload.worker] = upload
        else:
            upload.close()
        return len(begun) == len(workers)

    wait.until(one_more, lambda: f"{len(begun)} of {len(workers)} workers serve", 60, interval=0)
    return list(begun.values())


@pytest.mark.skipif(sanitizer.watches(herd.nginx()),
                    reason="so many processes with a sanitizer take all memory")
def test_64_workers_and_two_reloads_find_a_place_each(new_edge):
    edge = new_edge(workers=WORKERS, servers=SERVERS, shutdown="300s")
    edge.apply("cert:many.test:1").start()
    ctx = tls.context(edge.root)
    generations, uploads = [edge.workers_now()], []
    for count in (1, 2):
        uploads += upload_to_each(edge, generations[-1], "many.test", ctx)
        edge.reload(old_stay=True)
        wait_opened(edge, WORKERS * (count + 1))
        generations.append(edge.workers_now().difference(*generations))
    old, new = generations[0] | generations[1], generations[2]
    assert len(old) == 2 * WORKERS and len(new) == WORKERS
    assert edge.workers_now() == old | new
    assert readers(edge) == sorted(old | new)

    # The new ones serve, and what changes reaches new and old.
    last = upload_to_each(edge, new, "many.test", ctx)
    edge.apply("cert:late.test:2")
    with edge.connect("late.test", ctx=ctx) as visit:
        assert visit.names == ["late.test"]
        assert int(visit.get("late.test", "/worker")[1]["X-Worker"]) in new
    for upload in uploads:
        upload.finish()
    wait.until(lambda: edge.workers_now() == new, edge.log)
    assert readers(edge) == sorted(new), "those who left have given their places back"
    for upload in last:
        upload.finish()
    check_log(edge)


def test_no_visitor_holds_up_what_the_agent_may_reuse(new_edge):
    """Neither one that stays, nor one that is resumed, who is asked for no certificate, nor one that goes in
    the middle of his handshake."""
    edge = new_edge(workers=1)
    edge.apply("cert:held.test:1").start()
    ctx = tls.context(edge.root)

    def is_idle():
        return [txn for _, txn in places(edge)] == ["-"]

    with edge.connect("held.test", ctx=ctx) as first:
        assert first.get("held.test")[0] == 200
        wait.until(is_idle, lambda: places(edge))
        with edge.connect("held.test", ctx=ctx, session=first.sock.session) as second:
            assert second.sock.session_reused
            wait.until(is_idle, lambda: places(edge))
    other = tls.context(edge.root, TLS12)
    other.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    with pytest.raises(tls.Refused):
        edge.connect("held.test", ctx=other)
    wait.until(is_idle, lambda: places(edge))
