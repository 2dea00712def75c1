//! Data files: rows to Parquet, with the statistics that readers skip files by, and back.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::properties::WriterProperties;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;
use roaring::RoaringTreemap;
use serde_json::{Map, Value, json};

use crate::answer::{Fail, Result, fatal};
use crate::iceberg::lineage;
use crate::partition;
use crate::store::Store;
use crate::types;

/// Rows that are decoded and encoded at a time, at most.
pub const CHUNK: usize = 16_384;
/// And about so many bytes of them, however large they are.
pub const CHUNK_BYTES: usize = 8 << 20;
/// A page holds so many rows, so that single rows can be read without the whole column.
const PAGE_ROWS: usize = 20_000;
/// A group of rows is in memory beside the file that it goes into, until it is whole.
const GROUP_ROWS: usize = 262_144;
/// So many rows tell whether a column's values repeat, or fewer where they are large.
const SAMPLE: usize = 1_024;
const SAMPLE_BYTES: usize = 1 << 20;
const SAMPLE_LEAST: usize = 16;
/// Texts longer than this are not put into statistics.
const STATS_TEXT: usize = 64;

pub struct Written {
    pub name: String,
    pub size: i64,
    pub stats: String,
}

/// Where rows that were pushed went: `rows` of them from `first` on in the file number `file` of this writer.
pub struct Placed {
    pub file: usize,
    pub first: u32,
    pub rows: usize,
}

pub struct Writer<'a> {
    store: &'a dyn Store,
    prefix: String,
    schema: SchemaRef,
    compression: Compression,
    target: usize,
    now: Option<(ArrowWriter<Vec<u8>>, usize)>,
    done: Vec<Written>,
}

impl<'a> Writer<'a> {
    /// `prefix` is the folder and the beginning of the names ("part-").
    pub fn new(store: &'a dyn Store, prefix: &str, schema: SchemaRef, compression: &str, target: usize) -> Writer<'a> {
        let compression = codec(compression);
        Writer { store, prefix: prefix.into(), schema, compression, target, now: None, done: vec![] }
    }

    /// Of a file that begins with these rows. A dictionary of values of which each is another one takes time
    /// to make, and saves nothing.
    fn properties(&self, first: &RecordBatch) -> Result<WriterProperties> {
        let mut properties = WriterProperties::builder()
            .set_compression(self.compression)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_created_by(format!("ods-sink {}", env!("CARGO_PKG_VERSION")));
        let sample = SAMPLE.min(rows_within(SAMPLE_BYTES, first).max(SAMPLE_LEAST)).min(first.num_rows());
        let sample = first.slice(0, sample);
        for (field, values) in self.schema.fields().iter().zip(sample.columns()) {
            let column = ColumnPath::new(vec![field.name().clone()]);
            // Ids of rows follow one another.
            if crate::iceberg::schema::id_of(field) == Some(lineage::ROW) {
                properties = properties
                    .set_column_dictionary_enabled(column.clone(), false)
                    .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
            } else if !field.data_type().is_nested() && differ(values)? {
                properties = properties.set_column_dictionary_enabled(column, false);
            }
        }
        Ok(properties.build())
    }

    pub fn push(&mut self, batch: &RecordBatch) -> Result<Vec<Placed>> {
        let mut placed = vec![];
        let mut at = 0;
        while at < batch.num_rows() {
            let part = batch.slice(at, CHUNK.min(batch.num_rows() - at));
            let n = part.num_rows();
            let file = self.done.len();
            if self.now.is_none() {
                let options =
                    ArrowWriterOptions::new().with_properties(self.properties(&part)?).with_skip_arrow_metadata(true);
                self.now = Some((ArrowWriter::try_new_with_options(vec![], self.schema.clone(), options)?, 0));
            }
            if let Some((w, rows)) = &mut self.now {
                w.write(&part)?;
                placed.push(Placed { file, first: *rows as u32, rows: n });
                *rows += n;
                if w.bytes_written() + w.in_progress_size() >= self.target {
                    self.close_file()?;
                }
            }
            at += n;
        }
        Ok(placed)
    }

    fn close_file(&mut self) -> Result<()> {
        let Some((mut w, rows)) = self.now.take() else { return Ok(()) };
        let meta = w.finish()?;
        let bytes = std::mem::take(w.inner_mut());
        let name = format!("{}{}.parquet", self.prefix, uuid::Uuid::new_v4());
        let size = bytes.len() as i64;
        self.store.put(&name, bytes.into())?;
        self.done.push(Written { name, size, stats: statistics(&meta, &self.schema, rows).to_string() });
        Ok(())
    }

    pub fn finish(mut self) -> Result<Vec<Written>> {
        self.close_file()?;
        Ok(self.done)
    }
}

/// How many of a batch's rows take so much memory, at least one.
pub fn rows_within(bytes: usize, batch: &RecordBatch) -> usize {
    let taken: usize = batch.columns().iter().filter_map(|c| c.to_data().get_slice_memory_size().ok()).sum();
    (bytes / (taken / batch.num_rows().max(1)).max(1)).max(1)
}

/// What a column's values take when they are decoded: a value that a dictionary has once takes it in each row.
fn decoded_bytes(column: &ColumnChunkMetaData) -> i64 {
    let values = column.num_values();
    column.unencoded_byte_array_data_bytes().unwrap_or(column.uncompressed_size()).max(0) + 8 * values
}

/// Rows to be read at a time, so that they take CHUNK_BYTES by the average of the file's widest group. Writers that do
/// not tell how large values are when they are decoded are believed what they take in the file.
fn rows_at_a_time(meta: &ParquetMetaData, mask: &ProjectionMask) -> usize {
    let widest = meta.row_groups().iter().map(|group| {
        let wanted = group.columns().iter().enumerate().filter(|(n, _)| mask.leaf_included(*n));
        wanted.map(|(_, c)| decoded_bytes(c)).sum::<i64>() / group.num_rows().max(1)
    });
    (CHUNK_BYTES / widest.max().unwrap_or(1).max(1) as usize).clamp(1, CHUNK)
}

/// Is most of what stands there another value than any before?
fn differ(values: &ArrayRef) -> Result<bool> {
    let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())])?;
    let rows = converter.convert_columns(std::slice::from_ref(values))?;
    let different: HashSet<&[u8]> = (0..rows.num_rows()).map(|r| rows.row(r).data()).collect();
    Ok(different.len() * 2 > rows.num_rows())
}

pub fn codec(name: &str) -> Compression {
    match name {
        "zstd" => Compression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default()),
        "none" => Compression::UNCOMPRESSED,
        _ => Compression::SNAPPY,
    }
}

/// Delta's statistics of a file: rows, nulls, and borders where they are exact.
fn statistics(meta: &ParquetMetaData, schema: &Schema, rows: usize) -> Value {
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    for field in schema.fields() {
        let mut borders: Option<(Value, Value)> = None;
        let (mut whole, mut count, mut found) = (true, 0u64, false);
        for group in meta.row_groups() {
            let Some(column) = group.columns().iter().find(|c| c.column_path().parts() == [field.name().as_str()])
            else {
                continue;
            };
            found = true;
            let Some(s) = column.statistics() else {
                whole = false;
                continue;
            };
            let n = s.null_count_opt();
            count += n.unwrap_or(0);
            if n == Some(group.num_rows() as u64) {
                continue;
            }
            match border(s, field.data_type()) {
                Some((a, b)) => {
                    borders = Some(match borders {
                        None => (a, b),
                        Some((c, d)) => (if less(&a, &c) { a } else { c }, if less(&d, &b) { b } else { d }),
                    })
                }
                None => whole = false,
            }
        }
        if !found {
            continue;
        }
        nulls.insert(field.name().clone(), json!(count));
        if let (true, Some((a, b))) = (whole, borders) {
            min.insert(field.name().clone(), a);
            max.insert(field.name().clone(), b);
        }
    }
    json!({"numRecords": rows, "minValues": min, "maxValues": max, "nullCount": nulls})
}

fn less(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a < b,
        _ => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a < b,
            _ => a.as_f64() < b.as_f64(),
        },
    }
}

/// The least and the greatest value. None for floating point, whose NaN some readers take for the greatest value and
/// Parquet leaves out.
fn border(s: &Statistics, t: &DataType) -> Option<(Value, Value)> {
    Some(match (s, t) {
        (Statistics::Int32(v), DataType::Date32) => {
            (json!(partition::date(*v.min_opt()?)?), json!(partition::date(*v.max_opt()?)?))
        }
        (Statistics::Int32(v), DataType::Int8 | DataType::Int16 | DataType::Int32) => {
            (json!(v.min_opt()?), json!(v.max_opt()?))
        }
        (Statistics::Int64(v), DataType::Int64) => (json!(v.min_opt()?), json!(v.max_opt()?)),
        (Statistics::ByteArray(v), DataType::Utf8) if v.min_is_exact() && v.max_is_exact() => {
            let (a, b) = (v.min_opt()?.as_utf8().ok()?, v.max_opt()?.as_utf8().ok()?);
            if a.len() > STATS_TEXT || b.len() > STATS_TEXT {
                return None;
            }
            (json!(a), json!(b))
        }
        // Milliseconds are what the format's statistics of times have: down for the least, up for the greatest.
        (Statistics::Int64(v), DataType::Timestamp(_, zone)) => {
            let z = if zone.is_some() { "Z" } else { "" };
            let (a, b) = (v.min_opt()?.div_euclid(1000), -(-*v.max_opt()?).div_euclid(1000));
            (json!(format!("{}{z}", partition::time_ms(a)?)), json!(format!("{}{z}", partition::time_ms(b)?)))
        }
        _ => return None,
    })
}

/// How rows of a table's file are to be read.
#[derive(Clone)]
pub struct Wanted {
    /// The columns to be given, with the table's types; those that the file lacks are null, and those of its
    /// partition have the values that its entry in the log has.
    pub columns: SchemaRef,
}

pub struct Rows {
    inner: ParquetRecordBatchReader,
    wanted: Wanted,
    values: Map<String, Value>,
    name: String,
}

impl Rows {
    /// Rows of a file in their order, all or those of the selection.
    pub fn open(
        store: &dyn Store,
        name: &str,
        values: &Map<String, Value>,
        wanted: &Wanted,
        selection: Option<RowSelection>,
    ) -> Result<Rows> {
        let input = store.open(name)?;
        let policy = if selection.is_some() {
            parquet::file::metadata::PageIndexPolicy::Optional
        } else {
            parquet::file::metadata::PageIndexPolicy::Skip
        };
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true).with_page_index_policy(policy);
        let about = |e: parquet::errors::ParquetError| Fail::from(e).about(format!("{}/{name}", store.place()));
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(input, options).map_err(about)?;
        let roots: Vec<usize> = builder
            .schema()
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, f)| wanted.columns.fields().iter().any(|w| is_same(w, f)) && !values.contains_key(f.name()))
            .map(|(i, _)| i)
            .collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let most = rows_at_a_time(builder.metadata(), &mask);
        let mut builder = builder.with_projection(mask).with_batch_size(most);
        if let Some(s) = selection {
            builder = builder.with_row_selection(s);
        }
        let inner = builder.build().map_err(about)?;
        Ok(Rows { inner, wanted: wanted.clone(), values: values.clone(), name: name.into() })
    }

    fn fit(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let n = batch.num_rows();
        let columns: Result<Vec<ArrayRef>> = self
            .wanted
            .columns
            .fields()
            .iter()
            .map(|f| {
                // By the file's own entry: the table may have been parted otherwise then.
                if self.values.contains_key(f.name()) {
                    let one = partition::parse(f.data_type(), self.values.get(f.name()).and_then(Value::as_str))
                        .map_err(|e| e.about(format!("column {}", f.name())))?;
                    return Ok(arrow_select::take::take(&one, &UInt32Array::from(vec![0; n]), None)?);
                }
                match batch.schema().fields().iter().position(|g| is_same(f, g)) {
                    Some(i) => types::fit(batch.column(i), f),
                    None => Ok(new_null_array(f.data_type(), n)),
                }
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(n));
        Ok(RecordBatch::try_new_with_options(self.wanted.columns.clone(), columns?, &options)?)
    }
}

impl Iterator for Rows {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.inner.next()?;
        let fitted = batch.map_err(|e| match e {
            // An outage of a local file that is read piece by piece.
            arrow_schema::ArrowError::ExternalError(_) => Fail::Retry(e.to_string()),
            e => fatal!("the file is damaged or of a kind that this engine does not read: {e}"),
        });
        Some(fitted.and_then(|b| self.fit(&b)).map_err(|e| e.about(&self.name)))
    }
}

/// Whether a file's column is that of the table: by their ids where both have one, else by their names.
fn is_same(table: &Field, file: &Field) -> bool {
    let id = |f: &Field| f.metadata().get(parquet::arrow::PARQUET_FIELD_ID_META_KEY).cloned();
    match (id(table), id(file)) {
        (Some(a), Some(b)) => a == b,
        _ => table.name() == file.name(),
    }
}

/// A selection of single rows, which are in order.
pub fn selection(rows: &[u32]) -> RowSelection {
    use parquet::arrow::arrow_reader::RowSelector;
    let mut out: Vec<RowSelector> = vec![];
    let mut at = 0usize;
    for r in rows {
        let r = *r as usize;
        if r > at {
            out.push(RowSelector::skip(r - at));
        }
        match out.last_mut() {
            Some(s) if !s.skip && r == at => s.row_count += 1,
            _ => out.push(RowSelector::select(1)),
        }
        at = r + 1;
    }
    out.into()
}

/// The batch without the rows that a deletion vector has; `first` is the batch's first row in its file.
pub fn without(batch: RecordBatch, first: u64, gone: Option<&RoaringTreemap>) -> Result<RecordBatch> {
    let n = batch.num_rows() as u64;
    if n == 0 {
        return Ok(batch);
    }
    let Some(gone) = gone.filter(|g| g.rank(first + n - 1) > if first == 0 { 0 } else { g.rank(first - 1) }) else {
        return Ok(batch);
    };
    let keep: arrow_array::BooleanArray = (first..first + n).map(|p| Some(!gone.contains(p))).collect();
    Ok(arrow_select::filter::filter_record_batch(&batch, &keep)?)
}

/// The columns that a data file has: all but those of the partition.
pub fn file_schema(schema: &Schema, partition: &[String]) -> SchemaRef {
    let fields: Vec<Arc<Field>> = schema.fields().iter().filter(|f| !partition.contains(f.name())).cloned().collect();
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Folder;
    use arrow_array::StringArray;

    /// A dictionary has the value once, and so little of a file says what its rows take.
    #[test]
    fn large_values_that_repeat_are_read_a_few_at_a_time() {
        let folder = Folder::new();
        let store = crate::store::Local::new(folder.0.clone());
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("v", DataType::Utf8, true)]));
        let value = "x".repeat(40_000);
        let values: ArrayRef = Arc::new(StringArray::from(vec![value.as_str(); 1_000]));
        let mut writer = Writer::new(&store, "part-", schema.clone(), "snappy", 1 << 30);
        writer.push(&RecordBatch::try_new(schema.clone(), vec![values]).unwrap()).unwrap();
        let written = writer.finish().unwrap();
        assert!(written[0].size < 1 << 20);
        let mut rows = 0;
        for batch in Rows::open(&store, &written[0].name, &Map::new(), &Wanted { columns: schema }, None).unwrap() {
            let batch = batch.unwrap();
            assert!(batch.get_array_memory_size() < 2 * CHUNK_BYTES, "{}", batch.get_array_memory_size());
            rows += batch.num_rows();
        }
        assert_eq!(rows, 1_000);
    }
}
