"""Reads tables of the lake with programs that others wrote: a line of JSON in, a line of JSON out. Run by
the Python of scripts/lake-readers, whose packages the tests' own does not have."""

import glob
import json
import os
import sys

import duckdb
import pyarrow
from deltalake import DeltaTable, QueryBuilder, write_deltalake

EXTENSIONS = f"{os.path.dirname(os.path.dirname(duckdb.__file__))}/duckdb_extension_delta/extensions"
database = duckdb.connect()
database.execute("set TimeZone = 'UTC'")
database.execute(f"load '{glob.glob(f'{EXTENSIONS}/*/delta.duckdb_extension')[0]}'")


def table(path):
    return DeltaTable(path)


def plain(value):
    """What JSON has no form for is its text; bytes are hexadecimal."""
    return value.hex() if isinstance(value, bytes) else str(value)


def records(found):
    return [dict(zip(found.column_names, values))
            for values in zip(*(column.to_pylist() for column in found.columns))]


def of_duckdb(path, columns="*", **options):
    found = database.execute(f"select {columns} from delta_scan('{path}')")
    names = [column[0] for column in found.description]
    return [dict(zip(names, values)) for values in found.fetchall()]


def of_deltalake(path, columns="*", version=None, storage=None):
    opened = DeltaTable(path, version=version, storage_options=storage)
    return records(pyarrow.table(QueryBuilder().register("t", opened).execute(f"select {columns} from t")
                                 .read_all()))


def plainest(column):
    """Numbers of days and microseconds, since Python's own dates end with the year 9999."""
    kind = column.type
    if pyarrow.types.is_date32(kind):
        return column.cast(pyarrow.int32()).to_pylist()
    return column.cast(pyarrow.int64()).to_pylist() if pyarrow.types.is_timestamp(kind) else column.to_pylist()


def values(path, reader, **place):
    """Type and values of each column, rows in the order of `id`."""
    if reader == "deltalake":
        found = pyarrow.table(QueryBuilder().register("t", DeltaTable(path)).execute("select * from t").read_all())
    elif reader == "pyiceberg":
        found = of_catalog(path, **place).scan().to_arrow()
    elif reader == "duckdb_iceberg":
        load_iceberg()
        found = database.execute(f"select * from iceberg_scan('{of_catalog(path, **place).metadata_location}')"
                                 ).to_arrow_table()
    else:
        found = database.execute(f"select * from delta_scan('{path}')").to_arrow_table()
    read = {name: (str(column.type), plainest(column)) for name, column in zip(found.column_names, found.columns)}
    order = sorted(range(found.num_rows), key=read["id"][1].__getitem__)
    return {name: {"type": kind.removeprefix("large_").removesuffix("_view"), "values": [values[at] for at in order]}
            for name, (kind, values) in read.items()}


def changes(path, first=0, last=None):
    """Of the change data feed."""
    return records(pyarrow.table(table(path).load_cdf(starting_version=first, ending_version=last).read_all()))


def described(path):
    opened = table(path)
    return {"version": opened.version(), "files": len(opened.file_uris()),
            "properties": opened.metadata().configuration,
            "partitions": opened.metadata().partition_columns,
            "types": {field.name: str(field.type) for field in pyarrow.schema(opened.schema().to_arrow())}}


def files(path, **place):
    """The data files of the newest version."""
    if os.path.isdir(f"{path}/_delta_log"):
        return [uri.removeprefix("file://") for uri in table(path).file_uris()]
    return [task.file.file_path.removeprefix("file://") for task in of_catalog(path, **place).scan().plan_files()]


def offset(path, id):
    return table(path).transaction_version(id)


def delta_append(path, rows):
    """Another writer's rows."""
    opened = DeltaTable(path)
    write_deltalake(opened, pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(opened.schema().to_arrow())),
                    mode="append")


def delta_overwrite(path, rows):
    """Another writer's rows in place of all that are there. False: delta-rs has left in place what was committed since
    it had read the log, as it takes an overwrite for one that has read nothing."""
    opened = DeltaTable(path)
    entry = f"{path}/_delta_log/{opened.version() + 1:020}.json"
    write_deltalake(opened, pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(opened.schema().to_arrow())),
                    mode="overwrite")
    with open(entry) as file:
        return not any("txn" in json.loads(line) for line in file)


def delta_optimize(path):
    """False: there was nothing to put together."""
    return DeltaTable(path).optimize.compact()["numFilesRemoved"] > 0


def delta_expire(path):
    """The log is forgotten up to a checkpoint of the newest version. False: there was nothing to forget."""
    opened = DeltaTable(path)
    opened.create_checkpoint()
    gone = 0
    for entry in glob.glob(f"{path}/_delta_log/*.json"):
        name = os.path.basename(entry).partition(".")[0]
        if name.isdigit() and int(name) <= opened.version():
            os.unlink(entry)
            gone += 1
    return gone > 0


# ---- Iceberg -------------------------------------------------------------------------------------

def of_catalog(path, metadata=None, catalog=None, storage=None, rest=None):
    """The table in the folder <location>/<namespace>/<name>, or the one of these metadata. `catalog` is an SQLite
    file, `rest` the address of a REST catalog; `storage`, where the tables are in a bucket, is as delta-rs has it."""
    from pyiceberg.catalog.sql import SqlCatalog  # takes long to load
    from pyiceberg.table import StaticTable
    location, namespace, name = path.rsplit("/", 2)
    if metadata:
        return StaticTable.from_metadata(metadata)
    if rest:
        from pyiceberg.catalog.rest import RestCatalog
        return RestCatalog("ods", uri=rest).load_table((namespace, name))
    catalog = catalog or f"{location}/catalog.sqlite"
    if not os.path.exists(catalog):
        raise LookupError("NoSuchTable: the catalog is not there yet")
    if catalog not in CATALOGS:
        # Its tables are the sink's to make: PyIceberg's own making fails beside another's.
        names = {"s3.endpoint": "AWS_ENDPOINT_URL", "s3.access-key-id": "AWS_ACCESS_KEY_ID",
                 "s3.secret-access-key": "AWS_SECRET_ACCESS_KEY", "s3.region": "AWS_REGION"}
        CATALOGS[catalog] = SqlCatalog("ods", uri=f"sqlite:///{catalog}", init_catalog_tables="false", **{
            name: storage[its] for name, its in names.items() if storage})
    return CATALOGS[catalog].load_table((namespace, name))


CATALOGS = {}


def of_pyiceberg(path, columns="*", version=None, where=None, **place):
    opened = of_catalog(path, **place)
    fields = ("*",) if columns == "*" else tuple(name.strip() for name in columns.split(","))
    snapshot = next((s.snapshot_id for s in opened.snapshots() if s.sequence_number == version), None)
    return records(opened.scan(where or "true", selected_fields=fields, snapshot_id=snapshot).to_arrow())


def load_iceberg():
    if "iceberg" not in LOADED:
        for name in ("avro", "iceberg"):
            found = glob.glob(EXTENSIONS.replace("_delta", f"_{name}") + f"/*/{name}.duckdb_extension")
            database.execute(f"load '{found[0]}'")
        LOADED.add("iceberg")


def of_duckdb_iceberg(path, columns="*", **place):
    load_iceberg()
    found = database.execute(
        f"select {columns} from iceberg_scan('{place.get('metadata') or of_catalog(path, **place).metadata_location}')")
    names = [column[0] for column in found.description]
    return [dict(zip(names, values)) for values in found.fetchall()]


LOADED = set()


def iceberg_described(path, **place):
    opened = of_catalog(path, **place)
    tasks = list(opened.scan().plan_files())
    files = [task.file for task in tasks]
    return {"format": opened.metadata.format_version,
            "vectors": [sum(delete.file_format == "PUFFIN" for delete in task.delete_files) for task in tasks],
            "version": opened.metadata.last_sequence_number, "files": len(files),
            "snapshots": [{"operation": s.summary.operation.value, "sequence": s.sequence_number,
                           **s.summary.additional_properties} for s in opened.snapshots()],
            "deletes": len({delete.file_path for task in tasks for delete in task.delete_files}),
            "properties": dict(opened.properties),
            "partitions": [str(field.transform) for field in opened.spec().fields],
            "types": {field.name: str(field.field_type) for field in opened.schema().fields}}


def iceberg_vectors(path, **place):
    """Deletion vectors of the newest snapshot, as the manifests and the Puffin files have them."""
    from pyiceberg.table.deletion_vector import deletion_vectors_from_puffin_file
    from pyiceberg.table.puffin import PuffinFile
    opened, found = of_catalog(path, **place), []
    load_iceberg()
    for manifest in opened.current_snapshot().manifests(opened.io):
        if manifest.content.name != "DELETES":
            continue
        for status, delete in database.execute(f"select status, data_file from read_avro('{manifest.manifest_path}')"
                                               ).fetchall():
            if status == 2:
                continue  # it is gone
            with opened.io.new_input(delete["file_path"]).open() as file:
                puffin = PuffinFile(file.read())
            blob, = puffin.footer.blobs
            vector, = deletion_vectors_from_puffin_file(puffin)
            found.append({"of": delete["referenced_data_file"], "rows": delete["record_count"],
                          "place": [delete["content_offset"], delete["content_size_in_bytes"]],
                          "offset": blob.offset, "length": blob.length, "type": blob.type,
                          "snapshot": blob.snapshot_id, "sequence": blob.sequence_number,
                          "properties": blob.properties, "positions": vector.to_vector().to_pylist()})
    return found


def iceberg_row_ids(path, **place):
    """Which ids of rows the snapshots have taken, the oldest first."""
    opened = of_catalog(path, **place)
    return {"next": opened.metadata.next_row_id, "first": [s.first_row_id for s in opened.snapshots()],
            "added": [s.added_rows for s in opened.snapshots()]}


def iceberg_append(path, rows):
    """Another writer's rows."""
    opened = of_catalog(path)
    opened.append(pyarrow.Table.from_pylist(rows, schema=opened.schema().as_arrow()))


def iceberg_overwrite(path, rows, where="true"):
    """Another writer's way to change rows: files are written again without those that go."""
    opened = of_catalog(path)
    opened.overwrite(pyarrow.Table.from_pylist(rows, schema=opened.schema().as_arrow()), where)


def iceberg_set_back(path):
    """To the oldest snapshot that is left."""
    table = of_catalog(path)
    oldest = min(table.snapshots(), key=lambda one: one.sequence_number)
    table.manage_snapshots().rollback_to_snapshot(oldest.snapshot_id).commit()


def iceberg_snapshots(path):
    return [s.snapshot_id for s in of_catalog(path).snapshots()]


def arrow(path):
    """A stream of Arrow's IPC format in a file."""
    with pyarrow.ipc.open_stream(path) as stream:
        read = stream.read_all()
    read.validate(full=True)
    return {"rows": records(read), "types": {field.name: str(field.type) for field in read.schema}}


def arrow_bytes(path, text):
    """The ids in a stream that may have been broken off."""
    stream, ids = pyarrow.ipc.open_stream(bytes.fromhex(text)), []
    try:
        for batch in stream:
            ids += batch.column("id").to_pylist()
    except pyarrow.ArrowInvalid:
        pass
    return ids


def iceberg_expire(path):
    """All snapshots but the newest. False: there was no other."""
    from datetime import datetime, timedelta
    table = of_catalog(path)
    there = len(table.snapshots())
    table.maintenance.expire_snapshots().older_than(datetime.now() + timedelta(days=1)).commit()
    return there > 1


WORDS = {"duckdb": of_duckdb, "deltalake": of_deltalake, "changes": changes, "described": described,
         "offset": offset, "files": files, "pyiceberg": of_pyiceberg, "duckdb_iceberg": of_duckdb_iceberg,
         "iceberg_described": iceberg_described, "iceberg_append": iceberg_append,
         "iceberg_overwrite": iceberg_overwrite, "iceberg_snapshots": iceberg_snapshots,
          "iceberg_vectors": iceberg_vectors, "iceberg_row_ids": iceberg_row_ids,
          "iceberg_set_back": iceberg_set_back,
          "arrow": arrow, "arrow_bytes": arrow_bytes, "iceberg_expire": iceberg_expire,
         "values": values, "delta_append": delta_append, "delta_overwrite": delta_overwrite, "delta_optimize": delta_optimize,
         "delta_expire": delta_expire}

for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = {"answer": WORDS[asked.pop("word")](**asked)}
    except Exception as error:  # noqa: BLE001: who asks says what is wrong
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer, default=plain), flush=True)
