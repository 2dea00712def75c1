"""The targets of the contract suite: a new one is a class in a file of its own, and stands in this list."""

from .file import File
from .http import Http
from .postgres import Postgres
from .stdout import Stdout

TARGETS = {target.name: target for target in (Postgres, File, Http, Stdout)}
