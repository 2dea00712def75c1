"""The program under test: configurations for it, one-shot commands, and the daemon."""

import json
import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import yaml

from lib.waiting import wait_for

SANITIZER = re.compile(r"(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:).*")


class Exit:
    """Exit codes, as ods-sink(1) lists them."""

    OK, NEGATIVE, USAGE, CONFIG, SOURCE, TARGET, INTERNAL = 0, 1, 2, 3, 4, 5, 70


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def assert_clean(text):
    """No sanitizer has found anything."""
    found = SANITIZER.search(text)
    assert not found, text[found.start():found.start() + 4000]


def libconfig(value):
    """A Python value as libconfig writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}L" if abs(value) > 2**31 - 1 else str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, dict):
        return "{ " + " ".join(f"{name_text(key)} = {libconfig(item)};"
                               for key, item in value.items()) + " }"
    return "( " + ", ".join(libconfig(item) for item in value) + " )"


def name_text(name):
    return f'"{name}"' if "." in name else name


class Setup:
    """A folder with both configuration files, and how to run the program with them."""

    def __init__(self, folder, binary, stack):
        self.folder = Path(folder)
        self.binary = binary
        self.stack = stack
        self.conf = self.folder / "ods-sink.conf"
        self.group = None
        self.http_port = None
        self._daemons = []

    def write(self, *pipelines, database=None, targets=None, kafka=False, bootstrap=None,
              kafka_properties=None, **settings):
        """The files for these pipelines. Other settings of ods-sink.conf by name.

        kafka: the stack's broker and an HTTP port; else none of both is needed.
        bootstrap: another way to that broker.
        """
        if targets is None:
            targets = [{"name": "ods", "type": "postgres", "dsn": database.dsn}]
        # A group of Kafka is a test's own: members that were killed linger in it.
        self.group = f"test-{self.folder.name}" if kafka else "test"
        merged = {
            "kafka": {"group_id": self.group},
            "targets": targets,
            "retry": {"initial_ms": 50, "max_ms": 500},
            "tables": "tables.yaml",
            "http": {"listen": ""},
        }
        if kafka:
            self.http_port = self.http_port or free_port()
            merged["kafka"]["bootstrap_servers"] = bootstrap or self.stack["KAFKA_BOOTSTRAP"]
            # Changes are looked for more often than suits a production network.
            merged["kafka"]["properties"] = {
                "reconnect.backoff.max.ms": "500", "topic.metadata.refresh.interval.ms": "500",
                "session.timeout.ms": "3000", "heartbeat.interval.ms": "500", **(kafka_properties or {})}
            for name in [name for name, value in merged["kafka"]["properties"].items()
                         if value is None]:
                del merged["kafka"]["properties"][name]  # the program's own
            merged["http"] = {"listen": f"127.0.0.1:{self.http_port}"}
        for name, value in settings.items():
            if isinstance(value, dict):
                value = {**merged.get(name, {}), **value}
            merged[name] = value
        self.folder.mkdir(parents=True, exist_ok=True)
        self.conf.write_text("".join(f"{name} = {libconfig(value)};\n"
                                     for name, value in merged.items()))
        document = yaml.safe_dump({"pipelines": list(pipelines)}, sort_keys=False,
                                  allow_unicode=True)
        (self.folder / "tables.yaml").write_text(document)
        return self

    def run(self, *arguments, expect=Exit.OK, timeout_s=120, text=None, env=None):
        """A command that ends by itself."""
        done = subprocess.run([self.binary, *map(str, arguments)], input=text, text=True,
                              capture_output=True, timeout=timeout_s,
                              env={**self.stack.environment(), **(env or {})})
        assert_clean(done.stderr)
        assert expect is None or done.returncode == expect, \
            f"exit code {done.returncode}, not {expect}:\n{done.stdout}{done.stderr}"
        return done

    def check(self, *arguments, expect=Exit.OK):
        return self.run("check", "-c", self.conf, *arguments, expect=expect)

    def replay(self, records, dead_letter=None, timeout_s=120):
        """Replay a file, or records; the summary."""
        options = ["--dead-letter", dead_letter] if dead_letter else []
        done = self.run("replay", "-c", self.conf, *options, self.file_of(records),
                        timeout_s=timeout_s)
        return json.loads(done.stdout)

    def replay_fails(self, records, code):
        """Replay that must end with this exit code; what it said."""
        return self.run("replay", "-c", self.conf, self.file_of(records), expect=code)

    def file_of(self, records):
        if isinstance(records, (str, Path)):
            return records
        path = self.folder / "records.jsonl"
        write_lines(path, records)
        return path

    def daemon(self, **options):
        daemon = Daemon(self, len(self._daemons), **options)
        self._daemons.append(daemon)
        return daemon

    def close(self):
        """Kill what still runs; the logs must be clean of findings."""
        for daemon in self._daemons:
            daemon.kill()
        for daemon in self._daemons:
            assert_clean(daemon.log())


class Daemon:
    """One ods-sink run."""

    def __init__(self, setup, number, env=None, stdout=None):
        """stdout: a file of its own; else it stands in the log."""
        self.setup = setup
        self.ended = False  # by this test, not by itself
        self.log_path = setup.folder / f"daemon-{number}.log"
        self._log_file = open(self.log_path, "wb")
        self.process = subprocess.Popen(
            [setup.binary, "run", "-c", setup.conf], stdin=subprocess.DEVNULL,
            stdout=stdout or self._log_file, stderr=self._log_file,
            env={**setup.stack.environment(), **(env or {})})

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def running(self):
        return self.process.poll() is None

    def get(self, path):
        """(status, body) of an HTTP request, (0, "") while nothing listens."""
        url = f"http://127.0.0.1:{self.setup.http_port}{path}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return 0, ""

    def await_ready(self, timeout_s=30):
        self.await_that(lambda: self.get("/readyz")[0] == 200, timeout_s, "ready")
        return self

    def await_that(self, condition, timeout_s=60, what="condition"):
        """Wait for a condition, and fail at once when the daemon has ended."""
        def asked():
            if not self.running():
                raise AssertionError(f"the daemon ended with {self.process.returncode}, "
                                     f"waiting for: {what}\n{self.tail()}")
            return condition()

        return wait_for(asked, timeout_s,
                        lambda: f"{what() if callable(what) else what}\n{self.tail()}")

    def tail(self, lines=40):
        return "\n".join(self.log().splitlines()[-lines:])

    def metric(self, name):
        """The sum over all labels, None when there is no such metric."""
        values = [float(line.rsplit(" ", 1)[1]) for line in self.get("/metrics")[1].splitlines()
                  if re.match(re.escape(name) + r"[{ ]", line)]
        return sum(values) if values else None

    def peak_rss_bytes(self):
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024

    def takes_signals(self):
        status = Path(f"/proc/{self.pid}/status").read_text()
        blocked = re.search(r"^SigBlk:\s+(\w+)", status, re.MULTILINE)
        return bool(blocked) and bool(int(blocked.group(1), 16) >> signal.SIGTERM - 1 & 1)

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, timeout_s=60, expect=Exit.OK):
        """SIGTERM, and the exit code that follows."""
        # Before it has blocked its signals one ends the process as it would any other.
        wait_for(lambda: self.takes_signals() or not self.running(), 30, "signals taken")
        self.ended = True
        if self.running():
            self.signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired as late:
            self.process.send_signal(signal.SIGABRT)
            raise AssertionError(f"still runs {timeout_s} s after SIGTERM:\n{self.tail()}") from late
        self._log_file.close()
        assert_clean(self.log())
        assert expect is None or code == expect, f"exit code {code}:\n{self.tail()}"
        return code

    def gave_up(self):
        """Its end took longer than it had for finishing what was in flight."""
        return "not done after" in self.log()

    def kill(self):
        self.ended = True
        if self.running():
            os.kill(self.pid, signal.SIGKILL)
        self.process.wait()
        self._log_file.close()


def write_lines(path, records):
    with open(path, "w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]
