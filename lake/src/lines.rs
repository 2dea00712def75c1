//! Rows and changes as lines of JSON, for readers that know nothing of Arrow.
//!
//! Numbers are JSON's, but decimals, which are texts with all their digits; NaN and infinities are texts; bytes are
//! base64; times are ISO 8601, with Z where they have a zone.

use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use serde_json::Value;

use crate::answer::{Result, fatal};
use crate::partition;
use crate::scan::Scan;

/// Rows that one answer has at most.
const ROWS: usize = 1000;
/// And about so many bytes.
const BYTES: usize = 4 << 20;

pub struct Lines {
    scan: Scan,
    now: Option<(RecordBatch, usize)>,
}

impl Lines {
    pub fn new(scan: Scan) -> Lines {
        Lines { scan, now: None }
    }

    /// The next lines, each with its end; None: there are no more.
    pub fn more(&mut self) -> Result<Option<String>> {
        loop {
            if let Some((batch, at)) = &mut self.now {
                let mut out = String::new();
                let end = batch.num_rows().min(*at + ROWS);
                while *at < end && out.len() < BYTES {
                    row(&mut out, batch, *at, &self.scan.offsets)?;
                    *at += 1;
                }
                if *at == batch.num_rows() {
                    self.now = None;
                }
                if !out.is_empty() {
                    return Ok(Some(out));
                }
            }
            match self.scan.step()? {
                Some(batch) => self.now = Some((batch, 0)),
                None => return Ok(None),
            }
        }
    }
}

fn row(out: &mut String, batch: &RecordBatch, at: usize, offsets: &Option<Value>) -> Result<()> {
    out.push('{');
    for (i, (field, column)) in batch.schema().fields().iter().zip(batch.columns()).enumerate() {
        if i > 0 {
            out.push(',');
        }
        string(out, field.name());
        out.push(':');
        value(out, column, at).map_err(|e| e.about(format!("column {}", field.name())))?;
    }
    if let Some(offsets) = offsets {
        let _ = write!(out, "{}\"_commit_offsets\":{offsets}", if batch.num_columns() > 0 { "," } else { "" });
    }
    out.push_str("}\n");
    Ok(())
}

pub fn string(out: &mut String, text: &str) {
    out.push_str(&Value::String(text.into()).to_string());
}

pub fn base64(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let n = chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = DIGITS[(n >> (18 - 6 * i) & 63) as usize] as char;
            out.push(if i > chunk.len() { '=' } else { digit });
        }
    }
}

fn float(out: &mut String, v: f64, text: impl std::fmt::Display) {
    let _ = if v.is_finite() { write!(out, "{text}") } else { write!(out, "\"{text}\"") };
}

fn moment(out: &mut String, us: i64, zone: &str) {
    let (seconds, us) = (us.div_euclid(1_000_000), us.rem_euclid(1_000_000));
    let Some(text) = partition::time_ms(seconds.saturating_mul(1000)) else {
        let _ = write!(out, "\"{seconds}.{us:06} s{zone}\"");
        return;
    };
    let text = text.trim_end_matches(".000");
    let _ = match us {
        0 => write!(out, "\"{text}{zone}\""),
        us => write!(out, "\"{text}.{us:06}{zone}\""),
    };
}

/// One value.
pub fn json_of(a: &ArrayRef, at: usize) -> Result<Value> {
    let mut text = String::new();
    value(&mut text, a, at)?;
    serde_json::from_str(&text).map_err(|e| fatal!("a value as JSON: {e}"))
}

fn list(out: &mut String, items: &ArrayRef) -> Result<()> {
    out.push('[');
    for i in 0..items.len() {
        if i > 0 {
            out.push(',');
        }
        value(out, items, i)?;
    }
    out.push(']');
    Ok(())
}

pub fn value(out: &mut String, a: &ArrayRef, at: usize) -> Result<()> {
    use DataType::*;
    macro_rules! number {
        ($t:ty) => {{
            let _ = write!(out, "{}", a.as_primitive::<$t>().value(at));
        }};
    }
    if a.is_null(at) {
        out.push_str("null");
        return Ok(());
    }
    match a.data_type() {
        Boolean => out.push_str(if a.as_boolean().value(at) { "true" } else { "false" }),
        Int8 => number!(Int8Type),
        Int16 => number!(Int16Type),
        Int32 => number!(Int32Type),
        Int64 => number!(Int64Type),
        Float32 => {
            let v = a.as_primitive::<Float32Type>().value(at);
            float(out, v.into(), format_args!("{v:?}"));
        }
        Float64 => {
            let v = a.as_primitive::<Float64Type>().value(at);
            float(out, v, format_args!("{v:?}"));
        }
        Decimal128(_, _) => string(out, &a.as_primitive::<Decimal128Type>().value_as_string(at)),
        Utf8 => string(out, a.as_string::<i32>().value(at)),
        Binary => {
            out.push('"');
            base64(out, a.as_binary::<i32>().value(at));
            out.push('"');
        }
        Date32 => {
            let d = a.as_primitive::<Date32Type>().value(at);
            string(out, &partition::date(d).unwrap_or_else(|| format!("{d} d")));
        }
        Time64(_) => {
            let us = a.as_primitive::<Time64MicrosecondType>().value(at);
            let (s, us) = (us / 1_000_000, us % 1_000_000);
            let part = if us > 0 { format!(".{us:06}") } else { String::new() };
            let _ = write!(out, "\"{:02}:{:02}:{:02}{part}\"", s / 3600, s / 60 % 60, s % 60);
        }
        FixedSizeBinary(_) => {
            out.push('"');
            base64(out, a.as_fixed_size_binary().value(at));
            out.push('"');
        }
        Timestamp(_, zone) => {
            let zone = if zone.is_some() { "Z" } else { "" };
            moment(out, a.as_primitive::<TimestampMicrosecondType>().value(at), zone);
        }
        List(_) => list(out, &a.as_list::<i32>().value(at))?,
        Struct(fields) => {
            out.push('{');
            for (i, (f, c)) in fields.iter().zip(a.as_struct().columns()).enumerate() {
                if i > 0 {
                    out.push(',');
                }
                string(out, f.name());
                out.push(':');
                value(out, c, at)?;
            }
            out.push('}');
        }
        // Its entries, as structs of key and value: keys need not be texts.
        Map(_, _) => {
            let entries: ArrayRef = std::sync::Arc::new(a.as_map().value(at));
            list(out, &entries)?;
        }
        t => return Err(fatal!("a value of type {t} has no form in JSON")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{
        BinaryArray, Date32Array, Decimal128Array, Float64Array, ListArray, StringArray, TimestampMicrosecondArray,
    };
    use std::sync::Arc;

    fn text(a: ArrayRef) -> String {
        let mut out = String::new();
        (0..a.len()).for_each(|i| {
            value(&mut out, &a, i).unwrap();
            out.push(' ');
        });
        out.trim_end().to_string()
    }

    #[test]
    fn values_are_exact() {
        let d = Decimal128Array::from(vec![Some(-5), None]).with_precision_and_scale(38, 2).unwrap();
        assert_eq!(text(Arc::new(d)), "\"-0.05\" null");
        assert_eq!(text(Arc::new(Float64Array::from(vec![0.1, f64::NAN, f64::NEG_INFINITY]))), "0.1 \"NaN\" \"-inf\"");
        let bytes: Vec<&[u8]> = vec![b"", b"f", b"fo", b"foo", b"\xff\x00"];
        assert_eq!(text(Arc::new(BinaryArray::from(bytes))), "\"\" \"Zg==\" \"Zm8=\" \"Zm9v\" \"/wA=\"");
        assert_eq!(text(Arc::new(StringArray::from(vec!["a\"\n"]))), "\"a\\\"\\n\"");
        assert_eq!(text(Arc::new(Date32Array::from(vec![-1]))), "\"1969-12-31\"");
        let t = TimestampMicrosecondArray::from(vec![-1, 1_000_000]);
        assert_eq!(text(Arc::new(t.clone())), "\"1969-12-31T23:59:59.999999\" \"1970-01-01T00:00:01\"");
        assert_eq!(text(Arc::new(t.with_timezone("UTC"))), "\"1969-12-31T23:59:59.999999Z\" \"1970-01-01T00:00:01Z\"");
        let l = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1), None])]);
        assert_eq!(text(Arc::new(l)), "[1,null]");
    }
}
