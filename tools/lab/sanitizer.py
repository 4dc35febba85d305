"""nginx and the module under ASan and UBSan, as tools/sanitized-nginx.sh builds them."""

import functools
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build/nginx-sanitized"
NGINX, MODULE = FOLDER / "nginx", FOLDER / "ngx_http_certherd_module.so"
SIGNS = ("Sanitizer", "runtime error:")


@functools.lru_cache(maxsize=None)
def watches(program):
    """Whether the file was compiled under ASan."""
    return b"__asan_init" in pathlib.Path(program).read_bytes()


def environment(program, leaks=True):
    """What a program that is watched must find in its environment; one that is not, nothing."""
    if not watches(program):
        return {}
    return {
        "ASAN_OPTIONS": "abort_on_error=1:detect_stack_use_after_return=1:"
                        f"strict_string_checks=1:detect_leaks={int(leaks)}",
        "UBSAN_OPTIONS": "abort_on_error=1:print_stacktrace=1",
        "LSAN_OPTIONS": f"suppressions={ROOT / 'tools/lab/nginx.lsan'}:print_suppressions=0",
    }


def findings(text):
    """The part of a log that begins with the first report."""
    at = min((at for at in map(text.find, SIGNS) if at >= 0), default=None)
    return "" if at is None else text[text.rfind("\n", 0, at) + 1:][:6000]
