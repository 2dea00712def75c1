"""The load for MySQL: the same tables and counts of writes as in PostgreSQL, in its words. What only
PostgreSQL's types can refuse is not part of it."""

import pymysql

from lib.mysql_target import Database

from . import bad
from .bad import DECODE, KINDS
from .compare import compare
from .workload import Workload
from .world import LOCK_TIMEOUT_MS, World

COUNTED = {"items": "id int primary key, name varchar(200), amount int, cdc_operation text, "
                    "cdc_timestamp datetime(6)",
           "orders": "region varchar(20), number int, note varchar(40), amount int, "
                     "primary key (region, number)",
           "documents": "id int primary key, title text, body mediumtext, version int"}
TABLES = [
    *(statement for name, columns in COUNTED.items() for statement in (
        f"create table {name} ({columns}, writes int) character set utf8mb4 collate utf8mb4_bin",
        f"create trigger {name}_new before insert on {name} for each row set new.writes = 1",
        f"create trigger {name}_old before update on {name} for each row "
        "set new.writes = coalesce(old.writes, 0) + 1")),
    "create table events (n bigint, text text not null, seq bigint auto_increment unique) "
    "character set utf8mb4",
    "insert into orders (region, number, note, amount) values ('poison', 0, 'taken', 0)",
    "insert into events (n, text) values (%d, '%s')" % bad.TAKEN_EVENT]


class Changes(Workload):
    def __init__(self, *arguments, **settings):
        settings.setdefault("kinds", [kind.name for kind in KINDS.values() if kind.stage == DECODE])
        super().__init__(*arguments, rare=0, **settings)


class MysqlWorld(World):
    workload_class = Changes

    def __init__(self, server, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.server = server

    def prepare(self):
        for topic, partitions in self.workload.topics.items():
            self.kafka.create(topic, partitions)
        self.kafka.create(self.letter_topic, 1)
        self.mysql = Database(self.server, "faults")
        for statement in TABLES:
            self.mysql.execute(statement)
        # One that `read_only` holds back.
        self.mysql.execute("create user if not exists app@'127.0.0.1' identified by 'of-app'")
        self.mysql.execute("grant all on faults.* to app@'127.0.0.1'")
        self.mysql.close()
        self.address = f"127.0.0.1:{self.server.port}"
        if self.proxied:
            self.address = self.toxiproxy.create("mysql", self.address)
            self.hangover.append(lambda: self.toxiproxy.delete("mysql"))

    def target(self, number):
        host, port = self.address.split(":")
        return {"type": "mysql", "dsn": f"host={host} port={port} user=app "
                "password=of-app dbname=faults",
                "lock_timeout_ms": LOCK_TIMEOUT_MS, "idle_in_transaction_timeout_ms": 15_000}

    def query(self, sql):
        return self.mysql.execute(sql)

    def stands(self):
        try:
            return {(topic, partition): offset for topic, partition, offset in self.query(
                "select topic, `partition`, next_offset from ods_sink_offsets "
                f"where consumer_group = '{self.group}'")}
        except pymysql.err.ProgrammingError:  # no record yet: no table
            return {}
        except pymysql.err.Error:
            self.mysql.close()
            return None

    def compare(self, letters):
        return compare(self.workload, self.query, letters, told=True)
