//! Tables of Apache Iceberg, versions 2 and 3 of the format: what differs from Delta Lake (`table`, `commit` and so on, with
//! which it shares rows, index and data files).
//!
//! `catalog` says which metadata a table has and exchanges them (`sql` with `sqlite` and `pq`, and `rest`); `metadata` and
//! `manifest` (in `avro`) are the format's files, `schema` and `spec` its types and partitions; `positions` and, of version
//! 3, `vectors` (in `puffin`) are what takes rows out, and `lineage` has the ids of its rows. `state` reads a table,
//! `commit` makes a snapshot of what is staged and of the offsets, `follow` finds what a snapshot changed, `evolve` and
//! `maintain` do what their names say.

pub mod avro;
pub mod catalog;
mod commit;
mod evolve;
pub mod follow;
pub mod lineage;
mod maintain;
pub mod manifest;
pub mod metadata;
pub mod pair;
pub mod positions;
mod pq;
mod puffin;
#[cfg(feature = "s3")]
mod rest;
pub mod schema;
pub mod spec;
mod sql;
mod sqlite;
pub mod state;
#[cfg(test)]
pub mod tests;
mod vectors;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::answer::{Result, fatal};
use crate::settings::Object;
use catalog::Catalog;

/// The table property that has all offsets, and the one of a snapshot's summary that has those that it moved.
pub const OFFSETS: &str = "ods.offsets";
/// In a snapshot's summary: the columns that name a row, and how many rows were inserted, updated and deleted.
pub const KEY: &str = "ods.key";
pub const ROWS: &str = "ods.rows";
/// At which version the table was last maintained.
pub const MAINTAINED: &str = "ods.maintained";

/// How long a request to a catalog may take.
fn timeout(o: &Object) -> Result<Duration> {
    Ok(Duration::from_millis(o.number("timeout_ms")?.unwrap_or(30_000)))
}

/// The catalog that the settings name; `folder` is where tables are, when that is a folder of this machine.
pub fn catalog(v: Option<&Value>, folder: Option<&std::path::Path>) -> Result<Arc<dyn Catalog>> {
    let none = json!({});
    let known = ["uri", "name", "warehouse", "prefix", "token", "credential", "oauth2_uri", "scope", "timeout_ms"];
    let o = Object::new("\"catalog\"", v.unwrap_or(&none), &known)?;
    let name = o.text("name")?.unwrap_or("ods").to_string();
    let uri = match (o.text("uri")?.filter(|u| !u.is_empty()), folder) {
        (Some(uri), _) => uri.to_string(),
        (None, Some(folder)) => format!("sqlite://{}", folder.join("catalog.sqlite").display()),
        (None, None) => {
            return Err(fatal!(
                "tables in S3 need a catalog: name one with catalog.uri (postgresql://…, sqlite:///file or, of a REST catalog, https://…)"
            ));
        }
    };
    if let Some(path) = uri.strip_prefix("sqlite://") {
        let path = format!("/{}", path.trim_start_matches('/'));
        let file = std::path::PathBuf::from(&path);
        return Ok(Arc::new(sql::Sql::new(&name, Some(file), Box::new(move || sqlite::Sqlite::open(&path)))));
    }
    if uri.starts_with("postgresql://") || uri.starts_with("postgres://") {
        let timeout = timeout(&o)?;
        return Ok(Arc::new(sql::Sql::new(&name, None, Box::new(move || pq::Pq::open(&uri, timeout)))));
    }
    #[cfg(feature = "s3")]
    if uri.starts_with("http://") || uri.starts_with("https://") {
        return Ok(Arc::new(rest::Rest::open(&uri, &o)?));
    }
    let scheme = uri.split(':').next().unwrap_or_default();
    Err(fatal!("catalog.uri begins with \"{scheme}:\"; known are postgresql://, sqlite://, http:// and https://"))
}
