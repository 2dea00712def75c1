"""Waiting for conditions, never for the clock."""

import time


ASK_S, SELDOM_S = 0.02, 0.5


def wait_for(condition, timeout_s=30, what=None, interval_s=None):
    """Ask until the condition is true and return what it answered.

    How often is decided by what asking costs, where interval_s does not say it: a comparison of tables that
    is made all the time takes the processor from what it waits for.
    `what` describes what was waited for: a text, or a function called when the time is over.
    """
    until = time.monotonic() + timeout_s
    while True:
        began = time.monotonic()
        answer = condition()
        if answer:
            return answer
        now = time.monotonic()
        if now > until:
            text = what() if callable(what) else what or getattr(condition, "__name__", "condition")
            raise AssertionError(f"not within {timeout_s} s: {text}")
        time.sleep(interval_s or min(max(ASK_S, now - began), SELDOM_S))
