"""tools/lockups.py: only where Pebble locked up is a second run taken for the first."""

import pathlib
import subprocess
import sys
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOCKUP = "lab.pebble.Lockup: Pebble no longer answers (its known lock-up): timed out; run again"


def lockups(*args, code=0):
    done = subprocess.run([sys.executable, ROOT / "tools/lockups.py", *args], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


def write(path, *cases):
    """cases: (file, test, what it failed with or None)."""
    suite = xml.Element("testsuite", name="pytest", tests=str(len(cases)))
    for file, name, failure in cases:
        case = xml.SubElement(suite, "testcase", classname=f"tests.system.{file}", name=name)
        if failure:
            xml.SubElement(case, "failure", message=failure.splitlines()[-1]).text = failure
    root = xml.Element("testsuites")
    root.append(suite)
    xml.ElementTree(root).write(path)
    return path


def failed_in(path):
    return {case.get("name") for case in xml.parse(path).getroot().iter("testcase")
            if case.find("failure") is not None}


def test_a_file_with_a_lock_up_is_named_once(tmp_path):
    results = write(tmp_path / "a.xml", ("test_cli", "one", LOCKUP), ("test_cli", "two", LOCKUP),
                    ("test_path.Group", "three", f"waited for it\n{LOCKUP}"),
                    ("test_ui", "four", "assert 1 == 2"), ("test_agent", "five", None))
    assert lockups("files", results).stdout.split() == ["tests/system/test_cli.py",
                                                        "tests/system/test_path.py"]


def test_without_a_lock_up_nothing_is_run_again(tmp_path):
    results = write(tmp_path / "a.xml", ("test_ui", "four", "assert 1 == 2"))
    assert not lockups("files", results).stdout.split()


def test_the_second_run_stands_in_the_place_of_the_first(tmp_path):
    results = write(tmp_path / "a.xml", ("test_cli", "one", LOCKUP), ("test_cli", "two", None))
    again = write(tmp_path / "b.xml", ("test_cli", "one", None), ("test_cli", "two", None))
    lockups("merge", results, again)
    assert not failed_in(results)
    assert len(list(xml.parse(results).getroot().iter("testcase"))) == 2


def test_what_fails_again_and_what_failed_elsewhere_stays_failed(tmp_path):
    results = write(tmp_path / "a.xml", ("test_cli", "one", LOCKUP), ("test_cli", "two", LOCKUP),
                    ("test_ui", "four", "assert 1 == 2"))
    again = write(tmp_path / "b.xml", ("test_cli", "one", None), ("test_cli", "two", "assert 3 == 4"))
    lockups("merge", results, again, code=1)
    assert failed_in(results) == {"two", "four"}


def test_a_second_run_without_results_changes_nothing(tmp_path):
    results = write(tmp_path / "a.xml", ("test_cli", "one", LOCKUP))
    lockups("merge", results, write(tmp_path / "b.xml"), code=1)
    assert failed_in(results) == {"one"}
