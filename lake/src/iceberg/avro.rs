//! Avro's container files, as far as Iceberg's manifests need them: fields are told apart by their field-id.
//!
//! https://avro.apache.org/docs/1.12.0/specification/, https://iceberg.apache.org/spec/#avro.

use std::collections::HashMap;
use std::io::{Read, Write};

use serde_json::Value;

use crate::answer::{Result, fatal};
use crate::types::{least, signed};

#[derive(Clone, Debug, PartialEq)]
pub enum Av {
    Null,
    Bool(bool),
    Int(i64),
    Real(f64),
    Bytes(Vec<u8>),
    Text(String),
    List(Vec<Av>),
    Map(Vec<(String, Av)>),
    /// By field-id.
    Record(Vec<(i32, Av)>),
}

impl Av {
    /// The field of a record; Null where there is none.
    pub fn at(&self, id: i32) -> &Av {
        match self {
            Av::Record(fields) => fields.iter().find(|(i, _)| *i == id).map_or(&Av::Null, |(_, v)| v),
            _ => &Av::Null,
        }
    }

    pub fn int(&self) -> Option<i64> {
        if let Av::Int(n) = self { Some(*n) } else { None }
    }

    pub fn text(&self) -> Option<&str> {
        if let Av::Text(s) = self { Some(s) } else { None }
    }
}

#[derive(Clone, Debug)]
enum Kind {
    Null,
    Bool,
    Int,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    /// A fixed of so many bytes; its value has as few as hold it.
    Decimal(usize),
    List(Box<Kind>),
    Map(Box<Kind>),
    Union(Vec<Kind>),
    Record(Vec<(i32, Kind)>),
}

/// A schema, and the names that it has defined so far.
fn kind(v: &Value, names: &mut HashMap<String, Kind>) -> Result<Kind> {
    if let Some(all) = v.as_array() {
        return Ok(Kind::Union(all.iter().map(|k| kind(k, names)).collect::<Result<_>>()?));
    }
    let name = v.as_str().or_else(|| v["type"].as_str());
    Ok(match name {
        Some("null") => Kind::Null,
        Some("boolean") => Kind::Bool,
        Some("int" | "long") => Kind::Int,
        Some("float") => Kind::Float,
        Some("double") => Kind::Double,
        Some("bytes") => Kind::Bytes,
        Some("string") => Kind::Text,
        Some("array") => Kind::List(Box::new(kind(&v["items"], names)?)),
        Some("map") => Kind::Map(Box::new(kind(&v["values"], names)?)),
        Some("fixed") => {
            let size = v["size"].as_u64().unwrap_or(0) as usize;
            let decimal = v["logicalType"] == "decimal" && size <= 16;
            let k = if decimal { Kind::Decimal(size) } else { Kind::Fixed(size) };
            names.insert(v["name"].as_str().unwrap_or_default().into(), k.clone());
            k
        }
        Some("record") => {
            let fields = v["fields"].as_array().ok_or_else(|| fatal!("a record of an Avro schema has no fields"))?;
            let fields = fields
                .iter()
                .map(|f| Ok((f["field-id"].as_i64().map_or(-1, |id| id as i32), kind(&f["type"], names)?)));
            let k = Kind::Record(fields.collect::<Result<_>>()?);
            names.insert(v["name"].as_str().unwrap_or_default().into(), k.clone());
            k
        }
        None if v["type"].is_object() || v["type"].is_array() => kind(&v["type"], names)?,
        Some(other) => {
            names.get(other).cloned().ok_or_else(|| fatal!("the Avro schema has the unknown type {other}"))?
        }
        None => return Err(fatal!("the Avro schema is none: {v}")),
    })
}

struct In<'a>(&'a [u8]);

impl<'a> In<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        if n > self.0.len() {
            return Err(fatal!("the Avro file ends in the middle of a value"));
        }
        let (a, b) = self.0.split_at(n);
        self.0 = b;
        Ok(a)
    }

    fn long(&mut self) -> Result<i64> {
        let (mut n, mut shift) = (0u64, 0);
        loop {
            let b = self.take(1)?[0];
            n |= u64::from(b & 0x7f) << shift;
            if b & 0x80 == 0 {
                return Ok((n >> 1) as i64 ^ -((n & 1) as i64));
            }
            shift += 7;
            if shift > 63 {
                return Err(fatal!("a number of the Avro file is too long"));
            }
        }
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let n = usize::try_from(self.long()?).map_err(|_| fatal!("a length in the Avro file is negative"))?;
        self.take(n)
    }

    fn text(&mut self) -> Result<String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| fatal!("a text of the Avro file is not UTF-8"))
    }

    /// The items of a list or map, block by block.
    fn blocks(&mut self, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        loop {
            let mut n = self.long()?;
            if n == 0 {
                return Ok(());
            }
            if n < 0 {
                n = n.checked_neg().ok_or_else(|| fatal!("a count in the Avro file is too large"))?;
                self.long()?;
            }
            if n as u64 > self.0.len() as u64 {
                return Err(fatal!("a list of the Avro file is longer than the file"));
            }
            for _ in 0..n {
                item(self)?;
            }
        }
    }

    fn value(&mut self, k: &Kind) -> Result<Av> {
        Ok(match k {
            Kind::Null => Av::Null,
            Kind::Bool => Av::Bool(self.take(1)?[0] != 0),
            Kind::Int => Av::Int(self.long()?),
            Kind::Float => {
                let b = self.take(4)?;
                Av::Real(f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
            }
            Kind::Double => {
                let b = self.take(8)?;
                Av::Real(f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
            }
            Kind::Bytes => Av::Bytes(self.bytes()?.to_vec()),
            Kind::Text => Av::Text(self.text()?),
            Kind::Fixed(n) => Av::Bytes(self.take(*n)?.to_vec()),
            Kind::Decimal(n) => Av::Bytes(least(signed(self.take(*n)?))),
            Kind::List(k) => {
                let mut out = vec![];
                self.blocks(|i| {
                    out.push(i.value(k)?);
                    Ok(())
                })?;
                Av::List(out)
            }
            Kind::Map(k) => {
                let mut out = vec![];
                self.blocks(|i| {
                    out.push((i.text()?, i.value(k)?));
                    Ok(())
                })?;
                Av::Map(out)
            }
            Kind::Union(all) => {
                let n = self.long()?;
                let k = usize::try_from(n).ok().and_then(|n| all.get(n));
                self.value(k.ok_or_else(|| fatal!("a union of the Avro file has no branch {n}"))?)?
            }
            Kind::Record(fields) => {
                Av::Record(fields.iter().map(|(id, k)| Ok((*id, self.value(k)?))).collect::<Result<_>>()?)
            }
        })
    }
}

fn long(out: &mut Vec<u8>, n: i64) {
    let mut n = ((n << 1) ^ (n >> 63)) as u64;
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

fn write(out: &mut Vec<u8>, k: &Kind, v: &Av) -> Result<()> {
    match (k, v) {
        (Kind::Null, Av::Null) => {}
        (Kind::Bool, Av::Bool(b)) => out.push(u8::from(*b)),
        (Kind::Int, Av::Int(n)) => long(out, *n),
        (Kind::Float, Av::Real(f)) => out.extend_from_slice(&(*f as f32).to_le_bytes()),
        (Kind::Double, Av::Real(f)) => out.extend_from_slice(&f.to_le_bytes()),
        (Kind::Bytes, Av::Bytes(b)) => put(out, b),
        (Kind::Text, Av::Text(s)) => put(out, s.as_bytes()),
        (Kind::Fixed(n), Av::Bytes(b)) if b.len() == *n => out.extend_from_slice(b),
        (Kind::Decimal(n), Av::Bytes(b)) if b.len() <= *n => out.extend_from_slice(&signed(b).to_be_bytes()[16 - *n..]),
        (Kind::List(k), Av::List(items)) => {
            if !items.is_empty() {
                long(out, items.len() as i64);
            }
            items.iter().try_for_each(|i| write(out, k, i))?;
            long(out, 0);
        }
        (Kind::Map(k), Av::Map(items)) => {
            if !items.is_empty() {
                long(out, items.len() as i64);
            }
            for (name, v) in items {
                put(out, name.as_bytes());
                write(out, k, v)?;
            }
            long(out, 0);
        }
        (Kind::Union(all), v) => {
            let n = all.iter().position(|k| matches!(k, Kind::Null) == matches!(v, Av::Null));
            let n = n.ok_or_else(|| fatal!("{v:?} is none of the types of its field in a manifest"))?;
            long(out, n as i64);
            write(out, &all[n], v)?;
        }
        (Kind::Record(fields), v @ Av::Record(_)) => {
            fields.iter().try_for_each(|(id, k)| write(out, k, v.at(*id)))?;
        }
        (k, v) => return Err(fatal!("{v:?} cannot be written as {k:?} into a manifest")),
    }
    Ok(())
}

pub struct File {
    pub meta: HashMap<String, Vec<u8>>,
    pub rows: Vec<Av>,
}

impl File {
    pub fn meta(&self, key: &str) -> Option<&str> {
        self.meta.get(key).and_then(|v| std::str::from_utf8(v).ok())
    }
}

/// A block may not grow beyond this when it is unpacked.
const BLOCK: u64 = 1 << 30;

fn unpack(codec: &str, raw: &[u8]) -> Result<Vec<u8>> {
    let bad = |e: std::io::Error| fatal!("a block of the Avro file cannot be unpacked: {e}");
    let mut out = vec![];
    match codec {
        "null" => out.extend_from_slice(raw),
        "deflate" => {
            flate2::read::DeflateDecoder::new(raw).take(BLOCK).read_to_end(&mut out).map_err(bad)?;
        }
        "zstandard" => {
            zstd::stream::read::Decoder::new(raw).map_err(bad)?.take(BLOCK).read_to_end(&mut out).map_err(bad)?;
        }
        "snappy" if raw.len() >= 4 => {
            let packed = &raw[..raw.len() - 4];
            let n = snap::raw::decompress_len(packed).map_err(|e| bad(std::io::Error::other(e)))?;
            if n as u64 > BLOCK {
                return Err(fatal!("a block of the Avro file is too large"));
            }
            out = snap::raw::Decoder::new().decompress_vec(packed).map_err(|e| bad(std::io::Error::other(e)))?;
        }
        other => return Err(fatal!("the Avro file is packed by {other}, which this engine does not know")),
    }
    Ok(out)
}

pub fn read(raw: &[u8]) -> Result<File> {
    let mut i = In(raw);
    if i.take(4)? != b"Obj\x01" {
        return Err(fatal!("it is no Avro file"));
    }
    let mut meta = HashMap::new();
    i.blocks(|i| {
        meta.insert(i.text()?, i.bytes()?.to_vec());
        Ok(())
    })?;
    let sync = i.take(16)?;
    let mut file = File { meta, rows: vec![] };
    let schema: Value = serde_json::from_str(file.meta("avro.schema").unwrap_or_default())
        .map_err(|e| fatal!("the schema of the Avro file is no JSON: {e}"))?;
    let kind = kind(&schema, &mut HashMap::new())?;
    let codec = file.meta("avro.codec").unwrap_or("null").to_string();
    while !i.0.is_empty() {
        let n = i.long()?;
        let block = unpack(&codec, i.bytes()?)?;
        let mut block = In(&block);
        if n < 0 || n as u64 > block.0.len() as u64 {
            return Err(fatal!("a block of the Avro file has an impossible count"));
        }
        for _ in 0..n {
            file.rows.push(block.value(&kind)?);
        }
        if i.take(16)? != sync {
            return Err(fatal!("a block of the Avro file does not end where it should"));
        }
    }
    Ok(file)
}

pub fn file(schema: &Value, meta: &[(&str, String)], rows: &[Av]) -> Result<Vec<u8>> {
    let kind = kind(schema, &mut HashMap::new())?;
    let mut out = b"Obj\x01".to_vec();
    long(&mut out, meta.len() as i64 + 2);
    let own = [("avro.schema", schema.to_string()), ("avro.codec", "deflate".to_string())];
    for (k, v) in own.iter().chain(meta) {
        put(&mut out, k.as_bytes());
        put(&mut out, v.as_bytes());
    }
    long(&mut out, 0);
    let sync = uuid::Uuid::new_v4().into_bytes();
    out.extend_from_slice(&sync);
    for rows in rows.chunks(4096) {
        let mut plain = vec![];
        rows.iter().try_for_each(|r| write(&mut plain, &kind, r))?;
        let mut packed = flate2::write::DeflateEncoder::new(vec![], flate2::Compression::fast());
        let packed = packed.write_all(&plain).and_then(|()| packed.finish()).map_err(|e| fatal!("deflate: {e}"))?;
        long(&mut out, rows.len() as i64);
        put(&mut out, &packed);
        out.extend_from_slice(&sync);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read() {
        let schema = json!({"type": "record", "name": "r", "fields": [
            {"name": "a", "type": "long", "field-id": 1},
            {"name": "b", "type": ["null", "string"], "field-id": 2},
            {"name": "c", "type": ["null", {"type": "array", "items": {"type": "record", "name": "k", "fields": [
                {"name": "key", "type": "int", "field-id": 4}, {"name": "value", "type": "bytes", "field-id": 5}]}}],
             "field-id": 3}]});
        let row = |a: i64, b, c| Av::Record(vec![(1, Av::Int(a)), (2, b), (3, c)]);
        let pair = Av::Record(vec![(4, Av::Int(-7)), (5, Av::Bytes(vec![0, 255]))]);
        let rows = vec![
            row(i64::MIN, Av::Null, Av::Null),
            row(i64::MAX, Av::Text("é".into()), Av::List(vec![pair.clone(), pair])),
            row(0, Av::Text(String::new()), Av::List(vec![])),
        ];
        let raw = file(&schema, &[("x", "y".into())], &rows).unwrap();
        let back = read(&raw).unwrap();
        assert_eq!((back.meta("x"), &back.rows), (Some("y"), &rows));
        for n in 0..raw.len() {
            let _ = read(&raw[..n]);
        }
        for n in 0..raw.len() {
            let mut bad = raw.clone();
            bad[n] ^= 0x55;
            let _ = read(&bad);
        }
    }
}
