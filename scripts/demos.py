"""What the programs of the demos share: servers by the stack's settings in the environment, waiting for
conditions, and processes whose output goes into a file."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg2
import pymysql

PATIENCE_S = 120


def setting(name):
    return os.environ["ODS_STACK_" + name]


def fail(why):
    sys.exit(f"{Path(sys.argv[0]).name}: {why}")


def mysql(database, **settings):
    """As the application's user, or as the settings say."""
    if not settings:
        settings = {"host": "127.0.0.1", "port": int(setting("MYSQL_PORT")), "user": "app_user",
                    "password": setting("MYSQL_PASSWORD"), "database": database}
    return pymysql.connect(charset="utf8mb4", autocommit=True,
                           init_command="set time_zone = '+00:00'", **settings)


def postgres(**where):
    """The ODS, or as the settings say."""
    connection = psycopg2.connect(**where or {"dsn": setting("POSTGRES_URL")}, options="-c timezone=UTC")
    connection.autocommit = True
    return connection


def ask(connection, sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []


def await_that(condition, what, patience_s=PATIENCE_S):
    """what: a text, or a function that is called when the time is over."""
    until = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > until:
            fail(f"waited {patience_s} s for {what() if callable(what) else what}")
        time.sleep(0.2)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Program:
    """A process whose output goes into a file."""

    def __init__(self, path, *command, env=None):
        self.path, self.command, self.env, self.process = path, command, env, None

    def start(self):
        with open(self.path, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True, env=self.env)
        return self

    def alive(self):
        if self.process.poll() is not None:
            fail(f"{self.path.name}: {self.path.read_text()[-2000:]}")
        return True

    def await_line(self, text):
        def seen():
            if self.process.poll() not in (None, 0):
                fail(self.path.read_text()[-2000:])
            return text in self.path.read_text()

        await_that(seen, f"{self.path.name}: {text}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
