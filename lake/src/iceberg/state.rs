//! Reading a table: its snapshot as live files with the rows that are gone from them, and what changed since.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::{DataType, Fields, Schema};
use roaring::RoaringTreemap;
use serde_json::{Map, Value, json};

use crate::answer::{Fail, Result, fatal};
use crate::iceberg::catalog::{Catalog, Ident, Load, Loaded, inside, normal};
use crate::iceberg::manifest::{self, DATA, DELETED, Entry, Manifest, POSITIONS};
use crate::iceberg::{MAINTAINED, OFFSETS, lineage, metadata, positions, schema, spec};
use crate::index::Keys;
use crate::log::{Add, BATCH, DataFile, State, Touched};
use crate::settings::TableSettings;
use crate::store::{Store, missing};
use crate::table::Table;
use crate::types;

const BATCHES: usize = 256;

/// Opens the folder of a table by its location.
pub type Stores = Arc<dyn Fn(&str) -> Result<Arc<dyn Store>> + Send + Sync>;
/// Live entries, by the path of their manifest.
pub type Entries = HashMap<String, Arc<Vec<Entry>>>;

/// What a table of Iceberg has beside what every table has.
pub struct Iceberg {
    pub catalog: Arc<dyn Catalog>,
    pub at: Ident,
    stores: Stores,
    /// The table's folder, written in one way.
    pub root: String,
    pub loaded: Loaded,
    pub manifests: Vec<Manifest>,
    pub entries: Entries,
    /// Delete files whose positions the state has, by their `id`; of a deletion vector with its data file's name.
    pub deletes: HashMap<String, Option<String>>,
    /// By the number of a data file, the sequence number from which on deletes are of it.
    sequences: Vec<i64>,
    /// Which files it has is not read: a reader of changes needs those of single snapshots alone.
    lazy: bool,
}

fn escaped(name: &str) -> String {
    name.replace('%', "%25")
}

/// The manifests of a snapshot and their live entries; those that are known are not read again.
pub fn read_snapshot(store: &dyn Store, root: &str, s: &Value, known: &Entries) -> Result<(Vec<Manifest>, Entries)> {
    let path = s["manifest-list"].as_str().ok_or_else(|| fatal!("a snapshot without a manifest list"))?;
    let get = |path: &str| -> Result<_> { store.get(&inside(root, path)?)?.ok_or_else(|| missing(path)) };
    let manifests = manifest::read_list(&get(path)?).map_err(|e| e.about(path))?;
    let mut entries = Entries::new();
    for m in manifests.iter().filter(|m| m.is_alive()) {
        let live = match known.get(&m.path) {
            // Since they were read the table became one of version 3, whose list gives its rows ids.
            Some(live) if m.content == 0 && m.first_row.is_some() && live.iter().any(|e| e.first_row.is_none()) => {
                let mut live = live.to_vec();
                manifest::inherit(&mut live, m.first_row);
                Arc::new(live)
            }
            Some(live) => live.clone(),
            None => {
                let mut all = manifest::read(&get(&m.path)?, m).map_err(|e| e.about(&m.path))?;
                all.retain(|e| e.status != DELETED);
                Arc::new(all)
            }
        };
        entries.insert(m.path.clone(), live);
    }
    Ok((manifests, entries))
}

/// What followed from newer metadata.
pub struct Followed {
    pub touched: Vec<Touched>,
    /// Rows may have come back: all of it is to be read anew.
    pub anew: bool,
}

impl Iceberg {
    /// A table's entries, data files' or delete files'.
    pub fn all(&self, content: i64) -> impl Iterator<Item = &Entry> {
        let of = move |m: &&Manifest| if content == DATA { m.content == 0 } else { m.content == 1 };
        self.manifests.iter().filter(of).filter_map(|m| self.entries.get(&m.path)).flat_map(|l| l.iter())
    }

    /// Data files by their names in the table's folder.
    pub fn by_name(&self) -> Result<HashMap<String, Entry>> {
        self.all(DATA).map(|e| Ok((inside(&self.root, &e.file.path)?, e.clone()))).collect()
    }

    /// As the newest snapshot says.
    pub fn rows(&self) -> u64 {
        let summary = metadata::current(&self.loaded.metadata).map(|s| &s["summary"]);
        let n = |name: &str| summary.and_then(|s| s[name].as_str()?.parse::<u64>().ok()).unwrap_or(0);
        n("total-records").saturating_sub(n("total-position-deletes"))
    }

    pub fn forget(&mut self) {
        self.manifests.clear();
        self.entries.clear();
        self.deletes.clear();
        self.sequences.clear();
    }

    fn add(&self, e: &Entry) -> Result<Add> {
        let name = inside(&self.root, &e.file.path)?;
        if e.file.format != "PARQUET" {
            return Err(fatal!(
                "{} is a file of {}, of which this engine reads Parquet alone",
                e.file.path,
                e.file.format
            ));
        }
        let mut values = Map::new();
        if let manifest::DataFile { partition: super::avro::Av::Record(p), .. } = &*e.file
            && !p.is_empty()
        {
            // Files of one partition have one text here.
            values.insert(String::new(), json!(format!("{} {p:?}", e.spec)));
        }
        Ok(Add {
            path: escaped(&name),
            values,
            size: e.file.bytes,
            modified_ms: 0,
            data_change: true,
            stats: Some(json!({"numRecords": e.file.rows}).to_string()),
            tags: None,
            dv: None,
        })
    }

    /// Takes newer metadata: `manifests` are those of their snapshot where the caller has just written them.
    pub fn follow(
        &mut self,
        store: &dyn Store,
        state: &mut State,
        loaded: Loaded,
        own: Option<Vec<Manifest>>,
        upsert: bool,
    ) -> Result<Followed> {
        let v = &loaded.metadata;
        metadata::check(v)?;
        let was = if self.deletes.is_empty() { -1 } else { state.version };
        let (manifests, entries) = match (own, metadata::current(v)) {
            _ if self.lazy => (vec![], Entries::new()),
            (Some(m), _) => {
                let live = m.iter().filter_map(|m| self.entries.get_key_value(&m.path));
                let entries = live.map(|(k, e)| (k.clone(), e.clone())).collect();
                (m, entries)
            }
            (None, Some(s)) => read_snapshot(store, &self.root, s, &self.entries)?,
            (None, None) => (vec![], Entries::new()),
        };
        self.manifests = manifests;
        self.entries = entries;
        state.schema = Some(schema::from_iceberg(metadata::schema(v)?)?);
        state.version = metadata::sequence(v);
        state.checkpoint = metadata::property(v, MAINTAINED).and_then(|n| n.parse().ok()).unwrap_or(0);
        let offsets: Map<String, Value> = match metadata::property(v, OFFSETS) {
            Some(t) => serde_json::from_str(t).map_err(|e| fatal!("the property {OFFSETS} cannot be read: {e}"))?,
            None => Map::new(),
        };
        state.txns = offsets.into_iter().filter_map(|(id, n)| Some((id, (n.as_i64()?, None)))).collect();
        state.batches = metadata::ancestors(v)
            .into_iter()
            .take(BATCHES)
            .filter_map(|s| Some((s["summary"][BATCH].as_str()?.to_string(), s["sequence-number"].as_i64()?)))
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        self.loaded = loaded;
        let mut touched = self.follow_files(state)?;
        // A file older than what was known came back: deletes of it may be among those that were taken.
        let back = touched.iter().any(|t| matches!(t, Touched::New(n) if self.sequences[*n as usize] <= was));
        let anew = self.follow_deletes(store, state, &mut touched, upsert)? || back;
        Ok(Followed { touched, anew })
    }

    fn follow_files(&mut self, state: &mut State) -> Result<Vec<Touched>> {
        let mut touched = vec![];
        let mut live: HashSet<String> = HashSet::new();
        let mut new = vec![];
        for e in self.all(DATA) {
            let path = escaped(&inside(&self.root, &e.file.path)?);
            if !state.by_path.contains_key(&path) {
                new.push((self.add(e)?, e.sequence));
            }
            live.insert(path);
        }
        let gone: Vec<String> = state.by_path.keys().filter(|p| !live.contains(*p)).cloned().collect();
        for path in gone {
            if let Some(n) = state.by_path.remove(&path) {
                state.files[n as usize] = None;
                touched.push(Touched::Gone(n));
            }
        }
        for (add, sequence) in new {
            let n = u32::try_from(state.files.len()).map_err(|_| fatal!("the table has too many files"))?;
            state.by_path.insert(add.path.clone(), n);
            state.files.push(Some(DataFile { add, gone: None }));
            self.sequences.push(sequence);
            touched.push(Touched::New(n));
        }
        Ok(touched)
    }

    fn follow_deletes(
        &mut self,
        store: &dyn Store,
        state: &mut State,
        touched: &mut Vec<Touched>,
        upsert: bool,
    ) -> Result<bool> {
        let now: HashSet<String> = self.all(POSITIONS).map(|e| e.file.id()).collect();
        let went = self.deletes.iter().filter(|(id, _)| !now.contains(*id));
        if went.clone().any(|(_, of)| of.is_none()) {
            return Ok(true);
        }
        // Files whose vectors went: each must have one that takes its place.
        let mut replaced: HashSet<u32> =
            went.filter_map(|(_, of)| state.by_path.get(&escaped(of.as_deref()?)).copied()).collect();
        self.deletes.retain(|id, _| now.contains(id));
        let fresh: Vec<Entry> =
            self.all(POSITIONS).filter(|e| !self.deletes.contains_key(&e.file.id())).cloned().collect();
        for e in fresh {
            if e.file.is_equality() {
                if upsert {
                    return Err(fatal!(
                        "the table has equality deletes of another writer ({}), which this engine does not read: \
                         compact the table with that writer's tools first",
                        e.file.path
                    ));
                }
                continue;
            }
            for (n, rows) in self.positions(store, &e, state)? {
                if let Some(Some(f)) = state.files.get_mut(n as usize) {
                    let mut gone = f.gone.as_deref().cloned().unwrap_or_default();
                    if e.file.is_vector() && replaced.remove(&n) && !gone.is_subset(&rows) {
                        return Ok(true);
                    }
                    gone |= rows;
                    f.gone = Some(Arc::new(gone));
                    touched.push(Touched::Rows(n));
                }
            }
            self.deletes.insert(e.file.id(), self.vector_of(&e));
        }
        Ok(!replaced.is_empty())
    }

    /// The rows that a delete file takes out, by data file.
    fn positions(&self, store: &dyn Store, e: &Entry, state: &State) -> Result<BTreeMap<u32, RoaringTreemap>> {
        let mut out = BTreeMap::new();
        for (name, rows) in positions::read(store, &self.root, e)? {
            let n = state.by_path.get(&escaped(&name)).copied();
            if let Some(n) = n.filter(|n| self.sequences.get(*n as usize).is_some_and(|s| *s <= e.sequence)) {
                out.insert(n, rows);
            }
        }
        Ok(out)
    }
}

/// Opens a table, or makes it. None: there is none, and none is to be made.
pub fn open(
    catalog: Arc<dyn Catalog>,
    location: &str,
    stores: Stores,
    set: TableSettings,
    columns: &Schema,
) -> Result<Option<Table>> {
    let (name, namespace) = set.parts.split_last().ok_or_else(|| fatal!("a table without a name"))?;
    if namespace.is_empty() {
        return Err(fatal!("an Iceberg table needs a \"namespace\""));
    }
    let at = Ident { namespace: namespace.to_vec(), name: name.clone() };
    let mut found = catalog.load(&at, None, &*stores)?;
    if matches!(found, Load::None) {
        if !set.create {
            return Ok(None);
        }
        let root = normal(&format!("{}/{}", location.trim_end_matches('/'), set.parts.join("/")));
        let store = stores(&root)?;
        if store.list("metadata")?.iter().any(|e| e.name.ends_with(".avro")) {
            return Err(fatal!(
                "{root} has snapshots of a table that this catalog does not have (it is another catalog's, or was dropped): \
                 name that catalog, register the table, remove the folder, or take another location"
            ));
        }
        catalog.create(&at, fresh(&set, columns, &root)?, &*store)?;
        found = catalog.load(&at, None, &*stores)?;
    }
    let Load::New(loaded) = found else {
        return Err(fatal!("the table {} was made, and the catalog does not have it", set.parts.join(".")));
    };
    let root = normal(loaded.metadata["location"].as_str().unwrap_or_default());
    let store = stores(&root)?;
    let ice = Iceberg {
        catalog,
        at,
        stores,
        root,
        loaded,
        manifests: vec![],
        entries: Entries::new(),
        deletes: HashMap::new(),
        sequences: vec![],
        lazy: set.read,
    };
    Table::start(store, set, Some(Box::new(ice)), columns)
}

/// The metadata of a table that is made.
fn fresh(set: &TableSettings, columns: &Schema, root: &str) -> Result<Value> {
    let fields = types::normal(columns.fields())?;
    if fields.is_empty() {
        return Err(fatal!("a table without columns cannot be created in {root}"));
    }
    check_names(&fields, set.format_version as i64)?;
    for name in set.key.iter().chain(&set.sort) {
        if fields.find(name).is_none() {
            return Err(fatal!("the schema for {root} has no column {name}"));
        }
    }
    let key: Vec<DataType> =
        set.key.iter().filter_map(|k| fields.find(k)).map(|(_, f)| f.data_type().clone()).collect();
    if !set.history {
        Keys::new(&key).map_err(|e| e.about(format!("the key of {root}")))?;
    }
    let list: Vec<Value> =
        fields.iter().enumerate().map(|(i, f)| schema::field(f, i as i64 + 1)).collect::<Result<_>>()?;
    let made = json!({"type": "struct", "schema-id": 0, "fields": list});
    let arrow = schema::from_iceberg(&made)?;
    let parts = spec::make(&set.partition, &arrow)?;
    let sort: Vec<Value> = set
        .sort
        .iter()
        .filter_map(|c| arrow.field_with_name(c).ok().and_then(schema::id_of))
        .map(|id| json!({"transform": "identity", "source-id": id, "direction": "asc", "null-order": "nulls-first"}))
        .collect();
    let order = json!({"order-id": i64::from(!sort.is_empty()), "fields": sort});
    let mut properties = Map::new();
    properties.insert("write.metadata.delete-after-commit.enabled".into(), json!("true"));
    properties.insert(
        "write.parquet.compression-codec".into(),
        json!(match set.compression.as_str() {
            "none" => "uncompressed",
            c => c,
        }),
    );
    if let Some(c) = &set.comment {
        properties.insert("comment".into(), json!(c));
    }
    properties.extend(set.properties.clone());
    let v = metadata::new(root, made, fields.len() as i64, parts, order, Value::Object(properties));
    Ok(if set.format_version == 3 { metadata::raise(v) } else { v })
}

/// Two names that differ in case alone are one for several readers. `version` is that of the format.
pub fn check_names(fields: &Fields, version: i64) -> Result<()> {
    if version >= 3 {
        lineage::check_names(fields)?;
    }
    let mut seen = HashSet::new();
    match fields.iter().find(|f| f.name().is_empty() || !seen.insert(f.name().to_lowercase())) {
        None => Ok(()),
        Some(f) => {
            Err(fatal!("the column \"{}\" has no name, or has one of another but for the case of letters", f.name()))
        }
    }
}

impl Table {
    /// Runs with the table's own part of Iceberg and its state side by side.
    pub fn with_iceberg<T>(&mut self, f: impl FnOnce(&mut Iceberg, &dyn Store, &mut State) -> Result<T>) -> Result<T> {
        let mut ice = self.iceberg.take().ok_or_else(|| fatal!("the table is none of Iceberg"))?;
        let done = f(&mut ice, &*self.store, &mut self.state);
        self.iceberg = Some(ice);
        done
    }

    pub fn ice(&self) -> Result<&Iceberg> {
        self.iceberg.as_deref().ok_or_else(|| fatal!("the table is none of Iceberg"))
    }

    /// Reads the newest metadata where they are not those that are known. None: they are.
    fn newest(&mut self, all: bool) -> Result<Option<Loaded>> {
        let ice = self.ice()?;
        let known = (!all).then_some(ice.loaded.location.as_str());
        match ice.catalog.load(&ice.at, known, &*ice.stores)? {
            Load::Same => Ok(None),
            Load::New(l)
                if l.metadata["table-uuid"] == ice.loaded.metadata["table-uuid"]
                    && normal(l.metadata["location"].as_str().unwrap_or_default()) == ice.root =>
            {
                Ok(Some(l))
            }
            Load::New(_) | Load::None => Err(fatal!(
                "the table in {} was dropped, moved, or dropped and made anew: restart the program, which opens it anew",
                self.store.place()
            )),
        }
    }

    /// The state of the newest snapshot, read whole.
    pub fn load_iceberg(&mut self) -> Result<()> {
        let loaded = self.newest(true)?;
        let upsert = !self.set.history;
        self.state = State::default();
        self.with_iceberg(|ice, store, state| {
            ice.forget();
            match loaded {
                Some(l) => ice.follow(store, state, l, None, upsert).map(|_| ()),
                None => Ok(()),
            }
        })
        .map_err(|e| e.about(format!("the table in {}", self.store.place())))
    }

    /// The state of an older snapshot, by its sequence number; None: of the newest that is known.
    pub fn iceberg_at(&self, version: Option<i64>) -> Result<State> {
        let ice = self.ice()?;
        let mut metadata = ice.loaded.metadata.clone();
        if let Some(version) = version {
            let s = metadata::snapshots(&metadata).iter().find(|s| s["sequence-number"] == version);
            let Some((id, schema)) = s.map(|s| (s["snapshot-id"].clone(), s["schema-id"].clone())) else {
                return Err(Fail::Gone(format!(
                    "the snapshot {version} of {} is no longer there: it has expired, or it never was",
                    ice.root
                )));
            };
            metadata["current-snapshot-id"] = id;
            if !schema.is_null() {
                metadata["current-schema-id"] = schema;
            }
        }
        let mut old = Iceberg {
            catalog: ice.catalog.clone(),
            at: ice.at.clone(),
            stores: ice.stores.clone(),
            root: ice.root.clone(),
            loaded: Loaded { location: ice.loaded.location.clone(), metadata: Value::Null },
            manifests: vec![],
            entries: Entries::new(),
            deletes: HashMap::new(),
            sequences: vec![],
            lazy: false,
        };
        let mut state = State::default();
        let loaded = Loaded { location: ice.loaded.location.clone(), metadata };
        old.follow(&*self.store, &mut state, loaded, None, true)?;
        Ok(state)
    }

    pub fn refresh_iceberg(&mut self) -> Result<()> {
        match self.newest(false)? {
            None => Ok(()),
            Some(loaded) => self.take_iceberg(loaded, None, true),
        }
    }

    /// The state follows newer metadata, and so does the index unless the caller sees to that.
    pub fn take_iceberg(&mut self, loaded: Loaded, own: Option<Vec<Manifest>>, index: bool) -> Result<()> {
        let (was, key) = (self.state.schema()?.clone(), self.key_types()?);
        let upsert = !self.set.history;
        self.stale = true;
        let place = self.store.place().to_string();
        let f = self
            .with_iceberg(|ice, store, state| ice.follow(store, state, loaded, own, upsert))
            .map_err(|e| e.about(format!("the table in {place}")))?;
        if f.anew {
            return self.reload();
        }
        if self.key_types()? != key {
            self.reindex()?;
        } else if index {
            self.follow(f.touched)?;
        }
        if *self.state.schema()? != was {
            self.refit()?;
        }
        self.stale = false;
        Ok(())
    }

    fn key_types(&self) -> Result<Vec<DataType>> {
        if self.set.history {
            return Ok(vec![]);
        }
        Ok(self.key_fields()?.iter().map(|f| f.data_type().clone()).collect())
    }
}
