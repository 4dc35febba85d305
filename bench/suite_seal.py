"""Opening a sealed key at the edge, against what it would cost with an RSA recipient."""

import json

import measure
from report import Report

ROUNDS = 15
OPENS = 400


def run(bench):
    rounds = [json.loads(line) for line in bench.tool("sealtime", ROUNDS, OPENS)]
    how = f"{ROUNDS} rounds of {OPENS}, taking turns; thread CPU time"
    report = Report("seal")
    for label, text, least in (("x25519", "X25519", 6), ("p256", "P-256", 4)):
        ratios = [one["rsa"] / one[label] for one in rounds]
        report.at_least(f"open, {text}, against RSA-2048", measure.median(ratios), "× faster", least,
                        f"{measure.spread(ratios)}; {how}")
    for label, text in (("rsa", "open: RSA-2048-OAEP + AES-256-GCM"), ("x25519", "open: HPKE X25519"),
                        ("x25519_dh", "bare X25519 function"), ("p256", "open: HPKE P-256"),
                        ("p256_dh", "bare P-256 multiplication"),
                        ("load", "opened block into an EVP_PKEY")):
        times = [one[label] for one in rounds]
        report.tell(text, measure.median(times), "µs", measure.spread(times))
    return report
