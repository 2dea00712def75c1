//! Files of position deletes: rows that go, each by its data file and its place in it. Deletion vectors are read here
//! too (`puffin`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use roaring::RoaringTreemap;
use serde_json::Map;

use crate::answer::{Result, fatal};
use crate::data::{self, Rows, Wanted, Writer};
use crate::iceberg::avro::Av;
use crate::iceberg::catalog::inside;
use crate::iceberg::commit::Next;
use crate::iceberg::manifest::{DataFile, Entry, POSITIONS, REFERENCED};
use crate::iceberg::{puffin, schema};
use crate::store::Store;
use crate::table::Table;

/// Rows that go from the file of a path.
type Gone<'a> = (String, &'a RoaringTreemap);

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
    if e.file.is_vector() {
        return Ok(HashMap::from([puffin::read(store, root, e)?]));
    }
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

impl Table {
    /// Writes positions of rows that go, a file a partition.
    pub fn write_positions(&self, positions: &BTreeMap<u32, RoaringTreemap>, next: Next) -> Result<Vec<Entry>> {
        if positions.is_empty() {
            return Ok(vec![]);
        }
        let ice = self.ice()?;
        let by_name = ice.by_name()?;
        let mut groups: BTreeMap<String, (Entry, Vec<Gone>)> = BTreeMap::new();
        for (n, rows) in positions {
            let name = self.state.file(*n)?.add.file()?;
            let e = by_name.get(&name).ok_or_else(|| fatal!("{name} is in no manifest"))?;
            let id = format!("{} {:?}", e.spec, e.file.partition);
            groups.entry(id).or_insert_with(|| (e.clone(), vec![])).1.push((e.file.path.clone(), rows));
        }
        let mut out = vec![];
        for (e, mut files) in groups.into_values() {
            files.sort_by(|a, b| a.0.cmp(&b.0));
            let columns = columns();
            let mut w = Writer::new(&*self.store, "data/deletes-", columns.clone(), &self.set.compression, usize::MAX);
            let mut all = files.iter().flat_map(|(path, rows)| rows.iter().map(move |r| (path.as_str(), r as i64)));
            loop {
                let part: Vec<(&str, i64)> = all.by_ref().take(data::CHUNK).collect();
                if part.is_empty() {
                    break;
                }
                let paths = StringArray::from_iter_values(part.iter().map(|(p, _)| *p));
                let rows = Int64Array::from_iter_values(part.iter().map(|(_, r)| *r));
                w.push(&RecordBatch::try_new(columns.clone(), vec![Arc::new(paths), Arc::new(rows)])?)?;
            }
            let count: u64 = files.iter().map(|(_, rows)| rows.len()).sum();
            let pair =
                |id: i64, key: i32, b: &[u8]| Av::Record(vec![(key, Av::Int(id)), (key + 1, Av::Bytes(b.to_vec()))]);
            let edge = |key: i32, path: &str, row: u64| {
                Av::List(vec![pair(PATH, key, path.as_bytes()), pair(POSITION, key, &(row as i64).to_le_bytes())])
            };
            let (low, high) =
                (files.iter().filter_map(|f| f.1.min()).min(), files.iter().filter_map(|f| f.1.max()).max());
            let mut rest = vec![];
            if let (Some(first), Some(last), Some(low), Some(high)) = (files.first(), files.last(), low, high) {
                rest = vec![(125, edge(126, &first.0, low)), (128, edge(129, &last.0, high))];
            }
            if let [(path, _)] = files.as_slice() {
                rest.push((REFERENCED, Av::Text(path.clone())));
            }
            for f in w.finish()? {
                let file = DataFile {
                    content: POSITIONS,
                    path: format!("{}/{}", ice.root, f.name),
                    format: "PARQUET".into(),
                    partition: e.file.partition.clone(),
                    rows: count as i64,
                    bytes: f.size,
                    rest: rest.clone(),
                };
                out.push(next.added(e.spec, file));
            }
        }
        Ok(out)
    }
}
