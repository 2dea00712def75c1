//! The SQL catalog: a row a table, in SQLite or PostgreSQL, as Java's JDBC catalog and PyIceberg have it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::answer::{Fail, Result, fatal};
use crate::iceberg::catalog::{Catalog, Ident, Load, Loaded, Stores, inside, normal, parse};
use crate::iceberg::metadata;
use crate::store::{Store, missing};

/// Rows of an answer, and how many were changed.
#[derive(Default)]
pub struct Answer {
    pub rows: Vec<Vec<Option<String>>>,
    pub changed: u64,
}

/// A connection to a database. After an error it is made anew.
pub trait Connection: Send {
    /// Runs one statement as a transaction of its own. An error is Retry where it certainly was not made.
    fn run(&mut self, sql: &str, values: &[&str]) -> Result<Answer>;
}

type Connect = Box<dyn Fn() -> Result<Box<dyn Connection>> + Send + Sync>;

pub struct Sql {
    name: String,
    /// A file without which there is no catalog yet.
    file: Option<std::path::PathBuf>,
    seen: AtomicBool,
    connect: Connect,
    now: Mutex<Option<Box<dyn Connection>>>,
}

const TABLES: &str = include_str!("sql/tables.sql");
const NAMESPACES: &str = include_str!("sql/namespaces.sql");
const FIND: &str = include_str!("sql/find.sql");
const INSERT: &str = include_str!("sql/insert.sql");
const NAMESPACE: &str = include_str!("sql/namespace.sql");
const SWAP: &str = include_str!("sql/swap.sql");

impl Sql {
    pub fn new(name: &str, file: Option<std::path::PathBuf>, connect: Connect) -> Sql {
        Sql { name: name.into(), file, seen: AtomicBool::new(false), connect, now: Mutex::new(None) }
    }

    fn run(&self, sql: &str, values: &[&str]) -> Result<Answer> {
        let mut now = self.now.lock().unwrap_or_else(|e| e.into_inner());
        let mut c = match now.take() {
            Some(c) => c,
            None => (self.connect)()?,
        };
        let done = c.run(sql, values);
        if done.is_ok() {
            *now = Some(c);
        }
        done
    }

    /// Reads: done again once, since a connection that stood idle may be closed.
    fn read(&self, sql: &str, values: &[&str]) -> Result<Answer> {
        let again = |e| match e {
            Fail::Unknown(s) => Fail::Retry(s),
            e => e,
        };
        match self.run(sql, values) {
            Err(Fail::Unknown(_) | Fail::Retry(_)) => self.run(sql, values).map_err(again),
            done => done,
        }
    }

    fn find(&self, at: &Ident) -> Result<Option<String>> {
        if let Some(e) = self.file.as_ref().and_then(|f| f.metadata().err()) {
            // One that was there is away, as a folder is that is no longer mounted.
            let is_new = e.kind() == std::io::ErrorKind::NotFound && !self.seen.load(Ordering::Relaxed);
            let path = self.file.as_deref().unwrap_or(std::path::Path::new("")).display();
            return if is_new { Ok(None) } else { Err(Fail::Retry(format!("cannot read the catalog {path}: {e}"))) };
        }
        self.seen.store(true, Ordering::Relaxed);
        match self.read(FIND, &[&self.name, &at.namespace.join("."), &at.name]) {
            // A catalog that is new.
            Err(Fail::Fatal(s)) if s.contains("(42P01)") || s.contains("no such table: iceberg_tables") => Ok(None),
            done => Ok(done?.rows.into_iter().next().and_then(|r| r.into_iter().next()).flatten()),
        }
    }
}

/// The next metadata file: its number is one more than that of the one before.
fn next_name(old: Option<&str>) -> String {
    let file = old.and_then(|o| o.rsplit('/').next()).unwrap_or_default();
    let number = file.trim_start_matches('v').split(['-', '.']).next().and_then(|n| n.parse::<u64>().ok());
    let n = number.map_or(0, |n| n + 1);
    format!("metadata/{n:05}-{}.metadata.json", uuid::Uuid::new_v4())
}

impl Catalog for Sql {
    fn load(&self, at: &Ident, known: Option<&str>, stores: Stores) -> Result<Load> {
        let Some(location) = self.find(at)? else { return Ok(Load::None) };
        if known == Some(location.as_str()) {
            return Ok(Load::Same);
        }
        let whole = normal(&location);
        // Metadata stand in the folder "metadata" of their table.
        let root = whole.rsplitn(3, '/').nth(2).unwrap_or_default();
        let store = stores(root)?;
        let name = inside(root, &whole)?;
        let raw = store.get(&name)?.ok_or_else(|| missing(&whole))?;
        Ok(Load::New(Loaded { metadata: parse(&whole, &raw)?, location }))
    }

    fn create(&self, at: &Ident, metadata: Value, store: &dyn Store) -> Result<()> {
        let name = next_name(None);
        let location = format!("{}/{name}", metadata["location"].as_str().unwrap_or_default());
        store.put(&name, metadata.to_string().into())?;
        store.settle()?;
        let namespace = at.namespace.join(".");
        let retry = |e: Fail| match e {
            Fail::Unknown(s) => Fail::Retry(s),
            e => e,
        };
        let insert = || -> Result<Answer> {
            self.run(NAMESPACE, &[&self.name, &namespace]).map_err(retry)?;
            self.run(INSERT, &[&self.name, &namespace, &at.name, &location]).map_err(retry)
        };
        let done = match insert() {
            // The catalog's own tables are made where they are missing: that takes a right which the insert does not.
            Err(Fail::Fatal(_)) => {
                for sql in [TABLES, NAMESPACES] {
                    // Of two that make them at once one is refused.
                    self.run(sql, &[]).or_else(|_| self.run(sql, &[])).map_err(retry)?;
                }
                insert()?
            }
            done => done?,
        };
        if done.changed == 0 {
            store.delete(&name)?;
        }
        Ok(())
    }

    fn commit(&self, at: &Ident, was: &Loaded, updates: &[Value], store: &dyn Store) -> Result<Option<Loaded>> {
        let (new, forgotten) = metadata::apply(&was.metadata, &was.location, updates)?;
        let name = next_name(Some(&was.location));
        let root = normal(new["location"].as_str().unwrap_or_default());
        let location = format!("{root}/{name}");
        store.put(&name, new.to_string().into())?;
        store.settle()?;
        crate::fault::step("commit")?;
        let done = self.run(SWAP, &[&location, &was.location, &self.name, &at.namespace.join("."), &at.name])?;
        if done.changed != 1 {
            let _ = store.delete(&name); // else the vacuum does
            return Ok(None);
        }
        for old in forgotten {
            if let Ok(old) = inside(&root, &old) {
                let _ = store.delete(&old);
            }
        }
        Ok(Some(Loaded { location, metadata: new }))
    }
}

/// A database's library, which is loaded when a catalog needs it.
pub struct Library(*mut libc::c_void, &'static str);

impl Library {
    pub fn open(file: &'static str, what: &str) -> Result<Library> {
        let name = std::ffi::CString::new(file).map_err(|_| fatal!("{file}"))?;
        // SAFETY: the name is a string that ends in NUL; the library stays loaded.
        let p = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if p.is_null() {
            return Err(fatal!(
                "{file} cannot be loaded, which a catalog in {what} needs: install it (Debian: {})",
                if what == "SQLite" { "libsqlite3-0" } else { "libpq5" }
            ));
        }
        Ok(Library(p, file))
    }

    /// # Safety
    /// `T` is the type of the function of this name.
    pub unsafe fn get<T: Copy>(&self, name: &str) -> Result<T> {
        let text = std::ffi::CString::new(name).map_err(|_| fatal!("{name}"))?;
        // SAFETY: the handle is of a library that stays loaded.
        let p = unsafe { libc::dlsym(self.0, text.as_ptr()) };
        if p.is_null() || size_of::<T>() != size_of::<*mut libc::c_void>() {
            return Err(fatal!("{} has no {name}", self.1));
        }
        // SAFETY: the caller's promise; both have a pointer's size.
        Ok(unsafe { std::mem::transmute_copy(&p) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_files_are_numbered() {
        assert!(next_name(None).starts_with("metadata/00000-"));
        assert!(next_name(Some("file:///t/metadata/00041-x.metadata.json")).starts_with("metadata/00042-"));
        assert!(next_name(Some("file:///t/metadata/v7.metadata.json")).starts_with("metadata/00008-"));
    }
}
