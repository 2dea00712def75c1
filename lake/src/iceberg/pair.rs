//! Which rows are on both sides of a snapshot: as they were, and as they are.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::answer::{Result, fatal};
use crate::data::Wanted;
use crate::index::{Key, KeyMap, Keys};
use crate::scan::Piece;
use crate::store::Store;

pub struct Pairing<'a> {
    pub store: &'a dyn Store,
    /// The table's columns.
    pub all: &'a SchemaRef,
    pub wanted: &'a SchemaRef,
    /// Files were rewritten as a whole: rows that are equal on both sides were only copied.
    pub copied: bool,
}

impl Pairing<'_> {
    /// Rows of one key were updated. Reads the key's columns of both sides.
    pub fn pair(&self, key: &[String], old: &mut [Piece], new: &mut [Piece]) -> Result<()> {
        let names = || self.all.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
        let same = self.copied.then(names).and_then(|names| Told::new(self.all, &names, Keys::of_rows));
        let key = Told::new(self.all, key, Keys::new);
        let mut sides = [Side::default(), Side::default()];
        for (side, pieces) in sides.iter_mut().zip([&*old, &*new]) {
            for p in pieces {
                side.read(self.store, p, key.as_ref(), same.as_ref())?;
            }
        }
        let [left, right] = sides;
        let both = |(k, n): (&Key, &u64)| right.rows.get(k).map(|m| (*k, *n.min(m)));
        let copies: KeyMap<u64> = left.rows.iter().filter_map(both).collect();
        let columns = with_columns(self.wanted, self.all, &[key.as_ref(), same.as_ref()]);
        let (key, same) = (key.map(Arc::new), same.map(Arc::new));
        for (pieces, others, pair) in [(old, right.keys, "update_preimage"), (new, left.keys, "update_postimage")] {
            let (copies, others) = (Arc::new(Mutex::new(copies.clone())), Arc::new(others));
            for p in pieces {
                p.by = Some(By {
                    columns: columns.clone(),
                    width: self.wanted.fields().len(),
                    key: key.clone(),
                    others: others.clone(),
                    same: same.clone(),
                    copies: copies.clone(),
                    pair,
                });
            }
        }
        Ok(())
    }
}

/// Columns by which a row is told from others.
pub struct Told {
    names: Vec<String>,
    columns: SchemaRef,
    keys: Keys,
}

impl Told {
    /// None: they tell nothing.
    fn new(columns: &Schema, names: &[String], make: fn(&[DataType]) -> Result<Keys>) -> Option<Told> {
        let fields: Option<Vec<Field>> = names.iter().map(|n| columns.field_with_name(n).ok().cloned()).collect();
        let fields = fields.filter(|f| !f.is_empty())?;
        let types: Vec<DataType> = fields.iter().map(|f| f.data_type().clone()).collect();
        Some(Told { names: names.to_vec(), columns: Arc::new(Schema::new(fields)), keys: make(&types).ok()? })
    }

    fn of(&self, batch: &RecordBatch) -> Result<Vec<Key>> {
        let columns: Option<Vec<ArrayRef>> = self.names.iter().map(|n| batch.column_by_name(n).cloned()).collect();
        self.keys.of(&columns.ok_or_else(|| fatal!("a column of the key is missing"))?)
    }
}

/// The columns that are wanted, and behind them those that tell rows apart.
fn with_columns(wanted: &SchemaRef, all: &SchemaRef, told: &[Option<&Told>]) -> SchemaRef {
    let mut fields: Vec<Arc<Field>> = wanted.fields().iter().cloned().collect();
    for f in told.iter().flatten().flat_map(|t| t.columns.fields().iter()) {
        if !fields.iter().any(|g| g.name() == f.name()) {
            fields.push(f.clone());
        }
    }
    // A batch has at least one column, so that it has rows.
    if fields.is_empty() {
        fields.extend(all.fields().first().cloned());
    }
    Arc::new(Schema::new(fields))
}

/// What rows of one side are told by.
#[derive(Default)]
struct Side {
    keys: HashSet<Key>,
    rows: KeyMap<u64>,
}

impl Side {
    fn read(&mut self, store: &dyn Store, p: &Piece, key: Option<&Told>, same: Option<&Told>) -> Result<()> {
        let none: SchemaRef = Arc::new(Schema::empty());
        if key.is_none() && same.is_none() {
            return Ok(());
        }
        let wanted = Wanted { columns: with_columns(&none, &none, &[key, same]) };
        let mut first = 0;
        for batch in p.open(store, &wanted)? {
            let batch = p.left(batch?, &mut first)?;
            if let Some(t) = key {
                self.keys.extend(t.of(&batch)?);
            }
            if let Some(t) = same {
                t.of(&batch)?.into_iter().for_each(|k| *self.rows.entry(k).or_default() += 1);
            }
        }
        Ok(())
    }
}

/// Of rows whose kind the other side of their version decides.
pub struct By {
    /// What is read; the first `width` columns are those that are wanted.
    pub columns: SchemaRef,
    width: usize,
    key: Option<Arc<Told>>,
    others: Arc<HashSet<Key>>,
    same: Option<Arc<Told>>,
    /// Rows that are left out, and how often.
    copies: Arc<Mutex<KeyMap<u64>>>,
    pair: &'static str,
}

impl By {
    /// The wanted columns of those rows that changed, and the kind of each.
    pub fn kinds(&self, batch: RecordBatch, alone: &'static str) -> Result<(RecordBatch, StringArray)> {
        let mut batch = batch;
        if let Some(t) = &self.same {
            let mut copies = self.copies.lock().unwrap_or_else(|e| e.into_inner());
            let keep: BooleanArray = t
                .of(&batch)?
                .iter()
                .map(|k| match copies.get_mut(k).filter(|n| **n > 0) {
                    Some(n) => {
                        *n -= 1;
                        Some(false)
                    }
                    None => Some(true),
                })
                .collect();
            batch = arrow_select::filter::filter_record_batch(&batch, &keep)?;
        }
        let kinds: StringArray = match &self.key {
            Some(t) => {
                let kind = |k: &Key| if self.others.contains(k) { self.pair } else { alone };
                StringArray::from_iter_values(t.of(&batch)?.iter().map(kind))
            }
            None => StringArray::from(vec![alone; batch.num_rows()]),
        };
        let wanted: Vec<usize> = (0..self.width).collect();
        Ok((batch.project(&wanted)?, kinds))
    }
}
