"""Records in Avro as a reader sees them that others wrote (tests/support/avro_reader.py)."""

import base64
import json
import struct
import subprocess

from lib.stack import ROOT


class Reader:
    """Reads by the schemas that `find` gives by id, as a registry does."""

    def __init__(self, find):
        python = subprocess.run([ROOT / "scripts" / "avro-reader", "--prepare"], text=True, check=True,
                                stdout=subprocess.PIPE).stdout.strip()
        self.find = find
        self.process = subprocess.Popen([python, ROOT / "tests" / "support" / "avro_reader.py"], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, message):
        """What the bytes of a key or a value say; None: there are none."""
        if message is None:
            return None
        magic, number = struct.unpack(">bi", message[:5])
        assert magic == 0
        self.process.stdin.write(json.dumps({"schema": self.find(number), "record": base64.b64encode(
            message[5:]).decode()}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["answer"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
