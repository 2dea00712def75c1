//! A commit of Iceberg: new rows in data files, rows that go by their positions (of version 3 of the format by deletion
//! vectors), and the offsets, as one snapshot.
//!
//! Everything is written under new names, which nobody sees; the exchange of the metadata in the catalog is the commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_schema::{DataType, Schema};
use roaring::RoaringTreemap;
use serde_json::{Map, Value, json};

use crate::answer::{Fail, Result, fatal};
use crate::commit::{Places, Row, figures};
use crate::data::Written;
use crate::fault;
use crate::iceberg::avro::Av;
use crate::iceberg::manifest::{self, ADDED, About, DATA, DELETED, DataFile, Entry, Manifest, POSITIONS};
use crate::iceberg::spec::{self, Part};
use crate::iceberg::{KEY, OFFSETS, ROWS, metadata, schema};
use crate::index::{Key, Loc};
use crate::log::{self, BATCH};
use crate::partition;
use crate::table::Table;

const ATTEMPTS: usize = 8;

/// A snapshot that is written, and not yet part of the table.
#[derive(Default)]
pub struct Draft {
    pub updates: Vec<Value>,
    pub manifests: Vec<Manifest>,
    /// The live entries of manifests that are new.
    pub entries: Vec<(String, Vec<Entry>)>,
    /// Delete files that are new, as the state has them, and those that went.
    pub deletes: Vec<(String, Option<String>)>,
    pub folded: Vec<String>,
}

struct Plan {
    draft: Draft,
    gone: Vec<(u32, RoaringTreemap)>,
    deleted: Vec<Key>,
    written: Places,
}

/// What a snapshot is made of.
#[derive(Default)]
pub struct Change {
    pub operation: &'static str,
    /// Manifests that stay as they are.
    pub kept: Vec<Manifest>,
    /// Entries of new manifests, of data files and of delete files; each has its spec.
    pub data: Vec<Entry>,
    pub deletes: Vec<Entry>,
    /// For the summary.
    pub summary: Map<String, Value>,
    pub properties: Map<String, Value>,
}

/// Numbers that the entries of a new snapshot have.
#[derive(Clone, Copy)]
pub struct Next {
    pub id: i64,
    pub sequence: i64,
}

impl Next {
    pub fn added(&self, spec: i64, file: DataFile) -> Entry {
        Entry {
            status: ADDED,
            snapshot: self.id,
            sequence: self.sequence,
            file_sequence: self.sequence,
            spec,
            first_row: None,
            file: Arc::new(file),
        }
    }

    pub fn deleted(&self, e: &Entry) -> Entry {
        Entry { status: DELETED, snapshot: self.id, ..e.clone() }
    }
}

/// Rows of one partition.
type Group<'a> = (Av, Vec<&'a Row>);

impl Table {
    pub fn commit_iceberg(
        &mut self,
        expect: &Map<String, Value>,
        next: &Map<String, Value>,
        batch: &str,
    ) -> Result<i64> {
        for _ in 0..ATTEMPTS {
            if let Some(version) = self.committed_before(expect, batch)? {
                return Ok(version);
            }
            let plan = self.plan_iceberg(next, batch)?;
            let then = |t: &mut Table| t.take_rows_of(plan.gone, &plan.deleted, plan.written);
            if self.publish_iceberg(plan.draft, false, then)? {
                self.rollback();
                self.commits += 1;
                return Ok(self.state.version);
            }
        }
        Err(Fail::Retry(format!(
            "{ATTEMPTS} other snapshots of {} came in between: another writer is busy there; the commit is tried again",
            self.store.place()
        )))
    }

    /// Exchanges the metadata. False: others were faster, nothing was done.
    /// `index`: it follows, and `then` need not see to that.
    pub fn publish_iceberg(
        &mut self,
        draft: Draft,
        index: bool,
        then: impl FnOnce(&mut Table) -> Result<()>,
    ) -> Result<bool> {
        self.store.settle()?;
        let ice = self.ice()?;
        let done = ice.catalog.commit(&ice.at, &ice.loaded, &draft.updates, &*self.store);
        if fault::due("lost", "commit") {
            return Err(Fail::Unknown("the answer of a commit was lost on purpose".into()));
        }
        let Some(loaded) = done? else {
            self.conflicts += 1;
            return Ok(false);
        };
        fault::step("committed").map_err(|e| Fail::Unknown(e.text().into()))?;
        // It is in the table, whatever happens here: then it is loaded anew.
        self.stale = true;
        let set = draft.updates.iter().find(|u| u["action"] == "set-snapshot-ref");
        let ours = set
            .map(|u| &u["snapshot-id"])
            .or(metadata::current(&self.ice()?.loaded.metadata).map(|s| &s["snapshot-id"]));
        if ours != metadata::current(&loaded.metadata).map(|s| &s["snapshot-id"]) {
            // Others came behind it before the catalog answered: the next use reads all of it, as after an error here.
            let _ = self.reload();
            return Ok(true);
        }
        self.with_iceberg(|ice, _, _| {
            ice.entries.extend(draft.entries.into_iter().map(|(path, e)| (path, Arc::new(e))));
            // What they said is known, or went with their files: the state need not be read anew.
            draft.folded.iter().for_each(|id| drop(ice.deletes.remove(id)));
            ice.deletes.extend(draft.deletes);
            Ok(())
        })?;
        let taken = self.take_iceberg(loaded, Some(draft.manifests), index).and_then(|()| then(self));
        self.stale = taken.is_err();
        Ok(true)
    }

    /// The index after the commit that was made.
    fn take_rows_of(&mut self, gone: Vec<(u32, RoaringTreemap)>, deleted: &[Key], written: Places) -> Result<()> {
        for (n, gone) in gone {
            if let Some(Some(f)) = self.state.files.get_mut(n as usize) {
                f.gone = Some(Arc::new(gone));
            }
        }
        if self.truncated {
            self.index.clear();
        }
        deleted.iter().for_each(|k| self.index.remove(k));
        for (key, name, row) in written {
            let file = *self.state.by_path.get(&name).ok_or_else(|| fatal!("{name} is not in the table"))?;
            self.index.set(key, Loc { file, row });
        }
        Ok(())
    }

    pub fn next(&self) -> Result<Next> {
        let id = (uuid::Uuid::new_v4().as_u64_pair().0 >> 1) as i64;
        Ok(Next { id, sequence: metadata::sequence(&self.ice()?.loaded.metadata) + 1 })
    }

    pub fn parts(&self, spec: i64) -> Result<Vec<Part>> {
        let v = &self.ice()?.loaded.metadata;
        spec::read(metadata::spec(v, spec)?, metadata::schema(v)?)
    }

    pub fn spec(&self) -> Result<i64> {
        Ok(self.ice()?.loaded.metadata["default-spec-id"].as_i64().unwrap_or(0))
    }

    fn plan_iceberg(&mut self, moved: &Map<String, Value>, batch: &str) -> Result<Plan> {
        let next = self.next()?;
        let (rows, going, deleted) = self.effect();
        // Manifests of which nothing is left are named by the snapshot that has emptied them, and by no other.
        let kept = self.ice()?.manifests.iter().filter(|m| m.is_alive()).cloned().collect();
        let mut change = Change { kept, ..Change::default() };
        if self.truncated {
            let ice = self.ice()?;
            change.data = ice.all(DATA).map(|e| next.deleted(e)).collect();
            change.deletes = ice.all(POSITIONS).map(|e| next.deleted(e)).collect();
            change.kept.clear();
        }
        fault::step("data")?;
        let (files, written) = self.write_data(&rows, next)?;
        let added: i64 = files.iter().map(|e| e.file.rows).sum();
        change.data.extend(files);
        fault::step("deletes")?;
        let mut gone = vec![];
        let mut positions: BTreeMap<u32, RoaringTreemap> = BTreeMap::new();
        for (n, rows) in &going {
            let fresh: RoaringTreemap = rows.iter().map(|(r, _)| u64::from(*r)).collect();
            gone.push((*n, self.state.file(*n)?.gone.as_deref().cloned().unwrap_or_default() | &fresh));
            positions.insert(*n, fresh);
        }
        let deletes = match self.has_vectors()? {
            true => self.write_new_vectors(&gone, next, &mut change.kept)?,
            false => self.write_positions(&positions, next)?,
        };
        change.deletes.extend(deletes);
        change.operation = match (self.truncated, going.is_empty(), added) {
            (false, true, _) => "append",
            (_, _, 0) => "delete",
            _ => "overwrite",
        };
        change.summary.insert(BATCH.into(), json!(batch));
        change.summary.insert(OFFSETS.into(), json!(Value::Object(moved.clone()).to_string()));
        if added > 0 {
            change.summary.insert("added-records".into(), json!(added.to_string()));
        }
        if !self.set.history {
            change.summary.insert(KEY.into(), json!(json!(self.set.key).to_string()));
        }
        if !self.truncated {
            let [inserted, updated, deleted] = figures(&rows, &going);
            let rows = json!({"inserted": inserted, "updated": updated, "deleted": deleted});
            change.summary.insert(ROWS.into(), json!(rows.to_string()));
        }
        let mut offsets: BTreeMap<&str, i64> = self.state.txns.iter().map(|(id, (n, _))| (id.as_str(), *n)).collect();
        for (id, n) in moved {
            offsets.insert(id, n.as_i64().ok_or_else(|| fatal!("the offset of {id} must be a whole number"))?);
        }
        change.properties.insert(OFFSETS.into(), json!(json!(offsets).to_string()));
        let draft = self.draft(change, next)?;
        Ok(Plan { draft, gone, deleted, written })
    }

    /// Rows by the values of the partition.
    fn groups_of<'a>(&self, rows: &'a [Row], parts: &[Part]) -> Result<Vec<Group<'a>>> {
        let mut groups: HashMap<String, Group> = HashMap::new();
        if parts.is_empty() && !rows.is_empty() {
            groups.insert(String::new(), (Av::Record(vec![]), rows.iter().collect()));
        } else {
            for r in rows {
                let batch = &self.staged[r.batch as usize];
                let values = parts.iter().map(|p| match batch.column_by_name(&p.column) {
                    Some(c) => Ok((p.id, p.value(c, r.row as usize)?)),
                    None => Ok((p.id, Av::Null)),
                });
                let values = Av::Record(values.collect::<Result<_>>()?);
                groups.entry(format!("{values:?}")).or_insert_with(|| (values, vec![])).1.push(r);
            }
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        if !self.set.sort.is_empty() {
            let order = crate::commit::order(&self.staged, &self.set.sort)?;
            for (_, g) in &mut groups {
                let key = |r: &Row| order[r.batch as usize].row(r.row as usize);
                g.sort_by(|a, b| key(a).cmp(&key(b)));
            }
        }
        Ok(groups)
    }

    /// Writes the rows; and where each went, by its file's name in the state.
    fn write_data(&self, rows: &[Row], next: Next) -> Result<(Vec<Entry>, Places)> {
        let (spec, columns) = (self.spec()?, self.columns()?);
        let (mut out, mut places) = (vec![], vec![]);
        for (partition, group) in self.groups_of(rows, &self.parts(spec)?)? {
            let (files, spots) = self.write_group(&group, &columns)?;
            places.extend(spots);
            for f in files {
                out.push(next.added(spec, self.data_file(&f, partition.clone())?));
            }
        }
        Ok((out, places))
    }

    /// A data file that was written, as a manifest has it.
    pub fn data_file(&self, f: &Written, partition: Av) -> Result<DataFile> {
        let stats: Value = serde_json::from_str(&f.stats).map_err(|e| fatal!("statistics: {e}"))?;
        Ok(DataFile {
            content: DATA,
            path: format!("{}/{}", self.ice()?.root, f.name),
            format: "PARQUET".into(),
            partition,
            rows: stats["numRecords"].as_i64().unwrap_or(0),
            bytes: f.size,
            rest: statistics(&stats, self.state.schema()?),
        })
    }

    /// Writes the manifests and the list of a snapshot, which nobody sees yet.
    pub fn draft(&self, change: Change, next: Next) -> Result<Draft> {
        let ice = self.ice()?;
        let v = &ice.loaded.metadata;
        let parent = metadata::current(v).and_then(|s| s["snapshot-id"].as_i64());
        let unique = uuid::Uuid::new_v4();
        let mut draft = Draft { manifests: change.kept, ..Draft::default() };
        // Of version 3: ids of rows. A table that was of version 2 has manifests without.
        let first_row = metadata::next_row(v);
        let mut next_row = first_row;
        for m in &mut draft.manifests {
            if let Some(next) = &mut next_row
                && m.give_rows(next)
                && let Some(known) = ice.entries.get(&m.path)
            {
                let mut entries = known.to_vec();
                manifest::inherit(&mut entries, m.first_row);
                draft.entries.push((m.path.clone(), entries));
            }
        }
        let mut summary = change.summary;
        summary.insert("operation".into(), json!(change.operation));
        summary.insert("engine-name".into(), json!("ods-sink"));
        summary.insert("engine-version".into(), json!(env!("CARGO_PKG_VERSION")));
        figures_of(&change.data, &change.deletes, &mut summary);
        for e in &change.deletes {
            match e.status {
                ADDED => draft.deletes.push((e.file.id(), ice.vector_of(e))),
                DELETED => draft.folded.push(e.file.id()),
                _ => {}
            }
        }
        let mut lists: BTreeMap<(i64, i64), Vec<Entry>> = BTreeMap::new();
        for (content, entries) in [(0, change.data), (1, change.deletes)] {
            for e in entries {
                lists.entry((content, e.spec)).or_default().push(e);
            }
        }
        let about = |spec: i64| -> Result<About> {
            let (schema, spec) = (metadata::schema(v)?, metadata::spec(v, spec)?);
            let version = metadata::version(v);
            Ok(About { version, snapshot: next.id, parent, sequence: next.sequence, schema, spec })
        };
        for (i, ((content, spec), entries)) in lists.into_iter().enumerate() {
            let name = format!("metadata/{unique}-m{i}.avro");
            let parts = self.parts(spec)?;
            let path = format!("{}/{name}", ice.root);
            let (mut m, raw) = manifest::write(&entries, content, &parts, path, &about(spec)?)?;
            self.store.put(&name, raw.into())?;
            let mut live: Vec<Entry> = entries.into_iter().filter(|e| e.status != DELETED).collect();
            if content == DATA {
                m.first_row = next_row;
                next_row = manifest::inherit(&mut live, next_row);
            }
            draft.entries.push((m.path.clone(), live));
            draft.manifests.push(m);
        }
        self.totals(&draft, &mut summary);
        let name = format!("metadata/snap-{}-0-{unique}.avro", next.id);
        self.store.put(&name, manifest::write_list(&draft.manifests, &about(self.spec()?)?, first_row)?.into())?;
        let before = v["last-updated-ms"].as_i64().unwrap_or(0);
        let mut snapshot = json!({
            "snapshot-id": next.id, "sequence-number": next.sequence, "timestamp-ms": log::now_ms().max(before),
            "manifest-list": format!("{}/{name}", ice.root), "summary": summary, "schema-id": v["current-schema-id"],
        });
        if let Some(p) = parent {
            snapshot["parent-snapshot-id"] = json!(p);
        }
        if let (Some(first), Some(next)) = (first_row, next_row) {
            snapshot["first-row-id"] = json!(first);
            snapshot["added-rows"] = json!(next - first);
        }
        if !change.properties.is_empty() {
            draft.updates.push(json!({"action": "set-properties", "updates": change.properties}));
        }
        draft.updates.push(json!({"action": "add-snapshot", "snapshot": snapshot}));
        draft
            .updates
            .push(json!({"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": next.id}));
        Ok(draft)
    }

    /// Sums over all files of the snapshot.
    fn totals(&self, draft: &Draft, summary: &mut Map<String, Value>) {
        let Ok(ice) = self.ice() else { return };
        let new: HashMap<&str, &Vec<Entry>> = draft.entries.iter().map(|(p, e)| (p.as_str(), e)).collect();
        let (mut files, mut rows, mut deletes, mut gone, mut bytes) = (0i64, 0i64, 0i64, 0i64, 0i64);
        for m in &draft.manifests {
            let known = ice.entries.get(&m.path).map(|e| e.as_slice());
            for e in new.get(m.path.as_str()).map(|e| e.as_slice()).or(known).unwrap_or_default() {
                bytes += e.file.bytes;
                if e.file.content == DATA {
                    files += 1;
                    rows += e.file.rows;
                } else {
                    deletes += 1;
                    gone += e.file.rows;
                }
            }
        }
        for (name, n) in [
            ("total-data-files", files),
            ("total-records", rows),
            ("total-delete-files", deletes),
            ("total-position-deletes", gone),
            ("total-equality-deletes", 0),
            ("total-files-size", bytes),
        ] {
            summary.insert(name.into(), json!(n.to_string()));
        }
    }
}

/// What came and what went, for a snapshot's summary.
fn figures_of(data: &[Entry], deletes: &[Entry], summary: &mut Map<String, Value>) {
    let sum = |of: &dyn Fn(&Entry) -> i64| data.iter().chain(deletes).map(of).sum::<i64>();
    let mut say = |name: &str, status: i64, of: &dyn Fn(&Entry) -> i64| {
        let n = sum(&|e| if e.status == status { of(e) } else { 0 });
        if n > 0 {
            summary.insert(name.into(), json!(n.to_string()));
        }
    };
    let is_data = |e: &Entry| i64::from(e.file.content == DATA);
    let is_delete = |e: &Entry| i64::from(e.file.content != DATA);
    let is_vector = |e: &Entry| i64::from(e.file.is_vector());
    let positions = |e: &Entry| if e.file.content == POSITIONS { e.file.rows } else { 0 };
    for (status, word, of_data) in [(ADDED, "added", "added-data-files"), (DELETED, "removed", "deleted-data-files")] {
        say(&format!("{word}-files-size"), status, &|e| e.file.bytes);
        say(of_data, status, &is_data);
        say(&format!("{word}-delete-files"), status, &is_delete);
        say(&format!("{word}-dvs"), status, &is_vector);
        say(&format!("{word}-position-deletes"), status, &positions);
    }
}

/// Delta's statistics of a file, as a manifest has them: by the columns' ids.
fn statistics(stats: &Value, columns: &Schema) -> Vec<(i32, Av)> {
    let rows = stats["numRecords"].as_i64().unwrap_or(0);
    let (mut counts, mut nulls, mut lower, mut upper) = (vec![], vec![], vec![], vec![]);
    let pair = |key: i32, id: i64, v: Av| Av::Record(vec![(key, Av::Int(id)), (key + 1, v)]);
    for f in columns.fields() {
        let Some(id) = schema::id_of(f) else { continue };
        let Some(n) = stats["nullCount"][f.name()].as_i64() else { continue };
        counts.push(pair(119, id, Av::Int(rows)));
        nulls.push(pair(121, id, Av::Int(n)));
        let (min, max) = (&stats["minValues"][f.name()], &stats["maxValues"][f.name()]);
        if let (Some(a), Some(b)) = (border(f.data_type(), min), border(f.data_type(), max)) {
            lower.push(pair(126, id, Av::Bytes(a)));
            upper.push(pair(129, id, Av::Bytes(b)));
        }
    }
    vec![(109, Av::List(counts)), (110, Av::List(nulls)), (125, Av::List(lower)), (128, Av::List(upper))]
}

fn border(t: &DataType, v: &Value) -> Option<Vec<u8>> {
    Some(match t {
        DataType::Int32 => (i32::try_from(v.as_i64()?).ok()?).to_le_bytes().to_vec(),
        DataType::Int64 => v.as_i64()?.to_le_bytes().to_vec(),
        DataType::Utf8 => v.as_str()?.as_bytes().to_vec(),
        DataType::Date32 => partition::days(v.as_str()?)?.to_le_bytes().to_vec(),
        DataType::Timestamp(_, _) => partition::parse_ms(v.as_str()?)?.checked_mul(1000)?.to_le_bytes().to_vec(),
        _ => return None,
    })
}
