//! The C interface: include/ods/lake.h says what each function promises.

use std::ffi::{CStr, CString, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{Array, RecordBatch, StructArray};
use arrow_schema::{DataType, Schema};
use serde_json::{Map, Value};

use crate::answer::{Fail, Result, fatal};
use crate::arrow::Stream;
use crate::compare::Compare;
use crate::feed::Feed;
use crate::lake::Lake;
use crate::lines::Lines;
use crate::table::Table;

const ABI: c_int = 2;
const OK: c_int = 0;

/// A table and what belongs to its use from C.
pub struct Handle {
    table: Table,
    /// The offsets that the last commit expected, for `resolve`.
    expected: Option<Map<String, Value>>,
    /// A panic left the table in a state that nobody knows.
    broken: bool,
    compare: Option<Compare>,
}

fn text_of(panic: Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| s.to_string()).or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "of an unknown kind".into())
}

fn give(text: String) -> *mut c_char {
    CString::new(text.replace('\0', " ")).map_or(ptr::null_mut(), CString::into_raw)
}

/// Runs a call: panics become answers, and the text of an error goes to the caller.
fn answer(error: *mut *mut c_char, f: impl FnOnce() -> Result<()>) -> c_int {
    let fail = match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(())) => None,
        Ok(Err(e)) => Some(e),
        Err(p) => Some(fatal!(
            "the lake engine met an error of its own (a panic: {}): close the table and open it again",
            text_of(p)
        )),
    };
    let text = fail.as_ref().map_or(ptr::null_mut(), |e| give(e.text().into()));
    if error.is_null() {
        // SAFETY: it is NULL or was made by `give` above.
        unsafe { ods_lake_free(text) };
    } else {
        // SAFETY: the caller gives NULL or a pointer to a pointer of its own.
        unsafe { *error = text };
    }
    match fail {
        None => OK,
        Some(Fail::Retry(_)) => 1,
        Some(Fail::Unknown(_)) => 2,
        Some(Fail::Fenced(_)) => 3,
        Some(Fail::Fatal(_) | Fail::Gone(_)) => 4,
        Some(Fail::Row(_, _)) => 5,
    }
}

/// Like `answer`, for a table.
///
/// # Safety
/// `handle` is NULL or came from `ods_lake_table` and is not in use by another thread.
unsafe fn with(handle: *mut Handle, error: *mut *mut c_char, f: impl FnOnce(&mut Handle) -> Result<()>) -> c_int {
    answer(error, || {
        // SAFETY: the caller's promise.
        let h = unsafe { handle.as_mut() }.ok_or_else(|| fatal!("no table is given"))?;
        if h.broken {
            return Err(fatal!(
                "this table is no longer usable after an error of the engine's own: close it and open it again"
            ));
        }
        h.broken = true;
        let r = f(h);
        h.broken = false;
        r
    })
}

/// # Safety
/// `p` is NULL or a string that ends in NUL.
unsafe fn text<'a>(what: &str, p: *const c_char) -> Result<&'a str> {
    if p.is_null() {
        return Err(fatal!("no {what} is given"));
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(p) }.to_str().map_err(|_| fatal!("the {what} is not UTF-8"))
}

/// # Safety
/// As `text`.
unsafe fn object(what: &str, p: *const c_char) -> Result<Map<String, Value>> {
    // SAFETY: the caller's promise.
    match serde_json::from_str(unsafe { text(what, p) }?) {
        Ok(Value::Object(m)) => Ok(m),
        _ => Err(fatal!("the {what} must be a JSON object")),
    }
}

/// Moves a schema out of the caller's struct; what was there is released when the answer is dropped.
///
/// # Safety
/// `p` is NULL or a struct as the Arrow C Data Interface has it.
unsafe fn move_schema(p: *mut FFI_ArrowSchema) -> Option<FFI_ArrowSchema> {
    // SAFETY: the caller's promise; the caller's struct is left released.
    (!p.is_null()).then(|| unsafe { FFI_ArrowSchema::from_raw(p) })
}

/// # Safety
/// As `move_schema`.
unsafe fn move_array(p: *mut FFI_ArrowArray) -> Option<FFI_ArrowArray> {
    // SAFETY: the caller's promise; the caller's struct is left released.
    (!p.is_null()).then(|| unsafe { FFI_ArrowArray::from_raw(p) })
}

fn schema(s: Option<FFI_ArrowSchema>) -> Result<Schema> {
    let s = s.ok_or_else(|| fatal!("no schema is given"))?;
    match DataType::try_from(&s) {
        Ok(DataType::Struct(fields)) => Ok(Schema::new(fields)),
        Ok(t) => Err(fatal!("the schema must be a struct (+s) of columns and is {t}")),
        Err(e) => Err(fatal!("the schema cannot be read: {e}")),
    }
}

fn batch(a: Option<FFI_ArrowArray>, s: Option<FFI_ArrowSchema>) -> Result<RecordBatch> {
    let a = a.ok_or_else(|| fatal!("no array is given"))?;
    let s = s.ok_or_else(|| fatal!("no schema is given"))?;
    let fields = match DataType::try_from(&s) {
        Ok(DataType::Struct(fields)) => fields,
        Ok(t) => return Err(fatal!("the schema of an array must be a struct (+s) of columns and is {t}")),
        Err(e) => return Err(fatal!("the schema of an array cannot be read: {e}")),
    };
    if a.is_empty() {
        return Ok(RecordBatch::new_empty(std::sync::Arc::new(Schema::new(fields))));
    }
    // SAFETY: the caller's structs are as the interface has them; what can be checked is, below.
    let mut data = unsafe { from_ffi(a, &s) }?;
    data.align_buffers();
    data.validate_full().map_err(|e| fatal!("the array is not sound: {e}"))?;
    let array = StructArray::from(data);
    if array.null_count() > 0 {
        return Err(fatal!("a row of the array is null as a whole"));
    }
    Ok(RecordBatch::from(array))
}

#[unsafe(no_mangle)]
pub extern "C" fn ods_lake_abi() -> c_int {
    ABI
}

#[unsafe(no_mangle)]
pub extern "C" fn ods_lake_version() -> *const c_char {
    const TEXT: &str = if cfg!(feature = "s3") {
        concat!(env!("CARGO_PKG_VERSION"), " (delta, iceberg, s3)\0")
    } else {
        concat!(env!("CARGO_PKG_VERSION"), " (delta, iceberg)\0")
    };
    TEXT.as_ptr().cast()
}

/// # Safety
/// `p` is NULL or a string of this library that was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_free(p: *mut c_char) {
    if !p.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { CString::from_raw(p) });
    }
}

/// # Safety
/// As include/ods/lake.h says; so it is for every function below.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_open(json: *const c_char, lake: *mut *mut Lake, error: *mut *mut c_char) -> c_int {
    answer(error, || {
        let opened = Lake::open(unsafe { text("JSON", json) }?)?;
        unsafe { *lake = Box::into_raw(Box::new(opened)) };
        Ok(())
    })
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_close(lake: *mut Lake) {
    if !lake.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(lake) })));
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_table(
    lake: *mut Lake,
    json: *const c_char,
    columns: *mut FFI_ArrowSchema,
    table: *mut *mut Handle,
    error: *mut *mut c_char,
) -> c_int {
    let columns = unsafe { move_schema(columns) };
    answer(error, || {
        let lake = unsafe { lake.as_ref() }.ok_or_else(|| fatal!("no lake is given"))?;
        let opened = lake.table(unsafe { text("JSON", json) }?, &schema(columns)?)?;
        let handle = opened.map(|table| Box::new(Handle { table, expected: None, broken: false, compare: None }));
        unsafe { *table = handle.map_or(ptr::null_mut(), Box::into_raw) };
        Ok(())
    })
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_close_table(table: *mut Handle) {
    if !table.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(table) })));
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_offsets(
    table: *mut Handle,
    json: *mut *mut c_char,
    error: *mut *mut c_char,
) -> c_int {
    unsafe {
        with(table, error, |h| {
            *json = give(h.table.offsets()?);
            Ok(())
        })
    }
}

/// Sets the caller's `row` to the one that is refused.
///
/// # Safety
/// `row` is NULL or points to a number of the caller's.
unsafe fn tell_row(staged: Result<()>, row: *mut i64) -> Result<()> {
    if let (Err(Fail::Row(n, _)), false) = (&staged, row.is_null()) {
        // SAFETY: the caller's promise.
        unsafe { *row = *n };
    }
    staged
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_append(
    table: *mut Handle,
    array: *mut FFI_ArrowArray,
    columns: *mut FFI_ArrowSchema,
    row: *mut i64,
    error: *mut *mut c_char,
) -> c_int {
    unsafe {
        let (a, s) = (move_array(array), move_schema(columns));
        with(table, error, |h| tell_row(h.table.append(&batch(a, s)?), row))
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_upsert(
    table: *mut Handle,
    array: *mut FFI_ArrowArray,
    columns: *mut FFI_ArrowSchema,
    row: *mut i64,
    error: *mut *mut c_char,
) -> c_int {
    unsafe {
        let (a, s) = (move_array(array), move_schema(columns));
        with(table, error, |h| tell_row(h.table.upsert(&batch(a, s)?), row))
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_truncate(table: *mut Handle, error: *mut *mut c_char) -> c_int {
    unsafe { with(table, error, |h| h.table.truncate()) }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_commit(
    table: *mut Handle,
    expect: *const c_char,
    next: *const c_char,
    batch_id: *const c_char,
    version: *mut i64,
    error: *mut *mut c_char,
) -> c_int {
    unsafe {
        with(table, error, |h| {
            let (expect, next) = (object("expected offsets", expect)?, object("next offsets", next)?);
            let batch = text("batch id", batch_id)?;
            h.expected = Some(expect.clone());
            let v = h.table.commit(&expect, &next, batch)?;
            if !version.is_null() {
                *version = v;
            }
            Ok(())
        })
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_resolve(
    table: *mut Handle,
    batch_id: *const c_char,
    committed: *mut c_int,
    version: *mut i64,
    error: *mut *mut c_char,
) -> c_int {
    unsafe {
        with(table, error, |h| {
            let found = h.table.resolve(text("batch id", batch_id)?, h.expected.as_ref())?;
            *committed = c_int::from(found.is_some());
            if let (Some(v), false) = (found, version.is_null()) {
                *version = v;
            }
            Ok(())
        })
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_rollback(table: *mut Handle) {
    unsafe {
        with(table, ptr::null_mut(), |h| {
            h.table.rollback();
            Ok(())
        });
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_lookup(
    table: *mut Handle,
    keys: *mut FFI_ArrowArray,
    keys_schema: *mut FFI_ArrowSchema,
    rows: *mut FFI_ArrowArray,
    rows_schema: *mut FFI_ArrowSchema,
    error: *mut *mut c_char,
) -> c_int {
    unsafe {
        let (a, s) = (move_array(keys), move_schema(keys_schema));
        with(table, error, |h| {
            let found = h.table.lookup(&batch(a, s)?)?;
            let s = FFI_ArrowSchema::try_from(found.schema().as_ref())?;
            ptr::write(rows, FFI_ArrowArray::new(&StructArray::from(found).into_data()));
            ptr::write(rows_schema, s);
            Ok(())
        })
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_erase(
    table: *mut Handle,
    keys: *mut FFI_ArrowArray,
    keys_schema: *mut FFI_ArrowSchema,
    look: c_int,
    rows: *mut i64,
    error: *mut *mut c_char,
) -> c_int {
    unsafe {
        let (a, s) = (move_array(keys), move_schema(keys_schema));
        with(table, error, |h| {
            *rows = h.table.erase(&batch(a, s)?, look != 0)? as i64;
            Ok(())
        })
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_evolve(
    table: *mut Handle,
    columns: *mut FFI_ArrowSchema,
    error: *mut *mut c_char,
) -> c_int {
    unsafe {
        let s = move_schema(columns);
        with(table, error, |h| h.table.evolve(&schema(s)?))
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_schema(
    table: *mut Handle,
    columns: *mut FFI_ArrowSchema,
    error: *mut *mut c_char,
) -> c_int {
    unsafe {
        with(table, error, |h| {
            let s = FFI_ArrowSchema::try_from(h.table.state.schema()?.as_ref())?;
            ptr::write(columns, s);
            Ok(())
        })
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_maintain(
    table: *mut Handle,
    json: *const c_char,
    report: *mut *mut c_char,
    error: *mut *mut c_char,
) -> c_int {
    unsafe {
        with(table, error, |h| {
            let done = h.table.maintain(text("JSON", json)?)?;
            if !report.is_null() {
                *report = give(done);
            }
            Ok(())
        })
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_scan(
    table: *mut Handle,
    json: *const c_char,
    stream: *mut FFI_ArrowArrayStream,
    error: *mut *mut c_char,
) -> c_int {
    unsafe {
        with(table, error, |h| {
            let scan = h.table.scan(text("JSON", json)?)?;
            ptr::write(stream, FFI_ArrowArrayStream::new(Box::new(scan)));
            Ok(())
        })
    }
}

/// The answer of a call that may ask for what was deleted.
fn or_gone(code: c_int, gone: bool) -> c_int {
    if gone { 6 } else { code }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_feed(
    table: *mut Handle,
    json: *const c_char,
    feed: *mut *mut Feed,
    about: *mut *mut c_char,
    error: *mut *mut c_char,
) -> c_int {
    let mut gone = false;
    let code = unsafe {
        with(table, error, |h| {
            let found = h.table.feed(text("JSON", json)?);
            gone = matches!(found, Err(Fail::Gone(_)));
            let (known, changes) = found?;
            *about = give(known);
            *feed = changes.map_or(ptr::null_mut(), |f| Box::into_raw(Box::new(f)));
            Ok(())
        })
    };
    or_gone(code, gone)
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_next_events(
    feed: *mut Feed,
    text: *mut *mut c_char,
    error: *mut *mut c_char,
) -> c_int {
    let mut gone = false;
    let code = answer(error, || {
        let feed = unsafe { feed.as_mut() }.ok_or_else(|| fatal!("no feed is given"))?;
        let found = feed.more();
        gone = matches!(found, Err(Fail::Gone(_)));
        unsafe { *text = found?.map_or(ptr::null_mut(), give) };
        Ok(())
    });
    or_gone(code, gone)
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_close_feed(feed: *mut Feed) {
    if !feed.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(feed) })));
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_versions(
    table: *mut Handle,
    json: *const c_char,
    versions: *mut *mut c_char,
    error: *mut *mut c_char,
) -> c_int {
    unsafe {
        with(table, error, |h| {
            *versions = give(h.table.versions(text("JSON", json)?)?);
            Ok(())
        })
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_changes(
    table: *mut Handle,
    json: *const c_char,
    lines: *mut *mut Lines,
    from: *mut i64,
    to: *mut i64,
    error: *mut *mut c_char,
) -> c_int {
    unsafe {
        with(table, error, |h| {
            let (found, first, last) = h.table.changes(text("JSON", json)?)?;
            *lines = Box::into_raw(Box::new(found));
            (*from, *to) = (first, last);
            Ok(())
        })
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_next_lines(
    lines: *mut Lines,
    text: *mut *mut c_char,
    error: *mut *mut c_char,
) -> c_int {
    answer(error, || {
        let lines = unsafe { lines.as_mut() }.ok_or_else(|| fatal!("no lines are given"))?;
        unsafe { *text = lines.more()?.map_or(ptr::null_mut(), give) };
        Ok(())
    })
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_close_lines(lines: *mut Lines) {
    if !lines.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(lines) })));
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_arrow(
    table: *mut Handle,
    json: *const c_char,
    arrow: *mut *mut Stream,
    from: *mut i64,
    to: *mut i64,
    error: *mut *mut c_char,
) -> c_int {
    unsafe {
        with(table, error, |h| {
            let (scan, first, last) = h.table.changes_scan(text("JSON", json)?)?;
            match (*arrow).as_mut() {
                Some(stream) => stream.go_on(scan, first, last)?,
                None => *arrow = Box::into_raw(Box::new(Stream::new(scan)?)),
            }
            (*from, *to) = (first, last);
            Ok(())
        })
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_next_arrow(
    arrow: *mut Stream,
    bytes: *mut *const u8,
    size: *mut usize,
    error: *mut *mut c_char,
) -> c_int {
    answer(error, || {
        let stream = unsafe { arrow.as_mut() }.ok_or_else(|| fatal!("no stream is given"))?;
        let next = stream.more()?;
        unsafe { (*bytes, *size) = (next.as_ptr(), next.len()) };
        Ok(())
    })
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_close_arrow(arrow: *mut Stream) {
    if !arrow.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(arrow) })));
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_compare(table: *mut Handle, json: *const c_char, error: *mut *mut c_char) -> c_int {
    unsafe {
        with(table, error, |h| {
            h.compare = Some(Compare::new(&h.table, text("JSON", json)?)?);
            Ok(())
        })
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_compare_rows(
    table: *mut Handle,
    array: *mut FFI_ArrowArray,
    columns: *mut FFI_ArrowSchema,
    error: *mut *mut c_char,
) -> c_int {
    unsafe {
        let (a, s) = (move_array(array), move_schema(columns));
        with(table, error, |h| {
            let c = h.compare.as_mut().ok_or_else(|| fatal!("nothing is being compared"))?;
            c.rows(&batch(a, s)?)
        })
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_compared(
    table: *mut Handle,
    json: *mut *mut c_char,
    error: *mut *mut c_char,
) -> c_int {
    unsafe {
        with(table, error, |h| {
            let c = h.compare.as_mut().ok_or_else(|| fatal!("nothing is being compared"))?;
            *json = h.table.compare(c)?.map_or(ptr::null_mut(), |v| give(v.to_string()));
            Ok(())
        })
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_count(
    table: *mut Handle,
    json: *const c_char,
    count: *mut i64,
    error: *mut *mut c_char,
) -> c_int {
    unsafe {
        with(table, error, |h| {
            *count = h.table.count_rows(text("JSON", json)?)? as i64;
            Ok(())
        })
    }
}

/// # Safety
/// See `ods_lake_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ods_lake_stats(table: *mut Handle, json: *mut *mut c_char, error: *mut *mut c_char) -> c_int {
    unsafe {
        with(table, error, |h| {
            *json = give(h.table.stats());
            Ok(())
        })
    }
}
