//! Checkpoints: the whole state of a version in one Parquet file, each row an action.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Int32Array, Int64Array, ListArray, MapArray, RecordBatch, StructArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value, json};

use crate::answer::{Fail, Result, fatal};
use crate::log::{HINT, LOG, State};
use crate::store::Store;

const KINDS: [&str; 6] = ["txn", "add", "remove", "metaData", "protocol", "domainMetadata"];

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn long(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn int(name: &str) -> Field {
    Field::new(name, DataType::Int32, true)
}

fn flag(name: &str) -> Field {
    Field::new(name, DataType::Boolean, true)
}

fn texts(name: &str) -> Field {
    Field::new(name, DataType::List(Arc::new(text("element"))), true)
}

fn map(name: &str) -> Field {
    let kv = Fields::from(vec![Field::new("key", DataType::Utf8, false), text("value")]);
    Field::new(name, DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(kv), false)), false), true)
}

fn group(name: &str, fields: Vec<Field>) -> Field {
    Field::new(name, DataType::Struct(fields.into()), true)
}

fn schema() -> Schema {
    let dv = || {
        group(
            "deletionVector",
            vec![text("storageType"), text("pathOrInlineDv"), int("offset"), int("sizeInBytes"), long("cardinality")],
        )
    };
    Schema::new(vec![
        group("txn", vec![text("appId"), long("version"), long("lastUpdated")]),
        group(
            "add",
            vec![
                text("path"),
                map("partitionValues"),
                long("size"),
                long("modificationTime"),
                flag("dataChange"),
                text("stats"),
                map("tags"),
                dv(),
            ],
        ),
        group(
            "remove",
            vec![
                text("path"),
                long("deletionTimestamp"),
                flag("dataChange"),
                flag("extendedFileMetadata"),
                map("partitionValues"),
                long("size"),
                dv(),
            ],
        ),
        group(
            "metaData",
            vec![
                text("id"),
                text("name"),
                text("description"),
                group("format", vec![text("provider"), map("options")]),
                text("schemaString"),
                texts("partitionColumns"),
                map("configuration"),
                long("createdTime"),
            ],
        ),
        group(
            "protocol",
            vec![int("minReaderVersion"), int("minWriterVersion"), texts("readerFeatures"), texts("writerFeatures")],
        ),
        group("domainMetadata", vec![text("domain"), text("configuration"), flag("removed")]),
    ])
}

/// Writes the checkpoint of the state's version.
pub fn write(store: &dyn Store, state: &State) -> Result<()> {
    let head = [json!({"protocol": state.protocol}), json!({"metaData": state.metadata})];
    let txns = state.txns.iter().map(|(id, (v, at))| json!({"txn": {"appId": id, "version": v, "lastUpdated": at}}));
    let domains = state.domains.values().map(|d| json!({"domainMetadata": d}));
    let adds = state.live().map(|(_, f)| {
        let mut add = f.add.json();
        add["dataChange"] = json!(false);
        json!({"add": add})
    });
    // A file that was removed and is there again (a restore) is not removed.
    let gone = state.tombs.iter().filter(|t| {
        let there = state.by_path.get(&t.path).and_then(|n| state.files[*n as usize].as_ref());
        !there.is_some_and(|f| f.add.dv == t.dv)
    });
    let removes = gone.map(|t| json!({"remove": t.json(false)}));
    let mut actions = head.into_iter().chain(txns).chain(domains).chain(adds).chain(removes);
    let mut size = 0;
    let schema = Arc::new(schema());
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut w = ArrowWriter::try_new_with_options(vec![], schema.clone(), options)?;
    loop {
        let chunk: Vec<Value> = actions.by_ref().take(8192).collect();
        if chunk.is_empty() {
            break;
        }
        size += chunk.len();
        let columns: Result<Vec<ArrayRef>> = schema
            .fields()
            .iter()
            .map(|f| build(f.data_type(), &chunk.iter().map(|a| a.get(f.name())).collect::<Vec<_>>()))
            .collect();
        w.write(&RecordBatch::try_new(schema.clone(), columns?)?)?;
    }
    w.finish()?;
    let bytes = std::mem::take(w.inner_mut());
    let length = bytes.len();
    store.replace(&format!("{LOG}/{:020}.checkpoint.parquet", state.version), bytes.into())?;
    let hint =
        json!({"version": state.version, "size": size, "sizeInBytes": length, "numOfAddFiles": state.by_path.len()});
    store.replace(HINT, hint.to_string().into())
}

/// An array of JSON values.
fn build(t: &DataType, values: &[Option<&Value>]) -> Result<ArrayRef> {
    let valid = |v: &Option<&Value>| v.is_some_and(|v| !v.is_null());
    let nulls = || Some(NullBuffer::from(values.iter().map(valid).collect::<Vec<bool>>()));
    Ok(match t {
        DataType::Utf8 => {
            let mut b = StringBuilder::new();
            values.iter().for_each(|v| b.append_option(v.and_then(Value::as_str)));
            Arc::new(b.finish())
        }
        DataType::Int64 => Arc::new(values.iter().map(|v| v.and_then(Value::as_i64)).collect::<Int64Array>()),
        DataType::Int32 => {
            Arc::new(values.iter().map(|v| v.and_then(Value::as_i64).map(|n| n as i32)).collect::<Int32Array>())
        }
        DataType::Boolean => Arc::new(values.iter().map(|v| v.and_then(Value::as_bool)).collect::<BooleanArray>()),
        DataType::List(f) => {
            let lists: Vec<&[Value]> =
                values.iter().map(|v| v.and_then(Value::as_array).map_or(&[][..], |l| l)).collect();
            let items: Vec<Option<&Value>> = lists.iter().flat_map(|l| l.iter().map(Some)).collect();
            let offsets = OffsetBuffer::from_lengths(lists.iter().map(|l| l.len()));
            Arc::new(ListArray::try_new(f.clone(), offsets, build(f.data_type(), &items)?, nulls())?)
        }
        DataType::Map(f, _) => {
            let empty = Map::new();
            let maps: Vec<&Map<String, Value>> =
                values.iter().map(|v| v.and_then(Value::as_object).unwrap_or(&empty)).collect();
            let mut keys = StringBuilder::new();
            let mut items = StringBuilder::new();
            for (k, v) in maps.iter().flat_map(|m| m.iter()) {
                keys.append_value(k);
                items.append_option(v.as_str());
            }
            let DataType::Struct(kv) = f.data_type() else { return Err(fatal!("a map without keys")) };
            let entries =
                StructArray::try_new(kv.clone(), vec![Arc::new(keys.finish()), Arc::new(items.finish())], None)?;
            let offsets = OffsetBuffer::from_lengths(maps.iter().map(|m| m.len()));
            Arc::new(MapArray::try_new(f.clone(), offsets, entries, nulls(), false)?)
        }
        DataType::Struct(fields) => {
            let columns: Result<Vec<ArrayRef>> = fields
                .iter()
                .map(|f| {
                    build(f.data_type(), &values.iter().map(|v| v.and_then(|v| v.get(f.name()))).collect::<Vec<_>>())
                })
                .collect();
            Arc::new(StructArray::try_new(fields.clone(), columns?, nulls())?)
        }
        t => return Err(fatal!("a checkpoint has no columns of type {t}")),
    })
}

/// Reads the actions of one file of a checkpoint, some at a time.
pub fn read(store: &dyn Store, name: &str, mut each: impl FnMut(Vec<Value>) -> Result<()>) -> Result<()> {
    let about = |e: Fail| e.about(format!("the checkpoint {}/{name}", store.place()));
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(store.open(name)?, options)
        .map_err(|e| about(e.into()))?;
    // What readers may use in place of the texts is left out: it is as large again.
    let leaves = builder.parquet_schema().columns().iter().enumerate().filter_map(|(i, c)| {
        let parts = c.path().parts();
        (KINDS.contains(&parts[0].as_str()) && !parts.iter().any(|p| p.ends_with("_parsed"))).then_some(i)
    });
    let mask = ProjectionMask::leaves(builder.parquet_schema(), leaves.collect::<Vec<_>>());
    for batch in builder.with_projection(mask).build().map_err(|e| about(e.into()))? {
        let batch = batch.map_err(|e| about(e.into()))?;
        let mut out = vec![];
        for (f, column) in batch.schema().fields().iter().zip(batch.columns()) {
            for row in (0..batch.num_rows()).filter(|r| column.is_valid(*r)) {
                let mut m = Map::new();
                m.insert(f.name().clone(), json_of(column, row).map_err(about)?);
                out.push(Value::Object(m));
            }
        }
        each(out)?;
    }
    Ok(())
}

/// A value as JSON; what is null is left out of objects.
fn json_of(a: &ArrayRef, row: usize) -> Result<Value> {
    if a.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match a.data_type() {
        DataType::Utf8 => json!(a.as_string::<i32>().value(row)),
        DataType::Boolean => json!(a.as_boolean().value(row)),
        DataType::Int32 => json!(a.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(a.as_primitive::<Int64Type>().value(row)),
        DataType::List(_) => {
            let items = a.as_list::<i32>().value(row);
            Value::Array((0..items.len()).map(|i| json_of(&items, i)).collect::<Result<_>>()?)
        }
        DataType::Map(_, _) => {
            let entries = a.as_map().value(row);
            let mut m = Map::new();
            for i in 0..entries.len() {
                let key = json_of(entries.column(0), i)?;
                m.insert(key.as_str().unwrap_or_default().into(), json_of(entries.column(1), i)?);
            }
            Value::Object(m)
        }
        DataType::Struct(fields) => {
            let mut m = Map::new();
            for (f, c) in fields.iter().zip(a.as_struct().columns()) {
                let v = json_of(c, row)?;
                if !v.is_null() {
                    m.insert(f.name().clone(), v);
                }
            }
            Value::Object(m)
        }
        t => return Err(fatal!("a column of type {t} is not expected there")),
    })
}
