//! How a table is parted: its partition spec, and the values that a row has for it.

use std::cmp::Ordering;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Schema, TimeUnit};
use serde_json::{Value, json};

use crate::answer::{Result, fatal};
use crate::iceberg::avro::Av;
use crate::iceberg::schema;
use crate::types::{least, signed};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Transform {
    Identity,
    Year,
    Month,
    Day,
    Hour,
    Bucket(u32),
    Truncate(u32),
    Void,
}

#[derive(Clone, Debug)]
pub struct Part {
    pub id: i32,
    pub name: String,
    pub column: String,
    pub transform: Transform,
    /// The column's type, in Iceberg's words.
    source: Value,
}

const DAY_US: i64 = 86_400_000_000;

impl Transform {
    fn read(text: &str) -> Option<Transform> {
        let number = |name: &str| text.strip_prefix(name)?.strip_suffix(']')?.parse().ok().filter(|n| *n > 0);
        Some(match text {
            "identity" => Transform::Identity,
            "year" => Transform::Year,
            "month" => Transform::Month,
            "day" => Transform::Day,
            "hour" => Transform::Hour,
            "void" => Transform::Void,
            t if t.starts_with("bucket[") => Transform::Bucket(number("bucket[")?),
            t if t.starts_with("truncate[") => Transform::Truncate(number("truncate[")?),
            _ => return None,
        })
    }

    fn text(&self) -> String {
        match self {
            Transform::Bucket(n) => format!("bucket[{n}]"),
            Transform::Truncate(n) => format!("truncate[{n}]"),
            t => format!("{t:?}").to_lowercase(),
        }
    }

    fn takes(&self, t: &DataType) -> bool {
        use DataType::*;
        let time = matches!(t, Timestamp(TimeUnit::Microsecond, _));
        match self {
            Transform::Void => true,
            Transform::Identity => {
                matches!(t, Boolean | Int32 | Int64 | Utf8 | Binary | Date32 | Decimal128(_, _)) || time
            }
            Transform::Year | Transform::Month | Transform::Day => time || *t == Date32,
            Transform::Hour => time,
            Transform::Bucket(_) => matches!(t, Int32 | Int64 | Utf8 | Binary | Date32 | Decimal128(_, _)) || time,
            Transform::Truncate(_) => matches!(t, Int32 | Int64 | Utf8 | Binary),
        }
    }
}

/// "region", "day(created)", "bucket(16, id)" or "truncate(4, name)" as a transform and a column.
fn asked(text: &str) -> Result<(Transform, String)> {
    let Some((name, inside)) = text.strip_suffix(')').and_then(|t| t.split_once('(')) else {
        return Ok((Transform::Identity, text.trim().into()));
    };
    let (name, inside) = (name.trim(), inside.trim());
    let (word, column) = match inside.split_once(',') {
        Some((a, b)) => (format!("{name}[{}]", a.trim()), b.trim()),
        None => (name.trim_end_matches('s').to_string(), inside),
    };
    let known = "identity, year, month, day, hour, bucket(n, column) and truncate(n, column)";
    let t = Transform::read(&word).ok_or_else(|| fatal!("\"{text}\" parts no table; known are {known}"))?;
    Ok((t, column.into()))
}

/// The spec of a table that is made, by its schema.
pub fn make(wanted: &[String], columns: &Schema) -> Result<Value> {
    let mut fields = vec![];
    for (i, text) in wanted.iter().enumerate() {
        let (t, column) = asked(text)?;
        let f = columns
            .field_with_name(&column)
            .map_err(|_| fatal!("the table has no column {column}, which is to part it"))?;
        if !t.takes(f.data_type()) {
            return Err(fatal!(
                "column {column} is {} and cannot part a table by {}",
                schema::name(f.data_type()),
                t.text()
            ));
        }
        let name = match t {
            Transform::Identity => column.clone(),
            Transform::Bucket(_) => format!("{column}_bucket"),
            Transform::Truncate(_) => format!("{column}_trunc"),
            t => format!("{column}_{}", t.text()),
        };
        fields.push(json!({"source-id": schema::id_of(f), "field-id": 1000 + i, "name": name, "transform": t.text()}));
    }
    Ok(json!({"spec-id": 0, "fields": fields}))
}

/// A spec of a table, whose columns are `schema` as the metadata has it.
pub fn read(spec: &Value, schema: &Value) -> Result<Vec<Part>> {
    let fields = spec["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
    fields
        .iter()
        .map(|f| {
            let name = f["name"].as_str().unwrap_or_default();
            let text = f["transform"].as_str().unwrap_or_default();
            let transform = Transform::read(text)
                .ok_or_else(|| fatal!("the table is parted by {text}, which this engine does not know"))?;
            let columns = schema["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
            let column = columns.iter().find(|c| c["id"] == f["source-id"]);
            if column.is_none() && transform != Transform::Void {
                return Err(fatal!("the partition field {name} is of a column that the table does not have"));
            }
            Ok(Part {
                id: f["field-id"].as_i64().unwrap_or(-1) as i32,
                name: name.into(),
                column: column.and_then(|c| c["name"].as_str()).unwrap_or_default().into(),
                transform,
                source: column.map_or(json!("int"), |c| c["type"].clone()),
            })
        })
        .collect()
}

impl Part {
    /// The type that the field has in a manifest.
    pub fn avro(&self) -> Result<Value> {
        let t = match (self.transform, self.source.as_str()) {
            (Transform::Day, _) => json!({"type": "int", "logicalType": "date"}),
            (Transform::Year | Transform::Month | Transform::Hour | Transform::Bucket(_), _) => json!("int"),
            (_, Some("boolean")) => json!("boolean"),
            (_, Some("int")) => json!("int"),
            (_, Some("long")) => json!("long"),
            (_, Some("date")) => json!({"type": "int", "logicalType": "date"}),
            (_, Some("timestamp")) => {
                json!({"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": false})
            }
            (_, Some("timestamptz")) => {
                json!({"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": true})
            }
            (_, Some("string")) => json!("string"),
            (_, Some("binary")) => json!("bytes"),
            _ => match self.decimal() {
                Some((precision, scale)) => {
                    json!({"type": "fixed", "size": width(precision), "logicalType": "decimal", "precision": precision,
                           "scale": scale, "name": format!("decimal_{precision}_{scale}_{}", self.id)})
                }
                None => {
                    return Err(fatal!(
                        "the table is parted by a column of type {}, which this engine does not write",
                        self.source
                    ));
                }
            },
        };
        Ok(json!({"name": avro_name(&self.name), "type": ["null", t], "default": null, "field-id": self.id}))
    }

    fn is_long(&self) -> bool {
        matches!(self.transform, Transform::Identity | Transform::Truncate(_))
            && matches!(self.source.as_str(), Some("long" | "timestamp" | "timestamptz"))
    }

    /// A value's bytes, as borders in manifests have them.
    pub fn bytes(&self, v: &Av) -> Option<Vec<u8>> {
        Some(match v {
            Av::Bool(b) => vec![u8::from(*b)],
            Av::Int(n) if self.is_long() => n.to_le_bytes().to_vec(),
            Av::Int(n) => (*n as i32).to_le_bytes().to_vec(),
            Av::Text(s) => s.as_bytes().to_vec(),
            Av::Bytes(b) => b.clone(),
            _ => return None,
        })
    }

    /// Precision and scale of the column, if it is one of decimals.
    fn decimal(&self) -> Option<(u8, i8)> {
        match schema::from_type(&self.source) {
            Ok(DataType::Decimal128(precision, scale)) => Some((precision, scale)),
            _ => None,
        }
    }

    /// Which of two values is the smaller one.
    pub fn order(&self, a: &Av, b: &Av) -> Ordering {
        match (a, b) {
            (Av::Int(a), Av::Int(b)) => a.cmp(b),
            (Av::Text(a), Av::Text(b)) => a.cmp(b),
            (Av::Bool(a), Av::Bool(b)) => a.cmp(b),
            (Av::Bytes(a), Av::Bytes(b)) if self.decimal().is_some() => signed(a).cmp(&signed(b)),
            (Av::Bytes(a), Av::Bytes(b)) => a.cmp(b),
            _ => Ordering::Equal,
        }
    }

    /// The value of a row.
    pub fn value(&self, a: &ArrayRef, row: usize) -> Result<Av> {
        use DataType::*;
        if self.transform == Transform::Void || a.is_null(row) {
            return Ok(Av::Null);
        }
        let plain = match a.data_type() {
            Boolean => Av::Bool(a.as_boolean().value(row)),
            Int32 => Av::Int(a.as_primitive::<Int32Type>().value(row).into()),
            Int64 => Av::Int(a.as_primitive::<Int64Type>().value(row)),
            Date32 => Av::Int(a.as_primitive::<Date32Type>().value(row).into()),
            Timestamp(TimeUnit::Microsecond, _) => Av::Int(a.as_primitive::<TimestampMicrosecondType>().value(row)),
            Utf8 => Av::Text(a.as_string::<i32>().value(row).into()),
            Binary => Av::Bytes(a.as_binary::<i32>().value(row).to_vec()),
            Decimal128(_, _) => Av::Bytes(least(a.as_primitive::<Decimal128Type>().value(row))),
            t => return Err(fatal!("a column of type {t} cannot part a table")),
        };
        let days = |n: i64| if *a.data_type() == Date32 { n } else { n.div_euclid(DAY_US) };
        Ok(match (self.transform, plain) {
            (Transform::Year, Av::Int(n)) => Av::Int(months(days(n)).div_euclid(12)),
            (Transform::Month, Av::Int(n)) => Av::Int(months(days(n))),
            (Transform::Day, Av::Int(n)) => Av::Int(days(n)),
            (Transform::Hour, Av::Int(n)) => Av::Int(n.div_euclid(DAY_US / 24)),
            (Transform::Bucket(n), v) => {
                let hash = match &v {
                    Av::Int(i) => murmur3(&i.to_le_bytes()),
                    Av::Text(s) => murmur3(s.as_bytes()),
                    Av::Bytes(b) => murmur3(b),
                    _ => 0,
                };
                Av::Int(i64::from((hash & 0x7fff_ffff) % n))
            }
            (Transform::Truncate(w), Av::Int(n)) => Av::Int(n.saturating_sub(n.rem_euclid(i64::from(w)))),
            (Transform::Truncate(w), Av::Text(s)) => Av::Text(s.chars().take(w as usize).collect()),
            (Transform::Truncate(w), Av::Bytes(b)) => Av::Bytes(b.into_iter().take(w as usize).collect()),
            (_, v) => v,
        })
    }
}

/// Bytes that hold each decimal of so many digits.
fn width(precision: u8) -> usize {
    (1..16).find(|n| 10i128.pow(precision.into()) <= 1 << (8 * n - 1)).unwrap_or(16)
}

/// Months since 1970 of a day number.
fn months(days: i64) -> i64 {
    let (y, m) = crate::partition::year_month(days);
    (y - 1970) * 12 + i64::from(m) - 1
}

/// A name that Avro takes, as Java's implementation makes it.
fn avro_name(name: &str) -> String {
    let mut out = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_ascii_alphabetic() || c == '_' || (c.is_ascii_digit() && i > 0) {
            out.push(c);
        } else if c.is_ascii_digit() {
            out.push('_');
            out.push(c);
        } else {
            out.push_str(&format!("_x{:X}", c as u32));
        }
    }
    out
}

/// Murmur3, 32 bits, seed 0.
fn murmur3(data: &[u8]) -> u32 {
    let mix = |k: u32| k.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut h = 0u32;
    let blocks = data.chunks_exact(4);
    let rest = blocks.remainder();
    for b in blocks {
        h ^= mix(u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        h = h.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    if !rest.is_empty() {
        h ^= mix(rest.iter().rev().fold(0, |k, b| k << 8 | u32::from(*b)));
    }
    h ^= data.len() as u32;
    h = (h ^ h >> 16).wrapping_mul(0x85eb_ca6b);
    h = (h ^ h >> 13).wrapping_mul(0xc2b2_ae35);
    h ^ h >> 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Date32Array, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use std::sync::Arc;

    fn part(transform: Transform) -> Part {
        Part { id: 1000, name: "p".into(), column: "c".into(), transform, source: json!("long") }
    }

    #[test]
    fn the_specifications_own_values() {
        assert_eq!(murmur3(&34i64.to_le_bytes()), 2017239379);
        assert_eq!(murmur3(b"iceberg"), 1210000089);
        assert_eq!(murmur3(&[0, 1, 2, 3]), (-188683207i32) as u32);
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1510871468000000, -1]));
        let days = |t: Transform, row| part(t).value(&times, row).unwrap();
        assert_eq!(days(Transform::Year, 0), Av::Int(47));
        assert_eq!(days(Transform::Month, 0), Av::Int(574));
        assert_eq!(days(Transform::Day, 0), Av::Int(17486));
        assert_eq!(days(Transform::Hour, 0), Av::Int(419686));
        assert_eq!(days(Transform::Year, 1), Av::Int(-1));
        assert_eq!(days(Transform::Month, 1), Av::Int(-1));
        let d: ArrayRef = Arc::new(Date32Array::from(vec![17501]));
        assert_eq!(part(Transform::Month).value(&d, 0).unwrap(), Av::Int(575));
        let n: ArrayRef = Arc::new(Int64Array::from(vec![-1]));
        assert_eq!(part(Transform::Truncate(10)).value(&n, 0).unwrap(), Av::Int(-10));
        let s: ArrayRef = Arc::new(StringArray::from(vec!["iceberg"]));
        assert_eq!(part(Transform::Truncate(3)).value(&s, 0).unwrap(), Av::Text("ice".into()));
        assert_eq!(part(Transform::Bucket(100)).value(&s, 0).unwrap(), Av::Int(89));
    }

    #[test]
    fn decimals_and_binaries() {
        assert_eq!(murmur3(&least(1420)), (-500754589i32) as u32); // 14.20
        assert_eq!(least(0), [0]);
        assert_eq!(least(-1), [0xff]);
        assert_eq!(least(128), [0, 128]);
        assert_eq!(least(-129), [0xff, 0x7f]);
        assert_eq!([1, 2, 3, 18, 19, 20, 38].map(width), [1, 1, 2, 8, 9, 9, 16]);
        for n in [0, 1, -1, 127, 128, -128, -129, 10i128.pow(38) - 1, 1 - 10i128.pow(38)] {
            assert_eq!((signed(&least(n)), signed(&n.to_be_bytes())), (n, n));
        }
        let numbers = Decimal128Array::from(vec![-2, 300]).with_precision_and_scale(20, 0).unwrap();
        let numbers: ArrayRef = Arc::new(numbers);
        let own = Part { source: json!("decimal(20, 0)"), ..part(Transform::Identity) };
        let (a, b) = (own.value(&numbers, 0).unwrap(), own.value(&numbers, 1).unwrap());
        assert_eq!(a, Av::Bytes(vec![0xfe]));
        assert_eq!((own.order(&a, &b), own.bytes(&a)), (Ordering::Less, Some(vec![0xfe])));
        assert_eq!(own.avro().unwrap()["type"][1]["size"], 9);
        let bytes: ArrayRef = Arc::new(arrow_array::BinaryArray::from(vec![&[1u8, 2, 3][..]]));
        let cut = Part { source: json!("binary"), ..part(Transform::Truncate(2)) };
        let v = cut.value(&bytes, 0).unwrap();
        assert_eq!((v.clone(), cut.bytes(&v)), (Av::Bytes(vec![1, 2]), Some(vec![1, 2])));
    }

    #[test]
    fn what_is_asked() {
        assert_eq!(asked("bucket(16, id)").unwrap(), (Transform::Bucket(16), "id".into()));
        assert_eq!(asked("days(at)").unwrap(), (Transform::Day, "at".into()));
        assert_eq!(asked("region").unwrap(), (Transform::Identity, "region".into()));
        assert!(asked("bucket(0, id)").is_err() && asked("week(at)").is_err());
        assert_eq!(avro_name("1 é"), "_1_x20_xE9");
    }
}
