"""Waiting for conditions with a deadline, never for a fixed time."""

import time


class Timeout(AssertionError):
    """What was waited for did not come; the text says what, and what was seen instead."""


def until(condition, what, timeout=20.0, interval=0.05):
    """Calls condition() until it returns something true, and returns that.

    what: for the message; a text, or a function that says what is seen instead.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise Timeout(f"not within {timeout:g} s: {what() if callable(what) else what}")
        time.sleep(interval)
