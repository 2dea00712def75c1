"""Stacks that are made beside each other get ports of their own: see free_ports in scripts/lib.sh."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

from lib.stack import ROOT

ASK = f"set -euo pipefail; . {ROOT}/scripts/lib.sh; free_ports 25"


def test_no_port_is_given_twice(tmp_path):
    """By chance alone, some 25 of these 1,000 would be."""
    def ask(_):
        done = subprocess.run(["bash", "-c", ASK], check=True, capture_output=True, text=True,
                              env={**os.environ, "TMPDIR": str(tmp_path)})
        return done.stdout.split()

    with ThreadPoolExecutor(4) as pool:
        given = [port for ports in pool.map(ask, range(40)) for port in ports]
    assert len(given) == 1000 and len(set(given)) == 1000
