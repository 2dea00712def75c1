//! Changes as a stream of Arrow's IPC format: the schema once, then batches, however many versions are read one after
//! the other. Its end is the caller's to write.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, MapBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{Field, Schema, SchemaRef};
use serde_json::{Map, Value};

use crate::answer::{Result, fatal};
use crate::scan::Scan;

/// A map: "topic:partition" → the next offset.
const OFFSETS: &str = "_commit_offsets";

pub struct Stream {
    scan: Scan,
    schema: SchemaRef,
    writer: StreamWriter<Vec<u8>>,
    /// What was handed out last.
    bytes: Vec<u8>,
}

fn offsets(of: &Map<String, Value>, rows: usize) -> Result<ArrayRef> {
    let mut b = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for _ in 0..rows {
        for (name, offset) in of {
            b.keys().append_value(name);
            b.values().append_option(offset.as_i64());
        }
        b.append(true)?;
    }
    Ok(Arc::new(b.finish()))
}

fn schema_of(scan: &Scan) -> Result<SchemaRef> {
    // A table's own marks of its columns (ids) are no reader's concern.
    let plain = |f: &Arc<Field>| Arc::new(f.as_ref().clone().with_metadata(Default::default()));
    let mut fields: Vec<Arc<Field>> = arrow_array::RecordBatchReader::schema(scan).fields().iter().map(plain).collect();
    let map = offsets(&Map::new(), 0)?;
    fields.push(Arc::new(Field::new(OFFSETS, map.data_type().clone(), false)));
    Ok(Arc::new(Schema::new(fields)))
}

impl Stream {
    pub fn new(scan: Scan) -> Result<Stream> {
        let schema = schema_of(&scan)?;
        let writer = StreamWriter::try_new(vec![], &schema)?;
        Ok(Stream { scan, schema, writer, bytes: vec![] })
    }

    /// The changes of further versions, in the same stream.
    pub fn go_on(&mut self, scan: Scan, from: i64, to: i64) -> Result<()> {
        if from <= to && schema_of(&scan)? != self.schema {
            return Err(fatal!(
                "the table has other columns now, and a stream of Arrow has one schema: begin another from version {from} on"
            ));
        }
        self.scan = scan;
        Ok(())
    }

    /// The next bytes; none at the end of what is to be read.
    pub fn more(&mut self) -> Result<&[u8]> {
        self.bytes = std::mem::take(self.writer.get_mut());
        if self.bytes.is_empty()
            && let Some(batch) = self.scan.step()?
        {
            let none = Map::new();
            let of = self.scan.offsets.as_ref().and_then(Value::as_object).unwrap_or(&none);
            let mut columns = batch.columns().to_vec();
            columns.push(offsets(of, batch.num_rows())?);
            self.writer.write(&RecordBatch::try_new(self.schema.clone(), columns)?)?;
            self.bytes = std::mem::take(self.writer.get_mut());
        }
        Ok(&self.bytes)
    }
}
