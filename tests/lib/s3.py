"""A storage that speaks as S3 does, conditional puts included: moto, from scripts/lake-readers."""

import subprocess
import time
import urllib.error
import urllib.request

from lib.sink import free_port
from lib.stack import ROOT

KEYS = {"AWS_ACCESS_KEY_ID": "ods", "AWS_SECRET_ACCESS_KEY": "hocuspocus", "AWS_REGION": "us-east-1"}


class Storage:
    def __init__(self, log):
        python = subprocess.run([ROOT / "scripts" / "lake-readers", "--prepare"], text=True, check=True,
                                stdout=subprocess.PIPE).stdout.strip()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.arguments = [python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.log = log
        self.process = None
        self.start()

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(self.arguments, stdout=log, stderr=log)
        until = time.monotonic() + 120
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < until, self.log.read_text()
            time.sleep(0.1)

    def answers(self):
        try:
            return urllib.request.urlopen(f"{self.url}/moto-api/", timeout=5).status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def ask(self, method, path):
        request = urllib.request.Request(f"{self.url}/{path}", method=method)
        return urllib.request.urlopen(request, timeout=30).read().decode()

    @property
    def options(self):
        """For delta-rs."""
        return {**KEYS, "AWS_ENDPOINT_URL": self.url, "AWS_ALLOW_HTTP": "true"}

    def close(self):
        self.process.kill()
        self.process.wait()
