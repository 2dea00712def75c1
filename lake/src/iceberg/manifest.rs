//! Manifests, which list files, and manifest lists, which list those: versions 2 and 3 of the format.
//!
//! https://iceberg.apache.org/spec/#manifests. Numbers are the ids that the specification gives the fields.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::answer::{Result, fatal};
use crate::iceberg::avro::{self, Av};
use crate::iceberg::spec::Part;

pub const DATA: i64 = 0;
pub const POSITIONS: i64 = 1;
const EQUALITY: i64 = 2;
pub const EXISTING: i64 = 0;
pub const ADDED: i64 = 1;
pub const DELETED: i64 = 2;

pub const PUFFIN: &str = "PUFFIN";
/// Of a data file: the id of its first row. Of a delete file: its data file, and the place in a Puffin file.
const FIRST_ROW: i32 = 142;
pub const REFERENCED: i32 = 143;
pub const OFFSET: i32 = 144;
pub const SIZE: i32 = 145;

/// A data or delete file.
#[derive(Clone, Debug)]
pub struct DataFile {
    pub content: i64,
    pub path: String,
    pub format: String,
    pub partition: Av,
    pub rows: i64,
    pub bytes: i64,
    /// Statistics and so on, by their ids.
    pub rest: Vec<(i32, Av)>,
}

impl DataFile {
    fn read(v: &Av) -> Result<DataFile> {
        let Av::Record(fields) = v else { return Err(fatal!("an entry without a file")) };
        let own = [134, 100, 101, 102, 103, 104, FIRST_ROW];
        Ok(DataFile {
            content: v.at(134).int().unwrap_or(DATA),
            path: v.at(100).text().ok_or_else(|| fatal!("a file without a path"))?.into(),
            format: v.at(101).text().unwrap_or_default().to_uppercase(),
            partition: v.at(102).clone(),
            rows: v.at(103).int().unwrap_or(0),
            bytes: v.at(104).int().unwrap_or(0),
            rest: fields.iter().filter(|(id, v)| !own.contains(id) && *v != Av::Null).cloned().collect(),
        })
    }

    fn avro(&self, first_row: Option<i64>) -> Av {
        let mut all = vec![
            (FIRST_ROW, first_row.map_or(Av::Null, Av::Int)),
            (134, Av::Int(self.content)),
            (100, Av::Text(self.path.clone())),
            (101, Av::Text(self.format.clone())),
            (102, self.partition.clone()),
            (103, Av::Int(self.rows)),
            (104, Av::Int(self.bytes)),
        ];
        all.extend(self.rest.iter().cloned());
        Av::Record(all)
    }

    pub fn is_equality(&self) -> bool {
        self.content == EQUALITY
    }

    /// A deletion vector in a Puffin file, which is of one data file.
    pub fn is_vector(&self) -> bool {
        self.content == POSITIONS && self.format == PUFFIN
    }

    fn other(&self, id: i32) -> &Av {
        self.rest.iter().find(|(i, _)| *i == id).map_or(&Av::Null, |(_, v)| v)
    }

    /// The one data file whose rows a delete file takes out; None: it may be of several.
    pub fn referenced(&self) -> Option<&str> {
        self.other(REFERENCED).text()
    }

    /// Where in its file a deletion vector stands, and how long it is.
    pub fn place(&self) -> Option<(usize, usize)> {
        let n = |id| self.other(id).int().and_then(|n| usize::try_from(n).ok());
        Some((n(OFFSET)?, n(SIZE)?))
    }

    /// What tells it from other delete files: a Puffin file may have several vectors.
    pub fn id(&self) -> String {
        match self.place() {
            Some((at, _)) if self.is_vector() => format!("{}#{at}", self.path),
            _ => self.path.clone(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub status: i64,
    pub snapshot: i64,
    pub sequence: i64,
    pub file_sequence: i64,
    pub spec: i64,
    /// Of data files of version 3: the id of the first row. None: it is given when the snapshot is made.
    pub first_row: Option<i64>,
    pub file: Arc<DataFile>,
}

#[derive(Clone, Debug)]
pub struct Manifest {
    pub path: String,
    length: i64,
    spec: i64,
    pub content: i64,
    pub sequence: i64,
    min_sequence: i64,
    pub snapshot: i64,
    /// Files and rows that are added, that stay, and that go.
    files: [i64; 3],
    rows: [i64; 3],
    partitions: Av,
    key: Av,
    /// Of version 3: the id of the first row of those data files that have none of their own.
    pub first_row: Option<i64>,
}

impl Manifest {
    fn read(v: &Av) -> Result<Manifest> {
        let n = |id: i32| v.at(id).int().unwrap_or(0);
        Ok(Manifest {
            path: v.at(500).text().ok_or_else(|| fatal!("a manifest without a path"))?.into(),
            length: n(501),
            spec: n(502),
            content: n(517),
            sequence: n(515),
            min_sequence: n(516),
            snapshot: n(503),
            // Absent (version 1 of the format): there may be some.
            files: [v.at(504).int().unwrap_or(1), v.at(505).int().unwrap_or(1), n(506)],
            rows: [n(512), n(513), n(514)],
            partitions: v.at(507).clone(),
            key: v.at(519).clone(),
            first_row: v.at(520).int(),
        })
    }

    fn avro(&self) -> Av {
        let n = Av::Int;
        Av::Record(vec![
            (500, Av::Text(self.path.clone())),
            (501, n(self.length)),
            (502, n(self.spec)),
            (517, n(self.content)),
            (515, n(self.sequence)),
            (516, n(self.min_sequence)),
            (503, n(self.snapshot)),
            (504, n(self.files[0])),
            (505, n(self.files[1])),
            (506, n(self.files[2])),
            (512, n(self.rows[0])),
            (513, n(self.rows[1])),
            (514, n(self.rows[2])),
            (507, self.partitions.clone()),
            (519, self.key.clone()),
            (520, self.first_row.map_or(Av::Null, Av::Int)),
        ])
    }

    /// Whether it has files that are part of the table.
    pub fn is_alive(&self) -> bool {
        self.files[0] + self.files[1] > 0
    }

    /// Gives rows that have no ids theirs, from `next` on: at most so many as the manifest has. Not those of deletes.
    pub fn give_rows(&mut self, next: &mut i64) -> bool {
        if self.content != DATA || self.first_row.is_some() {
            return false;
        }
        self.first_row = Some(*next);
        *next += self.rows[0] + self.rows[1];
        true
    }
}

fn field(name: &str, id: i32, t: Value) -> Value {
    json!({"name": name, "type": t, "field-id": id})
}

fn optional(name: &str, id: i32, t: Value) -> Value {
    json!({"name": name, "type": ["null", t], "default": null, "field-id": id})
}

fn pairs(name: &str, id: i32, key: i32, value: Value) -> Value {
    let record = json!({"type": "record", "name": format!("k{key}_v{}", key + 1), "fields": [
        {"name": "key", "type": "int", "field-id": key}, {"name": "value", "type": value, "field-id": key + 1}]});
    optional(name, id, json!({"type": "array", "items": record, "logicalType": "map"}))
}

fn entry_schema(parts: &[Part], version: i64) -> Result<Value> {
    let partition: Vec<Value> = parts.iter().map(Part::avro).collect::<Result<_>>()?;
    let mut fields = vec![
        field("content", 134, json!("int")),
        field("file_path", 100, json!("string")),
        field("file_format", 101, json!("string")),
        field("partition", 102, json!({"type": "record", "name": "r102", "fields": partition})),
        field("record_count", 103, json!("long")),
        field("file_size_in_bytes", 104, json!("long")),
        pairs("column_sizes", 108, 117, json!("long")),
        pairs("value_counts", 109, 119, json!("long")),
        pairs("null_value_counts", 110, 121, json!("long")),
        pairs("nan_value_counts", 137, 138, json!("long")),
        pairs("lower_bounds", 125, 126, json!("bytes")),
        pairs("upper_bounds", 128, 129, json!("bytes")),
        optional("key_metadata", 131, json!("bytes")),
        optional("split_offsets", 132, json!({"type": "array", "items": "long", "element-id": 133})),
        optional("equality_ids", 135, json!({"type": "array", "items": "int", "element-id": 136})),
        optional("sort_order_id", 140, json!("int")),
    ];
    if version >= 3 {
        fields.push(optional("first_row_id", FIRST_ROW, json!("long")));
    }
    fields.push(optional("referenced_data_file", REFERENCED, json!("string")));
    if version >= 3 {
        fields.push(optional("content_offset", OFFSET, json!("long")));
        fields.push(optional("content_size_in_bytes", SIZE, json!("long")));
    }
    let file = json!({"type": "record", "name": "r2", "fields": fields});
    Ok(json!({"type": "record", "name": "manifest_entry", "fields": [
        field("status", 0, json!("int")),
        optional("snapshot_id", 1, json!("long")),
        optional("sequence_number", 3, json!("long")),
        optional("file_sequence_number", 4, json!("long")),
        field("data_file", 2, file),
    ]}))
}

fn list_schema(version: i64) -> Value {
    let summary = json!({"type": "record", "name": "r508", "fields": [
        field("contains_null", 509, json!("boolean")),
        optional("contains_nan", 518, json!("boolean")),
        optional("lower_bound", 510, json!("bytes")),
        optional("upper_bound", 511, json!("bytes")),
    ]});
    let mut fields = vec![
        field("manifest_path", 500, json!("string")),
        field("manifest_length", 501, json!("long")),
        field("partition_spec_id", 502, json!("int")),
        field("content", 517, json!("int")),
        field("sequence_number", 515, json!("long")),
        field("min_sequence_number", 516, json!("long")),
        field("added_snapshot_id", 503, json!("long")),
        field("added_files_count", 504, json!("int")),
        field("existing_files_count", 505, json!("int")),
        field("deleted_files_count", 506, json!("int")),
        field("added_rows_count", 512, json!("long")),
        field("existing_rows_count", 513, json!("long")),
        field("deleted_rows_count", 514, json!("long")),
        optional("partitions", 507, json!({"type": "array", "items": summary, "element-id": 508})),
        optional("key_metadata", 519, json!("bytes")),
    ];
    if version >= 3 {
        fields.push(optional("first_row_id", 520, json!("long")));
    }
    json!({"type": "record", "name": "manifest_file", "fields": fields})
}

/// The entries of a manifest.
pub fn read(raw: &[u8], m: &Manifest) -> Result<Vec<Entry>> {
    let file = avro::read(raw)?;
    let entries: Result<Vec<Entry>> = file
        .rows
        .iter()
        .map(|v| {
            let status = v.at(0).int().unwrap_or(ADDED);
            let sequence = v.at(3).int().unwrap_or(m.sequence);
            Ok(Entry {
                status,
                snapshot: v.at(1).int().unwrap_or(m.snapshot),
                sequence,
                file_sequence: v.at(4).int().unwrap_or(sequence),
                spec: m.spec,
                first_row: v.at(2).at(FIRST_ROW).int(),
                file: Arc::new(DataFile::read(v.at(2))?),
            })
        })
        .collect();
    let mut entries = entries?;
    if m.content == DATA {
        inherit(&mut entries, m.first_row);
    }
    Ok(entries)
}

/// Gives data files without an id of their first row those from `first` on, in their order; answers what comes next.
pub fn inherit(entries: &mut [Entry], first: Option<i64>) -> Option<i64> {
    let mut next = first?;
    for e in entries.iter_mut().filter(|e| e.status != DELETED && e.first_row.is_none()) {
        e.first_row = Some(next);
        next += e.file.rows;
    }
    Some(next)
}

pub fn read_list(raw: &[u8]) -> Result<Vec<Manifest>> {
    avro::read(raw)?.rows.iter().map(Manifest::read).collect()
}

/// What the manifests of a snapshot have in common.
pub struct About<'a> {
    /// Of the format.
    pub version: i64,
    pub snapshot: i64,
    pub parent: Option<i64>,
    pub sequence: i64,
    pub schema: &'a Value,
    pub spec: &'a Value,
}

fn summaries(entries: &[Entry], parts: &[Part]) -> Av {
    if parts.is_empty() {
        return Av::Null;
    }
    let one = |p: &Part| {
        let values: Vec<&Av> = entries.iter().map(|e| e.file.partition.at(p.id)).collect();
        let mut set: Vec<&Av> = values.iter().copied().filter(|v| **v != Av::Null).collect();
        set.sort_by(|a, b| p.order(a, b));
        let bytes = |v: Option<&&Av>| v.and_then(|v| p.bytes(v)).map_or(Av::Null, Av::Bytes);
        Av::Record(vec![(509, Av::Bool(set.len() < values.len())), (510, bytes(set.first())), (511, bytes(set.last()))])
    };
    Av::List(parts.iter().map(one).collect())
}

/// A manifest of these entries, of one content and one spec, as a file of this path.
pub fn write(
    entries: &[Entry],
    content: i64,
    parts: &[Part],
    path: String,
    about: &About,
) -> Result<(Manifest, Vec<u8>)> {
    let mut m = Manifest {
        path,
        length: 0,
        spec: about.spec["spec-id"].as_i64().unwrap_or(0),
        content,
        sequence: about.sequence,
        min_sequence: about.sequence,
        snapshot: about.snapshot,
        files: [0; 3],
        rows: [0; 3],
        partitions: summaries(entries, parts),
        key: Av::Null,
        first_row: None,
    };
    let mut rows = vec![];
    for e in entries {
        let place = match e.status {
            ADDED => 0,
            EXISTING => 1,
            _ => 2,
        };
        m.files[place] += 1;
        m.rows[place] += e.file.rows;
        // What is added has the number of the snapshot, whichever that becomes.
        let given = |n: i64| if e.status == ADDED { Av::Null } else { Av::Int(n) };
        if e.status != ADDED {
            m.min_sequence = m.min_sequence.min(e.sequence);
        }
        rows.push(Av::Record(vec![
            (0, Av::Int(e.status)),
            (1, Av::Int(e.snapshot)),
            (3, given(e.sequence)),
            (4, given(e.file_sequence)),
            // Likewise rows that are added get their ids from the manifest list.
            (2, e.file.avro(e.first_row.filter(|_| e.status != ADDED))),
        ]));
    }
    let meta = [
        ("schema", about.schema.to_string()),
        ("schema-id", about.schema["schema-id"].to_string()),
        ("partition-spec", about.spec["fields"].to_string()),
        ("partition-spec-id", m.spec.to_string()),
        ("format-version", about.version.to_string()),
        ("content", if content == DATA { "data".into() } else { "deletes".into() }),
    ];
    let raw = avro::file(&entry_schema(parts, about.version)?, &meta, &rows)?;
    m.length = raw.len() as i64;
    Ok((m, raw))
}

/// `first_row`: of version 3, the id from which on the snapshot's new rows have theirs.
pub fn write_list(manifests: &[Manifest], about: &About, first_row: Option<i64>) -> Result<Vec<u8>> {
    let mut meta = vec![
        ("snapshot-id", about.snapshot.to_string()),
        ("parent-snapshot-id", about.parent.map_or("null".into(), |p| p.to_string())),
        ("sequence-number", about.sequence.to_string()),
        ("format-version", about.version.to_string()),
    ];
    if let Some(n) = first_row {
        meta.push(("first-row-id", n.to_string()));
    }
    let rows: Vec<Av> = manifests.iter().map(Manifest::avro).collect();
    avro::file(&list_schema(about.version), &meta, &rows)
}
