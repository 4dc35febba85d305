"""A TCP line through this process, which can be cut so that nobody is told: what is sent is taken and
goes nowhere, and connections are taken and stay silent."""

import selectors
import socket
import threading

from . import ports


class Line:
    """From a port of its own to another one, both on 127.0.0.1."""

    def __init__(self, port):
        self.target, self.port = port, ports.free_port()
        self._open = threading.Event()
        self._open.set()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        self._open.clear()

    def mend(self):
        self._open.set()

    def stop(self):
        self._open.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # or it goes on listening, for who waits in accept
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client):
        """What came before the cut arrives after it, as with packets that are sent again."""
        self._open.wait()
        with client, selectors.DefaultSelector() as wanted:
            try:
                with socket.create_connection(("127.0.0.1", self.target)) as server:
                    wanted.register(client, selectors.EVENT_READ, server)
                    wanted.register(server, selectors.EVENT_READ, client)
                    while True:
                        for key, _ in wanted.select():
                            self._open.wait()
                            data = key.fileobj.recv(65536)
                            if not data:
                                return
                            key.data.sendall(data)
            except OSError:
                return
