//! Catalogs: which metadata a table has now, and its exchange by compare-and-swap.

use crate::answer::{Result, fatal};
use crate::store::Store;
use serde_json::Value;

/// A table's name.
#[derive(Clone)]
pub struct Ident {
    pub namespace: Vec<String>,
    pub name: String,
}

/// A table as its catalog has it.
pub struct Loaded {
    pub location: String,
    pub metadata: Value,
}

pub enum Load {
    None,
    /// Its metadata are those that the caller knows.
    Same,
    New(Loaded),
}

/// What opens a table's folder by its location.
pub type Stores<'a> = &'a dyn Fn(&str) -> Result<std::sync::Arc<dyn Store>>;

pub trait Catalog: Send + Sync {
    fn load(&self, at: &Ident, known: Option<&str>, stores: Stores) -> Result<Load>;
    /// Makes a table of these metadata. One that is there by now is no error.
    fn create(&self, at: &Ident, metadata: Value, store: &dyn Store) -> Result<()>;
    /// Exchanges the metadata, if they are still those that were loaded: otherwise None. The exchange is sent once; an
    /// error is Retry where it certainly was not made, and Unknown where that is not known.
    fn commit(&self, at: &Ident, was: &Loaded, updates: &[Value], store: &dyn Store) -> Result<Option<Loaded>>;
}

/// A location with one way to write it: no slash at the end, and file: before a folder of this machine.
pub fn normal(location: &str) -> String {
    let l = location.trim_end_matches('/');
    if let Some(rest) = l.strip_prefix("file:") {
        return format!("file:///{}", rest.trim_start_matches('/'));
    }
    if let Some(rest) = l.strip_prefix("s3a://").or_else(|| l.strip_prefix("s3n://")) {
        return format!("s3://{rest}");
    }
    if l.starts_with('/') { format!("file://{l}") } else { l.to_string() }
}

/// A file's name in the folder `root` (in its one way to be written).
pub fn inside(root: &str, path: &str) -> Result<String> {
    let path = normal(path);
    match path.strip_prefix(root).and_then(|p| p.strip_prefix('/')) {
        Some(name) if !name.split('/').any(|p| p == "..") => Ok(name.into()),
        _ => Err(fatal!(
            "the table in {root} names the file {path}, which is outside of it: this engine does not read it"
        )),
    }
}

/// The metadata in a file, which may be packed.
pub fn parse(name: &str, raw: &[u8]) -> Result<Value> {
    let bad = |e: String| fatal!("the metadata {name} cannot be read: {e}");
    if name.contains(".gz.") || name.ends_with(".gz") {
        let mut out = vec![];
        std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(raw), &mut out)
            .map_err(|e| bad(e.to_string()))?;
        return serde_json::from_slice(&out).map_err(|e| bad(e.to_string()));
    }
    serde_json::from_slice(raw).map_err(|e| bad(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        for l in ["/a/b/", "file:/a/b", "file:///a/b"] {
            assert_eq!(normal(l), "file:///a/b");
        }
        assert_eq!(normal("s3a://b/x"), "s3://b/x");
        assert_eq!(inside("file:///a/b", "/a/b/data/x").unwrap(), "data/x");
        assert!(inside("file:///a/b", "/a/bc/x").is_err() && inside("file:///a/b", "/a/b/../x").is_err());
    }
}
