"""A server of Iceberg's REST catalog: the one that the Apache project tests its clients with."""

import json
import subprocess
import time
import urllib.error
import urllib.request

from lib.sink import free_port
from lib.stack import ROOT


class RestCatalog:
    def __init__(self, folder):
        subprocess.run([ROOT / "scripts" / "lake-catalog", "--prepare"], check=True, stdout=subprocess.DEVNULL)
        self.port, self.log = free_port(), folder / "log"
        self.url = f"http://127.0.0.1:{self.port}"
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", ROOT / "scripts" / "lake-catalog", str(self.port),
                 folder], stdout=log, stderr=log)
        until = time.monotonic() + 120
        try:
            while not self.answers():
                assert self.process.poll() is None and time.monotonic() < until, self.log.read_text()
                time.sleep(0.1)
        except BaseException:
            self.close()
            raise

    def answers(self):
        try:
            return urllib.request.urlopen(f"{self.url}/v1/config", timeout=5).status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def table(self, namespace, name):
        """What the catalog says of a table; None: there is none."""
        try:
            path = f"{self.url}/v1/namespaces/{namespace}/tables/{name}"
            return json.loads(urllib.request.urlopen(path, timeout=10).read())
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def close(self):
        self.process.kill()
        self.process.wait()
