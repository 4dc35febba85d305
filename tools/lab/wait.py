"""Waiting for conditions with a deadline, never for a fixed time."""

import time

INTERVAL_LEAST, INTERVAL_MOST = 0.05, 0.25


class Timeout(AssertionError):
    """What was waited for did not come; the text says what, and what was seen instead."""


def until(condition, what, timeout=20.0, interval=None):
    """Calls condition() until it returns something true, and returns that.

    what: for the message; a text, or a function that says what is seen instead.
    interval: between two calls.  None: a tenth of what was waited so far, within bounds: asking
    takes the machine's time from what is waited for, and from the tests beside this one.
    """
    began = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - began
        if waited >= timeout:
            raise Timeout(f"not within {timeout:g} s: {what() if callable(what) else what}")
        if interval is None:
            time.sleep(min(max(waited / 10, INTERVAL_LEAST), INTERVAL_MOST))
        else:
            time.sleep(interval)
