"""Apache Iceberg: tables in a folder with their catalog beside them, read by PyIceberg."""

from lib.lake import Missing

from .delta import Delta
from .target import FATAL, OUTAGE, ROW, Fault


class Iceberg(Delta):
    name = "iceberg"

    def settings(self):
        return {**super().settings(), "type": "iceberg"}

    def read(self, name, columns):
        try:
            rows = self.reader.rows(self.table(name), columns, "pyiceberg")
        except Missing:
            return []
        return [tuple(row[column] for column in columns.split(", ")) for row in rows]

    def version(self, name):
        return self.reader.ask("iceberg_described", self.table(name))["version"]

    def faults(self):
        return [Fault("a value that can't be read", ROW, "price", row={
                    "id": 5, "name": "n5", "amount": 5, "price": "?"}),
                Fault("the storage is away", OUTAGE, "target ods", self.cut, self.heal),
                Fault("the table's metadata are damaged", FATAL, "_ods_sink", self.damage, self.put_back)]

    def damage(self):
        newest = sorted((self.control / "metadata").glob("*.metadata.json"))[-1]
        self._log = newest, newest.read_bytes()
        newest.write_bytes(b'{"format-version":')
