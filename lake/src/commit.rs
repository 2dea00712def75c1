//! A commit: what is staged and the offsets become one version, by one compare-and-swap, or nothing does.
//!
//! 1. The newest version is read; the stored offsets must be those expected.
//! 2. Data files, deletion vectors and change data are written: nobody sees them yet.
//! 3. The entry of the log for the next version is put if there is none.
//! 4. Only then the state in memory changes.
//!
//! Whatever stops between the steps leaves a table that is as it was, and files that a vacuum removes. A commit whose
//! answer is lost is found again by its batch id.

use std::collections::{BTreeMap, btree_map};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread;

use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::interleave::interleave_record_batch;
use roaring::RoaringTreemap;
use serde_json::{Map, Value, json};

use crate::answer::{Fail, Result, fatal};
use crate::data::{self, Rows, Writer, Written};
use crate::dv::DvFile;
use crate::index::{Key, Loc};
use crate::log::{self, Add};
use crate::store::Put;
use crate::table::{self, Staged, Table};
use crate::{fault, partition};

/// Versions of other writers that a commit gives way to before it answers an outage.
const ATTEMPTS: usize = 8;
pub const CHANGE: &str = "_change_type";
/// The property of a table that names the columns of its key, as a JSON array.
pub const KEY: &str = "ods.key";

/// A row to be written: its batch, its place there, and its key (none in history).
pub struct Row {
    pub batch: u32,
    pub row: u32,
    pub key: Key,
    new: bool,
}

/// Rows of a file that go: which, and whether another row of the key comes.
type Gone = Vec<(u32, bool)>;
pub type Going = BTreeMap<u32, Gone>;
/// Rows that were written: key, file's name, place in it.
pub type Places = Vec<(Key, String, u32)>;
/// The values of the partition's columns, in their order.
type Values = Vec<Option<String>>;

/// Rows as they were, with the partition's values and what became of each.
type OldRows = (Map<String, Value>, RecordBatch, Vec<&'static str>);
type Give = SyncSender<Result<OldRows>>;

/// What a commit writes, and what the state in memory becomes after it.
struct Plan {
    actions: Vec<Value>,
    gone: Vec<(u32, RoaringTreemap)>,
    deleted: Vec<Key>,
    written: Places,
}

impl Table {
    /// Looks at the table as it is now: the version in which the batch already stands, if it does. An error where
    /// the stored offsets are others than expected.
    pub fn committed_before(&mut self, expect: &Map<String, Value>, batch: &str) -> Result<Option<i64>> {
        self.refresh()?;
        let version = self.state.batch(batch);
        let fenced = if version.is_none() { self.fence(expect) } else { Ok(()) };
        if version.is_some() || fenced.is_err() {
            self.rollback();
        }
        fenced.map(|()| version)
    }

    pub fn commit(&mut self, expect: &Map<String, Value>, next: &Map<String, Value>, batch: &str) -> Result<i64> {
        if self.iceberg.is_some() {
            return self.commit_iceberg(expect, next, batch);
        }
        for _ in 0..ATTEMPTS {
            if let Some(version) = self.committed_before(expect, batch)? {
                return Ok(version);
            }
            let plan = self.plan(next, batch)?;
            let version = self.state.version + 1;
            self.store.settle()?;
            fault::step("commit")?;
            let put = self.store.put_new(&log::entry_name(version), log::lines(&plan.actions).into());
            if fault::due("lost", "commit") {
                return Err(Fail::Unknown("the answer of a commit was lost on purpose".into()));
            }
            match put? {
                Put::Done => {
                    fault::step("committed").map_err(|e| Fail::Unknown(e.text().into()))?;
                    // The rows are in the table, whatever happens here: then it is loaded anew.
                    self.stale = true;
                    if self.take(version, plan).is_ok() {
                        self.stale = false;
                    }
                    self.rollback();
                    self.commits += 1;
                    return Ok(version);
                }
                Put::Exists => self.conflicts += 1,
            }
        }
        Err(Fail::Retry(format!(
            "{ATTEMPTS} other versions of {} came in between: another writer is busy there; the commit is tried again",
            self.store.place()
        )))
    }

    pub fn resolve(&mut self, batch: &str, expect: Option<&Map<String, Value>>) -> Result<Option<i64>> {
        self.refresh()?;
        if let Some(version) = self.state.batch(batch) {
            self.rollback();
            return Ok(Some(version));
        }
        if let Some(expect) = expect
            && let Err(e) = self.fence(expect)
        {
            self.rollback();
            return Err(e);
        }
        Ok(None)
    }

    /// The stored offsets are those expected, or another writer has the partition.
    pub fn fence(&self, expect: &Map<String, Value>) -> Result<()> {
        for (id, v) in expect {
            let have = self.state.txns.get(id).map(|(v, _)| *v);
            let want = match v {
                Value::Null => None,
                v => Some(v.as_i64().ok_or_else(|| fatal!("the offset of {id} must be a whole number or null"))?),
            };
            if have != want {
                let text = |o: Option<i64>| o.map_or("none".to_string(), |o| o.to_string());
                return Err(Fail::Fenced(format!(
                    "{}: the stored offset of {id} is {}, expected was {}: another writer has this partition",
                    self.store.place(),
                    text(have),
                    text(want)
                )));
            }
        }
        Ok(())
    }

    fn plan(&mut self, next: &Map<String, Value>, batch: &str) -> Result<Plan> {
        let now = log::now_ms();
        let (rows, going, deleted) = self.effect();
        let operation = match (self.truncated, going.is_empty()) {
            (true, _) => "TRUNCATE",
            (false, true) => "WRITE",
            (false, false) => "MERGE",
        };
        let mut actions = vec![table::info(operation, Some(batch), now)];
        if !self.truncated {
            actions[0]["commitInfo"]["operationMetrics"] = metrics(&rows, &going);
        }
        for (id, v) in next {
            let v = v.as_i64().ok_or_else(|| fatal!("the offset of {id} must be a whole number"))?;
            actions.push(json!({"txn": {"appId": id, "version": v, "lastUpdated": now}}));
        }
        if self.truncated {
            // Whole files go and come: readers of changes see deletes and inserts by that alone.
            actions.extend(self.state.live().map(|(_, f)| json!({"remove": f.add.remove(now, true)})));
        }
        fault::step("data")?;
        let feed = !going.is_empty() && self.state.flag("delta.enableChangeDataFeed");
        if feed {
            fault::step("changes")?;
        }
        // Other rows are read and written for the feed than for the table: both at once.
        let (written, changes) = thread::scope(|scope| {
            let feed = feed.then(|| begin(scope, || self.write_changes(&rows, &going))).transpose()?;
            let written = self.write_rows(&rows, now, &mut actions);
            let changes = feed.map(joined).transpose()?;
            Ok::<_, Fail>((written?, changes))
        })?;
        fault::step("deletes")?;
        let gone = self.write_vectors(&going, now, &mut actions)?;
        actions.extend(changes.into_iter().flatten());
        Ok(Plan { actions, gone, deleted, written })
    }

    /// What is staged, against what the table has.
    pub fn effect(&self) -> (Vec<Row>, Going, Vec<Key>) {
        let (mut rows, mut going, mut deleted) = (vec![], Going::new(), vec![]);
        if self.set.history {
            for (b, batch) in self.staged.iter().enumerate() {
                rows.extend((0..batch.num_rows() as u32).map(|row| Row {
                    batch: b as u32,
                    row,
                    key: Key::default(),
                    new: true,
                }));
            }
            return (rows, going, deleted);
        }
        for (key, staged) in &self.overlay {
            if self.truncated {
                if let Staged::Row { batch, row } = staged {
                    rows.push(Row { batch: *batch, row: *row, key: *key, new: true });
                }
                continue;
            }
            let comes = matches!(staged, Staged::Row { .. });
            for l in self.index.get(key) {
                going.entry(l.file).or_default().push((l.row, comes));
            }
            match staged {
                Staged::Row { batch, row } => {
                    rows.push(Row { batch: *batch, row: *row, key: *key, new: !self.index.has(key) })
                }
                Staged::Delete { .. } => deleted.push(*key),
            }
        }
        rows.sort_unstable_by_key(|r| (r.batch, r.row));
        for g in going.values_mut() {
            g.sort_unstable();
            g.dedup_by_key(|(row, _)| *row);
        }
        (rows, going, deleted)
    }

    /// Rows by the values of the partition's columns, each group in the order of the columns of "sort".
    fn groups<'a>(&self, rows: &'a [Row]) -> Result<BTreeMap<Values, Vec<&'a Row>>> {
        let mut groups: BTreeMap<Values, Vec<&Row>> = BTreeMap::new();
        let columns = self.state.partition();
        if columns.is_empty() {
            if !rows.is_empty() {
                groups.insert(vec![], rows.iter().collect());
            }
        } else {
            for r in rows {
                let batch = &self.staged[r.batch as usize];
                let values = columns.iter().map(|c| {
                    let column =
                        batch.column_by_name(c).ok_or_else(|| fatal!("the partition's column {c} is missing"))?;
                    partition::text(column, r.row as usize).map_err(|e| e.about(format!("column {c}")))
                });
                groups.entry(values.collect::<Result<Values>>()?).or_default().push(r);
            }
        }
        if !self.set.sort.is_empty() {
            let order = order(&self.staged, &self.set.sort)?;
            for g in groups.values_mut() {
                g.sort_by(|a, b| {
                    order[a.batch as usize].row(a.row as usize).cmp(&order[b.batch as usize].row(b.row as usize))
                });
            }
        }
        Ok(groups)
    }

    /// The values of a partition as the log has them.
    fn values(&self, values: &Values) -> Map<String, Value> {
        self.state.partition().into_iter().zip(values).map(|(c, v)| (c, json!(v))).collect()
    }

    fn write_rows(&self, rows: &[Row], now: i64, actions: &mut Vec<Value>) -> Result<Places> {
        let parts = self.state.partition();
        let schema = data::file_schema(&*self.columns()?, &parts);
        let mut places = vec![];
        for (values, group) in self.groups(rows)? {
            let (files, spots) = self.write_group(&group, &schema)?;
            places.extend(spots);
            actions.extend(files.into_iter().map(|f| json!({"add": added(f, self.values(&values), now, true).json()})));
        }
        Ok(places)
    }

    /// Where the data files of rows are put, and how their names begin.
    pub fn prefix(&self) -> &'static str {
        if self.iceberg.is_some() { "data/" } else { "part-" }
    }

    /// Writes rows of one partition; answers the files, and where in them each row is.
    pub fn write_group(&self, group: &[&Row], schema: &SchemaRef) -> Result<(Vec<Written>, Places)> {
        let (codec, target) = (&self.set.compression, self.set.target_file_bytes);
        let mut w = Writer::new(&*self.store, self.prefix(), schema.clone(), codec, target);
        let mut spots: Vec<(Key, usize, u32)> = Vec::with_capacity(if self.set.history { 0 } else { group.len() });
        for chunk in group.chunks(data::CHUNK) {
            let batch = self.take_rows(chunk, schema)?;
            let mut at = 0;
            for p in w.push(&batch)? {
                if !self.set.history {
                    spots.extend((0..p.rows).map(|i| (chunk[at + i].key, p.file, p.first + i as u32)));
                }
                at += p.rows;
            }
        }
        let files = w.finish()?;
        let places = spots.into_iter().map(|(key, file, row)| (key, files[file].name.clone(), row)).collect();
        Ok((files, places))
    }

    /// Staged rows with the columns that a data file has.
    fn take_rows(&self, rows: &[&Row], schema: &SchemaRef) -> Result<RecordBatch> {
        let columns = self.columns()?;
        let project = |b: &RecordBatch| -> Result<RecordBatch> {
            let places: std::result::Result<Vec<usize>, _> =
                schema.fields().iter().map(|f| columns.index_of(f.name())).collect();
            Ok(b.project(&places?)?)
        };
        // Rows that follow one another in one batch are taken as they stand.
        if let (Some(a), Some(z)) = (rows.first(), rows.last())
            && a.batch == z.batch
            && rows.windows(2).all(|w| w[1].batch == w[0].batch && w[1].row == w[0].row + 1)
        {
            return project(&self.staged[a.batch as usize].slice(a.row as usize, rows.len()));
        }
        let used: std::collections::BTreeSet<u32> = rows.iter().map(|r| r.batch).collect();
        let batches: Result<Vec<RecordBatch>> = used.iter().map(|b| project(&self.staged[*b as usize])).collect();
        let batches = batches?;
        let number: std::collections::HashMap<u32, usize> = used.into_iter().enumerate().map(|(i, b)| (b, i)).collect();
        let from: Vec<(usize, usize)> = rows.iter().map(|r| (number[&r.batch], r.row as usize)).collect();
        Ok(interleave_record_batch(&batches.iter().collect::<Vec<_>>(), &from)?)
    }

    /// Removes and adds of the files from which rows go, with their new deletion vectors in one file.
    fn write_vectors(
        &mut self,
        going: &Going,
        now: i64,
        actions: &mut Vec<Value>,
    ) -> Result<Vec<(u32, RoaringTreemap)>> {
        let (mut file, mut out) = (DvFile::new(), vec![]);
        for (n, rows) in going {
            self.state.load_gone(&*self.store, *n)?;
            let f = self.state.file(*n)?;
            let mut gone = f.gone.as_deref().cloned().unwrap_or_default();
            gone.extend(rows.iter().map(|(r, _)| *r as u64));
            actions.push(json!({"remove": f.add.remove(now, true)}));
            let (stats, total) = self.loose_stats(&f.add)?;
            if gone.len() < total {
                let mut add = f.add.clone();
                add.dv = Some(file.add(&gone)?);
                add.data_change = true;
                add.stats = Some(stats);
                actions.push(json!({"add": add.json()}));
                out.push((*n, gone));
            }
        }
        if !out.is_empty() {
            self.store.put(&file.name(), file.finish().into())?;
        }
        Ok(out)
    }

    /// Statistics of a file with deletion vector: its borders are no longer tight; and its rows.
    fn loose_stats(&self, add: &Add) -> Result<(String, u64)> {
        let mut stats: Value =
            add.stats.as_deref().and_then(|s| serde_json::from_str(s).ok()).unwrap_or_else(|| json!({}));
        let rows = match stats["numRecords"].as_u64() {
            Some(n) => n,
            None => {
                let none = self.wanted(Arc::new(Schema::empty()));
                let mut n = 0;
                for b in Rows::open(&*self.store, &add.file()?, &add.values, &none, None)? {
                    n += b?.num_rows() as u64;
                }
                n
            }
        };
        stats["numRecords"] = json!(rows);
        stats["tightBounds"] = json!(false);
        Ok((stats.to_string(), rows))
    }

    /// The change data: rows as they were, rows as they are. Answers the actions of its files.
    pub fn write_changes(&self, rows: &[Row], going: &Going) -> Result<Vec<Value>> {
        let parts = self.state.partition();
        let columns = self.columns()?;
        let schema = data::file_schema(&columns, &parts);
        let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(CHANGE, DataType::Utf8, true)));
        let changes = Arc::new(Schema::new(fields));
        let mut writers: BTreeMap<String, (Map<String, Value>, Writer)> = BTreeMap::new();
        let mut push = |values: Map<String, Value>, batch: RecordBatch, kinds: Vec<&str>| -> Result<()> {
            let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
            columns.push(Arc::new(StringArray::from(kinds)));
            let batch = RecordBatch::try_new(changes.clone(), columns)?;
            let id = Value::Object(values.clone()).to_string();
            let (_, w) = writers.entry(id).or_insert_with(|| {
                let w = Writer::new(
                    &*self.store,
                    "_change_data/cdc-",
                    changes.clone(),
                    &self.set.compression,
                    self.set.target_file_bytes,
                );
                (values, w)
            });
            w.push(&batch).map(|_| ())
        };
        let wanted = self.wanted(schema.clone());
        // Rows as they were are decoded while others are encoded: they stand all over the table, so that this is what
        // takes long.
        let files = &Mutex::new(going.iter());
        thread::scope(|scope| {
            let (give, old) = mpsc::sync_channel(1);
            let mut readers = vec![];
            for _ in 0..self.store.at_once().min(going.len()) {
                let (give, wanted) = (give.clone(), &wanted);
                readers.push(begin(scope, move || self.read_going(files, wanted, &give))?);
            }
            drop(give);
            let mut all = old.into_iter();
            let done = all.try_for_each(|read| read.and_then(|(values, batch, kinds)| push(values, batch, kinds)));
            drop(all); // who has more to give ends
            readers.into_iter().for_each(joined);
            done
        })?;
        for (values, group) in self.groups(rows)? {
            for chunk in group.chunks(data::CHUNK) {
                let kinds = chunk.iter().map(|r| if r.new { "insert" } else { "update_postimage" }).collect();
                push(self.values(&values), self.take_rows(chunk, &schema)?, kinds)?;
            }
        }
        let mut actions = vec![];
        for (values, w) in writers.into_values() {
            for f in w.finish()? {
                actions.push(
                    json!({"cdc": {"path": f.name, "partitionValues": values, "size": f.size, "dataChange": false}}),
                );
            }
        }
        Ok(actions)
    }

    /// Rows that go, file by file, to whoever takes them: until no file is left, one cannot be read, or nobody takes
    /// more.
    fn read_going(&self, files: &Mutex<btree_map::Iter<u32, Gone>>, wanted: &data::Wanted, give: &Give) {
        let next = || files.lock().unwrap_or_else(|e| e.into_inner()).next();
        let read = || -> Result<()> {
            while let Some((n, gone)) = next() {
                let add = &self.state.file(*n)?.add;
                let places: Vec<u32> = gone.iter().map(|(r, _)| *r).collect();
                let mut at = gone.iter();
                let rows = Rows::open(&*self.store, &add.file()?, &add.values, wanted, Some(data::selection(&places)))?;
                for batch in rows {
                    let batch = batch?;
                    let kinds = at.by_ref().take(batch.num_rows());
                    let kinds = kinds.map(|(_, comes)| if *comes { "update_preimage" } else { "delete" }).collect();
                    if give.send(Ok((add.values.clone(), batch, kinds))).is_err() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        };
        if let Err(e) = read() {
            let _ = give.send(Err(e));
        }
    }

    /// The state after the commit that was made.
    fn take(&mut self, version: i64, plan: Plan) -> Result<()> {
        self.state.apply(version, &plan.actions)?;
        self.state.version = version;
        for (n, gone) in plan.gone {
            if let Some(Some(f)) = self.state.files.get_mut(n as usize) {
                f.gone = Some(Arc::new(gone));
            }
        }
        if self.truncated {
            self.index.clear();
        }
        plan.deleted.iter().for_each(|k| self.index.remove(k));
        let mut last: Option<(String, u32)> = None;
        for (key, name, row) in plan.written {
            if last.as_ref().is_none_or(|(n, _)| *n != name) {
                let file = *self.state.by_path.get(&name).ok_or_else(|| fatal!("{name} is not in the table"))?;
                last = Some((name, file));
            }
            if let Some((_, file)) = &last {
                self.index.set(key, Loc { file: *file, row });
            }
        }
        Ok(())
    }
}

/// A thread of the feed. Where the system has none left, that is an outage.
fn begin<'s, T: Send + 's>(
    scope: &'s thread::Scope<'s, '_>,
    work: impl FnOnce() -> T + Send + 's,
) -> Result<thread::ScopedJoinHandle<'s, T>> {
    let thread = thread::Builder::new().name("lake feed".into()).spawn_scoped(scope, work);
    thread.map_err(|e| Fail::Retry(format!("no thread can be begun: {e}")))
}

/// What a thread has answered; its panic goes on in the one that waits.
fn joined<T>(thread: thread::ScopedJoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// How many rows a commit inserts, updates and deletes.
pub fn figures(rows: &[Row], going: &Going) -> [usize; 3] {
    let new = rows.iter().filter(|r| r.new).count();
    let deleted = going.values().flatten().filter(|(_, comes)| !comes).count();
    [new, rows.len() - new, deleted]
}

/// As Spark calls them in the history of a table.
pub fn metrics(rows: &[Row], going: &Going) -> Value {
    let [inserted, updated, deleted] = figures(rows, going).map(|n| n.to_string());
    json!({"numTargetRowsInserted": inserted, "numTargetRowsUpdated": updated, "numTargetRowsDeleted": deleted})
}

/// The add of a file that was written.
pub fn added(f: data::Written, values: Map<String, Value>, now: i64, data_change: bool) -> Add {
    Add {
        path: f.name,
        values,
        size: f.size,
        modified_ms: now,
        data_change,
        stats: Some(f.stats),
        tags: None,
        dv: None,
    }
}

/// What rows are sorted by, a row of bytes for each row of each batch.
pub fn order(batches: &[RecordBatch], sort: &[String]) -> Result<Vec<arrow_row::Rows>> {
    let mut out: Vec<arrow_row::Rows> = vec![];
    let mut converter: Option<RowConverter> = None;
    for b in batches {
        let columns: Option<Vec<ArrayRef>> = sort.iter().map(|c| b.column_by_name(c).cloned()).collect();
        let columns = columns.ok_or_else(|| fatal!("a column of \"sort\" is not in the table"))?;
        if converter.is_none() {
            converter =
                Some(RowConverter::new(columns.iter().map(|c| SortField::new(c.data_type().clone())).collect())?);
        }
        if let Some(c) = &converter {
            out.push(c.convert_columns(&columns)?);
        }
    }
    Ok(out)
}
