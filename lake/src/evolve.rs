//! Other columns: added, or widened by writing the files again.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use roaring::RoaringTreemap;
use serde_json::{Map, Value, json};

use crate::answer::{Fail, Result, fatal};
use crate::commit::added;
use crate::data::{self, Rows, Wanted, Writer, Written};
use crate::log::{self, Add};
use crate::store::Put;
use crate::table::{self, Table};
use crate::types;

const ATTEMPTS: usize = 8;
/// Rows that are sorted at a time, by their size in memory: a larger file has several runs.
const SORT_BYTES: usize = 256 << 20;

/// How the table's columns must change.
struct Change {
    fields: Vec<Arc<Field>>,
    added: bool,
    widened: bool,
}

impl Table {
    fn change(&self, wanted: &Schema) -> Result<Change> {
        let mut c =
            Change { fields: self.state.schema()?.fields().iter().cloned().collect(), added: false, widened: false };
        for f in &types::normal(wanted.fields())? {
            let Some(have) = c.fields.iter_mut().find(|h| h.name() == f.name()) else {
                c.fields.push(Arc::new(f.as_ref().clone().with_nullable(true)));
                c.added = true;
                continue;
            };
            if types::widens(f.data_type(), have.data_type()) {
                continue;
            }
            if !types::widens(have.data_type(), f.data_type()) {
                return Err(fatal!(
                    "column {} of {} is {} and cannot become {} without loss: add a column of another name beside it",
                    f.name(),
                    self.store.place(),
                    types::name(have.data_type()),
                    types::name(f.data_type())
                ));
            }
            *have = Arc::new(Field::new(f.name(), f.data_type().clone(), have.is_nullable()));
            c.widened = true;
        }
        let fields = c.fields.iter().cloned().collect();
        types::check_names(&fields).map_err(|e| e.about(format!("the table in {}", self.store.place())))?;
        Ok(c)
    }

    pub fn missing_columns(&self, wanted: &Schema) -> Result<bool> {
        if self.iceberg.is_some() {
            return self.lacks_iceberg(wanted);
        }
        self.change(wanted).map(|c| c.added || c.widened)
    }

    pub fn evolve(&mut self, wanted: &Schema) -> Result<()> {
        self.nothing_staged("columns cannot be changed")?;
        if self.iceberg.is_some() {
            return self.evolve_iceberg(wanted);
        }
        for _ in 0..ATTEMPTS {
            self.refresh()?;
            let c = self.change(wanted)?;
            if !c.added && !c.widened {
                return Ok(());
            }
            let now = log::now_ms();
            let schema = Arc::new(Schema::new(c.fields.clone()));
            let mut actions = vec![table::info(if c.widened { "CHANGE COLUMN" } else { "ADD COLUMNS" }, None, now)];
            actions.extend(self.upgrade(&schema).map(|p| json!({"protocol": p})));
            let mut metadata = self.state.metadata.clone();
            metadata["schemaString"] = json!(types::schema_to_delta(&schema)?.to_string());
            actions.push(json!({"metaData": metadata}));
            if c.widened {
                let all: Vec<u32> = self.state.live().map(|(n, _)| n).collect();
                self.rewrite(&all, &schema, now, &mut actions)?;
            }
            if self.publish(&actions)? {
                return self.reload();
            }
        }
        Err(Fail::Retry(format!(
            "{ATTEMPTS} other versions of {} came in between: the change is tried again",
            self.store.place()
        )))
    }

    /// The protocol with the feature of timestamps without zone, where these columns need it and it lacks.
    fn upgrade(&self, schema: &SchemaRef) -> Option<Value> {
        let have = &self.state.protocol;
        let list = |k: &str| -> Vec<Value> { have[k].as_array().cloned().unwrap_or_default() };
        let feature = json!("timestampNtz");
        let (mut reader, mut writer) = (list("readerFeatures"), list("writerFeatures"));
        if !types::has_no_zone(schema.fields()) || reader.contains(&feature) {
            return None;
        }
        let old = have["minWriterVersion"].as_i64().unwrap_or(2);
        if old < 7 {
            // What the older number stands for is listed by name from version 7 on.
            let since = [
                (2, "appendOnly"),
                (2, "invariants"),
                (3, "checkConstraints"),
                (4, "changeDataFeed"),
                (4, "generatedColumns"),
            ];
            writer.extend(since.iter().filter(|(v, _)| old >= *v).map(|(_, f)| json!(f)));
        }
        reader.push(feature.clone());
        writer.push(feature);
        Some(json!({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": reader, "writerFeatures": writer}))
    }

    /// Writes the live rows of files into new ones, as columns of `schema`; the actions say so. Answers the names of
    /// the new files and their rows.
    pub fn rewrite(
        &mut self,
        files: &[u32],
        schema: &SchemaRef,
        now: i64,
        actions: &mut Vec<Value>,
    ) -> Result<Vec<Add>> {
        let written = self.rewrite_files(files, schema)?;
        for n in files {
            actions.push(json!({"remove": self.state.file(*n)?.add.remove(now, false)}));
        }
        let adds: Vec<Add> = written.into_iter().map(|(values, f)| added(f, values, now, false)).collect();
        actions.extend(adds.iter().map(|a| json!({"add": a.json()})));
        Ok(adds)
    }

    /// Writes the live rows of files into new ones; answers these with the values of their partition.
    pub fn rewrite_files(&mut self, files: &[u32], schema: &SchemaRef) -> Result<Vec<(Map<String, Value>, Written)>> {
        self.rewrite_files_with(files, schema, None)
    }

    /// `fill` is given each batch with the number of its file and the batch's first row in that. Without it, files of
    /// which no row is gone are put together as they stand where they can be.
    pub fn rewrite_files_with(
        &mut self,
        files: &[u32],
        schema: &SchemaRef,
        fill: Option<&Fill>,
    ) -> Result<Vec<(Map<String, Value>, Written)>> {
        let parts = self.state.partition();
        let relaxed: Vec<Field> = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let out = data::file_schema(&Schema::new(relaxed), &parts);
        let wanted = Wanted { columns: out.clone() };
        let mut groups: std::collections::BTreeMap<String, Vec<u32>> = Default::default();
        for n in files {
            groups.entry(self.state.file(*n)?.partition()).or_default().push(*n);
        }
        let mut out_files = vec![];
        for group in groups.into_values() {
            let mut w = Writer::new(
                &*self.store,
                self.prefix(),
                out.clone(),
                &self.set.compression,
                self.set.target_file_bytes,
            );
            let mut values = Default::default();
            let (mut sorting, mut held) = (vec![], 0);
            for n in group {
                self.state.load_gone(&*self.store, n)?;
                let f = self.state.file(n)?;
                values = f.add.values.clone();
                let name = f.add.file()?;
                let mut input = self.store.open(&name)?;
                if fill.is_none() && self.set.sort.is_empty() && f.gone.as_deref().is_none_or(RoaringTreemap::is_empty)
                {
                    match w.whole(&name, input)? {
                        Ok(whole) => {
                            w.push_whole(&whole)?;
                            continue;
                        }
                        Err(unfit) => input = unfit,
                    }
                }
                let mut first = 0;
                for batch in Rows::read(&*self.store, &name, input, &values, &wanted, None)? {
                    let batch = match fill {
                        Some(fill) => fill(n, first, batch?)?,
                        None => batch?,
                    };
                    let rows = batch.num_rows() as u64;
                    let batch = data::without(batch, first, f.gone.as_deref())?;
                    first += rows;
                    if self.set.sort.is_empty() {
                        w.push(&batch)?;
                        continue;
                    }
                    held += batch.get_array_memory_size();
                    sorting.push(batch);
                    if held >= SORT_BYTES {
                        push_sorted(&mut w, &sorting, &self.set.sort)?;
                        (sorting, held) = (vec![], 0);
                    }
                }
            }
            push_sorted(&mut w, &sorting, &self.set.sort)?;
            out_files.extend(w.finish()?.into_iter().map(|f| (values.clone(), f)));
        }
        Ok(out_files)
    }

    /// Puts an entry that moves no offsets. False: another version came first, nothing was done.
    pub fn publish(&mut self, actions: &[Value]) -> Result<bool> {
        self.store.settle()?;
        match self.store.put_new(&log::entry_name(self.state.version + 1), log::lines(actions).into()) {
            Ok(Put::Done) => Ok(true),
            Ok(Put::Exists) => {
                self.conflicts += 1;
                Ok(false)
            }
            // Doing it again finds out.
            Err(Fail::Unknown(s)) => {
                self.stale = true;
                Err(Fail::Retry(s))
            }
            Err(e) => Err(e),
        }
    }
}

pub type Fill<'a> = dyn Fn(u32, u64, RecordBatch) -> Result<RecordBatch> + 'a;

fn push_sorted(w: &mut Writer, batches: &[RecordBatch], sort: &[String]) -> Result<()> {
    // A column that parts the table has one value here.
    let within: Vec<String> =
        sort.iter().filter(|c| batches.first().is_some_and(|b| b.column_by_name(c).is_some())).cloned().collect();
    if batches.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<(usize, usize)> =
        batches.iter().enumerate().flat_map(|(b, batch)| (0..batch.num_rows()).map(move |r| (b, r))).collect();
    if !within.is_empty() {
        let order = crate::commit::order(batches, &within)?;
        rows.sort_by(|a, b| order[a.0].row(a.1).cmp(&order[b.0].row(b.1)));
    }
    let all: Vec<&RecordBatch> = batches.iter().collect();
    let widest = batches.iter().map(|b| data::rows_within(data::CHUNK_BYTES, b)).min().unwrap_or(1);
    for chunk in rows.chunks(widest.min(data::CHUNK)) {
        w.push(&arrow_select::interleave::interleave_record_batch(&all, chunk)?)?;
    }
    Ok(())
}
