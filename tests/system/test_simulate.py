"""`certherd simulate` and `certherd forecast`: what they print, and their exit codes."""

import json

import pytest

from lab import herd as lab_herd
from lab import process

SCENARIO = """[simulation]
days = 40
[ca]
lifetime = 45d
orders_per_account = 40/4h
[onboard shops]
names = 2000
[onboard newcomer]
names = 1
at = 2d
[outage one]
at = 15d
for = 12h
"""
TOO_LONG = SCENARIO.replace("45d", "6d").replace("12h", "10d")


def certherd(tmp_path, command, text, *options):
    path = tmp_path / "scenario.conf"
    path.write_text(text)
    return process.run([lab_herd.binary(), command, str(path), *options], check=False)


def test_a_scenario_that_holds(tmp_path):
    done = certherd(tmp_path, "simulate", SCENARIO, "--forecast", "--json")
    assert done.returncode == 0, done
    result = json.loads(done.stdout)
    assert result["names"] == 2001 and result["without"] == 0
    assert not any(result["expired"].values()) and not any(result["exceeded"].values())
    assert result["onboardings"][1]["longest_wait_ms"] < 6 * 60 * 1000
    assert result["forecast_error"] < 0.05
    text = certherd(tmp_path, "simulate", SCENARIO)
    assert text.returncode == 0
    assert "newcomer" in text.stdout and "none exceeded" in text.stdout


def test_what_expires_is_told_with_its_reason_and_an_exit_code(tmp_path):
    done = certherd(tmp_path, "simulate", TOO_LONG, "--json")
    assert done.returncode == 1, done
    assert sum(json.loads(done.stdout)["expired"].values()) > 1000
    assert "had no turn" in certherd(tmp_path, "simulate", TOO_LONG).stdout


def test_a_forecast_names_the_limit_to_raise(tmp_path):
    done = certherd(tmp_path, "forecast", SCENARIO, "--json")
    assert done.returncode == 0, done
    result = json.loads(done.stdout)
    assert result["raise"] == "orders_per_account"
    assert result["onboardings"][0]["turns"]["100"] > result["onboardings"][0]["turns"]["50"]
    assert "orders_per_account" in certherd(tmp_path, "forecast", SCENARIO).stdout
    enough = SCENARIO.replace("40/4h", "none")
    assert json.loads(certherd(tmp_path, "forecast", enough, "--json").stdout)["raise"] is None


@pytest.mark.parametrize("command", ["simulate", "forecast"])
def test_bad_scenarios_exit_with_2_and_say_the_line(tmp_path, command):
    done = certherd(tmp_path, command, SCENARIO.replace("names = 1\n", "nmaes = 1\n"))
    assert done.returncode == 2
    assert "scenario.conf:9" in done.stderr and "nmaes" in done.stderr
    missing = process.run([lab_herd.binary(), command, str(tmp_path / "none")], check=False)
    assert missing.returncode == 2
    assert "cannot read the scenario" in missing.stderr and "certherd init" not in missing.stderr
