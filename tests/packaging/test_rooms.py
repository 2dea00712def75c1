"""Who includes whom: the arrows between rooms are those listed here, and none runs from a lower floor
to a higher one. A foreign library has the rooms that may speak it."""

import re

import pytest
from conftest import ROOT

# Room -> rooms whose headers it may include, from the ground up; its own needs no word. include/ods
# is on the ground and open to all.
ARROWS = {
    "ods": [],
    "core": [],
    "settings": ["core"],  # config/settings*: the structs, without what reads files
    "config": ["core", "settings"],
    "http": [],
    "format": ["core", "settings"],
    "format/avro": ["core", "format"],
    "format/protobuf": ["core"],
    "format/schema_registry": ["core", "http"],
    "format/debezium": ["core", "settings", "format", "format/avro", "format/protobuf",
                        "format/schema_registry"],
    "format/maxwell": ["core", "settings", "format"],
    "format/json": ["core"],
    "format/auto": ["core"],
    "transform": ["core"],
    "source": [],
    "source/file": ["core"],
    "source/lines": [],
    "source/kafka": ["core", "settings", "http"],
    "source/amqp": ["core", "settings"],
    "sink": ["core", "settings"],
    "sink/file": [],
    "sink/http": ["core", "sink", "transform"],
    "sink/kafka": ["core", "settings", "format/avro", "format/schema_registry", "source/kafka",
                   "sink"],
    "sink/stdout": [],
    "sink/rows": [],
    "sink/postgres/wire": ["core", "sql"],
    "sink/postgres/control": ["sql", "sink/postgres/wire"],
    "sink/postgres/tables": ["core", "settings", "sql", "sink", "sink/postgres/wire"],
    "sink/postgres/values": ["core", "sink", "sink/postgres/tables"],
    "sink/postgres/fold": ["core", "sql", "sink/rows", "sink/postgres/wire",
                           "sink/postgres/tables", "sink/postgres/values"],
    "sink/postgres/write": ["sql", "sink/rows", "sink/postgres/wire", "sink/postgres/control",
                            "sink/postgres/tables", "sink/postgres/values", "sink/postgres/fold"],
    "sink/postgres/outbox": ["core", "settings", "sql", "sink/postgres/wire",
                             "sink/postgres/tables"],
    "sink/postgres/letters": ["settings", "sql", "sink/postgres/wire", "sink/postgres/tables"],
    "source/outbox": ["core", "settings", "sink/postgres/outbox"],
    "sink/postgres": ["sql", "sink/postgres/wire", "sink/postgres/control", "sink/postgres/tables",
                      "sink/postgres/write"],
    "sink/postgres/read": ["core", "sql", "sink/postgres/wire", "sink/postgres/tables",
                           "sink/postgres/values", "sink/postgres/fold", "sink/postgres/write"],
    "sink/mysql/wire": ["core", "sql"],
    "sink/mysql/tables": ["core", "sql", "sink", "sink/rows", "sink/mysql/wire"],
    "sink/mysql/values": ["core", "sink", "sink/mysql/tables"],
    "sink/mysql/fold": ["core", "sink/rows", "sink/mysql/wire", "sink/mysql/tables",
                        "sink/mysql/values"],
    "sink/mysql/write": ["core", "sql", "sink/rows", "sink/mysql/wire", "sink/mysql/fold"],
    "sink/mysql": ["sink/mysql/write"],
    "sink/lake": ["core", "settings", "sink", "sink/rows", "sink/mysql/values"],
    "source/lake": ["core", "settings", "sink/lake"],
    "verify": ["core", "settings", "sql", "source/kafka", "sink/mysql/wire", "sink/postgres/wire",
               "sink/postgres/tables", "sink/postgres/values", "sink/lake"],
    "derived": ["core", "sql", "sink/postgres/wire"],
    "quality": ["core", "settings", "sql", "transform", "source/kafka", "sink/postgres/wire",
                "sink/postgres/tables", "verify"],
    "connect": ["core", "settings", "http"],
    "pipeline": ["core", "settings", "http", "connect", "source/kafka", "source/amqp", "sink/postgres/tables",
                 "sink/postgres/letters", "verify", "derived", "quality", "page"],
    "xml": [],
    "cli": ["core", "config", "http", "connect", "xml", "source/file", "source/kafka", "sink/postgres/read",
            "sink/postgres/letters", "sink/postgres/tables", "sink/lake", "verify", "derived", "quality",
            "pipeline"],
    "main": ["cli"],
}

LIBRARIES = {
    "librdkafka/rdkafka.h": ["source/kafka"],
    "libpq-fe.h": ["sink/mysql/wire", "sink/postgres/wire", "sink/postgres/values",
                   "sink/postgres/fold", "verify", "derived", "quality"],
    "mariadb/mysql.h": ["sink/mysql/wire", "sink/mysql/tables", "sink/mysql/write", "verify"],
    "yyjson.h": ["core", "format", "format/avro", "format/schema_registry", "format/debezium",
                 "transform", "source/kafka", "sink/postgres/values",
                 "sink/postgres/fold", "sink/mysql/values", "sink/mysql/fold", "verify"],
    "jansson.h": ["config", "sink", "sink/file", "sink/http", "sink/lake", "verify",
                  "derived", "quality", "connect", "pipeline", "cli"],
    "google/protobuf/compiler/parser.h": ["format/protobuf"],
    "google/protobuf/descriptor.h": ["format/protobuf"],
    "google/protobuf/descriptor.pb.h": ["format/protobuf"],
    "google/protobuf/message.h": ["format/protobuf"],
    "google/protobuf/io/coded_stream.h": ["format/protobuf"],
    "google/protobuf/io/tokenizer.h": ["format/protobuf"],
    "google/protobuf/io/zero_copy_stream_impl_lite.h": ["format/protobuf"],
    "google/protobuf/unknown_field_set.h": ["format/protobuf"],
    "libconfig.h": ["config"],
    "yaml.h": ["config"],
    "microhttpd.h": ["pipeline"],
    "gnutls/gnutls.h": ["pipeline"],
    "gnutls/x509.h": ["pipeline"],
    "curl/curl.h": ["http", "sink/http"],
    "openssl/hmac.h": ["sink/http", "source/amqp"],
    "proton/condition.h": ["source/amqp"],
    "proton/connection.h": ["source/amqp"],
    "proton/connection_driver.h": ["source/amqp"],
    "proton/delivery.h": ["source/amqp"],
    "proton/disposition.h": ["source/amqp"],
    "proton/link.h": ["source/amqp"],
    "proton/sasl.h": ["source/amqp"],
    "proton/sasl_plugin.h": ["source/amqp"],
    "proton/session.h": ["source/amqp"],
    "proton/ssl.h": ["source/amqp"],
    "proton/terminus.h": ["source/amqp"],
    "proton/transport.h": ["source/amqp"],
    "expat.h": ["xml"],
    "zlib.h": ["sink/file"],
    "zstd.h": ["sink/file"],
    "lua.h": ["transform"],
    "lualib.h": ["transform"],
    "lauxlib.h": ["transform"],
    "openssl/params.h": ["transform"],
    "openssl/core_names.h": ["transform"],
    "openssl/md5.h": ["format"],
    "openssl/sha.h": ["core", "sink/file", "sink/postgres/fold", "pipeline"],
    "openssl/crypto.h": ["core", "source/amqp", "pipeline", "cli"],
    "openssl/err.h": ["core"],
    "openssl/evp.h": ["core", "source/amqp", "sink/http", "transform"],
    "openssl/pem.h": ["core"],
    "openssl/rand.h": ["core", "source/amqp", "sink/lake"],
    "openssl/rsa.h": ["core"],
    "openssl/x509.h": ["core"],
}

# What is not so yet, and why: "file > header". Each goes with the move that its reason names.
EXCEPTIONS = {}

def sources():
    """Path below src/, or ods/…: text."""
    for root in (ROOT / "src", ROOT / "include"):
        for path in sorted([*root.rglob("*.[ch]"), *root.rglob("*.cc")]):
            yield path.relative_to(root).as_posix(), path.read_text()


def room(path):
    """The longest listed folder that it stands in."""
    if re.fullmatch(r"config/settings(_registry)?\.[ch]", path):
        return "settings"
    if path == "main.c":
        return "main"
    folder = path.rpartition("/")[0]
    while folder not in ARROWS and "/" in folder:
        folder = folder.rpartition("/")[0]
    return folder


def included(text, quotes):
    pattern = {'"': r'^\s*#\s*include\s*"([^"]+)"', "<": r"^\s*#\s*include\s*<([^>]+)>"}[quotes]
    return re.findall(pattern, text, re.MULTILINE)


def arrows():
    """(file, header) of all that cross from one room to another."""
    for path, text in sources():
        public = [header for header in included(text, "<") if header.startswith("ods/")]
        for header in included(text, '"') + public:
            if room(header) != room(path):
                yield path, header


def test_every_file_is_in_a_room():
    assert {room(path) for path, _ in sources()} == set(ARROWS)


def test_arrows_are_those_allowed():
    found = {f"{path} > {header}" for path, header in arrows()
             if room(header) not in ["ods", *ARROWS[room(path)]]}
    assert found == set(EXCEPTIONS)


def test_no_arrow_is_allowed_that_nobody_needs():
    used = {(room(path), room(header)) for path, header in arrows()}
    assert {(a, b) for a, allowed in ARROWS.items() for b in allowed} <= used


def test_arrows_run_downwards():
    """ARROWS is from the ground up, so there is no circle."""
    floors = ["sql", "page", *ARROWS]
    assert all(floors.index(b) < floors.index(a) for a, allowed in ARROWS.items() for b in allowed)


@pytest.mark.parametrize("library", LIBRARIES)
def test_library_stays_in_its_rooms(library):
    users = {room(path) for path, text in sources() if library in included(text, "<")}
    assert users and users <= set(LIBRARIES[library])


def test_codes_of_a_target_are_its_own():
    """Others go by the fault; what is in the list shows a code to people."""
    known = {path for path, text in sources() if re.search(r"\bsqlstate\b", text, re.IGNORECASE)}
    assert {path for path in known
            if not path.startswith(("sink/postgres/", "sink/mysql/wire/"))} == {
        "ods/sink.h", "config/table.c", "pipeline/deadletter_headers.c", "cli/dlq.c",
        "cli/dlq_letters.c", "cli/dlq_replay.c", "cli/dlq_show.c"}


def test_kafka_is_spoken_by_its_source_alone():
    speakers = {room(path) for path, text in sources() if re.search(r"\brd_kafka_", text)}
    assert speakers == {"source/kafka"}


def test_rooms_of_postgres_have_all_but_its_entry():
    assert [path for path, _ in sources() if path.startswith("sink/postgres/")
            and path.count("/") == 2] == ["sink/postgres/postgres.c"]
