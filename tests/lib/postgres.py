"""The target: databases of a test's own, and what stands in them."""

import psycopg2
import psycopg2.extensions

from lib.text import by_text, row_text


class Database:
    """One database of the stack's PostgreSQL. A query opens a connection that stays, and opens it
    again when the server was restarted."""

    def __init__(self, stack, name, owner="POSTGRES"):
        """`owner` names the user, by the stack's settings <owner>_USER and <owner>_PASSWORD."""
        self.stack = stack
        self.name = name
        self.owner = owner
        self._connection = None

    @property
    def dsn(self):
        """For the sink: it substitutes the password itself."""
        stack = self.stack
        return (f"host=127.0.0.1 port={stack['POSTGRES_PORT']} dbname={self.name} "
                f"user={stack[f'{self.owner}_USER']} password=${{ODS_STACK_{self.owner}_PASSWORD}}")

    def connect(self):
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.stack["POSTGRES_PORT"], dbname=self.name,
            user=self.stack[f"{self.owner}_USER"], password=self.stack[f"{self.owner}_PASSWORD"], connect_timeout=5,
            options="-c timezone=UTC")
        connection.autocommit = True
        # json as its text: what is compared is what was written.
        for oid in (114, 3802):
            text = psycopg2.extensions.new_type((oid,), "TEXT", lambda value, cursor: value)
            psycopg2.extensions.register_type(text, connection)
        interval = psycopg2.extensions.new_type((1186,), "INTERVAL", interval_or_text)
        psycopg2.extensions.register_type(interval, connection)
        return connection

    def execute(self, sql, *parameters):
        """Rows of one statement; None when it has none."""
        if self._connection is None or self._connection.closed:
            self._connection = self.connect()
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return cursor.fetchall() if cursor.description else None
        except psycopg2.OperationalError:
            self.close()
            raise

    def value(self, sql, *parameters):
        return self.execute(sql, *parameters)[0][0]

    def end_sessions(self, which="true"):
        """Of the same user, so not those of PostgreSQL's own workers (autovacuum), which only a
        superuser may end."""
        self.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {which} and "
                     "datname = current_database() and usename = current_user and "
                     "pid <> pg_backend_pid()")

    def exists(self, table):
        return self.value("select to_regclass(%s) is not null", table)

    def count(self, table, where="true"):
        """Rows, or -1 while there is no such table."""
        if not self.exists(table):
            return -1
        return self.value(f"select count(*) from {table} where {where}")

    def columns(self, table):
        """Name and type in order, as psql shows them."""
        return dict(self.execute(
            "select attname::text, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum",
            table))

    def rows(self, table, columns=None, where="true"):
        """The rows' texts, sorted."""
        types = self.columns(table)
        columns = [name for name in columns or types]
        names = ", ".join(quote(name) for name in columns)
        bits = {name for name in columns if types[name].startswith("bit")}
        found = self.execute(f"select {names} from {table} where {where}")
        return by_text(row_text(columns, row, bits) for row in found)

    def state(self):
        """Everything that a write would change: each row with its place and its transaction."""
        tables = self.execute(
            "select format('%I.%I', schemaname, tablename) from pg_tables "
            "where schemaname not in ('pg_catalog', 'information_schema') order by 1")
        return {table: self.execute(f"select ctid::text, xmin::text, t::text from {table} t "
                                    "order by 1") for table, in tables}

    def offsets(self):
        """The stored offsets: (group, topic, partition) -> offset."""
        if not self.exists("ods_sink.offsets"):
            return {}
        return {tuple(row[:3]): row[3] for row in self.execute(
            "select consumer_group, topic, partition, next_offset from ods_sink.offsets")}

    def delivered(self):
        """How many records of queues it knows when they are delivered again."""
        return self.value("select count(*) filter (where bits is null) + coalesce(sum(length(replace("
                          "bits::text, '0', ''))), 0) from ods_sink.delivered")

    def close(self):
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def interval_or_text(value, cursor):
    """Python's timedelta where it can hold the interval (no months in it)."""
    if value is None or any(word in value for word in ("mon", "year", "inf")):
        return value
    return psycopg2.extensions.PYINTERVAL(value, cursor)


def quote(name):
    return '"' + name.replace('"', '""') + '"'


def administer(stack, sql, database="postgres"):
    """As superuser, over the socket. The rows, where it answers with some."""
    connection = psycopg2.connect(host=stack["POSTGRES_SOCKET_DIR"], port=stack["POSTGRES_PORT"],
                                  user="postgres", dbname=database)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else None
    finally:
        connection.close()


def create_database(stack, name):
    administer(stack, f"create database {name} owner ods")
    return Database(stack, name)


def drop_database(stack, name):
    administer(stack, f"drop database if exists {name} with (force)")
