//! SQLite, by its own library.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use crate::answer::{Fail, Result, fatal};
use crate::iceberg::sql::{Answer, Connection, Library};

type Db = c_void;
type Statement = c_void;

#[derive(Clone, Copy)]
struct Calls {
    open: unsafe extern "C" fn(*const c_char, *mut *mut Db, c_int, *const c_char) -> c_int,
    close: unsafe extern "C" fn(*mut Db) -> c_int,
    message: unsafe extern "C" fn(*mut Db) -> *const c_char,
    wait: unsafe extern "C" fn(*mut Db, c_int) -> c_int,
    prepare: unsafe extern "C" fn(*mut Db, *const c_char, c_int, *mut *mut Statement, *mut *const c_char) -> c_int,
    bind: unsafe extern "C" fn(*mut Statement, c_int, *const c_char, c_int, isize) -> c_int,
    step: unsafe extern "C" fn(*mut Statement) -> c_int,
    columns: unsafe extern "C" fn(*mut Statement) -> c_int,
    text: unsafe extern "C" fn(*mut Statement, c_int) -> *const c_char,
    finalize: unsafe extern "C" fn(*mut Statement) -> c_int,
    changes: unsafe extern "C" fn(*mut Db) -> c_int,
}

const ROW: c_int = 100;
const DONE: c_int = 101;
const BUSY: c_int = 5;
const LOCKED: c_int = 6;
const ERROR: c_int = 1;
const READ_WRITE_CREATE_FULL_MUTEX: c_int = 0x2 | 0x4 | 0x10000;
const WAIT_MS: c_int = 10_000;

fn calls() -> Result<Calls> {
    let l = Library::open("libsqlite3.so.0", "SQLite")?;
    // SAFETY: these are the types that sqlite3.h gives these functions.
    unsafe {
        Ok(Calls {
            open: l.get("sqlite3_open_v2")?,
            close: l.get("sqlite3_close_v2")?,
            message: l.get("sqlite3_errmsg")?,
            wait: l.get("sqlite3_busy_timeout")?,
            prepare: l.get("sqlite3_prepare_v2")?,
            bind: l.get("sqlite3_bind_text")?,
            step: l.get("sqlite3_step")?,
            columns: l.get("sqlite3_column_count")?,
            text: l.get("sqlite3_column_text")?,
            finalize: l.get("sqlite3_finalize")?,
            changes: l.get("sqlite3_changes")?,
        })
    }
}

pub struct Sqlite {
    calls: Calls,
    db: *mut Db,
    path: String,
}

// SAFETY: the database is opened with a mutex of its own, and one thread at a time has the connection.
unsafe impl Send for Sqlite {}

impl Sqlite {
    pub fn open(path: &str) -> Result<Box<dyn Connection>> {
        let calls = calls()?;
        if let Some(folder) = std::path::Path::new(path).parent() {
            std::fs::create_dir_all(folder)
                .map_err(|e| Fail::Retry(format!("cannot make the catalog's folder {}: {e}", folder.display())))?;
        }
        let name = CString::new(path).map_err(|_| fatal!("the catalog's path has a NUL in it"))?;
        let mut c = Sqlite { calls, db: ptr::null_mut(), path: path.into() };
        // SAFETY: pointers to live values; SQLite closes what it opened half when `c` is dropped.
        let code = unsafe { (calls.open)(name.as_ptr(), &mut c.db, READ_WRITE_CREATE_FULL_MUTEX, ptr::null()) };
        if code != 0 {
            return Err(Fail::Retry(format!("cannot open the catalog {path}: {}", c.said())));
        }
        // SAFETY: the database is open.
        unsafe { (calls.wait)(c.db, WAIT_MS) };
        Ok(Box::new(c))
    }

    fn said(&self) -> String {
        if self.db.is_null() {
            return "no memory".into();
        }
        // SAFETY: SQLite's text lives until the next call.
        unsafe { CStr::from_ptr((self.calls.message)(self.db)) }.to_string_lossy().into_owned()
    }

    fn fail(&self, code: c_int, began: bool) -> Fail {
        let text = format!("the catalog {}: {}", self.path, self.said());
        match code & 0xff {
            BUSY | LOCKED => Fail::Retry(text),
            ERROR => Fail::Fatal(text),
            _ if began => Fail::Unknown(text),
            _ => Fail::Retry(text),
        }
    }

    fn steps(&self, s: *mut Statement) -> Result<Answer> {
        let mut out = Answer::default();
        loop {
            // SAFETY: the statement is prepared and not finalized.
            match unsafe { (self.calls.step)(s) } {
                DONE => break,
                ROW => {
                    // SAFETY: a row stands ready; its texts live until the next step.
                    let row = (0..unsafe { (self.calls.columns)(s) }).map(|i| unsafe {
                        let t = (self.calls.text)(s, i);
                        (!t.is_null()).then(|| CStr::from_ptr(t).to_string_lossy().into_owned())
                    });
                    out.rows.push(row.collect());
                }
                code => return Err(self.fail(code, true)),
            }
        }
        // SAFETY: the database is open.
        out.changed = unsafe { (self.calls.changes)(self.db) } as u64;
        Ok(out)
    }
}

impl Connection for Sqlite {
    fn run(&mut self, sql: &str, values: &[&str]) -> Result<Answer> {
        let mut s: *mut Statement = ptr::null_mut();
        // SAFETY: lengths are given; values are copied by SQLite (-1: SQLITE_TRANSIENT).
        unsafe {
            let code = (self.calls.prepare)(self.db, sql.as_ptr().cast(), sql.len() as c_int, &mut s, ptr::null_mut());
            if code != 0 {
                return Err(self.fail(code, false));
            }
            let mut bad = 0;
            for (i, v) in values.iter().enumerate() {
                bad |= (self.calls.bind)(s, i as c_int + 1, v.as_ptr().cast(), v.len() as c_int, -1);
            }
            let done = if bad == 0 { self.steps(s) } else { Err(self.fail(bad, false)) };
            (self.calls.finalize)(s);
            done
        }
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        // SAFETY: it is not used again; NULL is accepted.
        unsafe { (self.calls.close)(self.db) };
    }
}
