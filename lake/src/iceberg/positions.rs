//! Files of position deletes: rows that go, each by its data file and its place in it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use roaring::RoaringTreemap;
use serde_json::Map;

use crate::answer::Result;
use crate::data::{Rows, Wanted};
use crate::iceberg::catalog::inside;
use crate::iceberg::manifest::Entry;
use crate::iceberg::schema;
use crate::store::Store;

/// Ids of the columns.
pub const PATH: i64 = 2_147_483_546;
pub const POSITION: i64 = 2_147_483_545;

pub fn columns() -> SchemaRef {
    Arc::new(Schema::new(vec![
        schema::with_id(Field::new("file_path", DataType::Utf8, false), PATH),
        schema::with_id(Field::new("pos", DataType::Int64, false), POSITION),
    ]))
}

/// The rows that a delete file takes out, by the data file's name in the table's folder.
pub fn read(store: &dyn Store, root: &str, e: &Entry) -> Result<HashMap<String, RoaringTreemap>> {
    let name = inside(root, &e.file.path)?;
    let wanted = Wanted { columns: columns() };
    let mut out: HashMap<String, RoaringTreemap> = HashMap::new();
    for batch in Rows::open(store, &name, &Map::new(), &wanted, None)? {
        let batch = batch?;
        let (paths, rows) = (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Int64Type>());
        let mut at = 0;
        while at < batch.num_rows() {
            let path = paths.value(at);
            let end = (at..batch.num_rows()).find(|i| paths.value(*i) != path).unwrap_or(batch.num_rows());
            let of = out.entry(inside(root, path)?).or_default();
            of.extend((at..end).map(|i| rows.value(i) as u64));
            at = end;
        }
    }
    Ok(out)
}
