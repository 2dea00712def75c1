"""Tables of Delta Lake in a storage that speaks as S3 does: killed at each step of a commit, answers
lost, and read by delta-rs and by `changes`."""

import json
import os
import re
import signal
import subprocess
from collections import Counter
from random import Random

import pytest
from conftest import ROOT
from lib.faulty_http import Proxy
from lib.lake import WHY_NOT, engine
from lib.records import Table, pipeline
from lib.rotation import Recorded, anew, replace
from lib.s3 import KEYS, Storage
from lib.secure import Certificates
from lib.sink import Exit, write_lines
from test_delta_target import HARD, STEPS, row, two_tables


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    made = Storage(tmp_path_factory.mktemp("s3") / "log")
    made.ask("PUT", "lake")
    yield made
    made.close()


@pytest.fixture
def bucket(request, sink):
    if not engine(sink.binary):
        pytest.skip(WHY_NOT)
    return Bucket(sink, request.getfixturevalue("storage"), request.getfixturevalue("lake_reader"),
                  request.node.name)


class Bucket:
    def __init__(self, sink, storage, reader, prefix):
        self.sink, self.storage, self.reader, self.prefix = sink, storage, reader, prefix

    def target(self, endpoint=None, key=KEYS["AWS_ACCESS_KEY_ID"], retries=0, **target):
        s3 = {"endpoint": endpoint or self.storage.url, "access_key_id": key,
              "secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"], "retries": retries, "timeout_ms": 5000}
        return {"name": "ods", "type": "delta", "commit_ms": 20, "s3": s3, "location": f"s3://lake/{self.prefix}", **target}

    def write(self, *tables, batch=None, **target):
        named = pipeline(rf"^{tables[0].prefix}\.shop\..*", defaults=HARD)
        self.sink.write(named, targets=[self.target(**target)], batch=batch or {})

    def replay(self, records, env=None, expect=Exit.OK):
        return self.sink.run("replay", "-c", self.sink.conf, "--wait", 20, self.sink.file_of(records),
                             env=env, expect=expect)

    def place(self, table="items"):
        return f"s3://lake/{self.prefix}/shop/{table}"

    def rows(self, table="items"):
        found = self.reader.ask("deltalake", self.place(table), columns="id, name, amount",
                                storage=self.storage.options)
        rows = {one["id"]: one for one in found}
        assert len(rows) == len(found), "a key is there twice"
        return rows

    def changes(self, *options, table="items"):
        """By the configuration, and by the environment: the same."""
        place = f"delta://{self.place(table)}"
        done = self.sink.run("changes", "-c", self.sink.conf, place, "--json", *options)
        again = self.sink.run("changes", place, "--json", *options, env=self.storage.options)
        assert done.stdout == again.stdout
        return [json.loads(line) for line in done.stdout.splitlines()]


def test_killed_and_lost_in_s3(bucket):
    """At each step of a batch's first commit; then the second's answer is lost: rows and changes are there once."""
    items, others, first, second, state = two_tables()
    bucket.write(items, others)
    bucket.replay(first)
    for step in STEPS:
        bucket.replay(second, env={"ODS_LAKE_FAULT": f"kill:{step}:1"}, expect=-9)
    assert bucket.rows("items") == state != bucket.rows("others"), "the second's commit is left for the lost answer"
    bucket.replay(second, env={"ODS_LAKE_FAULT": "lost:commit:1"})
    for table in ("items", "others"):
        assert bucket.rows(table) == state
        kinds = Counter(one["_change_type"] for one in bucket.changes("--from-version", "2", table=table))
        assert kinds == {"delete": 3, "update_preimage": 5, "update_postimage": 5}, "written twice"


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_what_is_asked_of_the_storage(bucket, kind, tmp_path):
    """Counted: the changes of the newest version take as many requests, and only its own file of rows, whether
    there are 2 versions before it or 12."""
    proxy = Proxy(bucket.storage.port)
    asked = []
    try:
        for number, before in enumerate((2, 12)):
            table = Table(name=f"t{before}")
            target = {"type": kind, "location": f"s3://lake/{kind}{number}", "maintenance": {"enabled": False}}
            if kind == "iceberg":
                target["catalog"] = {"uri": f"sqlite://{tmp_path}/catalog{number}.sqlite"}
            bucket.write(table, batch={"max_events": 1}, endpoint=proxy.url, **target)
            bucket.replay([table.create(row(one)) for one in range(before)])
            bucket.replay([table.create(row(77))])
            newest = before + 1
            proxy.seen.clear()
            place = f"{kind}://s3://lake/{kind}{number}/shop/t{before}"
            done = bucket.sink.run("changes", "-c", bucket.sink.conf, place, "--from-version", newest, "--json")
            change, = [json.loads(line) for line in done.stdout.splitlines()]
            assert change["id"] == 77 and change["_commit_version"] == newest
            seen = [(method, path.partition("?")[0]) for method, path, _ in proxy.seen]
            assert len({path for _, path in seen if path.endswith(".parquet")}) == 1, seen
            asked.append(len(seen))
    finally:
        proxy.close()
    # A log that is longer may have to be read through to its newest checkpoint.
    assert asked[0] == asked[1] if kind == "iceberg" else asked[1] <= asked[0] + 10, asked


def test_keys_are_replaced(bucket, tmp_path):
    """While the daemon runs: the next commit is asked for with the new one."""
    secret, recorded = tmp_path / "key", Recorded(bucket.sink, tmp_path)
    proxy = Proxy(bucket.storage.port)
    replace(secret, "first-key")
    bucket.sink.write({**recorded.pipeline, "defaults": HARD},
                      targets=[bucket.target(endpoint=proxy.url, key=f"${{file:{secret}}}")])
    daemon = bucket.sink.daemon()

    def commits(word):
        return [path for method, path, authorization in proxy.seen if method == "PUT" and "_delta_log/0" in path
                and f"Credential={word}/" in authorization]

    try:
        daemon.await_that(lambda: len(commits("first-key")) >= 2, what="the table and its first row")
        replace(secret, "second-key")
        daemon.signal(signal.SIGHUP)
        anew(daemon, 1)
        recorded.send()
        daemon.await_that(lambda: commits("second-key"), what="a row by the other key")
        daemon.stop()
    finally:
        proxy.close()
    assert set(bucket.rows()) == {1, 2}


def is_of_parts(method, path):
    return method == "POST" and "uploadId" in path


@pytest.mark.parametrize("fault", ["part", "refused", "done, and refused", "done, refused, and asked again"])
def test_a_file_of_more_than_one_part(bucket, fault):
    """Above 16 MiB it is sent in parts. What is refused is an outage, and is sent again; no part is left over."""
    table = Table()
    proxy = Proxy(bucket.storage.port)
    try:
        injected = {
            "part": lambda: proxy.fault(lambda method, path: method == "PUT" and "partNumber=2" in path, 503, every=1),
            "refused": lambda: proxy.fault(is_of_parts, 503, every=1),
            "done, and refused": lambda: proxy.fault(is_of_parts, ("done", 503), every=1),
            # The storage answers the second call that there is no such upload.
            "done, refused, and asked again": lambda: proxy.fault(is_of_parts, ("done", 503), every=1),
        }[fault]()
        bucket.write(table, endpoint=proxy.url, retries=2 if "again" in fault else 0, batch={"max_bytes": 256 << 20},
                     commit_bytes=256 << 20, maintenance={"enabled": False})
        random = Random(7)
        rows = [{**row(number), "name": random.randbytes(600_000).hex()} for number in range(36)]
        bucket.replay([table.create(one) for one in rows])
    finally:
        proxy.close()
    assert bucket.rows() == {one["id"]: one for one in rows}
    assert sum(is_of_parts(method, path) for method, path, _ in proxy.seen) >= 1, "it was one part"
    assert injected.injected == 1
    assert "<Upload>" not in bucket.storage.ask("GET", "lake?uploads"), "parts were left over"


def test_compaction_in_s3(bucket):
    table = Table()
    bucket.write(table, batch={"max_events": 5}, maintenance={"small_files": 4, "checkpoint_every": 5, "busy_percent": 100})
    done = bucket.replay([table.create(row(number)) for number in range(40)])
    assert "compacted" in done.stderr
    assert bucket.rows() == {number: row(number) for number in range(40)}
    listed = bucket.sink.run("versions", "-c", bucket.sink.conf, f"delta://{bucket.place()}").stdout
    assert "OPTIMIZE" in listed
    assert len(bucket.changes("--from-version", "0")) == 40


def test_iceberg_in_s3(bucket):
    """Changes between snapshots, with the catalog elsewhere: by the configuration."""
    table = Table()
    catalog = f"sqlite://{bucket.sink.folder}/catalog.sqlite"
    bucket.write(table, type="iceberg", catalog={"uri": catalog}, maintenance={"enabled": False})
    bucket.replay([table.create(row(1)), table.create(row(2))])
    bucket.replay([table.update(row(1), row(1, 5)), table.delete(row(2))])
    for place in (f"iceberg://{bucket.place()}", "iceberg://shop.items"):
        done = bucket.sink.run("changes", "-c", bucket.sink.conf, place, "--from-version", "2", "--json")
        found = [json.loads(line) for line in done.stdout.splitlines()]
        assert Counter((one["_change_type"], one["id"], one["amount"]) for one in found) == Counter(
            [("delete", 2, 0), ("update_preimage", 1, 0), ("update_postimage", 1, 5)])
    said = bucket.sink.run("changes", f"iceberg://{bucket.place()}", "--from-version", "2", expect=Exit.USAGE).stderr
    assert "-c names the configuration" in said


def test_no_bucket(bucket):
    table = Table()
    bucket.write(table, location="s3://none/x")
    records = bucket.sink.folder / "one.jsonl"
    write_lines(records, [table.create(row(1))])
    said = bucket.sink.run("replay", "-c", bucket.sink.conf, records, expect=Exit.TARGET).stderr
    assert "is the bucket there?" in said and KEYS["AWS_SECRET_ACCESS_KEY"] not in said


def actions(seen):
    """What S3's rights call the requests that were made."""
    for method, path, _ in seen:
        if method == "GET":
            yield "s3:ListBucket" if "list-type=2" in path else "s3:GetObject"
        else:
            yield "s3:DeleteObject" if method == "DELETE" or path.endswith("?delete") else "s3:PutObject"


def test_an_authority_of_ones_own(bucket, tmp_path):
    """A storage whose certificate the system does not know: waited for, and trusted by SSL_CERT_FILE. What is asked of
    it is in the policy of docs/security.md."""
    table, certificates = Table(), Certificates(tmp_path)
    proxy = Proxy(bucket.storage.port, certificates.path("server.pem"))
    try:
        bucket.write(table, endpoint=proxy.url)
        said = bucket.sink.run("check", "-c", bucket.sink.conf, "--connect", expect=None)
        assert said.returncode and "UnknownIssuer" in said.stdout + said.stderr and not proxy.seen, said
        bucket.replay([table.create(row(1))], env={"SSL_CERT_FILE": str(certificates.path("ca.crt"))})
        assert bucket.rows() == {1: row(1)}
        policy = (ROOT / "docs/security.md").read_text(encoding="utf-8").split("### S3 and Iceberg")[1]
        assert set(actions(proxy.seen)) <= set(re.findall(r'"(s3:\w+)"', policy)), proxy.seen
    finally:
        proxy.close()


def test_example(sink, database, storage, tmp_path):
    """examples/lake: one daemon's three targets by its own files, as its own reader has them. What comes is recorded:
    scripts/demo lake has the connectors, tests/e2e/test_lake_resync.py too."""
    if not engine(sink.binary):
        pytest.skip(WHY_NOT)
    example, lake = ROOT / "examples/lake", tmp_path / "lake"
    lake.mkdir()
    dsn = database.dsn.replace("${ODS_STACK_POSTGRES_PASSWORD}", sink.stack["POSTGRES_PASSWORD"])
    env = {**KEYS, "AWS_ENDPOINT_URL": storage.url, "ODS_LAKE_FOLDER": str(lake), "ODS_STACK_POSTGRES_URL": dsn,
           "ODS_STACK_KAFKA_BOOTSTRAP": "127.0.0.1:1", "CATALOG_URI": f"sqlite:///{lake}/catalog.sqlite"}
    tables = {name: Table(name, database=schema, prefix=prefix) for name, schema, prefix in
              (("customers", "mks_finance_dw", "lake"), ("orders", "mks_finance_dw", "lake"),
               ("payments", "public", "lake-pg"))}
    records = [table.create(row(number)) for table in tables.values() for number in (1, 2)]
    records += [table.update(row(1), {**row(1), "name": "new"}) for table in tables.values()]
    records += [table.delete(row(2)) for table in tables.values()]
    sink.run("replay", "-c", example / "ods-sink.conf", sink.file_of(records), env=env)

    def read(reader, place):
        done = subprocess.run([ROOT / "scripts/lake-readers", example / "read.py", reader, place, "id,name"],
                              capture_output=True, text=True, env={**os.environ, **env})
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    for name, table in tables.items():
        assert database.execute(f"select id, name from {name}") == [(1, "new")]
    assert read("deltalake", str(lake / "mks_finance_dw/customers")) == [[1, "new"]]
    assert read("pyiceberg", "public.payments") == [[1, "new"]]
