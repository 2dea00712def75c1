//! A table's metadata: JSON, of which what this engine does not know stays as it is.
//!
//! Changes are the updates of the REST catalog's specification; where the catalog is SQL they are made here.

use serde_json::{Map, Value, json};

use crate::answer::{Result, fatal};

/// Metadata files that the log in the metadata names, unless the table says otherwise.
const LOG: usize = 100;

fn by<'a>(v: &'a Value, list: &str, key: &str, wanted: &Value) -> Option<&'a Value> {
    v[list].as_array()?.iter().find(|s| s[key] == *wanted)
}

pub fn schema(v: &Value) -> Result<&Value> {
    by(v, "schemas", "schema-id", &v["current-schema-id"]).ok_or_else(|| fatal!("the table's metadata has no schema"))
}

pub fn spec(v: &Value, id: i64) -> Result<&Value> {
    by(v, "partition-specs", "spec-id", &json!(id))
        .ok_or_else(|| fatal!("the table's metadata has no partition spec {id}"))
}

/// The branch main; a table that is new has no snapshot.
pub fn current(v: &Value) -> Option<&Value> {
    let id = v["current-snapshot-id"].as_i64().filter(|id| *id >= 0)?;
    by(v, "snapshots", "snapshot-id", &json!(id))
}

pub fn snapshots(v: &Value) -> &[Value] {
    v["snapshots"].as_array().map_or(&[], Vec::as_slice)
}

pub fn property<'a>(v: &'a Value, name: &str) -> Option<&'a str> {
    v["properties"][name].as_str()
}

/// Of the format.
pub fn version(v: &Value) -> i64 {
    v["format-version"].as_i64().unwrap_or(0)
}

/// Of version 3: the id that the next row gets. None: rows have no ids.
pub fn next_row(v: &Value) -> Option<i64> {
    (version(v) >= 3).then(|| v["next-row-id"].as_i64().unwrap_or(0))
}

pub fn sequence(v: &Value) -> i64 {
    v["last-sequence-number"].as_i64().unwrap_or(0)
}

/// The snapshot and those before it, the newest first.
pub fn ancestors(v: &Value) -> Vec<&Value> {
    let mut out: Vec<&Value> = vec![];
    let mut at = current(v);
    while let Some(s) = at.filter(|_| out.len() < snapshots(v).len()) {
        out.push(s);
        at = by(v, "snapshots", "snapshot-id", &s["parent-snapshot-id"]);
    }
    out
}

/// Metadata of a table that is made, of version 2 of the format.
pub fn new(location: &str, schema: Value, last_column: i64, spec: Value, order: Value, properties: Value) -> Value {
    let parts = spec["fields"].as_array().map_or(0, Vec::len) as i64;
    json!({
        "format-version": 2, "table-uuid": uuid::Uuid::new_v4().to_string(), "location": location,
        "last-sequence-number": 0, "last-updated-ms": crate::log::now_ms(), "last-column-id": last_column,
        "current-schema-id": schema["schema-id"], "schemas": [schema],
        "default-spec-id": spec["spec-id"], "partition-specs": [spec], "last-partition-id": 999 + parts,
        "default-sort-order-id": order["order-id"], "sort-orders": [order], "properties": properties,
        "current-snapshot-id": null, "refs": {}, "snapshots": [], "statistics": [], "partition-statistics": [],
        "snapshot-log": [], "metadata-log": []
    })
}

/// Version 3 of one of version 2.
pub fn raise(mut v: Value) -> Value {
    v["format-version"] = json!(3);
    v["next-row-id"] = json!(0);
    v
}

fn push(v: &mut Value, list: &str, item: Value) {
    match v[list].as_array_mut() {
        Some(l) => l.push(item),
        None => v[list] = json!([item]),
    }
}

fn retain(v: &mut Value, list: &str, keep: impl Fn(&Value) -> bool) {
    if let Some(l) = v[list].as_array_mut() {
        l.retain(|i| keep(i));
    }
}

fn object<'a>(v: &'a mut Value, name: &str) -> &'a mut Map<String, Value> {
    if !v[name].is_object() {
        v[name] = json!({});
    }
    match &mut v[name] {
        Value::Object(m) => m,
        _ => unreachable!("it was made an object above"),
    }
}

fn apply_one(v: &mut Value, update: &Value) -> Result<()> {
    match update["action"].as_str().unwrap_or_default() {
        "set-properties" => {
            let new = update["updates"].as_object().cloned().unwrap_or_default();
            object(v, "properties").extend(new);
        }
        "add-schema" => {
            push(v, "schemas", update["schema"].clone());
            v["last-column-id"] = update["last-column-id"].clone();
        }
        "set-current-schema" => {
            let last = v["schemas"].as_array().and_then(|s| s.last()).map(|s| s["schema-id"].clone());
            v["current-schema-id"] = last.unwrap_or_default();
        }
        "add-snapshot" => {
            let s = &update["snapshot"];
            v["last-sequence-number"] = s["sequence-number"].clone();
            if let Some(next) = next_row(v) {
                let first = s["first-row-id"].as_i64().filter(|first| *first >= next);
                let end = first.and_then(|first| first.checked_add(s["added-rows"].as_i64().filter(|n| *n >= 0)?));
                let end = end.ok_or_else(|| fatal!("a snapshot gives its rows ids that others have, or none"))?;
                v["next-row-id"] = json!(end);
            }
            push(v, "snapshots", s.clone());
        }
        "set-snapshot-ref" => {
            let id = &update["snapshot-id"];
            object(v, "refs").entry("main").or_insert_with(|| json!({"type": "branch"}))["snapshot-id"] = id.clone();
            v["current-snapshot-id"] = id.clone();
            let at = by(v, "snapshots", "snapshot-id", id).map(|s| s["timestamp-ms"].clone());
            push(v, "snapshot-log", json!({"snapshot-id": id, "timestamp-ms": at}));
        }
        "remove-snapshots" => {
            let gone = update["snapshot-ids"].as_array().cloned().unwrap_or_default();
            retain(v, "snapshots", |s| !gone.contains(&s["snapshot-id"]));
            for list in ["statistics", "partition-statistics"] {
                retain(v, list, |s| !gone.contains(&s["snapshot-id"]));
            }
            // The log has no gaps: what is before one that is gone goes as well.
            if let Some(log) = v["snapshot-log"].as_array_mut() {
                let from = log.iter().rposition(|l| gone.contains(&l["snapshot-id"])).map_or(0, |n| n + 1);
                log.drain(..from);
            }
        }
        other => return Err(fatal!("the update {other} is not known")),
    }
    Ok(())
}

/// The metadata after these updates, which follows the file `old`; and the metadata files that the log forgets.
pub fn apply(v: &Value, old: &str, updates: &[Value]) -> Result<(Value, Vec<String>)> {
    let mut new = v.clone();
    updates.iter().try_for_each(|u| apply_one(&mut new, u))?;
    let before = v["last-updated-ms"].as_i64().unwrap_or(0);
    push(&mut new, "metadata-log", json!({"metadata-file": old, "timestamp-ms": before}));
    new["last-updated-ms"] = json!(crate::log::now_ms().max(before));
    let most = property(v, "write.metadata.previous-versions-max").and_then(|n| n.parse().ok()).unwrap_or(LOG).max(1);
    let mut forgotten = vec![];
    if let Some(log) = new["metadata-log"].as_array_mut() {
        let spare = log.len().saturating_sub(most);
        forgotten.extend(log.drain(..spare).filter_map(|l| l["metadata-file"].as_str().map(str::to_string)));
    }
    if property(v, "write.metadata.delete-after-commit.enabled") != Some("true") {
        forgotten.clear();
    }
    Ok((new, forgotten))
}

/// Whether this engine may write the table; the error names what is in the way.
pub fn check(v: &Value) -> Result<()> {
    match v["format-version"].as_i64() {
        Some(2 | 3) => Ok(()),
        Some(1) => Err(fatal!(
            "the table is of version 1 of the format, which has no deletes: raise it to 2 (the property format-version)"
        )),
        n => {
            Err(fatal!("the table is of version {} of the format; this engine writes versions 2 and 3", n.unwrap_or(0)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_rows_are_given_once() {
        let one = json!({"spec-id": 0, "fields": []});
        let v = raise(new("file:///t", json!({"schema-id": 0}), 1, one, json!({"order-id": 0}), json!({})));
        let add = |v: &Value, more: Value| {
            let mut s = json!({"snapshot-id": 1, "sequence-number": 1, "timestamp-ms": 1});
            s.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            apply(v, "m", &[json!({"action": "add-snapshot", "snapshot": s})]).map(|(v, _)| v)
        };
        let v = add(&v, json!({"first-row-id": 0, "added-rows": 7})).unwrap();
        assert_eq!(next_row(&v), Some(7));
        assert!(add(&v, json!({"first-row-id": 6, "added-rows": 1})).is_err());
        assert!(add(&v, json!({})).is_err());
        assert_eq!(next_row(&add(&v, json!({"first-row-id": 7, "added-rows": 0})).unwrap()), Some(7));
    }

    #[test]
    fn snapshots_come_and_go() {
        let mut v = new(
            "file:///t",
            json!({"schema-id": 0}),
            1,
            json!({"spec-id": 0, "fields": []}),
            json!({"order-id": 0}),
            json!({}),
        );
        for n in 1..=4 {
            let s = json!({"snapshot-id": n, "parent-snapshot-id": n - 1, "sequence-number": n, "timestamp-ms": n});
            let updates = [
                json!({"action": "add-snapshot", "snapshot": s}),
                json!({"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": n}),
            ];
            v = apply(&v, &format!("m{n}"), &updates).unwrap().0;
        }
        assert_eq!((sequence(&v), ancestors(&v).len(), snapshots(&v).len()), (4, 4, 4));
        v = apply(&v, "m5", &[json!({"action": "remove-snapshots", "snapshot-ids": [1, 3]})]).unwrap().0;
        assert_eq!(ancestors(&v).len(), 1);
        assert_eq!(v["snapshot-log"].as_array().unwrap().len(), 1);
        assert_eq!(v["metadata-log"].as_array().unwrap().len(), 5);
    }
}
