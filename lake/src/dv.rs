//! Deletion vectors: which rows of a data file are gone. Delta Lake and Iceberg have them as the same bytes, and in
//! different files.
//!
//! https://github.com/delta-io/delta/blob/master/PROTOCOL.md#deletion-vector-format

use roaring::RoaringTreemap;
use serde_json::{Map, Value, json};

use crate::answer::{Result, fatal};
use crate::store::Store;

const MAGIC: u32 = 1_681_511_377;
const Z85: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// Where a deletion vector is stored, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dv {
    pub storage: String,
    pub path: String,
    pub offset: Option<i64>,
    pub size: i64,
    pub cardinality: i64,
}

impl Dv {
    pub fn read(v: &Value) -> Result<Dv> {
        let text = |k: &str| v[k].as_str().map(str::to_string).ok_or_else(|| fatal!("a deletion vector lacks {k}"));
        Ok(Dv {
            storage: text("storageType")?,
            path: text("pathOrInlineDv")?,
            offset: v["offset"].as_i64(),
            size: v["sizeInBytes"].as_i64().unwrap_or(0),
            cardinality: v["cardinality"].as_i64().unwrap_or(0),
        })
    }

    pub fn json(&self) -> Value {
        let mut m = Map::new();
        m.insert("storageType".into(), json!(self.storage));
        m.insert("pathOrInlineDv".into(), json!(self.path));
        if let Some(o) = self.offset {
            m.insert("offset".into(), json!(o));
        }
        m.insert("sizeInBytes".into(), json!(self.size));
        m.insert("cardinality".into(), json!(self.cardinality));
        Value::Object(m)
    }

    /// The file's name in the table, None for one that is inline.
    pub fn file(&self) -> Result<Option<String>> {
        match self.storage.as_str() {
            "i" => Ok(None),
            "u" if self.path.len() >= 20 && self.path.is_ascii() => {
                let (prefix, id) = self.path.split_at(self.path.len() - 20);
                let id = uuid::Uuid::from_slice(&unz85(id)?).map_err(|e| fatal!("a deletion vector's name: {e}"))?;
                let folder = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
                Ok(Some(format!("{folder}deletion_vector_{id}.bin")))
            }
            other => Err(fatal!("a deletion vector is stored as \"{other}\", which this engine does not read")),
        }
    }

    pub fn load(&self, store: &dyn Store) -> Result<RoaringTreemap> {
        let Some(file) = self.file()? else {
            let raw = unz85(&self.path)?;
            return parse(raw.get(..self.size.max(0) as usize).unwrap_or(&raw));
        };
        let raw = store.get(&file)?.ok_or_else(|| crate::store::missing(&format!("{}/{file}", store.place())))?;
        let at = self.offset.unwrap_or(0).max(0) as usize;
        let size = self.size.max(0) as usize;
        let damaged = || fatal!("the deletion vector {file} at {at} is damaged");
        let part = at.checked_add(size).and_then(|end| raw.get(at..end.checked_add(8)?)).ok_or_else(damaged)?;
        decode(part).map_err(|e| e.about(format!("{file} at {at}")))
    }
}

/// Length, the vector, and its CRC-32: what stands in a file of either format.
pub fn encode(rows: &RoaringTreemap) -> Result<Vec<u8>> {
    let mut out = vec![0; 4];
    out.extend(MAGIC.to_le_bytes());
    rows.serialize_into(&mut out).map_err(|e| fatal!("cannot write a deletion vector: {e}"))?;
    let size = u32::try_from(out.len() - 4).map_err(|_| fatal!("a deletion vector is too large"))?;
    out[..4].copy_from_slice(&size.to_be_bytes());
    let sum = crc32fast::hash(&out[4..]);
    out.extend(sum.to_be_bytes());
    Ok(out)
}

/// As `encode` has written it: neither more bytes nor fewer.
pub fn decode(raw: &[u8]) -> Result<RoaringTreemap> {
    let damaged = |what: &str| fatal!("a deletion vector is damaged: {what}");
    let (size, rest) = raw.split_first_chunk::<4>().ok_or_else(|| damaged("it has no length"))?;
    let (body, sum) = rest.split_last_chunk::<4>().ok_or_else(|| damaged("it has no checksum"))?;
    if u32::from_be_bytes(*size) as usize != body.len() {
        return Err(damaged("its length is another"));
    }
    if u32::from_be_bytes(*sum) != crc32fast::hash(body) {
        return Err(damaged("its checksum is another"));
    }
    parse(body)
}

fn parse(body: &[u8]) -> Result<RoaringTreemap> {
    if body.get(..4) != Some(&MAGIC.to_le_bytes()[..]) {
        return Err(fatal!("a deletion vector is of a kind that this engine does not read"));
    }
    RoaringTreemap::deserialize_from(&body[4..]).map_err(|e| fatal!("a deletion vector is damaged: {e}"))
}

/// A file of several deletion vectors, being made.
pub struct DvFile {
    id: uuid::Uuid,
    bytes: Vec<u8>,
}

impl DvFile {
    pub fn new() -> DvFile {
        DvFile { id: uuid::Uuid::new_v4(), bytes: vec![1] }
    }

    pub fn name(&self) -> String {
        format!("deletion_vector_{}.bin", self.id)
    }

    pub fn add(&mut self, rows: &RoaringTreemap) -> Result<Dv> {
        let blob = encode(rows)?;
        let dv = Dv {
            storage: "u".into(),
            path: z85(self.id.as_bytes()),
            offset: Some(self.bytes.len() as i64),
            size: blob.len() as i64 - 8,
            cardinality: rows.len() as i64,
        };
        self.bytes.extend(blob);
        Ok(dv)
    }

    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

fn z85(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks_exact(4) {
        let mut n = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        let mut digits = [0u8; 5];
        for d in digits.iter_mut().rev() {
            *d = Z85[(n % 85) as usize];
            n /= 85;
        }
        out.extend(digits.iter().map(|d| *d as char));
    }
    out
}

fn unz85(text: &str) -> Result<Vec<u8>> {
    let mut out = vec![];
    for chunk in text.as_bytes().chunks(5) {
        let mut n = 0u32;
        for c in chunk {
            let digit = Z85.iter().position(|z| z == c).ok_or_else(|| fatal!("a deletion vector is damaged"))?;
            n = n.wrapping_mul(85).wrapping_add(digit as u32);
        }
        out.extend(n.to_be_bytes());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn z85_is_that_of_zeromq() {
        assert_eq!(z85(&[0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B]), "HelloWorld");
        assert_eq!(unz85("HelloWorld").unwrap(), [0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B]);
        assert!(unz85("Hello\"orld").is_err());
    }

    #[test]
    fn what_is_encoded_is_decoded_and_damage_is_seen() {
        let some: RoaringTreemap = (0..5000u64).filter(|n| n % 3 == 0).chain([1 << 32, u64::MAX]).collect();
        for rows in [RoaringTreemap::new(), [7u64].into_iter().collect(), (0..100_000u64).collect(), some] {
            let raw = encode(&rows).unwrap();
            assert_eq!(decode(&raw).unwrap(), rows);
            assert_eq!(raw[4..8], [0xD1, 0xD3, 0x39, 0x64]);
            assert_eq!(raw[..4], (raw.len() as u32 - 8).to_be_bytes());
            for n in (0..raw.len()).step_by(1 + raw.len() / 100) {
                let mut bad = raw.clone();
                bad[n] ^= 0x10;
                assert!(decode(&bad).is_err(), "byte {n} of {}", raw.len());
                assert!(decode(&raw[..n]).is_err(), "cut off at {n}");
            }
        }
        // Of one row, written out: length, magic, one bitmap, its key, and the bitmap itself in the portable form.
        let mut one = vec![0, 0, 0, 34, 0xD1, 0xD3, 0x39, 0x64];
        one.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        one.extend([0x3A, 0x30, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 7, 0]);
        one.extend(crc32fast::hash(&one[4..]).to_be_bytes());
        assert_eq!(encode(&[7u64].into_iter().collect()).unwrap(), one);
    }

    #[test]
    fn an_inline_vector_is_read() {
        let rows: RoaringTreemap = [3u64, 4, 7, 11, 18, 29, 1 << 40].into_iter().collect();
        let mut body = MAGIC.to_le_bytes().to_vec();
        rows.serialize_into(&mut body).unwrap();
        let size = body.len();
        body.resize(size.next_multiple_of(4), 0);
        assert_eq!(parse(&unz85(&z85(&body)).unwrap()[..size]).unwrap(), rows);
        // The example of the protocol is of the older kind, which no writer makes.
        assert!(parse(&unz85("wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L").unwrap()).is_err());
    }
}
