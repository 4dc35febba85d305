#!/usr/bin/python3
"""The demo: a list of names becomes live HTTPS on this machine.

Starts Pebble (a real ACME server for tests) with its DNS server, a small web server as the
platform's upstream, certherd (store, issuer, agent) and nginx with the module, all on loopback
and free ports, in a scratch folder that is removed at the end.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time
import unicodedata

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lab import herd, site as lab_site

BROKEN = "broken-dns.example.net"
INVALID = "not a domain name"
SHOPS = ["bakery", "bikes", "books", "cheese", "coffee", "flowers", "garden", "guitars", "kites",
         "lamps", "piano", "pottery", "records", "shoes", "tea", "toys", "wine"]
NAMES = [f"{shop}.example.com" for shop in SHOPS] + [
    "bücher.example.org", "crème-brûlée.example.org", "例え.テスト", "пример.example.org",
    "kangaroo.example.net", BROKEN]
WWW = "kangaroo.example.net"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DEADLINE_S = 55
CURL_TLS_FAILED = 35  # what an unknown name gets: alert 112, unrecognized_name


def say(text=""):
    print(text, flush=True)


def width(text):
    """Columns on a terminal: East Asian wide characters take two."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
               for c in text)


def print_table(head, rows):
    columns = [max(width(row[at]) for row in [head, *rows]) for at in range(len(head))]
    for row in [head, ["-" * size for size in columns], *rows]:
        say("  " + "  ".join(cell + " " * (size - width(cell)) for cell, size in zip(row, columns)).rstrip())


def write_import_file(path):
    """25 lines: 23 names, one of them twice, and one that is no name."""
    lines = [f"{name},{'yes' if name == WWW else 'no'}" for name in NAMES]
    lines.insert(9, f"{NAMES[2].upper()},no")
    lines.insert(14, f"{INVALID},no")
    assert len(lines) == 25
    path.write_text("name,www\n" + "\n".join(lines) + "\n")


def start(folder):
    """The whole platform in the folder."""
    separate = os.geteuid() == 0
    settings = {"issuer": {"retry_ladder": "1m,10m,100m,1d"}, "store": {"edge_timeout": "60s"}}
    if separate:
        settings["up"] = {"store_user": "64101", "issuer_user": "64102", "agent_user": "64103"}
        settings["agent"] = {"replica_group": "www-data"}
    site = lab_site.Site(folder, settings=settings,
                         nginx_options={"user": "www-data"} if separate else None)
    return site


def import_names(site):
    listing = site.folder / "names.csv"
    write_import_file(listing)
    say(f"$ certherd domain import {listing}")
    done = site.herd.cli("domain", "import", listing, check=False)
    say("  " + (done.stdout + done.stderr).strip().replace("\n", "\n  "))
    if done.returncode != 3:
        raise AssertionError(f"the import ended with {done.returncode}; 3 was expected: one line is no name")


def domains(site):
    answer = site.herd.api().get("/v1/domains?limit=1000")
    if answer.status != 200:
        raise AssertionError(f"the store answers {answer}")
    return answer.json["domains"]


def is_settled(domain):
    return domain["state"] == ("failed" if domain["name"] == BROKEN else "active")


def wait_live(site, deadline_s):
    """Shows the counts by state until every good name is active and the broken one has failed,
    or the time is up."""
    began = time.monotonic()
    shown = None
    while True:
        site.check()
        current = domains(site)
        counts = {}
        for domain in current:
            counts[domain["state"]] = counts.get(domain["state"], 0) + 1
        line = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        text = f"  {time.monotonic() - began:5.1f} s  {line}"
        if sys.stdout.isatty():
            print(f"\r\033[K{text}", end="", flush=True)
        elif line != shown:
            say(text)
        shown = line
        if all(is_settled(domain) for domain in current):
            break
        if time.monotonic() - began > deadline_s:
            break
        time.sleep(0.2)
    if sys.stdout.isatty():
        say()
    return current


def fetch(site, name):
    """The HTTP status over HTTPS as curl sees it, certificate verified; or what curl says."""
    done = subprocess.run(
        ["curl", "-sS", "--max-time", "10", "--cacert", site.root, "--connect-to",
         f"{name}:443:127.0.0.1:{site.nginx.https_port}", "-o", "/dev/null", "-w", "%{http_code}",
         f"https://{name}/"], capture_output=True, text=True)
    if done.returncode == CURL_TLS_FAILED:
        return "refused"
    return f"curl: {done.returncode}" if done.returncode else done.stdout


def report(site, current):
    """Prints the table; true when every good name verified and the broken one did not go live."""
    rows, why, good = [], [], True
    for domain in sorted(current, key=lambda domain: domain["name"]):
        status = fetch(site, domain["name"])
        broken = domain["name"] == BROKEN
        good = good and is_settled(domain) and (status == "200") != broken
        certificate = domain["certificate"] or {}
        reason = domain["reason"]
        short = ""
        if reason["code"] != "ok":
            short = f"{reason['code']} ({reason['actor']} must act)"
            why.append(f"{domain['name']}: {reason['detail']} Next try: {domain['next_at']}.")
        issuer = certificate.get("issuer", "-").split(",")[0].removeprefix("CN=")
        rows.append([domain["display"], domain["state"], issuer,
                     certificate.get("not_after", "-")[:10], status, short])
    print_table(["NAME", "STATE", "ISSUER", "EXPIRES", "HTTPS", "REASON"], rows)
    for text in why:
        say("\n" + textwrap.fill(text, 96, initial_indent="  ", subsequent_indent="    ",
                                 break_on_hyphens=False, break_long_words=False))
    expected = len(NAMES) + 1
    if len(current) != expected:
        say(f"  {len(current)} names, {expected} were expected")
        good = False
    return good


def print_next_steps(site):
    binary, config = herd.binary(), site.herd.config
    say(f"""
Look further (in another terminal):
  export CERTHERD_CONFIG={config}
  {binary} status
  {binary} ui               # the same in a browser: prints the address to open
  {binary} domain list
  {binary} domain show {BROKEN}
  {binary} cert show {NAMES[0]}
  {binary} domain add your-shop.example.com
  curl --cacert {site.root} --connect-to ::127.0.0.1:{site.nginx.https_port} https://{NAMES[0]}/
  ls {site.folder}          # configuration, logs, the edge's replica
""")


def run(site, once, deadline_s):
    began = time.monotonic()
    say("Starting Pebble, its DNS server, an upstream web server, certherd and nginx …")
    site.prepare()
    site.pebble.break_name(BROKEN)
    site.herd.start("up")
    site.nginx.start()
    say(f"  in {site.folder}, {time.monotonic() - began:.1f} s")
    import_names(site)
    current = wait_live(site, deadline_s)
    good = report(site, current)
    say(f"\n{'Every good name is live and verified' if good else 'NOT every good name is live'}, "
        f"{time.monotonic() - began:.1f} s after the start.")
    if once:
        return good
    print_next_steps(site)
    say("Running until Ctrl-C.")
    while True:
        site.check()
        time.sleep(1)


def show_logs(site):
    for path in sorted(site.folder.rglob("*.log")):
        lines = path.read_text(errors="replace").splitlines()[-15:]
        say(f"--- {path}\n" + "\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="end when the names are live")
    parser.add_argument("--build", default="build", help="meson's build folder")
    parser.add_argument("--deadline", type=float, default=DEADLINE_S, metavar="SECONDS",
                        help="how long the names may take (default: %(default)s)")
    options = parser.parse_args()
    build = pathlib.Path(options.build).resolve()
    os.environ.setdefault("CERTHERD_BIN", str(build / "src/certherd"))
    os.environ.setdefault("CERTHERD_MODULE", str(build / "nginx/ngx_http_certherd_module.so"))

    def interrupted(signum, frame):
        raise KeyboardInterrupt

    for number in SIGNALS:
        signal.signal(number, interrupted)
    folder = lab_site.make_scratch("certherd-demo-")
    site = start(folder)
    good = False
    try:
        good = run(site, options.once, options.deadline)
        if not good:
            show_logs(site)
    except KeyboardInterrupt:
        say("\nStopping.")
        good = not options.once
    except Exception as error:
        say(f"\nThe demo failed: {error}")
        show_logs(site)
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        try:
            site.stop()
        finally:
            site.remove()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
