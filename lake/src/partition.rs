//! Values of partition columns, which stand in the log as text; and times as text.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::*;
use arrow_schema::DataType;

use crate::answer::{Result, fatal};

/// Types whose values can part a table.
pub fn check(t: &DataType) -> Result<()> {
    use DataType::*;
    match t {
        Boolean | Int8 | Int16 | Int32 | Int64 | Utf8 | Date32 | Decimal128(_, _) => Ok(()),
        t => Err(fatal!(
            "a column of type {} cannot part a table: choose a text, a number, a date or a boolean",
            crate::types::name(t)
        )),
    }
}

/// The text of one value; an empty text cannot be told from null and is refused.
pub fn text(a: &ArrayRef, row: usize) -> Result<Option<String>> {
    use DataType::*;
    if a.is_null(row) {
        return Ok(None);
    }
    Ok(Some(match a.data_type() {
        Boolean => a.as_boolean().value(row).to_string(),
        Int8 => a.as_primitive::<Int8Type>().value(row).to_string(),
        Int16 => a.as_primitive::<Int16Type>().value(row).to_string(),
        Int32 => a.as_primitive::<Int32Type>().value(row).to_string(),
        Int64 => a.as_primitive::<Int64Type>().value(row).to_string(),
        Decimal128(_, _) => a.as_primitive::<Decimal128Type>().value_as_string(row),
        Date32 => {
            let d = a.as_primitive::<Date32Type>().value(row);
            date(d).ok_or_else(|| fatal!("the date {d} days from 1970 is outside of the years 1 to 9999"))?
        }
        Utf8 => match a.as_string::<i32>().value(row) {
            "" => {
                return Err(fatal!(
                    "an empty text cannot be a value of a partition column, since Delta Lake reads it as null: part the table by another column"
                ));
            }
            s => s.to_string(),
        },
        t => return Err(fatal!("a column of type {t} cannot part a table")),
    }))
}

/// An array of one value.
pub fn parse(t: &DataType, text: Option<&str>) -> Result<ArrayRef> {
    use DataType::*;
    let Some(s) = text.filter(|s| !s.is_empty()) else { return Ok(new_null_array(t, 1)) };
    let bad = || fatal!("the partition value \"{s}\" is no {}", crate::types::name(t));
    Ok(match t {
        Boolean => Arc::new(BooleanArray::from(vec![s.parse::<bool>().map_err(|_| bad())?])),
        Int8 => Arc::new(Int8Array::from(vec![s.parse::<i8>().map_err(|_| bad())?])),
        Int16 => Arc::new(Int16Array::from(vec![s.parse::<i16>().map_err(|_| bad())?])),
        Int32 => Arc::new(Int32Array::from(vec![s.parse::<i32>().map_err(|_| bad())?])),
        Int64 => Arc::new(Int64Array::from(vec![s.parse::<i64>().map_err(|_| bad())?])),
        Utf8 => Arc::new(StringArray::from(vec![s])),
        Date32 => Arc::new(Date32Array::from(vec![days(s).ok_or_else(bad)?])),
        Decimal128(p, scale) => {
            let v = unscaled(s, *scale).ok_or_else(bad)?;
            Arc::new(Decimal128Array::from(vec![v]).with_precision_and_scale(*p, *scale)?)
        }
        t => {
            return Err(fatal!(
                "a column of type {} cannot part a table that this engine reads",
                crate::types::name(t)
            ));
        }
    })
}

fn unscaled(s: &str, scale: i8) -> Option<i128> {
    let (whole, part) = s.split_once('.').unwrap_or((s, ""));
    let part = part.trim_end_matches('0');
    if part.len() > scale as usize {
        return None;
    }
    format!("{whole}{part:0<width$}", width = scale as usize).parse().ok()
}

/// Year, month and day of a day number (proleptic Gregorian; Howard Hinnant's days_from_civil turned round).
fn civil(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let d = (doy - (153 * mp + 2) / 5 + 1) as u32;
    let m = if mp < 10 { mp + 3 } else { mp - 9 } as u32;
    (yoe + era * 400 + i64::from(m <= 2), m, d)
}

pub fn year_month(days: i64) -> (i64, u32) {
    let (y, m, _) = civil(days);
    (y, m)
}

pub fn date(days: i32) -> Option<String> {
    let (y, m, d) = civil(days as i64);
    (1..=9999).contains(&y).then(|| format!("{y:04}-{m:02}-{d:02}"))
}

pub fn days(s: &str) -> Option<i32> {
    let mut parts = s.get(..10)?.splitn(3, '-').map(|p| p.parse::<i64>().ok());
    let (y, m, d) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1..=12).contains(&m) || !(1..=31).contains(&d) {
        return None;
    }
    let y = if m <= 2 { y - 1 } else { y };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + d - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    Some((era * 146_097 + doe - 719_468) as i32)
}

/// A time as ISO 8601 without zone, to the millisecond.
pub fn time_ms(ms: i64) -> Option<String> {
    let (day, rest) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let date = date(i32::try_from(day).ok()?)?;
    let (h, m, s, ms) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000);
    Some(format!("{date}T{h:02}:{m:02}:{s:02}.{ms:03}"))
}

/// The milliseconds of what `time_ms` made.
pub fn parse_ms(s: &str) -> Option<i64> {
    let n = |from: usize, to: usize| s.get(from..to)?.parse::<i64>().ok();
    let day = i64::from(days(s)?) * 86_400_000;
    Some(day + n(11, 13)? * 3_600_000 + n(14, 16)? * 60_000 + n(17, 19)? * 1000 + n(20, 23)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_at_their_borders() {
        for (n, s) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11016, "2000-02-29"),
            (-719162, "0001-01-01"),
            (2932896, "9999-12-31"),
        ] {
            assert_eq!(date(n).as_deref(), Some(s));
            assert_eq!(days(s), Some(n));
        }
        assert_eq!(date(2932897), None);
        assert_eq!(time_ms(-1).as_deref(), Some("1969-12-31T23:59:59.999"));
        assert_eq!(parse_ms("1969-12-31T23:59:59.999Z"), Some(-1));
    }

    #[test]
    fn values_go_to_text_and_back() {
        let d: ArrayRef = Arc::new(Decimal128Array::from(vec![-1205, 5]).with_precision_and_scale(10, 2).unwrap());
        for row in 0..2 {
            let t = text(&d, row).unwrap();
            assert_eq!(
                parse(d.data_type(), t.as_deref()).unwrap().as_primitive::<Decimal128Type>().value(0),
                [-1205, 5][row]
            );
        }
        let s: ArrayRef = Arc::new(StringArray::from(vec![Some("a/ b%"), None, Some("")]));
        assert_eq!(text(&s, 0).unwrap().as_deref(), Some("a/ b%"));
        assert_eq!(text(&s, 1).unwrap(), None);
        assert!(text(&s, 2).is_err());
        assert!(parse(&DataType::Utf8, None).unwrap().is_null(0));
    }
}
