"""MySQL: a database of its own on a server of the tests', reached through a proxy that can be cut."""

from lib.mysql_target import Database

from .target import FATAL, OUTAGE, ROW, Fault, Target

TABLES = ("create table items (id int primary key, name mediumtext, amount smallint, "
          "price decimal(10, 2))", "create table events (n int)",
          "create trigger refuses before insert on items for each row if new.name = 'refused' then "
          "signal sqlstate '45000' set message_text = 'refused'; end if")


class Mysql(Target):
    name = "mysql"
    tables = True
    rights = "on tables, on the sink's own"

    def __init__(self, request):
        super().__init__(request)
        self.server = request.getfixturevalue("mysql_server")
        self.database = Database(self.server, "ods_contract")
        for statement in TABLES:
            self.database.execute(statement)
        self.root("drop user if exists writer@'127.0.0.1'",
                  "create user writer@'127.0.0.1' identified by 'writer'",
                  *(f"grant {rights} on ods_contract.{table} to writer@'127.0.0.1'"
                    for rights, table in (("create, select", "*"), ("all", "items"),
                                          ("all", "events"), ("all", "ods_sink_offsets"))))
        host, port = self.proxied(f"127.0.0.1:{self.server.port}").split(":")
        self.dsn = f"host={host} port={port} user=writer password=writer dbname=ods_contract"
        self._blocker = None

    def root(self, *statements):
        with self.server.connect() as root, root.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def settings(self):
        return {"type": "mysql", "dsn": self.dsn, "lock_timeout_ms": 1000}

    def rows(self):
        return {number: {"id": number, "name": name, "amount": amount} for number, name, amount
                in self.database.rows()}

    def events(self):
        return [number for number, in self.database.execute("select n from events")]

    def twice(self):
        events = self.events()
        return len(events) - len(set(events))

    def _tables(self):
        return [name for name, in self.database.execute("show tables")]

    def marks(self):
        return {(table, number, *row) for table in self._tables()
                for number, row in enumerate(self.database.execute(f"select * from {table}"))}

    def kept(self, marks):
        return {mark for mark in marks if mark[0] != "ods_sink_offsets"} <= self.marks()

    def count(self):
        return self.database.count("events")

    def refused(self):
        return {"name": "refused"}, "1644"

    def lock(self):
        self._blocker = self.server.connect("ods_contract")
        self._blocker.cursor().execute("lock tables items read")

    def unlock(self):
        self._blocker.close()

    def faults(self):
        return [
            Fault("1644", ROW, "1644", row={"id": 5, "name": "refused", "amount": 5}),
            Fault("1264", ROW, "1264", row={"id": 5, "name": "n5", "amount": 2**20}),
            Fault("1205", OUTAGE, "Lock wait timeout", self.lock, self.unlock),
            Fault("1290", OUTAGE, "read-only", lambda: self.root("set global read_only = 1"),
                  lambda: self.root("set global read_only = 0")),
            Fault("1142", FATAL, "INSERT command denied", lambda: self.revoke("insert"),
                  lambda: self.root("grant insert on ods_contract.items to writer@'127.0.0.1'"))]

    def revoke(self, rights):
        self.root(f"revoke {rights} on ods_contract.items from writer@'127.0.0.1'")

    def without_rights(self):
        self.revoke("insert, delete")
        return ["INSERT, DELETE", "items"]

    def close(self):
        super().close()
        self.database.close()
