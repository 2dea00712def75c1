"""The program of scripts/maxwell: which says what the options are."""

import argparse
import json
import os
import signal
import sys
import zoneinfo
from collections import Counter
from datetime import datetime, timezone

import pymysql
from pymysqlreplication import BinLogStreamReader

from . import bootstrap
from .java_text import partition_of
from .records import EVENTS, Records
from .tables import Catalog

SERVER_ID = 6379
PARTITIONS = 4  # of what goes to standard output


def stack(name, fallback=""):
    return os.environ.get("ODS_STACK_" + name, fallback)


def arguments():
    parser = argparse.ArgumentParser(prog="maxwell", add_help=False)
    parser.add_argument("--databases", default="app_producer")
    parser.add_argument("--topic", default="raw_orders")
    parser.add_argument("--ddl-topic")
    parser.add_argument("--bootstrap", action="append", default=[])
    parser.add_argument("--from", dest="start")
    parser.add_argument("--time-zone", type=zoneinfo.ZoneInfo)
    parser.add_argument("--to-end", action="store_true")
    parser.add_argument("--no-commit-info", action="store_true")
    parser.add_argument("--stdout", action="store_true")
    parser.add_argument("--host", default=stack("MYSQL_HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=stack("MYSQL_PORT", "3306"))
    parser.add_argument("--user", default=stack("MYSQL_DEBEZIUM_USER", "maxwell"))
    parser.add_argument("--kafka", default=stack("KAFKA_BOOTSTRAP", "127.0.0.1:9092"))
    return parser.parse_args()


class Lines:
    """Standard output, with the partitions and offsets that four partitions would give."""

    def __init__(self):
        self.offsets = Counter()

    def send(self, record, partition=None):
        if partition is None:
            partition = partition_of(record.partition_by, PARTITIONS)
        place = record.topic, partition
        print(json.dumps({"topic": record.topic, "partition": partition,
                          "offset": self.offsets[place], "key": record.key,
                          "payload": record.value}, ensure_ascii=False), flush=True)
        self.offsets[place] += 1

    def flush(self):
        pass


class Topics:
    """Kafka: records of a key in the partition that Maxwell's own hash gives, in their order."""

    def __init__(self, bootstrap_servers):
        from confluent_kafka import Producer
        self.producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 2,
                                  "enable.idempotence": True, "message.timeout.ms": 0})
        self.partitions, self.failed = {}, None

    def send(self, record, partition=None):
        if partition is None:
            partition = partition_of(record.partition_by, self._partitions_of(record.topic))
        while True:
            try:
                self.producer.produce(record.topic, record.value.encode(), record.key.encode(),
                                      partition=partition, on_delivery=self._delivered)
                break
            except BufferError:
                self.producer.poll(0.1)
        self.producer.poll(0)
        if self.failed:
            sys.exit(f"maxwell: {self.failed}")

    def flush(self):
        self.producer.flush()
        if self.failed:
            sys.exit(f"maxwell: {self.failed}")

    def _partitions_of(self, topic):
        if topic not in self.partitions:
            found = self.producer.list_topics(topic, timeout=30).topics[topic]
            if found.error or not found.partitions:
                sys.exit(f"maxwell: topic {topic}: {found.error or 'no partitions'}")
            self.partitions[topic] = len(found.partitions)
        return self.partitions[topic]

    def _delivered(self, error, message):
        if error:
            self.failed = f"a record for {message.topic()} was not taken: {error}"


class Server:
    def __init__(self, told):
        self.settings = {"host": told.host, "port": told.port, "user": told.user,
                         "password": os.environ.get("ODS_MAXWELL_PASSWORD",
                                                  stack("MYSQL_DEBEZIUM_PASSWORD"))}
        self.connection = pymysql.connect(charset="utf8mb4", autocommit=True, **self.settings)
        # The offset of now, where a zone has several.
        offset = f"{datetime.now(told.time_zone or timezone.utc):%z}"
        self.raw = pymysql.connect(
            charset="utf8mb4", autocommit=True, conv={}, **self.settings,
            init_command=f"set time_zone = '{offset[:3]}:{offset[3:5]}'")

    def ask(self, sql, *values, connection=None):
        with (connection or self.connection).cursor() as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetchall()

    def select(self, sql):
        return self.ask(sql, connection=self.raw)

    def position(self, told):
        if told:
            name, _, place = told.rpartition(":")
            return name, int(place)
        (name, place, *_), = self.ask("show master status")
        return name, place

    def events(self, position, to_end):
        # Only what would hold up the reader's own start is logged, and it starts here.
        reader = BinLogStreamReader(
            connection_settings=dict(self.settings, charset="utf8mb4"), server_id=SERVER_ID,
            resume_stream=True, blocking=not to_end, only_events=EVENTS, log_file=position[0],
            log_pos=position[1], enable_logging=False)
        try:
            yield from reader
        finally:
            reader.close()


def run(told):
    server = Server(told)
    position = server.position(told.start)
    catalog = Catalog(server.ask)
    out = Lines() if told.stdout else Topics(told.kafka)
    databases = told.databases.split(",")
    records = Records(databases, told.topic, told.ddl_topic, catalog, told.time_zone,
                      not told.no_commit_info)
    if told.ddl_topic and not told.start:
        for database in databases:
            catalog.learn(database)
    sent = 0
    try:
        for name in told.bootstrap:
            definition = catalog.read(*name.split(".", 1))
            if not definition:
                sys.exit(f"maxwell: there is no table {name}")
            for record in bootstrap.records_of(records, definition, server.select):
                out.send(record)
                sent += 1
        out.flush()
        print(f"maxwell: reads {position[0]}:{position[1]}", file=sys.stderr, flush=True)
        for event in server.events(position, told.to_end):
            for record in records.of(event):
                out.send(record, 0 if record.topic == told.ddl_topic else None)
                sent += 1
    except KeyboardInterrupt:
        pass
    out.flush()
    print(f"maxwell: {sent} records", file=sys.stderr, flush=True)


def interrupt(*_):
    raise KeyboardInterrupt


signal.signal(signal.SIGTERM, interrupt)
try:
    run(arguments())
except (pymysql.Error, ValueError) as failed:
    sys.exit(f"maxwell: {failed}")
except BrokenPipeError:
    pass
