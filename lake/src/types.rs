//! Types: Arrow's and Delta's, which can be widened into which, and the widening itself.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{
    Array, ArrayRef, Decimal128Array, ListArray, MapArray, StructArray, TimestampMicrosecondArray, new_null_array,
};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use serde_json::{Value, json};

use crate::answer::{Fail, Result, fatal};

const DAY_US: i64 = 86_400_000_000;

pub fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

pub fn no_zone() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

/// A type as texts call it.
pub fn name(t: &DataType) -> String {
    match to_delta(t) {
        Ok(Value::String(s)) => s,
        Ok(v) => v.to_string(),
        Err(_) => t.to_string(),
    }
}

pub fn to_delta(t: &DataType) -> Result<Value> {
    Ok(json!(match t {
        DataType::Boolean => "boolean",
        DataType::Int8 => "byte",
        DataType::Int16 => "short",
        DataType::Int32 => "integer",
        DataType::Int64 => "long",
        DataType::Float32 => "float",
        DataType::Float64 => "double",
        DataType::Utf8 => "string",
        DataType::Binary => "binary",
        DataType::Date32 => "date",
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp_ntz",
        DataType::Timestamp(TimeUnit::Microsecond, Some(z)) if is_utc(z) => "timestamp",
        DataType::Decimal128(p, s) if *p <= 38 && *s >= 0 && *s <= *p as i8 => {
            return Ok(json!(format!("decimal({p},{s})")));
        }
        DataType::List(f) => {
            return Ok(
                json!({"type": "array", "elementType": to_delta(f.data_type())?, "containsNull": f.is_nullable()}),
            );
        }
        DataType::Struct(fields) => {
            return Ok(json!({"type": "struct", "fields": fields_to_delta(fields)?}));
        }
        DataType::Map(f, _) => match f.data_type() {
            DataType::Struct(kv) if kv.len() == 2 => {
                return Ok(json!({"type": "map", "keyType": to_delta(kv[0].data_type())?,
                    "valueType": to_delta(kv[1].data_type())?, "valueContainsNull": kv[1].is_nullable()}));
            }
            _ => return Err(fatal!("a map without keys and values")),
        },
        other => {
            return Err(fatal!(
                "the Arrow type {other} has no equal in Delta Lake: give it as one of the types that include/ods/lake.h lists"
            ));
        }
    }))
}

fn fields_to_delta(fields: &Fields) -> Result<Vec<Value>> {
    fields
        .iter()
        .map(|f| {
            let t = to_delta(f.data_type()).map_err(|e| e.about(format!("column {}", f.name())))?;
            Ok(json!({"name": f.name(), "type": t, "nullable": f.is_nullable(), "metadata": {}}))
        })
        .collect()
}

fn is_utc(zone: &str) -> bool {
    zone == "UTC" || zone == "+00:00"
}

pub fn from_delta(v: &Value) -> Result<DataType> {
    if let Some(s) = v.as_str() {
        return Ok(match s {
            "boolean" => DataType::Boolean,
            "byte" => DataType::Int8,
            "short" => DataType::Int16,
            "integer" => DataType::Int32,
            "long" => DataType::Int64,
            "float" => DataType::Float32,
            "double" => DataType::Float64,
            "string" => DataType::Utf8,
            "binary" => DataType::Binary,
            "date" => DataType::Date32,
            "timestamp" => utc(),
            "timestamp_ntz" => no_zone(),
            s => {
                let parts =
                    s.strip_prefix("decimal(").and_then(|s| s.strip_suffix(')')).and_then(|s| s.split_once(','));
                match parts.map(|(p, s)| (p.trim().parse(), s.trim().parse())) {
                    Some((Ok(p), Ok(s))) => DataType::Decimal128(p, s),
                    _ => return Err(fatal!("the type {s} is not known to this engine")),
                }
            }
        });
    }
    match v["type"].as_str() {
        Some("array") => {
            let nullable = v["containsNull"].as_bool().unwrap_or(true);
            Ok(DataType::List(Arc::new(Field::new("element", from_delta(&v["elementType"])?, nullable))))
        }
        Some("struct") => Ok(DataType::Struct(fields_from_delta(&v["fields"])?)),
        Some("map") => {
            let kv = Fields::from(vec![
                Field::new("key", from_delta(&v["keyType"])?, false),
                Field::new("value", from_delta(&v["valueType"])?, v["valueContainsNull"].as_bool().unwrap_or(true)),
            ]);
            Ok(DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(kv), false)), false))
        }
        _ => Err(fatal!("the type {v} is not known to this engine")),
    }
}

fn fields_from_delta(v: &Value) -> Result<Fields> {
    let list = v.as_array().ok_or_else(|| fatal!("a schema without fields"))?;
    let fields: Result<Vec<Field>> = list
        .iter()
        .map(|f| {
            let name = f["name"].as_str().ok_or_else(|| fatal!("a column without a name"))?;
            Ok(Field::new(name, from_delta(&f["type"])?, f["nullable"].as_bool().unwrap_or(true)))
        })
        .collect();
    Ok(fields?.into())
}

pub fn schema_from_delta(text: &str) -> Result<SchemaRef> {
    let v: Value = serde_json::from_str(text).map_err(|e| fatal!("the table's schema cannot be read: {e}"))?;
    Ok(Arc::new(Schema::new(fields_from_delta(&v["fields"])?)))
}

pub fn schema_to_delta(s: &Schema) -> Result<Value> {
    Ok(json!({"type": "struct", "fields": fields_to_delta(s.fields())?}))
}

/// Whether a table of these columns needs the feature timestampNtz.
pub fn has_no_zone(fields: &Fields) -> bool {
    fn within(t: &DataType) -> bool {
        match t {
            DataType::Timestamp(_, None) => true,
            DataType::List(f) | DataType::Map(f, _) => within(f.data_type()),
            DataType::Struct(f) => has_no_zone(f),
            _ => false,
        }
    }
    fields.iter().any(|f| within(f.data_type()))
}

/// Columns of a Delta table, as the engine takes them from an Arrow schema: nullable, UTC written one way.
pub fn normal(fields: &Fields) -> Result<Fields> {
    fields
        .iter()
        .map(|f| {
            let t = normal_type(f.data_type()).map_err(|e| e.about(format!("column {}", f.name())))?;
            Ok(Arc::new(Field::new(f.name(), t, f.is_nullable())))
        })
        .collect()
}

fn normal_type(t: &DataType) -> Result<DataType> {
    from_delta(&to_delta(t)?)
}

/// Names that a table may have: Delta's rule for tables without column mapping.
pub fn check_names(fields: &Fields) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for f in fields {
        let n = f.name();
        if n.is_empty() || n.contains([' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '=']) {
            return Err(fatal!(
                "a column may not be called \"{n}\" in Delta Lake: no space and none of ,;{{}}()= may be in a name"
            ));
        }
        if !seen.insert(n.to_lowercase()) {
            return Err(fatal!(
                "two columns are called \"{n}\" but for the case of letters, which Delta Lake does not keep apart"
            ));
        }
    }
    Ok(())
}

fn digits(t: &DataType) -> Option<(u8, i8)> {
    Some(match t {
        DataType::Int8 => (3, 0),
        DataType::Int16 => (5, 0),
        DataType::Int32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::Decimal128(p, s) => (*p, *s),
        _ => return None,
    })
}

/// Whether every value of `from` is one of `to`.
pub fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType::*;
    if from == to {
        return true;
    }
    match (from, to) {
        (Int8, Int16 | Int32 | Int64) | (Int16, Int32 | Int64) | (Int32, Int64) => true,
        (Int8 | Int16, Float32) | (Int8 | Int16 | Int32 | Float32, Float64) => true,
        (Date32, Timestamp(TimeUnit::Microsecond, None)) => true,
        (_, Decimal128(p, s)) => {
            digits(from).is_some_and(|(fp, fs)| *s >= fs && *p as i16 - *s as i16 >= fp as i16 - fs as i16)
        }
        (Timestamp(TimeUnit::Microsecond, Some(a)), Timestamp(TimeUnit::Microsecond, Some(b))) => {
            is_utc(a) && is_utc(b)
        }
        // Parquet's old 96 bit timestamps, as Spark writes them.
        (Timestamp(TimeUnit::Nanosecond, None), Timestamp(TimeUnit::Microsecond, Some(_))) => true,
        (List(a), List(b)) => widens(a.data_type(), b.data_type()),
        (Map(a, _), Map(b, _)) => widens(a.data_type(), b.data_type()),
        (Struct(a), Struct(b)) => {
            a.len() <= b.len()
                && a.iter().all(|f| b.iter().any(|g| g.name() == f.name() && widens(f.data_type(), g.data_type())))
                || a.len() == 2
                    && b.len() == 2
                    && b[0].name() == "key"
                    && a.iter().zip(b).all(|(f, g)| widens(f.data_type(), g.data_type()))
        }
        _ => false,
    }
}

/// The same values as an array of type `to`, which `widens` has allowed.
pub fn widen(a: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    use DataType::*;
    if a.data_type() == to {
        return Ok(a.clone());
    }
    macro_rules! prim {
        ($f:ty, $t:ty) => {
            Arc::new(a.as_primitive::<$f>().unary::<_, $t>(|v| v.into())) as ArrayRef
        };
    }
    Ok(match (a.data_type(), to) {
        (Int8, Int16) => prim!(Int8Type, Int16Type),
        (Int8, Int32) => prim!(Int8Type, Int32Type),
        (Int8, Int64) => prim!(Int8Type, Int64Type),
        (Int16, Int32) => prim!(Int16Type, Int32Type),
        (Int16, Int64) => prim!(Int16Type, Int64Type),
        (Int32, Int64) => prim!(Int32Type, Int64Type),
        (Int8, Float32) => prim!(Int8Type, Float32Type),
        (Int16, Float32) => prim!(Int16Type, Float32Type),
        (Int8, Float64) => prim!(Int8Type, Float64Type),
        (Int16, Float64) => prim!(Int16Type, Float64Type),
        (Int32, Float64) => prim!(Int32Type, Float64Type),
        (Float32, Float64) => prim!(Float32Type, Float64Type),
        (Int8 | Int16 | Int32 | Int64, Decimal128(p, s)) => {
            let wide = widen(a, &Int64)?;
            let factor = 10i128.pow(*s as u32);
            let d: Decimal128Array = wide.as_primitive::<Int64Type>().unary(|v| v as i128 * factor);
            Arc::new(d.with_precision_and_scale(*p, *s)?)
        }
        (Decimal128(_, from), Decimal128(p, s)) => {
            let factor = 10i128.pow((*s - *from) as u32);
            let d: Decimal128Array = a.as_primitive::<Decimal128Type>().unary(|v| v * factor);
            Arc::new(d.with_precision_and_scale(*p, *s)?)
        }
        (Date32, Timestamp(TimeUnit::Microsecond, None)) => {
            Arc::new(a.as_primitive::<Date32Type>().unary::<_, TimestampMicrosecondType>(|d| d as i64 * DAY_US))
        }
        (Timestamp(TimeUnit::Microsecond, Some(_)), Timestamp(TimeUnit::Microsecond, z)) => {
            Arc::new(a.as_primitive::<TimestampMicrosecondType>().clone().with_timezone_opt(z.clone()))
        }
        (Timestamp(TimeUnit::Nanosecond, None), Timestamp(TimeUnit::Microsecond, z)) => {
            let t: TimestampMicrosecondArray =
                a.as_primitive::<TimestampNanosecondType>().unary(|v| v.div_euclid(1000));
            Arc::new(t.with_timezone_opt(z.clone()))
        }
        (List(_), List(f)) => {
            let l = a.as_list::<i32>();
            Arc::new(ListArray::try_new(
                f.clone(),
                l.offsets().clone(),
                widen(l.values(), f.data_type())?,
                l.nulls().cloned(),
            )?)
        }
        (Map(_, _), Map(f, sorted)) => {
            let m = a.as_map();
            let entries: ArrayRef = Arc::new(m.entries().clone());
            let entries = widen(&entries, f.data_type())?;
            Arc::new(MapArray::try_new(
                f.clone(),
                m.offsets().clone(),
                entries.as_struct().clone(),
                m.nulls().cloned(),
                *sorted,
            )?)
        }
        (Struct(from), Struct(fields)) => {
            let s = a.as_struct();
            let by_place = from.len() == fields.len() && fields.len() == 2 && fields[0].name() == "key";
            let columns: Result<Vec<ArrayRef>> = fields
                .iter()
                .enumerate()
                .map(|(i, f)| match if by_place { Some(s.column(i)) } else { s.column_by_name(f.name()) } {
                    Some(c) => widen(c, f.data_type()),
                    None => Ok(new_null_array(f.data_type(), s.len())),
                })
                .collect();
            Arc::new(StructArray::try_new(fields.clone(), columns?, s.nulls().cloned())?)
        }
        (from, to) => return Err(fatal!("{} cannot be read as {}", name(from), name(to))),
    })
}

/// A column of an array for a column of the table; the error names both types.
pub fn fit(a: &ArrayRef, f: &Field) -> Result<ArrayRef> {
    if !widens(a.data_type(), f.data_type()) {
        return Err(fatal!(
            "column {} is {} in the table and {} in the array: widen the column (ods_lake_evolve), or add one beside it",
            f.name(),
            name(f.data_type()),
            name(a.data_type())
        ));
    }
    widen(a, f.data_type()).map_err(|e: Fail| e.about(format!("column {}", f.name())))
}

/// An unscaled decimal in as few bytes as hold it, the first one first.
pub fn least(n: i128) -> Vec<u8> {
    let bytes = n.to_be_bytes();
    let spare = |i: &usize| (bytes[*i] == 0 && bytes[i + 1] < 0x80) || (bytes[*i] == 0xff && bytes[i + 1] >= 0x80);
    bytes[(0..15).take_while(spare).count()..].to_vec()
}

/// The decimal that at most 16 such bytes are.
pub fn signed(bytes: &[u8]) -> i128 {
    let sign = if bytes.first().is_some_and(|b| *b >= 0x80) { -1 } else { 0 };
    bytes.iter().fold(sign, |n, b| n << 8 | i128::from(*b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Date32Array, Int32Array};

    #[test]
    fn types_go_to_delta_and_back() {
        let l = DataType::List(Arc::new(Field::new("element", DataType::Decimal128(38, 10), true)));
        let s = DataType::Struct(Fields::from(vec![Field::new("a", l, true), Field::new("t", no_zone(), false)]));
        for t in [DataType::Boolean, DataType::Int8, DataType::Binary, utc(), no_zone(), DataType::Decimal128(5, 0), s]
        {
            assert_eq!(from_delta(&to_delta(&t).unwrap()).unwrap(), t);
        }
        for t in [
            DataType::UInt64,
            DataType::Decimal128(10, -1),
            DataType::LargeUtf8,
            DataType::Time64(TimeUnit::Microsecond),
        ] {
            assert!(to_delta(&t).is_err(), "{t}");
        }
    }

    #[test]
    fn widening_loses_nothing() {
        let d = |p, s| DataType::Decimal128(p, s);
        assert!(widens(&d(10, 2), &d(12, 4)) && widens(&DataType::Int32, &d(10, 0)));
        assert!(
            !widens(&d(10, 2), &d(11, 4))
                && !widens(&DataType::Int64, &DataType::Float64)
                && !widens(&DataType::Int32, &d(9, 0))
        );
        let a: ArrayRef = Arc::new(Int32Array::from(vec![Some(-7), None]));
        let w = widen(&a, &d(12, 2)).unwrap();
        assert_eq!(w.as_primitive::<Decimal128Type>().value(0), -700);
        assert!(w.is_null(1));
        let a: ArrayRef = Arc::new(Date32Array::from(vec![-1]));
        assert_eq!(widen(&a, &no_zone()).unwrap().as_primitive::<TimestampMicrosecondType>().value(0), -DAY_US);
    }

    #[test]
    fn names_that_delta_refuses() {
        let f = |n: &[&str]| n.iter().map(|n| Field::new(*n, DataType::Int8, true)).collect::<Fields>();
        assert!(check_names(&f(&["a", "b.c", "ä"])).is_ok());
        assert!(check_names(&f(&["a b"])).is_err());
        assert!(check_names(&f(&["a", "A"])).is_err());
    }
}
