//! Settings, which come as JSON.

use serde_json::{Map, Value};

use crate::answer::{Result, fatal};

/// One JSON object and its unknown members, which are errors.
pub struct Object<'a> {
    what: &'static str,
    map: &'a Map<String, Value>,
}

pub fn parse(what: &str, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|e| fatal!("{what} is no JSON: {e}"))
}

impl<'a> Object<'a> {
    pub fn new(what: &'static str, v: &'a Value, known: &[&str]) -> Result<Object<'a>> {
        let map = v.as_object().ok_or_else(|| fatal!("{what} must be a JSON object"))?;
        if let Some(k) = map.keys().find(|k| !known.contains(&k.as_str())) {
            return Err(fatal!("{what} has the unknown setting \"{k}\"; known are {}", known.join(", ")));
        }
        Ok(Object { what, map })
    }

    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|v| !v.is_null())
    }

    fn typed<T>(&self, key: &str, kind: &str, f: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>> {
        match self.get(key) {
            None => Ok(None),
            Some(v) => f(v).map(Some).ok_or_else(|| fatal!("{}: \"{key}\" must be {kind}", self.what)),
        }
    }

    pub fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.typed(key, "a text", Value::as_str)
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.typed(key, "true or false", Value::as_bool)
    }

    pub fn number(&self, key: &str) -> Result<Option<u64>> {
        self.typed(key, "a whole number that is not negative", Value::as_u64)
    }

    pub fn ratio(&self, key: &str) -> Result<Option<f64>> {
        self.typed(key, "a number from 0 to 1", |v| v.as_f64().filter(|f| (0.0..=1.0).contains(f)))
    }

    pub fn texts(&self, key: &str) -> Result<Vec<String>> {
        let list = self.typed(key, "a list of texts", |v| {
            v.as_array()?.iter().map(|t| t.as_str().map(str::to_string)).collect::<Option<Vec<_>>>()
        })?;
        Ok(list.unwrap_or_default())
    }

    pub fn object(&self, key: &str) -> Result<Option<&'a Map<String, Value>>> {
        self.typed(key, "an object", Value::as_object)
    }
}

/// What is done with an existing table whose columns are others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    Add,
    Keep,
    Refuse,
}

/// How a table is opened (include/ods/lake.h says what each means).
pub struct TableSettings {
    pub parts: Vec<String>,
    pub history: bool,
    /// Nothing is written.
    pub read: bool,
    pub key: Vec<String>,
    pub create: bool,
    pub change_data: bool,
    pub partition: Vec<String>,
    pub sort: Vec<String>,
    pub comment: Option<String>,
    pub properties: Map<String, Value>,
    pub target_file_bytes: usize,
    /// A file below it is to be put together with others.
    pub small_file_bytes: usize,
    pub compression: String,
    /// Of Iceberg's format, for a table that is made.
    pub format_version: u64,
    pub columns: Columns,
    /// Where the index of keys has its memory; None: it is ordinary memory.
    pub index_folder: Option<String>,
}

impl TableSettings {
    pub fn read(text: &str) -> Result<TableSettings> {
        let v = parse("the table's settings", text)?;
        let known = [
            "namespace",
            "name",
            "mode",
            "key",
            "create",
            "change_data",
            "partition",
            "sort",
            "comment",
            "properties",
            "target_file_bytes",
            "small_file_bytes",
            "compression",
            "schema",
            "index_folder",
            "format_version",
        ];
        let o = Object::new("the table's settings", &v, &known)?;
        let name = o.text("name")?.ok_or_else(|| fatal!("the table's settings lack \"name\""))?;
        let mut parts = o.texts("namespace")?;
        parts.push(name.into());
        if let Some(p) = parts.iter().find(|p| p.is_empty() || *p == "." || *p == ".." || p.contains(['/', '\0'])) {
            return Err(fatal!("\"{p}\" cannot be the name of a table or namespace: it would not be one folder"));
        }
        let (history, read) = match o.text("mode")?.unwrap_or("upsert") {
            "upsert" => (false, false),
            "history" => (true, false),
            "read" => (true, true),
            m => return Err(fatal!("\"mode\" is \"{m}\"; known are upsert, history and read")),
        };
        let key = o.texts("key")?;
        if !history && key.is_empty() {
            return Err(fatal!("table {name}: the mode upsert needs \"key\", the columns that name a row"));
        }
        let target = o.number("target_file_bytes")?.unwrap_or(128 << 20).max(1) as usize;
        let compression = o.text("compression")?.unwrap_or("snappy");
        if !["snappy", "zstd", "none"].contains(&compression) {
            return Err(fatal!("\"compression\" is \"{compression}\"; known are snappy, zstd and none"));
        }
        let format_version = o.number("format_version")?.unwrap_or(2);
        if ![2, 3].contains(&format_version) {
            return Err(fatal!("\"format_version\" is {format_version}; known are 2 and 3"));
        }
        let properties = o.object("properties")?.cloned().unwrap_or_default();
        if let Some((k, _)) = properties.iter().find(|(_, v)| !v.is_string()) {
            return Err(fatal!("the property \"{k}\" of table {name} must be a text"));
        }
        Ok(TableSettings {
            history,
            read,
            key,
            create: o.flag("create")?.unwrap_or(true) && !read,
            change_data: o.flag("change_data")?.unwrap_or(!history),
            partition: o.texts("partition")?,
            sort: o.texts("sort")?,
            comment: o.text("comment")?.map(str::to_string),
            properties,
            target_file_bytes: target,
            small_file_bytes: o.number("small_file_bytes")?.map_or(target / 4, |n| n as usize),
            compression: compression.into(),
            format_version,
            columns: match o.text("schema")?.unwrap_or("add") {
                _ if read => Columns::Keep,
                "add" => Columns::Add,
                "keep" => Columns::Keep,
                "refuse" => Columns::Refuse,
                s => return Err(fatal!("\"schema\" is \"{s}\"; known are add, keep and refuse")),
            },
            index_folder: o.text("index_folder")?.map(str::to_string),
            parts,
        })
    }
}
