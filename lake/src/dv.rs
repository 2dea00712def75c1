//! Deletion vectors: which rows of a data file are gone.
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
        let part = raw.get(at..at + size + 8).ok_or_else(damaged)?;
        let body = &part[4..4 + size];
        let stored = (&part[..4], &part[4 + size..]);
        if stored.0 != (size as u32).to_be_bytes() || stored.1 != crc32fast::hash(body).to_be_bytes() {
            return Err(damaged());
        }
        parse(body)
    }
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
        let mut body = MAGIC.to_le_bytes().to_vec();
        rows.serialize_into(&mut body).map_err(|e| fatal!("cannot write a deletion vector: {e}"))?;
        let dv = Dv {
            storage: "u".into(),
            path: z85(self.id.as_bytes()),
            offset: Some(self.bytes.len() as i64),
            size: body.len() as i64,
            cardinality: rows.len() as i64,
        };
        self.bytes.extend((body.len() as u32).to_be_bytes());
        self.bytes.extend(&body);
        self.bytes.extend(crc32fast::hash(&body).to_be_bytes());
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
