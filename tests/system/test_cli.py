"""The command line, as an operator uses it."""

import json
import os
import re
import subprocess

import pytest

import ui_fixture
from bad_names import BAD_NAMES, short
from lab import conffile, process, wait
from lab import herd as lab_herd

# What has failed stays so while it is looked at.
SITE_SETTINGS = {"issuer": {"retry_ladder": "1d"}}


def test_every_command_has_help():
    binary = lab_herd.binary()
    text = process.run([binary, "--help"]).stdout
    for command in ("init", "up", "store", "issuer", "agent", "domain", "status", "cert", "probe", "key"):
        assert command in text
        assert process.run([binary, command, "--help"]).stdout.strip(), command


@pytest.mark.parametrize("words", [
    ["nonsense"], [], ["domain"], ["domain", "nonsense"], ["domain", "add"], ["status", "--nonsense"],
    ["cert", "show"], ["key", "new"]])
def test_wrong_use_exits_with_2(words):
    done = process.run([lab_herd.binary(), *words], check=False)
    assert done.returncode == 2, done
    assert done.stderr


def test_the_list_of_commands_is_in_two_columns():
    lines = [line for line in process.run([lab_herd.binary(), "--help"]).stdout.splitlines() if line.startswith("  ")]
    columns = {re.match(r"  .*?  +(?=\S)", line).end() for line in lines}
    assert len(columns) == 1 and any("…" in line for line in lines), columns


def test_an_option_in_the_place_of_the_command_is_told_so():
    done = process.run([lab_herd.binary(), "--config", "/etc/certherd/certherd.conf", "status"], check=False)
    assert done.returncode == 2 and "options come after it" in done.stderr, done
    done = process.run([lab_herd.binary(), "statu"], check=False)
    assert done.returncode == 2 and 'did you mean "status"?' in done.stderr, done


def test_version_is_printed():
    assert process.run([lab_herd.binary(), "--version"]).stdout.strip()


def test_add_show_list_and_remove(site):
    cli = site.herd.cli
    assert cli("domain", "add", "cli.example.com").returncode == 0
    assert cli("domain", "add", "cli.example.com").stdout == "cli.example.com: was registered already\n"
    changed = cli("domain", "add", "cli.example.com", "--upstream", "eu-1").stdout
    assert "was registered already; what was given now holds for it" in changed
    site.herd.wait_state("cli.example.com", "active")
    assert "active" in cli("domain", "show", "cli.example.com").stdout
    shown = json.loads(cli("domain", "show", "cli.example.com", "--json").stdout)
    assert shown["name"] == "cli.example.com" and shown["state"] == "active"
    assert "cli.example.com" in cli("domain", "list").stdout
    listed = json.loads(cli("domain", "list", "--json").stdout)
    assert "cli.example.com" in json.dumps(listed)
    assert cli("domain", "rm", "cli.example.com").returncode == 0
    done = cli("domain", "show", "cli.example.com", check=False)
    assert done.returncode == 1 and "cli.example.com" in done.stderr


def test_what_is_missing_is_named():
    for words, missing in ((["domain", "add"], "NAME"), (["domain", "import"], "FILE"), (["init"], "DIR")):
        done = process.run([lab_herd.binary(), *words], check=False)
        assert f"certherd {' '.join(words)}: {missing} is missing" in done.stderr


def test_help_of_a_subcommand():
    binary = lab_herd.binary()
    assert process.run([binary, "help", "domain", "add"]).stdout == \
        process.run([binary, "domain", "add", "--help"]).stdout
    assert process.run([binary, "help", "domain"]).stdout.startswith("Usage: certherd domain COMMAND")


def test_json_of_several_names_is_one_document(site):
    for names in (["json1.example.com"], ["json1.example.com", "json2.example.com"]):
        made = json.loads(site.herd.cli("domain", "add", "--json", *names).stdout)
        assert [domain["name"] for domain in made] == names
    waited = json.loads(site.herd.cli("domain", "add", "--json", "--wait", *names).stdout)
    assert [domain["state"] for domain in waited] == ["active", "active"]


def test_a_wait_that_is_over_says_so(site):
    with site.herd.suspended("issuer"):
        done = site.herd.cli("domain", "add", "slow.example.com", "--wait", "--timeout", "1ms", check=False)
    assert done.returncode == 1
    assert re.search(r"^slow\.example\.com: still \w+ after 1ms: ", done.stdout, re.MULTILINE)


def test_a_prefix_is_of_the_ascii_form(site):
    site.herd.cli("domain", "add", "präfix.example.com")
    for prefix in ("xn--prfix", "XN--PRFIX"):
        assert "xn--prfix-hra" in site.herd.cli("domain", "list", "--json", "--prefix", prefix).stdout
    done = site.herd.cli("domain", "list", "--prefix", "prä", check=False)
    assert done.returncode == 2 and "ASCII form" in done.stderr
    assert 'give the label whole, with its dot, "prä." (xn--pr-wia.) (prefix)' in done.stderr, done
    # It cannot be made a label either.
    done = site.herd.cli("domain", "list", "--prefix", "pr☃", check=False)
    assert done.returncode == 2 and done.stderr.endswith("whole, with its dot (prefix)\n"), done


def test_whole_labels_of_a_prefix_may_have_other_letters(site):
    site.herd.cli("domain", "add", "präfix.example.com", "präfix.example.net", "a.präfix.example.com")

    def listed(prefix):
        answer = json.loads(site.herd.cli("domain", "list", "--json", "--prefix", prefix).stdout)
        return [domain["display"] for domain in answer["domains"]]
    assert listed("präfix.") == listed("PRÄFIX.Ex") == ["präfix.example.com", "präfix.example.net"]
    assert listed("präfix.example.n") == ["präfix.example.net"]
    assert listed("a.präfix.") == ["a.präfix.example.com"] and listed("präfix.org") == []
    done = site.herd.cli("domain", "list", "--prefix", "pr☃.", check=False)
    assert done.returncode == 2 and "name-idna" in done.stderr, done
    done = site.herd.cli("domain", "list", "--prefix", "ä" * 5000 + ".", check=False)
    assert done.returncode == 2 and "name-too-long" in done.stderr, done


def test_a_prefix_may_have_the_dots_of_other_scripts(site):
    site.herd.cli("domain", "add", "dots.präfix.example.com")
    for prefix in ("dots。präf", "präfix。ex☃"):
        done = site.herd.cli("domain", "list", "--prefix", prefix, check=False)
        assert done.returncode == 2 and "give the label whole" in done.stderr, done
    for prefix in ("dots。präfix。ex", "dots．xn--prfix-hra｡Ex", "dots。"):
        answer = json.loads(site.herd.cli("domain", "list", "--json", "--prefix", prefix).stdout)
        assert [domain["display"] for domain in answer["domains"]] == ["dots.präfix.example.com"], prefix
    done = site.herd.cli("domain", "list", "--prefix", "。", check=False)
    assert done.returncode == 2 and "label-empty" in done.stderr, done


def test_a_wrong_state_is_told_with_those_that_there_are(site):
    done = site.herd.cli("domain", "list", "--state", "activ", check=False)
    assert done.returncode == 2 and "renewing, failed, moved or paused" in done.stderr
    assert site.herd.cli("domain", "list", "--state", "moved").returncode == 0


def test_whom_a_certificate_is_sealed_to(site, tmp_path):
    site.go_live("sealed.example.com")
    path = site.herd.folder / "issuer/recipients"
    made, = site.herd.api().get("/v1/certificates/sealed.example.com").json["current"]["recipients"]
    row = next(line for line in site.herd.cli("key", "recipients").stdout.splitlines() if made in line)
    number = path.read_text().splitlines().index(row.split()[2]) + 1
    assert row.split()[:2] == [made, str(number)] and row.endswith("edge e1"), row
    assert f"sealed to   {made}  {path}:{number} (edge e1)" in site.herd.cli("cert", "show", "sealed.example.com").stdout
    key = site.herd.folder / "edge/recipient.key"
    assert site.herd.cli("key", "pub", key, "--id").stdout == made + "\n"
    assert site.herd.cli("key", "pub", key).stdout.split() == [row.split()[2]]
    # Another file, a private one, and none at all.
    other = tmp_path / "other.key"
    public = site.herd.cli("key", "new", other).stdout
    kept, text = path, path.read_text()
    try:
        path.write_text(public)
        shown = site.herd.cli("cert", "show", "sealed.example.com").stdout
        assert f"{made}  not in {path} (any more)" in shown and "not known here" not in shown
        path.write_text("nonsense\n")
        shown = site.herd.cli("cert", "show", "sealed.example.com").stdout
        assert f"(not known here: {path}:1: " in shown, shown
        path.rename(tmp_path / "away")
        shown = site.herd.cli("cert", "show", "sealed.example.com").stdout
        assert f"sealed to   {made}\n" in shown and "whose: `certherd key recipients`" in shown
        assert f"(not known here: cannot open {path}: No such file or directory)" in shown
        assert site.herd.cli("key", "recipients", check=False).returncode == 2
    finally:
        kept.write_text(text)
        kept.chmod(0o644)
    done = site.herd.cli("key", "recipients", other, check=False)
    assert done.returncode == 2 and "SECRET" not in done.stdout + done.stderr, done


def test_recipients_as_json(site, tmp_path):
    listed = json.loads(site.herd.cli("key", "recipients", "--json").stdout)
    row = next(line for line in site.herd.cli("key", "recipients").stdout.splitlines() if listed[0]["id"] in line)
    assert row.split()[:3] == [listed[0]["id"], str(listed[0]["line"]), listed[0]["public_key"]]
    assert row.endswith(listed[0]["note"]) and set(listed[0]) == {"id", "line", "public_key", "note"}
    # Without a note, with one that is no UTF-8, and with one that is cut in front of a character.
    path = tmp_path / "recipients"
    keys = [site.herd.cli("key", "new", tmp_path / f"key{i}").stdout.encode() for i in range(3)]
    path.write_bytes(keys[0] + b"# \xff\n" + keys[1] + b"# " + b"x" * 78 + "é".encode() + b"\n" + keys[2])
    listed = json.loads(site.herd.cli("key", "recipients", path, "--json").stdout)
    assert [(one["line"], one["note"]) for one in listed] == [(1, None), (3, None), (5, "x" * 78)]
    path.write_text("nonsense\n")
    done = site.herd.cli("key", "recipients", path, "--json", check=False)
    assert done.returncode == 2 and done.stdout == "" and "not a recipient" in done.stderr, done


def test_a_folder_is_told_to_be_one(tmp_path):
    tmp_path.chmod(0o777)
    done = process.run([lab_herd.binary(), "key", "recipients", tmp_path], check=False)
    assert done.returncode == 2 and f"{tmp_path} is a folder, not a file" in done.stderr, done
    assert "chmod" not in done.stderr
    for command in (["key", "recipients"], ["key", "pub"], ["key", "thumbprint"]):
        for path in (tmp_path, tmp_path / "absent"):
            done = process.run([lab_herd.binary(), *command, path], check=False)
            assert done.returncode == 2 and str(path) in done.stderr, done
    # One that others can write is told what to do.
    path = tmp_path / "recipients"
    path.write_text("")
    path.chmod(0o666)
    done = process.run([lab_herd.binary(), "key", "recipients", path], check=False)
    assert done.returncode == 1 and "chmod go-w" in done.stderr, done


def test_a_refusal_begins_with_the_name(site):
    site.herd.cli("domain", "add", "to.example.com", "--redirect", "from.example.com")
    done = site.herd.cli("domain", "add", "from.example.com", "--redirect", "to.example.com", check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("certherd domain add: from.example.com: redirect: visitors"), done.stderr
    done = site.herd.cli("domain", "rm", "never.example.com", check=False)
    assert done.stderr.startswith("certherd domain rm: never.example.com is not registered"), done.stderr
    site.herd.cli("domain", "rm", "to.example.com")


def test_the_list_has_the_beginning_of_a_reason_only(site):
    name = "longreason.example.com"
    site.pebble.break_name(name)
    site.herd.cli("domain", "add", name)
    site.herd.wait_state(name, "failed")
    detail = site.herd.domain(name)["reason"]["detail"]
    assert len(detail) > 80
    listed = site.herd.cli("domain", "list", "--prefix", name).stdout
    assert detail[:80] + " ...\n" in listed and detail[:82] not in listed
    status = json.loads(site.herd.cli("status", "--json").stdout)
    assert status["failed"]["customer"] >= 1 and status["failed"]["ca"] == 0
    assert re.search(r"(?m)^Failed   \d+ waits? for the customer", site.herd.cli("status").stdout)
    shown = site.herd.cli("domain", "show", name).stdout
    assert detail in shown and "MUST ACT" in shown
    site.herd.cli("domain", "rm", name)


def test_names_may_be_written_as_people_write_them(site):
    site.herd.cli("domain", "add", "Müller.Example.com")
    assert site.herd.domain("xn--mller-kva.example.com")["display"] == "müller.example.com"
    assert "xn--mller-kva" in site.herd.cli("domain", "show", "müller.example.com").stdout


def test_cert_show(site):
    site.go_live("certshow.example.com")
    text = site.herd.cli("cert", "show", "certshow.example.com").stdout
    serial = site.herd.domain("certshow.example.com")["certificate"]["serial"]
    assert serial in text and "certshow.example.com" in text
    assert "PRIVATE" not in text
    json.loads(site.herd.cli("cert", "show", "certshow.example.com", "--json").stdout)


def test_probe_compares_what_is_served_with_what_should_be(site):
    site.go_live("probe.example.com")
    site.go_live("other-probe.example.com")
    edge = f"127.0.0.1:{site.nginx.https_port}"
    done = site.herd.cli("probe", "probe.example.com", "--connect", edge)
    serial = site.herd.domain("probe.example.com")["certificate"]["serial"]
    assert serial in done.stdout and "the certificate that should be served" in done.stdout
    said = json.loads(site.herd.cli("probe", "probe.example.com", "--connect", edge, "--json").stdout)
    assert said["ok"] is True and said["results"][0]["verdict"] == "ok"
    wrong = site.herd.cli("probe", "probe.example.com", "--connect", f"127.0.0.1:{site.nginx.http_port}",
                          check=False)
    assert wrong.returncode == 1 and "no-tls" in wrong.stdout
    nobody = site.herd.cli("probe", "probe.example.com", "--connect", "127.0.0.1:1", check=False)
    assert nobody.returncode == 1 and "unreachable" in nobody.stdout
    # DNS of the test names leads nowhere near the edge: that is a failure, not a crash.
    lost = site.herd.cli("probe", "probe.example.com", check=False)
    assert lost.returncode == 1 and "store" not in lost.stderr


def edge_row(text):
    """The one edge of a status in text: its columns by their heads."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("EDGE"))
    return dict(zip(re.split(r"\s{2,}", lines[at].strip()), re.split(r"\s{2,}", lines[at + 1].strip())))


def test_status(site):
    domain = site.go_live("status.example.com")
    text = site.herd.cli("status").stdout
    assert "active" in text
    assert re.search(r"(?m)^Next due (in .*\d.*|now|.*\d.* ago)$", text), text
    status = json.loads(site.herd.cli("status", "--json").stdout)
    assert status["names"]["active"] >= 1
    assert "" < status["next_due_at"] <= domain["next_at"]
    assert status["edges"][0]["live"] is True
    assert edge_row(text)["EDGE"] == "edge/default/e1"


@pytest.mark.parametrize("lang", ["C.UTF-8", "C"])
def test_status_shows_names_as_the_list_does(site, lang):
    ascii_name = "xn--mller-kva.example.com"
    with ui_fixture.LyingStore(site.herd, lambda path: {
            "next_expiry": {"name": ascii_name, "not_after": "2030-01-01T00:00:00.000Z"}}, port=0) as liar:
        port = liar.server.server_address[1]
        store = site.herd.folder / f"liar-{lang}.conf"
        store.write_text(conffile.set_key(site.herd.config.read_text(), "cli", "store", f"https://127.0.0.1:{port}"))
        done = process.run([lab_herd.binary(), "status", "--config", store], env={**os.environ, "LC_ALL": lang})
    shown = f"müller.example.com ({ascii_name})" if lang == "C.UTF-8" else ascii_name
    assert f"Expires  {shown} first, in " in done.stdout, done


def test_status_says_how_far_an_edge_is_behind(site):
    def behind():
        lag = json.loads(site.herd.cli("status", "--json").stdout)["edges"][0]["lag"]
        return lag if edge_row(site.herd.cli("status").stdout)["BEHIND"] == str(lag) else None

    site.go_live("level.example.com")
    wait.until(lambda: behind() == 0, "the edge is level")
    with site.herd.suspended("agent"):
        site.add("behind.example.com")
        wait.until(behind, "the edge is behind")
    site.herd.wait_state("behind.example.com", "active")
    wait.until(lambda: behind() == 0, "the edge is level again")


def to_full(site, *words, given=None):
    with open("/dev/full", "w") as full:
        return subprocess.run([lab_herd.binary(), *map(str, words)], stdout=full, stderr=subprocess.PIPE, text=True,
                              input=given, env={**os.environ, **site.herd.env}, timeout=60)


@pytest.mark.parametrize("words,given,code", [
    (["status"], None, 1), (["status", "--json"], None, 1), (["alerts"], None, 1), (["alerts", "--json"], None, 1),
    (["domain", "list"], None, 1), (["domain", "add", "full1.example.com"], None, 1), (["--help"], None, 1),
    (["domain", "import", "-"], "full2.example.com\n", 1), (["domain", "import", "-"], "not a name\n", 3),
    (["domain", "import", "-", "--json"], "not a name\n" * 1000, 3)])
def test_output_that_cannot_be_written_is_told_with_its_reason(site, words, given, code):
    done = to_full(site, *words, given=given)
    assert done.returncode == code, done
    assert done.stderr.count("certherd: cannot write the output: No space left on device\n") == 1, done


def test_a_reader_that_has_read_enough_is_no_fault_to_tell_of(site):
    reads, writes = os.pipe()
    os.close(reads)
    with open(writes, "w") as pipe:
        done = subprocess.run([lab_herd.binary(), "status"], stdout=pipe, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, **site.herd.env}, timeout=60)
    assert (done.returncode, done.stderr) == (1, "")


def test_what_has_no_output_needs_none(site):
    """A command that failed before it printed anything is told once, not twice."""
    done = to_full(site, "domain", "show", "absent.example.com")
    assert done.returncode == 1 and "cannot write" not in done.stderr and "absent.example.com" in done.stderr


def test_pause_resume_and_retry(site):
    cli = site.herd.cli
    site.pebble.break_name("clipause.example.com")
    cli("domain", "add", "clipause.example.com")
    site.herd.wait_state("clipause.example.com", "failed")
    cli("domain", "pause", "clipause.example.com")
    assert site.herd.domain("clipause.example.com")["state"] == "paused"
    assert cli("domain", "retry", "clipause.example.com", check=False).returncode == 1
    site.pebble.mend_name("clipause.example.com")
    cli("domain", "resume", "clipause.example.com")
    site.herd.wait_state("clipause.example.com", "active")
    assert cli("domain", "retry", "clipause.example.com").returncode == 0


def test_import_tells_of_each_rejected_line(site, tmp_path):
    listing = tmp_path / "names.txt"
    listing.write_text("# customers\nimp1.example.com\n\nimp2.example.com\nnot a name\n"
                       "imp1.example.com\n192.0.2.1\nimp3.example.com\n")
    done = site.herd.cli("domain", "import", listing, check=False)
    assert done.returncode == 3, done
    said = done.stdout + done.stderr
    assert "not a name" in said and "192.0.2.1" in said and "name-ip-literal" in said
    for name in ("imp1", "imp2", "imp3"):
        site.herd.wait_state(f"{name}.example.com", "active")


def test_import_without_a_fault_exits_with_0_and_may_be_repeated(site, tmp_path):
    listing = tmp_path / "names.txt"
    listing.write_text("rep1.example.com\nrep2.example.com\n")
    assert "2 registered, 0 changed, 0 unchanged, 0 rejected" in site.herd.cli("domain", "import", listing).stdout
    assert "0 registered, 0 changed, 2 unchanged, 0 rejected" in site.herd.cli("domain", "import", listing).stdout
    listing.write_text("name,hsts\nrep1.example.com,max-age=60\nrep2.example.com,\n")
    counts = json.loads(site.herd.cli("domain", "import", listing, "--json").stdout)
    assert counts == {"created": 0, "exists": 2, "changed": 1, "rejected": 0}


def test_import_rejects_what_contradicts_a_line_before(site, tmp_path):
    listing = tmp_path / "names.csv"
    listing.write_text("name,tenant\ntwice1.example.com,acme\ntwice2.example.com,acme\n\nTWICE1.example.com.,other\n"
                       "twice2.example.com,acme\n")
    for before in ("2 registered, 0 changed, 1 unchanged", "0 registered, 0 changed, 3 unchanged"):
        done = site.herd.cli("domain", "import", listing, check=False)
        assert done.returncode == 3 and f"{before}, 1 rejected" in done.stdout, done
        assert 'line 5: "TWICE1.example.com.,other" rejected: the name stands in line 2 already, with other settings: keep one of the two ' \
            "(name-twice)\n" in done.stdout
        assert site.herd.domain("twice1.example.com")["tenant"] == "acme"
    # Only a line that the store took counts.
    listing.write_text("name,www\nwww.twice3.example.com,yes\nwww.twice3.example.com,no\n")
    done = site.herd.cli("domain", "import", listing, check=False)
    assert done.returncode == 3 and "1 registered, 0 changed, 0 unchanged, 1 rejected" in done.stdout, done
    assert "line 2" in done.stdout and "name-twice" not in done.stdout, done
    listing.write_text("name,pool\ntwice1.example.com,\ntwice1.example.com,default\n")
    assert site.herd.cli("domain", "import", listing, "--pool", "default", "--tenant", "acme").returncode == 0


def test_the_history_says_what_was_changed(site):
    site.herd.cli("domain", "add", "history.example.com")
    for words, said in (
            (["--tenant", "acme"], "Settings changed: tenant from default to acme."),
            (["--tenant", "b", "--hsts", "max-age=60", "--www"], "Settings changed: tenant from acme to b, hsts, www."),
            (["--pool", "away", "--keys", "rsa"], "Settings changed: pool from default to away, keys.")):
        site.herd.cli("domain", "add", "history.example.com", *words)
        changes = [event for event in site.herd.domain("history.example.com")["history"] if event["event"] == "changed"]
        assert changes[0]["detail"] == said, changes
    site.herd.cli("domain", "add", "history.example.com", "--keys", "rsa")
    assert len([event for event in site.herd.domain("history.example.com")["history"]
                if event["event"] == "changed"]) == len(changes)
    site.herd.cli("domain", "rm", "history.example.com")


def full_store(full_from):
    """Takes batches until one has the line whose number this is."""
    def answer(path, body):
        names = [domain["name"] for domain in body["domains"]]
        if f"n{full_from}.example.com" in names:
            return 503, {"type": "about:blank", "title": "The disk of the store's database is full", "status": 503,
                         "code": "store-full", "detail": "nothing was changed: the database's disk is full, make room there"}
        return 200, {"results": [{"name": name, "status": "created"} for name in names], "created": len(names),
                     "exists": 0, "changed": 0, "rejected": 0}
    return answer


def test_an_import_that_ends_early_says_from_where_to_go_on(scratch):
    made = lab_herd.Herd(scratch / "certherd").init()
    listing = "".join(f"n{line}.example.com\n" for line in range(1, 3001))
    with ui_fixture.LyingStore(made, None, post=full_store(2500)):
        done = made.cli("domain", "import", "-", input=listing, check=False)
    assert done.returncode == 4 and "2000 registered, 0 changed, 0 unchanged, 0 rejected" in done.stdout, done
    assert "certherd domain import: lines 2001 to 3000: nothing was changed: " in done.stderr
    assert "Stopped before line 2001: go on from there" in done.stderr and "busy" not in done.stderr, done


def test_an_import_that_does_not_begin_is_not_to_be_gone_on_with(scratch):
    made = lab_herd.Herd(scratch / "certherd").init()
    with ui_fixture.LyingStore(made, None, post=full_store(1)):
        done = made.cli("domain", "import", "-", input="n1.example.com\n", check=False)
    assert done.returncode == 4 and done.stdout == "" and "Stopped before" not in done.stderr, done


def test_add_warns_of_a_pool_without_an_edge(site):
    done = site.herd.cli("domain", "add", "addpool.example.com", "--pool", "typo")
    assert "Pool typo has no edge (yet): its names wait until one reports." in done.stderr, done
    assert site.herd.cli("domain", "add", "addpool.example.com", "--pool", "default").stderr == ""
    assert site.herd.cli("domain", "add", "addpool.example.com").stderr == ""
    site.herd.cli("domain", "rm", "addpool.example.com")


def test_a_timeout_without_a_wait_is_refused(site):
    done = site.herd.cli("domain", "add", "untimely.example.com", "--timeout", "1s", check=False)
    assert done.returncode == 2 and "--timeout is for --wait" in done.stderr, done


def test_import_warns_of_pools_without_an_edge(site, tmp_path):
    listing = tmp_path / "names.csv"
    listing.write_text("name,pool\npool1.example.com,nowhere\npool2.example.com,nowhere\n"
                       "pool3.example.com,default\npool4.example.com,\npool5.example.com,No Label\n")
    done = site.herd.cli("domain", "import", listing, check=False)
    assert done.returncode == 3 and done.stderr.count("has no edge") == 1, done
    assert "Pool nowhere has no edge (yet): its names wait until one reports." in done.stderr
    listing.write_text("pool3.example.com\npool4.example.com\n")
    for words in ((), ("--pool", "default")):
        assert "no edge" not in site.herd.cli("domain", "import", listing, *words).stderr
    done = site.herd.cli("domain", "import", "-", "--pool", "elsewhere", "--json", input="pool6.example.com\n")
    assert json.loads(done.stdout)["created"] == 1 and "Pool elsewhere has no edge" in done.stderr
    # Who may not see edges is not told of them.
    site.herd.set("cli", identity_cert="pki/platform.pem", identity_key="pki/platform.key")
    try:
        done = site.herd.cli("domain", "import", "-", "--pool", "elsewhere", input="pool6.example.com\n")
        assert "1 unchanged" in done.stdout and done.stderr == "", done
    finally:
        site.herd.set("cli", identity_cert="pki/operator.pem", identity_key="pki/operator.key")
    # Many are not told one by one.
    listing.write_text("name,pool\n" + "".join(f"pools{i}.example.com,p{i:02}\n" for i in range(12)))
    said = site.herd.cli("domain", "import", listing).stderr
    assert said.count("has no edge") == 10 and "and 2 more such pools" in said
    site.herd.cli("domain", "rm", "pool1.example.com", "pool2.example.com", "pool6.example.com",
                  *(f"pools{i}.example.com" for i in range(12)))


def test_import_of_what_is_no_file_names_it(site, tmp_path):
    done = site.herd.cli("domain", "import", tmp_path, check=False)
    assert done.returncode == 2 and f"{tmp_path} is a folder, not a file" in done.stderr, done
    done = site.herd.cli("domain", "import", tmp_path / "absent", check=False)
    assert done.returncode == 2 and "absent: No such file" in done.stderr, done
    done = site.herd.cli("domain", "import", "-", input="name,name\na,b\n", check=False)
    assert done.returncode == 2 and 'names the column "name" twice' in done.stderr, done


def test_import_from_standard_input(site):
    done = site.herd.cli("domain", "import", "-", input="stdin.example.com\n")
    assert done.returncode == 0
    assert site.herd.domain("stdin.example.com")["name"] == "stdin.example.com"


def test_import_of_csv(site, tmp_path):
    listing = tmp_path / "names.csv"
    listing.write_text("name,www,tenant\ncsv1.example.com,yes,acme\ncsv2.example.com,no,other\n")
    site.herd.cli("domain", "import", listing)
    first = site.herd.domain("csv1.example.com")
    assert (first["www"], first["tenant"]) == (True, "acme")
    assert site.herd.domain("csv2.example.com")["tenant"] == "other"


@pytest.mark.parametrize("name,code", [entry for entry in BAD_NAMES if "\0" not in entry[0]],
                         ids=short)
def test_a_bad_name_is_refused(site, name, code):
    done = site.herd.cli("domain", "add", "--", name, check=False)
    assert done.returncode == 2, done
    assert done.stderr.strip()
    if code and name not in ("", "."):
        assert code in done.stderr


def test_a_store_that_is_not_there_gives_4(scratch):
    made = lab_herd.Herd(scratch / "certherd").init()
    done = made.cli("status", check=False)
    assert done.returncode == 4, done


@pytest.mark.parametrize("command", [
    ["status"], ["backup", "file"], ["restore", "file"], ["migrate", "postgresql://h/d"], ["migrate", "--abandon"]])
def test_a_missing_configuration_gives_2(scratch, command):
    done = process.run([lab_herd.binary(), *command, "--config", scratch / "absent.conf"], check=False)
    assert done.returncode == 2 and "absent.conf" in done.stderr
    assert "--config FILE" in done.stderr and "certherd init" in done.stderr


@pytest.mark.parametrize("command", [
    ["restore", "absent"], ["restore", "--verify", "absent"], ["identity", "revoke", "./absent.pem"],
    ["account", "--rollover", "absent", "--yes"]])
def test_a_file_that_is_not_there_gives_2(scratch, command):
    made = lab_herd.Herd(scratch / "certherd").init()
    done = made.cli(*command, check=False)
    assert done.returncode == 2 and "absent" in done.stderr, done


@pytest.mark.parametrize("role", ["store", "issuer", "agent", "up"])
def test_a_misspelt_section_is_named_by_each_role(scratch, role):
    made = lab_herd.Herd(scratch / "certherd").init()
    made.set("up", store_user="-", issuer_user="-", agent_user="-")
    made.config.write_text(made.config.read_text().replace("[issuer]", "[isuer]"))
    done = made.cli(role, check=False, timeout=30)
    assert done.returncode == 2 and "there is no section [isuer]" in done.stdout + done.stderr, done


@pytest.mark.parametrize("section,key,value,word", [
    ("up", "roles", "store,edge", "it takes store, issuer and agent"),
    ("issuer", "retry_ladder", "1m,soon", "it takes spans of time"),
    ("cli", "store", "http://127.0.0.1:1", "it takes URLs without a path, such as https://"),
    ("issuer", "ca_timeout", "60s", "must be below `lease`")])
def test_a_wrong_value_is_told_with_what_there_could_be(scratch, section, key, value, word):
    made = lab_herd.Herd(scratch / "certherd").init()
    made.set("up", store_user="-", issuer_user="-", agent_user="-")
    made.set(section, **{key: value})
    if key == "ca_timeout":
        made.set(section, lease="60s")
    command = {"up": ["up"], "issuer": ["issuer"], "cli": ["status"]}[section]
    done = made.cli(*command, check=False, timeout=30)
    assert done.returncode == 2 and word in done.stdout + done.stderr, done


@pytest.mark.parametrize("arguments,word", [
    ([], "postgresql://"), (["mysql://h/d"], "postgresql://"), (["postgresql://h/d", "--abandon"], "no URL")])
def test_migrate_that_is_called_wrongly_gives_2(scratch, arguments, word):
    made = lab_herd.Herd(scratch / "certherd").init()
    done = made.cli("migrate", *arguments, check=False)
    assert done.returncode == 2 and word in done.stderr


def test_nothing_to_abandon_gives_1(scratch):
    made = lab_herd.Herd(scratch / "certherd").init()
    done = made.cli("migrate", "--abandon", check=False)
    assert done.returncode == 1 and "nothing to abandon" in done.stderr


def test_an_identity_that_is_not_there_gives_2(scratch):
    made = lab_herd.Herd(scratch / "certherd").init()
    made.pki("operator.key").unlink()
    done = made.cli("status", check=False)
    assert done.returncode == 2 and "operator.key: No such file" in done.stderr


def test_a_section_that_nobody_reads_gives_2(scratch):
    made = lab_herd.Herd(scratch / "certherd").init()
    made.set("up", store_user="-", issuer_user="-", agent_user="-")
    made.config.write_text(made.config.read_text() + "[agents]\nstore = https://127.0.0.1:1\n")
    done = made.cli("status", check=False)
    assert done.returncode == 2 and "no section [agents]" in done.stderr


def test_an_issuer_whose_directory_ca_is_not_there_gives_2(scratch):
    made = lab_herd.Herd(scratch / "certherd").init()
    made.set("issuer", directory_ca="absent.pem")
    done = made.cli("issuer", check=False)
    assert done.returncode == 2 and "absent.pem" in done.stderr


def test_a_store_whose_key_others_can_read_gives_2(scratch):
    made = lab_herd.Herd(scratch / "certherd").init()
    made.pki("store.key").chmod(0o644)
    done = made.cli("store", check=False)
    assert done.returncode == 2 and "chmod 600" in done.stderr


@pytest.mark.parametrize("agreed", ["no", "yes"])
def test_an_issuer_that_may_make_no_account_says_so_at_the_start(scratch, agreed):
    made = lab_herd.Herd(scratch / "certherd").init()
    made.set("issuer", terms_agreed=agreed)
    child = made.start("issuer")
    wait.until(lambda: "ready" in child.log(), "the issuer is ready")
    made.stop()
    assert ("terms_agreed is not yes" in child.log()) == (agreed == "no")


def test_a_foreign_identity_gives_4(site, scratch):
    other = lab_herd.Herd(scratch / "other").init()
    other.set("cli", store=f"https://127.0.0.1:{site.herd.store_port}",
              identity_ca=site.herd.pki("ca.pem"))
    done = other.cli("status", check=False)
    assert done.returncode == 4, done
