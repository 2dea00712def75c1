//! PostgreSQL, by its own client library.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::time::{Duration, Instant};

use crate::answer::{Fail, Result, fatal};
use crate::iceberg::sql::{Answer, Connection, Library};

type Conn = c_void;
type Res = c_void;
type Receiver = unsafe extern "C" fn(*mut c_void, *const Res);

/// What libpq would print to standard error, beside the answer that says the same.
unsafe extern "C" fn say_nothing(_: *mut c_void, _: *const Res) {}

#[derive(Clone, Copy)]
struct Calls {
    connect: unsafe extern "C" fn(*const *const c_char, *const *const c_char, c_int) -> *mut Conn,
    status: unsafe extern "C" fn(*const Conn) -> c_int,
    message: unsafe extern "C" fn(*const Conn) -> *const c_char,
    finish: unsafe extern "C" fn(*mut Conn),
    notices: unsafe extern "C" fn(*mut Conn, Receiver, *mut c_void) -> Option<Receiver>,
    send: unsafe extern "C" fn(
        *mut Conn,
        *const c_char,
        c_int,
        *const c_uint,
        *const *const c_char,
        *const c_int,
        *const c_int,
        c_int,
    ) -> c_int,
    socket: unsafe extern "C" fn(*const Conn) -> c_int,
    consume: unsafe extern "C" fn(*mut Conn) -> c_int,
    busy: unsafe extern "C" fn(*mut Conn) -> c_int,
    next: unsafe extern "C" fn(*mut Conn) -> *mut Res,
    result: unsafe extern "C" fn(*const Res) -> c_int,
    field: unsafe extern "C" fn(*const Res, c_int) -> *const c_char,
    clear: unsafe extern "C" fn(*mut Res),
    rows: unsafe extern "C" fn(*const Res) -> c_int,
    columns: unsafe extern "C" fn(*const Res) -> c_int,
    value: unsafe extern "C" fn(*const Res, c_int, c_int) -> *const c_char,
    is_null: unsafe extern "C" fn(*const Res, c_int, c_int) -> c_int,
    changed: unsafe extern "C" fn(*mut Res) -> *const c_char,
}

const COMMAND_OK: c_int = 1;
const TUPLES_OK: c_int = 2;
const SQLSTATE: c_int = 'C' as c_int;
const PRIMARY: c_int = 'M' as c_int;

fn calls() -> Result<Calls> {
    let l = Library::open("libpq.so.5", "PostgreSQL")?;
    // SAFETY: these are the types that libpq-fe.h gives these functions.
    unsafe {
        Ok(Calls {
            connect: l.get("PQconnectdbParams")?,
            status: l.get("PQstatus")?,
            message: l.get("PQerrorMessage")?,
            finish: l.get("PQfinish")?,
            notices: l.get("PQsetNoticeReceiver")?,
            send: l.get("PQsendQueryParams")?,
            socket: l.get("PQsocket")?,
            consume: l.get("PQconsumeInput")?,
            busy: l.get("PQisBusy")?,
            next: l.get("PQgetResult")?,
            result: l.get("PQresultStatus")?,
            field: l.get("PQresultErrorField")?,
            clear: l.get("PQclear")?,
            rows: l.get("PQntuples")?,
            columns: l.get("PQnfields")?,
            value: l.get("PQgetvalue")?,
            is_null: l.get("PQgetisnull")?,
            changed: l.get("PQcmdTuples")?,
        })
    }
}

/// # Safety
/// `p` is NULL or a string that ends in NUL.
unsafe fn text(p: *const c_char) -> String {
    if p.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(p) }.to_string_lossy().trim().to_string()
}

/// The text without what the address has as a password: libpq repeats what it cannot read of an address.
fn hidden(mut said: String, uri: &str) -> String {
    let rest = uri.split_once("://").map_or(uri, |(_, r)| r);
    let user = rest.rsplit_once('@').map_or("", |(u, _)| u);
    let query = rest.split_once('?').map_or("", |(_, q)| q);
    let given = user.split_once(':').map(|(_, p)| p);
    let secrets = given.into_iter().chain(query.split('&').filter_map(|p| p.strip_prefix("password=")));
    for s in secrets {
        for part in std::iter::once(s).chain(s.split(['@', '/', ':', '?', '#', '&'])).filter(|p| p.len() > 1) {
            said = said.replace(part, "…");
        }
    }
    said
}

/// The server ends by itself what takes too long; one that does not answer at all is waited for a little longer.
const GRACE: Duration = Duration::from_secs(1);

pub struct Pq {
    calls: Calls,
    conn: *mut Conn,
    timeout: Duration,
}

// SAFETY: one thread at a time has the connection.
unsafe impl Send for Pq {}

impl Pq {
    /// `uri` may have a password; what is said of errors does not. No statement takes longer than `timeout`.
    pub fn open(uri: &str, timeout: Duration) -> Result<Box<dyn Connection>> {
        let calls = calls()?;
        let given = CString::new(uri).map_err(|_| fatal!("the catalog's address has a NUL in it"))?;
        let names = [
            c"connect_timeout",
            c"tcp_user_timeout",
            c"keepalives_idle",
            c"keepalives_interval",
            c"keepalives_count",
            c"client_encoding",
            c"fallback_application_name",
            c"dbname",
        ];
        let values: [&CStr; 8] = [c"10", c"30000", c"20", c"5", c"4", c"UTF8", c"ods-sink", &given];
        let mut n: Vec<*const c_char> = names.iter().map(|s| s.as_ptr()).collect();
        let mut v: Vec<*const c_char> = values.iter().map(|s| s.as_ptr()).collect();
        n.push(ptr::null());
        v.push(ptr::null());
        // SAFETY: both lists end in NULL and live until the call returns.
        let conn = unsafe { (calls.connect)(n.as_ptr(), v.as_ptr(), 1) };
        let mut c = Pq { calls, conn, timeout };
        if conn.is_null() || unsafe { (calls.status)(conn) } != 0 {
            return Err(Fail::Retry(format!("cannot connect to the catalog: {}", hidden(c.said(), uri))));
        }
        // SAFETY: the connection is there, and the function asks for nothing.
        unsafe { (calls.notices)(conn, say_nothing, ptr::null_mut()) };
        c.run(&format!("set statement_timeout = {}", timeout.as_millis()), &[])
            .map_err(|e| Fail::Retry(e.text().into()))?;
        Ok(Box::new(c))
    }

    /// The next answer of what was sent, NULL when there is none; or that it did not come in time.
    fn next(&mut self, until: Instant) -> Result<*mut Res> {
        let c = &self.calls;
        // SAFETY: the connection is there; poll has one descriptor, which is its.
        unsafe {
            while (c.busy)(self.conn) != 0 {
                let left = until.saturating_duration_since(Instant::now());
                let mut fd = libc::pollfd { fd: (c.socket)(self.conn), events: libc::POLLIN, revents: 0 };
                let ready = libc::poll(&mut fd, 1, left.as_millis().min(1000) as c_int);
                if ready == 0 && left.is_zero() {
                    return Err(Fail::Unknown(format!(
                        "the catalog in PostgreSQL has not answered for {} s (catalog.timeout_ms)",
                        (self.timeout + GRACE).as_secs_f32()
                    )));
                }
                // Also where nothing came: what TLS has decrypted waits elsewhere.
                if ready >= 0 && (c.consume)(self.conn) == 0 {
                    break; // the answer says why
                }
            }
            Ok((c.next)(self.conn))
        }
    }

    fn said(&self) -> String {
        // SAFETY: libpq's text lives until the next call; of NULL it says that too.
        unsafe { text((self.calls.message)(self.conn)) }
    }

    /// # Safety
    /// `r` is NULL or an answer that is not cleared.
    unsafe fn answer(&self, r: *mut Res) -> Result<Answer> {
        let c = &self.calls;
        // SAFETY: the caller's promise; texts live as long as the answer.
        unsafe {
            match (c.result)(r) {
                COMMAND_OK | TUPLES_OK => {}
                _ => {
                    let (state, why) = (text((c.field)(r, SQLSTATE)), text((c.field)(r, PRIMARY)));
                    let said = format!("the catalog in PostgreSQL: {}", if why.is_empty() { self.said() } else { why });
                    return Err(match state.get(..2) {
                        // The server said that it did not: it is busy, or it goes away.
                        _ if state == "40003" => Fail::Unknown(said),
                        Some("25" | "40" | "53" | "55") => Fail::Retry(said),
                        None | Some("08" | "57" | "58" | "XX") => Fail::Unknown(said),
                        Some(_) => Fail::Fatal(format!("{said} ({state})")),
                    });
                }
            }
            let cell = |row, i| {
                ((c.is_null)(r, row, i) == 0)
                    .then(|| CStr::from_ptr((c.value)(r, row, i)).to_string_lossy().into_owned())
            };
            let rows = (0..(c.rows)(r)).map(|row| (0..(c.columns)(r)).map(|i| cell(row, i)).collect()).collect();
            Ok(Answer { rows, changed: text((c.changed)(r)).parse().unwrap_or(0) })
        }
    }
}

impl Connection for Pq {
    fn run(&mut self, sql: &str, values: &[&str]) -> Result<Answer> {
        let sql = CString::new(sql).map_err(|_| fatal!("a statement has a NUL in it"))?;
        let values: std::result::Result<Vec<CString>, _> = values.iter().map(|v| CString::new(*v)).collect();
        let values = values.map_err(|_| fatal!("a name has a NUL in it"))?;
        let given: Vec<*const c_char> = values.iter().map(|v| v.as_ptr()).collect();
        // SAFETY: the strings live until the call returns.
        let sent = unsafe {
            (self.calls.send)(
                self.conn,
                sql.as_ptr(),
                given.len() as c_int,
                ptr::null(),
                given.as_ptr(),
                ptr::null(),
                ptr::null(),
                0,
            )
        };
        if sent == 0 {
            return Err(Fail::Unknown(format!("the catalog in PostgreSQL: {}", self.said())));
        }
        let until = Instant::now() + self.timeout + GRACE;
        let answer = self.next(until)?;
        // SAFETY: it is an answer or NULL, and cleared once.
        let take = |c: &Pq, answer: *mut Res| unsafe {
            let done = c.answer(answer);
            (c.calls.clear)(answer);
            done
        };
        let mut done = take(self, answer);
        // A statement that is done may still fail as its transaction ends. The connection is free again once there is
        // no other answer.
        loop {
            let more = self.next(until)?;
            if more.is_null() {
                return done;
            }
            done = done.and(take(self, more));
        }
    }
}

impl Drop for Pq {
    fn drop(&mut self) {
        // SAFETY: it is not used again; NULL is accepted.
        unsafe { (self.calls.finish)(self.conn) };
    }
}
