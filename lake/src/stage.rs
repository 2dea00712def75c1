//! Staging rows, and rows by key.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt8Type;
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::interleave::interleave;

use crate::answer::{Fail, Result, fatal};
use crate::data::{self, Rows};
use crate::index::{Key, KeyMap, Loc};
use crate::table::{Staged, Table};
use crate::{partition, types};

pub const OP: &str = "_ods_op";
pub const KEEP: &str = "_ods_keep";
pub const FOUND: &str = "_ods_found";
const UPSERT: u8 = 0;
const DELETE: u8 = 1;
const UPDATE: u8 = 2;

/// The batch with the columns of the table: what it lacks is null, what the table lacks is an error.
pub fn fit(batch: &RecordBatch, columns: &SchemaRef) -> Result<RecordBatch> {
    let schema = batch.schema();
    for (i, f) in schema.fields().iter().enumerate() {
        if columns.field_with_name(f.name()).is_err() {
            return Err(fatal!("the table has no column {}: add it first (ods_lake_evolve)", f.name()));
        }
        if schema.fields().iter().skip(i + 1).any(|g| g.name() == f.name()) {
            return Err(fatal!("the array has the column {} twice", f.name()));
        }
    }
    let n = batch.num_rows();
    let arrays: Result<Vec<ArrayRef>> = columns
        .fields()
        .iter()
        .map(|f| match batch.column_by_name(f.name()) {
            Some(c) => types::fit(c, f),
            None => Ok(new_null_array(f.data_type(), n)),
        })
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(n));
    Ok(RecordBatch::try_new_with_options(columns.clone(), arrays?, &options)?)
}

/// One row of nulls.
fn nulls(columns: &SchemaRef) -> Result<RecordBatch> {
    let arrays = columns.fields().iter().map(|f| new_null_array(f.data_type(), 1)).collect();
    Ok(RecordBatch::try_new(columns.clone(), arrays)?)
}

impl Table {
    pub fn append(&mut self, batch: &RecordBatch) -> Result<()> {
        if !self.set.history || self.set.read {
            return Err(fatal!("rows are appended in the mode history only: this table is opened for another"));
        }
        let batch = fit(batch, &self.columns()?)?;
        self.check_nulls(&batch, |_| true)?;
        self.check_parts(&batch, |_| true)?;
        self.staged.push(batch);
        Ok(())
    }

    /// Columns that may not be null in the table are not null in rows for which `is_row` holds.
    fn check_nulls(&self, batch: &RecordBatch, is_row: impl Fn(usize) -> bool) -> Result<()> {
        for (f, c) in self.state.schema()?.fields().iter().zip(batch.columns()) {
            if f.is_nullable() || c.null_count() == 0 {
                continue;
            }
            if let Some(row) = (0..c.len()).find(|r| c.is_null(*r) && is_row(*r)) {
                return Err(Fail::Row(row as i64, format!("column {} may not be null in the table and is", f.name())));
            }
        }
        Ok(())
    }

    pub fn upsert(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.set.history {
            return Err(fatal!("this table is opened for history: rows are appended to it"));
        }
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if self.stale {
            self.refresh()?;
        }
        let schema = batch.schema();
        let place = |n: &str| schema.index_of(n).ok();
        let ops = place(OP).ok_or_else(|| fatal!("the array has no column {OP}"))?;
        let ops = match batch.column(ops).data_type() {
            DataType::UInt8 if batch.column(ops).null_count() == 0 => {
                batch.column(ops).as_primitive::<UInt8Type>().clone()
            }
            _ => return Err(fatal!("the column {OP} must be of format \"C\" and without nulls")),
        };
        if let Some(op) = ops.values().iter().find(|op| **op > UPDATE) {
            return Err(fatal!("{op} is no operation: 0 is an upsert, 1 a delete, 2 an update"));
        }
        let keep = match place(KEEP).map(|i| batch.column(i)) {
            None => None,
            Some(c) => Some(
                c.as_binary_opt::<i32>().ok_or_else(|| fatal!("the column {KEEP} must be of format \"z\""))?.clone(),
            ),
        };
        let data: Vec<usize> =
            (0..schema.fields().len()).filter(|i| Some(*i) != place(OP) && Some(*i) != place(KEEP)).collect();
        let columns = self.columns()?;
        let mut rows = fit(&batch.project(&data)?, &columns)?;
        let keys = self.keys_of(&rows)?;
        if let Some(keep) = keep.filter(|k| (0..k.len()).any(|i| k.is_valid(i) && k.value(i).iter().any(|b| *b != 0))) {
            let places: Vec<(usize, usize)> = data
                .iter()
                .filter_map(|child| columns.index_of(schema.field(*child).name()).ok().map(|column| (*child, column)))
                .collect();
            rows = self.keep(rows, &keys, ops.values(), &keep, &places)?;
        }
        self.check_nulls(&rows, |r| ops.value(r) != DELETE)?;
        self.check_parts(&rows, |r| ops.value(r) != DELETE)?;
        let number = u32::try_from(self.staged.len()).map_err(|_| fatal!("too many arrays are staged"))?;
        for (row, (key, op)) in keys.into_iter().zip(ops.values()).enumerate() {
            if *op != UPSERT && !self.has(&key) {
                self.missing += 1;
                continue;
            }
            let (batch, row) = (number, row as u32);
            let staged = if *op == DELETE { Staged::Delete { batch, row } } else { Staged::Row { batch, row } };
            self.overlay.insert(key, staged);
        }
        self.staged.push(rows);
        Ok(())
    }

    /// Refuses a row whose value in a column of the partition no folder can have.
    fn check_parts(&self, rows: &RecordBatch, counts: impl Fn(usize) -> bool) -> Result<()> {
        for name in self.state.partition() {
            let column =
                rows.column_by_name(&name).ok_or_else(|| fatal!("the partition's column {name} is missing"))?;
            for row in (0..column.len()).filter(|r| counts(*r)) {
                partition::text(column, row)
                    .map_err(|e| Fail::Row(row as i64, format!("column {name}: {}", e.text())))?;
            }
        }
        Ok(())
    }

    /// Drops what is staged; all rows of the table go with the next commit.
    pub fn truncate(&mut self) -> Result<()> {
        if self.state.flag("delta.appendOnly") {
            return Err(fatal!("the table may only be appended to (delta.appendOnly): no row of it goes"));
        }
        self.rollback();
        self.truncated = true;
        Ok(())
    }

    /// Where the table has the row of a key, unless all of them go.
    fn stored(&self, key: &Key) -> Option<Loc> {
        if self.truncated { None } else { self.index.get(key).next() }
    }

    /// Whether there is a row of the key, with what is staged.
    fn has(&self, key: &Key) -> bool {
        match self.overlay.get(key) {
            Some(Staged::Row { .. }) => true,
            Some(Staged::Delete { .. }) => false,
            None => self.stored(key).is_some(),
        }
    }

    pub fn keys_of(&self, rows: &RecordBatch) -> Result<Vec<Key>> {
        let keys = self.keys.as_ref().ok_or_else(|| fatal!("this table is opened without a key"))?;
        let columns: Option<Vec<ArrayRef>> = self.set.key.iter().map(|k| rows.column_by_name(k).cloned()).collect();
        keys.of(&columns.ok_or_else(|| fatal!("a column of the key is missing"))?)
    }

    /// Fills values that rows keep from the rows before them.
    fn keep(
        &mut self,
        rows: RecordBatch,
        keys: &[Key],
        ops: &[u8],
        keep: &BinaryArray,
        places: &[(usize, usize)],
    ) -> Result<RecordBatch> {
        let kept = |row: usize, child: usize| {
            keep.is_valid(row) && keep.value(row).get(child / 8).is_some_and(|b| b >> (child % 8) & 1 == 1)
        };
        let any = |row: usize| places.iter().any(|(child, _)| kept(row, *child));
        let wanted: Vec<Loc> = (0..keys.len())
            .filter(|r| ops[*r] != DELETE && any(*r) && !self.overlay.contains_key(&keys[*r]))
            .filter_map(|r| self.stored(&keys[r]))
            .collect();
        let old = self.fetch(wanted)?;
        // Batches that values may come from: this one, a row of nulls, those staged, those fetched.
        let nothing = nulls(&rows.schema())?;
        let mut lost = 0;
        let mut batches = vec![&rows, &nothing];
        batches.extend(&self.staged);
        let fetched = batches.len();
        batches.extend(&old.batches);
        let width = rows.num_columns();
        let mut sources: Vec<Vec<(usize, usize)>> = vec![(0..keys.len()).map(|r| (0, r)).collect(); width];
        let mut last: KeyMap<Option<usize>> = KeyMap::default();
        for row in 0..keys.len() {
            let key = &keys[row];
            if ops[row] == DELETE {
                last.insert(*key, None);
                continue;
            }
            if ops[row] == UPDATE || any(row) {
                let before = match last.get(key) {
                    Some(before) => before.map(|r| (0, r)),
                    None => match self.overlay.get(key) {
                        Some(Staged::Row { batch, row }) => Some((2 + *batch as usize, *row as usize)),
                        Some(Staged::Delete { .. }) => None,
                        None => {
                            match (self.stored(key), any(row)) {
                                (Some(l), true) => old.places.get(&l).map(|(b, r)| (fetched + b, *r)),
                                // Nothing is taken from it.
                                (Some(_), false) => Some((1, 0)),
                                (None, _) => None,
                            }
                        }
                    },
                };
                if before.is_none() && ops[row] == UPDATE {
                    continue;
                }
                let (b, r) = before.unwrap_or((1, 0));
                for (child, column) in places {
                    if kept(row, *child) {
                        lost += u64::from(before.is_none());
                        sources[*column][row] = if b == 0 { sources[*column][r] } else { (b, r) };
                    }
                }
            }
            last.insert(*key, Some(row));
        }
        let columns: Result<Vec<ArrayRef>> = sources
            .iter()
            .enumerate()
            .map(|(c, from)| {
                let arrays: Vec<&dyn Array> = batches.iter().map(|b| b.column(c).as_ref()).collect();
                Ok(interleave(&arrays, from)?)
            })
            .collect();
        let filled = RecordBatch::try_new(rows.schema(), columns?)?;
        self.lost += lost;
        Ok(filled)
    }

    /// Reads single rows of the table.
    fn fetch(&self, mut locs: Vec<Loc>) -> Result<Fetched> {
        locs.sort_unstable_by_key(|l| (l.file, l.row));
        locs.dedup();
        let mut files: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for l in locs {
            files.entry(l.file).or_default().push(l.row);
        }
        let wanted = self.wanted(self.columns()?);
        let mut out = Fetched { batches: vec![], places: HashMap::new() };
        for (n, rows) in files {
            let add = &self.state.file(n)?.add;
            let mut at = rows.iter();
            for batch in Rows::open(&*self.store, &add.file()?, &add.values, &wanted, Some(data::selection(&rows)))? {
                let batch = batch?;
                for (i, row) in at.by_ref().take(batch.num_rows()).enumerate() {
                    out.places.insert(Loc { file: n, row: *row }, (out.batches.len(), i));
                }
                out.batches.push(batch);
            }
        }
        Ok(out)
    }

    /// One row a key, with a column that says whether there is one.
    pub fn lookup(&mut self, keys: &RecordBatch) -> Result<RecordBatch> {
        if self.stale {
            self.refresh()?;
        }
        let columns = self.columns()?;
        let keys = self.keys_of(&fit(keys, &columns)?)?;
        let wanted: Vec<Loc> =
            keys.iter().filter(|k| !self.overlay.contains_key(*k)).filter_map(|k| self.stored(k)).collect();
        let old = self.fetch(wanted)?;
        let nothing = nulls(&columns)?;
        let mut batches = vec![&nothing];
        batches.extend(&self.staged);
        let fetched = batches.len();
        batches.extend(&old.batches);
        let from: Vec<(usize, usize)> = keys
            .iter()
            .map(|k| match self.overlay.get(k) {
                Some(Staged::Row { batch, row }) => (1 + *batch as usize, *row as usize),
                Some(Staged::Delete { .. }) => (0, 0),
                None => {
                    let place = self.stored(k).and_then(|l| old.places.get(&l));
                    place.map_or((0, 0), |(b, r)| (fetched + b, *r))
                }
            })
            .collect();
        let mut arrays = vec![];
        for c in 0..columns.fields().len() {
            let parts: Vec<&dyn Array> = batches.iter().map(|b| b.column(c).as_ref()).collect();
            arrays.push(interleave(&parts, &from)?);
        }
        arrays.push(Arc::new(from.iter().map(|(b, _)| Some(*b != 0)).collect::<BooleanArray>()) as ArrayRef);
        let mut fields: Vec<Arc<Field>> = columns.fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(FOUND, DataType::Boolean, false)));
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
    }
}

struct Fetched {
    batches: Vec<RecordBatch>,
    places: HashMap<Loc, (usize, usize)>,
}
