//! Reading rows and changes, as streams.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchReader, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use roaring::RoaringTreemap;
use serde_json::{Map, Value};

use crate::answer::{Result, fatal};
use crate::commit::CHANGE;
use crate::data::{self, Rows, Wanted};
use crate::follow::{self, KINDS};
use crate::iceberg::follow::Source;
use crate::iceberg::pair::By;
use crate::log::{self, Add, Tomb};
use crate::settings::{Object, parse};
use crate::store::Store;
use crate::table::Table;
use crate::types;

const VERSION: &str = "_commit_version";
const TIME: &str = "_commit_timestamp";
const SNAPSHOT: &str = "_commit_snapshot";

/// A file of which rows are given.
pub struct Piece {
    pub name: String,
    pub values: Map<String, Value>,
    /// Rows that are left out.
    pub without: Option<Arc<RoaringTreemap>>,
    /// None: all; otherwise these alone.
    pub only: Option<RoaringTreemap>,
    /// The kind of change; None: the file says it itself.
    pub kind: Option<&'static str>,
    /// Of a file that says it itself: rows as they were (true) or as they are; None: all.
    pub before: Option<bool>,
    /// The kind is another where the other side of the version has the row's key.
    pub by: Option<By>,
    pub version: i64,
    /// Of Iceberg.
    pub snapshot: Option<i64>,
    pub time_ms: i64,
}

impl Piece {
    pub fn open(&self, store: &dyn Store, wanted: &Wanted) -> Result<Rows> {
        let selection =
            self.only.as_ref().map(|rows| data::selection(&rows.iter().map(|r| r as u32).collect::<Vec<_>>()));
        Rows::open(store, &self.name, &self.values, wanted, selection)
    }

    /// The rows of a batch that are not left out; `first` is the batch's first row in its file.
    pub fn left(&self, batch: RecordBatch, first: &mut u64) -> Result<RecordBatch> {
        let from = *first;
        *first += batch.num_rows() as u64;
        match self.only {
            Some(_) => Ok(batch),
            None => data::without(batch, from, self.without.as_deref()),
        }
    }
}

/// Rows or changes, file by file.
pub struct Scan {
    store: Arc<dyn Store>,
    schema: SchemaRef,
    wanted: Wanted,
    changes: bool,
    pieces: VecDeque<Piece>,
    versions: VecDeque<i64>,
    /// Of a table of Iceberg, whose versions are snapshots.
    source: Option<Source>,
    now: Option<(Rows, Piece, u64)>,
    /// Kinds of changes that are given; empty: all.
    kinds: Vec<String>,
    /// Of the version whose changes are being given.
    pub offsets: Option<Value>,
}

impl Table {
    pub fn scan(&mut self, text: &str) -> Result<Scan> {
        self.refresh()?;
        self.scan_known(text)
    }

    /// As `scan`, up to the version that is known.
    pub fn scan_known(&mut self, text: &str) -> Result<Scan> {
        let v = parse("the settings of a scan", text)?;
        let o = Object::new("the settings of a scan", &v, &["columns", "version", "changes"])?;
        let other = match o.number("version")? {
            Some(v) if self.iceberg.is_some() && (self.set.read || v as i64 != self.state.version) => {
                Some(self.iceberg_at(Some(v as i64))?)
            }
            Some(v) if v as i64 != self.state.version => Some(log::load(&*self.store, Some(v as i64))?),
            // What is only read knows its schema, and not its files.
            None if self.iceberg.is_some() && self.set.read && o.get("changes").is_none() => {
                Some(self.iceberg_at(None)?)
            }
            _ => None,
        };
        let state = other.as_ref().unwrap_or(&self.state);
        let mut fields: Vec<Field> =
            state.schema()?.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let columns = o.texts("columns")?;
        if o.get("columns").is_some() {
            let find = |n: &String| fields.iter().find(|f| f.name() == n).cloned();
            fields = columns
                .iter()
                .map(|n| find(n).ok_or_else(|| fatal!("the table has no column {n}")))
                .collect::<Result<_>>()?;
        }
        let wanted = Wanted { columns: Arc::new(Schema::new(fields.clone())) };
        let mut scan = Scan {
            store: self.store.clone(),
            schema: wanted.columns.clone(),
            wanted,
            changes: false,
            pieces: VecDeque::new(),
            versions: VecDeque::new(),
            source: None,
            now: None,
            kinds: vec![],
            offsets: None,
        };
        if let Some(c) = o.get("changes") {
            let c = Object::new("\"changes\"", c, &["from", "to", "types"])?;
            scan.kinds = c.texts("types")?;
            if let Some(k) = scan.kinds.iter().find(|k| !KINDS.contains(&k.as_str())) {
                return Err(fatal!("there are no changes of the kind {k}; known are {}", KINDS.join(", ")));
            }
            let from = c.number("from")?.ok_or_else(|| fatal!("\"changes\" lacks \"from\""))? as i64;
            let to = c.number("to")?.map_or(self.state.version, |v| v as i64).min(self.state.version);
            fields.push(Field::new(CHANGE, DataType::Utf8, false));
            fields.push(Field::new(VERSION, DataType::Int64, false));
            fields.push(Field::new(TIME, types::utc(), true));
            scan.versions = (from..=to).collect();
            if self.iceberg.is_some() {
                fields.push(Field::new(SNAPSHOT, DataType::Int64, false));
                let source = self.source()?;
                scan.versions = source.versions(from, to).collect();
                scan.source = Some(source);
            }
            scan.schema = Arc::new(Schema::new(fields));
            scan.changes = true;
            return Ok(scan);
        }
        for (_, f) in state.live() {
            let gone = match (&f.gone, &f.add.dv) {
                (Some(g), _) => Some(g.clone()),
                (None, Some(dv)) => Some(Arc::new(dv.load(&*self.store)?)),
                (None, None) => None,
            };
            scan.pieces.push_back(Piece {
                name: f.add.file()?,
                values: f.add.values.clone(),
                without: gone,
                only: None,
                kind: None,
                before: None,
                by: None,
                snapshot: None,
                version: state.version,
                time_ms: 0,
            });
        }
        Ok(scan)
    }
}

impl Scan {
    /// The files of a version in which its changes stand.
    fn version(&mut self, version: i64) -> Result<()> {
        if let Some(source) = &self.source {
            let found = source.find(&*self.store, version, &self.wanted)?;
            self.offsets = Some(Value::Object(found.offsets));
            self.pieces.extend(found.pieces);
            return Ok(());
        }
        let actions = log::actions(&*self.store, version)?;
        let time_ms = follow::time_ms(&actions);
        self.offsets = Some(Value::Object(follow::offsets(&actions)));
        let piece = |path: &str, values: &Map<String, Value>, kind| -> Result<Piece> {
            Ok(Piece {
                name: log::file_of(path)?,
                values: values.clone(),
                without: None,
                only: None,
                kind,
                before: None,
                by: None,
                version,
                snapshot: None,
                time_ms,
            })
        };
        let cdc: Vec<&Value> = actions.iter().map(|a| &a["cdc"]).filter(|c| c.is_object()).collect();
        if !cdc.is_empty() {
            // Over all files: a row may have gone from one partition to another.
            for before in [true, false] {
                for c in &cdc {
                    let values = c["partitionValues"].as_object().cloned().unwrap_or_default();
                    let mut p = piece(c["path"].as_str().unwrap_or_default(), &values, None)?;
                    p.before = Some(before);
                    self.pieces.push_back(p);
                }
            }
            return Ok(());
        }
        let load = |dv: &Option<crate::dv::Dv>| dv.as_ref().map(|d| d.load(&*self.store).map(Arc::new)).transpose();
        let changed = |kind: &'static str| {
            actions.iter().map(move |a| &a[kind]).filter(|v| v.is_object() && v["dataChange"] != false)
        };
        let adds: Vec<Add> = changed("add").map(Add::read).collect::<Result<_>>()?;
        let added: HashMap<&str, &Add> = adds.iter().map(|a| (a.path.as_str(), a)).collect();
        let mut kept: HashMap<String, Tomb> = HashMap::new();
        let mut pieces = vec![];
        for r in changed("remove") {
            let tomb = Tomb::read(r)?;
            let old = load(&tomb.dv)?;
            let mut p = piece(&tomb.path, &tomb.values, Some("delete"))?;
            if let Some(add) = added.get(tomb.path.as_str()) {
                let new = load(&add.dv)?.as_deref().cloned().unwrap_or_default();
                p.only = Some(new - old.as_deref().cloned().unwrap_or_default());
                kept.insert(tomb.path.clone(), tomb);
            }
            p.without = old;
            pieces.push(p);
        }
        for a in &adds {
            let mut p = piece(&a.path, &a.values, Some("insert"))?;
            p.without = load(&a.dv)?;
            if let Some(tomb) = kept.get(&a.path) {
                let old = load(&tomb.dv)?.as_deref().cloned().unwrap_or_default();
                p.only = Some(old - p.without.as_deref().cloned().unwrap_or_default());
            }
            pieces.push(p);
        }
        self.pieces.extend(pieces.into_iter().filter(|p| p.only.as_ref().is_none_or(|o| !o.is_empty())));
        Ok(())
    }

    fn open(&self, p: &Piece) -> Result<Rows> {
        let mut wanted = self.wanted.clone();
        if self.changes && p.kind.is_none() {
            let mut fields: Vec<Arc<Field>> = wanted.columns.fields().iter().cloned().collect();
            fields.push(Arc::new(Field::new(CHANGE, DataType::Utf8, true)));
            wanted.columns = Arc::new(Schema::new(fields));
        }
        if let Some(by) = &p.by {
            wanted.columns = by.columns.clone();
        }
        p.open(&*self.store, &wanted)
    }

    /// Files in the order of their names, which is the same however the log was read.
    pub fn in_order(mut self) -> Scan {
        self.pieces.make_contiguous().sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    /// May the file have rows of a kind that is given?
    fn wants(&self, piece: &Piece) -> bool {
        let before = piece.before.or(piece.kind.map(|k| k == "delete"));
        let is_before = |k: &String| k == "delete" || k == "update_preimage";
        self.kinds.is_empty() || before.is_none_or(|b| self.kinds.iter().any(|k| is_before(k) == b))
    }

    pub fn step(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some((rows, piece, first)) = &mut self.now {
                let Some(batch) = rows.next().transpose()? else {
                    self.now = None;
                    continue;
                };
                let batch = piece.left(batch, first)?;
                if batch.num_rows() == 0 {
                    continue;
                }
                if !self.changes {
                    return Ok(Some(batch));
                }
                let half: &[&str] = match piece.before {
                    None => &[],
                    Some(true) => &["update_preimage", "delete"],
                    Some(false) => &["insert", "update_postimage"],
                };
                let batch = of_kinds(of_kinds(marked(batch, piece, &self.schema)?, half)?, &self.kinds)?;
                if batch.num_rows() > 0 {
                    return Ok(Some(batch));
                }
            }
            if let Some(piece) = self.pieces.pop_front() {
                if !self.wants(&piece) {
                    continue;
                }
                self.now = Some((self.open(&piece)?, piece, 0));
            } else if let Some(v) = self.versions.pop_front() {
                self.version(v)?;
            } else {
                return Ok(None);
            }
        }
    }
}

/// The batch with the columns that say what change it was.
fn marked(batch: RecordBatch, piece: &Piece, schema: &SchemaRef) -> Result<RecordBatch> {
    let mut n = batch.num_rows();
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    match (piece.kind, &piece.by) {
        (Some(kind), Some(by)) => {
            let (batch, kinds) = by.kinds(batch, kind)?;
            n = kinds.len();
            columns = batch.columns().to_vec();
            columns.push(Arc::new(kinds));
        }
        (Some(kind), None) => columns.push(Arc::new(StringArray::from(vec![kind; n]))),
        (None, _) => {}
    }
    columns.push(Arc::new(Int64Array::from(vec![piece.version; n])));
    let times = TimestampMicrosecondArray::from(vec![piece.time_ms.saturating_mul(1000); n]);
    columns.push(Arc::new(times.with_timezone("UTC")));
    if let Some(id) = piece.snapshot {
        columns.push(Arc::new(Int64Array::from(vec![id; n])));
    }
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

fn of_kinds<K: AsRef<str>>(batch: RecordBatch, kinds: &[K]) -> Result<RecordBatch> {
    let Some(column) = batch.column_by_name(CHANGE).filter(|_| !kinds.is_empty()) else { return Ok(batch) };
    let keep: BooleanArray = column
        .as_string::<i32>()
        .iter()
        .map(|kind| kind.map(|kind| kinds.iter().any(|k| k.as_ref() == kind)))
        .collect();
    Ok(arrow_select::filter::filter_record_batch(&batch, &keep)?)
}

impl Iterator for Scan {
    type Item = std::result::Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().map_err(|e| ArrowError::ExternalError(Box::new(e))).transpose()
    }
}

impl RecordBatchReader for Scan {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}
