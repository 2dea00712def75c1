"""The same load and faults for Debezium's JDBC sink in Kafka Connect, as well set up as it can be: it
reopens broken connections, tries failed flushes again, and puts what it cannot convert into a
dead-letter topic. Restarting a task that has given up is what an operator would do; it is counted.

Its tables with a key are upserted by one connector; the table without a key is filled by another,
which inserts. What it has done is known by the offsets that it commits to Kafka.
"""

import json
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

from lib.connect import Connect
from lib.waiting import wait_for

from .faults import FAULTS, Fault
from .world import KAFKA, Stuck, World

PATIENCE_S = 600
RESTARTS = 5  # of a task that fails again without getting any further


class JdbcWorld(World):
    letters_tell = False

    def prepare(self):
        super().prepare()
        self.stack.up("connect")
        self.connect = Connect(self.stack["CONNECT_URL"])
        self.connectors = {f"{self.prefix}-keyed": ["items", "orders", "documents"],
                           f"{self.prefix}-append": ["events"]}
        self.causes, self.reader, self.failures = [], {}, 0
        self._failed_at = None

    def config(self, tables):
        keyed = tables != ["events"]
        converter = "org.apache.kafka.connect.json.JsonConverter"
        stack = self.stack
        return {
            "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "tasks.max": "1",
            "topics": ",".join(f"{self.prefix}.shop.{table}" for table in tables),
            "connection.url": f"jdbc:postgresql://127.0.0.1:{stack['POSTGRES_PORT']}"
                              f"/{self.database.name}",
            "connection.username": stack["POSTGRES_USER"],
            "connection.password": stack["POSTGRES_PASSWORD"],
            "connection.restart.on.errors": "true",
            "insert.mode": "upsert" if keyed else "insert",
            "delete.enabled": "true" if keyed else "false",
            "primary.key.mode": "record_key" if keyed else "none",
            "schema.evolution": "none", "collection.name.format": "${source.table}",
            "key.converter": converter, "value.converter": converter,
            "value.converter.replace.null.with.default": "false",
            # The default one dies of the key in a key change's header.
            "header.converter": "org.apache.kafka.connect.storage.StringConverter",
            "errors.tolerance": "all", "errors.deadletterqueue.topic.name": self.letter_topic,
            "errors.deadletterqueue.topic.replication.factor": "1",
            "errors.deadletterqueue.context.headers.enable": "true",
            "consumer.override.auto.offset.reset": "earliest",
            # A killed worker's partitions are given away as soon as ours.
            "consumer.override.session.timeout.ms": KAFKA["session.timeout.ms"],
            "consumer.override.heartbeat.interval.ms": KAFKA["heartbeat.interval.ms"],
        }

    def start(self, number=0, env=None):
        for name, tables in self.connectors.items():
            wait_for(lambda: self.connect.try_call(
                "PUT", f"/connectors/{name}/config", self.config(tables)), 120, "a connector")

    def stands(self):
        found = {}
        for name, tables in self.connectors.items():
            if name not in self.reader:
                self.reader[name] = Consumer({"bootstrap.servers": self.kafka.bootstrap,
                                              "group.id": f"connect-{name}"})
            places = [TopicPartition(topic, partition)
                      for topic, count in self.workload.topics.items()
                      if topic.rsplit(".", 1)[1] in tables for partition in range(count)]
            try:
                for place in self.reader[name].committed(places, timeout=20):
                    found[place.topic, place.partition] = max(place.offset, 0)
            except KafkaException:  # the broker is away
                return None
        return found

    def await_that(self, condition, what, timeout_s=None):
        def asked():
            self.mend()
            return condition()

        return wait_for(asked, PATIENCE_S, lambda: f"{what}: {self.describe()}", interval_s=0.2)

    def describe(self):
        return f"{self.applied()} applied of {self.load.acknowledged}; {self.causes[-1:]}"

    def mend(self):
        """Restart what has failed, as an operator would."""
        for name in self.connectors:
            state = self.connect.try_call("GET", f"/connectors/{name}/status")
            for task in (state or {}).get("tasks", []):
                if task["state"] != "FAILED":
                    continue
                trace = task.get("trace", "").splitlines()
                causes = [line for line in trace if "aused by" in line] or trace[:1]
                self.causes.append(causes[-1][:300])
                stands = self.applied()
                self.failures = self.failures + 1 if stands == self._failed_at else 1
                self._failed_at = stands
                if self.failures > RESTARTS:
                    raise Stuck(self.causes[-1])
                self.counted["restarts"] = self.counted.get("restarts", 0) + 1
                self.connect.try_call("POST", f"/connectors/{name}/tasks/{task['id']}/restart")
                time.sleep(2)

    def strike(self):
        """Its offsets are committed once a second: what they say is what a crash would repeat."""
        self.load.burst()
        time.sleep(0.3)
        self.in_flight.append(max(self.load.acknowledged - (self.applied() or 0), 0))

    def stop(self, number):
        pass

    def close(self):
        self.load.give_up()
        self.undo_all()
        for name in getattr(self, "connectors", {}):
            self.connect.try_call("DELETE", f"/connectors/{name}")
        for reader in getattr(self, "reader", {}).values():
            reader.close()
        self.observer.close()


def kill_worker(world, choose):
    world.strike()
    time.sleep(choose.random() * 0.5)
    world.kill_server("connect")
    world.start_server("connect")


def nothing(world, choose):
    world.strike()
    time.sleep(10)


def same(name, whole):
    fault = FAULTS[name]
    return Fault(name, fault.text, fault.inject, whole)


# What applies to both; unavailable values and bad records only where they are the matter.
PEER_FAULTS = {fault.name: fault for fault in (
    Fault("kill_daemon", "`kill -9` of the Connect worker", kill_worker, 5),
    same("terminate_backend", 5),
    same("deadlock", 3),
    same("postgres_restart", 3),
    same("broker_restart", 2),
    Fault("toast", "unchanged TOAST values, no fault", nothing, 1),
    Fault("poison", "records that can't be applied (1 in 20)", nothing, 1),
)}
# Bad records that any sink may be sent.
KINDS = ("cut_short", "integer_range", "length", "check", "not_null")
SETTINGS = {"toast": {"unavailable": True}, "poison": {"poison": 20, "kinds": KINDS}}


def world_for(fault, *arguments, **more):
    settings = {"poison": 0, "unavailable": False, "soft": False, "rare": 0,
                "proxied": False, "rate": 150}
    return JdbcWorld(*arguments, **{**settings, **SETTINGS.get(fault.name, {}), **more})


