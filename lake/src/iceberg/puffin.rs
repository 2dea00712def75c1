//! Puffin files of deletion vectors. Each has one vector, of one data file: readers are known that take the first of
//! several for all of them.
//!
//! https://iceberg.apache.org/puffin-spec/

use roaring::RoaringTreemap;
use serde_json::json;

use crate::answer::{Result, fatal};
use crate::dv;
use crate::iceberg::catalog::inside;
use crate::iceberg::manifest::Entry;
use crate::iceberg::positions::POSITION;
use crate::store::{Store, missing};

const MAGIC: &[u8; 4] = b"PFA1";
const KIND: &str = "deletion-vector-v1";

/// A file with the vector of a data file, and where in it that stands, and how long it is.
pub fn file(path: &str, rows: &RoaringTreemap) -> Result<(Vec<u8>, usize, usize)> {
    let blob = dv::encode(rows)?;
    let (at, size) = (MAGIC.len(), blob.len());
    let footer = json!({
        "blobs": [{
            "type": KIND, "fields": [POSITION], "snapshot-id": -1, "sequence-number": -1, "offset": at, "length": size,
            "properties": {"referenced-data-file": path, "cardinality": rows.len().to_string()},
        }],
        "properties": {"created-by": concat!("ods-sink ", env!("CARGO_PKG_VERSION"))},
    })
    .to_string();
    let mut out = MAGIC.to_vec();
    out.extend(blob);
    out.extend(MAGIC);
    out.extend(footer.as_bytes());
    out.extend((footer.len() as u32).to_le_bytes());
    // No flags: the footer is not packed.
    out.extend([0; 4]);
    out.extend(MAGIC);
    Ok((out, at, size))
}

/// The rows that a deletion vector takes out of its data file, whose name in the table's folder comes first.
pub fn read(store: &dyn Store, root: &str, e: &Entry) -> Result<(String, RoaringTreemap)> {
    let about = || format!("the deletion vector in {}", e.file.path);
    let of = e.file.referenced().ok_or_else(|| fatal!("it names no data file").about(about()))?;
    let (at, size) = e.file.place().ok_or_else(|| fatal!("it has no place in its file").about(about()))?;
    let raw = store.get(&inside(root, &e.file.path)?)?.ok_or_else(|| missing(&e.file.path))?;
    let blob = at.checked_add(size).and_then(|end| raw.get(at..end));
    let rows =
        blob.ok_or_else(|| fatal!("its file is too short")).and_then(dv::decode).map_err(|f| f.about(about()))?;
    if rows.len() as i64 != e.file.rows {
        return Err(fatal!("it has {} rows, and the manifest says {}", rows.len(), e.file.rows).about(about()));
    }
    Ok((inside(root, of)?, rows))
}

/// The JSON at the end of a file, which says what stands in it.
#[cfg(test)]
pub fn footer(raw: &[u8]) -> serde_json::Value {
    let (rest, end) = raw.split_at(raw.len() - 12);
    assert_eq!((&raw[..4], &end[8..]), (&MAGIC[..], &MAGIC[..]));
    assert_eq!(end[4..8], [0; 4]);
    let size = u32::from_le_bytes([end[0], end[1], end[2], end[3]]) as usize;
    let (before, text) = rest.split_at(rest.len() - size);
    assert!(before.ends_with(MAGIC));
    serde_json::from_slice(text).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_stands_in_it() {
        let rows: RoaringTreemap = [1u64, 5, 70_000].into_iter().collect();
        let (raw, at, size) = file("s3://b/t/data/x.parquet", &rows).unwrap();
        let footer = footer(&raw);
        let blob = &footer["blobs"][0];
        assert_eq!((&blob["type"], &blob["offset"], &blob["length"]), (&json!(KIND), &json!(at), &json!(size)));
        assert_eq!((&blob["snapshot-id"], &blob["sequence-number"]), (&json!(-1), &json!(-1)));
        assert_eq!(blob["fields"], json!([2147483545]));
        assert!(blob.get("compression-codec").is_none());
        let own = json!({"referenced-data-file": "s3://b/t/data/x.parquet", "cardinality": "3"});
        assert_eq!(blob["properties"], own);
        assert_eq!(dv::decode(&raw[at..at + size]).unwrap(), rows);
    }
}
