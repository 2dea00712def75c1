"""MySQL and MariaDB: a database of its own on a server of the suite's, through a proxy that can be cut."""

from lib.mysql_target import Database

from .target import FATAL, OUTAGE, ROW, Fault, Target

TABLES = ["create table items (id int primary key, name mediumtext, amount smallint, "
          "price decimal(10, 2))",
          "create table events (n int, place int auto_increment, index (place))",
          "create trigger refuse before insert on items for each row if new.name = 'refused' then "
          "signal sqlstate '45000' set message_text = 'a rule of the business'; end if"]


class Mysql(Target):
    name = flavour = "mysql"
    tables = True
    rights = "on tables"

    def __init__(self, request):
        super().__init__(request)
        self.server = request.getfixturevalue("servers")(self.flavour)
        self.database = Database(self.server, "contract")
        for statement in TABLES:
            self.database.execute(statement)
        self.administer("create user if not exists app@'127.0.0.1' identified by 'of-app'",
                        "grant all on contract.* to app@'127.0.0.1'")
        host, port = self.proxied(f"127.0.0.1:{self.server.port}").split(":")
        self.dsn = f"host={host} port={port} user=app password=of-app dbname=contract"

    def administer(self, *statements):
        for statement in statements:
            self.database.execute(statement)

    def settings(self):
        return {"type": "mysql", "dsn": self.dsn, "lock_timeout_ms": 1000}

    def rows(self):
        return {number: {"id": number, "name": name, "amount": amount} for number, name, amount
                in self.database.execute("select id, name, amount from items")}

    def events(self):
        return [number for number, in self.database.execute("select n from events")]

    def twice(self):
        events = self.events()
        return len(events) - len(set(events))

    def marks(self):
        """An event that is written once more has another place; offsets have their time."""
        tables = {"items": "id, name, amount", "events": "n, place"}
        tables |= {name: "*" for name, in self.database.execute("show tables like 'ods_sink%%'")}
        return {(table, str(row)) for table, columns in tables.items()
                for row in self.database.execute(f"select {columns} from {table}")}

    def kept(self, marks):
        return {mark for mark in marks if mark[0] in ("items", "events")} <= self.marks()

    def count(self):
        return self.database.count("events")

    def refused(self):
        return {"name": "refused"}, "1644"

    def faults(self):
        blocker = Blocker(self.server)
        return [
            Fault("1644", ROW, "1644", row={"id": 5, "name": "refused", "amount": 5}),
            Fault("a value that does not fit", ROW, "amount",
                  row={"id": 5, "name": "n5", "amount": 2**20}),
            Fault("1205", OUTAGE, "Lock wait timeout", blocker.lock, blocker.close),
            Fault("1290", OUTAGE, "read-only", lambda: self.administer("set global read_only = 1"),
                  lambda: self.administer("set global read_only = 0")),
            Fault("1142", FATAL, "INSERT command denied", lambda: self.only("select, update, delete"),
                  lambda: self.only("all"))]

    def only(self, rights):
        """On items alone: those on the whole database are taken away."""
        grants = ["grant all on contract.* to app@'127.0.0.1'"] if rights == "all" else [
            f"grant {rights if table == 'items' else 'all'} on contract.{table} to app@'127.0.0.1'"
            for table, in self.database.execute("show tables")]
        self.administer("revoke all privileges, grant option from app@'127.0.0.1'", *grants)

    def without_rights(self):
        self.replay([])  # the sink's own table is made
        self.only("select, update")
        return ["INSERT, DELETE", "items"]

    def close(self):
        self.only("all")
        self.database.execute("drop database contract")
        self.database.close()
        super().close()


class Mariadb(Mysql):
    name = flavour = "mariadb"


class Blocker:
    """Another session that holds the rows, and the gaps between them."""

    def __init__(self, server):
        self.server, self.connection = server, None

    def lock(self):
        self.connection = self.server.connect("contract")
        self.connection.autocommit(False)
        with self.connection.cursor() as cursor:
            cursor.execute("select * from items for update")

    def close(self):
        self.connection.close()
