"""The alert rules as scripts/drill has them, who has no hours: config/observability's, but for times."""

import re

# Where minutes as seconds are not enough: what a drill can fill, and how old a place has to be.
THRESHOLDS = {"slot_inactive_seconds) > 600": "slot_inactive_seconds) > 10",
              "retained_bytes) > 50 * 2^30": "retained_bytes) > 48 * 2^20"}


def faster(text):
    """Minutes as seconds, hours as minutes; a scrape is a second."""
    text = re.sub(r"\b(\d+)s\b(?=\n|$)", "1s", text)
    text = re.sub(r"(for: |\[|_interval: |_wait: )(\d+)m\b", lambda m: f"{m[1]}{max(int(m[2]), 2)}s", text)
    text = re.sub(r"(for: |\[|_interval: |_wait: )(\d+)h\b", r"\1\2m", text)
    for usual, here in THRESHOLDS.items():
        assert usual not in text or here not in text
        text = text.replace(usual, here)
    return text
