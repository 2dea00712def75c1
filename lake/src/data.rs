//! Data files: rows to Parquet, with the statistics that readers skip files by, and back.

use std::collections::HashSet;
use std::mem::discriminant;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::arrow::arrow_writer::{
    ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriter, ArrowWriterOptions, compute_leaves,
};
use parquet::arrow::{ArrowSchemaConverter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
};
use parquet::file::properties::WriterProperties;
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use roaring::RoaringTreemap;
use serde_json::{Map, Value, json};

use crate::answer::{Fail, Result, fatal};
use crate::iceberg::lineage;
use crate::partition;
use crate::store::{Input, Output, Store};
use crate::types;

/// Rows that are decoded and encoded at a time, at most.
pub const CHUNK: usize = 16_384;
/// And about so many bytes of them, however large they are.
pub const CHUNK_BYTES: usize = 8 << 20;
/// A page holds so many rows, so that single rows can be read without the whole column.
const PAGE_ROWS: usize = 20_000;
/// A group of rows is in memory beside the file that it goes into, until it is whole.
const GROUP_ROWS: usize = 262_144;
/// Files whose groups have at least so many rows on average are put together as they stand, group by group: readers
/// gain nothing by larger ones that would be worth decoding and encoding all of it.
const GROUP_LEAST: u64 = 8_192;
/// Only files that were written by this engine are taken as they stand.
const CREATOR: &str = "ods-sink ";
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
    now: Option<Sheet<'a>>,
    done: Vec<Written>,
}

/// A file that is being written.
struct Sheet<'a> {
    file: SerializedFileWriter<Output<'a>>,
    groups: ArrowRowGroupWriterFactory,
    /// Of the group of rows that is not whole yet; none: it has not begun.
    columns: Vec<ArrowColumnWriter>,
    in_group: usize,
    rows: usize,
}

impl Sheet<'_> {
    fn write(&mut self, batch: &RecordBatch, schema: &Schema) -> Result<()> {
        if self.columns.is_empty() {
            self.columns = self.groups.create_column_writers(self.file.flushed_row_groups().len())?;
        }
        let mut columns = self.columns.iter_mut();
        for (field, values) in schema.fields().iter().zip(batch.columns()) {
            for (leaf, column) in compute_leaves(field, values)?.iter().zip(columns.by_ref()) {
                column.write(leaf)?;
            }
        }
        self.in_group += batch.num_rows();
        self.rows += batch.num_rows();
        if self.in_group >= GROUP_ROWS { self.end_group() } else { Ok(()) }
    }

    fn end_group(&mut self) -> Result<()> {
        if self.in_group == 0 {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for column in std::mem::take(&mut self.columns) {
            column.close()?.append_to_row_group(&mut group)?;
        }
        group.close()?;
        self.in_group = 0;
        Ok(())
    }

    /// Adds a group of another file as it stands there.
    fn copy_group(&mut self, whole: &Whole, n: usize) -> Result<()> {
        self.end_group()?;
        let from = whole.meta.row_group(n);
        let (rows, mut group) = (from.num_rows() as u64, self.file.next_row_group()?);
        for (c, column) in from.columns().iter().enumerate() {
            let close = ColumnCloseResult {
                bytes_written: column.compressed_size() as u64,
                rows_written: rows,
                metadata: column.clone(),
                bloom_filter: None,
                column_index: whole.meta.column_index().and_then(|groups| groups.get(n)?.get(c)).cloned(),
                offset_index: whole.meta.offset_index().and_then(|groups| groups.get(n)?.get(c)).cloned(),
            };
            group.append_column(&whole.input, close)?;
        }
        group.close()?;
        self.rows += rows as usize;
        Ok(())
    }

    /// About so large is the file if it ends now.
    fn bytes(&self) -> usize {
        self.file.bytes_written() + self.columns.iter().map(|c| c.get_estimated_total_bytes()).sum::<usize>()
    }
}

/// A file that can be taken as it stands.
pub struct Whole {
    input: Input,
    meta: ParquetMetaData,
}

impl<'a> Writer<'a> {
    /// `prefix` is the folder and the beginning of the names ("part-").
    pub fn new(store: &'a dyn Store, prefix: &str, schema: SchemaRef, compression: &str, target: usize) -> Writer<'a> {
        let compression = codec(compression);
        Writer { store, prefix: prefix.into(), schema, compression, target, now: None, done: vec![] }
    }

    /// Of a file that begins with these rows. A dictionary of values of which each is another one takes time
    /// to make, and saves nothing.
    fn properties(&self, first: Option<&RecordBatch>) -> Result<WriterProperties> {
        let mut properties = WriterProperties::builder()
            .set_compression(self.compression)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_created_by(format!("{CREATOR}{}", env!("CARGO_PKG_VERSION")));
        let Some(first) = first else { return Ok(properties.build()) };
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
            let schema = self.schema.clone();
            let sheet = self.sheet(Some(&part))?;
            placed.push(Placed { file, first: sheet.rows as u32, rows: n });
            sheet.write(&part, &schema)?;
            self.close_full()?;
            at += n;
        }
        Ok(placed)
    }

    /// A file of the store, if it can be put into this writer's as it stands: of the same columns, as this engine writes
    /// them, and in groups that are large enough. Else what was opened is given back.
    pub fn whole(&self, name: &str, input: Input) -> Result<std::result::Result<Whole, Input>> {
        let about = |e: parquet::errors::ParquetError| Fail::from(e).about(format!("{}/{name}", self.store.place()));
        let reader = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .with_metadata_options(Some(ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false)));
        let meta = reader.parse_and_finish(&input).map_err(about)?;
        let (file, groups) = (meta.file_metadata(), meta.row_groups());
        let columns = ArrowSchemaConverter::new().convert(&self.schema)?;
        // A file does not tell the level.
        let codec = discriminant(&self.compression);
        let fits = file.created_by().is_some_and(|by| by.starts_with(CREATOR))
            && file.schema_descr().root_schema().get_fields() == columns.root_schema().get_fields()
            && file.num_rows() as u64 >= GROUP_LEAST * groups.len() as u64
            && groups.iter().flat_map(|g| g.columns()).all(|c| codec == discriminant(&c.compression()));
        Ok(if fits { Ok(Whole { input, meta }) } else { Err(input) })
    }

    pub fn push_whole(&mut self, whole: &Whole) -> Result<()> {
        for n in 0..whole.meta.num_row_groups() {
            self.sheet(None)?.copy_group(whole, n)?;
            self.close_full()?;
        }
        Ok(())
    }

    fn sheet(&mut self, first: Option<&RecordBatch>) -> Result<&mut Sheet<'a>> {
        let sheet = match self.now.take() {
            Some(sheet) => sheet,
            None => {
                let options =
                    ArrowWriterOptions::new().with_properties(self.properties(first)?).with_skip_arrow_metadata(true);
                let name = format!("{}{}.parquet", self.prefix, uuid::Uuid::new_v4());
                let output = Output::new(self.store, name);
                let (file, groups) = ArrowWriter::try_new_with_options(output, self.schema.clone(), options)?
                    .into_serialized_writer()?;
                Sheet { file, groups, columns: vec![], in_group: 0, rows: 0 }
            }
        };
        Ok(self.now.insert(sheet))
    }

    fn close_full(&mut self) -> Result<()> {
        if self.now.as_ref().is_some_and(|sheet| sheet.bytes() >= self.target) { self.close_file() } else { Ok(()) }
    }

    fn close_file(&mut self) -> Result<()> {
        let Some(mut sheet) = self.now.take() else { return Ok(()) };
        sheet.end_group()?;
        let meta = sheet.file.finish()?;
        let (name, size) = sheet.file.inner_mut().end()?;
        let stats = statistics(&meta, &self.schema, sheet.rows).to_string();
        self.done.push(Written { name, size: size as i64, stats });
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
        Rows::read(store, name, store.open(name)?, values, wanted, selection)
    }

    /// The same of a file that was opened.
    pub fn read(
        store: &dyn Store,
        name: &str,
        input: Input,
        values: &Map<String, Value>,
        wanted: &Wanted,
        selection: Option<RowSelection>,
    ) -> Result<Rows> {
        let policy = if selection.is_some() { PageIndexPolicy::Optional } else { PageIndexPolicy::Skip };
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
    use arrow_array::{Int64Array, StringArray};
    use parquet::file::metadata::RowGroupMetaData;

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

    fn rows_of(schema: &SchemaRef, first: i64, count: i64, length: usize) -> RecordBatch {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(first..first + count));
        // Values that no codec makes much smaller.
        let text = |id: i64| {
            let mut state = id as u64 + 1;
            let mut digit = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                char::from(b'!' + (state >> 58) as u8)
            };
            (id % 7 > 0).then(|| (0..length).map(|_| digit()).collect::<String>())
        };
        let texts: ArrayRef = Arc::new((first..first + count).map(text).collect::<StringArray>());
        RecordBatch::try_new(schema.clone(), vec![ids, texts]).unwrap()
    }

    fn written(store: &dyn Store, batch: &RecordBatch, codec: &str) -> String {
        let mut writer = Writer::new(store, "part-", batch.schema(), codec, 1 << 30);
        writer.push(batch).unwrap();
        writer.finish().unwrap().remove(0).name
    }

    fn whole(writer: &Writer, name: &str) -> std::result::Result<Whole, Input> {
        writer.whole(name, writer.store.open(name).unwrap()).unwrap()
    }

    fn read(store: &dyn Store, name: &str, schema: &SchemaRef, rows: Option<&[u32]>) -> RecordBatch {
        let wanted = Wanted { columns: schema.clone() };
        let rows = Rows::open(store, name, &Map::new(), &wanted, rows.map(selection)).unwrap();
        let batches: Vec<RecordBatch> = rows.map(|b| b.unwrap()).collect();
        arrow_select::concat::concat_batches(schema, &batches).unwrap()
    }

    fn schema_of(text: &str) -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new(text, DataType::Utf8, true)]))
    }

    #[test]
    fn a_large_file_that_must_not_be_written_is_no_outage() {
        let folder = Folder::new();
        std::fs::create_dir_all(&folder.0).unwrap();
        let root = folder.0.join("a file");
        std::fs::write(&root, "").unwrap();
        let store = crate::store::Local::new(root);
        let schema = schema_of("v");
        let mut writer = Writer::new(&store, "part-", schema.clone(), "none", 1 << 30);
        let done = writer.push(&rows_of(&schema, 0, 20_000, 900)).and_then(|_| writer.finish());
        assert!(matches!(&done, Err(Fail::Fatal(text)) if text.contains("give the user")), "{:?}", done.err());
    }

    #[test]
    fn groups_are_taken_as_they_stand_between_rows_that_are_written() {
        let folder = Folder::new();
        let store = crate::store::Local::new(folder.0.clone());
        let schema = schema_of("v");
        let large: Vec<String> =
            (0..2).map(|n| written(&store, &rows_of(&schema, n * 10_000, 10_000, 900), "none")).collect();
        let few = written(&store, &rows_of(&schema, 0, 10, 900), "none");
        let zipped = written(&store, &rows_of(&schema, 0, 10_000, 9), "snappy");
        let other = written(&store, &rows_of(&schema_of("w"), 0, 10_000, 9), "none");
        let mut writer = Writer::new(&store, "part-", schema.clone(), "none", 1 << 30);
        for name in [few, zipped, other] {
            assert!(whole(&writer, &name).is_err(), "it is not as this writer writes");
        }
        writer.push(&rows_of(&schema, 90_000, 5, 900)).unwrap();
        for name in &large {
            let whole = whole(&writer, name).ok().unwrap();
            writer.push_whole(&whole).unwrap();
        }
        writer.push(&rows_of(&schema, 90_005, 5, 900)).unwrap();
        let done = writer.finish().unwrap();
        let [Written { name, size, stats }] = done.as_slice() else { panic!("one file") };
        let file = store.open(name).unwrap();
        assert_eq!(parquet::file::reader::Length::len(&file), *size as u64);
        let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
        let meta = reader.parse_and_finish(&file).unwrap();
        let encodings = |g: &RowGroupMetaData| g.columns().iter().all(|c| c.page_encoding_stats_mask().is_some());
        assert!(meta.row_groups().iter().all(encodings), "readers are told whether all pages have a dictionary");
        let groups: Vec<i64> = meta.row_groups().iter().map(|g| g.num_rows()).collect();
        assert_eq!(groups, [5, 10_000, 10_000, 5]);
        let stats: Value = serde_json::from_str(stats).unwrap();
        assert_eq!(
            (&stats["numRecords"], &stats["minValues"]["id"], &stats["maxValues"]["id"]),
            (&json!(20_010), &json!(0), &json!(90_009))
        );
        let parts = [(90_000, 5), (0, 10_000), (10_000, 10_000), (90_005, 5)].map(|(a, n)| rows_of(&schema, a, n, 900));
        let all = arrow_select::concat::concat_batches(&schema, &parts).unwrap();
        assert_eq!(read(&store, name, &schema, None), all);
        // Single rows are found by the pages' places.
        let some = [3, 4, 5, 9_999, 10_005, 14_000, 20_004, 20_005, 20_009];
        let wanted = arrow_select::take::take_record_batch(&all, &UInt32Array::from(some.to_vec())).unwrap();
        assert_eq!(read(&store, name, &schema, Some(&some)), wanted);
    }

    #[test]
    fn a_large_file_that_is_not_ended_is_not_left() {
        let folder = Folder::new();
        let store = crate::store::Local::new(folder.0.clone());
        let schema = schema_of("v");
        let name = written(&store, &rows_of(&schema, 0, 10_000, 1_200), "none");
        let files = || store.list("").unwrap().len();
        let mut writer = Writer::new(&store, "part-", schema.clone(), "none", 1 << 30);
        let whole = whole(&writer, &name).ok().unwrap();
        writer.push_whole(&whole).unwrap();
        assert_eq!(files(), 2, "it is written piece by piece");
        drop(writer);
        assert_eq!(files(), 1);
    }
}
