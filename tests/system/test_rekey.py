"""New certificates for many names before their renewal."""

from lab import wait


def serials(site, names):
    return [site.herd.domain(name)["certificate"]["serial"] for name in names]


def test_all_names_get_new_certificates(make_site):
    site = make_site().start()
    names = [f"n{number}.rekey.example" for number in range(3)]
    for name in names:
        site.add(name)
    for name in names:
        site.herd.wait_state(name, "active")
    before = serials(site, names)
    dry = site.herd.cli("rekey", "--all", "--within", "0s", "--dry-run").stdout
    assert "3 certificates would be replaced" in dry
    spread = site.herd.cli("rekey", "--all", "--dry-run").stdout
    assert "3 certificates would be replaced within 1d 0h, one every 8h 0m, the oldest first." in spread
    assert "where the CA allows fewer orders it takes longer" in spread
    # Pebble's certificates live for years: of the parts of 30 days only that with the renewals is shown.
    forecast = site.herd.cli("forecast").stdout.splitlines()
    at = next(i for i, line in enumerate(forecast) if line.startswith("30 DAYS FROM"))
    assert forecast[at + 1].split()[1] == "3" and forecast[at + 2].startswith("No renewal is planned in "), forecast
    assert "Nothing was ever planned" in site.herd.cli("rekey", "--status").stdout
    none = site.herd.cli("rekey", "--ca", "Nobody's CA", check=False)
    assert none.returncode == 1 and "those that there are: " in none.stderr and "Pebble" in none.stderr
    none = site.herd.cli("rekey", "--ca", "PEBBLE", "--tenant", "nobody").stdout
    assert "No live certificate is meant" in none
    watched = site.herd.cli("rekey", "--ca", "pebble", "--within", "0s", "--watch").stdout
    assert "3 certificates will be replaced" in watched and watched.rstrip().endswith("all.")
    assert "takes longer" not in watched
    assert not set(before) & set(serials(site, names))
    for name in names:
        site.herd.wait_state(name, "active")
    wait.until(lambda: "3 of 3" in site.herd.cli("rekey", "--status").stdout, "all are done", 10)


def test_what_is_meant_must_be_said(make_site):
    site = make_site().start()
    for wrong, said in ((["rekey"], "--all"), (["rekey", "--all", "--tenant", "t"], "--all"),
                        (["rekey", "--all", "--within", "soon"], "24h"),
                        (["rekey", "--all", "--within", "61d"], "60d"),
                        (["rekey", "--issued-before", "yesterday"], "2026"),
                        (["rekey", "--status", "--all"], "alone")):
        answer = site.herd.cli(*wrong, check=False)
        assert answer.returncode == 2 and said in answer.stderr, wrong
