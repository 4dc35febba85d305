"""TLS and HTTP from a visitor's side, with every knob that the tests turn."""

import http.client
import json
import re
import socket
import ssl


class Refused(Exception):
    """The handshake ended with an alert; .alert is its OpenSSL name, e.g.
    TLSV1_UNRECOGNIZED_NAME (112)."""

    def __init__(self, error):
        super().__init__(str(error))
        # Python's own list of reasons lacks some.
        words = re.search(r"(tlsv1 alert [a-z ]+) \(", str(error))
        self.alert = (getattr(error, "reason", None) or
                      (words and words[1].upper().replace(" ", "_")) or type(error).__name__)


def context(root=None, version=None, alpn=None):
    """root: certificates must chain to it (host names are checked by the tests themselves)."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if root:
        made.load_verify_locations(str(root))
        made.verify_mode = ssl.CERT_REQUIRED
    if version:
        made.minimum_version = made.maximum_version = version
    if alpn:
        made.set_alpn_protocols(alpn)
    return made


class Connection:
    """A finished handshake.  Use as a context manager."""

    def __init__(self, port, sni, ctx, session=None, address="127.0.0.1", proxy_line=None):
        raw = socket.create_connection((address, port), timeout=10)
        try:
            if proxy_line:
                raw.sendall(proxy_line.encode() + b"\r\n")
            self.sock = ctx.wrap_socket(raw, server_hostname=sni, session=session)
        except (ssl.SSLError, ConnectionError) as error:
            raw.close()
            raise Refused(error) from error

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()

    @property
    def names(self):
        return sorted(name for kind, name in self.sock.getpeercert()["subjectAltName"] if kind == "DNS")

    @property
    def serial(self):
        return self.sock.getpeercert()["serialNumber"].lower()

    @property
    def der(self):
        return self.sock.getpeercert(binary_form=True)

    def get(self, host, path="/", headers=None):
        """(status, headers, body) of one HTTP/1.1 request, keeping the connection."""
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = http.client.HTTPResponse(self.sock)
        answer.begin()
        return answer.status, answer.headers, answer.read()

    def echo(self, host, path="/", headers=None):
        """What the upstream server received for this request."""
        status, _, body = self.get(host, path, headers)
        assert status == 200, (status, body)
        return json.loads(body)


def plain_get(port, host, path="/"):
    """(status, headers, body) over plain HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()
