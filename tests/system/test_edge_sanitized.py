"""The module under ASan and UBSan, in a vanilla nginx that tools/sanitized-nginx.sh builds, while
visitors come, the replica changes, workers die and nginx reloads.

CERTHERD_EDGE_ROUNDS says how many changes of the replica that goes on for (12; `make soak`: 600),
CERTHERD_EDGE_SEED which random numbers are drawn.  `make check SANITIZE=1` runs every other test
of the edge with this nginx too.
"""

import os
import random
import subprocess

import pytest

from lab import sanitizer
from edge_fixture import check_no_crash, new_edge  # noqa: F401
from edge_load import Churn, Trouble, Visitor, Worker, run_all

ROUNDS = int(os.environ.get("CERTHERD_EDGE_ROUNDS", "12"))
SEED = int(os.environ.get("CERTHERD_EDGE_SEED", str(random.SystemRandom().randrange(10**6))))
STEADY = [f"steady{number}.test" for number in range(6)]
MOVING = [f"moving{number}.test" for number in range(6)]

pytestmark = pytest.mark.skipif(
    not (sanitizer.NGINX.exists() and sanitizer.MODULE.exists()),
    reason="tools/sanitized-nginx.sh has built no nginx: has it no source?")


def test_the_module_is_watched():
    symbols = subprocess.run(["nm", "-D", sanitizer.MODULE], capture_output=True, text=True).stdout
    assert "__asan_report_load" in symbols and "__ubsan_handle" in symbols
    assert sanitizer.watches(sanitizer.NGINX)


@pytest.mark.parametrize("log", [
    "a\n==7==ERROR: AddressSanitizer: heap-buffer-overflow on address\n",
    "a\n==7==ERROR: LeakSanitizer: detected memory leaks\n",
    "a\nnginx/x.c:1:2: runtime error: load of null pointer\n",
])
def test_what_a_sanitizer_says_fails_a_test(log):
    assert sanitizer.findings(log) == log[2:]
    with pytest.raises(AssertionError):
        check_no_crash(log)


def make_edge(new_edge, **options):
    edge = new_edge(nginx=sanitizer.NGINX, module=sanitizer.MODULE, **options)
    edge.apply(*(f"cert:{name}:{number + 1}" for number, name in enumerate([*STEADY, *MOVING])))
    return edge.start()


def visitors(edge, n, rounds, **options):
    made = [Visitor(edge, STEADY, MOVING, seed=SEED + number, **options) for number in range(n)]
    return made, [Worker(visitor.step, rounds) for visitor in made]


@pytest.mark.timeout(60 + 10 * ROUNDS)
def test_visitors_while_the_replica_changes(new_edge):
    """Nobody is killed here, so nothing may fail: the cache is too small for the names."""
    print("seed", SEED)
    edge = make_edge(new_edge, http_extra="\tcertherd_cache 64k;")
    made, workers = visitors(edge, 3, 20 * ROUNDS)
    churn = Churn(edge, STEADY, MOVING, seed=SEED)
    run_all(*workers, Worker(churn.step, ROUNDS))
    assert sum(visitor.made for visitor in made) > 10 * ROUNDS
    assert sum(visitor.resumed for visitor in made) > ROUNDS


@pytest.mark.timeout(60 + 10 * ROUNDS)
def test_visitors_while_workers_die_and_nginx_reloads(new_edge):
    print("seed", SEED)
    edge = make_edge(new_edge)
    made, workers = visitors(edge, 3, 20 * ROUNDS, lossy=True)
    churn, trouble = Churn(edge, STEADY, MOVING, seed=SEED), Trouble(edge)
    run_all(*workers, Worker(churn.step, ROUNDS), Worker(trouble.step, max(ROUNDS // 3, 2)))
    assert sum(visitor.made for visitor in made) > 5 * ROUNDS
