//! Following a table of Iceberg: its snapshots, and the changes of each.
//!
//! A snapshot's own manifests name the files that came and went with it, and no others are read: rows of new data files
//! came, rows that new files of position deletes name went (of deletion vectors those that the ones before lack). Where both have one key it was an update. Snapshots that
//! replace files (compaction) change nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::SchemaRef;
use roaring::RoaringTreemap;
use serde_json::{Map, Value, json};

use crate::answer::{Fail, Result, fatal};
use crate::data::Wanted;
use crate::follow;
use crate::iceberg::catalog::inside;
use crate::iceberg::manifest::{self, ADDED, DATA, DELETED, Entry};
use crate::iceberg::pair::Pairing;
use crate::iceberg::{KEY, OFFSETS, ROWS, metadata, positions};
use crate::log::BATCH;
use crate::scan::Piece;
use crate::settings::Object;
use crate::store::{Store, missing};
use crate::table::Table;

fn expired(version: i64, root: &str, oldest: i64) -> Fail {
    Fail::Gone(format!("version {version} of {root} has expired: the oldest that is left is {oldest}"))
}

fn sequence(s: &Value) -> i64 {
    s["sequence-number"].as_i64().unwrap_or(0)
}

fn time_ms(s: &Value) -> i64 {
    s["timestamp-ms"].as_i64().unwrap_or(0)
}

/// Its rows are those of the snapshot before it.
fn is_replace(s: &Value) -> bool {
    s["summary"]["operation"] == "replace"
}

fn figure(s: &Value, name: &str) -> Option<i64> {
    s["summary"][name].as_str().and_then(|n| n.parse().ok())
}

fn offsets(s: &Value) -> Map<String, Value> {
    let moved = s["summary"][OFFSETS].as_str().and_then(|t| serde_json::from_str::<Map<String, Value>>(t).ok());
    follow::named(moved.unwrap_or_default())
}

impl Table {
    /// The snapshots that led to the newest, the oldest first.
    fn snapshots(&self) -> Result<Vec<&Value>> {
        let mut line = metadata::ancestors(&self.ice()?.loaded.metadata);
        line.reverse();
        Ok(line)
    }

    /// As `range` of Delta Lake; versions are sequence numbers.
    pub fn range_iceberg(&self, o: &Object, all: bool) -> Result<(i64, i64)> {
        let ice = self.ice()?;
        let line = self.snapshots()?;
        let oldest = line.first().map_or(0, |s| sequence(s));
        let newest = line.last().map_or(0, |s| sequence(s));
        // Nothing came before the oldest.
        let whole = line.first().is_none_or(|s| s["parent-snapshot-id"].as_i64().is_none_or(|p| p < 0));
        let by_id = |name: &str| -> Result<Option<i64>> {
            let Some(id) = o.number(name)? else { return Ok(None) };
            let found = line.iter().find(|s| s["snapshot-id"] == id).map(|s| sequence(s));
            found.map(Some).ok_or_else(|| {
                fatal!(
                    "the snapshot {id} is not among those that led to what {} is now: it has expired, or never was",
                    ice.root
                )
            })
        };
        let pick = |a: &str, b: &str| -> Result<Option<i64>> {
            match (o.number(a)?.map(|v| v as i64), by_id(b)?) {
                (Some(_), Some(_)) => Err(fatal!("\"{a}\" and \"{b}\" exclude each other")),
                (a, b) => Ok(a.or(b)),
            }
        };
        let to = pick("to", "to_snapshot")?.unwrap_or(newest).min(newest);
        let from = match (pick("from", "from_snapshot")?, o.get("since_ms").and_then(Value::as_i64)) {
            (Some(_), Some(_)) => return Err(fatal!("a first version and \"since_ms\" exclude each other")),
            (Some(from), None) => from,
            (None, Some(since)) => match line.iter().position(|s| time_ms(s) >= since) {
                Some(0) if all && !whole => {
                    return Err(fatal!(
                        "the snapshots of {} begin at {oldest}, which is younger than that: what was before has expired",
                        ice.root
                    ));
                }
                at => at.map_or(newest + 1, |i| sequence(line[i])),
            },
            (None, None) if all => newest + 1,
            (None, None) => 0,
        };
        if from > newest + 1 {
            return Err(fatal!("the newest version of {} is {newest}: there is no {from} yet", ice.root));
        }
        if !all {
            let limit = o.number("limit")?.map_or(usize::MAX, |n| n as usize);
            let within: Vec<i64> = line.iter().map(|s| sequence(s)).filter(|n| (from..=to).contains(n)).collect();
            return Ok((within.get(within.len().saturating_sub(limit)).copied().unwrap_or(to + 1), to));
        }
        if !whole && from < oldest {
            return Err(expired(from, &ice.root, oldest));
        }
        self.check_line(from - 1, &line)?;
        Ok((from, to))
    }

    /// The newest version whose rows the table has; those of branches are not its.
    pub fn newest_snapshot(&self) -> Result<i64> {
        Ok(metadata::current(&self.ice()?.loaded.metadata).map_or(0, sequence))
    }

    /// Can the changes of the version be told, and do they follow upon those of the one before?
    pub fn check_version(&self, version: i64) -> Result<()> {
        let line = self.snapshots()?;
        match line.first() {
            Some(s) if version < sequence(s) && s["parent-snapshot-id"].as_i64().is_some_and(|p| p >= 0) => {
                Err(expired(version, &self.ice()?.root, sequence(s)))
            }
            _ => self.check_line(version - 1, &line),
        }
    }

    /// When the version was committed; 0: nobody knows.
    pub fn time_of(&self, version: i64) -> Result<i64> {
        Ok(self.snapshots()?.into_iter().find(|s| sequence(s) == version).map_or(0, time_ms))
    }

    /// The columns that name a row.
    pub fn key_iceberg(&self) -> Result<Vec<String>> {
        Ok(self.source()?.key)
    }

    /// A version that was left behind led to other rows than those that what follows here begins with.
    fn check_line(&self, version: i64, line: &[&Value]) -> Result<()> {
        let v = &self.ice()?.loaded.metadata;
        let of = |id: &Value| metadata::snapshots(v).iter().find(|s| s["snapshot-id"] == *id);
        let log = v["snapshot-log"].as_array().map(Vec::as_slice).unwrap_or_default();
        let was = log.iter().filter_map(|l| of(&l["snapshot-id"])).any(|s| sequence(s) == version);
        if was && !line.iter().any(|s| sequence(s) == version) {
            return Err(Fail::Gone(format!(
                "the table in {} was set back to a snapshot before version {version}, so what followed does not begin there: \
                 read the table anew, and go on with the versions that `versions` lists",
                self.ice()?.root
            )));
        }
        Ok(())
    }

    /// Those of the versions from … to.
    pub fn versions_iceberg(&mut self, from: i64, to: i64) -> Result<Vec<Value>> {
        let list: Vec<Value> =
            self.snapshots()?.into_iter().filter(|s| (from..=to).contains(&sequence(s))).cloned().collect();
        list.iter().map(|s| self.described(s)).collect()
    }

    fn described(&mut self, s: &Value) -> Result<Value> {
        let mut bytes = [figure(s, "added-files-size"), figure(s, "removed-files-size")].map(|n| n.unwrap_or(0));
        let sum = |names: [&str; 2]| names.iter().filter_map(|n| figure(s, n)).sum::<i64>();
        let added = sum(["added-data-files", "added-delete-files"]);
        let removed = sum(["deleted-data-files", "removed-delete-files"]);
        // A writer that does not say how large they are.
        if bytes == [0, 0] && added + removed > 0 {
            let came = Came::read(&*self.store, &self.ice()?.root, s)?;
            let size = |files: &[&Vec<Entry>]| files.iter().flat_map(|l| l.iter()).map(|e| e.file.bytes).sum();
            bytes = [size(&[&came.added, &came.deletes]), size(&[&came.removed, &came.folded])];
        }
        let rows = match self.rows_of(s) {
            Ok(rows) => rows,
            Err(e @ Fail::Retry(_)) => return Err(e),
            // Its files are gone.
            Err(_) => Value::Null,
        };
        let engine = ["engine-name", "engine-version"].map(|n| s["summary"][n].as_str());
        Ok(json!({
            "version": sequence(s), "snapshot": s["snapshot-id"], "time_ms": time_ms(s),
            "operation": s["summary"]["operation"], "engine": engine[0].map(|n| [n, engine[1].unwrap_or("?")].join("/")),
            "rows": rows, "files_added": added, "bytes_added": bytes[0], "files_removed": removed,
            "bytes_removed": bytes[1], "offsets": offsets(s),
        }))
    }

    /// As our own commits say, else counted.
    fn rows_of(&mut self, s: &Value) -> Result<Value> {
        if let Some(rows) = s["summary"][ROWS].as_str().and_then(|t| serde_json::from_str::<Value>(t).ok()) {
            return Ok(rows);
        }
        let (append, none) =
            (s["summary"]["operation"] == "append", json!({"inserted": 0, "updated": 0, "deleted": 0}));
        if is_replace(s) {
            return Ok(none);
        }
        if let (true, Some(n)) = (append && figure(s, "added-delete-files").is_none(), figure(s, "added-records")) {
            return Ok(json!({"inserted": n, "updated": 0, "deleted": 0}));
        }
        let version = sequence(s);
        let count = self.count_changes(version)?;
        Ok(json!({"inserted": count[0], "updated": count[2], "deleted": count[3]}))
    }

    /// What the changes of versions are found by.
    pub fn source(&self) -> Result<Source> {
        let ice = self.ice()?;
        let line = self.snapshots()?;
        let schema = metadata::schema(&ice.loaded.metadata)?;
        let ids = schema["identifier-field-ids"].as_array().cloned().unwrap_or_default();
        let fields = schema["fields"].as_array().cloned().unwrap_or_default();
        let of_schema: Vec<String> = ids
            .iter()
            .filter_map(|id| fields.iter().find(|f| f["id"] == *id)?["name"].as_str().map(str::to_string))
            .collect();
        let own = line.iter().rev().find_map(|s| key_of(s)).unwrap_or_default();
        Ok(Source {
            root: ice.root.clone(),
            key: if own.is_empty() { of_schema } else { own },
            columns: self.columns()?,
            snapshots: line.into_iter().map(|s| (sequence(s), s.clone())).collect(),
        })
    }
}

/// The columns that name a row, as the snapshot says.
fn key_of(s: &Value) -> Option<Vec<String>> {
    serde_json::from_str(s["summary"][KEY].as_str()?).ok()
}

/// Files that came and went with one snapshot.
#[derive(Default)]
struct Came {
    added: Vec<Entry>,
    removed: Vec<Entry>,
    /// Delete files that are new.
    deletes: Vec<Entry>,
    /// Delete files that went, and those of the manifests that were read that stay.
    folded: Vec<Entry>,
    kept: Vec<Entry>,
    /// Manifests of earlier snapshots.
    older: Vec<manifest::Manifest>,
}

fn get(store: &dyn Store, root: &str, path: &str) -> Result<bytes::Bytes> {
    store.get(&inside(root, path)?)?.ok_or_else(|| missing(path))
}

impl Came {
    fn read(store: &dyn Store, root: &str, s: &Value) -> Result<Came> {
        let path = s["manifest-list"].as_str().ok_or_else(|| fatal!("a snapshot without a manifest list"))?;
        let list = manifest::read_list(&get(store, root, path)?).map_err(|e| e.about(path))?;
        let id = s["snapshot-id"].as_i64().unwrap_or(0);
        let mut came = Came::default();
        for m in list {
            if m.snapshot != id {
                came.older.push(m);
                continue;
            }
            for e in manifest::read(&get(store, root, &m.path)?, &m).map_err(|e| e.about(&m.path))? {
                let own = e.snapshot == id;
                match (e.file.content == DATA, e.status) {
                    (true, ADDED) if own => came.added.push(e),
                    (true, DELETED) if own => came.removed.push(e),
                    (false, ADDED) if own => came.deletes.push(e),
                    (false, DELETED) if own => came.folded.push(e),
                    (false, _) => came.kept.push(e),
                    (true, _) => {}
                }
            }
        }
        Ok(came)
    }

    /// Rows that earlier snapshots took out of these data files, by their names.
    fn gone_before(
        &self,
        store: &dyn Store,
        root: &str,
        of: &HashSet<String>,
    ) -> Result<HashMap<String, RoaringTreemap>> {
        let of_others = |e: &Entry| {
            let one = e.file.referenced().and_then(|path| inside(root, path).ok());
            one.is_some_and(|name| !of.contains(&name))
        };
        let mut files: Vec<Entry> = self.folded.iter().chain(&self.kept).cloned().collect();
        for m in self.older.iter().filter(|m| m.content != DATA && m.is_alive()) {
            let live = manifest::read(&get(store, root, &m.path)?, m).map_err(|e| e.about(&m.path))?;
            files.extend(live.into_iter().filter(|e| e.status != DELETED));
        }
        let mut gone: HashMap<String, RoaringTreemap> = HashMap::new();
        for e in files.iter().filter(|e| !of_others(e)) {
            check(e)?;
            for (name, rows) in positions::read(store, root, e)? {
                *gone.entry(name).or_default() |= rows;
            }
        }
        Ok(gone)
    }
}

fn check(e: &Entry) -> Result<()> {
    if e.file.is_equality() {
        return Err(fatal!(
            "{} has equality deletes of another writer, of which this engine cannot say which rows they took out",
            e.file.path
        ));
    }
    if e.file.format != "PARQUET" && !e.file.is_vector() {
        return Err(fatal!("{} is a file of {}, of which this engine reads Parquet alone", e.file.path, e.file.format));
    }
    Ok(())
}

pub struct Source {
    root: String,
    snapshots: BTreeMap<i64, Value>,
    /// The columns that name a row, where a snapshot does not say so itself.
    key: Vec<String>,
    /// All columns of the table.
    columns: SchemaRef,
}

/// A version's offsets, and where its changes are.
pub struct Found {
    pub offsets: Map<String, Value>,
    pub pieces: Vec<Piece>,
}

impl Source {
    pub fn versions(&self, from: i64, to: i64) -> impl Iterator<Item = i64> + '_ {
        // A range that is empty may be upside down.
        self.snapshots.keys().copied().filter(move |v| (from..=to).contains(v))
    }

    /// Rows as they were come before rows as they are.
    pub fn find(&self, store: &dyn Store, version: i64, wanted: &Wanted) -> Result<Found> {
        let s = self.snapshots.get(&version).ok_or_else(|| fatal!("there is no version {version}"))?;
        let snapshot = s["snapshot-id"].as_i64().unwrap_or(0);
        let mut found = Found { offsets: offsets(s), pieces: vec![] };
        if is_replace(s) {
            return Ok(found);
        }
        let came = Came::read(store, &self.root, s).map_err(|e| e.about(format!("version {version}")))?;
        let piece = |name: &str, kind| Piece {
            name: name.into(),
            values: Map::new(),
            without: None,
            only: None,
            kind: Some(kind),
            before: None,
            by: None,
            version,
            snapshot: Some(snapshot),
            time_ms: time_ms(s),
        };
        let mut going: BTreeMap<String, RoaringTreemap> = BTreeMap::new();
        for e in &came.deletes {
            check(e)?;
            for (name, rows) in positions::read(store, &self.root, e)? {
                *going.entry(name).or_default() |= rows;
            }
        }
        // Our own files of positions name rows that are there; others may name some that are gone already, and a vector
        // has all that are gone.
        let vectors = came.deletes.iter().any(|e| e.file.is_vector());
        let known = s["summary"][BATCH].is_string() && came.removed.is_empty() && !vectors;
        let before = match going.is_empty() && came.removed.is_empty() || known {
            true => HashMap::new(),
            false => {
                let removed = came.removed.iter().map(|e| inside(&self.root, &e.file.path));
                let of = going.keys().cloned().map(Ok).chain(removed).collect::<Result<HashSet<String>>>()?;
                came.gone_before(store, &self.root, &of)?
            }
        };
        let (mut old, mut new) = (vec![], vec![]);
        for e in &came.removed {
            check(e)?;
            let name = inside(&self.root, &e.file.path)?;
            going.remove(&name);
            let mut p = piece(&name, "delete");
            p.without = before.get(&name).cloned().map(Arc::new);
            old.push(p);
        }
        for e in &came.added {
            check(e)?;
            let name = inside(&self.root, &e.file.path)?;
            let mut p = piece(&name, "insert");
            // Rows that came and went at once were never there.
            p.without = going.remove(&name).map(Arc::new);
            new.push(p);
        }
        for (name, rows) in going {
            let rows = match before.get(&name) {
                Some(gone) => rows - gone,
                None => rows,
            };
            if !rows.is_empty() {
                let mut p = piece(&name, "delete");
                p.only = Some(rows);
                old.push(p);
            }
        }
        if !old.is_empty() && !new.is_empty() {
            let key = key_of(s).unwrap_or_else(|| self.key.clone());
            let by = Pairing { store, all: &self.columns, wanted: &wanted.columns, copied: !came.removed.is_empty() };
            by.pair(&key, &mut old, &mut new)?;
        }
        found.pieces = old;
        found.pieces.append(&mut new);
        Ok(found)
    }
}
