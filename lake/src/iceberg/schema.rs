//! Iceberg's types and Arrow's. The id of a column goes with its field, by which data files name it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use serde_json::{Value, json};

use crate::answer::{Result, fatal};
use crate::types;

/// The key under which the Parquet reader and writer keep a column's id.
pub const ID: &str = parquet::arrow::PARQUET_FIELD_ID_META_KEY;

pub fn with_id(f: Field, id: i64) -> Field {
    f.with_metadata(HashMap::from([(ID.to_string(), id.to_string())]))
}

pub fn id_of(f: &Field) -> Option<i64> {
    f.metadata().get(ID).and_then(|s| s.parse().ok())
}

/// A type as the format has it. Only those that the engine makes columns of.
pub fn to_iceberg(t: &DataType) -> Result<Value> {
    Ok(json!(match t {
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "int",
        DataType::Int64 => "long",
        DataType::Float32 => "float",
        DataType::Float64 => "double",
        DataType::Utf8 => "string",
        DataType::Binary => "binary",
        DataType::Date32 => "date",
        DataType::Time64(TimeUnit::Microsecond) => "time",
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp",
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamptz",
        DataType::FixedSizeBinary(n) => return Ok(json!(format!("fixed[{n}]"))),
        DataType::Decimal128(p, s) if *p <= 38 && *s >= 0 && *s <= *p as i8 => {
            return Ok(json!(format!("decimal({p},{s})")));
        }
        other => return Err(fatal!("the Arrow type {other} becomes no column of an Iceberg table by this engine")),
    }))
}

/// A type as texts call it.
pub fn name(t: &DataType) -> String {
    to_iceberg(t).ok().and_then(|v| v.as_str().map(str::to_string)).unwrap_or_else(|| t.to_string())
}

pub fn from_type(v: &Value) -> Result<DataType> {
    if let Some(s) = v.as_str() {
        let inside = |a: &str, z: char| s.strip_prefix(a).and_then(|s| s.strip_suffix(z));
        return Ok(match s {
            "boolean" => DataType::Boolean,
            "int" => DataType::Int32,
            "long" => DataType::Int64,
            "float" => DataType::Float32,
            "double" => DataType::Float64,
            "string" => DataType::Utf8,
            "binary" => DataType::Binary,
            "date" => DataType::Date32,
            "time" => DataType::Time64(TimeUnit::Microsecond),
            "timestamp" => types::no_zone(),
            "timestamptz" => types::utc(),
            "uuid" => DataType::FixedSizeBinary(16),
            s => {
                let decimal = inside("decimal(", ')').and_then(|s| s.split_once(','));
                let fixed = inside("fixed[", ']').and_then(|s| s.trim().parse().ok());
                match (decimal.map(|(p, s)| (p.trim().parse(), s.trim().parse())), fixed) {
                    (Some((Ok(p), Ok(s))), _) => DataType::Decimal128(p, s),
                    (_, Some(n)) => DataType::FixedSizeBinary(n),
                    _ => return Err(fatal!("the type {s} is not known to this engine")),
                }
            }
        });
    }
    let nested = |what: &str, name: &str, required: bool| -> Result<Field> {
        let id = v[format!("{what}-id")].as_i64().ok_or_else(|| fatal!("a nested type without ids"))?;
        Ok(with_id(Field::new(name, from_type(&v[what])?, !required), id))
    };
    match v["type"].as_str() {
        Some("struct") => Ok(DataType::Struct(fields(v)?)),
        Some("list") => {
            let required = v["element-required"].as_bool().unwrap_or(false);
            Ok(DataType::List(Arc::new(nested("element", "element", required)?)))
        }
        Some("map") => {
            let required = v["value-required"].as_bool().unwrap_or(false);
            let kv = Fields::from(vec![nested("key", "key", true)?, nested("value", "value", required)?]);
            Ok(DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(kv), false)), false))
        }
        _ => Err(fatal!("the type {v} is not known to this engine")),
    }
}

fn fields(v: &Value) -> Result<Fields> {
    let list = v["fields"].as_array().ok_or_else(|| fatal!("a schema without fields"))?;
    let fields: Result<Vec<Field>> = list
        .iter()
        .map(|f| {
            let name = f["name"].as_str().ok_or_else(|| fatal!("a column without a name"))?;
            let id = f["id"].as_i64().ok_or_else(|| fatal!("the column {name} has no id"))?;
            let t = from_type(&f["type"]).map_err(|e| e.about(format!("column {name}")))?;
            // Of version 3: what files have that lack the column, where this engine would read null.
            if f.get("initial-default").is_some_and(|v| !v.is_null()) {
                return Err(fatal!(
                    "the column {name} has a default (initial-default), which this engine does not read"
                ));
            }
            Ok(with_id(Field::new(name, t, !f["required"].as_bool().unwrap_or(false)), id))
        })
        .collect();
    Ok(fields?.into())
}

pub fn from_iceberg(schema: &Value) -> Result<SchemaRef> {
    Ok(Arc::new(Schema::new(fields(schema)?)))
}

/// A column that is made.
pub fn field(f: &Field, id: i64) -> Result<Value> {
    let t = to_iceberg(f.data_type()).map_err(|e| e.about(format!("column {}", f.name())))?;
    Ok(json!({"id": id, "name": f.name(), "required": false, "type": t}))
}

/// Whether the format lets a column's type become the other: data files stay as they are.
pub fn promotes(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Int32, DataType::Int64) | (DataType::Float32, DataType::Float64) => true,
        (DataType::Decimal128(p, s), DataType::Decimal128(q, r)) => s == r && p <= q,
        _ => from == to,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_go_to_iceberg_and_back() {
        for t in [
            DataType::Boolean,
            DataType::Int32,
            DataType::Int64,
            DataType::Utf8,
            types::utc(),
            types::no_zone(),
            DataType::Decimal128(38, 10),
            DataType::FixedSizeBinary(3),
        ] {
            assert_eq!(from_type(&to_iceberg(&t).unwrap()).unwrap(), t);
        }
        assert!(to_iceberg(&DataType::UInt64).is_err());
        let list = json!({"type": "list", "element-id": 7, "element": "int", "element-required": true});
        let DataType::List(f) = from_type(&list).unwrap() else { panic!() };
        assert_eq!((id_of(&f), f.is_nullable()), (Some(7), false));
    }

    #[test]
    fn defaults_of_version_3_are_not_read_as_null() {
        let of = |more: Value| {
            let mut f = json!({"id": 1, "name": "a", "required": false, "type": "int"});
            f.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            from_iceberg(&json!({"type": "struct", "fields": [f]}))
        };
        assert!(of(json!({"initial-default": null, "write-default": 5})).is_ok());
        assert!(of(json!({"initial-default": 5})).unwrap_err().text().contains("column a"));
    }

    #[test]
    fn only_the_formats_own_promotions() {
        let d = |p, s| DataType::Decimal128(p, s);
        assert!(promotes(&d(10, 2), &d(12, 2)) && promotes(&DataType::Int32, &DataType::Int64));
        assert!(!promotes(&d(10, 2), &d(12, 4)) && !promotes(&DataType::Date32, &types::no_zone()));
    }
}
