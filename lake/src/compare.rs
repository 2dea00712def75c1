//! Comparing rows of a source with those of a table, by the hash of their key and the hash of the row.
//!
//! Rows that differ at the first look may be on their way. At the second look those count that differ as they did:
//! with the same row on either side. Memory holds the hashes of the rows of one slice of the keys, and of what differs.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde_json::{Map, Value, json};

use crate::answer::{Result, fatal};
use crate::index::{Key, KeyMap, Keys};
use crate::lines;
use crate::settings::{Object, parse};
use crate::table::Table;
use crate::types;

/// So many differences are remembered.
const MOST: usize = 1_000_000;

/// What differs: the row of either side.
#[derive(Clone, Copy, PartialEq)]
struct Difference {
    source: Option<Key>,
    target: Option<Key>,
}

impl Difference {
    fn kind(&self) -> &'static str {
        match (self.source, self.target) {
            (Some(_), None) => "missing",
            (None, Some(_)) => "extra",
            _ => "changed",
        }
    }
}

struct Seen {
    row: Key,
    found: bool,
}

pub struct Compare {
    key: Vec<String>,
    columns: SchemaRef,
    keys: Keys,
    rows: Keys,
    /// Rows with this text in this column are marked as deleted.
    deleted: Option<(String, String)>,
    slices: u64,
    slice: u64,
    limit: usize,
    seen: KeyMap<Seen>,
    source: u64,
    target: u64,
    /// Of the looks before and now.
    before: Option<KeyMap<Difference>>,
    now: KeyMap<Difference>,
    /// Beyond those that are remembered.
    more: u64,
    names: KeyMap<Value>,
}

fn named(columns: &Schema, names: &[String]) -> Result<Vec<Arc<Field>>> {
    let field = |n: &String| {
        let found = columns.fields().iter().find(|f| f.name() == n);
        found.cloned().ok_or_else(|| fatal!("the table has no column {n}"))
    };
    names.iter().map(field).collect()
}

fn types_of(fields: &[Arc<Field>]) -> Vec<DataType> {
    fields.iter().map(|f| f.data_type().clone()).collect()
}

impl Compare {
    pub fn new(table: &Table, text: &str) -> Result<Compare> {
        let v = parse("the settings of a comparison", text)?;
        let o = Object::new("the settings of a comparison", &v, &KNOWN)?;
        let (all, key) = (table.columns()?, o.texts("key")?);
        let fields = named(&all, &o.texts("columns")?)?;
        Ok(Compare {
            keys: Keys::new(&types_of(&named(&all, &key)?))?,
            rows: Keys::of_rows(&types_of(&fields))?,
            columns: Arc::new(Schema::new(fields)),
            key,
            deleted: mark(&o)?,
            slices: o.number("slices")?.unwrap_or(1).max(1),
            slice: 0,
            limit: o.number("limit")?.unwrap_or(1000) as usize,
            seen: KeyMap::default(),
            source: 0,
            target: 0,
            before: None,
            now: KeyMap::default(),
            more: 0,
            names: KeyMap::default(),
        })
    }

    fn arrays(&self, batch: &RecordBatch, names: &[String]) -> Result<Vec<ArrayRef>> {
        let one = |n: &String| -> Result<ArrayRef> {
            let column = batch.column_by_name(n).ok_or_else(|| fatal!("rows without the column {n}"))?;
            types::fit(column, self.columns.field_with_name(n)?)
        };
        names.iter().map(one).collect()
    }

    fn hashes(&self, batch: &RecordBatch) -> Result<(Vec<Key>, Vec<Key>)> {
        let all: Vec<String> = self.columns.fields().iter().map(|f| f.name().clone()).collect();
        Ok((self.keys.of(&self.arrays(batch, &self.key)?)?, self.rows.of(&self.arrays(batch, &all)?)?))
    }

    /// The key of a row that differs, for people.
    fn name(&mut self, batch: &RecordBatch, row: usize, key: Key) -> Result<()> {
        if self.names.len() >= self.limit || self.names.contains_key(&key) {
            return Ok(());
        }
        let mut of = Map::new();
        for (n, a) in self.key.iter().zip(self.arrays(batch, &self.key)?) {
            of.insert(n.clone(), lines::json_of(&a, row)?);
        }
        self.names.insert(key, Value::Object(of));
        Ok(())
    }

    /// Rows of the source; those of other slices are passed over.
    pub fn rows(&mut self, batch: &RecordBatch) -> Result<()> {
        let (keys, rows) = self.hashes(batch)?;
        for (i, (key, row)) in keys.into_iter().zip(rows).enumerate() {
            if key.slice(self.slices) != self.slice {
                continue;
            }
            self.source += 1;
            self.seen.insert(key, Seen { row, found: false });
            if self.before.as_ref().is_some_and(|b| b.contains_key(&key)) {
                self.name(batch, i, key)?;
            }
        }
        Ok(())
    }

    fn differs(&mut self, key: Key, source: Option<Key>, target: Option<Key>) {
        if self.now.len() < MOST {
            self.now.insert(key, Difference { source, target });
        } else {
            self.more += 1;
        }
    }

    fn target_rows(&mut self, batch: &RecordBatch) -> Result<()> {
        let (keys, rows) = self.hashes(batch)?;
        let is_gone = marked(batch, &self.deleted);
        for (i, (key, row)) in keys.into_iter().zip(rows).enumerate() {
            if is_gone(i) || key.slice(self.slices) != self.slice {
                continue;
            }
            self.target += 1;
            let before = self.before.as_ref().is_some_and(|b| b.contains_key(&key));
            let source = match self.seen.get_mut(&key) {
                Some(s) if !s.found => {
                    s.found = true;
                    Some(s.row)
                }
                // None, or a second row of the key.
                _ => None,
            };
            if source != Some(row) {
                self.differs(key, source, Some(row));
                if before {
                    self.name(batch, i, key)?;
                }
            }
        }
        Ok(())
    }

    /// The rows of the source in this slice are complete.
    fn end_slice(&mut self) {
        let missing: Vec<(Key, Key)> = self.seen.iter().filter(|(_, s)| !s.found).map(|(k, s)| (*k, s.row)).collect();
        missing.into_iter().for_each(|(key, row)| self.differs(key, Some(row), None));
        self.seen = KeyMap::default();
        self.slice += 1;
    }

    /// All slices were looked at: what is known by now. Another look may follow.
    fn end_look(&mut self) -> Value {
        let now = std::mem::take(&mut self.now);
        let (mut counts, mut open, mut told) = (Map::new(), self.more, vec![]);
        for kind in ["missing", "extra", "changed"] {
            counts.insert(kind.into(), json!(0));
        }
        for (key, d) in &now {
            if self.before.as_ref().and_then(|b| b.get(key)) != Some(d) {
                open += 1;
                continue;
            }
            counts[d.kind()] = json!(counts[d.kind()].as_i64().unwrap_or(0) + 1);
            if let Some(name) = self.names.get(key).filter(|_| told.len() < self.limit) {
                told.push(json!({"kind": d.kind(), "key": name}));
            }
        }
        let result = json!({"source_rows": self.source, "target_rows": self.target, "counts": counts, "open": open,
            "differences": told});
        self.before = Some(now);
        (self.slice, self.source, self.target, self.more) = (0, 0, 0, 0);
        self.names = KeyMap::default();
        result
    }
}

const KNOWN: [&str; 5] = ["key", "columns", "deleted", "slices", "limit"];

/// The column and the text that mark a row as deleted.
fn mark(o: &Object) -> Result<Option<(String, String)>> {
    let text = |d: &Map<String, Value>, n: &str| d.get(n).and_then(Value::as_str).unwrap_or_default().to_string();
    Ok(o.object("deleted")?.map(|d| (text(d, "column"), text(d, "is"))))
}

/// Which rows have the mark.
fn marked(batch: &RecordBatch, mark: &Option<(String, String)>) -> impl Fn(usize) -> bool + use<> {
    let found = mark
        .as_ref()
        .and_then(|(column, text)| Some((batch.column_by_name(column)?.as_string_opt::<i32>()?.clone(), text.clone())));
    move |i| found.as_ref().is_some_and(|(m, text)| !m.is_null(i) && m.value(i) == text)
}

impl Table {
    /// Rows without those that are marked as deleted.
    pub fn count_rows(&mut self, text: &str) -> Result<u64> {
        let v = parse("the settings of a comparison", text)?;
        let mark = mark(&Object::new("the settings of a comparison", &v, &KNOWN)?)?;
        let columns: Vec<&String> = mark.iter().map(|(column, _)| column).collect();
        let mut scan = self.scan(&json!({"columns": columns}).to_string())?;
        let mut count = 0;
        while let Some(batch) = scan.step()? {
            let is_gone = marked(&batch, &mark);
            count += (0..batch.num_rows()).filter(|i| !is_gone(*i)).count() as u64;
        }
        Ok(count)
    }

    /// The rows of the slice are complete: those of the table, as it is now. None: another slice follows.
    pub fn compare(&mut self, c: &mut Compare) -> Result<Option<Value>> {
        let mut columns: Vec<String> = c.columns.fields().iter().map(|f| f.name().clone()).collect();
        if let Some((column, _)) = c.deleted.as_ref().filter(|d| !columns.contains(&d.0)) {
            columns.push(column.clone());
        }
        let mut scan = self.scan(&json!({"columns": columns}).to_string())?;
        while let Some(batch) = scan.step()? {
            c.target_rows(&batch)?;
        }
        c.end_slice();
        Ok((c.slice == c.slices).then(|| c.end_look()))
    }
}
