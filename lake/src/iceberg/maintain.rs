//! Maintenance of Iceberg: small files and deletes are folded into new files, snapshots expire, what nobody names goes.

use std::collections::{BTreeMap, HashMap, HashSet};

use roaring::RoaringTreemap;
use serde_json::{Value, json};

use crate::answer::{Fail, Result, fatal};
use crate::evolve::Fill;
use crate::fault;
use crate::iceberg::catalog::inside;
use crate::iceberg::commit::Change;
use crate::iceberg::lineage::{self, Origin};
use crate::iceberg::manifest::{EXISTING, Entry, POSITIONS};
use crate::iceberg::{KEY, MAINTAINED, metadata, state};
use crate::log;
use crate::settings::Object;
use crate::store::Store;
use crate::table::Table;

/// So many delete files are put together even where no data file is rewritten.
const DELETE_FILES: usize = 16;
const DAY_MS: u64 = 86_400_000;
/// So many of the newest snapshots stay, says the table.
const LEAST: &str = "history.expire.min-snapshots-to-keep";

impl Table {
    /// Rewrites the chosen files, puts the deletes of all others together, and all manifests too. `operation`: as the
    /// snapshot calls it.
    pub fn compact_iceberg(&mut self, chosen: &[u32], operation: &'static str, report: &mut Value) -> Result<()> {
        // Equality deletes of others cannot be folded in: their rows would come back.
        if self.ice()?.all(POSITIONS).any(|e| e.file.is_equality()) {
            report["more"] = json!(false);
            return Ok(());
        }
        // Deletion vectors are one a file anyway.
        let ice = self.ice()?;
        let several = || ice.all(POSITIONS).filter(|e| !e.file.is_vector());
        let spare = several().count();
        let parts: HashSet<String> = several().map(|e| format!("{} {:?}", e.spec, e.file.partition)).collect();
        // One a partition is as few as there can be.
        if chosen.is_empty() && spare < DELETE_FILES + parts.len() {
            return Ok(());
        }
        fault::step("compact")?;
        let next = self.next()?;
        let vectors = self.has_vectors()?;
        let columns = self.state.schema()?.clone();
        let columns = if vectors { lineage::with_lineage(&columns) } else { columns };
        let by_name = self.ice()?.by_name()?;
        let entry =
            |name: &str| -> Result<&Entry> { by_name.get(name).ok_or_else(|| fatal!("{name} is in no manifest")) };
        let mut sources: HashMap<String, Entry> = HashMap::new();
        let mut change = Change { operation, ..Change::default() };
        // Readers of changes look for the key in the snapshots, of which this one may be the only one that is left.
        let key = self.key_iceberg()?;
        if !key.is_empty() {
            change.summary.insert(KEY.into(), json!(json!(key).to_string()));
        }
        let (mut rewritten, mut origins) = (HashSet::new(), HashMap::new());
        for n in chosen {
            let file = self.state.file(*n)?;
            let e = entry(&file.add.file()?)?;
            sources.insert(file.partition(), e.clone());
            change.data.push(next.deleted(e));
            rewritten.insert(e.file.path.clone());
            origins.insert(*n, Origin::of(e));
        }
        // Rows that move keep their ids.
        let fill = |n, first, batch| match origins.get(&n) {
            Some(origin) => origin.fill(batch, first),
            None => Ok(batch),
        };
        let written = self.rewrite_files_with(chosen, &columns, vectors.then_some(&fill as &Fill))?;
        let (mut files, mut rows, mut bytes) = (0, 0, 0);
        for (values, w) in &written {
            let from = sources
                .get(&Value::Object(values.clone()).to_string())
                .ok_or_else(|| fatal!("a file was written for no partition"))?;
            let file = self.data_file(w, from.file.partition.clone())?;
            (files, rows, bytes) = (files + 1, rows + file.rows, bytes + file.bytes);
            change.data.push(next.added(from.spec, file));
        }
        let mut positions: BTreeMap<u32, RoaringTreemap> = BTreeMap::new();
        for (n, f) in self.state.live() {
            let e = entry(&f.add.file()?)?;
            if rewritten.contains(&e.file.path) {
                continue;
            }
            change.data.push(Entry { status: EXISTING, ..e.clone() });
            if let Some(gone) = f.gone.as_deref().filter(|g| !g.is_empty()) {
                positions.insert(n, gone.clone());
            }
        }
        if vectors {
            change.deletes = self.fold_vectors(&positions, next)?;
        } else {
            change.deletes.extend(self.ice()?.all(POSITIONS).map(|e| next.deleted(e)));
            change.deletes.extend(self.write_positions(&positions, next)?);
        }
        let draft = self.draft(change, next)?;
        let done = self.publish_iceberg(draft, true, |_| Ok(())).map_err(|e| match e {
            Fail::Unknown(s) => {
                self.stale = true;
                Fail::Retry(s)
            }
            e => e,
        })?;
        if !done {
            // Others came first: what was written is left to the vacuum.
            report["more"] = json!(true);
            return self.refresh();
        }
        report["compacted"] = json!({"read_files": chosen.len(), "written_files": files, "rows": rows, "bytes": bytes});
        Ok(())
    }

    /// Forgets snapshots that are older than `retention_ms`, and those beyond the newest `snapshots`; says when it was.
    /// None goes that is younger than `keep_ms` or among the newest which the table itself wants kept.
    pub fn expire_iceberg(&mut self, v: &Value, report: &mut Value) -> Result<()> {
        let o = Object::new("\"expire\"", v, &["retention_ms", "snapshots", "keep_ms"])?;
        let now = log::now_ms();
        let floor = now - o.number("keep_ms")?.unwrap_or(0) as i64;
        let before = floor.min(now - o.number("retention_ms")?.unwrap_or(DAY_MS) as i64);
        let most = o.number("snapshots")?.unwrap_or(1000).max(1) as usize;
        let v = &self.ice()?.loaded.metadata;
        let least = metadata::property(v, LEAST).and_then(|n| n.trim().parse().ok()).unwrap_or(0usize);
        let refs: HashSet<i64> =
            v["refs"].as_object().into_iter().flatten().filter_map(|(_, r)| r["snapshot-id"].as_i64()).collect();
        let mut by_age: Vec<(i64, i64)> = metadata::snapshots(v)
            .iter()
            .filter_map(|s| Some((s["timestamp-ms"].as_i64()?, s["snapshot-id"].as_i64()?)))
            .collect();
        by_age.reverse();
        let gone: Vec<i64> = by_age
            .iter()
            .enumerate()
            .filter(|(i, (at, id))| *i >= least && (*at < before || (*i >= most && *at < floor)) && !refs.contains(id))
            .map(|(_, (_, id))| *id)
            .collect();
        report["expired"] = json!(0);
        if gone.is_empty() && self.state.checkpoint == self.state.version {
            return Ok(());
        }
        let mut updates =
            vec![json!({"action": "set-properties", "updates": {MAINTAINED: self.state.version.to_string()}})];
        if !gone.is_empty() {
            updates.push(json!({"action": "remove-snapshots", "snapshot-ids": gone}));
        }
        let done = self.publish_only(updates)?;
        report["expired"] = json!(if done { gone.len() } else { 0 });
        Ok(())
    }

    /// Deletes files of the table's folder that no snapshot names and that are older than `before`.
    pub fn vacuum_iceberg(&mut self, before: i64, dry: bool) -> Result<(u64, u64)> {
        self.refresh()?;
        let ice = self.ice()?;
        let v = &ice.loaded.metadata;
        let mut keep: HashSet<String> = HashSet::new();
        let mut name = |path: &str| -> Result<()> {
            keep.insert(inside(&ice.root, path)?);
            Ok(())
        };
        name(&ice.loaded.location)?;
        for l in v["metadata-log"].as_array().into_iter().flatten() {
            name(l["metadata-file"].as_str().unwrap_or_default())?;
        }
        for s in ["statistics", "partition-statistics"].iter().flat_map(|l| v[*l].as_array().into_iter().flatten()) {
            name(s["statistics-path"].as_str().unwrap_or_default())?;
        }
        let mut known = ice.entries.clone();
        for s in metadata::snapshots(v) {
            name(s["manifest-list"].as_str().unwrap_or_default())?;
            let (manifests, entries) = state::read_snapshot(&*self.store, &ice.root, s, &known)?;
            manifests.iter().try_for_each(|m| name(&m.path))?;
            for e in entries.values().flat_map(|l| l.iter()) {
                name(&e.file.path)?;
            }
            known.extend(entries);
        }
        remove(&*self.store, &keep, before, dry)
    }
}

fn remove(store: &dyn Store, keep: &HashSet<String>, before: i64, dry: bool) -> Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for e in store.list("")? {
        let ours = e.name.starts_with("data/") || e.name.starts_with("metadata/");
        if !ours || e.modified_ms >= before || keep.contains(&e.name) || e.name.ends_with("version-hint.text") {
            continue;
        }
        if !dry {
            fault::step("vacuum")?;
            store.delete(&e.name)?;
        }
        files += 1;
        bytes += e.size;
    }
    Ok((files, bytes))
}
