//! Row lineage of version 3: each row has an id, and the number of the snapshot that wrote it last.
//!
//! A row that is new, or is written anew by a change, has both from its file's place in the table, and nothing stands in
//! the file. Rows that only move to another file (compaction) take them along, in two columns of that file.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};

use crate::answer::{Result, fatal};
use crate::iceberg::manifest::Entry;
use crate::iceberg::schema;

pub const ROW: i64 = 2_147_483_540;
pub const LAST: i64 = 2_147_483_539;
/// Names that no other column of the table may have.
pub const NAMES: [&str; 2] = ["_row_id", "_last_updated_sequence_number"];

/// The columns of a table, and behind them those two.
pub fn with_lineage(columns: &Schema) -> SchemaRef {
    let mut fields: Vec<Arc<Field>> = columns.fields().iter().cloned().collect();
    for (name, id) in NAMES.iter().zip([ROW, LAST]) {
        fields.push(Arc::new(schema::with_id(Field::new(*name, DataType::Int64, true), id)));
    }
    Arc::new(Schema::new(fields))
}

/// Whether a table may have these columns.
pub fn check_names(fields: &Fields) -> Result<()> {
    match fields.iter().find(|f| NAMES.contains(&f.name().to_lowercase().as_str())) {
        None => Ok(()),
        Some(f) => Err(fatal!(
            "the column \"{}\" has a name that version 3 of the format keeps for itself: rename it (transforms), or set \
             format_version = 2",
            f.name()
        )),
    }
}

/// Where ids of a data file's rows come from.
#[derive(Clone, Copy)]
pub struct Origin {
    first_row: Option<i64>,
    sequence: i64,
}

impl Origin {
    pub fn of(e: &Entry) -> Origin {
        Origin { first_row: e.first_row, sequence: e.sequence }
    }

    /// A batch whose last columns are those of `with_lineage`, with what its file does not say itself; `first` is the
    /// batch's first row in its file.
    pub fn fill(&self, batch: RecordBatch, first: u64) -> Result<RecordBatch> {
        // Rows of a table that was of version 2, and had no commit since, have no ids yet: they get new ones.
        let Some(id) = self.first_row else { return Ok(batch) };
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        let at = columns.len().checked_sub(2).ok_or_else(|| fatal!("a file without the columns of row lineage"))?;
        let own = |c: &ArrayRef, given: &dyn Fn(usize) -> i64| -> ArrayRef {
            let c = c.as_primitive::<Int64Type>();
            Arc::new(Int64Array::from_iter_values(
                (0..c.len()).map(|i| if c.is_null(i) { given(i) } else { c.value(i) }),
            ))
        };
        columns[at] = own(&columns[at], &|i| id + first as i64 + i as i64);
        columns[at + 1] = own(&columns[at + 1], &|_| self.sequence);
        Ok(RecordBatch::try_new(batch.schema(), columns)?)
    }
}
