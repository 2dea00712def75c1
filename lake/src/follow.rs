//! Following a table: its versions, and the changes between two of them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::answer::{Fail, Result, fatal};
use crate::commit::CHANGE;
use crate::lines::Lines;
use crate::log::{self, Add, Tomb};
use crate::scan::Scan;
use crate::settings::{Object, parse};
use crate::table::Table;

pub const KINDS: [&str; 4] = ["insert", "update_preimage", "update_postimage", "delete"];
/// What offsets of ods-sink are called in a version's `txn` actions (include/ods/lake.h).
const OURS: &str = "ods:";

/// The offsets that a version stores: "topic:partition" → the next one to be read.
pub fn offsets(actions: &[Value]) -> Map<String, Value> {
    let txns = actions.iter().map(|a| &a["txn"]).filter(|t| t.is_object());
    named(txns.map(|t| (t["appId"].as_str().unwrap_or_default().to_string(), t["version"].clone())))
}

/// Offsets by "topic:partition" in place of their ids.
pub fn named(ids: impl IntoIterator<Item = (String, Value)>) -> Map<String, Value> {
    let mut out = Map::new();
    for (id, offset) in ids {
        // When a position was stored is no offset.
        if id.starts_with(OURS) && id.ends_with("@us") {
            continue;
        }
        let mut parts = id.strip_prefix(OURS).unwrap_or_default().rsplitn(3, ':');
        let name = match (parts.next(), parts.next(), parts.next()) {
            (Some(partition), Some(topic), Some(_)) => format!("{topic}:{partition}"),
            _ => id.clone(),
        };
        let name = if out.contains_key(&name) { id } else { name };
        out.insert(name, offset);
    }
    out
}

pub fn time_ms(actions: &[Value]) -> i64 {
    let info = actions.iter().map(|a| &a["commitInfo"]).find(|i| i.is_object());
    let time = info.and_then(|i| i["inCommitTimestamp"].as_i64().or_else(|| i["timestamp"].as_i64()));
    time.unwrap_or(0)
}

impl Table {
    /// The versions asked for as "from" … "to", from "since_ms" on, or the newest "limit" of them, of those that
    /// can still be read; the answer's first is the older end. `changes` must have all of them, a list need not.
    fn range(&mut self, o: &Object, all: bool) -> Result<(i64, i64)> {
        self.refresh()?;
        if self.iceberg.is_some() {
            return self.range_iceberg(o, all);
        }
        if o.get("from_snapshot").is_some() || o.get("to_snapshot").is_some() {
            return Err(fatal!("{} is a table of Delta Lake, which has versions and no snapshots", self.store.place()));
        }
        let newest = self.state.version;
        let to = o.number("to")?.map_or(newest, |v| v as i64).min(newest);
        let oldest = |t: &Table| -> Result<i64> { Ok(log::entries(&*t.store)?.first().copied().unwrap_or(newest)) };
        let from = match (o.number("from")?, o.get("since_ms").and_then(Value::as_i64)) {
            (Some(_), Some(_)) => return Err(fatal!("\"from\" and \"since_ms\" exclude each other")),
            (Some(from), None) => from as i64,
            (None, Some(since)) => self.since(since, oldest(self)?, all)?,
            (None, None) if all => newest + 1,
            (None, None) => 0,
        };
        if from > newest + 1 {
            return Err(fatal!("the newest version of {} is {newest}: there is no {from} yet", self.store.place()));
        }
        let from = if all { from } else { from.max(oldest(self)?) };
        let limit = o.number("limit")?.map_or(i64::MAX, |n| n as i64);
        Ok((if all { from } else { from.max(to.saturating_sub(limit.saturating_sub(1))) }, to))
    }

    /// The first version that is not older.
    fn since(&self, since: i64, oldest: i64, all: bool) -> Result<i64> {
        let mut version = self.state.version;
        while version >= oldest {
            if time_ms(&log::actions(&*self.store, version)?) < since {
                return Ok(version + 1);
            }
            version -= 1;
        }
        if all && oldest > 0 {
            return Err(fatal!(
                "the log of {} begins at version {oldest}, which is younger than that: what was before has expired",
                self.store.place()
            ));
        }
        Ok(oldest)
    }

    /// A JSON array: each version's time, operation, figures and offsets.
    pub fn versions(&mut self, text: &str) -> Result<String> {
        let v = parse("the settings of versions", text)?;
        let known = ["from", "to", "from_snapshot", "to_snapshot", "since_ms", "limit", "all"];
        let o = Object::new("the settings of versions", &v, &known)?;
        let (from, to) = self.range(&o, o.flag("all")?.unwrap_or(false))?;
        if self.iceberg.is_some() {
            return Ok(Value::Array(self.versions_iceberg(from, to)?).to_string());
        }
        let list: Result<Vec<Value>> = (from..=to).map(|v| self.version(v)).collect();
        Ok(Value::Array(list?).to_string())
    }

    fn version(&mut self, version: i64) -> Result<Value> {
        let actions = log::actions(&*self.store, version)?;
        let info = actions.iter().map(|a| &a["commitInfo"]).find(|i| i.is_object()).cloned().unwrap_or_default();
        let each = |kind: &'static str| actions.iter().map(move |a| &a[kind]).filter(|v| v.is_object());
        let (mut added, mut added_bytes, mut removed, mut removed_bytes) = (0, 0, 0, 0);
        let mut paths = BTreeSet::new();
        for a in each("add") {
            paths.insert(Add::read(a)?.path);
        }
        for t in each("remove").map(Tomb::read) {
            let t = t?;
            // A file that goes and comes has another deletion vector, and stays where it is.
            if !paths.remove(&t.path) {
                removed += 1;
                removed_bytes += t.size;
            }
        }
        for a in each("add").map(Add::read) {
            let a = a?;
            if paths.contains(&a.path) {
                added += 1;
                added_bytes += a.size;
            }
        }
        let rows = match self.rows(version, &info, &actions) {
            Ok(rows) => rows,
            Err(e @ Fail::Retry(_)) => return Err(e),
            // Its files are gone.
            Err(_) => Value::Null,
        };
        Ok(json!({
            "version": version, "time_ms": time_ms(&actions), "operation": info["operation"],
            "engine": info["engineInfo"], "rows": rows,
            "files_added": added, "bytes_added": added_bytes, "files_removed": removed, "bytes_removed": removed_bytes,
            "offsets": offsets(&actions),
        }))
    }

    /// Rows inserted, updated and deleted: as our own commits say, else counted.
    fn rows(&mut self, version: i64, info: &Value, actions: &[Value]) -> Result<Value> {
        let figure = |name: &str| {
            let v = &info["operationMetrics"][name];
            v.as_i64().or_else(|| v.as_str().and_then(|s| s.parse().ok()))
        };
        if info.get(log::BATCH).is_some()
            && let (Some(i), Some(u), Some(d)) =
                (figure("numTargetRowsInserted"), figure("numTargetRowsUpdated"), figure("numTargetRowsDeleted"))
        {
            return Ok(json!({"inserted": i, "updated": u, "deleted": d}));
        }
        let changes = actions.iter().any(|a| {
            a["cdc"].is_object() || ["add", "remove"].iter().any(|k| a[*k].is_object() && a[*k]["dataChange"] != false)
        });
        let count = if changes { self.count_changes(version)? } else { [0; KINDS.len()] };
        Ok(json!({"inserted": count[0], "updated": count[2], "deleted": count[3]}))
    }

    /// How many changes of each kind a version has.
    pub fn count_changes(&mut self, version: i64) -> Result<[i64; KINDS.len()]> {
        let mut count = [0i64; KINDS.len()];
        let how = json!({"columns": [], "changes": {"from": version, "to": version}});
        let mut scan = self.scan_known(&how.to_string())?;
        while let Some(batch) = scan.step()? {
            let kinds = batch.column_by_name(CHANGE).ok_or_else(|| fatal!("changes without {CHANGE}"))?;
            let kinds = arrow_array::cast::AsArray::as_string::<i32>(kinds);
            for kind in kinds.iter().flatten() {
                if let Some(i) = KINDS.iter().position(|k| *k == kind) {
                    count[i] += 1;
                }
            }
        }
        Ok(count)
    }

    /// The changes of the versions from … to as lines; there may be none.
    pub fn changes(&mut self, text: &str) -> Result<(Lines, i64, i64)> {
        let (scan, from, to) = self.changes_scan(text)?;
        Ok((Lines::new(scan), from, to))
    }

    /// The changes of the versions from … to.
    pub fn changes_scan(&mut self, text: &str) -> Result<(Scan, i64, i64)> {
        let v = parse("the settings of changes", text)?;
        let known = ["from", "to", "from_snapshot", "to_snapshot", "since_ms", "types", "columns"];
        let o = Object::new("the settings of changes", &v, &known)?;
        let (from, to) = self.range(&o, true)?;
        let mut how = json!({"changes": {"from": from, "to": to, "types": o.texts("types")?}});
        if let Some(columns) = o.get("columns") {
            how["columns"] = columns.clone();
        }
        Ok((self.scan_known(&how.to_string())?, from, to))
    }
}
