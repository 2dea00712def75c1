"""MySQL and MariaDB as targets: servers of the tests' own, and what is in their tables."""

import atexit
import functools
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pymysql
import pytest

from lib.waiting import wait_for

CACHE = Path(os.environ.get("ODS_CACHE", Path.home() / ".cache/ods-sink"))
FLAVOURS = ("mysql", "mariadb")
MARIADB = next((path for path in ("/usr/sbin/mariadbd", "/usr/sbin/mysqld") if Path(path).exists()),
               None)
LEAN = ["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve",
        "--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=64M",
        "--local-infile=1", "--performance-schema=0", "--character-set-server=utf8mb4"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


PASSWORD = "s3cret-of-ods"
USERS = (f"create user ods@'127.0.0.1' identified by '{PASSWORD}';\n"
         "grant all on *.* to ods@'127.0.0.1' with grant option;\n")


def folder_of(flavour):
    return Path(tempfile.mkdtemp(prefix=f"ods-test-{os.getpid()}-{flavour}-"))


def command_of(flavour, folder):
    """A server of what is in this folder."""
    user, data = f"--user={getpass.getuser()}", f"--datadir={folder / 'data'}"
    temporary = f"--tmpdir={folder}"  # a server that starts empties its own of tables
    if flavour == "mariadb":
        return [MARIADB, *LEAN, user, data, temporary]
    home = CACHE / "mysql-8.0.15"
    return [home / "bin/mysqld", *LEAN, f"--basedir={home}", "--mysqlx=OFF",
            "--default-authentication-plugin=mysql_native_password", "--disable-log-bin", user, data, temporary]


@functools.cache
def data_of(flavour):
    """A data directory with the user in it, of which each server has a copy: to make one takes a busy machine
    half a minute."""
    folder = folder_of(flavour)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    data, init = folder / "data", folder / "users.sql"
    init.write_text(USERS)
    if flavour == "mysql":
        subprocess.run([*command_of(flavour, folder), "--initialize-insecure", f"--init-file={init}"],
                       check=True, capture_output=True)
        (data / "auto.cnf").unlink(missing_ok=True)  # the server's name among servers
        return data
    own = [f"--user={getpass.getuser()}", f"--datadir={data}"]
    subprocess.run(["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal",
                    "--skip-test-db", *own], check=True, capture_output=True)
    subprocess.run([MARIADB, "--no-defaults", "--bootstrap", *own], check=True, text=True, capture_output=True,
                   input="use mysql;\nflush privileges;\n" + USERS)
    return data


class Server:
    """A server in a folder of its own, on a free port; its user `ods` may do anything."""

    password = PASSWORD

    def __init__(self, flavour, *options):
        self.flavour, self.options = flavour, list(options)
        self.folder = folder_of(flavour)
        self.port, self.process = free_port(), None
        self.socket = self.folder / "s"
        subprocess.run(["cp", "-a", "--sparse=always", data_of(flavour), self.folder / "data"], check=True)
        self._base = command_of(flavour, self.folder)
        self.start()

    def start(self, *options):
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [*self._base, f"--port={self.port}", f"--socket={self.socket}",
             f"--pid-file={self.folder / 'pid'}", *self.options, *options], stdout=log, stderr=log)
        wait_for(self.answers, 60, what=lambda: (self.folder / "log").read_text()[-3000:])
        return self

    def answers(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()[-3000:]
        try:
            self.connect().close()
            return True
        except pymysql.err.OperationalError:
            return False

    def connect(self, database=None, user="ods", password=None):
        return pymysql.connect(host="127.0.0.1", port=self.port, user=user,
                               password=password or self.password, database=database,
                               charset="utf8mb4", autocommit=True,
                               init_command="set time_zone = '+00:00'")

    def stop(self, hard=False):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
            self.process.wait(60)

    def close(self):
        self.stop(hard=True)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module", params=FLAVOURS)
def server(request):
    """A server of each flavour, for tests that import this fixture."""
    server = Server(request.param)
    yield server
    server.close()


class Database:
    """A database of a test's own."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"drop database if exists `{name}`")
            cursor.execute(f"create database `{name}` character set utf8mb4")
        self._connection = None

    @property
    def dsn(self):
        return (f"host=127.0.0.1 port={self.server.port} user=ods password={self.server.password} "
                f"dbname={self.name}")

    def target(self, **settings):
        return {"name": "ods", "type": "mysql", "dsn": self.dsn, **settings}

    def execute(self, sql, parameters=None):
        if self._connection is None or not self._connection.open:
            self._connection = self.server.connect(self.name)
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall()

    def value(self, sql, parameters=None):
        return self.execute(sql, parameters)[0][0]

    def count(self, table, where="true"):
        return self.value(f"select count(*) from `{table}` where {where}")

    def rows(self, table="items", columns="id, name, amount"):
        return list(self.execute(f"select {columns} from `{table}` order by 1"))

    def offset(self, topic, partition=0):
        found = self.execute("select next_offset from ods_sink_offsets where topic = %s and "
                             "`partition` = %s", (topic, partition))
        return found[0][0] if found else None

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None
