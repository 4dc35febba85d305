"""testssl.sh against doc/examples/nginx.conf as it is without load balancers in front: nothing worse
than LOW.  Only its checks of what the configuration and the module decide."""

import json
import re
import shutil
import subprocess

import pytest

from test_edge_example import ExampleEdge

TESTSSL = shutil.which("testssl") or shutil.which("testssl.sh")
GOOD = ("OK", "INFO", "LOW")
# Protocols, order of ciphers, certificate and extensions; heartbleed, ticketbleed,
# renegotiation, compression, CBC.
CHECKS = ("-p", "-P", "-S", "-H", "-T", "-R", "-C", "-L")
PATIENCE_S = 600
NAME = "live.test"

pytestmark = pytest.mark.skipif(TESTSSL is None, reason="testssl.sh is not installed: "
                                "tools/install-deps.sh check")


class DirectEdge(ExampleEdge):
    """Without load balancers, as the example says."""

    shape = "public"
    weak = False

    def write_config(self):
        path = super().write_config()
        lines = [line.replace(" proxy_protocol;", ";") for line in path.read_text().splitlines()
                 if "real_ip" not in line]
        text = "\n".join(lines) + "\n"
        if self.weak:
            text = text.replace("ssl_prefer_server_ciphers on;", "ssl_prefer_server_ciphers off;")
            text = re.sub("(?m)^\tssl_ciphers .*$", "\tssl_ciphers ALL;", text)
        path.write_text(text)
        return path


@pytest.fixture
def edge(request):
    made = DirectEdge(workers=1)
    made.weak = getattr(request, "param", False)
    del made.port["proxied"]
    made.apply(f"cert:{NAME}:1", f"cert:www.{NAME}:2").start()
    yield made
    made.stop()


def found_by_testssl(edge, *checks):
    """{id: (severity, finding)} of what it tested."""
    out = edge.folder / "testssl.json"
    done = subprocess.run(
        [TESTSSL, "--ip", "127.0.0.1", "--add-ca", edge.root, "--nodns", "min", "--warnings", "batch",
         "--quiet", "--color", "0", "--jsonfile", out, *checks, f"{NAME}:{edge.port['https']}"],
        capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL)
    assert out.exists(), done.stdout + done.stderr
    # WARN: what it could not test, such as with ciphers that its own OpenSSL lacks.
    return {one["id"]: (one["severity"], one["finding"]) for one in json.loads(out.read_text())
            if one["severity"] != "WARN"}


@pytest.mark.timeout(300)
def test_nothing_above_low(edge):
    found = found_by_testssl(edge, *CHECKS)
    assert {"TLS1", "TLS1_2", "TLS1_3", "cipher_order", "cert_trust", "heartbleed",
            "LUCKY13"} <= set(found)
    assert not {key: what for key, what in found.items() if what[0] not in GOOD}


def is_old():
    shown = subprocess.run([TESTSSL, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return re.search(r"testssl\S* +(?:version )?3\.0", shown.stdout) is not None


@pytest.mark.parametrize("edge", [True], indirect=True, ids=["weak"])
@pytest.mark.timeout(300)
def test_it_would_tell(edge):
    found = found_by_testssl(edge, "-P")
    # Newer ones, as Debian 13's, call it LOW.
    assert found["cipher_order"][0] not in (GOOD if is_old() else ("OK", "INFO")), found
