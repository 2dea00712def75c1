"""The rights that docs/security.md lists: its statements, and Kafka's access rules."""

import re
import shlex
import socket
import struct

from lib.stack import ROOT
from lib.waiting import wait_for

CREATE, DELETE, DESCRIBE = 30, 31, 29
OPERATIONS = {"All": 2, "Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
RESOURCES = {"--topic": 2, "--group": 3, "--cluster": 4, "--transactional-id": 5}
PATTERNS = {"literal": 3, "prefixed": 4}
ALLOW = 3


def block(heading, language="sql", number=0):
    """The lines of a block below this heading of the page, without their comments."""
    page = (ROOT / "docs/security.md").read_text()
    section = page.split(f"\n### {heading}\n", 1)[1].split("\n### ", 1)[0].split("\n## ", 1)[0]
    text = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)[number]
    mark = "--" if language == "sql" else " #"
    return [line.split(mark + " ", 1)[0].strip() for line in text.splitlines()
            if line.split(mark + " ", 1)[0].strip()]


def grants(lines):
    """Each right by itself of these statements: (right, what it is on)."""
    found = [re.fullmatch(r"grant (.*?) on (.*?) to \S+;", line) for line in lines]
    return [(right, each[2]) for each in found if each for right in each[1].split(", ")]


def rules(heading, names):
    """The page's access rules by their lines, with these names in place of the page's own ones."""
    lines = [line.removeprefix("acls ") for line in block(heading, "sh") if line.startswith("acls -")]
    for old, new in names.items():
        lines = [line.replace(old, new) for line in lines]
    return lines


class Acls:
    """Access rules of a broker, which a client that may do all sets: librdkafka's Python client of Debian
    has no call for it, and Kafka's own program takes seconds for each."""

    def __init__(self, bootstrap):
        host, port = bootstrap.split(":")
        self._address = host, int(port)

    def allow(self, principal, line):
        rule = self._rule(principal, line)
        self._ask(CREATE, struct.pack(">i", 1) + rule)
        wait_for(lambda: self._is_there(rule), what=f"{line} is allowed")

    def take(self, principal, line):
        rule = self._rule(principal, line)
        self._ask(DELETE, struct.pack(">i", 1) + rule)
        wait_for(lambda: not self._is_there(rule), what=f"{line} is taken away")

    def _rule(self, principal, line):
        words = shlex.split(line)
        kind = next(word for word in words if word in RESOURCES)
        name = "kafka-cluster" if kind == "--cluster" else words[words.index(kind) + 1]
        pattern = PATTERNS[words[words.index("--resource-pattern-type") + 1]
                           if "--resource-pattern-type" in words else "literal"]
        operation = OPERATIONS[words[words.index("--operation") + 1]]
        return (struct.pack(">b", RESOURCES[kind]) + text(name) + struct.pack(">b", pattern) +
                text(f"User:{principal}") + text("*") + struct.pack(">bb", operation, ALLOW))

    def _is_there(self, rule):
        """As the broker itself knows it, some time after the controller."""
        throttle, error = struct.unpack(">ih", (answer := self._ask(DESCRIBE, rule))[:6])
        assert not error, error
        length, = struct.unpack(">h", answer[6:8])
        return struct.unpack(">i", answer[8 + max(length, 0):][:4])[0] > 0

    def _ask(self, request, body):
        packet = struct.pack(">hhi", request, 1, 1) + text("test") + body
        with socket.create_connection(self._address, 30) as connection:
            connection.sendall(struct.pack(">i", len(packet)) + packet)
            with connection.makefile("rb") as stream:
                answer = stream.read(struct.unpack(">i", stream.read(4))[0])
        if request != DESCRIBE:
            assert struct.unpack(">h", answer[12:14])[0] == 0, answer
        return answer[4:]


def text(value):
    return struct.pack(">h", len(value)) + value.encode()
