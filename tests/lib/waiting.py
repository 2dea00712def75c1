"""Waiting for conditions, never for the clock."""

import time


def wait_for(condition, timeout_s=30, what=None, interval_s=0.02):
    """Ask until the condition is true and return what it answered.

    `what` describes what was waited for: a text, or a function called when the time is over.
    """
    until = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > until:
            text = what() if callable(what) else what or getattr(condition, "__name__", "condition")
            raise AssertionError(f"not within {timeout_s} s: {text}")
        time.sleep(interval_s)
