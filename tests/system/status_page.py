"""What certherd_status answers, read as Prometheus does."""

import re

from lab import tls

_SAMPLE = re.compile(r'([a-z_]+)(?:\{([a-z]+)="([a-z]+)"\})? (-?[0-9]+(?:\.[0-9]+)?)')
KINDS = ("counter", "gauge", "summary")

LOCATION = """
	server {
		listen 127.0.0.1:%(http)d; listen 127.0.0.1:%(mixed)d; listen 127.0.0.1:%(proxied)d;
		location = /status { certherd_status; }
		location / { return 204; }
	}
"""


def parse(text):
    """{"name" or "name{label}": value}; every sample stands below its HELP and TYPE."""
    found, current = {}, None
    lines = text.splitlines()
    assert text.endswith("\n")
    for number, line in enumerate(lines):
        if line.startswith("# HELP "):
            current = line.split()[2]
            assert line.split(" ", 3)[3].strip().endswith("."), line
            kind = lines[number + 1].split()
            assert kind[:3] == ["#", "TYPE", current] and kind[3] in KINDS, line
        elif not line.startswith("# TYPE "):
            match = _SAMPLE.fullmatch(line)
            assert match, line
            name, _, label, value = match.groups()
            assert re.sub("_(sum|count)$", "", name) == current, line
            assert name.startswith("certherd_edge_")
            key = name.removeprefix("certherd_edge_") + (f"{{{label}}}" if label else "")
            assert key not in found, line
            found[key] = float(value)
    return found


def text(edge):
    status, _, body = tls.plain_get(edge.port["http"], "localhost", "/status")
    assert status == 200
    return body.decode("ascii")


def read(edge):
    return parse(text(edge))


def gained(before, after):
    """What became more."""
    return {key: after[key] - before.get(key, 0) for key in after
            if after[key] != before.get(key, 0)}
