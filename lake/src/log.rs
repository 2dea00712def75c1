//! The log of a Delta table: its state at a version, and how an entry changes it.
//!
//! https://github.com/delta-io/delta/blob/master/PROTOCOL.md. Own commits and those of others go through the same
//! `apply`, so that a table that was written and one that is opened anew cannot differ.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use arrow_schema::SchemaRef;
use roaring::RoaringTreemap;
use serde_json::{Map, Value, json};

use crate::answer::{Fail, Result, fatal};
use crate::checkpoint;
use crate::dv::Dv;
use crate::store::{Store, missing};
use crate::types;

pub const LOG: &str = "_delta_log";
pub const HINT: &str = "_delta_log/_last_checkpoint";
/// How often the log is listed at most, where it is another one each time.
const LISTINGS: usize = 20;
/// The key under which a commit's batch id stands in its commitInfo.
pub const BATCH: &str = "ods.commit";
/// Batch ids that are remembered, the newest.
const BATCHES: usize = 256;

pub fn entry_name(version: i64) -> String {
    format!("{LOG}/{version:020}.json")
}

#[derive(Clone, Debug)]
pub struct Add {
    pub path: String,
    pub values: Map<String, Value>,
    pub size: i64,
    pub modified_ms: i64,
    pub data_change: bool,
    pub stats: Option<String>,
    pub tags: Option<Value>,
    pub dv: Option<Dv>,
}

impl Add {
    pub fn read(v: &Value) -> Result<Add> {
        Ok(Add {
            path: v["path"].as_str().ok_or_else(|| fatal!("an add without a path"))?.into(),
            values: v["partitionValues"].as_object().cloned().unwrap_or_default(),
            size: v["size"].as_i64().unwrap_or(0),
            modified_ms: v["modificationTime"].as_i64().unwrap_or(0),
            data_change: v["dataChange"].as_bool().unwrap_or(true),
            stats: v["stats"].as_str().map(str::to_string),
            tags: v.get("tags").filter(|t| t.is_object()).cloned(),
            dv: v.get("deletionVector").filter(|d| d.is_object()).map(Dv::read).transpose()?,
        })
    }

    pub fn json(&self) -> Value {
        let mut m = Map::new();
        m.insert("path".into(), json!(self.path));
        m.insert("partitionValues".into(), Value::Object(self.values.clone()));
        m.insert("size".into(), json!(self.size));
        m.insert("modificationTime".into(), json!(self.modified_ms));
        m.insert("dataChange".into(), json!(self.data_change));
        if let Some(s) = &self.stats {
            m.insert("stats".into(), json!(s));
        }
        if let Some(t) = &self.tags {
            m.insert("tags".into(), t.clone());
        }
        if let Some(d) = &self.dv {
            m.insert("deletionVector".into(), d.json());
        }
        Value::Object(m)
    }

    /// The remove of this file as it is.
    pub fn remove(&self, now_ms: i64, data_change: bool) -> Value {
        Tomb {
            path: self.path.clone(),
            values: self.values.clone(),
            size: self.size,
            dv: self.dv.clone(),
            at_ms: now_ms,
        }
        .json(data_change)
    }

    /// Rows of the file, deleted ones included.
    pub fn rows(&self) -> Option<u64> {
        let stats: Value = serde_json::from_str(self.stats.as_deref()?).ok()?;
        stats["numRecords"].as_u64()
    }

    /// The file's name in the table.
    pub fn file(&self) -> Result<String> {
        file_of(&self.path)
    }
}

/// Paths of the log are relative and percent-encoded.
pub fn file_of(path: &str) -> Result<String> {
    if path.contains("://") || path.starts_with('/') || path.starts_with("file:") {
        return Err(fatal!(
            "the table names a file outside of it ({path}), as a shallow clone does: this engine does not read it"
        ));
    }
    let (raw, mut out) = (path.as_bytes(), vec![]);
    let mut i = 0;
    while i < raw.len() {
        let hex = (raw[i] == b'%').then(|| raw.get(i + 1..i + 3).and_then(|h| std::str::from_utf8(h).ok())).flatten();
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(b) => {
                out.push(b);
                i += 3;
            }
            None => {
                out.push(raw[i]);
                i += 1;
            }
        }
    }
    String::from_utf8(out).map_err(|_| fatal!("the path {path} is no text"))
}

/// A file, with the deletion vector that it had, that is no longer part of the table.
#[derive(Clone)]
pub struct Tomb {
    pub path: String,
    pub values: Map<String, Value>,
    pub size: i64,
    pub dv: Option<Dv>,
    pub at_ms: i64,
}

impl Tomb {
    pub fn read(v: &Value) -> Result<Tomb> {
        Ok(Tomb {
            path: v["path"].as_str().ok_or_else(|| fatal!("a remove without a path"))?.into(),
            values: v["partitionValues"].as_object().cloned().unwrap_or_default(),
            size: v["size"].as_i64().unwrap_or(0),
            dv: v.get("deletionVector").filter(|d| d.is_object()).map(Dv::read).transpose()?,
            at_ms: v["deletionTimestamp"].as_i64().unwrap_or(0),
        })
    }

    pub fn json(&self, data_change: bool) -> Value {
        let mut m = Map::new();
        m.insert("path".into(), json!(self.path));
        m.insert("deletionTimestamp".into(), json!(self.at_ms));
        m.insert("dataChange".into(), json!(data_change));
        m.insert("extendedFileMetadata".into(), json!(true));
        m.insert("partitionValues".into(), Value::Object(self.values.clone()));
        m.insert("size".into(), json!(self.size));
        if let Some(d) = &self.dv {
            m.insert("deletionVector".into(), d.json());
        }
        Value::Object(m)
    }
}

pub struct DataFile {
    pub add: Add,
    /// Rows that are gone, once they were read.
    pub gone: Option<Arc<RoaringTreemap>>,
}

impl DataFile {
    /// Which partition it is of, as one text.
    pub fn partition(&self) -> String {
        Value::Object(self.add.values.clone()).to_string()
    }

    pub fn gone_rows(&self) -> u64 {
        match (&self.add.dv, &self.gone) {
            (Some(dv), _) => dv.cardinality.max(0) as u64,
            (None, gone) => gone.as_ref().map_or(0, |g| g.len()),
        }
    }
}

/// What an entry of the log did to the data files; numbers are places in `State::files`.
pub enum Touched {
    New(u32),
    Gone(u32),
    /// Another deletion vector.
    Rows(u32),
}

/// A table at a version.
#[derive(Default)]
pub struct State {
    pub version: i64,
    pub metadata: Value,
    pub protocol: Value,
    pub schema: Option<SchemaRef>,
    /// appId → version, and when.
    pub txns: HashMap<String, (i64, Option<i64>)>,
    pub domains: BTreeMap<String, Value>,
    /// Live files; a place is not used again while the state lives, so that the index may name it.
    pub files: Vec<Option<DataFile>>,
    pub by_path: HashMap<String, u32>,
    pub tombs: Vec<Tomb>,
    /// Batch ids of the newest commits.
    pub batches: VecDeque<(String, i64)>,
    /// The newest checkpoint known.
    pub checkpoint: i64,
}

/// Features of tables that readers have to know.
const READ: [&str; 4] = ["deletionVectors", "timestampNtz", "vacuumProtocolCheck", "appendOnly"];

impl State {
    pub fn schema(&self) -> Result<&SchemaRef> {
        self.schema.as_ref().ok_or_else(|| fatal!("the table has no schema"))
    }

    pub fn partition(&self) -> Vec<String> {
        let columns = self.metadata["partitionColumns"].as_array();
        columns.into_iter().flatten().filter_map(|c| c.as_str().map(str::to_string)).collect()
    }

    pub fn property(&self, name: &str) -> Option<&str> {
        self.metadata["configuration"][name].as_str()
    }

    pub fn flag(&self, name: &str) -> bool {
        self.property(name) == Some("true")
    }

    pub fn live(&self) -> impl Iterator<Item = (u32, &DataFile)> {
        self.files.iter().enumerate().filter_map(|(i, f)| f.as_ref().map(|f| (i as u32, f)))
    }

    pub fn file(&self, n: u32) -> Result<&DataFile> {
        self.files.get(n as usize).and_then(Option::as_ref).ok_or_else(|| fatal!("the index names a file that is gone"))
    }

    /// Reads a file's deletion vector unless it is known.
    pub fn load_gone(&mut self, store: &dyn Store, n: u32) -> Result<()> {
        if let Some(Some(f)) = self.files.get_mut(n as usize)
            && let (None, Some(dv)) = (&f.gone, &f.add.dv)
        {
            f.gone = Some(Arc::new(dv.load(store)?));
        }
        Ok(())
    }

    pub fn batch(&self, id: &str) -> Option<i64> {
        self.batches.iter().rev().find(|(b, _)| b == id).map(|(_, v)| *v)
    }

    /// Takes one entry of the log, its actions being lines of JSON.
    pub fn apply_entry(&mut self, version: i64, text: &[u8]) -> Result<Vec<Touched>> {
        let actions: std::result::Result<Vec<Value>, _> =
            text.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty()).map(serde_json::from_slice).collect();
        let actions = actions.map_err(|e| fatal!("entry {version} of the log cannot be read: {e}"))?;
        let touched = self.apply(version, &actions).map_err(|e| e.about(format!("entry {version} of the log")))?;
        self.version = version;
        Ok(touched)
    }

    /// Takes the actions of one version. Removes are done first: a file with a new deletion vector is a remove and an
    /// add of one path, in any order.
    pub fn apply(&mut self, version: i64, actions: &[Value]) -> Result<Vec<Touched>> {
        let mut removed: HashMap<String, (u32, DataFile)> = HashMap::new();
        let mut touched = vec![];
        for action in actions {
            let Some((kind, v)) = action.as_object().and_then(|o| o.iter().find(|(_, v)| !v.is_null())) else {
                continue;
            };
            match kind.as_str() {
                "remove" => {
                    let tomb = Tomb::read(v)?;
                    if let Some(&n) = self.by_path.get(&tomb.path)
                        && self.files[n as usize].as_ref().is_some_and(|f| f.add.dv == tomb.dv)
                        && let Some(f) = self.files[n as usize].take()
                    {
                        self.by_path.remove(&tomb.path);
                        removed.insert(tomb.path.clone(), (n, f));
                    }
                    self.tombs.push(tomb);
                }
                "txn" => {
                    let id = v["appId"].as_str().ok_or_else(|| fatal!("a txn without an appId"))?;
                    let n = v["version"].as_i64().ok_or_else(|| fatal!("a txn without a version"))?;
                    self.txns.insert(id.into(), (n, v["lastUpdated"].as_i64()));
                }
                "metaData" => {
                    let text = v["schemaString"].as_str().ok_or_else(|| fatal!("a metaData without a schema"))?;
                    self.schema = Some(types::schema_from_delta(text)?);
                    self.metadata = v.clone();
                }
                "protocol" => self.protocol = v.clone(),
                "domainMetadata" => {
                    let name = v["domain"].as_str().unwrap_or_default().to_string();
                    if v["removed"].as_bool() == Some(true) {
                        self.domains.remove(&name);
                    } else {
                        self.domains.insert(name, v.clone());
                    }
                }
                "commitInfo" => {
                    if let Some(id) = v[BATCH].as_str() {
                        self.batches.push_back((id.into(), version));
                        if self.batches.len() > BATCHES {
                            self.batches.pop_front();
                        }
                    }
                }
                _ => {}
            }
        }
        for action in actions.iter().filter(|a| a["add"].is_object()) {
            let add = Add::read(&action["add"])?;
            if let Some((n, old)) = removed.remove(&add.path) {
                let gone = if old.add.dv == add.dv { old.gone } else { None };
                self.by_path.insert(add.path.clone(), n);
                self.files[n as usize] = Some(DataFile { add, gone });
                touched.push(Touched::Rows(n));
            } else if let Some(&n) = self.by_path.get(&add.path) {
                let old = self.files[n as usize].take();
                let same = old.as_ref().is_some_and(|f| f.add.dv == add.dv);
                let gone = if same { old.and_then(|f| f.gone) } else { None };
                self.files[n as usize] = Some(DataFile { add, gone });
                if !same {
                    touched.push(Touched::Rows(n));
                }
            } else {
                let n = u32::try_from(self.files.len()).map_err(|_| fatal!("the table has too many files"))?;
                self.by_path.insert(add.path.clone(), n);
                self.files.push(Some(DataFile { add, gone: None }));
                touched.push(Touched::New(n));
            }
        }
        touched.extend(removed.into_values().map(|(n, _)| Touched::Gone(n)));
        Ok(touched)
    }

    /// Forgets removes that were made before; the checkpoint then leaves them out too.
    pub fn forget_tombs(&mut self, before_ms: i64) {
        self.tombs.retain(|t| t.at_ms >= before_ms);
    }

    /// Whether this engine may read the table; the error names what is in the way.
    pub fn check_readable(&self) -> Result<()> {
        let reader = self.protocol["minReaderVersion"].as_i64().unwrap_or(1);
        let features = self.protocol["readerFeatures"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if reader > 3 {
            return Err(fatal!("the table's protocol ({reader} for readers) is newer than this engine's (3)"));
        }
        if let Some(f) = features.into_iter().find(|f| !READ.contains(f)) {
            return Err(fatal!("the table has the feature {f}, which this engine does not know"));
        }
        if matches!(self.property("delta.columnMapping.mode"), Some("name" | "id")) {
            return Err(fatal!(
                "the table maps its columns' names (delta.columnMapping.mode), which this engine does not do"
            ));
        }
        Ok(())
    }

    /// Whether this engine may read and write the table; the error names what is in the way.
    pub fn check(&self, upsert: bool) -> Result<()> {
        let reader = self.protocol["minReaderVersion"].as_i64().unwrap_or(1);
        let writer = self.protocol["minWriterVersion"].as_i64().unwrap_or(2);
        if reader > 3 || writer > 7 {
            return Err(fatal!("the table's protocol ({reader}, {writer}) is newer than this engine's (3, 7)"));
        }
        const WRITE: [&str; 9] = [
            "deletionVectors",
            "timestampNtz",
            "vacuumProtocolCheck",
            "appendOnly",
            "invariants",
            "changeDataFeed",
            "checkConstraints",
            "generatedColumns",
            "domainMetadata",
        ];
        let unknown = |list: &Value, known: &[&str]| {
            list.as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .find(|f| !known.contains(f))
                .map(str::to_string)
        };
        if let Some(f) = unknown(&self.protocol["readerFeatures"], &READ)
            .or_else(|| unknown(&self.protocol["writerFeatures"], &WRITE))
        {
            return Err(fatal!(
                "the table has the feature {f}, which this engine does not know: switch it off, or write to another table"
            ));
        }
        let config = self.metadata["configuration"].as_object();
        if let Some((k, _)) = config.into_iter().flatten().find(|(k, _)| k.starts_with("delta.constraints.")) {
            return Err(fatal!("the table has the constraint {}, which this engine does not check: drop it", &k[18..]));
        }
        if matches!(self.property("delta.columnMapping.mode"), Some("name" | "id")) {
            return Err(fatal!(
                "the table maps its columns' names (delta.columnMapping.mode), which this engine does not do"
            ));
        }
        let schema = self.metadata["schemaString"].as_str().unwrap_or_default();
        if schema.contains("\"delta.invariants\"")
            || schema.contains("\"delta.generationExpression\"")
            || schema.contains("\"delta.identity")
        {
            return Err(fatal!(
                "a column of the table has an invariant or is generated, which this engine does not compute"
            ));
        }
        if !upsert {
            return Ok(());
        }
        if self.flag("delta.appendOnly") {
            return Err(fatal!(
                "the table may only be appended to (delta.appendOnly): set it to false, or use the mode history"
            ));
        }
        let dvs = self.protocol["readerFeatures"].as_array().is_some_and(|f| f.iter().any(|f| f == "deletionVectors"));
        if !dvs || !self.flag("delta.enableDeletionVectors") {
            return Err(fatal!(
                "the table has no deletion vectors, which the mode upsert needs: ALTER TABLE … SET TBLPROPERTIES \
                 ('delta.enableDeletionVectors' = 'true'), or write to a new table"
            ));
        }
        Ok(())
    }
}

/// The log's names: entries and whole checkpoints (version → names of its parts).
#[derive(Default, PartialEq)]
struct Names {
    entries: Vec<i64>,
    checkpoints: BTreeMap<i64, Vec<String>>,
    foreign: bool,
}

fn names(store: &dyn Store) -> Result<Names> {
    let mut out = Names::default();
    let mut parts: BTreeMap<(i64, usize), Vec<String>> = BTreeMap::new();
    for e in store.list(LOG)? {
        let Some(file) = e.name.strip_prefix("_delta_log/") else { continue };
        let Some(version) = file.get(..20).and_then(|v| v.parse::<i64>().ok()) else { continue };
        match &file[20..] {
            ".json" => out.entries.push(version),
            ".checkpoint.parquet" => {
                out.checkpoints.insert(version, vec![e.name.clone()]);
            }
            rest if rest.starts_with(".checkpoint.") => match multipart(rest) {
                Some(total) => parts.entry((version, total)).or_default().push(e.name.clone()),
                None => out.foreign = true,
            },
            _ => {}
        }
    }
    for ((version, total), mut files) in parts {
        if files.len() == total {
            files.sort();
            out.checkpoints.entry(version).or_insert(files);
        }
    }
    out.entries.sort_unstable();
    Ok(out)
}

/// The number of parts of ".checkpoint.0000000001.0000000002.parquet".
fn multipart(rest: &str) -> Option<usize> {
    let (n, total) = rest.strip_prefix(".checkpoint.")?.strip_suffix(".parquet")?.split_once('.')?;
    n.parse::<usize>().ok()?;
    total.parse().ok()
}

/// The versions whose entries are there, in order.
pub fn entries(store: &dyn Store) -> Result<Vec<i64>> {
    Ok(names(store)?.entries)
}

/// Whether there is a table.
pub fn exists(store: &dyn Store) -> Result<bool> {
    if store.get(HINT)?.is_some() || store.get(&entry_name(0))?.is_some() {
        return Ok(true);
    }
    let n = names(store)?;
    Ok(!n.entries.is_empty() || !n.checkpoints.is_empty())
}

/// Reads the table at a version, or the newest. What was listed may have expired by another's hand before it is read:
/// then a newer checkpoint has what it said, and the listing is another one.
pub fn load(store: &dyn Store, version: Option<i64>) -> Result<State> {
    let mut listed = names(store)?;
    for _ in 1..LISTINGS {
        match load_listed(store, version, &listed) {
            Err(Fail::Gone(text)) => {
                let now = names(store)?;
                if now == listed {
                    return Err(Fail::Gone(text));
                }
                listed = now;
            }
            done => return done,
        }
    }
    load_listed(store, version, &listed)
}

fn load_listed(store: &dyn Store, version: Option<i64>, names: &Names) -> Result<State> {
    let newest = names.entries.last().copied().max(names.checkpoints.keys().last().copied());
    let Some(newest) = newest else { return Err(fatal!("there is no table in {}", store.place())) };
    let wanted = version.unwrap_or(newest);
    let mut state = State { version: -1, checkpoint: -1, ..State::default() };
    if let Some((v, parts)) = names.checkpoints.range(..=wanted).next_back() {
        for part in parts {
            checkpoint::read(store, part, |actions| state.apply(*v, &actions).map(|_| ()).map_err(|e| e.about(part)))?;
        }
        (state.version, state.checkpoint) = (*v, *v);
    }
    while state.version < wanted {
        let next = state.version + 1;
        let Some(entry) = store.get(&entry_name(next))? else {
            if names.foreign {
                return Err(fatal!(
                    "the table in {} has checkpoints of the second kind, which this engine does not read",
                    store.place()
                ));
            }
            if version.is_some() {
                return Err(Fail::Gone(format!(
                    "version {wanted} of {} is no longer there: its log has expired, or it was never written",
                    store.place()
                )));
            }
            return Err(missing(&format!("{}/{}", store.place(), entry_name(next))));
        };
        state.apply_entry(next, &entry)?;
    }
    if state.metadata.is_null() || state.protocol.is_null() {
        return Err(fatal!("the log of {} has no metadata: it is damaged", store.place()));
    }
    Ok(state)
}

/// What `advance` found.
pub enum Step {
    Newest,
    /// A version of somebody else: it is applied.
    Next(Vec<Touched>),
    /// The log moved on so far that entries are gone: the table has to be loaded anew.
    Lost,
}

/// Takes the next entry of the log if there is one.
pub fn advance(store: &dyn Store, state: &mut State) -> Result<Step> {
    if let Some(entry) = store.get(&entry_name(state.version + 1))? {
        return Ok(Step::Next(state.apply_entry(state.version + 1, &entry)?));
    }
    // Nobody deletes entries without a checkpoint behind them.
    if let Some(hint) = store.get(HINT)? {
        let hint: Value = serde_json::from_slice(&hint).unwrap_or_default();
        let v = hint["version"].as_i64().unwrap_or(-1);
        state.checkpoint = state.checkpoint.max(v.min(state.version));
        if v > state.version {
            // The entry may have come between the two questions.
            if let Some(entry) = store.get(&entry_name(state.version + 1))? {
                return Ok(Step::Next(state.apply_entry(state.version + 1, &entry)?));
            }
            return Ok(Step::Lost);
        }
    }
    Ok(Step::Newest)
}

/// Writes an entry of the log, if nobody has.
pub fn lines(actions: &[Value]) -> Vec<u8> {
    let mut out = vec![];
    for a in actions {
        out.extend(a.to_string().into_bytes());
        out.push(b'\n');
    }
    out
}

pub fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |d| d.as_millis() as i64)
}

/// The actions of a version, for readers of changes.
pub fn actions(store: &dyn Store, version: i64) -> Result<Vec<Value>> {
    let name = entry_name(version);
    let entry = store.get(&name)?.ok_or_else(|| {
        Fail::Gone(format!(
            "version {version} of {} is no longer there: its log has expired, or it was never written",
            store.place()
        ))
    })?;
    let lines = entry.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty());
    lines.map(|l| serde_json::from_slice(l).map_err(|e| Fail::Fatal(format!("{name}: {e}")))).collect()
}
