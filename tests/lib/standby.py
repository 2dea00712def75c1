"""PostgreSQL servers of a test's own, that may die: a primary, its streaming standby, and what a loss of
power leaves of one."""

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import psycopg2

from lib.postgres import Database
from lib.sink import free_port
from lib.waiting import wait_for

PASSWORD = "ods-of-standby"
SETTINGS = """
wal_level = replica
max_connections = 60
max_wal_senders = 5
shared_buffers = 64MB
wal_receiver_status_interval = 1s
wal_retrieve_retry_interval = 200ms
listen_addresses = '127.0.0.1'
"""


def as_owner():
    """PostgreSQL does not run as root."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] \
        if os.getuid() == 0 else []


def run(*command):
    done = subprocess.run([*as_owner(), *map(str, command)], capture_output=True, text=True, cwd="/",
                          env={**os.environ, "HOME": "/"})
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"


class Server:
    """One server. `options`: more lines of its configuration."""

    def __init__(self, programs, options="", origin=None, folder=None):
        """origin: another one, whose standby it is to be. folder: where its data shall be, empty."""
        self.programs, self.process, self.port = Path(programs), None, free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="ods-standby-"))
        self.data = Path(folder or self.folder) / "data"
        for path in {self.folder, self.data.parent}:
            path.chmod(0o755)
            if as_owner():
                shutil.chown(path, "postgres", "postgres")
        if origin:
            run(self.programs / "pg_basebackup", "-D", self.data, "-R", "-X", "stream", "-c", "fast",
                "--no-sync", "-d", f"host={origin.folder} port={origin.port} user=postgres "
                f"application_name=standby")
        else:
            run(self.programs / "initdb", "-D", self.data, "-U", "postgres", "-E", "UTF8",
                "--locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync")
            with open(self.data / "postgresql.conf", "a") as conf:
                conf.write(SETTINGS + options)
        self.start()
        if not origin:
            self.execute(f"create role ods login password '{PASSWORD}'")

    def start(self):
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [*as_owner(), str(self.programs / "postgres"), "-D", str(self.data), "-p", str(self.port),
             "-c", f"unix_socket_directories={self.folder}"], stdout=self.log,
            stderr=subprocess.STDOUT, cwd="/")
        try:
            wait_for(self._answers, 60, f"PostgreSQL in {self.folder}", interval_s=0.05)
        except BaseException:
            self.kill()
            raise
        return self

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()[-3000:]
        with suppress(psycopg2.OperationalError):
            self.connect().close()
            return True
        return False

    def connect(self, database="postgres"):
        """As superuser."""
        connection = psycopg2.connect(host=str(self.folder), port=self.port, user="postgres",
                                      dbname=database)
        connection.autocommit = True
        return connection

    def execute(self, sql, *parameters, database="postgres"):
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    def kill(self):
        """All of it at once, as far as processes go: no checkpoint, no farewell."""
        if self.process and self.process.poll() is None:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
            self.process.kill()
            self.process.wait()
            for child in children.split():
                with suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGKILL)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)

    def close(self):
        self.kill()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Pair:
    """A primary and its streaming standby, with one database; and a failover."""

    def __init__(self, programs, synchronous, options=""):
        self.primary = Server(programs, options)
        self.standby = None
        try:
            self.primary.execute("create database ods owner ods")
            self.standby = Server(programs, origin=self.primary)
            if synchronous:
                self.primary.execute("alter system set synchronous_standby_names = 'standby'")
                self.primary.execute("select pg_reload_conf()")
            state = "sync" if synchronous else "async"
            wait_for(lambda: self.primary.execute("select sync_state from pg_stat_replication")
                     == [(state,)], 30, f"the standby is {state}")
        except BaseException:
            self.close()
            raise
        self.serving = self.primary

    @property
    def servers(self):
        return [server for server in (self.primary, self.standby) if server]

    @property
    def dsn(self):
        return self.dsn_of(self.servers)

    @staticmethod
    def dsn_of(servers):
        """As a user would name them."""
        hosts = ",".join("127.0.0.1" for _ in servers)
        ports = ",".join(str(server.port) for server in servers)
        return (f"host={hosts} port={ports} dbname=ods user=ods password={PASSWORD} "
                "target_session_attrs=read-write")

    def cut(self):
        """What the primary commits from now on does not come to the standby."""
        self.standby.execute("alter system set primary_conninfo = ''")
        self.standby.execute("select pg_reload_conf()")
        wait_for(lambda: not self.primary.execute("select 1 from pg_stat_replication"), 30,
                 "the standby hears nothing")

    def fail_over(self):
        """The primary dies, the standby takes over."""
        self.primary.kill()
        self.standby.execute("select pg_promote()")
        self.serving = self.standby

    def close(self):
        for server in self.servers:
            server.close()


class Reachable(Database):
    """The database of a pair, at whichever server is in charge."""

    def __init__(self, pair):
        self.pair, self.name, self._connection, self._at = pair, "ods", None, None

    @property
    def dsn(self):
        return self.pair.dsn

    def connect(self):
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.pair.serving.port, dbname=self.name, user="ods",
            password=PASSWORD, connect_timeout=5, options="-c timezone=UTC")
        connection.autocommit = True
        return connection

    def execute(self, sql, *parameters):
        if self._at is not self.pair.serving:
            self.close()
            self._at = self.pair.serving
        return super().execute(sql, *parameters)


class Disk:
    """A file system in a file, in memory, of which a picture can be taken in one moment. OSError: this
    machine lets nobody mount one."""

    def __init__(self, megabytes=700):
        self.folder = Path(tempfile.mkdtemp(prefix="ods-disk-", dir="/dev/shm"))
        self.folder.chmod(0o755)
        self.place = self.folder / "mounted"
        self.place.mkdir()
        self._image(self.folder / "image", megabytes)
        self._mount(self.folder / "image")

    def _image(self, image, megabytes):
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        self._do("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", image)

    def _mount(self, image):
        self._do("mount", "-o", "loop", image, self.place)

    @staticmethod
    def _do(*command):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"{command[0]}: {done.stderr}")

    def picture(self):
        """What stands on it now, all of one moment: what a disk would show whose power failed now, or
        one that lied about all that was written since."""
        self._do("fsfreeze", "-f", self.place)
        try:
            self._do("cp", "--sparse=always", self.folder / "image", self.folder / "picture")
        finally:
            self._do("fsfreeze", "-u", self.place)

    def back_to_picture(self):
        wait_for(self._unmounted, 60, "nobody is in the file system any more", interval_s=0.1)
        self._mount(self.folder / "picture")

    def _unmounted(self):
        return not subprocess.run(["umount", str(self.place)], capture_output=True).returncode

    def close(self):
        subprocess.run(["umount", "-l", str(self.place)], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)
