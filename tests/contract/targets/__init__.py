"""The targets of the contract suite: a new one is a class in a file of its own, and stands in this list."""

from .delta import Delta
from .file import File
from .http import Http
from .iceberg import Iceberg
from .kafka import Elsewhere, Kafka
from .kafka_avro import Avro
from .mysql import Mariadb, Mysql
from .postgres import Postgres
from .stdout import Stdout

ALL = (Postgres, Mysql, Mariadb, Kafka, Elsewhere, Avro, File, Delta, Iceberg, Http, Stdout)
TARGETS = {target.name: target for target in ALL}
