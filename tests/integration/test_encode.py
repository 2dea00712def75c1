"""Random values: what PostgreSQL prints of the sink's binary form is the decoder's text of them."""

import os
import subprocess

from conftest import build


def test_binary_and_text_agree(database, stack):
    program = build("release").parent / "tests" / "integration" / "encode_property"
    seed = os.environ.get("ODS_TEST_SEED", "")
    dsn = database.dsn.replace("${ODS_STACK_POSTGRES_PASSWORD}", stack["POSTGRES_PASSWORD"])
    done = subprocess.run([program, dsn, "50", *([seed] if seed else [])], text=True,
                          capture_output=True, timeout=300, env=stack.environment())
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    assert "1550000 values compared" in done.stdout
