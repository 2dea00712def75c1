//! A version of a table as change events, for a pipeline whose source the table is: envelopes as Debezium writes them,
//! with their schemas.
//!
//! A change's number within its version names it for ever: the order is that of the version's log entry and of its
//! files. First come deletes, then rows as they are, each with what its key had before; a version whose old rows are
//! too many to be held at once is read in several passes, each with the keys of one remainder of their hash.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchReader};
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use serde_json::{Map, Value, json};

use crate::answer::{Fail, Result, fatal};
use crate::commit::{CHANGE, KEY};
use crate::follow::{self, KINDS};
use crate::lines;
use crate::log;
use crate::scan::Scan;
use crate::settings::{Object, parse};
use crate::table::Table;
use crate::types;

/// Rows that one answer has at most, and about so many bytes.
const ROWS: usize = 1000;
const BYTES: usize = 1 << 20;
/// About so many bytes of old rows are held at once. It decides the order of changes, so a test that sets it sets it
/// for all that read the table.
const HELD: u64 = 64 << 20;

fn held() -> u64 {
    std::env::var("ODS_LAKE_HELD").ok().and_then(|v| v.parse().ok()).map_or(HELD, |v: u64| v.max(1))
}
/// Kinds of rows as they were, and as they are.
const BEFORE: [&str; 2] = [KINDS[1], KINDS[3]];
const AFTER: [&str; 2] = [KINDS[0], KINDS[2]];

enum Side {
    /// With the keys of the rows as they are.
    Before(Option<Box<Scan>>),
    After,
}

struct Part {
    pass: u32,
    side: Side,
    scan: Scan,
}

pub struct Feed {
    form: Form,
    passes: u32,
    parts: VecDeque<Part>,
    now: Option<Part>,
    batch: Option<(RecordBatch, usize)>,
    /// Of this pass: keys of rows as they are (their hashes), and rows as they were by those.
    there: HashSet<u64>,
    old: BTreeMap<String, VecDeque<String>>,
    /// Old rows of keys that are not there after all.
    rest: VecDeque<(String, String)>,
    row: u64,
    skip: u64,
    snapshot: bool,
}

/// What an envelope has around a row.
struct Form {
    columns: Fields,
    key: Vec<String>,
    key_head: String,
    value_head: String,
    source: String,
}

impl Table {
    /// The columns that name a row, as the table itself says.
    fn own_key(&self) -> Result<Vec<String>> {
        if self.iceberg.is_some() {
            return self.key_iceberg();
        }
        let text = self.state.property(KEY);
        Ok(text.and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default())
    }

    /// The columns that name a row, as asked for or as the table itself says.
    fn named_key(&self, asked: Vec<String>) -> Result<Vec<String>> {
        let (key, whose) = if asked.is_empty() { (self.own_key()?, KEY) } else { (asked, "the configuration") };
        let schema = self.state.schema()?;
        match key.iter().find(|k| schema.field_with_name(k).is_err()) {
            Some(k) => {
                Err(fatal!("the table in {} has no column {k}, which {whose} has in its key", self.store.place()))
            }
            None => Ok(key),
        }
    }

    /// What is known of the table, as JSON, and the changes of one version, if it is there yet.
    pub fn feed(&mut self, text: &str) -> Result<(String, Option<Feed>)> {
        let v = parse("the settings of a feed", text)?;
        let known = ["version", "snapshot", "skip", "key", "topic", "schema", "table"];
        let o = Object::new("the settings of a feed", &v, &known)?;
        self.refresh()?;
        let newest = if self.iceberg.is_some() { self.newest_snapshot()? } else { self.state.version };
        let key = self.named_key(o.texts("key")?)?;
        let about = json!({"version": newest, "key": key}).to_string();
        let Some(version) = o.number("version")?.map(|v| v as i64).filter(|v| *v <= newest) else {
            return Ok((about, None));
        };
        let snapshot = o.flag("snapshot")?.unwrap_or(false);
        // A table of Iceberg has no snapshot before its first rows.
        let rows = match snapshot && !(version == 0 && self.iceberg.is_some()) {
            true => Some(self.scan_known(&json!({"version": version}).to_string())?.in_order()),
            false => None,
        };
        // An older version may have had fewer columns.
        let columns = rows.as_ref().map_or(self.columns()?, |scan| scan.schema());
        let mut feed = Feed {
            form: self.form(&o, version, key, snapshot, columns.fields().clone())?,
            passes: 1,
            parts: VecDeque::new(),
            now: None,
            batch: None,
            there: HashSet::new(),
            old: BTreeMap::new(),
            rest: VecDeque::new(),
            row: 0,
            skip: o.number("skip")?.unwrap_or(0),
            snapshot,
        };
        if snapshot {
            feed.parts.extend(rows.map(|scan| Part { pass: 0, side: Side::After, scan }));
        } else {
            if self.iceberg.is_some() {
                self.check_version(version)?;
            }
            self.passes(&mut feed, version)?;
        }
        Ok((about, Some(feed)))
    }

    fn changes_of(&mut self, version: i64, kinds: &[&str], columns: Option<&[String]>) -> Result<Scan> {
        let mut how = json!({"changes": {"from": version, "to": version, "types": kinds}});
        if let Some(columns) = columns {
            how["columns"] = json!(columns);
        }
        self.scan_known(&how.to_string())
    }

    fn passes(&mut self, feed: &mut Feed, version: i64) -> Result<()> {
        let key = feed.form.key.clone();
        let mut count = 0;
        let mut scan = self.changes_of(version, &BEFORE, Some(&[]))?;
        while let Some(batch) = scan.step()? {
            count += batch.num_rows() as u64;
        }
        if count > 0 && !key.is_empty() {
            let mut scan = self.changes_of(version, &BEFORE, None)?;
            let first = scan.step()?.ok_or_else(|| fatal!("the changes of version {version} are other ones by now"))?;
            let mut text = String::new();
            for at in 0..first.num_rows() {
                // A column that was added later is null here, and must not count: the order would be another.
                let is_there = |n: &&String| first.column_by_name(n).is_some_and(|c| !c.is_null(at));
                let there = feed.form.columns.iter().map(|f| f.name()).filter(is_there);
                Form::object(&mut text, &Form::of(&first, there)?, at)?;
            }
            let mut keys = 0u64;
            let mut scan = self.changes_of(version, &AFTER, Some(&[]))?;
            while let Some(batch) = scan.step()? {
                keys += batch.num_rows() as u64;
            }
            // Beside the old rows, the hashes of the new ones' keys, of about 16 bytes each.
            let old = count.saturating_mul(text.len() as u64 / first.num_rows() as u64);
            feed.passes = (1 + old.saturating_add(keys.saturating_mul(16)) / held()).min(u32::MAX.into()) as u32;
        }
        for pass in 0..feed.passes {
            if count > 0 {
                let ask = !key.is_empty();
                let keys = ask.then(|| self.changes_of(version, &AFTER, Some(&key)).map(Box::new)).transpose()?;
                let scan = self.changes_of(version, &BEFORE, None)?;
                feed.parts.push_back(Part { pass, side: Side::Before(keys), scan });
            }
            let scan = self.changes_of(version, &AFTER, None)?;
            feed.parts.push_back(Part { pass, side: Side::After, scan });
        }
        Ok(())
    }

    fn form(&self, o: &Object, version: i64, key: Vec<String>, snapshot: bool, columns: Fields) -> Result<Form> {
        let time_ms = match self.iceberg {
            None => match log::actions(&*self.store, version) {
                Ok(actions) => follow::time_ms(&actions),
                // A version's rows can be there longer than its entry.
                Err(Fail::Gone(_)) => 0,
                Err(e) => return Err(e),
            },
            Some(_) => self.time_of(version)?,
        };
        let topic = o.text("topic")?.unwrap_or("table");
        let (schema, table) = (o.text("schema")?.unwrap_or(""), o.text("table")?.unwrap_or(topic));
        let row = |name: &str| {
            json!({"type": "struct", "optional": true, "name": format!("{topic}.Value"), "field": name,
                   "fields": columns.iter().map(|f| connect(f)).collect::<Vec<_>>()})
        };
        let text = |name: &str| json!({"type": "string", "optional": true, "field": name});
        let long = |name: &str| json!({"type": "int64", "optional": true, "field": name});
        let source = json!({"type": "struct", "optional": false, "name": "io.debezium.connector.postgresql.Source",
            "field": "source", "fields": [text("connector"), text("name"), text("schema"), text("table"),
                                          text("snapshot"), long("ts_ms")]});
        let envelope = json!({"type": "struct", "optional": false, "name": format!("{topic}.Envelope"),
            "fields": [row("before"), row("after"), source, text("op"), long("ts_ms")]});
        let named: Vec<Value> = key.iter().filter_map(|k| columns.find(k)).map(|(_, f)| connect(f)).collect();
        let key_schema = json!({"type": "struct", "optional": false, "name": format!("{topic}.Key"), "fields": named});
        let source = json!({"connector": "postgresql", "name": "lake", "schema": schema, "table": table,
                            "snapshot": if snapshot { "true" } else { "false" }, "ts_ms": time_ms});
        Ok(Form {
            columns,
            key,
            key_head: format!("{{\"schema\":{key_schema},\"payload\":"),
            value_head: format!("{{\"schema\":{envelope},\"payload\":{{\"before\":"),
            source: format!(",\"source\":{source},\"ts_ms\":{time_ms},\"op\":"),
        })
    }
}

impl Form {
    fn object(out: &mut String, columns: &[(&str, &ArrayRef)], at: usize) -> Result<()> {
        out.push('{');
        for (i, (name, column)) in columns.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            lines::string(out, name);
            out.push(':');
            value(out, column, at).map_err(|e| e.about(format!("column {name}")))?;
        }
        out.push('}');
        Ok(())
    }

    fn of<'a>(batch: &'a RecordBatch, names: impl Iterator<Item = &'a String>) -> Result<Vec<(&'a str, &'a ArrayRef)>> {
        let find = |n: &'a String| batch.column_by_name(n).map(|c| (n.as_str(), c));
        names.map(|n| find(n).ok_or_else(|| fatal!("the table has no column {n}"))).collect()
    }

    fn row(&self, out: &mut String, batch: &RecordBatch, at: usize) -> Result<()> {
        Form::object(out, &Form::of(batch, self.columns.iter().map(|f| f.name()))?, at)
    }

    fn key(&self, batch: &RecordBatch, at: usize) -> Result<String> {
        let mut out = String::new();
        Form::object(&mut out, &Form::of(batch, self.key.iter())?, at)?;
        Ok(out)
    }
}

fn hash(key: &str) -> u64 {
    use std::hash::Hasher;
    let mut h = siphasher::sip::SipHasher13::new();
    h.write(key.as_bytes());
    h.finish()
}

impl Feed {
    /// The next changes, each a line of its number, its key and its value with tabs between; None: there are no more.
    pub fn more(&mut self) -> Result<Option<String>> {
        let (mut out, mut count) = (String::new(), 0);
        while count < ROWS && out.len() < BYTES {
            if let Some((key, old)) = self.rest.pop_front() {
                count += self.put(&mut out, "d", &key, &old, "null");
            } else if let Some((batch, at)) = self.batch.take() {
                count += self.take(&mut out, &batch, at)?;
                if at + 1 < batch.num_rows() {
                    self.batch = Some((batch, at + 1));
                }
            } else if !self.go_on()? {
                break;
            }
        }
        Ok((!out.is_empty()).then_some(out))
    }

    /// The next batch or part; false: there is none.
    fn go_on(&mut self) -> Result<bool> {
        if let Some(part) = &mut self.now {
            self.batch = part.scan.step()?.filter(|b| b.num_rows() > 0).map(|b| (b, 0));
            if self.batch.is_some() {
                return Ok(true);
            }
            if matches!(part.side, Side::After) {
                for (key, rows) in std::mem::take(&mut self.old) {
                    self.rest.extend(rows.into_iter().map(|r| (key.clone(), r)));
                }
            }
            self.now = None;
            return Ok(true);
        }
        let Some(mut part) = self.parts.pop_front() else { return Ok(false) };
        if let Side::Before(Some(keys)) = &mut part.side {
            self.there.clear();
            while let Some(batch) = keys.step()? {
                for at in 0..batch.num_rows() {
                    let h = hash(&self.form.key(&batch, at)?);
                    if h % u64::from(self.passes) == u64::from(part.pass) {
                        self.there.insert(h);
                    }
                }
            }
        }
        self.now = Some(part);
        Ok(true)
    }

    /// A row; the answer is the number of lines that it became.
    fn take(&mut self, out: &mut String, batch: &RecordBatch, at: usize) -> Result<usize> {
        let Some(Part { pass, side, .. }) = &self.now else { return Ok(0) };
        let named = !self.form.key.is_empty();
        let key = if named { self.form.key(batch, at)? } else { String::new() };
        let h = hash(&key);
        if named && self.passes > 1 && h % u64::from(self.passes) != u64::from(*pass) {
            return Ok(0);
        }
        let kind = batch.column_by_name(CHANGE).map_or("", |c| c.as_string::<i32>().value(at));
        if matches!(side, Side::Before(_)) {
            if !named && kind == KINDS[1] {
                return Ok(0);
            }
            let mut row = String::new();
            self.form.row(&mut row, batch, at)?;
            if named && self.there.contains(&h) {
                self.old.entry(key).or_default().push_back(row);
                return Ok(0);
            }
            return Ok(self.put(out, "d", &key, &row, "null"));
        }
        // What is passed over is not written.
        if self.row < self.skip && self.old.is_empty() {
            self.row += 1;
            return Ok(0);
        }
        let mut row = String::new();
        self.form.row(&mut row, batch, at)?;
        let old = self.old.get_mut(&key).and_then(VecDeque::pop_front);
        if old.is_some() && self.old.get(&key).is_some_and(VecDeque::is_empty) {
            self.old.remove(&key);
        }
        Ok(match old {
            // A file that was written anew has rows that nobody changed.
            Some(old) if old == row && kind == KINDS[0] => 0,
            Some(old) => self.put(out, "u", &key, &old, &row),
            None if self.snapshot => self.put(out, "r", &key, "null", &row),
            None if kind == KINDS[0] => self.put(out, "c", &key, "null", &row),
            None => self.put(out, "u", &key, "null", &row),
        })
    }

    fn put(&mut self, out: &mut String, op: &str, key: &str, before: &str, after: &str) -> usize {
        self.row += 1;
        if self.row <= self.skip {
            return 0;
        }
        let f = &self.form;
        let _ = write!(out, "{}\t", self.row - 1);
        if !key.is_empty() {
            let _ = write!(out, "{}{key}}}", f.key_head);
        }
        let _ = writeln!(out, "\t{}{before},\"after\":{after}{}\"{op}\"}}}}", f.value_head, f.source);
        1
    }
}

/// A column in the words of Kafka Connect, as Debezium's connectors have them.
fn connect(f: &Field) -> Value {
    let mut schema = type_of(f.data_type());
    schema.insert("optional".into(), json!(true));
    schema.insert("field".into(), json!(f.name()));
    Value::Object(schema)
}

fn type_of(t: &DataType) -> Map<String, Value> {
    let named = |base: &str, name: &str| json!({"type": base, "name": name, "version": 1});
    let v = match t {
        DataType::Boolean => json!({"type": "boolean"}),
        DataType::Int8 => json!({"type": "int8"}),
        DataType::Int16 => json!({"type": "int16"}),
        DataType::Int32 => json!({"type": "int32"}),
        DataType::Int64 => json!({"type": "int64"}),
        DataType::Float32 => json!({"type": "float"}),
        DataType::Float64 => json!({"type": "double"}),
        DataType::Binary | DataType::FixedSizeBinary(_) => json!({"type": "bytes"}),
        DataType::Date32 => named("int32", "io.debezium.time.Date"),
        DataType::Time64(_) => named("int64", "io.debezium.time.MicroTime"),
        DataType::Timestamp(TimeUnit::Microsecond, None) => named("int64", "io.debezium.time.MicroTimestamp"),
        DataType::Timestamp(_, _) => named("string", "io.debezium.time.ZonedTimestamp"),
        DataType::Decimal128(p, s) => {
            json!({"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1,
                   "parameters": {"scale": s.to_string(), "connect.decimal.precision": p.to_string()}})
        }
        DataType::List(f) => {
            let mut items = type_of(f.data_type());
            items.insert("optional".into(), json!(true));
            json!({"type": "array", "items": items})
        }
        DataType::Struct(fields) => {
            json!({"type": "struct", "fields": fields.iter().map(|f| connect(f)).collect::<Vec<_>>()})
        }
        DataType::Map(_, _) => named("string", "io.debezium.data.Json"),
        _ => json!({"type": "string"}),
    };
    match v {
        Value::Object(m) => m,
        _ => Map::new(),
    }
}

fn number(out: &mut String, v: f64, text: impl std::fmt::Display) {
    match v {
        v if v.is_finite() => write!(out, "{text}"),
        v if v.is_nan() => write!(out, "NaN"),
        v if v > 0.0 => write!(out, "Infinity"),
        _ => write!(out, "-Infinity"),
    }
    .unwrap_or(());
}

/// A value as `type_of` says.
fn value(out: &mut String, a: &ArrayRef, at: usize) -> Result<()> {
    if a.is_null(at) {
        out.push_str("null");
        return Ok(());
    }
    match a.data_type() {
        DataType::Float32 => {
            let v = a.as_primitive::<Float32Type>().value(at);
            number(out, v.into(), format_args!("{v:?}"));
        }
        DataType::Float64 => {
            let v = a.as_primitive::<Float64Type>().value(at);
            number(out, v, format_args!("{v:?}"));
        }
        DataType::Date32 => {
            let _ = write!(out, "{}", a.as_primitive::<Date32Type>().value(at));
        }
        DataType::Time64(_) => {
            let _ = write!(out, "{}", a.as_primitive::<Time64MicrosecondType>().value(at));
        }
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            let _ = write!(out, "{}", a.as_primitive::<TimestampMicrosecondType>().value(at));
        }
        DataType::Decimal128(_, _) => {
            out.push('"');
            lines::base64(out, &types::least(a.as_primitive::<Decimal128Type>().value(at)));
            out.push('"');
        }
        DataType::List(_) => {
            let items = a.as_list::<i32>().value(at);
            out.push('[');
            for i in 0..items.len() {
                if i > 0 {
                    out.push(',');
                }
                value(out, &items, i)?;
            }
            out.push(']');
        }
        DataType::Struct(fields) => {
            let columns: Vec<(&str, &ArrayRef)> =
                fields.iter().map(|f| f.name().as_str()).zip(a.as_struct().columns()).collect();
            Form::object(out, &columns, at)?;
        }
        DataType::Map(_, _) => {
            let mut text = String::new();
            lines::value(&mut text, a, at)?;
            lines::string(out, &text);
        }
        _ => lines::value(out, a, at)?,
    }
    Ok(())
}
