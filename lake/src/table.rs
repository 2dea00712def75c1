//! One Delta table: opening and creating it, keeping up with its log, and the index of its keys.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use serde_json::{Map, Value, json};

use crate::answer::{Fail, Result, fatal};
use crate::data::{Rows, Wanted};
use crate::iceberg::state::Iceberg;
use crate::index::{Index, Key, KeyMap, Keys, Loc};
use crate::log::{self, State, Step, Touched};
use crate::mapped::Mapped;
use crate::settings::{Columns, TableSettings};
use crate::store::{Put, Store};
use crate::{partition, types};

/// What is staged for a key: a row of a staged batch, or that the one with that row's key goes.
#[derive(Clone, Copy, Debug)]
pub enum Staged {
    Row { batch: u32, row: u32 },
    Delete { batch: u32, row: u32 },
}

pub struct Table {
    pub store: Arc<dyn Store>,
    pub set: TableSettings,
    pub state: State,
    /// A table of Iceberg has its state from there, and its commits go there; None: of Delta Lake.
    pub iceberg: Option<Box<Iceberg>>,
    pub keys: Option<Keys>,
    pub index: Index,
    /// Staged batches, each with all columns of the table.
    pub staged: Vec<RecordBatch>,
    pub overlay: KeyMap<Staged>,
    /// All rows that the table has go with the next commit, before what is staged.
    pub truncated: bool,
    /// The index is not that of the state: the table is loaded anew before it is used.
    pub stale: bool,
    pub commits: u64,
    pub conflicts: u64,
    /// Updates and deletes of rows that were not there, and kept values of such rows, which became null.
    pub missing: u64,
    pub lost: u64,
    /// How often the index was read from the table's files.
    pub indexed: u64,
}

impl Table {
    /// None: there is no such table, and none is to be created.
    pub fn open(store: Arc<dyn Store>, set: TableSettings, schema: &Schema) -> Result<Option<Table>> {
        if !log::exists(&*store)? {
            if !set.create {
                return Ok(None);
            }
            create(&*store, &set, schema)?;
        }
        Table::start(store, set, None, schema)
    }

    /// Reads a table that is there.
    pub fn start(
        store: Arc<dyn Store>,
        set: TableSettings,
        iceberg: Option<Box<Iceberg>>,
        schema: &Schema,
    ) -> Result<Option<Table>> {
        let index = Index::new(Mapped::new(set.index_folder.as_deref().map(std::path::Path::new))?);
        let mut table = Table {
            store,
            set,
            state: State::default(),
            iceberg,
            keys: None,
            index,
            staged: vec![],
            overlay: KeyMap::default(),
            truncated: false,
            stale: true,
            commits: 0,
            conflicts: 0,
            missing: 0,
            lost: 0,
            indexed: 0,
        };
        table.reload()?;
        if table.set.columns != Columns::Keep && table.missing_columns(schema)? {
            if table.set.columns == Columns::Refuse {
                return Err(fatal!(
                    "the table in {} lacks columns of the schema, and \"schema\" is refuse",
                    table.store.place()
                ));
            }
            table.evolve(schema)?;
        }
        Ok(Some(table))
    }

    /// Columns of the table, every one nullable here: a delete has only its key.
    pub fn columns(&self) -> Result<SchemaRef> {
        let fields: Vec<Field> =
            self.state.schema()?.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        Ok(Arc::new(Schema::new(fields)))
    }

    pub fn wanted(&self, columns: SchemaRef) -> Wanted {
        Wanted { columns }
    }

    /// Reads the newest version whole.
    pub fn reload(&mut self) -> Result<()> {
        self.stale = true;
        if self.iceberg.is_some() {
            self.load_iceberg()?;
            self.reindex()?;
            self.refit()?;
            self.stale = false;
            return Ok(());
        }
        self.state = log::load(&*self.store, None)?;
        self.check().map_err(|e| e.about(format!("the table in {}", self.store.place())))?;
        for name in self.state.partition() {
            let schema = self.state.schema()?;
            let f =
                schema.field_with_name(&name).map_err(|_| fatal!("the table has no column {name}, which parts it"))?;
            partition::check(f.data_type()).map_err(|e| e.about(format!("column {name}")))?;
        }
        self.reindex()?;
        self.refit()?;
        self.stale = false;
        Ok(())
    }

    /// What the table is opened for may be done with it.
    fn check(&self) -> Result<()> {
        if self.set.read { self.state.check_readable() } else { self.state.check(!self.set.history) }
    }

    pub fn reindex(&mut self) -> Result<()> {
        self.index.clear();
        self.keys = None;
        if self.set.history {
            return Ok(());
        }
        self.indexed += 1;
        let fields = self.key_fields()?;
        let kinds: Vec<DataType> = fields.iter().map(|f| f.data_type().clone()).collect();
        self.keys = Some(Keys::new(&kinds).map_err(|e| e.about(format!("the key of {}", self.store.place())))?);
        let live: Vec<u32> = self.state.live().map(|(n, _)| n).collect();
        let rows: u64 = self.state.live().map(|(_, f)| live_rows(f)).sum();
        self.index.reserve(rows as usize);
        live.into_iter().try_for_each(|n| self.index_file(n))
    }

    pub fn key_fields(&self) -> Result<Fields> {
        let columns = self.columns()?;
        let found = self.set.key.iter().map(|k| {
            let f = columns.field_with_name(k);
            f.cloned()
                .map(Arc::new)
                .map_err(|_| fatal!("the table in {} has no column {k}, which is in the key", self.store.place()))
        });
        found.collect()
    }

    /// Puts the keys of a file's live rows into the index.
    fn index_file(&mut self, n: u32) -> Result<()> {
        let Some(keys) = &self.keys else { return Ok(()) };
        self.state.load_gone(&*self.store, n)?;
        let file = self.state.file(n)?;
        let wanted = self.wanted(Arc::new(Schema::new(self.key_fields()?)));
        let mut row = 0u32;
        for batch in Rows::open(&*self.store, &file.add.file()?, &file.add.values, &wanted, None)? {
            for key in keys.of(batch?.columns())? {
                if !file.gone.as_ref().is_some_and(|g| g.contains(row as u64)) {
                    self.index.add(key, Loc { file: n, row });
                }
                row = row.checked_add(1).ok_or_else(|| fatal!("{} has too many rows", file.add.path))?;
            }
        }
        Ok(())
    }

    /// Takes every version that came since; the index follows.
    pub fn refresh(&mut self) -> Result<()> {
        if self.stale {
            return self.reload();
        }
        if self.iceberg.is_some() {
            return self.refresh_iceberg();
        }
        loop {
            let schema = self.state.schema()?.clone();
            let touched = match log::advance(&*self.store, &mut self.state) {
                Ok(Step::Newest) => return Ok(()),
                Ok(Step::Lost) => return self.reload(),
                Ok(Step::Next(touched)) => touched,
                Err(e) => {
                    // An outage comes before the entry is taken; anything else may have left half of it.
                    self.stale = !matches!(e, Fail::Retry(_));
                    return Err(e);
                }
            };
            // Until the index has followed, the state is not to be used.
            self.stale = true;
            self.check()?;
            if *self.state.schema()? == schema {
                self.follow(touched)?;
            } else {
                self.reindex()?;
                self.refit()?;
            }
            self.stale = false;
        }
    }

    pub fn follow(&mut self, touched: Vec<Touched>) -> Result<()> {
        if self.set.history {
            return Ok(());
        }
        let mut new = vec![];
        let mut gone = vec![];
        for t in touched {
            match t {
                Touched::New(n) => new.push(n),
                Touched::Gone(n) => gone.push(n),
                // Rows may have gone or, after a restore, come back.
                Touched::Rows(n) => {
                    gone.push(n);
                    new.push(n);
                }
            }
        }
        if !gone.is_empty() {
            self.index.forget(|l| gone.contains(&l.file));
        }
        new.into_iter().try_for_each(|n| self.index_file(n))
    }

    /// Staged rows get the columns that the table has now, and their keys the hashes of the index.
    pub fn refit(&mut self) -> Result<()> {
        let columns = self.columns()?;
        for batch in &mut self.staged {
            if batch.schema() != columns {
                *batch = crate::stage::fit(batch, &columns)?;
            }
        }
        if self.keys.is_some() && !self.overlay.is_empty() {
            let keys = self.staged.iter().map(|b| self.keys_of(b)).collect::<Result<Vec<Vec<Key>>>>()?;
            self.overlay = std::mem::take(&mut self.overlay)
                .into_values()
                .map(|s| {
                    let (Staged::Row { batch, row } | Staged::Delete { batch, row }) = s;
                    (keys[batch as usize][row as usize], s)
                })
                .collect();
        }
        Ok(())
    }

    pub fn offsets(&mut self) -> Result<String> {
        self.refresh()?;
        let mut ids: Vec<_> = self.state.txns.iter().collect();
        ids.sort();
        let offsets: Map<String, Value> = ids.into_iter().map(|(id, (v, _))| (id.clone(), json!(v))).collect();
        Ok(json!({"version": self.state.version, "offsets": offsets}).to_string())
    }

    pub fn stats(&self) -> String {
        let (mut files, mut rows, mut gone, mut bytes, mut small) = (0u64, 0u64, 0u64, 0i64, 0u64);
        let mut crowds: HashMap<String, u64> = HashMap::new();
        for (_, f) in self.state.live() {
            files += 1;
            rows += live_rows(f);
            gone += f.gone_rows();
            bytes += f.add.size;
            if (f.add.size as usize) < self.set.small_file_bytes {
                small += 1;
                *crowds.entry(f.partition()).or_default() += 1;
            }
        }
        if let Some(ice) = self.iceberg.as_ref().filter(|_| self.set.read) {
            rows = ice.rows();
        }
        // Files of deletes are small, and are put together likewise; but deletion vectors, of which each is of one file.
        let deletes = self.iceberg.as_ref().map_or(0, |i| i.deletes.values().filter(|of| of.is_none()).count() as u64);
        let crowd = crowds.into_values().max().unwrap_or(0).max(deletes);
        small += deletes;
        let staged_rows =
            if self.set.history { self.staged.iter().map(RecordBatch::num_rows).sum() } else { self.overlay.len() };
        let staged_bytes: usize = self.staged.iter().map(RecordBatch::get_array_memory_size).sum();
        json!({
            "version": self.state.version, "files": files, "rows": rows, "deleted_rows": gone, "bytes": bytes,
            "small_files": small, "crowd": crowd, "index_keys": self.index.len(), "index_bytes": self.index.bytes(), "index_mapped": self.index.mapped(),
            "staged_rows": staged_rows, "staged_bytes": staged_bytes + self.overlay.allocation_size(),
            "versions_since_checkpoint": self.state.version - self.state.checkpoint,
            "commits": self.commits, "conflicts": self.conflicts,
            "missing": self.missing, "lost": self.lost, "indexed": self.indexed,
        })
        .to_string()
    }

    pub fn rollback(&mut self) {
        self.staged = vec![];
        self.overlay = KeyMap::default();
        self.truncated = false;
    }

    pub fn nothing_staged(&self, what: &str) -> Result<()> {
        if self.staged.is_empty() && self.overlay.is_empty() && !self.truncated {
            return Ok(());
        }
        Err(fatal!("{what} while rows are staged: commit or roll back first"))
    }
}

/// Rows of a file that are still part of the table, as the log has it.
pub fn live_rows(f: &log::DataFile) -> u64 {
    f.add.rows().unwrap_or(0).saturating_sub(f.gone_rows())
}

/// The protocol that a table needs: the oldest that has what is used, so that many readers can follow.
pub fn protocol(fields: &Fields, deletion_vectors: bool, change_data: bool) -> Value {
    let no_zone = types::has_no_zone(fields);
    if !deletion_vectors && !no_zone {
        return json!({"minReaderVersion": 1, "minWriterVersion": if change_data { 4 } else { 2 }});
    }
    let mut reader = vec![];
    let mut writer = vec!["appendOnly", "invariants"];
    if change_data {
        writer.push("changeDataFeed");
    }
    if deletion_vectors {
        reader.push("deletionVectors");
    }
    if no_zone {
        reader.push("timestampNtz");
    }
    writer.extend(&reader);
    json!({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": reader, "writerFeatures": writer})
}

fn create(store: &dyn Store, set: &TableSettings, schema: &Schema) -> Result<()> {
    let fields: Fields =
        types::normal(schema.fields())?.iter().map(|f| Arc::new(f.as_ref().clone().with_nullable(true))).collect();
    if fields.is_empty() {
        return Err(fatal!("a table without columns cannot be created in {}", store.place()));
    }
    types::check_names(&fields)?;
    for name in set.key.iter().chain(&set.partition).chain(&set.sort) {
        if fields.find(name).is_none() {
            return Err(fatal!("the schema for {} has no column {name}", store.place()));
        }
    }
    for (_, f) in set.partition.iter().filter_map(|p| fields.find(p)) {
        partition::check(f.data_type()).map_err(|e| e.about(format!("column {}", f.name())))?;
    }
    if set.partition.len() >= fields.len() {
        return Err(fatal!("every column of {} parts the table: one at least must not", store.place()));
    }
    let key_types: Vec<DataType> =
        set.key.iter().filter_map(|k| fields.find(k)).map(|(_, f)| f.data_type().clone()).collect();
    if !set.history {
        Keys::new(&key_types).map_err(|e| e.about(format!("the key of {}", store.place())))?;
    }
    let mut config = Map::new();
    if !set.history {
        config.insert("delta.enableDeletionVectors".into(), json!("true"));
    }
    if set.change_data {
        config.insert("delta.enableChangeDataFeed".into(), json!("true"));
    }
    if !set.key.is_empty() {
        config.insert(crate::commit::KEY.into(), json!(json!(set.key).to_string()));
    }
    config.extend(set.properties.clone());
    let now = log::now_ms();
    let schema = types::schema_to_delta(&Schema::new(fields.clone()))?;
    let change_data = config.get("delta.enableChangeDataFeed") == Some(&json!("true"));
    let vectors = config.get("delta.enableDeletionVectors") == Some(&json!("true"));
    let mut metadata = json!({
        "id": uuid::Uuid::new_v4().to_string(), "name": set.parts.last(), "format": {"provider": "parquet", "options": {}},
        "schemaString": schema.to_string(), "partitionColumns": set.partition, "configuration": config, "createdTime": now,
    });
    if let Some(c) = &set.comment {
        metadata["description"] = json!(c);
    }
    let actions = [
        info("CREATE TABLE", None, now),
        json!({"protocol": protocol(&fields, vectors, change_data)}),
        json!({"metaData": metadata}),
    ];
    store.settle()?;
    // If it exists by now, or the answer was lost, it is found when it is loaded.
    match store.put_new(&log::entry_name(0), log::lines(&actions).into()) {
        // S3 answers 409 where another write of the object is under way, which need not be done.
        Ok(Put::Exists) if !log::exists(store)? => Err(Fail::Retry(format!(
            "{} answered that the table was made meanwhile (409 or 412), and it is not there: it is tried again",
            store.place()
        ))),
        Ok(Put::Done | Put::Exists) => store.settle(),
        Err(Fail::Unknown(s)) => Err(Fail::Retry(s)),
        Err(e) => Err(e),
    }
}

/// The commitInfo of a commit.
pub fn info(operation: &str, batch: Option<&str>, now: i64) -> Value {
    let mut v = json!({
        "timestamp": now, "operation": operation, "operationParameters": {}, "isBlindAppend": operation == "WRITE",
        "engineInfo": concat!("ods-sink/", env!("CARGO_PKG_VERSION")),
    });
    if let Some(b) = batch {
        v[log::BATCH] = json!(b);
    }
    json!({"commitInfo": v})
}
